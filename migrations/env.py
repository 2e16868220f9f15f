"""Alembic's environment: the ``admin`` schema only, on a connection that the service hands over."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
connection.execute(text("CREATE SCHEMA IF NOT EXISTS admin"))
context.configure(
    connection=connection,
    version_table="drg_version",
    version_table_schema="admin",
    transactional_ddl=False,
)
context.run_migrations()
