"""Why a study has ended, and what lets it go on: for people."""

from search.spec.durations import duration
from search.spec.study_spec import StudySpec
from storage.studies import StoredStudy

END_REASONS = {
    "trials": "its budget of trials is used up",
    "timeout": "its time is up",
    "target": "its target is reached",
    "failures": "too many trials failed",
    "stopped": "it was stopped",
    "exhausted": "every configuration has been run",
}


def why_it_stays_ended(stored: StoredStudy, spec: StudySpec) -> str:
    """Of a study that has ended: the reason, and the mend."""
    budget, command = stored.budget, how_to_go_on(stored)
    match stored.end_reason:
        case "timeout":
            return (
                f"its time of {duration(budget.timeout_seconds or 0)} is used up; --timeout raises"
                f" it: {command}"
            )
        case "target":
            way = "raises" if spec.direction.is_up else "lowers"
            return f"its target of {budget.target:g} is reached; --target {way} it: {command}"
        case "trials":
            return f"its budget of {budget.trials} trials is used up; --trials raises it: {command}"
        case "stopped":
            return f"it was stopped; --trials, more than {budget.trials}, lets it go on: {command}"
        case "exhausted":
            return (
                "every configuration has been run; search another space under another name with"
                " --study"
            )
        case _:
            return "too many trials failed; mend that and run it under another name with --study"


def how_to_go_on(stored: StoredStudy) -> str | None:
    """The command that lets a study go on beyond its budget; `None` where none does."""
    run, budget = f"hypersearch run --study {stored.name}", stored.budget
    match stored.end_reason:
        case "timeout":
            return f"{run} --timeout {duration(max(1.0, 2 * (budget.timeout_seconds or 0)))}"
        case "target":
            return f"{run} --target T"
        case "exhausted" | "failures":
            return None
        case _:
            return f"{run} --trials {2 * budget.trials}"
