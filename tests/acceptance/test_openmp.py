"""How OpenMP's threads wait for each other in a user's processes: what the OpenMP that PyTorch loads says itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from objectives.openmp import CHOSEN, USERS
from tests.conftest import missing

# GNU's OpenMP prints what it reads from the environment; others have a text of their own.
SHOWN = {"OMP_DISPLAY_ENV": "verbose"}
(NAME, VALUE), *_ = CHOSEN.items()


def doctor(folder: Path, program: list[str], **environment: str) -> tuple[str, str]:
    """Its line on OpenMP, and what OpenMP says."""
    clean = {name: value for name, value in os.environ.items() if name not in USERS}
    ended = subprocess.run(
        [*program, "doctor"],
        cwd=folder,
        env=clean | SHOWN | {"HYPERSEARCH_STORAGE": f"sqlite:///{folder}/a.db"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    missing("GNU's OpenMP", "GOMP_SPINCOUNT" in ended.stderr or sys.platform != "linux")
    (line,) = [line for line in ended.stdout.splitlines() if " openmp: " in line]
    return line, ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch has GNU's OpenMP on Linux")
@pytest.mark.parametrize(
    "program", [[str(Path(sys.executable).parent / "hypersearch")], [sys.executable, "-m", "hypersearch"]]
)
def test_threads_that_wait_give_their_core_to_a_neighbour(program: list[str], tmp_path: Path) -> None:
    line, said = doctor(tmp_path, program)
    assert line == f"good   openmp: threads wait for each other by {NAME}={VALUE}, as hypersearch sets it"
    assert f"{NAME} = '{VALUE}'" in said


@pytest.mark.skipif(sys.platform != "linux", reason="PyTorch has GNU's OpenMP on Linux")
def test_a_users_own_setting_stands(tmp_path: Path) -> None:
    line, said = doctor(tmp_path, [sys.executable, "-m", "hypersearch"], OMP_WAIT_POLICY="active")
    assert line == "good   openmp: threads wait for each other by OMP_WAIT_POLICY=active, as your environment says"
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in said
    assert f"{NAME} = '{VALUE}'" not in said
