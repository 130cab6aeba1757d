"""Trials in order, as a table that fits a terminal: where they differ stands in columns."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from objectives.costs import shown_cost
from search.analysis.comparison import Comparison, parameters
from search.report.tables import GAP, column_width, stacked, table, unbroken, wrapped
from search.report.values import shown
from search.space.parameters import PARAMETERS
from storage.records import TrialRecord

# A table has so many rows, unless all are asked for.
FIRST_ROWS = 10
# A parameter that a trial does not have is shown so.
ABSENT = "-"
# In fewer columns, what says no more than another column gives way to parameters.
NARROW = 60

_ORDER = {name: place for place, name in enumerate(PARAMETERS)}


def ranking_text(comparison: Comparison, width: int, *, every_row: bool = False) -> str:
    """The trials in order of rank, and how to see what is not shown."""
    trials = comparison.trials
    if not trials:
        return "no trial has begun yet"
    rows = trials if every_row else trials[:FIRST_ROWS]
    lead: dict[str, Sequence[str]] = {
        "rank": [str(place) for place in range(1, len(rows) + 1)],
        "trial": [str(trial.number) for trial in rows],
        "state": [trial.state for trial in rows],
        stacked(comparison.spec.metric): [_value(trial) for trial in rows],
        "epochs": [str(len(trial.epochs)) for trial in rows],
    }
    if width < NARROW:
        del lead["rank"], lead["epochs"]
    best = [trial for trial in rows[:FIRST_ROWS] if trial.state == "complete"]
    lines = _trials_table(comparison, lead, rows, best or rows[:FIRST_ROWS], width)
    left = Counter(trial.state for trial in trials[len(rows) :])
    if left:
        states = ", ".join(f"{count} {state}" for state, count in left.items())
        lines.append(f"{left.total()} more ({states}): --all shows them")
    lines.append(f"one trial whole: {_how_to_see(comparison, trials[0])}")
    return "\n".join([lines[0], *(wrapped(line, width, "  ") for line in lines[1:])])


def front_text(comparison: Comparison, width: int, *, every_row: bool = False) -> str:
    """The trials that no other beats in everything."""
    spec, front = comparison.spec, comparison.front
    if not front:
        return "Pareto front: no trial has run all epochs"
    rows = front if every_row else front[:FIRST_ROWS]
    lead = {
        "trial": [str(trial.number) for trial in rows],
        stacked(spec.metric): [_value(trial) for trial in rows],
        **{
            stacked(name): [shown_cost(trial.costs[place]) for trial in rows]
            for place, name in enumerate(spec.minimize)
        },
    }
    title = "Pareto front: the complete trials that no other beats in everything"
    lines = _trials_table(comparison, lead, rows, rows[:FIRST_ROWS], width)
    if len(rows) < len(front):
        how = unbroken(f"hypersearch compare {spec.name} --all")
        lines.append(f"{len(front) - len(rows)} more: {how}")
    return "\n".join(
        [wrapped(title, width), lines[0], *(wrapped(line, width, "  ") for line in lines[1:])]
    )


def column_name(parameter: str) -> str:
    """Of what a branch brings, without the branch: of all learning rates a trial has one.

    >>> column_name("sgd.learning_rate"), column_name("augmentation.strength")
    ('learning_rate', 'augmentation.strength')
    """
    if parameter not in PARAMETERS or (parent := PARAMETERS[parameter].parent) is None:
        return parameter
    branch, _, name = parameter.partition(".")
    return name if branch in parent[1] else parameter


@dataclass(frozen=True)
class ParameterColumns:
    """What so many trials have of each parameter, in the order of the space."""

    alike: Mapping[str, str]
    # The values are in the order of the trials.
    differing: Mapping[str, Sequence[str]]


def settings_of(trials: Sequence[TrialRecord]) -> ParameterColumns:
    """By names of columns."""
    found = [
        {column_name(name): shown(value) for name, value in parameters(trial).items()}
        for trial in trials
    ]
    places: dict[str, int] = {}
    for trial in trials:
        for name in parameters(trial):
            column = column_name(name)
            place = _ORDER.get(name, len(_ORDER))
            places[column] = min(place, places.get(column, place))
    columns = {
        name: [each.get(name, ABSENT) for each in found]
        for name in sorted(places, key=lambda column: places[column])
    }
    alike = {name: cells[0] for name, cells in columns.items() if len(set(cells)) == 1}
    return ParameterColumns(
        alike, {name: cells for name, cells in columns.items() if name not in alike}
    )


def _trials_table(
    comparison: Comparison,
    lead: Mapping[str, Sequence[str]],
    rows: Sequence[TrialRecord],
    best: Sequence[TrialRecord],
    width: int,
) -> list[str]:
    """The table, then lines on what is not in it: what differs among the best is chosen by its
    importance, as far as there is room.
    """
    differing = settings_of(best).differing
    of_rows = settings_of(rows)
    cells = {name: of_rows.differing[name] for name in differing}
    room = width - sum(column_width(*column) + GAP for column in lead.items()) + GAP
    chosen = _fitting(cells, _unimportance(comparison, differing), room)
    columns = {**lead, **{stacked(name): cells[name] for name in cells if name in chosen}}
    lines = [table(list(columns), zip(*columns.values(), strict=True), width)]
    if left_out := [name for name in cells if name not in chosen]:
        lines.append(f"no room for what differs too: {', '.join(left_out)}")
    if alike := settings_of(best).alike:
        whom = "" if len(best) == 1 else f" of the first {len(best)} alike"
        told = ", ".join(f"{name} {value}" for name, value in alike.items())
        lines.append(f"parameters{whom}: {told}")
    return lines


def _fitting(
    cells: Mapping[str, Sequence[str]], unimportance: Mapping[str, tuple[float, int]], room: int
) -> set[str]:
    """The most important columns, as far as there is room; what a branch brings comes with the
    column that says which branch it is.
    """
    widths = {name: column_width(stacked(name), cells[name]) + GAP for name in cells}
    chosen: set[str] = set()
    for name in sorted(cells, key=unimportance.__getitem__):
        group = ({name} | (_branching(name) & cells.keys())) - chosen
        if (needed := sum(widths[each] for each in group)) <= room:
            chosen |= group
            room -= needed
    return chosen


def _branching(column: str) -> set[str]:
    """The parameters whose values bring what stands in the column."""
    parameters = (each for name, each in PARAMETERS.items() if column_name(name) == column)
    return {each.parent[0] for each in parameters if each.parent is not None}


def _unimportance(
    comparison: Comparison, columns: Mapping[str, Sequence[str]]
) -> dict[str, tuple[float, int]]:
    """A key by which the most important column is the first; where importances say nothing, one
    that few trials lack, then by the order of the columns.
    """
    shares: defaultdict[str, float] = defaultdict(float)
    if comparison.importances is not None:
        for name, share in comparison.importances.shares:
            shares[column_name(name)] += share
    return {name: (-shares[name], cells.count(ABSENT)) for name, cells in columns.items()}


def _value(trial: TrialRecord) -> str:
    return ABSENT if trial.value is None else f"{trial.value:.4f}"


def _how_to_see(comparison: Comparison, trial: TrialRecord) -> str:
    return unbroken(f"hypersearch compare {comparison.spec.name} --trial {trial.number}")
