"""Why a follow-up is not made."""

from collections.abc import Sequence
from difflib import get_close_matches


class FollowUpRefused(Exception):
    """What is asked for is not there, or cannot be judged; one line for the user."""

    @classmethod
    def of_a_follow_up(cls, name: str, parent: str) -> "FollowUpRefused":
        """A follow-up of a follow-up."""
        return cls(f"study {name!r} follows {parent!r} up: name {parent!r} instead")

    @classmethod
    def not_copied(cls, name: str, parent: str) -> "FollowUpRefused":
        """It is nothing without its parent."""
        return cls(
            f"study {name!r} follows {parent!r} up, and is copied with it: 'hypersearch copy"
            f" {parent}'"
        )

    @classmethod
    def not_extended(cls, name: str, parent: str) -> "FollowUpRefused":
        """Its plan says how many trainings it takes."""
        return cls(
            f"study {name!r} follows {parent!r} up, and takes what its plan says: ask anew, with"
            f" more --seeds, 'hypersearch {name.split(':')[-2]} {parent}'"
        )

    @classmethod
    def nothing_complete(cls, name: str) -> "FollowUpRefused":
        """No trial is complete."""
        return cls(
            f"study {name!r} has no complete trial, which this needs; 'hypersearch run"
            f" --study {name}' goes on with it"
        )

    @classmethod
    def no_folds(cls, name: str, folds: int | None, fewest: int) -> "FollowUpRefused":
        """The study's images are not divided so that each seed could have others."""
        has = "no data.folds" if folds is None else f"data.folds = {folds}"
        return cls(
            f"--resplit: study {name!r} has {has}, and each seed needs validation images that the"
            f" search was not judged on: run it anew with --set data.folds=5 ({fewest} or more) and"
            " another --study, or leave --resplit out"
        )

    @classmethod
    def too_many(cls, name: str, top: int, complete: int) -> "FollowUpRefused":
        """More configurations are asked for than there are."""
        return cls(
            f"--top {top}: study {name!r} has {complete} complete trials: ask for no more than"
            " these"
        )

    @classmethod
    def not_complete(cls, name: str, number: int) -> "FollowUpRefused":
        """A trial that is named has no value."""
        return cls(
            f"--trial {number}: study {name!r} has no complete trial of that number: see"
            f" 'hypersearch compare {name}'"
        )

    @classmethod
    def no_first_trial(cls, name: str) -> "FollowUpRefused":
        """The spec says nothing to run first."""
        return cls(
            f"--baseline first: the spec of study {name!r} has no [[trial]] to run first: name a"
            " trial's number, or none"
        )

    @classmethod
    def no_baseline(cls, name: str, number: int) -> "FollowUpRefused":
        """The baseline's trial has not been trained."""
        return cls(
            f"--baseline {number}: study {name!r} has no trained trial of that number: name another"
            " one, or none"
        )

    @classmethod
    def mixed_data(cls, name: str, numbers: Sequence[int]) -> "FollowUpRefused":
        """The candidates' values do not compare."""
        shown = ", ".join(map(str, numbers))
        return cls(
            f"study {name!r}: trials {shown} were not all trained on the same images; name those"
            " that were with --trial and --top 1"
        )

    @classmethod
    def other_data(cls, name: str) -> "FollowUpRefused":
        """The study has gone on with other images since."""
        return cls(
            f"study {name!r} has gone on with other images than those of these trials: run it again"
            " under another name, and confirm that one"
        )

    @classmethod
    def no_technique(cls, name: str, known: Sequence[str]) -> "FollowUpRefused":
        """There is none of that name."""
        near = get_close_matches(name, known, 1)
        mend = f"did you mean {near[0]}?" if near else f"they are {', '.join(known)}"
        return cls(f"--technique {name}: there is no such technique: {mend}")

    @classmethod
    def no_neutral_value(cls, name: str) -> "FollowUpRefused":
        """A configuration cannot be without it."""
        return cls(
            f"--technique {name}: no configuration can be without it: name one that has a neutral"
            " value, see 'hypersearch techniques'"
        )

    @classmethod
    def nothing_to_ablate(cls, name: str) -> "FollowUpRefused":
        """The configuration uses none of the techniques, and the space has none to add."""
        return cls(
            f"study {name!r}: the configuration uses none of these techniques, and no complete"
            " trial has used one that could be added: name others with --technique"
        )

    @classmethod
    def no_network(cls, name: str) -> "FollowUpRefused":
        """Its curves are made up."""
        return cls(
            f"study {name!r} is synthetic: its curves are made up, and there is no network to train"
            " on all images; name another study"
        )

    @classmethod
    def no_images(cls, name: str) -> "FollowUpRefused":
        """Its curves are made up."""
        return cls(
            f"--baseline pretrained: study {name!r} is synthetic: its curves are made up, and there"
            " are no images to look at; name another study, or another baseline"
        )

    @classmethod
    def not_pretrained(cls, option: str) -> "FollowUpRefused":
        """It says of a baseline what that baseline has not."""
        return cls(f"{option} goes with --baseline pretrained alone: add that, or leave it out")

    @classmethod
    def no_backbone(cls, name: str, known: Sequence[str]) -> "FollowUpRefused":
        """There is none of that name."""
        near = get_close_matches(name, known, 1)
        mend = f"did you mean {near[0]}?" if near else f"they are {', '.join(known)}"
        return cls(f"--backbone {name}: there is no such network here: {mend}")

    @classmethod
    def no_record(cls, name: str, number: int) -> "FollowUpRefused":
        """There is nothing to compare with."""
        return cls(
            f"study {name!r} has no finished trial {number} with a recorded epoch: see"
            f" 'hypersearch compare {name}'"
        )
