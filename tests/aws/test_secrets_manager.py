"""The database's address, user and password from AWS Secrets Manager."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError

from data_resource_api import aws
from data_resource_api.database import credentials
from data_resource_api.database.engine import create_engine
from data_resource_api.errors import ConfigurationError
from data_resource_api.settings import Settings
from tests.aws.instances import BOOKS, Access, eventually, serve, sm_settings
from tests.cloud import REGION, Moto
from tests.rds import ROTATED, OwnServer
from tests.service import Service, free_port

GOOD = {"username": "u", "password": "canary-of-a-secret", "host": "h", "port": 5432}


def refused(monkeypatch: pytest.MonkeyPatch, cloud: Moto, **settings: str) -> str:
    """Why a service does not start."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    with pytest.raises(ConfigurationError) as caught:
        credentials.resolve(Settings.from_environment(settings))
    (line,) = caught.value.errors
    assert "canary" not in line
    assert "\n" not in line
    return line


def test_the_secret_is_the_databases_address(cloud: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    stated = cloud.settings() | sm_settings(cloud.secret(GOOD), "d")
    settings = credentials.resolve(Settings.from_environment(stated))
    assert settings.sqlalchemy_url == "postgresql+psycopg2://u:canary-of-a-secret@h:5432/d"
    assert "canary" not in repr(settings)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("canary, no JSON", 'is not JSON; it must be {"username": …'),
        ('["canary"]', "has no username, no password, no host, no port; it must be"),
        ({**GOOD, "password": None}, "has no password; it must be"),
        ({**GOOD, "host": " "}, "has no host; it must be"),
        ({**GOOD, "port": "canary"}, "has a port that is not a whole number from 1 to 65535"),
        ({**GOOD, "port": 65536}, "has a port that is not a whole number from 1 to 65535"),
    ],
)
def test_a_secret_of_another_form_is_told_without_its_text(
    cloud: Moto, monkeypatch: pytest.MonkeyPatch, value: object, says: str
) -> None:
    name = cloud.secret(value)
    line = refused(monkeypatch, cloud, **cloud.settings(), **sm_settings(name, "d"))
    assert line.startswith(f"The secret {name} in AWS Secrets Manager, region {REGION}, ")
    assert says in line


def test_a_secret_that_is_not_there_is_told(cloud: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    line = refused(monkeypatch, cloud, **cloud.settings(), **sm_settings("nowhere", "d"))
    assert line == (
        f"The secret nowhere in AWS Secrets Manager, region {REGION}, cannot be fetched: there is no "
        "such secret; check its name and its region (ResourceNotFoundException)."
    )


def test_a_key_that_may_not_read_the_secret_is_told(
    cloud: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = cloud.settings(**cloud.user()) | sm_settings(cloud.secret(GOOD), "d")
    assert "the key is not valid, or it may not do this" in refused(monkeypatch, cloud, **stated)


def test_a_wrong_key_is_told(cloud: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    stated = cloud.settings(AWS_SECRET_ACCESS_KEY="canary") | sm_settings(cloud.secret(GOOD), "d")
    line = refused(monkeypatch, cloud, **stated)
    assert "the key is not valid, or it may not do this; check AWS_ACCESS_KEY_ID" in line


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AccessDeniedException", "access is denied; allow it to this key or role"),
        ("InvalidSignatureException", "the key is not valid; check AWS_ACCESS_KEY_ID and"),
        ("UnrecognizedClientException", "the key is not valid; check AWS_ACCESS_KEY_ID and"),
        ("ExpiredTokenException", "the key's session has expired"),
        ("RequestTimeTooSkewed", "this machine's clock is wrong"),
        ("PermanentRedirect", "it is in another region; check AWS_S3_REGION"),
        ("SomethingNew", "it was refused (SomethingNew)"),
    ],
)
def test_what_aws_answers_has_its_remedy_and_none_of_its_words(code: str, remedy: str) -> None:
    """The words may quote the request; these codes are AWS's own, which moto does not all send."""
    answer: Any = {"Error": {"Code": code, "Message": "canary"}}
    reason = aws.reason(ClientError(answer, "GetSecretValue"))
    assert reason.startswith(remedy)
    assert "canary" not in reason


def test_the_service_does_not_start_without_its_secret(cloud: Moto) -> None:
    """One line, no traceback, and the exit status of a wrong setting."""
    unreachable = cloud.settings(AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    done = serve(**unreachable, **sm_settings("mine", "d"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"drg: The secret mine in AWS Secrets Manager, region {REGION}, cannot be fetched: it cannot "
        "be reached; check the region, the network and AWS_ENDPOINT_URL.\n"
    )


def test_the_service_does_not_start_without_a_key_for_its_secret(cloud: Moto) -> None:
    done = serve(AWS_ENDPOINT_URL=cloud.url, **sm_settings("mine", "d"))
    assert done.returncode == 2
    assert "no key was found; give the machine or container a role, or set" in done.stderr


def test_a_password_rotated_while_the_service_runs_is_picked_up(
    folder: Path, own: OwnServer, cloud: Moto, access: Access
) -> None:
    """Connections that are open go on; new ones are made with the new password, without a restart."""
    database = own.database(ROTATED, "first")
    secret = {"username": ROTATED, "password": "first", "host": own.socket, "port": 5432}
    name = cloud.secret(secret)
    settings = access.settings | cloud.settings() | sm_settings(name, database)
    service = Service(folder, None, workers=1, **settings)
    try:
        service.start()
        headers = access.headers
        assert service.post("/generator", BOOKS, headers=dict(headers)).status_code == 204
        for password in ("second", "third"):
            own.execute(f"ALTER ROLE {ROTATED} PASSWORD '{password}'")
            cloud.rotate(name, secret | {"password": password})
            own.disconnect(ROTATED)
            eventually(lambda: service.get("/book", headers=dict(headers)).status_code == 200)
        service.stop()
        assert "Traceback" not in service.log()
    finally:
        service.kill()


def test_secrets_manager_is_not_asked_again_for_every_refused_connection(
    own: OwnServer, cloud: Moto, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A hundred failures in a row ask once; what AWS cannot answer is a warning."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    database = own.database(ROTATED, "first")
    secret = {"username": ROTATED, "password": "first", "host": own.socket, "port": 5432}
    name = cloud.secret(secret)
    stated = cloud.settings() | sm_settings(name, database)
    settings = credentials.resolve(Settings.from_environment(stated))
    engine = create_engine(settings.sqlalchemy_url or "", pool_size=1, statement_timeout=1000)
    credentials.follow(engine, settings)
    own.execute(f"ALTER ROLE {ROTATED} PASSWORD 'another'")
    cloud.client("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    caplog.set_level(logging.WARNING, "data_resource_api")
    for _ in range(100):
        with pytest.raises(sa.exc.OperationalError):
            engine.connect()
    engine.dispose()
    warnings = [record for record in caplog.records if record.name == "data_resource_api"]
    assert len(warnings) == 1
    assert "there is no such secret" in warnings[0].getMessage()
