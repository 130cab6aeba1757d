"""What happens under faults of the database, the network, the disk and clocks: real servers, real
processes.
"""

import argparse
import platform
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Protocol

from optuna import logging as optuna_logging

from lab.faults import clocks, commands, freezes, network, restarts, starts, statements
from lab.faults.lab import BACKENDS, Lab, Result, device, laboratory

Case = Callable[[Lab, int], Result]


class TimedCase(Protocol):
    """One whose lease times are the product's times a scale."""

    def __call__(self, lab: Lab, times: int, scale: float = ...) -> Result: ...


ON_SERVERS = ("postgresql", "mariadb")
TIMED: dict[str, TimedCase] = {
    "restart": restarts.restarted,
    "freeze": freezes.frozen,
    "network": network.cut,
    "clocks": clocks.stepped,
}
# Each with the kinds of database that it is for, and how often it is done.
CASES: dict[str, tuple[Case, tuple[str, ...], int]] = {
    "restart": (restarts.restarted, ON_SERVERS, 20),
    "freeze": (freezes.frozen, BACKENDS, 1),
    "network": (network.cut, ON_SERVERS, 1),
    "starts": (starts.started_at_once, BACKENDS, 20),
    "statements": (statements.forced, BACKENDS, 1),
    "conflicts": (statements.real_conflicts, BACKENDS, 3),
    "clocks": (clocks.stepped, BACKENDS, 4),
    "disk": (commands.disk_full, ("sqlite",), 3),
    "connections": (commands.server_full, ("postgresql",), 3),
    "gone": (commands.server_gone, ON_SERVERS, 3),
}


def main() -> int:
    """Prints a line a case; 1 if anything that must hold did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} [all]")
    parser.add_argument("--backend", action="append", choices=BACKENDS, help="repeatable [all]")
    parser.add_argument("--times", type=int, metavar="N", help="instead of each case's own number")
    parser.add_argument(
        "--scale",
        type=float,
        metavar="S",
        help=f"of the lease times of {', '.join(TIMED)} [its own]",
    )
    arguments = parser.parse_args()
    optuna_logging.set_verbosity(optuna_logging.WARNING)
    if unknown := [name for name in arguments.cases if name not in CASES]:
        parser.error(f"no case {unknown[0]!r}: choose of {', '.join(CASES)}")
    packages = ("hypersearch", "optuna", "sqlalchemy", "psycopg", "pymysql")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    print(
        f"{device()}; Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" {versions}",
        flush=True,
    )
    failed = False
    for backend in arguments.backend or BACKENDS:
        for name in arguments.cases or CASES:
            case, backends, times = CASES[name]
            if arguments.scale is not None and name in TIMED:
                case = partial(TIMED[name], scale=arguments.scale)
            if backend not in backends:
                continue
            started = time.monotonic()
            with laboratory(backend) as lab:
                result = case(lab, arguments.times or times)
            print(f"{result} [{time.monotonic() - started:.0f} s]", flush=True)
            failed = failed or bool(result.violations)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
