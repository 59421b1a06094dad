"""How Alembic reaches the store: over the connection that `database.upgrade` hands it, within its transaction."""

from alembic import context

from modelsat.gateway.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a table by copying it; Alembic then needs to be told.
    render_as_batch=True,
)
context.run_migrations()
