"""What trials answer for each image, studies that follow others up, and readings of test splits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"

LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
LONG_BINARY = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    # On MySQL each statement commits by itself: one that was done before the program died is not
    # done again.
    op.create_table(
        "hypersearch_split",
        _of("studies", "study_id"),
        sa.Column("split_sha256", sa.String(64), primary_key=True),
        sa.Column("labels", LONG_BINARY, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hypersearch_prediction",
        _of("trials", "trial_id"),
        sa.Column("split", sa.String(16), primary_key=True),
        sa.Column("split_sha256", sa.String(64), nullable=False),
        sa.Column("classes", LONG_BINARY, nullable=False),
        sa.Column("true_probabilities", LONG_BINARY, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hypersearch_follow_up",
        _of("studies", "study_id"),
        sa.Column(
            "parent_id",
            sa.Integer,
            sa.ForeignKey("studies.study_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("plan", LONG_TEXT, nullable=False),
        sa.UniqueConstraint("parent_id", "kind", "number", name="hypersearch_follow_up_number"),
        if_not_exists=True,
    )
    op.create_table(
        "hypersearch_slot",
        _of("studies", "study_id"),
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("stage", sa.Integer, nullable=False),
        sa.Column("content", LONG_TEXT, nullable=False),
        sa.Column("device", sa.String(64)),
        sa.Column("threads", sa.Integer),
        sa.Column("piece", sa.Integer),
        if_not_exists=True,
    )
    op.create_table(
        "hypersearch_slot_trial",
        _of("trials", "trial_id"),
        sa.Column("slot", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "hypersearch_reading",
        sa.Column("split_sha256", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("dataset", LONG_TEXT, nullable=False),
        sa.Column("study_uid", sa.String(32), nullable=False, unique=True),
        sa.Column("study_name", sa.String(255), nullable=False),
        sa.Column("configuration", LONG_TEXT, nullable=False),
        sa.Column("begun_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("score", sa.Float(53)),
        if_not_exists=True,
    )


def _of(table: str, column: str) -> "sa.Column[int]":
    target = sa.ForeignKey(f"{table}.{column}", ondelete="CASCADE")
    return sa.Column(column, sa.Integer, target, primary_key=True)
