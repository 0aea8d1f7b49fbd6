"""What Alembic runs: online on the connection that `migrate` hands over, offline for a dialect."""

from __future__ import annotations

from alembic import context

from saga_celery.store.schema import metadata

VERSION_TABLE = "saga_schema_version"

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(
        dialect_name=context.config.attributes["dialect"],
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        literal_binds=True,
    )
else:
    context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)

with context.begin_transaction():
    context.run_migrations()
