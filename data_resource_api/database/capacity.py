"""Whether PostgreSQL lets in as many connections as the service may open."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

#: Of what ``max_connections`` gives, superusers and other roles keep some; a role and a database may
#: have limits of their own, -1 for none.
_ALLOWED: Final = """
SELECT least(
  current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0),
  (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
  (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
)
"""


def allowed_connections(engine: sa.Engine) -> int:
    """How many connections this role can have to this database, if it is the only one that connects.

    :raises sqlalchemy.exc.SQLAlchemyError: the database cannot be asked.
    """
    with engine.connect() as connection:
        return int(connection.scalar(sa.text(_ALLOWED)))


def shortage(workers: int, pool_size: int, allowed: int) -> str | None:
    """What to tell the operator, or ``None`` where the connections suffice."""
    wanted = workers * pool_size
    if wanted <= allowed:
        return None
    return (
        f"{workers} x DRG_POOL_SIZE={pool_size} are up to {wanted} connections, and PostgreSQL lets in "
        f"{allowed}: under load requests will be answered 503. Lower --workers or DRG_POOL_SIZE, raise "
        "max_connections, or put a pooler before it (DRG_POOLER=1)."
    )
