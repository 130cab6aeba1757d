"""The first tables: studies, leases, attempts and the metrics of each epoch."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    # On MySQL each statement commits by itself: one that was done before the program died is not
    # done again.
    op.create_table(
        "hypersearch_study",
        _of("studies", "study_id"),
        sa.Column("uid", sa.String(32), nullable=False, unique=True),
        sa.Column("definition", LONG_TEXT, nullable=False),
        sa.Column("definition_hash", sa.String(64), nullable=False),
        sa.Column("trials", sa.Integer, nullable=False),
        sa.Column("timeout_seconds", sa.Float(53)),
        sa.Column("target", sa.Float(53)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("end_reason", sa.String(255)),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("started_ms", sa.BigInteger),
        sa.Column("ended_ms", sa.BigInteger),
        sa.CheckConstraint("trials >= 1", name="hypersearch_study_trials"),
        if_not_exists=True,
    )
    op.create_table(
        "hypersearch_lease",
        _of("trials", "trial_id"),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_started", sa.Float(53), nullable=False),
        sa.Column("beat_ms", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hypersearch_attempt",
        _of("trials", "trial_id"),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("outcome", sa.String(16)),
        sa.Column("reason", LONG_TEXT),
        if_not_exists=True,
    )
    metrics = (
        "train_loss",
        "train_accuracy",
        "validation_loss",
        "validation_accuracy",
        "validation_balanced_accuracy",
        "validation_macro_f1",
        "learning_rate",
        "near_zero_share",
        "seconds",
        "images_per_second",
    )
    op.create_table(
        "hypersearch_epoch",
        _of("trials", "trial_id"),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in metrics),
        sa.Column("train_eval_loss", sa.Float(53)),
        if_not_exists=True,
    )


def _of(table: str, key: str) -> "sa.Column[int]":
    return sa.Column(
        key, sa.Integer, sa.ForeignKey(f"{table}.{key}", ondelete="CASCADE"), primary_key=True
    )
