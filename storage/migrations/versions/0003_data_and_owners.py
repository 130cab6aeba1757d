"""Which data a study and each attempt are about, and which database this is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
NEW_COLUMNS = {
    "hypersearch_study": (
        sa.Column("data_folder", LONG_TEXT),
        sa.Column("data_fingerprint", sa.String(64)),
        sa.Column("pixel_scales", LONG_TEXT),
    ),
    "hypersearch_attempt": (sa.Column("data_fingerprint", sa.String(64)),),
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
        "hypersearch_database",
        sa.Column("uid", sa.String(32), primary_key=True),
        sa.Column("place", LONG_TEXT, nullable=False),
        if_not_exists=True,
    )
