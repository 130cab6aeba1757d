"""Which parameters set the best trials of a study apart, by PED-ANOVA."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search.space import PARAMETERS, SWITCHES, Choice, Off, Range, SearchSpace
from storage.records import ParameterValue, TrialRecord

# Chosen on the made-up curves of objectives.synthetic, where sgd's learning rate decides under the optimizer sgd: of 30
# trials drawn at random it came first for 12 of 12 seeds so, for 11 where parameters of fewer than 20 trials are judged
# too, for 4 where moreover the best are a tenth, as is Optuna's default.
BEST_SHARE = 0.25
FEWEST = 20

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Importances:
    """Shares by parameter, the largest first, that add up to 1; a strength and its being on or off count as one."""

    shares: tuple[tuple[str, float], ...]
    best: int  # so many trials, of all `complete` ones, counted as the best
    complete: int
    left_out: tuple[str, ...]  # searched parameters that fewer than FEWEST complete trials had


def importances(trials: Sequence[TrialRecord], space: SearchSpace, direction: Direction) -> Importances | None:
    """How differently each searched parameter is distributed among the best complete trials and among all complete.

    What exists only in a branch weighs as much as the branch was taken. `None` where no parameter can be judged.
    Source: PED-ANOVA (arXiv:2304.10255) in its conditional form (arXiv:2601.20800), as Optuna has it.
    """
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    domains = _domains(space)
    counts = Counter(
        name for trial in complete for name, domain in domains.items() if _holds(domain, trial.parameters.get(name))
    )
    judged = [name for name in domains if counts[name] >= FEWEST]
    if not judged:
        return None
    shares: dict[str, float] = {}
    for name, share in _by_ped_anova(complete, {name: domains[name] for name in judged}, direction).items():
        parameter = SWITCHES[name].name if name in SWITCHES else name
        shares[parameter] = shares.get(parameter, 0.0) + share
    return Importances(
        shares=tuple(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))),
        best=math.ceil(BEST_SHARE * len(complete)),
        complete=len(complete),
        left_out=tuple(name for name in space.searched if name not in shares),
    )


def _domains(space: SearchSpace) -> dict[str, Choice | Range]:
    """Of the searched parameters and their switches, as Optuna has them."""
    found: dict[str, Choice | Range] = {}
    for name in space.searched:
        domain = space.domain(name)
        if isinstance(domain, Off):
            continue
        if domain.optional:
            found[PARAMETERS[name].switch] = Choice((True, False))
        found[name] = domain
    return found


def _holds(domain: Choice | Range, value: ParameterValue) -> bool:
    # It may not be there, and plain Optuna may have added trials with values of its own.
    if isinstance(domain, Choice):
        return value in domain.options
    return isinstance(value, int | float) and domain.low <= value <= domain.high


def _by_ped_anova(
    complete: Sequence[TrialRecord], domains: dict[str, Choice | Range], direction: Direction
) -> dict[str, float]:
    from optuna import create_study, logging
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import create_trial

    from search.samplers import distribution

    logging.set_verbosity(logging.WARNING)
    distributions = {name: distribution(name, domain) for name, domain in domains.items()}
    study = create_study(direction=direction)
    for trial in complete:
        values = {
            name: trial.parameters[name]
            for name, domain in domains.items()
            if _holds(domain, trial.parameters.get(name))
        }
        held = {name: distributions[name] for name in values}
        study.add_trial(create_trial(value=trial.value, params=values, distributions=held))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # all trials equally good: then the shares are equal, as the docstring says
        return get_param_importances(
            study, evaluator=PedAnovaImportanceEvaluator(target_quantile=BEST_SHARE), params=list(domains)
        )
