"""What the database of a soak says, now and at its end; read by SQL of its own."""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, create_engine, make_url, text

Row = Mapping[str, str | int | float | None]
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mariadb": "mysql+pymysql"}
# All statements that follow see one moment.
BEGIN = {
    "sqlite": "BEGIN",
    "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "mysql": "START TRANSACTION WITH CONSISTENT SNAPSHOT",
}
STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass(frozen=True)
class TrialEvidence:
    """All rows of one trial."""

    number: int
    state: str
    values: tuple[float, ...]
    parameters: Mapping[str, str | int | float | bool]
    reports: Mapping[int, float]
    epochs: tuple[Row, ...]
    attempts: tuple[Row, ...]


@dataclass(frozen=True)
class Moment:
    """What one snapshot of a running study shows."""

    budget: int
    study_state: str
    # The states are trial_id -> (number, state).
    states: Mapping[int, tuple[int, str]]
    leased: int

    @property
    def finished(self) -> int:
        """What the budget counts."""
        return sum(state in ("COMPLETE", "PRUNED") for _, state in self.states.values())

    @property
    def running(self) -> int:
        """Trials that have not ended."""
        return sum(state not in STATES for _, state in self.states.values())


class Reader:
    """Reads one study.

    >>> reader = Reader("sqlite:////tmp/soak.db", "soak")     # doctest: +SKIP
    >>> with reader.snapshot() as connection: reader.moment(connection).finished
    """

    def __init__(self, url: str, study: str) -> None:
        parsed = make_url(url)
        self._engine = create_engine(
            parsed.set(drivername=DRIVERS[parsed.drivername]), isolation_level="AUTOCOMMIT"
        )
        self._study = study

    def close(self) -> None:
        """Leaves the database."""
        self._engine.dispose()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection whose statements all see the same moment."""
        with self._engine.connect() as connection:
            connection.exec_driver_sql(BEGIN[self._engine.dialect.name])
            try:
                yield connection
            finally:
                connection.exec_driver_sql("COMMIT")

    def moment(self, connection: Connection) -> Moment:
        """The study as it is."""
        study = connection.execute(
            text(
                "SELECT s.study_id, h.trials, h.state FROM hypersearch_study h "
                "JOIN studies s ON s.study_id = h.study_id WHERE s.study_name = :name"
            ),
            {"name": self._study},
        ).one()
        of_study = {"study": study.study_id}
        states = connection.execute(
            text("SELECT trial_id, number, state FROM trials WHERE study_id = :study"), of_study
        )
        leased = connection.execute(
            text(
                "SELECT COUNT(*) FROM hypersearch_lease l JOIN trials t ON t.trial_id = l.trial_id "
                "WHERE t.study_id = :study"
            ),
            of_study,
        )
        found = {trial_id: (number, state) for trial_id, number, state in states}
        return Moment(study.trials, study.state, found, leased.scalar_one())

    def trials(
        self, connection: Connection, wanted: Mapping[int, tuple[int, str]]
    ) -> dict[int, TrialEvidence]:
        """All rows of the trials that are asked for, by number."""
        if not wanted:
            return {}

        def rows(query: str) -> dict[int, list[Row]]:
            found: dict[int, list[Row]] = defaultdict(list)
            statement = text(query).bindparams(bindparam("ids", expanding=True))
            for row in connection.execute(statement, {"ids": list(wanted)}).mappings():
                found[row["trial_id"]].append(dict(row))
            return found

        values = rows(
            "SELECT trial_id, value FROM trial_values WHERE trial_id IN :ids ORDER BY objective"
        )
        parameters = rows("SELECT * FROM trial_params WHERE trial_id IN :ids ORDER BY param_name")
        reports = rows(
            "SELECT trial_id, step, intermediate_value FROM trial_intermediate_values WHERE"
            " trial_id IN :ids"
        )
        epochs = rows("SELECT * FROM hypersearch_epoch WHERE trial_id IN :ids ORDER BY epoch")
        attempts = rows("SELECT * FROM hypersearch_attempt WHERE trial_id IN :ids ORDER BY attempt")
        return {
            number: TrialEvidence(
                number=number,
                state=STATES.get(state, state),
                values=tuple(float(row["value"] or 0) for row in values[trial_id]),
                parameters={
                    str(row["param_name"]): _parameter(row) for row in parameters[trial_id]
                },
                reports={
                    int(row["step"] or 0): float(row["intermediate_value"] or 0)
                    for row in reports[trial_id]
                },
                epochs=tuple(epochs[trial_id]),
                attempts=tuple(attempts[trial_id]),
            )
            for trial_id, (number, state) in wanted.items()
        }


def _parameter(row: Row) -> str | int | float | bool:
    held = json.loads(str(row["distribution_json"]))
    value = float(row["param_value"] or 0)
    if held["name"] == "CategoricalDistribution":
        choice: str | int | float | bool = held["attributes"]["choices"][int(value)]
        return choice
    return int(value) if held["name"] == "IntDistribution" else value


class Watcher(threading.Thread):
    """Looks at the study several times a second, and keeps each trial as it was when first seen
    ended.

    >>> with Watcher(reader) as watcher: ...       # doctest: +SKIP
    >>> watcher.faults, watcher.looks, watcher.finished
    """

    def __init__(self, reader: Reader, every_seconds: float = 0.2) -> None:
        super().__init__(name="watcher", daemon=True)
        self._reader = reader
        self._every_seconds = every_seconds
        self._leave = threading.Event()
        self.finished = 0
        self.ended = False
        self.looks = 0
        self.faults: Counter[str] = Counter()
        self.seen: dict[int, TrialEvidence] = {}

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        self.join()

    def run(self) -> None:
        """Looks until the context is left."""
        while not self._leave.wait(self._every_seconds):
            self.look()

    def look(self) -> None:
        """One snapshot."""
        with self._reader.snapshot() as connection:
            moment = self._reader.moment(connection)
            new = {
                trial_id: (number, state)
                for trial_id, (number, state) in moment.states.items()
                if state in STATES and number not in self.seen
            }
            self.seen |= self._reader.trials(connection, new)
        self.looks += 1
        self.finished, self.ended = moment.finished, moment.study_state == "ended"
        if moment.finished + moment.leased > moment.budget:
            self.faults["a moment with more finished and leased trials than the budget"] += 1
        if moment.running != moment.leased:
            self.faults[
                "a moment with trials that run without a lease, or leases of ended trials"
            ] += 1
