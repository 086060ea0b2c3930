"""What Alembic runs: all migrations in the transaction that `schema.py` has begun."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"], transactional_ddl=True, version_table="state_version"
)
context.run_migrations()
