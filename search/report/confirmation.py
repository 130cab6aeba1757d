"""What a confirmation has found, for people and for scripts."""

from collections.abc import Iterator, Sequence

from search.analysis.confirmation import Confirmation, JudgedArm, TestScores
from search.report.documents import Json
from search.report.scale import Scale

COLUMNS = 100


def confirmation_text(found: Confirmation) -> str:
    """The answer in at most 100 columns: the choice and the verdict, then the details."""
    return "\n".join(_lines(found))


def opening_text(found: Confirmation, epochs: int, expected: str | None) -> str:
    """What is about to be trained, and how long that takes."""
    plan = found.plan
    judged = len(plan.candidates) - (plan.baseline is not None)
    what = (
        f"{found.study}: the {judged} best of {plan.complete} complete trials"
        if judged > 1
        else f"{found.study}: the best of {plan.complete} complete trials"
    )
    if plan.asked["trials"]:
        what = f"{found.study}: {judged} of {plan.complete} complete trials"
    if plan.baseline is not None:
        what += " and the baseline"
    what += f", {plan.seeds} fresh seeds each"
    if plan.reads_test:
        what += "; then as many for the choice"
    time = "" if expected is None else f", about {expected}"
    return f"{what}.\n{found.planned} trainings x {epochs} epochs{time}."


def sentences(found: Confirmation) -> list[str]:
    """What may be best, what cannot be told apart, what was luck, and what bears on it."""
    scale = Scale(found.metric)
    lines = [*_verdict(found, scale)]
    if found.test is not None:
        lines += [line for line in _test(found, found.test, scale) if not line.startswith(" ")]
    return [
        *lines,
        "Not in these intervals: another training split, images unlike these.",
        *found.plan.notes,
    ]


def _lines(found: Confirmation) -> Iterator[str]:
    scale = Scale(found.metric)
    if not found.is_judged:
        yield f"{found.study}: {found.trainings} of {found.planned} trainings; what is known so far"
        yield ""
    yield from _table(found, scale)
    yield ""
    yield from _verdict(found, scale)
    if found.test is not None:
        yield ""
        yield from _test(found, found.test, scale)
    elif found.plan.reads_test and found.is_judged and found.choice is not None:
        yield ""
        yield "The test split has not been read yet."
    yield "Not in these intervals: another training split, images unlike these."
    yield from found.plan.notes
    if found.choice is not None and found.is_judged:
        number = _number(found, found.choice)
        export = f"hypersearch export {found.parent} --trial {number} -o model/     "
        yield ""
        yield (
            f"Next: {export * found.is_choice_kept}"
            f"hypersearch ablate {found.parent} --trial {number}"
        )


def _table(found: Confirmation, scale: Scale) -> Iterator[str]:
    yield f"{f'Validation, {found.images:,} images, {scale.unit}':50}95 % interval for the mean"
    yield (
        f"{'':12}{'trial':>5}  {'search':>6}  {'mean':>6}  {'worst..best':^14}"
        f"  {'these images':>14}  {'new images':>14}  diverged"
    )
    for arm in sorted(found.arms, key=lambda each: _order(each, found.direction)):
        yield _row(arm, found, scale)


def _order(arm: JudgedArm, direction: str) -> tuple[bool, bool, float]:
    mean = 0.0 if arm.mean is None else arm.mean
    return not arm.may_be_best, arm.mean is None, -mean if direction == "maximize" else mean


def _row(arm: JudgedArm, found: Confirmation, scale: Scale) -> str:
    said = "may be best" if arm.may_be_best and found.is_judged else ""
    marks = ["choice"] * (arm.is_choice and found.is_judged) + ["baseline"] * arm.is_baseline
    worst_first = sorted(arm.values, reverse=found.direction == "minimize")
    ends = f"{scale.value(worst_first[0])}..{scale.value(worst_first[-1])}" if worst_first else "-"
    these, new = (
        ("-", "-")
        if arm.estimate is None
        else (
            scale.interval(arm.estimate.these_images),
            scale.interval(arm.estimate.new_images),
        )
    )
    diverged = (
        "-" if arm.divergence is None else f"{arm.divergence.diverged} of {arm.divergence.runs}"
    )
    return (
        f"{said:>11} {arm.candidate.trial!s:>5}  {scale.value(arm.candidate.search_value):>6}"
        f"  {scale.value(arm.mean):>6}  {ends:^14}  {these:>14}  {new:>14}  {diverged:>6}"
        f"  {', '.join(marks)}"
    ).rstrip()


def _verdict(found: Confirmation, scale: Scale) -> Iterator[str]:
    if not found.is_judged:
        yield "Which may be the best is said when every candidate has all its seeds."
        return
    best = [arm.candidate.trial for arm in found.arms if arm.may_be_best]
    if found.choice is None:
        yield "Every configuration has diverged in a run: none is chosen."
    elif len(best) == 1:
        yield f"The best is trial {best[0]} (95 %): it is the choice."
    else:
        names = _listed([str(number) for number in best])
        chosen = _number(found, found.choice)
        yield (
            f"The best is among trials {names} (95 %). Trial {chosen} is the choice: it has the"
            " best mean."
        )
    if found.visible is not None:
        at_last = scale.size(found.visible.more_seeds).split()[0]
        yield (
            f"{found.plan.seeds} seeds and {found.images:,} images cannot show differences below"
            f" {scale.size(found.visible.now)}; more seeds alone reach {at_last}."
        )
    for arm in found.arms:
        if arm.divergence is not None and arm.divergence.diverged:
            share = arm.divergence.share
            yield (
                f"Trial {arm.candidate.trial} diverged in {arm.divergence.diverged} of"
                f" {arm.divergence.runs} runs ({100 * share.low:.1f} to {100 * share.high:.0f} % of"
                " runs): it is not chosen."
            )
    if found.seed_luck is not None and found.seed_luck.interval is not None:
        searched = next(
            arm for arm in found.arms if arm.candidate.trial == found.plan.searched_best
        )
        told = "" if found.seed_luck.is_told else ", not told from none"
        yield (
            f"The search said {scale.value(searched.candidate.search_value)} for trial"
            f" {found.plan.searched_best}. Lucky seed:"
            f" {scale.change(found.seed_luck.value)} {scale.points}"
            f" ({scale.change_interval(found.seed_luck.interval)}){told}."
        )


def _test(found: Confirmation, test: TestScores, scale: Scale) -> Iterator[str]:
    number = test.reading.number
    before = "never read before" if number == 1 else f"read {number - 1} times before"
    before = "read once before" if number == 2 else before
    chosen = _number(found, found.choice or "")
    yield (
        f"Test, {test.images:,} images, {before} (reading {number} of this split);"
        f" {test.choice.runs} further seeds of trial {chosen}"
    )
    unit = " %" if scale.is_share else ""
    yield (
        f"  {f'trial {chosen}':12}{scale.value(test.choice.mean, 1):>7}{unit}"
        f"   {scale.interval(test.choice.new_images)} on new images like these"
    )
    if test.baseline is not None and test.difference is not None:
        yield (
            f"  {'baseline':12}{scale.value(test.baseline.mean, 1):>7}{unit}"
            f"   {scale.interval(test.baseline.new_images)}"
        )
        yield (
            f"  {'difference':12}{scale.change(test.difference.value, 1):>7}{'':{len(unit)}}"
            f"   {scale.change_interval(test.difference.new_images, 1)}:"
            f" {_which_is_better(found, test, chosen)}"
        )
    if test.split_luck is not None and test.split_luck.interval is not None:
        told = "" if test.split_luck.is_told else ", not told from none"
        yield (
            f"Lucky images: {scale.change(test.split_luck.value, 1)} {scale.points}"
            f" ({scale.change_interval(test.split_luck.interval, 1)}){told}."
        )


def _which_is_better(found: Confirmation, test: TestScores, chosen: int | None) -> str:
    assert test.difference is not None
    interval = test.difference.new_images
    if interval.holds(0.0):
        return "not told apart"
    is_higher = interval.low > 0
    return (
        f"trial {chosen} is better"
        if is_higher == (found.direction == "maximize")
        else "the baseline is better"
    )


def _number(found: Confirmation, arm: str) -> int | None:
    return next((each.trial for each in found.plan.candidates if each.arm == arm), None)


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def confirmation_document(found: Confirmation) -> Json:
    """`confirm --json`: fractions, of a loss nats."""
    test, luck = found.test, found.seed_luck
    return {
        "study": found.study,
        "parent": found.parent,
        "metric": found.metric,
        "direction": found.direction,
        "state": found.state,
        "end_reason": found.end_reason,
        "trainings": found.trainings,
        "planned": found.planned,
        "seeds": found.plan.seeds,
        "images": found.images,
        "notes": list(found.plan.notes),
        "configurations": [
            {
                "trial": arm.candidate.trial,
                "search_value": arm.candidate.search_value,
                "values": list(arm.values),
                "mean": arm.mean,
                "these_images": None if arm.estimate is None else _ends(arm.estimate.these_images),
                "new_images": None if arm.estimate is None else _ends(arm.estimate.new_images),
                "diverged": 0 if arm.divergence is None else arm.divergence.diverged,
                "may_be_best": arm.may_be_best and found.is_judged,
                "is_choice": arm.is_choice and found.is_judged,
                "is_baseline": arm.is_baseline,
                "params": {
                    name: value
                    for name, value in arm.candidate.values.items()
                    if not name.endswith(".on")
                },
            }
            for arm in found.arms
        ],
        "choice": _number(found, found.choice or "") if found.is_judged else None,
        "visible_difference": None
        if found.visible is None
        else {"now": found.visible.now, "more_seeds": found.visible.more_seeds},
        "seed_luck": None
        if luck is None
        else {
            "trial": found.plan.searched_best,
            "value": luck.value,
            "interval": _ends(luck.interval),
        },
        "test": None
        if test is None
        else {
            "reading": test.reading.number,
            "images": test.images,
            "mean": test.choice.mean,
            "new_images": _ends(test.choice.new_images),
            "baseline_mean": None if test.baseline is None else test.baseline.mean,
            "difference": None if test.difference is None else test.difference.value,
            "difference_new_images": None
            if test.difference is None
            else _ends(test.difference.new_images),
            "split_luck": None if test.split_luck is None else test.split_luck.value,
            "split_luck_interval": None
            if test.split_luck is None
            else _ends(test.split_luck.interval),
        },
    }


def _ends(interval: object) -> Json:
    from search.analysis.inference.components import Interval

    return [interval.low, interval.high] if isinstance(interval, Interval) else None
