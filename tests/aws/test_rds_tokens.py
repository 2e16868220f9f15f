"""Signing in to RDS with tokens instead of a password."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa

from data_resource_api.database import credentials
from data_resource_api.database.engine import create_engine
from data_resource_api.settings import Settings
from tests.aws.instances import BOOKS, Access, eventually, serve
from tests.cloud import REGION
from tests.rds import SIGNED, OwnServer, Rds
from tests.service import Service

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "canary-of-a-secret"}


def token_settings(rds: Rds, database: str) -> dict[str, str]:
    return {
        "AWS_DB_USE_IAM_ROLE": "1",
        "AWS_DB_REGION_IAM_ROLE": REGION,
        "POSTGRES_HOSTNAME": "127.0.0.1",
        "POSTGRES_PORT": str(rds.port),
        "POSTGRES_USER": SIGNED,
        "POSTGRES_DATABASE": database,
    }


@pytest.fixture
def rds(own: OwnServer, folder: Path) -> Iterator[Rds]:
    rds = Rds(own, folder, REGION, KEYS)
    yield rds
    rds.stop()


def signed_at(token: str) -> str:
    return parse_qs(urlsplit(f"https://{token}").query)["X-Amz-Date"][0]


def test_each_new_connection_signs_in_with_a_token_of_its_own_moment(
    folder: Path, own: OwnServer, rds: Rds, access: Access
) -> None:
    """The server sees a signature over this host, user and minute, over TLS, and no password."""
    database = own.database(SIGNED)
    settings = access.settings | KEYS | token_settings(rds, database)
    service = Service(folder, None, workers=1, **settings)
    try:
        service.start()
        headers = access.headers
        assert service.post("/generator", BOOKS, headers=dict(headers)).status_code == 204
        first = rds.tokens[-1]
        assert rds.refusal(first) is None
        stamp = datetime.strptime(signed_at(first), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - stamp).total_seconds()) < 300

        def another_token() -> bool:
            own.disconnect(SIGNED)
            service.get("/book", headers=dict(headers))
            return signed_at(rds.tokens[-1]) > signed_at(first)

        eventually(another_token)
        eventually(lambda: service.get("/book", headers=dict(headers)).status_code == 200)
        assert [rds.refusal(token) for token in rds.tokens] == [None] * len(rds.tokens)
        assert rds.plain == 0
        service.stop()
        log = service.log()
        assert "X-Amz-Signature" not in log
        assert "canary" not in log
    finally:
        service.kill()


def test_a_token_signed_with_a_wrong_key_is_refused(own: OwnServer, rds: Rds) -> None:
    """Which also shows that the stand-in for RDS checks what it is given."""
    stated = KEYS | token_settings(rds, own.database(SIGNED)) | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    settings = Settings.from_environment(stated)
    engine = create_engine(settings.sqlalchemy_url or "", pool_size=1, statement_timeout=1000)
    credentials.follow(engine, settings)
    with pytest.raises(sa.exc.OperationalError, match="its signature is wrong"):
        engine.connect()
    engine.dispose()


@pytest.mark.parametrize(
    ("stated", "used"),
    [(None, "require"), ("disable", "require"), ("prefer", "require"), ("verify-full", None)],
)
def test_a_token_is_only_sent_over_an_encrypted_connection(
    own: OwnServer, rds: Rds, stated: str | None, used: str | None
) -> None:
    """``verify-full`` stays what it is, and refuses a certificate that nobody has signed."""
    database = own.database(SIGNED)
    query = f"?sslmode={stated}" if stated else ""
    url = f"postgresql://{SIGNED}@127.0.0.1:{rds.port}/{database}{query}"
    switches = {"AWS_DB_USE_IAM_ROLE": "1", "AWS_DB_REGION_IAM_ROLE": REGION}
    settings = Settings.from_environment(KEYS | switches | {"DATABASE_URL": url})
    engine = create_engine(settings.sqlalchemy_url or "", pool_size=1, statement_timeout=1000)
    credentials.follow(engine, settings)
    if used is None:
        with pytest.raises(sa.exc.OperationalError, match="certificate"):
            engine.connect()
        assert rds.tokens == []
    else:
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT current_user")) == SIGNED
        assert len(rds.tokens) == 1
    assert rds.plain == 0
    engine.dispose()


def test_the_service_does_not_start_without_a_key_for_its_tokens(rds: Rds) -> None:
    done = serve(**token_settings(rds, "d"))
    assert done.returncode == 2
    assert done.stderr.startswith(
        "drg: No token for the database 127.0.0.1 can be made: no key was found; give"
    )
