"""Answers as JSON documents for scripts."""

import json
import math
from collections.abc import Mapping, Sequence

from search.analysis.comparison import Comparison, parameters
from search.analysis.importance import Importances
from search.analysis.pruning import PruningRecord
from search.analysis.status import Status
from search.spec.techniques import Technique, default_of, exists_under
from storage.records import StudyRecord, TrialRecord

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]


def to_json(document: Json) -> str:
    """One JSON document; numbers that JSON has no word for are null."""
    return json.dumps(finite(document), indent=2, allow_nan=False)


def finite(document: Json) -> Json:
    """The document with `None` in the place of every number that is not finite."""
    if isinstance(document, float):
        return document if math.isfinite(document) else None
    if isinstance(document, Mapping):
        return {name: finite(value) for name, value in document.items()}
    if isinstance(document, Sequence) and not isinstance(document, str):
        return [finite(value) for value in document]
    return document


def list_document(records: Sequence[StudyRecord]) -> Json:
    """`list --json`."""
    return [
        {
            "study": record.stored.name,
            "state": record.stored.state,
            "finished": record.finished,
            "trials": record.stored.budget.trials,
        }
        for record in records
    ]


def status_document(status: Status) -> Json:
    """`status --json`."""
    record = status.record
    return {
        "study": record.stored.name,
        "state": record.stored.state,
        "end_reason": record.stored.end_reason,
        "trials": record.stored.budget.trials,
        "finished": record.finished,
        "complete": record.complete,
        "pruned": record.pruned,
        "failed": record.failed,
        "running": [
            {
                "number": trial.number,
                "worker": trial.worker,
                "host": trial.host,
                "device": trial.device,
                "epoch": trial.epoch,
                "seconds_since_sign_of_life": trial.seconds_since_sign_of_life,
            }
            for trial in status.running
        ],
        "workers": [
            {
                "worker": worker.worker,
                "host": worker.host,
                "pid": worker.pid,
                "device": worker.device,
                "threads": worker.threads,
                "seconds_alive": worker.alive_seconds,
                "study": worker.study,
                "trial": worker.number,
            }
            for worker in status.workers
        ],
        "incumbent": incumbent_document(status.incumbent),
        "trials_per_hour": status.trials_per_hour,
        "seconds_to_go": status.seconds_to_go,
    }


def incumbent_document(trial: TrialRecord | None) -> Json:
    """The best complete trial so far."""
    if trial is None:
        return None
    return {"number": trial.number, "value": trial.value, "params": dict(parameters(trial))}


def compare_document(comparison: Comparison, *, timings: bool) -> dict[str, Json]:
    """`compare --json`: without `timings` nothing in it depends on when and where the study ran."""
    techniques: dict[str, dict[str, Json]] = {}
    for effect in comparison.effects:
        techniques.setdefault(effect.technique, {})[effect.value] = {
            "count": effect.finished,
            "complete": effect.complete,
            "best": effect.best,
            "median": effect.median,
        }
    return {
        "study": comparison.spec.name,
        "metric": comparison.spec.metric,
        "direction": comparison.spec.direction,
        "data_fingerprint": comparison.record.stored.data_fingerprint,
        "minimize": list(comparison.spec.minimize),
        "front": [trial.number for trial in comparison.front],
        "trials": [
            trial_document(trial, timings, comparison.spec.minimize) for trial in comparison.trials
        ],
        "techniques": techniques,
        "importances": _importances_document(comparison.importances),
        "pruning": (
            None if comparison.pruning is None else _pruning_document(comparison.pruning, timings)
        ),
    }


def _importances_document(found: Importances | None) -> Json:
    return None if found is None else {name: round(share, 6) for name, share in found.shares}


def _pruning_document(pruning: PruningRecord, timings: bool) -> Json:
    document: dict[str, Json] = {
        "pruner": pruning.pruner,
        "stopped": pruning.stopped,
        "epochs": pruning.epochs,
        "epochs_saved": pruning.epochs_saved,
        "share_saved": pruning.share_saved,
        "audited": pruning.audited,
        "audited_better": pruning.better,
        "better_share_bound": pruning.bound,
        "few_audits": pruning.has_few_audits,
    }
    if timings:
        document["seconds_saved"] = pruning.seconds_saved
    return document


def trial_document(
    trial: TrialRecord, timings: bool, minimize: Sequence[str] = ()
) -> dict[str, Json]:
    """One trial of `compare --json`; `minimize` names its costs."""
    document: dict[str, Json] = {
        "number": trial.number,
        "state": trial.state,
        "value": trial.value,
        "params": dict(parameters(trial)),
        "epochs": len(trial.epochs),
        "validation_loss": trial.validation_loss,
        "reason": trial.reason,
        "data_fingerprint": trial.data_fingerprint,
    }
    if minimize:
        # A trial that has not ended has none.
        document["costs"] = dict(zip(minimize, trial.costs, strict=False))
    last = trial.epochs[-1] if trial.epochs else None
    if last is not None and last.generalization_gap is not None:
        document["generalization_gap"] = last.generalization_gap
    if timings:
        document["seconds"] = sum(epoch.seconds for epoch in trial.epochs)
        document["images_per_second"] = None if last is None else last.images_per_second
        document |= {"device": trial.device, "threads": trial.threads, "piece": trial.piece}
    return document


def techniques_document(techniques: Sequence[Technique]) -> Json:
    """`techniques --json`."""
    return [
        {
            "technique": technique.name,
            "neutral": technique.neutral,
            "meaning": technique.meaning,
            "options": [
                {"name": option.name, "formula": option.formula, "source": option.source}
                for option in technique.options
            ],
            "hyperparameters": [
                {
                    "name": parameter.name,
                    "default": default_of(parameter),
                    "neutral": parameter.off,
                    "exists_under": exists_under(parameter),
                }
                for parameter in technique.parameters
            ],
        }
        for technique in techniques
    ]
