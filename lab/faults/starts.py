"""Many processes meet an empty database at once."""

import subprocess
import sys

from lab.checkout import ROOT, environment
from lab.faults.lab import Lab, Result

PROCESSES = 32


def started_at_once(lab: Lab, times: int, processes: int = PROCESSES) -> Result:
    """Each opens the database for work, one of them makes its tables, and nobody dies."""
    wrong: list[str] = []
    for turn in range(times):
        code = f"from storage.engine import open_for_work; open_for_work({lab.new_url()!r})[1]"
        crowd = [
            subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                cwd=ROOT,
                env=environment(),
                stderr=subprocess.PIPE,
            )
            for _ in range(processes)
        ]
        for one in crowd:
            said = one.communicate(timeout=240)[1]
            if one.returncode != 0 or said:
                wrong.append(
                    f"turn {turn}: ended with {one.returncode}:"
                    f" {said.decode().strip().splitlines()[-1:]}"
                )
    return Result(
        "starts", lab.backend, f"{processes} processes open an empty database at once", times, wrong
    )
