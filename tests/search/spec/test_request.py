"""How what is asked for is laid over what is there."""

import pytest

from search.spec.document import Toml
from search.spec.request import merge


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        (["median", {"audit": 0}], {"name": "median", "audit": 0}),
        (
            [{"name": "asha", "min_epochs": 3}, {"audit": 0}],
            {"name": "asha", "min_epochs": 3, "audit": 0},
        ),
        (
            [{"name": "threshold"}, {"lower": 0.5}, {"min_epochs": 2}],
            {"name": "threshold", "lower": 0.5, "min_epochs": 2},
        ),
        # On the command line --set comes before --pruner.
        ([{"audit": 0}, "median"], {"name": "median", "audit": 0}),
        ([{"name": "asha", "min_epochs": 3}, "median"], "median"),
        ([{"name": "asha", "min_epochs": 3}, {"name": "median"}], {"name": "median"}),
        ([{"audit": 0}], {"audit": 0}),
        (["asha", 3], 3),
    ],
)
def test_options_of_a_method_go_to_the_one_that_is_there(
    documents: list[Toml], expected: Toml
) -> None:
    merged = merge(
        {"study": {"trials": 3}}, *({"study": {"pruner": pruner}} for pruner in documents)
    )
    assert merged == {"study": {"trials": 3, "pruner": expected}}


def test_tables_are_laid_over_key_by_key_and_ranges_of_the_space_as_a_whole() -> None:
    below: dict[str, Toml] = {
        "space": {"dropout": {"low": 0.1, "high": 0.5, "optional": True}, "l1": False}
    }
    above: dict[str, Toml] = {
        "space": {"dropout": {"low": 0.2, "high": 0.3}, "sgd": {"momentum": 0.9}}
    }
    assert merge(below, above) == {
        "space": {"dropout": {"low": 0.2, "high": 0.3}, "l1": False, "sgd.momentum": 0.9}
    }
