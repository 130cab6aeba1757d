"""Each configuration of a space is counted once, and what is not active multiplies nothing."""

import pytest

from search.space.domains import Choice, Range, Value
from search.space.flat import flat_domains, reachable
from search.space.parameters import PARAMETERS
from search.space.search_space import SearchSpace
from search.spec.document import Toml
from search.spec.enumeration import Enumeration, Schedule, uncounted
from search.spec.reading import parse_spec

SMALL: dict[str, Toml] = {
    "optimizer": ["sgd", "adam", "adamw"],
    "sgd.learning_rate": [0.1, 0.01],
    "sgd.momentum": [0.0, 0.9],
    "sgd.weight_decay": [False, 1e-4],
    "adam.learning_rate": 0.001,
    "adamw.learning_rate": [0.001, 0.003, 0.01],
    "scheduler": ["constant", "step"],
    "step.period": [0.25, 0.5],
    "dropout": [False, 0.2, 0.5],
    "augmentation": ["none", "shift"],
    "augmentation.strength": [0.3, 0.6],
}
SIZE = (2 * 2 * 2 + 1 + 3) * (1 + 2) * 3 * (1 + 2)


def small_space() -> SearchSpace:
    """What is not in SMALL is pinned, off where it can be."""
    space: dict[str, Toml] = {}
    for name, parameter in PARAMETERS.items():
        default = parameter.default
        one = default.options[0] if isinstance(default, Choice) else getattr(default, "low", 0)
        space[name] = (
            False
            if parameter.off is not None
            else parameter.options[0]
            if parameter.options
            else one
        )
    return parse_spec({"space": {**space, **SMALL}}).space


def every_configuration(space: SearchSpace) -> set[tuple[tuple[str, Value], ...]]:
    """By walking through all answers that `suggest` can be given."""
    found = set()
    pending: list[tuple[Value, ...]] = [()]
    while pending:
        answers = pending.pop()
        asked = []

        def suggest(name: str, domain: Choice | Range, answers=answers, asked=asked) -> Value:  # type: ignore[no-untyped-def]
            assert isinstance(domain, Choice)
            asked.append(domain.options)
            return answers[len(asked) - 1] if len(asked) <= len(answers) else domain.options[0]

        found.add(tuple(sorted(space.suggest(suggest).items())))
        pending += _branches(answers, asked)
    return found


def _branches(
    answers: tuple[Value, ...], asked: list[tuple[Value, ...]]
) -> list[tuple[Value, ...]]:
    firsts = tuple(options[0] for options in asked)
    return [
        (*answers, *firsts[len(answers) : place], option)
        for place in range(len(answers), len(asked))
        for option in asked[place][1:]
    ]


def test_every_configuration_of_a_conditional_space_is_counted_once() -> None:
    space = small_space()
    every = Enumeration(space)
    found = [tuple(sorted(every.at(index).items())) for index in range(every.size)]
    assert every.size == len(set(found)) == SIZE
    assert set(found) == every_configuration(space)
    assert [every.index_of(dict(values)) for values in found] == list(range(SIZE))
    assert every.index_of({**dict(found[-1]), "dropout": 0.7}) is None


def test_a_schedule_runs_each_configuration_once_and_those_to_run_first_first() -> None:
    first = (
        (("optimizer", "adam"), ("dropout", False)),
        (("optimizer", "sgd"), ("sgd.momentum", 0.9)),
    )
    schedule = Schedule(small_space(), None, first, seed=3)
    every = Enumeration(small_space())
    planned = [schedule.configuration(number) for number in range(schedule.size)]
    assert schedule.size == SIZE
    assert sorted(every.index_of(values) or 0 for values in planned) == list(range(SIZE))
    assert (planned[0]["optimizer"], planned[0]["dropout.on"]) == ("adam", False)
    assert (planned[1]["optimizer"], planned[1]["sgd.momentum"]) == ("sgd", 0.9)
    other = Schedule(small_space(), None, first, seed=4)
    assert [other.configuration(number) for number in range(SIZE)] != planned


def test_a_configuration_to_run_first_beside_the_points_of_a_range_is_run_besides() -> None:
    space = SearchSpace(
        (("optimizer", Choice(("sgd",))), ("sgd.learning_rate", Range(0.001, 1.0, log=True)))
    )
    schedule = Schedule(
        space, 4, ((("sgd.learning_rate", 0.5),), (("sgd.learning_rate", 1.0),)), seed=0
    )
    rates = [schedule.configuration(number)["sgd.learning_rate"] for number in range(schedule.size)]
    assert rates[:2] == [0.5, 1.0]
    assert sorted(float(rate) for rate in rates[2:]) == pytest.approx([0.001, 0.01, 0.1])


def test_an_early_part_of_a_schedule_covers_the_space_evenly() -> None:
    spec = parse_spec({})
    schedule = Schedule(spec.space, 3, (), seed=0)
    counts = dict.fromkeys(("sgd", "adagrad", "rmsprop", "adam", "adamw"), 0)
    for number in range(200):
        counts[str(schedule.configuration(number)["optimizer"])] += 1
    shares = {
        name: Enumeration(_pinned(spec.space, name), 3).size / schedule.size for name in counts
    }
    assert all(abs(count - 200 * shares[name]) <= 3 for name, count in counts.items())


def _pinned(space: SearchSpace, optimizer: str) -> SearchSpace:
    return SearchSpace(
        tuple(
            (name, Choice((optimizer,)) if name == "optimizer" else domain)
            for name, domain in space.domains
        )
    )


def test_ranges_are_counted_by_points_on_their_own_scale_and_whole_numbers_as_they_are() -> None:
    space = SearchSpace(
        (
            ("optimizer", Choice(("sgd",))),
            ("sgd.learning_rate", Range(0.01, 1.0, log=True)),
            ("batch_size", Range(8, 10, whole=True)),
            ("dropout", Range(0.2, 0.2)),
        )
    )
    assert uncounted(space, None) == ["sgd.learning_rate"]
    every = Enumeration(space, 3)
    found = [every.at(index) for index in range(every.size)]
    values = {
        name: sorted({values[name] for values in found})
        for name in ("sgd.learning_rate", "batch_size")
    }
    assert values == {
        "sgd.learning_rate": pytest.approx([0.01, 0.1, 1.0]),
        "batch_size": [8, 9, 10],
    }
    assert every.size == 9
    with pytest.raises(ValueError, match=r"sgd\.learning_rate holds more"):
        Enumeration(space)


def test_what_no_configuration_has_is_not_searched() -> None:
    space = small_space()
    assert "rmsprop.learning_rate" not in dict(reachable(space))
    assert set(flat_domains(space)) == {
        "optimizer",
        "sgd.learning_rate",
        "sgd.momentum",
        "sgd.weight_decay.on",
        "adamw.learning_rate",
        "scheduler",
        "step.period",
        "dropout.on",
        "dropout",
        "augmentation",
        "augmentation.strength",
    }


@pytest.mark.parametrize(
    "domain",
    [
        Range(0.1, 0.6),
        Range(1e-4, 1.0, log=True),
        Range(8, 11, whole=True),
        Range(8, 512, log=True, whole=True),
    ],
)
def test_a_share_of_a_range_is_turned_back(domain: Range) -> None:
    values = [domain.at(place / 40) for place in range(41)]
    assert (values[0], values[-1]) == (domain.low, domain.high)
    assert values == sorted(values)
    assert [domain.at(domain.share_of(value)) for value in values] == pytest.approx(values)


def test_options_and_whole_numbers_have_equal_shares() -> None:
    shares = [(place + 0.5) / 40 for place in range(40)]
    whole = [Range(8, 11, whole=True).at(share) for share in shares]
    assert [whole.count(value) for value in range(8, 12)] == [10] * 4
    chosen = [Choice(("sgd", "adam")).at(share) for share in shares]
    assert chosen.count("sgd") == 20
