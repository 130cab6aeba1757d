"""Leases that expire, workers, pauses, priorities and checkpoints; on SQLite our rows go with
Optuna's in any case.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

NEW_COLUMNS = {
    "hypersearch_study": (
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("paused_since_ms", sa.BigInteger),
        sa.Column("paused_ms", sa.BigInteger, nullable=False, server_default="0"),
    ),
    "hypersearch_lease": (
        sa.Column("expires_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("machine", sa.String(128), nullable=False, server_default=""),
    ),
    "hypersearch_epoch": (
        sa.Column("checkpoint", sa.String(64)),
        sa.Column("checkpoint_sha256", sa.String(64)),
    ),
}


def upgrade() -> None:
    connection = op.get_bind()
    for table, columns in NEW_COLUMNS.items():
        there = {column["name"] for column in sa.inspect(connection).get_columns(table)}
        for column in columns:
            # On MySQL each statement commits by itself, so a run that was interrupted has left
            # some.
            if column.name not in there:
                op.add_column(table, column)
    op.create_table(
        "hypersearch_worker",
        sa.Column("worker_id", sa.String(32), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("machine", sa.String(128), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_started", sa.Float(53), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    if connection.dialect.name == "sqlite":
        # Plain Optuna deletes with SQLite's foreign keys off, and SQLite uses ids of deleted rows
        # again.
        _follow(
            "trials", "trial_id", ("hypersearch_lease", "hypersearch_attempt", "hypersearch_epoch")
        )
        _follow("studies", "study_id", ("hypersearch_study",))


def _follow(table: str, key: str, ours: tuple[str, ...]) -> None:
    deletions = " ".join(f"DELETE FROM {name} WHERE {key} = OLD.{key};" for name in ours)
    op.execute(
        f"CREATE TRIGGER hypersearch_{table}_deleted AFTER DELETE ON {table} BEGIN {deletions} END"
    )
