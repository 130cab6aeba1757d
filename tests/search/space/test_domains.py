"""A domain knows what it holds, and whether there is a choice."""

import pytest

from search.space.domains import Choice, Domain, Off, Range, Value

SINGLE, TWO = Choice((0.0,)), Choice((0.0, 0.5))


@pytest.mark.parametrize(
    ("domain", "is_searched"),
    [
        (Off(), False),
        (SINGLE, False),
        (Choice((0.0,), optional=True), True),
        (TWO, True),
        (Range(0.1, 0.1), False),
        (Range(0.1, 0.1, optional=True), True),
        (Range(0.1, 0.2), True),
    ],
)
def test_there_is_a_choice_between_values_or_whether_to_be_off(
    domain: Domain, is_searched: bool
) -> None:
    assert domain.is_searched is is_searched
    if isinstance(domain, Choice | Range) and not domain.optional:
        assert domain.is_single is not is_searched


@pytest.mark.parametrize(
    ("domain", "held", "others"),
    [
        (Off(), [], [None, False, 0.0, "none"]),
        (TWO, [0.0, 0.5, 0], [None, False, True, 0.1, "0.0"]),
        (Choice((False, True)), [False, True], [0, 1.0, None]),
        (Choice(("none", "batch")), ["none", "batch"], ["layer", None, False]),
        (Range(0.0, 1.0), [0.0, 0, 0.3, 1], [-0.1, 1.1, False, True, None, "0.3"]),
    ],
)
def test_what_a_domain_holds_is_of_its_kind(
    domain: Domain, held: list[Value], others: list[object]
) -> None:
    assert [value for value in [*held, *others] if domain.holds(value)] == held


def test_what_stands_in_for_a_parameter_that_is_not_there_is_held() -> None:
    for domain in (TWO, Range(0.01, 1.0, log=True), Range(8, 11, whole=True)):
        assert domain.holds(domain.stand_in)
    assert Range(0.01, 1.0, log=True).stand_in == pytest.approx(0.1)
