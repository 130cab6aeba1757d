"""Studies that follow another one up: what they are called, what was asked for, and what each of
their trainings is for.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from objectives.data.config import Fold
from search.space.domains import Value
from search.spec.study_spec import NAME_PATTERN

Kind = Literal["confirm", "ablate", "reproduce", "refit"]
KINDS: tuple[Kind, ...] = ("confirm", "ablate", "reproduce", "refit")
_ENDING = re.compile(rf":({'|'.join(KINDS)}):([1-9][0-9]{{0,8}})")

# A training has one of these purposes: to find a learning rate, to judge a configuration on the
# validation images, to read the test split, or to be taken away: that one is on training and
# validation images together.
Purpose = Literal["tune", "judge", "test", "refit"]
# The lowest and the highest learning rate that are tried are so many octaves away.
OCTAVES_AWAY = 2.0
# The arm of a regression on the features of a network that others have trained. Its values are
# these two: a name of objectives.names.BACKBONES, and the SHA-256 of the file of its weights, which
# is an artifact of the follow-up.
PRETRAINED = "pretrained"
BACKBONE, WEIGHTS = "backbone", "weights"


def follow_up_name(parent: str, kind: Kind, number: int) -> str:
    """The study's name. A user's name cannot hold the colon.

    >>> follow_up_name("demo", "confirm", 1)
    'demo:confirm:1'
    """
    return f"{parent}:{kind}:{number}"


def octaves_of(retune: int) -> tuple[float, ...]:
    """So many learning rates from a quarter of the old one to four times, as binary logarithms.

    >>> octaves_of(5), octaves_of(0)
    ((-2.0, -1.0, 0.0, 1.0, 2.0), ())
    """
    if retune <= 1:
        return (0.0,) * retune
    return tuple(OCTAVES_AWAY * (2 * at / (retune - 1) - 1) for at in range(retune))


def _without_none(document: dict[str, object], later: str) -> dict[str, object]:
    """What came later is stored where it is there, so that earlier versions read all else."""
    return {key: value for key, value in document.items() if key != later or value is not None}


def is_follow_up_name(name: str) -> bool:
    """Whether a study of that name follows another one up.

    >>> is_follow_up_name("demo:confirm:1"), is_follow_up_name("demo:1"), is_follow_up_name("demo")
    (True, False, False)
    """
    ending = _ENDING.search(name)
    return (
        ending is not None
        and ending.end() == len(name)
        and NAME_PATTERN.fullmatch(name[: ending.start()]) is not None
    )


@dataclass(frozen=True)
class PlannedTraining:
    """One training of a follow-up, as its slot holds it.

    >>> PlannedTraining.from_json(training.to_json()) == training   # doctest: +SKIP
    True
    """

    # The arm says what it is a run of: "trial 9", "baseline", "without dropout".
    arm: str
    purpose: Purpose
    # The index counts from 0; the same index is the same seed in every arm.
    seed_index: int
    seed: int
    # The values are of the space, switches included.
    values: Mapping[str, Value]
    # Whoever reads the test split later needs the model.
    keeps_model: bool = False
    # Slots whose kept models are read on the test split together with this one.
    reads_with: tuple[int, ...] = ()
    # The images that it is judged on, all others but the test split being trained on; None: those
    # of the search.
    fold: Fold | None = None

    @property
    def is_pretrained(self) -> bool:
        """Whether it is a regression on a pretrained network's features."""
        return self.arm == PRETRAINED

    def to_json(self) -> str:
        """As a slot's content."""
        return json.dumps(_without_none(asdict(self), "fold"), sort_keys=True)

    @classmethod
    def from_json(cls, content: str) -> "PlannedTraining":
        """From a slot's content."""
        found = json.loads(content)
        fold = Fold(**found["fold"]) if "fold" in found else None
        return cls(**{**found, "reads_with": tuple(found["reads_with"]), "fold": fold})


@dataclass(frozen=True)
class Stage:
    """What is trained next, and how many trainings may come after it at most."""

    trainings: tuple[PlannedTraining, ...] = ()
    later: int = 0


@dataclass(frozen=True)
class Candidate:
    """A configuration of the parent's that is judged."""

    arm: str
    # The trial is the parent's that has the configuration; None: no trial has.
    trial: int | None
    # The value is what the search said of it.
    search_value: float | None
    values: Mapping[str, Value]

    @property
    def name(self) -> str:
        """In a sentence: `trial 9`, `the neutral baseline`."""
        return f"the {self.arm} baseline" if self.trial is None else f"trial {self.trial}"

    @property
    def is_pretrained(self) -> bool:
        """Whether it is a regression on a pretrained network's features: compared with what the
        search has found, and never chosen.
        """
        return self.arm == PRETRAINED


@dataclass(frozen=True)
class ConfirmPlan:
    """What a confirmation was asked for, and what it was decided to be when it was made."""

    # What was asked is as the command was given.
    asked: Mapping[str, Value | list[int] | None]
    seeds: int
    reads_test: bool
    # The candidates stand with the best first; the baseline, if there is one, is last.
    candidates: tuple[Candidate, ...]
    # The baseline is named by its arm.
    baseline: str | None
    # The candidates were chosen from so many complete trials.
    complete: int
    # The parent's best trial has this number.
    searched_best: int
    # The notes are sentences on what of the parent bears on the answer.
    notes: tuple[str, ...] = ()
    # Learning rates that the neutral baseline tries, as binary logarithms of factors; none where
    # the baseline is a trial.
    octaves: tuple[float, ...] = ()
    # The number of the confirmation whose seeds it has, and more; None: it has its own.
    seeds_of: int | None = None
    # Of so many folds each seed is judged on another one; None: all are on the search's images.
    folds: int | None = None

    @property
    def pretrained(self) -> Candidate | None:
        """The pretrained baseline, where that is the baseline."""
        (*_, last) = self.candidates
        return last if last.is_pretrained else None

    @property
    def searched(self) -> tuple[Candidate, ...]:
        """Those of which one is chosen: all but a pretrained baseline."""
        return tuple(each for each in self.candidates if not each.is_pretrained)

    def to_json(self) -> str:
        """As the follow-up's plan."""
        return json.dumps(_without_none(asdict(self), "folds"), sort_keys=True)

    @classmethod
    def from_json(cls, plan: str) -> "ConfirmPlan":
        """From a follow-up's plan."""
        found = json.loads(plan)
        candidates = tuple(Candidate(**each) for each in found["candidates"])
        lists = {name: tuple(found.get(name, ())) for name in ("notes", "octaves")}
        return cls(**{**found, **lists, "candidates": candidates})


@dataclass(frozen=True)
class AblatedArm:
    """The reference but for one technique."""

    # The technique is the arm's name, too.
    technique: str
    # An arm that adds has the technique, which the reference is without.
    adds: bool
    # The value says for people what the technique is, where it is there.
    value: str
    values: Mapping[str, Value]


@dataclass(frozen=True)
class AblatePlan:
    """What an ablation was asked for, and what it was decided to be when it was made."""

    # What was asked is as the command was given.
    asked: Mapping[str, Value | list[int] | list[str] | None]
    # An arm has so many seeds at each look; the reference has twice as many.
    looks: tuple[int, ...]
    # The learning rates that are tried are binary logarithms of factors.
    octaves: tuple[float, ...]
    reference: Candidate
    # The learning rate has this name.
    rate: str
    arms: tuple[AblatedArm, ...]
    # No complete trial has used these techniques.
    left_out: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As the follow-up's plan."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, plan: str) -> "AblatePlan":
        """From a follow-up's plan."""
        found = json.loads(plan)
        lists = {name: tuple(found[name]) for name in ("looks", "octaves", "left_out", "notes")}
        return cls(
            **{
                **found,
                **lists,
                "reference": Candidate(**found["reference"]),
                "arms": tuple(AblatedArm(**each) for each in found["arms"]),
            }
        )


@dataclass(frozen=True)
class ReproducePlan:
    """Which trial is trained again, and under how many fresh seeds beside its own."""

    asked: Mapping[str, Value | None]
    trial: Candidate
    seeds: int
    # Of so many complete trials it was the best; 1: it was not.
    incumbent_of: int
    # The number of the reproduction whose seeds it has, and more; None: it has its own.
    seeds_of: int | None = None

    def to_json(self) -> str:
        """As the follow-up's plan."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, plan: str) -> "ReproducePlan":
        """From a follow-up's plan."""
        found = json.loads(plan)
        return cls(**{**found, "trial": Candidate(**found["trial"])})


@dataclass(frozen=True)
class RefitPlan:
    """Which trial's configuration is trained on training and validation images together."""

    asked: Mapping[str, Value | None]
    trial: Candidate

    def to_json(self) -> str:
        """As the follow-up's plan."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, plan: str) -> "RefitPlan":
        """From a follow-up's plan."""
        found = json.loads(plan)
        return cls(**{**found, "trial": Candidate(**found["trial"])})
