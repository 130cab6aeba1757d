"""A disk that is too small is told in one line, whatever fills it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import missing, runs

ON_A_SMALL_DISK = 'mount -t tmpfs -o size={size} none "$1" && shift && exec "$@"'


@pytest.fixture(scope="module")
def small_disks() -> None:
    """What it takes to have a disk of any size: a mount of one's own."""
    mounts = runs(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"])
    missing("unshare with the right to mount a disk of memory", mounts)


@pytest.mark.usefixtures("small_disks")
@pytest.mark.parametrize(
    ("dataset", "size", "said"),
    [
        # The images need 115 kB; a part of them fits.
        (
            "digits",
            "80k",
            (
                "{cache}/hypersearch/decoded: cannot keep decoded images there (No space left on"
                " device); make "
            ),
        ),
        (
            "images:{folder}",
            "80k",
            "{folder}: 40 images of 64 x 64 pixels need 0.0 GB twice in {cache}/hypersearch/",
        ),
        # Twice the images fit by what is free, but not the small files beside them.
        (
            "images:{folder}",
            "332k",
            "{cache}/hypersearch/decoded: cannot keep decoded images there (No space left on ",
        ),
    ],
)
def test_a_cache_on_a_disk_that_is_too_small_ends_with_one_line(
    dataset: str, size: str, said: str, tmp_path: Path
) -> None:
    folder, cache = tmp_path / "images", tmp_path / "cache"
    for row in range(40):
        path = folder / "ab"[row % 2] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.RandomState(row).randint(0, 256, (64, 64)).astype(np.uint8)).save(
            path
        )
    cache.mkdir()
    command = [
        sys.executable,
        "-P",
        "-m",
        "hypersearch",
        "run",
        "--dataset",
        dataset.format(folder=folder),
        "--quiet",
    ]
    command += [
        "--study",
        "s",
        "--storage",
        f"sqlite:///{tmp_path}/a.db",
        "--trials",
        "1",
        "--threads",
        "1",
    ]
    ended = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            ON_A_SMALL_DISK.format(size=size),
            "sh",
            str(cache),
            *command,
        ],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("hypersearch: " + said.format(folder=folder, cache=cache))
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "a.db").exists()
