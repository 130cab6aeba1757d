"""Definitions read again."""

from dataclasses import replace
from pathlib import Path

from search.spec.definition import stored_spec
from search.spec.document import Document
from search.spec.request import Request
from search.studies.joining import create_or_join

DOCUMENT: Document = {"study": {"name": "kept", "trials": 3}, "data": {"dataset": "synthetic"}}


def test_a_stored_spec_is_parsed_once_while_definition_budget_and_priority_are_the_same(
    tmp_path: Path,
) -> None:
    stored = create_or_join(f"sqlite:///{tmp_path}/a.db", Request(DOCUMENT, {}, "test")).stored
    assert stored_spec(replace(stored, state="ended")) is stored_spec(stored)
    raised = replace(stored, budget=replace(stored.budget, trials=5))
    assert [stored_spec(each).budget.trials for each in (stored, raised)] == [3, 5]
    urgent = replace(stored, priority=4)
    assert [stored_spec(each).priority for each in (stored, urgent)] == [0, 4]
