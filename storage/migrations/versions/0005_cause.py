"""Why an attempt's trial ended, by kind: until now a sentence alone said it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

NEW_COLUMNS = {"hypersearch_attempt": (sa.Column("cause", sa.String(16)),)}
# The sentences of each kind began so. What else failed did so by an error.
BEGINNINGS = {
    "by ": "pruner",
    "diverged: ": "diverged",
    "over its time limit": "time limit",
    "infeasible: ": "bound",
    "the study ended": "study ended",
    "given up: ": "given up",
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
    attempt = sa.table(
        "hypersearch_attempt", sa.column("outcome"), sa.column("reason"), sa.column("cause")
    )
    kinds = [
        (attempt.c.reason.startswith(beginning), cause) for beginning, cause in BEGINNINGS.items()
    ]
    cause = sa.case(*kinds, (attempt.c.outcome == "failed", "error"), else_=None)
    ended = attempt.c.outcome.in_(("pruned", "failed"))
    connection.execute(sa.update(attempt).where(ended).values(cause=cause))
