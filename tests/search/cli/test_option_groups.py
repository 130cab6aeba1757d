"""Groups of options are options of the commands that take them."""

import inspect
from dataclasses import dataclass

from search.cli.option_groups import with_option_groups


@dataclass(frozen=True)
class Inner:
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Outer:
    storage: str | None = None
    inner: Inner
    device: str = "auto"


def test_a_group_and_what_it_holds_are_options_in_its_place_and_come_as_one_value() -> None:
    taken: list[tuple[str, Outer, bool]] = []

    @with_option_groups
    def command(name: str, *, options: Outer, yes: bool = False) -> None:
        taken.append((name, options, yes))

    shown = inspect.signature(command).parameters
    assert [(each.name, each.default) for each in shown.values()] == [
        ("name", inspect.Parameter.empty),
        ("storage", None),
        ("quiet", False),
        ("device", "auto"),
        ("yes", False),
    ]
    command(name="a", storage="b", quiet=True, device="cpu", yes=True)
    assert taken == [("a", Outer(storage="b", inner=Inner(quiet=True), device="cpu"), True)]
