"""Every example is a valid spec, and runs."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hypersearch import compare
from search.spec.reading import parse_spec
from tests.forked import hypersearch

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.toml"))


def some_images(folder: Path) -> None:
    """Two classes that differ in brightness, of sizes that differ."""
    noise = np.random.default_rng(0)
    for name, brightness, count in (("dark", 40, 24), ("light", 180, 12)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = noise.integers(
                brightness, brightness + 40, (50 + number, 60, 3), dtype=np.uint8
            )
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(each, marks=[] if each.stem == "demo" else pytest.mark.long)
        for each in EXAMPLES
    ],
    ids=lambda path: path.stem,
)
def test_an_example_is_checked_and_runs(
    example: Path, tmp_path: Path, mnist_5k_cache: Path
) -> None:
    (tmp_path / "cache" / "hypersearch").mkdir(parents=True)
    (tmp_path / "cache" / "hypersearch" / "decoded").symlink_to(
        mnist_5k_cache, target_is_directory=True
    )
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    checked = hypersearch(tmp_path, "spec", "check", str(example), **cache)
    assert (checked.returncode, checked.stderr) == (0, "")
    spec = parse_spec(tomllib.loads(example.read_text()))
    # A pruner that begins after more than one epoch would be refused.
    small = ["--trials", "2", "--epochs", "1", "--pruner", "none", "--threads", "1"]
    small += ["--set", "model.channels=[4]", "--set", "model.hidden_units=8"]
    if spec.data.dataset.startswith("images:"):
        some_images(tmp_path / spec.data.dataset.removeprefix("images:"))
    elif example.stem != "demo":
        small += ["--dataset", "digits"]
    ran = hypersearch(tmp_path, "run", str(example), *small, **cache)
    assert ran.returncode == 0, ran.stderr
    found = compare(spec.name, storage=f"sqlite:///{tmp_path}/hypersearch.db")
    assert (found.record.stored.state, found.record.finished) == ("ended", 2)
    if spec.first_trials:
        first = next(trial for trial in found.trials if trial.number == 0)
        named = {name: value for name, value in spec.first_trials[0] if value is not False}
        assert {name: first.parameters[name] for name in named} == named


def test_an_example_is_named_after_its_file() -> None:
    names = {path.stem: tomllib.loads(path.read_text())["study"]["name"] for path in EXAMPLES}
    assert names == {name: name for name in names}
