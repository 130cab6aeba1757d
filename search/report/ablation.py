"""What an ablation has found, for people and for scripts."""

from collections.abc import Iterator
from textwrap import wrap

from search.analysis.ablation import AblatedTechnique, Ablation
from search.report.documents import Json
from search.report.scale import Scale

COLUMNS = 100
# The axis on which the effects are drawn is so wide; an odd number has a middle.
PLOT_COLUMNS = 25
NAME_COLUMNS, VALUE_COLUMNS = 20, 12


def ablation_text(found: Ablation, width: int = COLUMNS) -> str:
    """The answer in lines of at most `width`; where that is narrow, without the plot."""
    return "\n".join(_lines(found, width))


def ablation_opening(found: Ablation, epochs: int, expected: str | None) -> str:
    """What is about to be trained, and how long that takes at most."""
    used = sum(not each.arm.adds for each in found.techniques)
    added = len(found.techniques) - used
    trial = f"trial {found.plan.reference.trial}"
    parts = [f"without each of the {used} techniques it uses"] * (used > 0)
    parts += [f"with each of {added} it does not use"] * (added > 0)
    time = "" if expected is None else f", about {expected}"
    there = f", {found.trainings} of them there" * (found.trainings > 0)
    seeds = " then ".join(map(str, found.plan.looks))
    tuned = len(found.plan.octaves) * (1 + len(found.techniques))
    runs = f"{tuned} runs tune learning rates alike, then " * (tuned > 0)
    return (
        f"{found.study}: {trial} {', '.join(parts)}.\n"
        f"{runs}{seeds} seeds{' where undecided' * (len(found.plan.looks) > 1)}: at most"
        f" {found.planned} trainings x {epochs} epochs{there}{time}. The test split is not read."
    )


def _lines(found: Ablation, width: int) -> Iterator[str]:
    scale = Scale(found.metric)
    if found.state != "ended":
        yield (
            f"{found.study}: {found.trainings} of at most {found.planned} trainings; what is known"
            " so far"
        )
    mean = scale.value(found.reference_mean)
    unit = " %" if scale.is_share else ""
    yield (
        f"Trial {found.plan.reference.trial}, {mean}{unit} on {found.images:,} validation images"
        if found.reference_mean is not None
        else f"Trial {found.plan.reference.trial}"
    )
    widest = _widest(found) if width >= COLUMNS else None
    for adds, title in ((False, f"used by trial {found.plan.reference.trial}"), (True, "not used")):
        group = [each for each in found.techniques if each.arm.adds is adds]
        if group:
            yield ""
            axis = "" if widest is None else f"  {_axis(widest, scale)}"
            yield (
                f"{title:{NAME_COLUMNS + VALUE_COLUMNS + 2}} effect, {scale.points} (95 %)"
                f"{axis}  seeds  rate"
            )
        for each in sorted(group, key=lambda one: _order(one, found)):
            yield _row(each, found, scale, widest)
    yield ""
    for line in verdict_lines(found):
        yield from wrap(line, width)


def _order(one: AblatedTechnique, found: Ablation) -> tuple[bool, float]:
    effect = one.effect
    value = None if effect is None else effect.value
    sign = 1 if found.direction == "minimize" else -1
    return value is None, 0.0 if value is None else sign * value


def _widest(found: Ablation) -> float:
    ends = [
        abs(end)
        for each in found.techniques
        if each.effect is not None and each.effect.interval is not None
        for end in (each.effect.interval.low, each.effect.interval.high)
    ]
    return max(ends, default=0.0) or 1.0


def _axis(widest: float, scale: Scale) -> str:
    left, right = scale.change(-widest, 1), scale.change(widest, 1)
    half = PLOT_COLUMNS // 2
    return f"{left:<{half}}0{right:>{half}}"


def _row(each: AblatedTechnique, found: Ablation, scale: Scale, widest: float | None) -> str:
    name, value = each.arm.technique[:NAME_COLUMNS], each.arm.value[:VALUE_COLUMNS]
    head = f"  {name:{NAME_COLUMNS}}{value:{VALUE_COLUMNS}}"
    effect = each.effect
    if effect is None:
        return f"{head} not judged yet"
    if effect.value is None or effect.interval is None:
        return f"{head} diverged in {effect.diverged} of {effect.seeds} runs"
    interval = f"({scale.change_interval(effect.interval, 1)})"
    low, high = effect.interval.low, effect.interval.high
    plot = "" if widest is None else f" {_drawn(effect.value, low, high, widest)} "
    factor = each.rate_factor / found.reference_factor
    return (
        f"{head} {scale.change(effect.value, 1):>5} {interval:17}{plot} {effect.seeds:>5}"
        f"  x{factor:.2g}"
    )


def _drawn(value: float, low: float, high: float, widest: float) -> str:
    def place(number: float) -> int:
        return round((number / widest + 1) / 2 * (PLOT_COLUMNS - 1))

    cells = [" "] * PLOT_COLUMNS
    for at in range(place(low), place(high) + 1):
        cells[at] = "="
    cells[PLOT_COLUMNS // 2] = "|"
    cells[place(value)] = "o"
    return "".join(cells)


def verdict_lines(found: Ablation) -> Iterator[str]:
    """What is told, what is not, and how large an effect would have been seen."""
    scale = Scale(found.metric)
    if not found.looks:
        yield "Nothing is told yet: a verdict needs all runs of a look."
        return
    by_verdict: dict[str, list[str]] = {}
    for each in found.techniques:
        if each.effect is not None:
            by_verdict.setdefault(each.effect.verdict, []).append(each.arm.technique)
    told = [
        f"{name}: {', '.join(by_verdict[name])}."
        for name in ("helps", "hurts")
        if name in by_verdict
    ]
    count = len(found.techniques)
    if told:
        yield f"{'   '.join(told)}   (all {count} together are wrong in 5 % of ablations at most)"
    else:
        yield f"No effect is told from nothing ({count} techniques)."
    if "not told" in by_verdict:
        shown = ", ".join(
            f"{scale.size(size)} ({seeds} seeds)" for seeds, size in reversed(found.visible)
        )
        yield f"not told: {', '.join(by_verdict['not told'])}."
        if shown:
            yield f"Effects under {shown} would mostly be missed."
    if "diverged" in by_verdict:
        yield f"diverged, so not compared: {', '.join(by_verdict['diverged'])}."
    if found.plan.left_out:
        yield f"not tried, as no complete trial used them: {', '.join(found.plan.left_out)}."
    yield (
        f"Trial {found.plan.reference.trial} was chosen on these images, which favours what it"
        " uses. Effects do not add up."
    )
    yield f"Every run takes {found.epochs} epochs, with and without: no technique costs epochs."
    yield from found.plan.notes


def ablation_document(found: Ablation) -> dict[str, Json]:
    """`ablate --json`: fractions, of a loss nats."""
    return {
        "study": found.study,
        "parent": found.parent,
        "metric": found.metric,
        "direction": found.direction,
        "state": found.state,
        "end_reason": found.end_reason,
        "trainings": found.trainings,
        "planned": found.planned,
        "trial": found.plan.reference.trial,
        "looks": list(found.plan.looks),
        "looks_over": found.looks,
        "images": found.images,
        "epochs": found.epochs,
        "reference_mean": found.reference_mean,
        "left_out": list(found.plan.left_out),
        "techniques": [_document(each, found) for each in found.techniques],
        "visible_effect": [{"seeds": seeds, "effect": size} for seeds, size in found.visible],
    }


def _document(each: AblatedTechnique, found: Ablation) -> Json:
    effect = each.effect
    interval = None if effect is None else effect.interval
    return {
        "technique": each.arm.technique,
        "value": each.arm.value,
        "used": not each.arm.adds,
        "effect": None if effect is None else effect.value,
        "interval": None if interval is None else [interval.low, interval.high],
        "verdict": None if effect is None else effect.verdict,
        "seeds": 0 if effect is None else effect.seeds,
        "diverged": 0 if effect is None else effect.diverged,
        "learning_rate_factor": each.rate_factor,
    }
