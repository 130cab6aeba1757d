"""What is printed and kept of all phases."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.gpu.lab import Lab, Result
from benchmarks.gpu.runner import PhaseOutcome

# Fewer characters than these are printed: whoever runs a command elsewhere may see no more of its
# end.
CHARACTERS = 10_000
LINE_CHARACTERS = 220


def text(outcomes: Sequence[PhaseOutcome], characters: int = CHARACTERS) -> str:
    """A line for each phase and below it those of its results; details are left out first where
    that is too much.
    """
    left_out = 0
    chosen = [list(outcome.results) for outcome in outcomes]
    while len(said := _lines(outcomes, chosen, left_out)) >= characters:
        details = [results for results in chosen if any(result.is_detail for result in results)]
        longest = max(details or chosen, key=len)
        last = next(
            (at for at in reversed(range(len(longest))) if longest[at].is_detail), len(longest) - 1
        )
        del longest[last]
        left_out += 1
    return said


def _lines(
    outcomes: Sequence[PhaseOutcome], chosen: Sequence[Sequence[Result]], left_out: int
) -> str:
    lines: list[str] = []
    for outcome, results in zip(outcomes, chosen, strict=True):
        lines.append(f"{outcome.phase.number} {outcome.phase.name}, {outcome.seconds:.0f} s")
        lines += [f"  {line}" for result in results for line in result.line().splitlines()]
    lines += [f"{left_out} results more are in all.log"] if left_out else []
    return "".join(f"{line[:LINE_CHARACTERS]}\n" for line in lines)


def write_json(outcomes: Sequence[PhaseOutcome], file: Path, lab: Lab) -> None:
    """All figures, for programs; written anew as phases end."""
    content = {
        "device": lab.device,
        "quick": lab.is_quick,
        "phases": [
            {
                "number": outcome.phase.number,
                "name": outcome.phase.name,
                "seconds": round(outcome.seconds, 2),
                "results": [asdict(result) for result in outcome.results],
            }
            for outcome in outcomes
        ],
    }
    file.write_text(json.dumps(content, indent=1) + "\n")
