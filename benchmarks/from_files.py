"""Whether the lines of a model card, in a fresh environment of ONNX Runtime, NumPy and Pillow
alone, give original files of odd kinds the class that `predict` gives them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path

import hypersearch
from lab.odd_images import KINDS, write_odd_images
from objectives.data.listing import list_images

PACKAGES = ("onnxruntime", "numpy", "pillow")


def fresh_environment(folder: Path) -> Path:
    """The Python of a new virtual environment with these packages alone."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = [f"{name}=={version(name)}" for name in PACKAGES]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    return python


def by_the_card(python: Path, model: Path, files: list[str]) -> list[tuple[str, float]]:
    """Class and probability of each file, by the lines of the card in that environment."""
    card = (model / "README.md").read_text(encoding="utf-8")
    lines = card.partition("```python\n")[2].partition("```")[0]
    variables = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
    unseen = "import importlib.util as u\nassert not any(map(u.find_spec, ('torch', 'search')))\n"
    done = subprocess.run(
        [python, "-W", "ignore", "-c", unseen + lines, *files],
        cwd=model,
        env=variables,
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [(name, float(probability)) for _, name, probability in rows]


def main() -> int:
    """Prints what was found; 1 where any class is another one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="an exported folder with ONNX")
    parser.add_argument("images", type=Path, help="images, one sub-folder a class, to make odd")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--python", type=Path, help="of an environment that is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        odd = Path(root) / "odd"
        sources = [arguments.images / each.name for each in list_images(arguments.images).files]
        write_odd_images(sources, odd, arguments.files)
        files = sorted(str(each) for each in odd.iterdir())
        ours = [
            (each.predicted, each.classes[0][1])
            for each in hypersearch.predict(arguments.model, files, device="cpu")
        ]
        python = arguments.python or fresh_environment(Path(root) / "environment")
        theirs = by_the_card(python, arguments.model.resolve(), files)
    same = sum(one[0] == other[0] for one, other in zip(ours, theirs, strict=True))
    furthest = max(abs(one[1] - other[1]) for one, other in zip(ours, theirs, strict=True))
    print(
        f"the same class for {same} of {len(files)} files of {len(KINDS)} kinds;"
        f" probabilities differ by {furthest:.1g} at most"
    )
    return int(same < len(files))


if __name__ == "__main__":
    sys.exit(main())
