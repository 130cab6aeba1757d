"""A document read as a spec, key by key, and judged as a whole."""

from collections.abc import Mapping, Sequence

from objectives.data.config import SPLIT_VERSIONS, DataConfig, groups_fault
from objectives.names import (
    COSTS,
    DATASETS,
    DECAY_SCOPES,
    IMAGES_PREFIX,
    METRIC_DIRECTIONS,
    PRECISIONS,
)
from search.space.domains import Choice, Limits
from search.space.flat import flat_domains
from search.space.parameters import switched
from search.space.search_space import SearchSpace
from search.spec.document import SpecError, Table, Toml, one_of
from search.spec.enumeration import uncounted
from search.spec.methods import (
    ASHA,
    CMAES,
    GP,
    QMC,
    RULES,
    SAMPLERS,
    STARTUPS,
    TPE,
    BruteForce,
    Comparing,
    Grid,
    Hyperband,
    Median,
    NoRule,
    Patient,
    Percentile,
    Pruner,
    Random,
    Rule,
    Sampler,
    Threshold,
)
from search.spec.space_table import read_space, read_trial
from search.spec.study_spec import (
    DEFAULT_STUDY,
    NAME_PATTERN,
    ModelConfig,
    StudySpec,
    TrainingConfig,
    _compares,
)
from search.spec.vain import former_names, said_in_vain
from storage.studies import Budget

# what patience may wrap
_WRAPPED = tuple(name for name in RULES if name not in ("none", "patient"))


_PERCENT = Limits(0.0, 100.0, low_open=True, high_open=True)


def parse_spec(
    document: Mapping[str, Toml], source: str = "spec", *, stored: bool = False
) -> StudySpec:
    """Validates a document as a whole.

    `stored`: a study of it is there, or may be, so what is in vain is let pass: a definition once
    stored goes on.

    Raises:
        SpecError: with every fault that was found.
    """
    faults: list[str] = []
    root = Table(document, "", faults)
    spec = read_spec(root)
    root.refuse_the_rest()
    if not faults and not stored:
        faults += [*said_in_vain(spec), *former_names(spec)]
    if faults:
        raise SpecError(source, faults)
    return spec


def read_spec(root: Table) -> StudySpec:
    """Reads every key of a document; what is wrong is noted in the table."""
    study, data = root.table("study"), root.table("data")
    training, model, constraints = (
        root.table("training"),
        root.table("model"),
        root.table("constraints"),
    )
    epochs = training.integer("epochs", 8, low=1)
    metric = study.option("metric", "accuracy", tuple(METRIC_DIRECTIONS))
    config = _read_data(data)
    space = read_space(root.table("space"), config.dataset)
    minimize = study.options("minimize", tuple(COSTS))
    spec = StudySpec(
        name=_read_name(study),
        seed=study.integer("seed", 0, low=0, high=2**32 - 1),
        metric=metric,
        budget=Budget(
            trials=study.integer("trials", 40, low=1),
            timeout_seconds=study.duration("timeout"),
            target=study.optional_number("target"),
        ),
        sampler=_read_sampler(study, space, minimize),
        pruner=_read_pruner(study, epochs, METRIC_DIRECTIONS[metric]),
        data=config,
        training=TrainingConfig(
            epochs=epochs,
            precision=training.option("precision", "float32", PRECISIONS),
            decay_scope=training.option("decay_scope", "weights", DECAY_SCOPES),
            timeout_seconds=training.duration("timeout"),
        ),
        model=ModelConfig(
            channels=model.integers("channels", (16, 32, 64), low=1),
            hidden_units=model.integer("hidden_units", 100, low=1),
        ),
        space=space,
        first_trials=tuple(read_trial(trial, space) for trial in root.tables("trial")),
        priority=study.integer("priority", 0, low=-1000, high=1000),
        minimize=minimize,
        constraints=tuple(
            (name, bound) for name in COSTS if (bound := _read_bound(constraints, name)) is not None
        ),
    )
    for table in (study, data, training, model, constraints):
        table.refuse_the_rest()
    return spec


def _read_name(study: "Table") -> str:
    name = study.string("name", DEFAULT_STUDY)
    if NAME_PATTERN.fullmatch(name) is None:
        study.fault(
            "name",
            name,
            "use 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit",
        )
    return name


def _read_data(data: "Table") -> DataConfig:
    dataset = data.string("dataset", "mnist-5k")
    if dataset.startswith(IMAGES_PREFIX):
        if dataset == IMAGES_PREFIX:
            data.fault("dataset", dataset, f"name the folder, {IMAGES_PREFIX}FOLDER")
        elif not _is_utf8(dataset):
            data.fault(
                "dataset",
                dataset,
                "the folder's name is not in UTF-8: rename it, or use a UTF-8 locale",
            )
    elif dataset not in DATASETS:
        data.fault("dataset", dataset, f"{one_of(dataset, DATASETS)}, or {IMAGES_PREFIX}FOLDER")
    is_folder = dataset.startswith(IMAGES_PREFIX)
    image_size = data.optional_integer("image_size", low=1, high=4096)
    split_version = data.optional_integer(
        "split_version", low=SPLIT_VERSIONS[0], high=SPLIT_VERSIONS[-1]
    )
    groups = _read_groups(data)
    for name, value in (
        ("image_size", image_size),
        ("split_version", split_version),
        ("groups", groups),
    ):
        if value is not None and not is_folder:
            data.fault(name, value, f"goes with {IMAGES_PREFIX}FOLDER alone: leave it out")
    if is_folder and groups is not None and split_version == 1:
        data.fault("split_version", 1, "knows no groups: leave it out, or groups")
    validation_fraction = data.number(
        "validation_fraction", 0.2, Limits(0.0, 1.0, low_open=True, high_open=True)
    )
    split_seed = data.integer("split_seed", 0, low=0, high=2**32 - 1)
    if not is_folder or data.faults:
        return DataConfig(dataset, validation_fraction, split_seed)
    return DataConfig(
        dataset,
        validation_fraction,
        split_seed,
        image_size,
        split_version or SPLIT_VERSIONS[-1],
        groups,
    )


def _read_groups(data: "Table") -> str | None:
    groups = data.optional_string("groups")
    if groups is not None and (fault := groups_fault(groups)) is not None:
        data.fault("groups", groups, fault)
        return None
    return groups


def _is_utf8(text: str) -> bool:
    # Arguments of the command line may be any bytes, of which Python makes surrogates.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_bound(constraints: "Table", name: str) -> float | None:
    bound = constraints.optional_number(name)
    if bound is not None and bound <= 0:
        constraints.fault(name, bound, "must be above 0: every network costs something")
    return None if bound is None else float(bound)


def _read_sampler(study: "Table", space: SearchSpace, minimize: tuple[str, ...]) -> Sampler:
    name, options = study.method("sampler", "tpe", tuple(SAMPLERS))
    faults = len(study.faults)
    sampler: Sampler
    match name:
        case "random":
            sampler = Random()
        case "gp":
            sampler = GP(
                startup_trials=options.integer("startup_trials", GP.startup_trials, low=0),
                startup=options.option("startup", GP.startup, STARTUPS),
            )
        case "qmc":
            sampler = QMC()
        case "cmaes":
            sampler = CMAES()
        case "grid":
            sampler = Grid(points=options.optional_integer("points", low=2, high=1000))
        case "brute_force":
            sampler = BruteForce()
        case _:
            sampler = TPE(
                startup_trials=options.integer("startup_trials", TPE.startup_trials, low=0),
                startup=options.option("startup", TPE.startup, STARTUPS),
            )
    options.refuse_the_rest()
    if minimize and isinstance(sampler, GP | CMAES):
        study.fault("sampler", name, "searches one objective: use tpe, or leave minimize out")
    if len(study.faults) == faults and (mend := _cannot_sample(sampler, space)) is not None:
        study.fault("sampler", name, mend)
    return sampler


def _cannot_sample(sampler: Sampler, space: SearchSpace) -> str | None:
    """Why the sampler cannot search the space, and what to do."""
    if isinstance(sampler, Grid | BruteForce) and (ranges := uncounted(space, sampler.points)):
        instead = ', or sampler = { name = "grid", points = 3 }'
        return f"cannot count a range: give lists of values for {_some(ranges)}{instead}"
    if not isinstance(sampler, CMAES):
        return None
    flat = flat_domains(space)
    choices = [
        name if (strength := switched(name)) is None else strength.name
        for name, domain in flat.items()
        if isinstance(domain, Choice)
    ]
    if choices:
        return f"searches ranges that every trial has: pin {_some(choices)}, or use tpe or gp"
    return None if flat else "has nothing to search: give a parameter a range"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _read_pruner(study: "Table", epochs: int, direction: str) -> Pruner:
    name, options = study.method("pruner", "asha", tuple(RULES))
    rule = _read_rule(name, options, epochs, direction)
    pruner = Pruner(
        rule,
        audit=(
            0.0
            if isinstance(rule, NoRule)
            else options.number("audit", Pruner.audit, Limits(0.0, 1.0))
        ),
        like_with_like=_compares(rule) and options.boolean("like_with_like", Pruner.like_with_like),
    )
    options.refuse_the_rest()
    return pruner


def _read_rule(name: str, options: "Table", epochs: int, direction: str) -> Rule:
    # Part of the run before the first judgement: schedules and penalties have shown little before.
    # asha is right with less, as it stops no more than the worse half then.
    quarter, eighth = max(1, round(epochs / 4)), max(1, round(epochs / 8))
    match name:
        case "none":
            return NoRule()
        case "median":
            return Median(
                startup_trials=options.integer("startup_trials", Median.startup_trials, low=0),
                min_epochs=options.integer("min_epochs", quarter, low=1),
            )
        case "percentile":
            return Percentile(
                percentile=options.number("percentile", Percentile.percentile, _PERCENT),
                startup_trials=options.integer("startup_trials", Percentile.startup_trials, low=0),
                min_epochs=options.integer("min_epochs", quarter, low=1),
            )
        case "hyperband":
            return Hyperband(
                min_epochs=options.integer("min_epochs", Hyperband.min_epochs, low=1),
                reduction_factor=options.integer(
                    "reduction_factor", Hyperband.reduction_factor, low=2
                ),
            )
        case "threshold":
            return _read_threshold(options, quarter, direction)
        case "patient":
            inner_name, inner_options = options.method("of", "median", _WRAPPED)
            inner = _read_rule(inner_name, inner_options, epochs, direction)
            inner_options.refuse_the_rest()
            assert isinstance(inner, Comparing | Threshold)
            return Patient(patience=options.integer("patience", quarter, low=1), of=inner)
        case _:
            return ASHA(
                min_epochs=options.integer("min_epochs", eighth, low=1),
                reduction_factor=options.integer("reduction_factor", ASHA.reduction_factor, low=2),
            )


def _read_threshold(options: "Table", min_epochs: int, direction: str) -> Threshold:
    lower, upper = options.optional_number("lower"), options.optional_number("upper")
    needed, other = ("lower", "upper") if direction == "maximize" else ("upper", "lower")
    bound, wrong = (lower, upper) if direction == "maximize" else (upper, lower)
    if wrong is not None:
        options.fault(other, wrong, f"would stop the best trials: this metric needs {needed}")
    elif bound is None:
        options.fault(
            "name", "threshold", f"needs {needed}, the value beyond which a trial is stopped"
        )
    return Threshold(lower, upper, options.integer("min_epochs", min_epochs, low=1))
