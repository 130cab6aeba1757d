"""README.md of an exported folder: the model card.

After Mitchell et al. 2019, "Model Cards for Model Reporting", FAT*.
"""

from collections.abc import Sequence

from objectives.data.image_file import CROP, PAD, STRETCH
from search.analysis.comparison import parameters
from search.analysis.confirmation import Confirmation
from search.analysis.importance import Bounds
from search.analysis.inference.components import Interval
from search.analysis.recalls import wilson_interval
from search.export.config import Answering
from search.export.formats import ONNX, SAFETENSORS
from search.export.lines_of_use import code
from search.export.validation import Validated
from search.export.winner import Winner
from search.report.values import shown
from search.spec.follow_up import BACKBONE
from storage.errors import SHOWN_DIGITS
from storage.text import on_one_line

# So many classes are named in a row; of more only the number is given.
NAMED_CLASSES = 40
# The card says so how an image is brought to its size, and what that means for long images.
_SEEN = {
    CROP: "Only the largest centred part of the right aspect ratio is looked at: what stands at an"
    " edge of a long image is cut off.",
    PAD: "All of an image is looked at, between bars of black where it is longer than others: what"
    " is small in a long image is smaller still.",
    STRETCH: "All of an image is looked at, stretched to one shape: long ones look distorted.",
}
UNSURE = (0.5, 0.8, 0.9, 0.95, 0.99)


def card(winner: Winner, held_out: Validated, answering: Answering, date: str) -> str:
    """The text, in Markdown, with the scores of the run that has not seen the validation images."""
    parts = (
        _heading(winner, held_out),
        _scores(winner, held_out),
        _probabilities(winner, answering),
        _use(answering),
        _limits(winner, answering),
        _how_made(winner, held_out, date),
    )
    return "\n\n".join(parts) + "\n"


def _heading(winner: Winner, validated: Validated) -> str:
    names = validated.trained.class_names
    channels, height, width = validated.images.shape[1:]
    kind = "grey" if channels == 1 else "colour"
    return (
        f"# {winner.spec.name}: trial {winner.trial.number}\n\n"
        f"A convolutional network that says which of {len(names)} classes an image shows:"
        f" {_some(names)}.\nIt sees {kind} images of {height} x {width} pixels (height x width)."
        "\n\n"
        "It is meant for images like those that it was trained on: the data set"
        f" `{on_one_line(winner.spec.data.dataset)}`, {_counts(winner, validated)}, fingerprint"
        f" `{validated.facts.fingerprint[:SHOWN_DIGITS]}`."
    )


def _counts(winner: Winner, validated: Validated) -> str:
    training, validation = validated.training_images, len(validated.labels)
    if winner.refit is None:
        return f"{training:,} images for training and {validation:,} for validation"
    return (
        f"{training + validation:,} images for training, {validation:,} of which were for"
        " validation before"
    )


def _some(names: Sequence[str]) -> str:
    shown_names = [f"`{on_one_line(name)}`" for name in names[:NAMED_CLASSES]]
    more = len(names) - len(shown_names)
    return ", ".join(shown_names) + (f" and {more} more, in `labels.txt`" if more else "")


def _scores(winner: Winner, validated: Validated) -> str:
    right = validated.logits.argmax(1) == validated.labels
    count = len(right)
    interval = wilson_interval(int(right.sum()), count)
    metric = winner.spec.metric.replace("_", " ")
    chosen = (
        f"the best of {winner.complete} complete trials of study `{winner.spec.name}`, by"
        f" validation {metric}"
        if winner.is_best
        else f"one of {winner.complete} complete trials of study `{winner.spec.name}`, named by"
        " hand, not the best"
    )
    return (
        f"## How good it is\n\n{_unmeasured(winner)}"
        f"Validation {metric} {winner.value:.4f} ({_recomputed(winner, validated)})."
        f" Of {count:,} validation images {int(right.sum()):,} are classified rightly:"
        f" {right.mean():.2%}, 95 % interval {_ends(interval, 2)} for as many other images.\n\n"
        f"{_confirmed(winner, chosen)}\n\n"
        f"{_by_class(validated)}"
    )


def _unmeasured(winner: Winner) -> str:
    if winner.refit is None:
        return ""
    return (
        "**Its own score is unmeasured.** This network was trained on training and validation"
        " images together (`--refit`), and no image is left on which it could be scored without"
        " reading the test split. What follows is what the same configuration came to when it was"
        " trained on the training images alone; more images mostly help, and nobody has seen that"
        " they did.\n\n"
    )


def _confirmed(winner: Winner, chosen: str) -> str:
    arm, found = winner.judged, winner.confirmation
    if arm is None or found is None or arm.estimate is None:
        return (
            f"**Not confirmed.** This is {chosen}, on the images that chose it: part of the score"
            " is luck of the choice, which the interval does not count, and new images will mostly"
            " score less. No test image has been looked at."
        )
    said = (
        f"**Confirmed.** This is {chosen}. Under {arm.estimate.runs} fresh seeds its configuration"
        f" came to {arm.estimate.mean:.4f} on average{_between(arm.estimate.new_images)} on"
        f" {_judged_on(found)}; this file is"
        + (
            " the one run of it that the search saw."
            if winner.refit is None
            else " none of these runs."
        )
    )
    if found.test is not None:
        scores = found.test.choice if arm.is_choice else found.test.baseline
        if scores is not None and (arm.is_choice or arm.is_baseline):
            said += (
                f" On the test split, {scores.images:,} images, other runs of it came to"
                f" {scores.mean:.4f}{_between(scores.new_images)}: reading"
                f" {found.test.reading.number} of that split."
            )
    return said + _beside_pretrained(found)


def _beside_pretrained(found: Confirmation) -> str:
    if (pretrained := found.plan.pretrained) is None:
        return ""
    estimate = next(arm.estimate for arm in found.arms if arm.is_baseline)
    if estimate is None:
        return ""
    said = (
        f" A logistic regression on features of {pretrained.values[BACKBONE]}, a network that"
        f" others have trained, came to {estimate.mean:.4f}{_between(estimate.new_images)} on the"
        " same validation images"
    )
    if found.test is not None and found.test.baseline is not None:
        said += f", and to {found.test.baseline.mean:.4f} on the test split"
    return f"{said}."


def _judged_on(found: Confirmation) -> str:
    if found.plan.folds is None:
        return "the validation images"
    return (
        f"other validation images under each, the other {found.plan.folds - 1} of"
        f" {found.plan.folds} folds, so that the interval includes the split"
    )


def _between(interval: Interval | None) -> str:
    if interval is None:
        return ""
    return f" ({interval.low:.4f} to {interval.high:.4f} on new images like these, 95 %)"


def _recomputed(winner: Winner, validated: Validated) -> str:
    file = (
        "the file that is here" if winner.refit is None else "the file of that run, not this one,"
    )
    if validated.is_exact:
        return f"{file} was scored again, and that is exactly what it gave"
    return (
        f"{file} was scored again on another kind of processor:"
        f" {validated.value:.4f}, the same within rounding"
    )


def _by_class(validated: Validated) -> str:
    predicted = validated.logits.argmax(1)
    rows = []
    for label, name in enumerate(validated.trained.class_names):
        of_class = validated.labels == label
        count, right = int(of_class.sum()), int((of_class & (predicted == label)).sum())
        if count:
            interval = _ends(wilson_interval(right, count), 1)
            rows.append(f"| {_cell(name)} | {count} | {right / count:.1%} | {interval} |")
    return "\n".join(
        (
            "| class | validation images | of them found (recall) | 95 % interval |",
            "| --- | --- | --- | --- |",
            *rows,
        )
    )


def _ends(interval: Bounds, digits: int) -> str:
    return f"{interval.low:.{digits}%} to {interval.high:.{digits}%}"


def _cell(name: str) -> str:
    return on_one_line(name).replace("|", "\\|")


def _probabilities(winner: Winner, answering: Answering) -> str:
    calibration = answering.calibration
    before, after = calibration.error_before, calibration.error_after
    of_run = "" if winner.refit is None else ", of the run that had not seen them"
    rows = []
    for limit in UNSURE:
        found = calibration.below(limit)
        rest = "none left"
        if found.accuracy is not None and found.accuracy_interval is not None:
            rest = f"{found.accuracy:.1%} ({_ends(found.accuracy_interval, 1)})"
        rows.append(f"| {limit} | {found.share:.1%} ({_ends(found.share_interval, 1)}) | {rest} |")
    return (
        "## How far to believe its probabilities\n\n"
        f"`probabilities` are the softmax of `logits` divided by {calibration.temperature:g}, one"
        f" temperature that was fitted on the validation images{of_run}. Expected calibration error"
        f" (15 bins): {before:.4f} before, {after:.4f} after, on"
        " the same images that it was fitted on, which flatters the second figure.\n\n"
        "| answers below this probability | are so many of the validation images (95 %) |"
        " and of the rest so many are right (95 %) |\n| --- | --- | --- |\n" + "\n".join(rows)
    )


def _use(answering: Answering) -> str:
    both = []
    if ONNX in answering.files:
        both.append(
            "From a file to an answer, with NumPy, Pillow and ONNX Runtime, in this folder:\n\n"
            f"```python\n{code(answering)}```"
        )
    else:
        both.append(f"This folder holds `{SAFETENSORS}` alone.")
    both.append(
        "With this package, on files and folders of any number:\n\n"
        "```console\n$ hypersearch predict FOLDER IMAGES...\n```"
    )
    return "## How to use it\n\n" + "\n\n".join(both)


def _limits(winner: Winner, answering: Answering) -> str:
    names = answering.class_names
    return (
        "## Limits\n\n"
        f"- It knows {len(names)} classes and answers with one of them whatever it is shown: an"
        " image of something else gets one too, and not always with a low probability.\n"
        "- Images of another kind, camera, place or time than those of its data set may score"
        " otherwise than those did; so may classes in other shares.\n"
        f"- {_SEEN[answering.pixels.resize]}\n"
        "- The lines above read signed whole numbers, and a transparent colour of 16 bits,"
        " otherwise than training did; `hypersearch predict` reads all kinds of files as training"
        " did.\n"
        "- Nobody has looked for people or groups for whom it is worse than for others."
    )


def _how_made(winner: Winner, validated: Validated, date: str) -> str:
    rows = "\n".join(
        f"| {name} | {shown(value)} |" for name, value in parameters(winner.trial).items()
    )
    which = (
        "alone" if winner.refit is None else f"and the validation images, by `{winner.refit_study}`"
    )
    weights = sum(weight.numel() for weight in validated.trained.network.parameters())
    return (
        "## How it was made\n\n"
        f"Trained for {len(winner.run.trial.epochs)} epochs on the training images {which};"
        f" {weights:,} trainable numbers; exported {date}. `config.json` holds all of it,"
        " exactly.\n\n"
        f"| hyperparameter | value |\n| --- | --- |\n{rows}"
    )
