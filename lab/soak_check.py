"""What the database, the journals and the files of a soak must say together."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.soak_reading import STATES, Moment, Reader, Row, TrialEvidence
from lab.soak_worker import Line, Value, read_journal
from objectives.measurement import Measurement
from objectives.synthetic import synthetic_curve
from search.algorithms.samplers import trial_seed
from search.space.configuration import Configuration
from search.spec.study_spec import StudySpec

# An epoch has these columns beside its metrics.
OF_MEASUREMENT = ("trial_id", "attempt", "checkpoint", "checkpoint_sha256")


@dataclass(frozen=True)
class Evidence:
    """All that is left of a run."""

    spec: StudySpec
    moment: Moment
    trials: Mapping[int, TrialEvidence]
    # The journals are None where the workers wrote none.
    journals: Sequence[Sequence[Line]] | None
    # Checkpoints left these.
    files: Sequence[Path]
    # At least so long lies between two checkpoints that were written.
    checkpoint_seconds: float
    # The trials are as they were when they ended.
    seen: Mapping[int, TrialEvidence] = field(default_factory=dict)
    # At these moments all workers went on after all had been frozen at once.
    thaws_ms: Sequence[int] = ()
    # So long after each thaw nobody who is alive may lose a trial.
    quiet_ms: int = 0


def gather(
    reader: Reader,
    spec: StudySpec,
    journals: Path | None,
    checkpoint_root: Path,
    checkpoint_seconds: float,
) -> Evidence:
    """Reads what a run has left."""
    with reader.snapshot() as connection:
        moment = reader.moment(connection)
        trials = reader.trials(connection, moment.states)
    return Evidence(
        spec,
        moment,
        trials,
        None
        if journals is None
        else [read_journal(path) for path in sorted(journals.glob("*.jsonl"))],
        [path for path in checkpoint_root.rglob("*") if path.is_file()],
        checkpoint_seconds,
    )


def faults(evidence: Evidence) -> list[str]:
    """Every violation, in words; empty where all claims hold."""
    found = list(_of_the_end(evidence))
    if evidence.journals is not None:
        found += _of_journals(evidence, evidence.journals)
    for trial in evidence.trials.values():
        of_trial = [
            *_of_attempts(trial),
            *_of_curve(trial, evidence.spec, evidence.checkpoint_seconds),
        ]
        found += [f"trial {trial.number}: {fault}" for fault in of_trial]
    return found


def _of_the_end(evidence: Evidence) -> Iterator[str]:
    moment = evidence.moment
    if moment.finished != moment.budget:
        yield f"{moment.finished} trials are finished, the budget is {moment.budget}"
    if moment.study_state != "ended":
        yield f"the study is {moment.study_state}"
    if moment.running or moment.leased:
        yield f"{moment.running} trials are running or waiting, {moment.leased} are leased"
    numbers = sorted(number for number, _ in moment.states.values())
    if numbers != list(range(len(numbers))):
        yield "the numbers of the trials have gaps or repetitions"
    for number, trial in evidence.seen.items():
        if trial != evidence.trials.get(number):
            yield f"trial {number} has changed after it had ended"
    if evidence.files:
        yield (
            f"{len(evidence.files)} files of checkpoints are left, {evidence.files[0].name} the"
            " first"
        )
    for thaw_ms in evidence.thaws_ms:
        lost = sum(
            row["reason"] == "no sign of life"
            and 0 <= int(row["ended_ms"] or 0) - thaw_ms <= evidence.quiet_ms
            for trial in evidence.trials.values()
            for row in trial.attempts
        )
        if lost:
            yield f"{lost} trials were taken from the living after all had been frozen at once"


def _of_attempts(trial: TrialEvidence) -> Iterator[str]:
    if [row["attempt"] for row in trial.attempts] != list(range(1, len(trial.attempts) + 1)):
        yield "its attempts have gaps"
    for row in trial.attempts:
        last = row["attempt"] == len(trial.attempts)
        expected = (trial.state,) if last else ("lost", "handed_back")
        if row["outcome"] not in expected:
            yield f"attempt {row['attempt']} is {row['outcome']}, not {' or '.join(expected)}"
        if row["ended_ms"] is None or not row["owner"] or not row["host"]:
            yield f"attempt {row['attempt']} lacks its end, its owner or its host"
        if row["outcome"] == "lost" and not row["reason"]:
            yield f"attempt {row['attempt']} was lost without a reason"
        if row["outcome"] == "failed" and not str(row["reason"]).startswith("given up: "):
            yield f"it failed: {row['reason']}"


def _of_curve(trial: TrialEvidence, spec: StudySpec, checkpoint_seconds: float) -> Iterator[str]:
    if not trial.parameters:
        if trial.state != "failed" or trial.epochs or trial.reports:
            yield "it has no parameters"
        return
    count, epochs = len(trial.epochs), spec.training.epochs
    if [row["epoch"] for row in trial.epochs] != list(range(1, count + 1)):
        yield f"it has the epochs {[row['epoch'] for row in trial.epochs]}"
        return
    yield from _of_owners(trial)
    again = _trained_again(trial, spec)
    yield from _of_epochs(trial, again, checkpoint_seconds)
    reports = {measurement.epoch: measurement.metric(spec.metric) for measurement, _ in again}
    if trial.reports != reports:
        yield f"its intermediate values are not those of its {count} epochs"
    if trial.state in ("complete", "pruned") and trial.values != (reports.get(count),):
        yield f"its value {trial.values} is not that of its last epoch"
    if (trial.state == "complete" and count != epochs) or (
        trial.state == "pruned" and not 0 < count < epochs
    ):
        yield f"it is {trial.state} after {count} epochs"


def _of_owners(trial: TrialEvidence) -> Iterator[str]:
    by_attempt = [int(row["attempt"] or 0) for row in trial.epochs]
    if by_attempt != sorted(by_attempt) or (by_attempt and by_attempt[-1] > len(trial.attempts)):
        yield f"its epochs are of the attempts {by_attempt}"
    handed_back = {row["attempt"] for row in trial.attempts if row["outcome"] == "handed_back"}
    last_rows = {row["attempt"]: row for row in trial.epochs}
    for number in handed_back & last_rows.keys():
        if last_rows[number]["checkpoint"] is None:
            yield (
                f"it was handed back after epoch {last_rows[number]['epoch']}, which names no"
                " checkpoint"
            )


def _trained_again(trial: TrialEvidence, spec: StudySpec) -> list[tuple[Measurement, str]]:
    """The curve is a function of parameters and seed: each recorded epoch is computed again, with
    the SHA-256 of its checkpoint.
    """
    curve = synthetic_curve(
        Configuration(trial.parameters).hyperparameters(),
        spec.training.epochs,
        trial_seed(spec.seed, trial.number, "trial"),
    )
    return [
        (measurement, hashlib.sha256(curve.checkpoint()).hexdigest())
        for _, measurement in zip(trial.epochs, curve, strict=False)
    ]


def _of_epochs(
    trial: TrialEvidence, again: Sequence[tuple[Measurement, str]], checkpoint_seconds: float
) -> Iterator[str]:
    for row, (measurement, sha256) in zip(trial.epochs, again, strict=False):
        if {key: value for key, value in row.items() if key not in OF_MEASUREMENT} != asdict(
            measurement
        ):
            yield f"epoch {measurement.epoch} is not what its parameters give"
        saved = (f"{row['attempt']}-{row['epoch']}.ckpt", sha256)
        named = (row["checkpoint"], row["checkpoint_sha256"])
        if named != saved and (named != (None, None) or checkpoint_seconds == 0):
            yield f"epoch {measurement.epoch} names another checkpoint, or none"


def _of_journals(evidence: Evidence, journals: Sequence[Sequence[Line]]) -> Iterator[str]:
    attempts = {
        (trial.number, row["attempt"]): row
        for trial in evidence.trials.values()
        for row in trial.attempts
    }
    hosts: dict[Value, Value] = {}
    acknowledged: Counter[int] = Counter()
    started: Counter[tuple[int, int]] = Counter()
    for journal in journals:
        owner, host = _worker(journal)
        hosts[owner] = host
        for line in journal[1:]:
            number, attempt = line["number"], line["attempt"]
            assert isinstance(number, int)
            assert isinstance(attempt, int)
            row, trial = attempts.get((number, attempt)), evidence.trials.get(number)
            if row is None or trial is None or row["owner"] != owner:
                yield (
                    f"attempt {attempt} at trial {number} was {line['what']} by one who is not"
                    " recorded as its owner"
                )
                continue
            started[number, attempt] += line["what"] == "started"
            acknowledged[number] += line["what"] == "acknowledged"
            yield from _of_line(line, row, trial)
    yield from (
        f"trial {number} was acknowledged {n} times" for number, n in acknowledged.items() if n > 1
    )
    yield from (
        f"attempt {key[1]} at trial {key[0]} was started {n} times"
        for key, n in started.items()
        if n > 1
    )
    for (number, attempt), row in attempts.items():
        if hosts.get(row["owner"]) != row["host"]:
            yield f"attempt {attempt} at trial {number} has an owner or host that no journal knows"


def _of_line(line: Line, row: Row, trial: TrialEvidence) -> Iterator[str]:
    """One line of a worker's journal, and what is recorded of its trial and its attempt."""
    number, attempt = line["number"], line["attempt"]
    if line["what"] == "refused" and row["outcome"] in STATES.values():
        yield (
            f"attempt {attempt} at trial {number} is {row['outcome']}, and its worker was refused"
        )
    if line.get("parameters") and line["parameters"] != _without_switches(trial):
        yield f"trial {number} had other parameters in attempt {attempt} than it has now"
    if line["what"] == "acknowledged":
        now = trial.state, (trial.values[0] if trial.values else None), row["outcome"]
        if now != (line["outcome"], line["value"], line["outcome"]):
            yield (
                f"trial {number} was acknowledged as {line['outcome']}, {line['value']}; it is"
                f" {now}"
            )


def _worker(journal: Sequence[Line]) -> tuple[Value, Value]:
    """Owner and host of a journal; a process that was killed before it said so has none."""
    if not journal:
        return None, None
    owner, host = journal[0]["owner"], journal[0]["host"]
    assert isinstance(owner, str)
    assert isinstance(host, str)
    return owner, host


def _without_switches(trial: TrialEvidence) -> dict[str, Value]:
    return {name: value for name, value in trial.parameters.items() if not name.endswith(".on")}


def tally(evidence: Evidence) -> dict[str, Counter[str]]:
    """How trials and attempts ended, why attempts were lost, and what the journals say."""
    rows = [row for trial in evidence.trials.values() for row in trial.attempts]
    lines: Iterable[Line] = (line for journal in evidence.journals or () for line in journal[1:])
    return {
        "trials": Counter(trial.state for trial in evidence.trials.values()),
        "attempts": Counter(str(row["outcome"]) for row in rows),
        "lost": Counter(
            str(row["reason"]).partition(":")[0] for row in rows if row["outcome"] == "lost"
        ),
        "journals": Counter(str(line["what"]) for line in lines),
    }
