"""Alembic's entry: upgrades the tables that are ours, in the transaction that it is given."""

from alembic import context

from storage import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    version_table=schema.VERSION_TABLE,
    # The caller's transaction holds it all.
    transactional_ddl=False,
)
context.run_migrations()
