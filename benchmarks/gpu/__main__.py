"""Everything that is to be known of one GPU, in one command: twelve phases within eight minutes,
without network.

    $ python -m benchmarks.gpu all --out DIR --seconds 480

It needs the checkout and the packages on PYTHONPATH, not an installation. DIR gets all.log,
results.json, tests.xml and trace.json.gz; the results are printed last. `--device cpu --quick` does
the same in seconds, to see that it works.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from benchmarks.gpu import report
from benchmarks.gpu.installed import write_metadata
from benchmarks.gpu.lab import Lab
from benchmarks.gpu.phases import PHASES, Phase
from benchmarks.gpu.runner import PhaseOutcome, run_all
from benchmarks.gpu.starting import context_of
from lab.checkout import environment


def chosen(text: str) -> tuple[Phase, ...]:
    """The phases of these numbers, in their order."""
    numbers = {int(part) for part in text.split(",")}
    if unknown := numbers - {phase.number for phase in PHASES}:
        raise argparse.ArgumentTypeError(
            f"there is no phase {min(unknown)}: they are 0 to {PHASES[-1].number}"
        )
    return tuple(phase for phase in PHASES if phase.number in numbers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the results last; 1 where a phase failed or had to be stopped."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["all"])
    parser.add_argument(
        "--out", type=Path, required=True, help="a folder; all.log in it is added to"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=480.0,
        help="of all phases; one that would overrun is not run",
    )
    parser.add_argument(
        "--only", type=chosen, default=PHASES, metavar="1,2,3", help="phases by number"
    )
    parser.add_argument(
        "--device", default="cuda", help="as the command line of hypersearch takes it"
    )
    parser.add_argument(
        "--quick", action="store_true", help="so small that it takes seconds on a CPU"
    )
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    lab = Lab(given.device, given.quick, given.out.resolve(), time.monotonic() + given.seconds)
    signal.signal(signal.SIGTERM, _leave)
    with tempfile.TemporaryDirectory() as made:
        write_metadata(Path(made))
        _import_from(made)
        if context_of(lab.device).get_start_method() == "fork":
            _load(given.only)
        outcomes = measure_all(given.only, lab)
    return int(any(outcome.failed for outcome in outcomes))


def measure_all(phases: Sequence[Phase], lab: Lab) -> list[PhaseOutcome]:
    """Runs them one after another; prints and keeps what they gave, also when it is stopped in the
    middle.
    """
    log, file = lab.folder / "all.log", lab.folder / "results.json"
    outcomes: list[PhaseOutcome] = []
    try:
        for outcome in run_all(phases, lab, log):
            print(f"phase {outcome.phase.number} {outcome.phase.name}", file=sys.stderr, flush=True)
            report.write_json(outcomes, file, lab)
            outcomes.append(outcome)
    finally:
        report.write_json(outcomes, file, lab)
        said = report.text(outcomes)
        with log.open("a") as opened:
            opened.write(said)
        print(said, end="", flush=True)
    return outcomes


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _import_from(made: str) -> None:
    # Here, and in every process that is started from here.
    os.environ |= environment()
    os.environ["PYTHONPATH"] += f"{os.pathsep}{made}"
    sys.path.append(made)


def _load(phases: Sequence[Phase]) -> None:
    # Once for all phases that are forked from here.
    import torch

    from objectives.optimizers import load_optimizers

    load_optimizers(torch.device("cpu"))
    for phase in phases:
        phase.load()


if __name__ == "__main__":
    sys.exit(main())
