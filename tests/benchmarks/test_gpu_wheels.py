"""What is carried to a machine that has PyTorch alone is all that it lacks."""

import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks import gpu_wheels
from benchmarks.gpu_wheels import LACKED, LEFT_OUT, OFTEN_THERE
from lab.checkout import ROOT

CARRIED = {**LACKED, **OFTEN_THERE}


def names(requirements: list[str]) -> set[str]:
    """Of those that Linux and the newest Python need, without extras."""
    linux = {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "python_version": "3.12",
        "extra": "",
    }
    parsed = [Requirement(text) for text in requirements]
    return {
        canonicalize_name(each.name)
        for each in parsed
        if each.marker is None or each.marker.evaluate(linux)
    }


@pytest.mark.parametrize("package", CARRIED)
def test_what_a_carried_package_needs_is_carried_or_left_out_for_a_reason(package: str) -> None:
    assert names(requires(package) or []) - {*CARRIED, *LEFT_OUT} == set()


def test_every_requirement_is_carried_or_left_out_for_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert names(project["dependencies"]) - {*CARRIED, *LEFT_OUT} == set()


def test_versions_are_those_that_the_checkout_is_tested_with() -> None:
    pinned = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert set(CARRIED) - pinned == set()


def test_pip_is_asked_for_wheels_of_the_other_machine(tmp_path: Path) -> None:
    asked = gpu_wheels.command(tmp_path, ["optuna", "rich"], "3.12")
    assert asked[asked.index("download") :] == [
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--implementation",
        "cp",
        "--python-version",
        "3.12",
        *(part for platform in gpu_wheels.PLATFORMS for part in ("--platform", platform)),
        "--constraint",
        str(ROOT / "constraints.txt"),
        "--dest",
        str(tmp_path),
        "optuna",
        "rich",
    ]


def test_wheels_are_kept_out_of_git() -> None:
    assert f"{gpu_wheels.FOLDER.name}/" in (ROOT / ".gitignore").read_text().splitlines()
