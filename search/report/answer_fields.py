"""What stands in `confirm --json`, `ablate --json` and `reproduce --json`: by key, its type and
meaning. A list's items are written `key[]`, and what a document may lack has `null` among its
types.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from search.analysis.judged import Judged
from search.report.documents import Json

Fields = Mapping[str, tuple[str, str]]

COMMON: Fields = {
    "study": ("string", "The follow-up's name."),
    "parent": ("string", "The study that it follows up."),
    "metric": ("string", "The study's metric; values of it are fractions, of a loss nats."),
    "state": ("string", "open, paused or ended."),
    "trainings": ("integer", "Trainings that have finished."),
    "planned": ("integer", "Trainings that the whole takes, of an ablation at most."),
    "goes_on_from": (
        "string or null",
        "The follow-up of fewer seeds whose trainings it has taken over.",
    ),
}
RUNS: Fields = {
    "runs[]": ("object", "With `--timings`: each training."),
    "runs[].arm": ("string", "Which configuration it is of."),
    "runs[].purpose": ("string", "tune (finds a learning rate), judge or test."),
    "runs[].seed_index": ("integer", "The same index is the same seed in every arm."),
    "runs[].fold": ("object or null", "It is judged on this one; null: on the search's images."),
    "runs[].fold.shuffle": ("integer", "Which division into folds it is of, from 0."),
    "runs[].fold.number": ("integer", "From 1; the search is judged on 0."),
    "runs[].state": ("string or null", "complete or pruned (diverged); null: not finished."),
    "runs[].seconds": ("number or null", "Of its epochs."),
    "runs[].device": ("string or null", "Where it was trained."),
    "runs[].threads": ("integer or null", "With so many threads."),
    "runs[].started": ("integer or null", "UTC, milliseconds since 1970."),
    "runs[].ended": ("integer or null", "UTC, milliseconds since 1970."),
}
ENDS = "Lower and upper end of the 95 % interval"
CONFIRM: Fields = {
    **COMMON,
    "direction": ("string", "maximize or minimize."),
    "end_reason": ("string or null", "Why it has ended."),
    "seeds": ("integer", "Fresh seeds for each configuration."),
    "images": ("integer", "Of the validation split; with `--resplit` of all its folds that judge."),
    "folds": (
        "integer or null",
        "With `--resplit`: `data.folds`, of which each seed is judged on another one, so that"
        " intervals include the split; null: all are judged on the search's validation split.",
    ),
    "notes[]": ("string", "What of the search bears on the answer."),
    "configurations[]": ("object", "Each judged configuration, the baseline last."),
    "configurations[].arm": ("string", "`trial 9`, `neutral` or `pretrained`."),
    "configurations[].trial": (
        "integer or null",
        "The parent's trial; null: the neutral or the pretrained baseline.",
    ),
    "configurations[].search_value": ("number or null", "What the search said of it."),
    "configurations[].values[]": ("number", "By fresh seed, of the runs that did not diverge."),
    "configurations[].mean": ("number or null", "Of these."),
    "configurations[].these_images[]": (
        "number",
        f"{ENDS} for the mean on these images; null in its place where there is none, as with"
        " `--resplit`.",
    ),
    "configurations[].new_images[]": ("number", f"{ENDS} for the mean on new images; or null."),
    "configurations[].diverged": ("integer", "Runs that diverged."),
    "configurations[].may_be_best": (
        "boolean",
        "Among those of which one is the best (95 %); never a pretrained baseline.",
    ),
    "configurations[].is_choice": ("boolean", "It was chosen."),
    "configurations[].is_baseline": ("boolean", "It is what the choice is compared with."),
    "configurations[].params": (
        "object",
        "Active parameters, by their names in the spec; of a pretrained baseline its backbone and"
        " the SHA-256 of its weights.",
    ),
    "choice": ("integer or null", "The chosen trial; null: none yet, or the neutral baseline."),
    "choice_arm": ("string or null", "The same by its arm; null: none yet."),
    "pretrained": ("object or null", "With `--baseline pretrained`: what the choice is beside it."),
    "pretrained.backbone": ("string", "The network whose features it takes."),
    "pretrained.weights_sha256": ("string", "Of the file of that network's weights."),
    "pretrained.difference": (
        "number or null",
        "The choice's mean less the baseline's, on the validation images; null: not yet.",
    ),
    "pretrained.new_images[]": ("number", f"{ENDS} for it on new images; or null."),
    "visible_difference": ("object or null", "The smallest that would mostly be seen."),
    "visible_difference.now": ("number", "With so many seeds and images."),
    "visible_difference.more_seeds": ("number", "With any number of seeds."),
    "seed_luck": (
        "object or null",
        "By how much the search's best value exceeds its fresh mean; with `--resplit` by its images"
        " too.",
    ),
    "seed_luck.trial": ("integer", "The search's best trial."),
    "seed_luck.value": ("number", "The excess."),
    "seed_luck.interval[]": ("number", f"{ENDS}; or null."),
    "test": ("object or null", "What the test split says; null: it has not been read."),
    "test.reading": ("integer", "Which reading of this split in this storage it is, from 1."),
    "test.images": ("integer", "Of the test split."),
    "test.mean": ("number", "Of the choice, over seeds that took no part in it."),
    "test.new_images[]": ("number", f"{ENDS} for it on new images; or null."),
    "test.baseline_mean": ("number or null", "Of the baseline."),
    "test.difference": ("number or null", "The choice's mean less the baseline's."),
    "test.difference_new_images[]": ("number", f"{ENDS} for it; or null."),
    "test.split_luck": (
        "number or null",
        "Validation less test, of the same networks; null with `--resplit`.",
    ),
    "test.split_luck_interval[]": ("number", f"{ENDS}; or null."),
    **RUNS,
}
ABLATE: Fields = {
    **{key: field for key, field in COMMON.items() if key != "goes_on_from"},
    "direction": ("string", "maximize or minimize."),
    "end_reason": ("string or null", "Why it has ended."),
    "trial": ("integer", "The parent's trial whose techniques are judged."),
    "looks[]": ("integer", "Seeds of each arm at each look."),
    "looks_over": ("integer", "Looks whose trainings are all there."),
    "images": ("integer", "Of the validation split."),
    "epochs": ("integer", "Of every training, with and without: no technique costs epochs."),
    "reference_mean": ("number or null", "Of the trial's configuration."),
    "left_out[]": ("string", "Techniques of the space that no complete trial has used."),
    "techniques[]": ("object", "Each technique that is judged."),
    "techniques[].technique": ("string", "Its name."),
    "techniques[].value": ("string", "What it is, where it is there."),
    "techniques[].used": ("boolean", "The trial uses it, and its arm is without it."),
    "techniques[].effect": ("number or null", "The metric with it less the metric without it."),
    "techniques[].interval[]": ("number", f"{ENDS} for the effect; or null."),
    "techniques[].verdict": (
        "string or null",
        "helps, hurts, not told or diverged; null: not yet.",
    ),
    "techniques[].seeds": ("integer", "Of its arm, at the look that judged it last."),
    "techniques[].diverged": ("integer", "Runs of its arm that diverged."),
    "techniques[].learning_rate_factor": ("number", "Of its arm, to the trial's rate."),
    "visible_effect[]": ("object", "By look: the smallest effect that would mostly be told."),
    "visible_effect[].seeds": ("integer", "Of that look."),
    "visible_effect[].effect": ("number", "That size."),
    **RUNS,
}
REPRODUCE: Fields = {
    **COMMON,
    "trial": ("integer", "The parent's trial that was trained again."),
    "verdict": (
        "string or null",
        "identical, rounding, not shown to differ or different; null: not yet.",
    ),
    "difference": ("number or null", "The recorded value less the new one."),
    "explained[]": ("number", "The least and the largest difference that seeds explain; or null."),
    "differing_images": ("integer or null", "Images that are classified otherwise."),
    "has_predictions": ("boolean", "The recorded trial kept its predictions."),
    "changes": ("object", "What differs of device, threads, piece and versions: was and is."),
    "fresh_mean": ("number or null", "Of the fresh seeds, where they are two or more."),
    "fresh_runs": ("integer", "Fresh seeds that have finished."),
    **RUNS,
}
DOCUMENTS: Mapping[str, Fields] = {"confirm": CONFIRM, "ablate": ABLATE, "reproduce": REPRODUCE}


def runs_document(judged: Sequence[Judged]) -> Json:
    """What `--timings` adds: when and where each training was computed."""
    return [
        {
            "arm": each.training.arm,
            "purpose": each.training.purpose,
            "seed_index": each.training.seed_index,
            "fold": None if each.training.fold is None else asdict(each.training.fold),
            "state": None if each.trial is None else each.trial.state,
            "seconds": None
            if each.trial is None
            else sum(epoch.seconds for epoch in each.trial.epochs),
            "device": None if each.trial is None else each.trial.device,
            "threads": None if each.trial is None else each.trial.threads,
            "started": None if each.trial is None else each.trial.started_ms,
            "ended": None if each.trial is None else each.trial.ended_ms,
        }
        for each in judged
    ]
