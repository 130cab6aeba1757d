"""What a spec says in vain: refused of a new one, while a study that is stored goes on with it as before."""

from typing import TYPE_CHECKING

from search.document import Table
from search.enumeration import counted
from search.methods import Grid
from search.space import PARAMETERS, Choice, Domain, Off, is_on
from search.space_document import domain_to_toml

if TYPE_CHECKING:
    from search.spec import StudySpec


def said_in_vain(spec: "StudySpec") -> list[str]:
    """Each as a line with key, value and mend."""
    faults: list[str] = []
    _off_twice(spec, Table({}, "space.", faults))
    return faults


def _off_twice(spec: "StudySpec", space: Table) -> None:
    # They would be counted, and run, as two configurations, and are one.
    points = spec.sampler.points if isinstance(spec.sampler, Grid) else None
    for name, domain in spec.space.domains:
        if _names_off_twice(name, domain, points):
            off = PARAMETERS[name].off
            leave = "one" if isinstance(domain, Choice) else "optional"
            space.fault(name, domain_to_toml(domain), f"a value stands there twice, as {off} is off: leave {leave} out")


def _names_off_twice(name: str, domain: Domain, points: int | None) -> bool:
    if isinstance(domain, Off) or not domain.optional:
        return False
    if points is None and not isinstance(domain, Choice) and domain.low < domain.high:
        return False  # of all numbers between one is off: never drawn, for practical purposes
    return any(not is_on(name, value) for value in counted(name, domain, points))
