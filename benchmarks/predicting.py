"""Images per second of `predict` on a folder of small JPEGs beside plain loops of Pillow and ONNX
Runtime, in turns, and its peak memory on many images beside that on few.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import hypersearch
from benchmarks.figures import machine, spread
from benchmarks.folder import SIDE, make
from lab.checkout import environment
from search.spec.reading import parse_spec

# The peak memory is compared with that of so few images.
FEW = 200
# The loop is what somebody writes who takes the card's lines for 8-bit images of the right size,
# `batch` at a time; its imports are not counted, as those of `predict` are not.
LOOP = """
import sys, time, numpy as np, onnxruntime
from pathlib import Path
from PIL import Image

batch = int(sys.argv[3])
files = sorted(Path(sys.argv[2]).rglob("*.jpg"))
session = onnxruntime.InferenceSession(sys.argv[1] + "/model.onnx")
started = time.perf_counter()
for start in range(0, len(files), batch):
    images = [np.asarray(Image.open(each).convert("RGB")) for each in files[start : start + batch]]
    stacked = np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2))
    session.run(["probabilities"], {"images": stacked})
print(time.perf_counter() - started)
"""
OURS = """
import re, sys, time
from pathlib import Path
from search.export.model import open_folder
from search.export.running import Asked, predict_all

batch, runtime = int(sys.argv[3]), sys.argv[4]
model = open_folder(Path(sys.argv[1]), "cpu", runtime)
asked = Asked(batch=batch)
with open("/dev/null", "w") as nowhere:
    started = time.perf_counter()
    predict_all(
        model, [Path(sys.argv[2])], asked, asked.lines("text"),
        write=nowhere.write, say=lambda line: None, clock=time.monotonic,
    )
    print(time.perf_counter() - started)
# Not by getrusage: what a process is forked of counts there.
print(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def exported(folder: Path) -> Path:
    """A model of the default network for images of that size, trained for next to no time."""
    make(folder / "training", 60)
    spec = parse_spec(
        {
            "study": {"name": "s", "trials": 1},
            "data": {"dataset": f"images:{folder / 'training'}"},
            "training": {"epochs": 1},
        }
    )
    url = f"sqlite:///{folder}/a.db"
    hypersearch.run(spec, storage=url, device="cpu", threads=1)
    hypersearch.export("s", folder / "model", storage=url)
    return folder / "model"


def said(code: str, *arguments: object) -> list[float]:
    """The numbers that a process of its own prints."""
    command = [sys.executable, "-W", "ignore", "-P", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    return [float(each) for each in re.findall(r"[\d.]+", done.stdout)]


def main() -> None:
    """Prints the machine, a row for each way, their ratios, and the peak memories."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(machine("onnxruntime", "torch", "pillow", "numpy"))
    with tempfile.TemporaryDirectory() as root:
        model, few, many = exported(Path(root)), Path(root) / "few", Path(root) / "many"
        make(few, FEW)
        make(many, arguments.images)
        ways: dict[str, Callable[[], Sequence[float]]] = {
            "plain loop, one at a time": partial(said, LOOP, model, many, 1),
            "plain loop, 256 at a time": partial(said, LOOP, model, many, 256),
            "predict --runtime onnx": partial(said, OURS, model, many, 32, "onnx"),
            "predict --runtime torch": partial(said, OURS, model, many, 32, "torch"),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.repeats):
            for name, way in ways.items():
                rates[name].append(arguments.images / way()[0])
        print(
            f"{arguments.images:,} JPEGs of {SIDE} x {SIDE} in colour, {arguments.repeats} rounds"
            " in turns: images/s as median (min..max)"
        )
        for name, found in rates.items():
            print(f"  {name}: {spread(found, 0)}")
        for ours in ("predict --runtime onnx", "predict --runtime torch"):
            for plain in ("plain loop, one at a time", "plain loop, 256 at a time"):
                ratios = [one / other for one, other in zip(rates[ours], rates[plain], strict=True)]
                print(f"  {ours} / {plain}: {spread(ratios, 2)}")
        for runtime in ("onnx", "torch"):
            peaks = [said(OURS, model, each, 32, runtime)[1] / 1024 for each in (few, many)]
            print(
                f"  peak memory, {runtime}: {peaks[0]:.0f} MB on {FEW} images, {peaks[1]:.0f} MB on"
                f" {arguments.images:,}: {peaks[1] - peaks[0]:+.0f} MB"
            )
    print(machine("torch"))


if __name__ == "__main__":
    main()
