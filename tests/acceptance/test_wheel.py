"""The wheel, installed into a fresh environment, works from a folder that shadows its packages'
names.
"""

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def call(*command: str | Path, cwd: Path) -> str:
    result = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.long
def test_the_wheel_runs_from_a_folder_that_holds_a_models_py(tmp_path: Path) -> None:
    call(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--quiet",
        "-w",
        tmp_path / "wheel",
        ROOT,
        cwd=tmp_path,
    )
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    site = Path(
        call(
            python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path
        ).strip()
    )
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    call(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--quiet",
        "--target",
        site,
        wheel,
        cwd=tmp_path,
    )
    # The dependencies are those of this environment; its own .pth files, the checkout's among them,
    # do not follow.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    folder = tmp_path / "work"
    folder.mkdir()
    for name in ("models", "search", "storage"):
        (folder / f"{name}.py").write_text("raise SystemExit('shadowed')")
    arguments = ("run", "--dataset", "synthetic", "--trials", "2", "-q")
    assert "2/2 trials finished" in call(python, "-m", "hypersearch", *arguments, cwd=folder)
    # The page's template came along.
    written = ("report", "synthetic-default", "-o", "page.html", "-q")
    call(python, "-m", "hypersearch", *written, cwd=folder)
    assert (folder / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    where = call(python, "-P", "-c", "import search.cli; print(search.cli.__file__)", cwd=folder)
    assert Path(where.strip()).is_relative_to(site)
