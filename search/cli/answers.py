"""Commands that answer: confirm, ablate, reproduce."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli.follow_ups import FollowUpOptions, Shown, Work
from search.cli.option_groups import with_option_groups
from search.cli.options import NameArgument
from search.cli.reading import CommandLineError, read_whole

if TYPE_CHECKING:
    from search.studies.followups.ablating import AskedToAblate
    from search.studies.followups.confirming import AskedToConfirm


@with_option_groups
def confirm(
    name: NameArgument,
    top: Annotated[
        str | None, typer.Option(metavar="N", help="So many of the best are judged [3].")
    ] = None,
    trial: Annotated[
        list[str] | None, typer.Option(metavar="N", help="Judge this one too; repeatable.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="first|neutral|pretrained|N|none",
            help="What the choice is compared with [first, where the spec has a [[trial]]];"
            " neutral: the best trial's optimizer without any technique, its learning rate tuned;"
            " pretrained: a logistic regression on features of a network that others have trained"
            " on ImageNet.",
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights of the pretrained network [those of torchvision, downloaded].",
        ),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The pretrained network, as torchvision has it [resnet18]."
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="N", help="Fresh seeds for each.")] = "5",
    resplit: Annotated[
        bool,
        typer.Option(
            "--resplit",
            help="Judge each seed on a fold of its own (data.folds): with the split in the"
            " intervals.",
        ),
    ] = False,
    no_test: Annotated[
        bool, typer.Option("--no-test", help="Leave the test split unread.")
    ] = False,
    *,
    options: FollowUpOptions,
) -> None:
    """Retrain the best configurations under fresh seeds, and say what each is worth."""
    options.verbosity.take_effect()
    asked = _asked(top, trial, baseline, seeds, no_test, resplit)
    from search.studies.followups.weights import given_weights

    given = given_weights(baseline, backbone, weights)
    work = Work.asked_by(options, name, "confirm")
    from search.analysis.confirmation import read_confirmation
    from search.engines.answers import announce_confirmation
    from search.report.confirmation import confirmation_text, opening_text
    from search.report.confirmation_document import confirmation_document

    announced = announce_confirmation(work.commission(options), asked, given)
    shown = Shown(read_confirmation, opening_text, confirmation_document, confirmation_text)
    work.answered(announced, shown, options)


@with_option_groups
def ablate(
    name: NameArgument,
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="N", help="Of this trial [the last confirmation's choice, else the best]."
        ),
    ] = None,
    technique: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Judge this technique; repeatable [all]."),
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="N|3,5,10", help="Seeds, or the looks at more and more.")
    ] = "3,5,10",
    retune: Annotated[
        str, typer.Option(metavar="N", help="Runs that find each learning rate.")
    ] = "5",
    no_retune: Annotated[
        bool, typer.Option("--no-retune", help="Keep the learning rate of the trial.")
    ] = False,
    *,
    options: FollowUpOptions,
) -> None:
    """Say what each technique is worth, by retraining without it, or with it."""
    options.verbosity.take_effect()
    asked = _asked_to_ablate(trial, technique, seeds, retune, no_retune)
    work = Work.asked_by(options, name, "ablate")
    from search.analysis.ablation import read_ablation
    from search.engines.answers import announce_ablation
    from search.report.ablation import ablation_document, ablation_opening, ablation_text

    announced = announce_ablation(work.commission(options), asked)
    shown = Shown(read_ablation, ablation_opening, ablation_document, ablation_text)
    work.answered(announced, shown, options)


@with_option_groups
def reproduce(
    name: NameArgument,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="The trial's number.")],
    seeds: Annotated[
        str, typer.Option(metavar="N", help="Fresh seeds, too: how far they move it.")
    ] = "0",
    *,
    options: FollowUpOptions,
) -> None:
    """Train a recorded trial again, and judge what comes out; exit code 1 where it is different."""
    options.verbosity.take_effect()
    from search.studies.followups.confirming import MOST_SEEDS
    from search.studies.followups.reproducing import AskedToReproduce

    asked = AskedToReproduce(
        read_whole("NUMBER", number, 0, 10**9), read_whole("--seeds", seeds, 0, MOST_SEEDS)
    )
    work = Work.asked_by(options, name, "reproduce")
    from search.analysis.reproduced import read_reproduced
    from search.engines.answers import announce_reproduction
    from search.report.reproduced import (
        reproduced_document,
        reproduced_opening,
        reproduced_text,
    )

    announced = announce_reproduction(work.commission(options), asked)
    shown = Shown(read_reproduced, reproduced_opening, reproduced_document, reproduced_text)
    found = work.answered(announced, shown, options)
    if found.is_different:
        raise typer.Exit(1)


def _asked(
    top: str | None,
    trials: list[str] | None,
    baseline: str | None,
    seeds: str,
    no_test: bool,
    resplit: bool,
) -> "AskedToConfirm":
    from search.studies.followups.confirming import FEWEST_SEEDS, MOST_SEEDS, AskedToConfirm

    if baseline is not None and baseline not in ("first", "neutral", "pretrained", "none"):
        named = "--baseline (first, neutral, pretrained, none or a trial's number)"
        baseline = str(read_whole(named, baseline, 0, 10**9))
    return AskedToConfirm(
        None if top is None else read_whole("--top", top, 1, 1000),
        tuple(sorted({read_whole("--trial", each, 0, 10**9) for each in trials or ()})),
        baseline,
        read_whole("--seeds", seeds, FEWEST_SEEDS, MOST_SEEDS),
        not no_test,
        resplit=resplit,
    )


def _asked_to_ablate(
    trial: str | None,
    techniques: list[str] | None,
    seeds: str,
    retune: str,
    no_retune: bool,
) -> "AskedToAblate":
    from search.studies.followups.ablating import MOST_RETUNE, AskedToAblate
    from search.studies.followups.confirming import FEWEST_SEEDS, MOST_SEEDS

    looks = tuple(
        read_whole("--seeds", each.strip(), FEWEST_SEEDS, MOST_SEEDS) for each in seeds.split(",")
    )
    if list(looks) != sorted(set(looks)):
        raise CommandLineError(f"--seeds {seeds}: write the looks in rising order, as 3,5,10")
    return AskedToAblate(
        None if trial is None else read_whole("--trial", trial, 0, 10**9),
        tuple(sorted(set(techniques or ()))),
        looks,
        0 if no_retune else read_whole("--retune", retune, 2, MOST_RETUNE),
    )
