"""Values as a person reads them."""

from search.space.domains import Value
from search.space.parameters import is_on
from search.spec.follow_up import WEIGHTS
from storage.errors import SHOWN_DIGITS

# So many parameters of a running trial are shown.
KEY_PARAMETERS = 5


def brief(parameters: dict[str, Value]) -> str:
    """The key hyperparameters of a configuration: what differs from its technique's neutral value,
    the first few.
    """
    names = [name for name, value in parameters.items() if is_on(name, value)]
    return ", ".join(f"{name} {_brief(name, parameters[name])}" for name in names[:KEY_PARAMETERS])


def _brief(name: str, value: Value) -> str:
    return str(value)[:SHOWN_DIGITS] if name == WEIGHTS else shown(value)


def shown(value: Value | None) -> str:
    """A value for a person: numbers with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
