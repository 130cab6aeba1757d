"""A document read as a spec, key by key, and judged as a whole."""

from collections.abc import Mapping

from models.names import BLOCKS, HEADS
from objectives.architecture import ModelConfig
from objectives.data.config import (
    DEFAULT_VALIDATION_FRACTION,
    FEWEST_FOLDS,
    MOST_FOLDS,
    SPLIT_VERSIONS,
    DataConfig,
    groups_fault,
)
from objectives.names import (
    COSTS,
    DATASETS,
    DECAY_SCOPES,
    IMAGES_PREFIX,
    METRIC_DIRECTIONS,
    PRECISIONS,
    RESIZES,
)
from search.space.domains import Limits
from search.spec.document import SpecError, Table, Toml, one_of
from search.spec.follow_up import is_follow_up_name
from search.spec.method_tables import read_pruner, read_sampler
from search.spec.options import Setting
from search.spec.space_table import read_space, read_trial
from search.spec.study_spec import (
    DEFAULT_STUDY,
    NAME_PATTERN,
    StudySpec,
    TrainingConfig,
)
from search.spec.vain import former_names, said_in_vain
from storage.direction import Direction
from storage.studies import Budget


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
    spec = read_spec(root, stored=stored)
    root.refuse_the_rest()
    if not faults and not stored:
        faults += [*said_in_vain(spec), *former_names(spec)]
    if faults:
        raise SpecError(source, faults)
    return spec


def read_spec(root: Table, *, stored: bool = False) -> StudySpec:
    """Reads every key of a document; what is wrong is noted in the table."""
    study, data = root.table("study"), root.table("data")
    training, model, constraints = (
        root.table("training"),
        root.table("model"),
        root.table("constraints"),
    )
    epochs = training.integer("epochs", 8, low=1)
    metric = study.option("metric", "accuracy", tuple(METRIC_DIRECTIONS))
    setting = Setting(epochs, Direction(METRIC_DIRECTIONS[metric]))
    config = _read_data(data, stored)
    space = read_space(root.table("space"), config.dataset)
    minimize = study.options("minimize", tuple(COSTS))
    spec = StudySpec(
        name=_read_name(study, stored),
        seed=study.integer("seed", 0, low=0, high=2**32 - 1),
        metric=metric,
        budget=Budget(
            trials=study.integer("trials", 40, low=1),
            timeout_seconds=study.duration("timeout"),
            target=study.optional_number("target"),
        ),
        sampler=read_sampler(study, space, minimize, setting),
        pruner=read_pruner(study, setting),
        data=config,
        training=TrainingConfig(
            epochs=epochs,
            precision=training.option("precision", "float32", PRECISIONS),
            decay_scope=training.option("decay_scope", "weights", DECAY_SCOPES),
            timeout_seconds=training.duration("timeout"),
        ),
        model=ModelConfig(
            channels=model.optional_integers("channels", low=1),
            hidden_units=model.integer("hidden_units", ModelConfig.hidden_units, low=1),
            block=model.option("block", ModelConfig.block, BLOCKS),
            head=model.optional_option("head", HEADS),
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


def _read_name(study: "Table", stored: bool) -> str:
    name = study.string("name", DEFAULT_STUDY)
    if stored and is_follow_up_name(name):
        return name
    if NAME_PATTERN.fullmatch(name) is None:
        study.fault(
            "name",
            name,
            "use 1 to 64 letters, digits, '.', '_' or '-', the first a letter or digit",
        )
    return name


def _read_data(data: "Table", stored: bool) -> DataConfig:
    dataset = _read_dataset(data)
    is_folder = dataset.startswith(IMAGES_PREFIX)
    image_size = data.optional_integer("image_size", low=1, high=4096)
    split_version = data.optional_integer(
        "split_version", low=SPLIT_VERSIONS[0], high=SPLIT_VERSIONS[-1]
    )
    resize = data.option("resize", RESIZES[0], RESIZES)
    groups = _read_groups(data)
    labels = data.optional_string("labels")
    if labels == "":
        data.fault("labels", labels, "name a CSV in the folder of the images, or leave it out")
    for name, value in (
        ("image_size", image_size),
        ("split_version", split_version),
        ("groups", groups),
        ("labels", labels),
        ("resize", None if resize == RESIZES[0] else resize),
    ):
        # What a request names without a data set may be of the study that is stored.
        if value is not None and not is_folder and not (stored and "dataset" not in data.content):
            data.fault(name, value, f"goes with {IMAGES_PREFIX}FOLDER alone: leave it out")
    for name, value in (("groups", groups), ("labels", labels)):
        if is_folder and value is not None and split_version == 1:
            data.fault("split_version", 1, f"knows no {name}: leave it out, or {name}")
    validation_fraction = data.number(
        "validation_fraction",
        DEFAULT_VALIDATION_FRACTION,
        Limits(0.0, 1.0, low_open=True, high_open=True),
    )
    folds = data.optional_integer("folds", low=FEWEST_FOLDS, high=MOST_FOLDS)
    if folds is not None and validation_fraction != DEFAULT_VALIDATION_FRACTION:
        data.fault(
            "validation_fraction",
            validation_fraction,
            f"data.folds = {folds} says what validation takes: leave one of the two out",
        )
    split_seed = data.integer("split_seed", 0, low=0, high=2**32 - 1)
    if data.faults:
        return DataConfig(dataset, validation_fraction, split_seed)
    if not is_folder:
        return DataConfig(dataset, validation_fraction, split_seed, folds=folds)
    return DataConfig(
        dataset,
        validation_fraction,
        split_seed,
        image_size,
        split_version or SPLIT_VERSIONS[-1],
        groups,
        resize,
        labels,
        folds,
    )


def _read_dataset(data: "Table") -> str:
    dataset = data.string("dataset", "mnist-5k")
    if dataset == IMAGES_PREFIX:
        data.fault("dataset", dataset, f"name the folder, {IMAGES_PREFIX}FOLDER")
    elif dataset.startswith(IMAGES_PREFIX):
        if not _is_utf8(dataset):
            data.fault(
                "dataset",
                dataset,
                "the folder's name is not in UTF-8: rename it, or use a UTF-8 locale",
            )
    elif dataset not in DATASETS:
        data.fault("dataset", dataset, f"{one_of(dataset, DATASETS)}, or {IMAGES_PREFIX}FOLDER")
    return dataset


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
