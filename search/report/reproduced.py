"""Whether a trial came out as recorded, for people and for scripts."""

from collections.abc import Iterator

from search.analysis.reproduced import Reproduced
from search.report.documents import Json
from search.report.scale import Scale
from search.report.tables import NO_TERMINAL_COLUMNS, wrapped

VERDICTS = {
    "identical": "identical: every metric of every epoch, and every prediction, bit for bit",
    "rounding": "rounding: the same training, which other threads, devices or versions made drift",
    "not shown to differ": "not shown to differ: other seeds explain such a difference",
    "different": "different: more than other seeds explain",
}


def reproduced_opening(found: Reproduced, epochs: int, expected: str | None) -> str:
    """What is about to be trained."""
    time = "" if expected is None else f", about {expected}"
    there = f", {found.trainings} of them there" * (found.trainings > 0)
    fresh = f" and {found.plan.seeds} fresh seeds" * (found.plan.seeds > 0)
    return (
        f"{found.study}: trial {found.plan.trial.trial} again, its own seed{fresh}:"
        f" {found.planned} training{'s' * (found.planned > 1)} x {epochs} epochs{there}{time}."
    )


def reproduced_text(found: Reproduced, width: int = NO_TERMINAL_COLUMNS) -> str:
    """The answer in lines of at most `width`."""
    return "\n".join(wrapped(line, width) for line in _lines(found))


def _lines(found: Reproduced) -> Iterator[str]:
    scale, number = Scale(found.metric), found.plan.trial.trial
    if found.again is None:
        yield f"{found.study}: trial {number} has not been trained again yet"
        return
    if found.found is None:
        yield f"Trial {number}: different: it diverged now, and had not"
    else:
        verdict = found.found.verdict
        said = VERDICTS[verdict]
        if verdict == "identical" and not found.has_predictions:
            said = "identical: every metric of every epoch, bit for bit"
        yield f"Trial {number}: {said}"
        recorded = scale.value(_last(found.recorded.epochs, found.metric))
        yield (
            f"recorded {recorded}, now {scale.value(_last(found.again.epochs, found.metric))}"
            f" ({scale.unit})"
            + (
                ""
                if found.found.differing_images is None
                else f"; {found.found.differing_images} images are classified otherwise"
            )
        )
        if verdict != "identical":
            yield (
                "Differences recorded - now that seeds explain:"
                f" {scale.change_interval(found.found.explained)} {scale.points}."
            )
    yield from _computed(found)
    if not found.has_predictions:
        yield "The recorded trial kept no predictions: it is judged by its epochs."
    if found.fresh is not None and found.fresh.these_images is not None:
        yield (
            f"{found.fresh.runs} fresh seeds: mean {scale.value(found.fresh.mean)},"
            f" {scale.value(found.fresh.lowest)}..{scale.value(found.fresh.highest)};"
            f" {scale.interval(found.fresh.these_images)} on these images (95 %)"
        )
    elif found.is_different and not found.plan.seeds:
        yield f"How far seeds move it: hypersearch reproduce {found.parent} {number} --seeds 5"


def _computed(found: Reproduced) -> Iterator[str]:
    said = [f"{name} was {old}, is {new}" for name, (old, new) in found.changes.items()]
    yield (
        f"computed otherwise: {'; '.join(said)}"
        if said
        else "on the same kind of device, with the same threads, piece and versions"
        if found.knows_versions
        else "on the same kind of device, with the same threads and piece; with which versions the"
        " recorded trial was trained is not recorded"
    )


def _last(epochs: "tuple[object, ...]", metric: str) -> float:
    return float(getattr(epochs[-1], f"validation_{metric}"))


def reproduced_document(found: Reproduced) -> dict[str, Json]:
    """`reproduce --json`: fractions, of a loss nats."""
    one = found.found
    return {
        "study": found.study,
        "parent": found.parent,
        "trial": found.plan.trial.trial,
        "metric": found.metric,
        "state": found.state,
        "trainings": found.trainings,
        "planned": found.planned,
        "goes_on_from": found.goes_on_from,
        "verdict": "different" if found.is_different else None if one is None else one.verdict,
        "difference": None if one is None else one.difference,
        "explained": None if one is None else [one.explained.low, one.explained.high],
        "differing_images": None if one is None else one.differing_images,
        "has_predictions": found.has_predictions,
        "changes": {name: {"was": old, "is": new} for name, (old, new) in found.changes.items()},
        "fresh_mean": None if found.fresh is None else found.fresh.mean,
        "fresh_runs": found.fresh_runs,
    }
