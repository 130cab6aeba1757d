"""The reference is what the code says."""

import pytest

from docs.reference import FOLDER, pages
from docs.spec_reference import keys_of, meanings

MAKE = "the code has changed: run 'make docs' and commit what it writes"


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_reference_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name], MAKE


def test_every_key_of_a_spec_has_its_meaning_in_the_starting_spec() -> None:
    keys = {name for name in keys_of({}) if name.count(".") == 1}
    assert meanings().keys() == keys, (
        "give each key a line with a comment in search/spec/template.py"
    )
    assert len(keys) > 15


def test_the_reference_names_every_command_and_technique() -> None:
    commands, spec = pages()["commands.md"], pages()["spec.md"]
    assert all(
        f"## hypersearch {name}" in commands
        for name in ("run", "status", "compare", "spec check", "doctor")
    )
    assert "`--watch`" in commands
    assert all(
        f"`{name}`" in spec
        for name in ("sgd.momentum", "augmentation.strength", "tpe", "asha", "decay_scope")
    )
