"""Alembic's entry: runs the numbered migrations on the database it is given."""

from alembic import context
from sqlalchemy import create_engine, pool

from hub.store.schema import metadata

url = context.config.get_main_option("sqlalchemy.url")
assert url is not None, "the caller sets sqlalchemy.url"
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
