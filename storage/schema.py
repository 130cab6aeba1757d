"""The tables that are ours, beside Optuna's; never a change to Optuna's. Times are UTC milliseconds
of the database.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

# This is the newest revision in migrations/versions.
HEAD = "0006"
# Optuna owns the name alembic_version.
VERSION_TABLE = "hypersearch_version"
# MySQL's TEXT ends at 64 KB.
LONG_TEXT = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
# A BLOB of MySQL ends at 64 KB.
LONG_BINARY = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
# The key, among a trial's system attributes, of the epoch after which it was found due to be
# stopped early.
DUE_KEY = "hypersearch:due"
# The key, among them, of the versions that a trial was trained with.
VERSIONS_KEY = "hypersearch:versions"
# A trial has not finished in these states of Optuna's.
UNFINISHED = ("RUNNING", "WAITING")

metadata = MetaData()

# Optuna's tables, as far as our queries, writes and foreign keys name them; Optuna creates them,
# never we.
optuna_studies = Table(
    "studies",
    metadata,
    Column("study_id", Integer, primary_key=True),
    Column("study_name", String(512)),
)
optuna_study_directions = Table(
    "study_directions",
    metadata,
    Column("study_direction_id", Integer, primary_key=True),
    Column("direction", Enum("NOT_SET", "MINIMIZE", "MAXIMIZE", name="studydirection")),
    Column("study_id", Integer),
    Column("objective", Integer),
)
optuna_study_system_attributes = Table(
    "study_system_attributes",
    metadata,
    Column("study_system_attribute_id", Integer, primary_key=True),
    Column("study_id", Integer),
    Column("key", String(512)),
    Column("value_json", Text),
)
optuna_trials = Table(
    "trials",
    metadata,
    Column("trial_id", Integer, primary_key=True),
    Column("study_id", Integer),
    Column("number", Integer),
    Column("state", Enum("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING", name="trialstate")),
    Column("datetime_start", DateTime),
    Column("datetime_complete", DateTime),
)
optuna_params = Table(
    "trial_params",
    metadata,
    Column("param_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("param_name", String(512)),
    Column("param_value", Float(53)),
    Column("distribution_json", Text),
)
optuna_system_attributes = Table(
    "trial_system_attributes",
    metadata,
    Column("trial_system_attribute_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("key", String(512)),
    Column("value_json", Text),
)
optuna_intermediate_values = Table(
    "trial_intermediate_values",
    metadata,
    Column("trial_intermediate_value_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("step", Integer),
    Column("intermediate_value", Float(53)),
    Column(
        "intermediate_value_type",
        Enum("FINITE", "INF_POS", "INF_NEG", "NAN", name="trialintermediatevaluetype"),
    ),
)
optuna_values = Table(
    "trial_values",
    metadata,
    Column("trial_value_id", Integer, primary_key=True),
    Column("trial_id", Integer),
    Column("objective", Integer),
    Column("value", Float(53)),
    Column("value_type", Enum("FINITE", "INF_POS", "INF_NEG", name="trialvaluetype")),
)


def _of_study() -> Column[int]:
    return Column(
        "study_id", Integer, ForeignKey("studies.study_id", ondelete="CASCADE"), primary_key=True
    )


def _of_trial() -> Column[int]:
    return Column(
        "trial_id", Integer, ForeignKey("trials.trial_id", ondelete="CASCADE"), primary_key=True
    )


# The table has one row a study: its definition, fixed at creation, and its budget and state, which
# may change.
study = Table(
    "hypersearch_study",
    metadata,
    _of_study(),
    # Ids of deleted studies are used again, uids are not.
    Column("uid", String(32), nullable=False, unique=True),
    # The definition is canonical JSON.
    Column("definition", LONG_TEXT, nullable=False),
    # The hash is the SHA-256 of the definition.
    Column("definition_hash", String(64), nullable=False),
    # The budget is the number of finished trials that the study ends with.
    Column("trials", Integer, nullable=False),
    Column("timeout_seconds", Float(53)),
    Column("target", Float(53)),
    Column("state", String(16), nullable=False),
    Column("end_reason", String(255)),
    Column("created_ms", BigInteger, nullable=False),
    # The study started when its first trial did.
    Column("started_ms", BigInteger),
    Column("ended_ms", BigInteger),
    # Among open studies the highest are served first.
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("paused_since_ms", BigInteger),
    # Milliseconds in all that do not count: pauses but for the one that lasts, and while the study
    # had ended.
    Column("paused_ms", BigInteger, nullable=False, server_default="0"),
    # The absolute folder of images:FOLDER where the study was created, in ASCII (Python's
    # unicode_escape): not every database holds every name. The definition names the data set as the
    # user wrote it.
    Column("data_folder", LONG_TEXT),
    # What the study is about, known from the first trial on; see storage.study_data.
    # The fingerprint is the SHA-256 of what is in the data set: see objectives.data.source.
    Column("data_fingerprint", String(64)),
    # The scales say how numbers became 8 bits, by kind of pixel, as JSON: see
    # objectives.data.pixels.
    Column("pixel_scales", LONG_TEXT),
    CheckConstraint("trials >= 1", name="hypersearch_study_trials"),
)

# The table has one row a trial that somebody works on or that waits to be taken up again (then
# `owner` is NULL).
lease = Table(
    "hypersearch_lease",
    metadata,
    _of_trial(),
    # The attempt is the fencing number: it grows with every owner.
    Column("attempt", Integer, nullable=False),
    Column("owner", String(32)),
    # The host's name is for people.
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    # The start tells the process from another one that gets its pid: see hosts.process_start.
    Column("process_started", Float(53), nullable=False),
    # The owner gave its last sign of life then.
    Column("beat_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False, server_default="0"),
    # The name says where `pid` means something; see hosts.Host.
    Column("machine", String(128), nullable=False, server_default=""),
)

# The table has one row a worker that is alive, whether it holds a trial or waits.
worker = Table(
    "hypersearch_worker",
    metadata,
    Column("worker_id", String(32), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("machine", String(128), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started", Float(53), nullable=False),
    Column("device", String(64), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
)

# The table has one row for each time that a worker took a trial up.
attempt = Table(
    "hypersearch_attempt",
    metadata,
    _of_trial(),
    Column("attempt", Integer, primary_key=True),
    Column("owner", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("device", String(64), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    # The outcome is complete, pruned, failed, handed_back or lost.
    Column("outcome", String(16)),
    # The reason says in words why it was pruned or failed.
    Column("reason", LONG_TEXT),
    # The cause says the same by kind: storage.leases.ending.Cause.
    Column("cause", String(16)),
    # The fingerprint is that of the data set that it trained on, where that is known.
    Column("data_fingerprint", String(64)),
    # So many images go through the network at a time; NULL: 64 on a CPU, before it was recorded,
    # else the device's own number, or none, as no network was trained.
    Column("piece", Integer),
)

# The table has one row an epoch of a trial; see objectives.measurement for the meaning of each
# metric.
epoch = Table(
    "hypersearch_epoch",
    metadata,
    _of_trial(),
    # Epochs are numbered from 1.
    Column("epoch", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("train_loss", Float(53), nullable=False),
    Column("train_accuracy", Float(53), nullable=False),
    Column("validation_loss", Float(53), nullable=False),
    Column("validation_accuracy", Float(53), nullable=False),
    Column("validation_balanced_accuracy", Float(53), nullable=False),
    Column("validation_macro_f1", Float(53), nullable=False),
    Column("learning_rate", Float(53), nullable=False),
    Column("near_zero_share", Float(53), nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("images_per_second", Float(53), nullable=False),
    Column("train_eval_loss", Float(53)),
    # The checkpoint's file has this name in the trial's folder.
    Column("checkpoint", String(64)),
    Column("checkpoint_sha256", String(64)),
)
# The table has one row a split that trials of a study have answered: which class each of its images
# is of.
split = Table(
    "hypersearch_split",
    metadata,
    _of_study(),
    # The hash is of the images' pixels in their order, and of their labels.
    Column("split_sha256", String(64), primary_key=True),
    # The labels are uint16, compressed by zlib.
    Column("labels", LONG_BINARY, nullable=False),
)

# The table has one row a trial and split: what its network answers for each image, after its last
# epoch.
prediction = Table(
    "hypersearch_prediction",
    metadata,
    _of_trial(),
    # The split is validation or test.
    Column("split", String(16), primary_key=True),
    Column("split_sha256", String(64), nullable=False),
    # The classes are uint8 or uint16, compressed by zlib.
    Column("classes", LONG_BINARY, nullable=False),
    # The probability that each image is given of being what it is stands as zlib of float16.
    Column("true_probabilities", LONG_BINARY, nullable=False),
)

# The table has one row a study that follows another one up: its trials are the slots of a plan.
follow_up = Table(
    "hypersearch_follow_up",
    metadata,
    _of_study(),
    Column(
        "parent_id", Integer, ForeignKey("studies.study_id", ondelete="CASCADE"), nullable=False
    ),
    # The kind is confirm, ablate, reproduce or refit.
    Column("kind", String(16), nullable=False),
    # Follow-ups are numbered from 1, by kind.
    Column("number", Integer, nullable=False),
    # The plan says as JSON what was asked for.
    Column("plan", LONG_TEXT, nullable=False),
    UniqueConstraint("parent_id", "kind", "number", name="hypersearch_follow_up_number"),
)

# The table has one row a training of a follow-up, in the order in which they are given to workers.
slot = Table(
    "hypersearch_slot",
    metadata,
    _of_study(),
    # Slots are numbered from 0.
    Column("slot", Integer, primary_key=True),
    # Stages are numbered from 1.
    Column("stage", Integer, nullable=False),
    # The content says as JSON what is trained, and what for.
    Column("content", LONG_TEXT, nullable=False),
    # The trial is to be computed as a recorded one was, where it can be: as an attempt has it.
    Column("device", String(64)),
    Column("threads", Integer),
    Column("piece", Integer),
)

# The table has one row a trial of a follow-up: which slot it trains. A failed one leaves its slot
# to another.
slot_trial = Table(
    "hypersearch_slot_trial",
    metadata,
    _of_trial(),
    Column("slot", Integer, nullable=False),
)

# The table has one row a reading of a test split. It outlives the study: whoever reads the split
# later is told.
reading = Table(
    "hypersearch_reading",
    metadata,
    Column("split_sha256", String(64), primary_key=True),
    # Readings are numbered from 1, by split.
    Column("number", Integer, primary_key=True),
    Column("dataset", LONG_TEXT, nullable=False),
    # The follow-up of this uid reads.
    Column("study_uid", String(32), nullable=False, unique=True),
    Column("study_name", String(255), nullable=False),
    # The configuration whose score it is stands here as JSON.
    Column("configuration", LONG_TEXT, nullable=False),
    Column("begun_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("score", Float(53)),
)

# The table has one row: which database this is. Whoever finds it at another place has a copy, and
# gives that one another uid.
database = Table(
    "hypersearch_database",
    metadata,
    Column("uid", String(32), primary_key=True),
    Column("place", LONG_TEXT, nullable=False),
)
OF_TRIAL = (lease, attempt, epoch, prediction, slot_trial)
OURS = (study, *OF_TRIAL, worker, database, split, follow_up, slot, reading)
