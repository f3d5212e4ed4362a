"""Run the migrations on the connection passed by core/storage/migrations/running.py, or print their SQL."""

from alembic import context

if context.is_offline_mode():
    context.configure(dialect_name="mysql", literal_binds=True, dialect_opts={"paramstyle": "named"})
else:
    context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)

with context.begin_transaction():
    context.run_migrations()
