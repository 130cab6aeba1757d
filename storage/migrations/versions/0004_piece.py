"""How many images of an attempt went through the network at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NEW_COLUMNS = {"hypersearch_attempt": (sa.Column("piece", sa.Integer),)}


def upgrade() -> None:
    connection = op.get_bind()
    for table, columns in NEW_COLUMNS.items():
        there = {column["name"] for column in sa.inspect(connection).get_columns(table)}
        for column in columns:
            # On MySQL each statement commits by itself, so a run that was interrupted has left
            # some.
            if column.name not in there:
                op.add_column(table, column)
