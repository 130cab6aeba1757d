"""What a confirmation has found, for people."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from search.analysis.confirmation import Confirmation, JudgedArm, TestScores
from search.report.scale import Scale
from search.report.tables import NO_TERMINAL_COLUMNS, table, unbroken, wrapped
from search.spec.follow_up import BACKBONE, Candidate

if TYPE_CHECKING:
    from search.analysis.inference.differences import Difference

HEADER = (
    "",
    "trial",
    "search",
    "mean",
    "worst..best",
    "these images",
    "new images",
    "diverged",
    " ",
)
NOT_IN_THESE = "Not in these intervals: another training split, images unlike these."
THESE_IMAGES = HEADER.index("these images")
# In a narrow terminal these go first; a sentence says what has diverged.
SPARE = ("worst..best", "diverged")


def confirmation_text(found: Confirmation, width: int = NO_TERMINAL_COLUMNS) -> str:
    """The answer in lines of at most `width`: the table, the choice and the verdict, then the
    details.
    """
    return "\n".join(_lines(found, width))


def opening_text(found: Confirmation, epochs: int, expected: str | None) -> str:
    """What is about to be trained, and how long what is missing takes."""
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
        made = plan.candidates[-1].trial is None
        what += f" and {plan.candidates[-1].name}" if made else " and the baseline"
    what += f", {plan.seeds} fresh seeds each"
    if plan.folds is not None:
        what += ", every seed on a fold of its own"
    if plan.reads_test:
        what += "; then as many for the choice"
    if plan.octaves:
        what += f"; {len(plan.octaves)} find the baseline's learning rate"
    if plan.pretrained is not None:
        what += f"; the baseline's are fits on features of {_backbone(plan.pretrained)}"
    time = "" if expected is None else f", about {expected}"
    there = f", {found.trainings} of them there" * (found.trainings > 0)
    return f"{what}.\n{found.planned} trainings x {epochs} epochs{there}{time}."


def sentences(found: Confirmation) -> list[str]:
    """What may be best, what cannot be told apart, what was luck, and what bears on it."""
    scale = Scale(found.metric)
    lines = [*_verdict(found, scale)]
    if found.test is not None:
        lines += [line for line in _test(found, found.test, scale) if not line.startswith(" ")]
    return [*lines, *_what_is_in_them(found), *_notes(found)]


def _lines(found: Confirmation, width: int) -> Iterator[str]:
    scale = Scale(found.metric)
    if not found.is_judged:
        yield f"{found.study}: {found.trainings} of {found.planned} trainings; what is known so far"
        yield ""
    yield from _table(found, scale, width)
    for line in _details(found, scale):
        # What is indented stands in columns.
        yield line if line.startswith(" ") else wrapped(line, width)


def _details(found: Confirmation, scale: Scale) -> Iterator[str]:
    yield ""
    yield from _verdict(found, scale)
    if found.test is not None:
        yield ""
        yield from _test(found, found.test, scale)
    elif found.plan.reads_test and found.is_judged and found.choice is not None:
        yield ""
        yield "The test split has not been read yet."
    yield from _what_is_in_them(found)
    yield from _notes(found)
    if (number := choice_number(found)) is not None:
        commands = [f"hypersearch export {found.parent} --trial {number} -o model/"]
        commands = commands * found.is_choice_kept + [
            f"hypersearch ablate {found.parent} --trial {number}"
        ]
        yield ""
        yield f"Next: {'     '.join(map(unbroken, commands))}"


def _table(found: Confirmation, scale: Scale, width: int) -> Iterator[str]:
    folds = found.plan.folds
    images = f"{found.images:,} images"
    if folds is not None:
        images += ", a fold for each seed"
    yield wrapped(f"Validation, {images}, {scale.unit}; intervals for the mean (95 %)", width)
    arms = sorted(found.arms, key=lambda each: _order(each, found.direction))
    rows = [HEADER, *(_row(arm, found, scale) for arm in arms)]
    if folds is not None:
        # No two runs have the same images.
        rows = [row[:THESE_IMAGES] + row[THESE_IMAGES + 1 :] for row in rows]
    yield table(rows[0], rows[1:], width, SPARE)


def _order(arm: JudgedArm, direction: str) -> tuple[bool, bool, float]:
    mean = 0.0 if arm.mean is None else arm.mean
    return not arm.may_be_best, arm.mean is None, -mean if direction == "maximize" else mean


def _row(arm: JudgedArm, found: Confirmation, scale: Scale) -> tuple[str, ...]:
    said = "may be best" if arm.may_be_best and found.is_judged else ""
    said = "choice" if arm.is_choice and found.is_judged else said
    worst_first = sorted(arm.values, reverse=found.direction == "minimize")
    ends = f"{scale.value(worst_first[0])}..{scale.value(worst_first[-1])}" if worst_first else "-"
    these, new = (
        (None, None)
        if arm.estimate is None
        else (arm.estimate.these_images, arm.estimate.new_images)
    )
    share = arm.divergence
    return (
        said,
        arm.candidate.arm if arm.candidate.trial is None else str(arm.candidate.trial),
        scale.value(arm.candidate.search_value),
        scale.value(arm.mean),
        ends,
        scale.interval(these),
        scale.interval(new),
        "-" if share is None else f"{share.diverged} of {share.runs}",
        "baseline" if arm.is_baseline else "",
    )


def _verdict(found: Confirmation, scale: Scale) -> Iterator[str]:
    if not found.is_judged:
        yield "Which may be the best is said when every candidate has all its seeds."
        return
    best = [arm.candidate for arm in found.arms if arm.may_be_best]
    if found.choice is None:
        yield "Every configuration has diverged in a run: none is chosen."
    elif len(best) == 1:
        yield f"The best is {best[0].name} (95 %): it is the choice."
    else:
        numbers = [str(each.trial) for each in best if each.trial is not None]
        others = [each.name for each in best if each.trial is None]
        trials = f"trial{'s' * (len(numbers) > 1)} {_listed(numbers)}"
        chosen = _capital(choice_name(found))
        yield (
            f"The best is among {_listed([trials, *others])} (95 %). {chosen} is the choice: it has"
            " the best mean."
        )
    yield from _neutral(found)
    yield from _pretrained(found, scale)
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
                f"{_capital(arm.candidate.name)} diverged in {arm.divergence.diverged} of"
                f" {arm.divergence.runs} runs ({100 * share.low:.1f} to {100 * share.high:.0f} % of"
                " runs): it is not chosen."
            )
    if found.seed_luck is not None and found.seed_luck.interval is not None:
        searched = next(
            arm for arm in found.arms if arm.candidate.trial == found.plan.searched_best
        )
        told = "" if found.seed_luck.is_told else ", not told from none"
        luck = "Lucky seed" if found.plan.folds is None else "Lucky seed and images"
        yield (
            f"The search said {scale.value(searched.candidate.search_value)} for trial"
            f" {found.plan.searched_best}. {luck}:"
            f" {scale.change(found.seed_luck.value)} {scale.points}"
            f" ({scale.change_interval(found.seed_luck.interval)}){told}."
        )


def _what_is_in_them(found: Confirmation) -> Iterator[str]:
    """What the intervals are about."""
    folds = found.plan.folds
    if folds is None:
        yield NOT_IN_THESE
        return
    yield (
        "These intervals include the split: each seed was trained and judged on another division of"
        " the images. Not in them: training on wholly other images, images unlike these."
    )
    yield (
        f"The search was judged on one of the {folds} folds, which so chose the configurations:"
        " here it is trained on, and judges none."
    )
    if found.plan.seeds > folds - 1:
        yield f"Seeds after the first {folds - 1} have the same images, shuffled anew."


def _notes(found: Confirmation) -> Iterator[str]:
    yield from found.plan.notes
    if found.goes_on_from is not None:
        yield (
            f"It has the seeds of {found.goes_on_from} and more. Who has asked for more seeds"
            " because of what that one said has looked twice: 95 % is then somewhat less."
        )


def _neutral(found: Confirmation) -> Iterator[str]:
    (*_, last) = found.plan.candidates
    if found.plan.octaves:
        optimizer = last.values["optimizer"]
        rate = float(last.values[f"{optimizer}.learning_rate"])
        yield (
            f"The neutral baseline is {optimizer} without any technique, at the learning rate"
            f" that {len(found.plan.octaves)} runs found: {rate:.3g}."
        )


def _pretrained(found: Confirmation, scale: Scale) -> Iterator[str]:
    if found.plan.pretrained is None:
        return
    yield (
        f"The pretrained baseline is a logistic regression on features of"
        f" {_backbone(found.plan.pretrained)}, which is not trained here. Its seeds draw which"
        " fifth of the training images chooses the strength of its penalty, and nothing else."
    )
    if (difference := found.to_pretrained) is None:
        return
    chosen = choice_name(found)
    yield (
        f"{_capital(chosen)} less the pretrained baseline, on the validation images, by which"
        f" {chosen} was chosen: {scale.change(difference.value)} {scale.points}"
        f" ({scale.change_interval(difference.new_images)} on new images):"
        f" {_which_is_better(found, difference, chosen)}."
    )


def _backbone(candidate: Candidate) -> str:
    return str(candidate.values[BACKBONE])


def _test(found: Confirmation, test: TestScores, scale: Scale) -> Iterator[str]:
    number = test.reading.number
    before = "never read before" if number == 1 else f"read {number - 1} times before"
    before = "read once before" if number == 2 else before
    chosen = choice_name(found)
    label = chosen.removeprefix("the ").removesuffix(" baseline")
    yield (
        f"Test, {test.images:,} images, {before} (reading {number} of this split);"
        f" {test.choice.runs} further seeds of {chosen}"
    )
    unit = " %" if scale.is_share else ""
    yield (
        f"  {label:12}{scale.value(test.choice.mean, 1):>7}{unit}"
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
            f" {_which_is_better(found, test.difference, chosen)}"
        )
    if test.split_luck is not None and test.split_luck.interval is not None:
        told = "" if test.split_luck.is_told else ", not told from none"
        yield (
            f"Lucky images: {scale.change(test.split_luck.value, 1)} {scale.points}"
            f" ({scale.change_interval(test.split_luck.interval, 1)}){told}."
        )


def _which_is_better(found: Confirmation, difference: "Difference", chosen: str) -> str:
    interval = difference.new_images
    if interval.holds(0.0):
        return "not told apart"
    is_higher = interval.low > 0
    return (
        f"{chosen} is better"
        if is_higher == (found.direction == "maximize")
        else "the baseline is better"
    )


def choice_number(found: Confirmation) -> int | None:
    """The parent's trial that is the choice, once everything is judged; `None` where none is."""
    chosen = found.chosen
    return None if chosen is None else chosen.candidate.trial


def choice_name(found: Confirmation) -> str:
    """The choice in a sentence."""
    return next(each.name for each in found.plan.candidates if each.arm == found.choice)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
