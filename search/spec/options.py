"""How an option of a sampler or a pruner is declared: once, as a field of its dataclass.

The field says what a spec may hold and what it holds where it is left out; reading, writing and the
reference follow from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from search.space.domains import Limits
from search.spec.document import Document, Table
from storage.direction import Direction

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Method = TypeVar("Method", bound=DataclassInstance)

_READ = "read"


@dataclass(frozen=True)
class Setting:
    """What a method's options depend on besides."""

    epochs: int
    direction: Direction


# A reader maps (table, name, setting) to a value; what is wrong is noted in the table.
Reader = Callable[[Table, str, Setting], object]


def option(default: object, read: Reader) -> Any:
    """A field that is read so."""
    return field(default=default, metadata={_READ: read})


def whole(default: int, *, low: int, share_of_epochs: float | None = None) -> Any:
    """A whole number; in a spec by default that share of the epochs, where there is one, and not
    below 1.
    """

    def read(table: Table, name: str, setting: Setting) -> object:
        share = share_of_epochs
        usual = default if share is None else max(1, round(setting.epochs * share))
        return table.integer(name, usual, low=low)

    return option(default, read)


def count_or_none(*, low: int, high: int) -> Any:
    """A whole number, or none."""
    return option(None, lambda table, name, _: table.optional_integer(name, low=low, high=high))


def number(default: float, limits: Limits) -> Any:
    """A number within limits."""
    return option(default, lambda table, name, _: table.number(name, default, limits))


def number_or_none() -> Any:
    """Any number, or none."""
    return option(None, lambda table, name, _: table.optional_number(name))


def one_of(default: str, known: Sequence[str]) -> Any:
    """One of some names."""
    return option(default, lambda table, name, _: table.option(name, default, known))


def flag(default: bool) -> Any:
    """True or false."""
    return option(default, lambda table, name, _: table.boolean(name, default))


def read_option(kind: "type[DataclassInstance]", name: str, table: Table, setting: Setting) -> Any:
    """One option of a method, by its declaration."""
    (read,) = (each.metadata[_READ] for each in fields(kind) if each.name == name)
    return read(table, name, setting)


def read_options(kind: "type[Method]", table: Table, setting: Setting, **given: Any) -> "Method":
    """A method with its options; those `given` are read already."""
    names = [each.name for each in fields(kind) if each.name not in given]
    read = {name: read_option(kind, name, table, setting) for name in names}
    return kind(**given, **read)


def options_document(method: "DataclassInstance") -> Document:
    """The options as TOML, none left to its default: what `read_options` reads back."""
    found: Document = {}
    for each in fields(method):
        value = getattr(method, each.name)
        if value is not None:
            found[each.name] = value
    return found
