"""The conditional search space: no inactive parameter, and what is conditional is sampled by the
model.
"""

import random

import optuna
import pytest

from models import names as model_names
from objectives import names
from objectives.hyperparameters import Adam, Cosine
from search.algorithms import pruners, samplers
from search.space.configuration import Configuration
from search.space.domains import Choice, Range, Value
from search.space.parameters import PARAMETERS, TECHNIQUES
from search.space.search_space import SearchSpace
from search.spec import methods


def drawn_at_random(seed: int) -> dict[str, Value]:
    rng = random.Random(seed)

    def suggest(name: str, domain: Choice | Range) -> Value:
        return (
            rng.choice(domain.options)
            if isinstance(domain, Choice)
            else rng.uniform(domain.low, domain.high)
        )

    return SearchSpace.default().suggest(suggest)


@pytest.mark.parametrize("seed", range(100))
def test_a_configuration_holds_active_parameters_alone(seed: int) -> None:
    values = Configuration(drawn_at_random(seed)).active
    branches = {name.partition(".")[0] for name in values if "." in name}
    allowed = {values["optimizer"], values["scheduler"], "augmentation"}
    assert branches <= allowed
    assert ("augmentation.strength" in values) == (values["augmentation"] != "none")
    assert set(values) <= set(PARAMETERS)
    Configuration(values).hyperparameters()


def test_values_make_the_hyperparameters_that_they_name() -> None:
    values = {
        "optimizer": "adam",
        "adam.learning_rate": 0.01,
        "batch_size": 32,
        "scheduler": "cosine",
        "l1": 1e-5,
    }
    made = Configuration(values).hyperparameters()
    assert (made.optimizer, made.scheduler, made.l1, made.dropout) == (
        Adam(0.01),
        Cosine(),
        1e-5,
        0.0,
    )


def test_each_list_of_names_is_what_the_space_offers() -> None:
    assert PARAMETERS["optimizer"].options == names.OPTIMIZERS
    assert PARAMETERS["scheduler"].options == names.SCHEDULERS
    assert PARAMETERS["initializer"].options == model_names.INITIALIZERS
    assert PARAMETERS["normalization"].options == model_names.NORMALIZATIONS
    assert set(methods.SAMPLERS) == set(samplers.SAMPLERS)
    assert set(methods.RULES) == set(pruners.RULES)
    assert "weight_decay" in TECHNIQUES


class Counting(optuna.samplers.TPESampler):
    """Counts the parameters that are drawn one by one."""

    independent: list[str]

    def sample_independent(self, study, trial, param_name, param_distribution):  # type: ignore[no-untyped-def]
        self.independent.append(param_name)
        return super().sample_independent(study, trial, param_name, param_distribution)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_conditional_parameters_are_sampled_by_the_model_once_they_have_been_seen() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    finished: list[optuna.trial.FrozenTrial] = []
    seen: set[str] = set()
    late = []
    for number in range(40):
        study = optuna.create_study(direction="maximize")
        study.add_trials(finished)
        sampler = Counting(n_startup_trials=10, multivariate=True, group=True, seed=number)
        study.sampler = sampler
        study.ask()
        sampler.independent = []
        configuration = samplers.draw(SearchSpace.default(), study, study.trials[-1], {})
        if number >= 10:
            late += [name for name in sampler.independent if name in seen]
        seen |= configuration.values.keys()
        finished.append(
            optuna.trial.create_trial(
                params=configuration.values,
                distributions=configuration.distributions,
                value=float(number % 7),
            )
        )
    assert late == []
    assert any(name.startswith("sgd.") for name in seen)
