"""The server of forks has loaded what it was told to."""

import sys
from pathlib import Path

from tests.forked import server


def _write_modules(file: Path) -> None:
    file.write_text("\n".join(sys.modules))


def test_processes_that_are_forked_have_all_modules_already(tmp_path: Path) -> None:
    file = tmp_path / "modules"
    process = server().Process(target=_write_modules, args=(file,))
    process.start()
    process.join(60)
    loaded = set(file.read_text().split())
    assert {"tests.preloaded", "search.worker.loop", "objectives.training", "torch"} <= loaded
