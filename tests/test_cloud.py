"""The service in a cloud: its secret, its database's tokens and its copy are where AWS keeps them."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError

from data_resource_api import aws
from data_resource_api.database import credentials
from data_resource_api.database.engine import create_engine
from data_resource_api.errors import ConfigurationError
from data_resource_api.generator import Generator
from data_resource_api.rest.servers import Server, Servers
from data_resource_api.settings import Settings
from data_resource_api.storage.s3 import S3Storage
from tests.cloud import EVERYTHING, REGION, Moto, unique
from tests.provider import Provider
from tests.rds import ROTATED, SIGNED, OwnServer, Rds, own_server
from tests.service import Database, Service, clean_environment, entry, free_port, payload

#: Whether the instances run in PRODUCTION, with tokens of a provider.
LOCKED = True

BOOKS = payload(entry("book", {"name": "title", "type": "string"}))


@dataclass(frozen=True)
class Access:
    """How instances are locked, and what opens them."""

    settings: dict[str, str] = field(default_factory=lambda: {"APP_ENV": "LOCAL"})
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def access() -> Iterator[Access]:
    if not LOCKED:
        yield Access()
        return
    provider = Provider()
    yield Access(provider.settings(), provider.bearer("drg:admin"))
    provider.stop()


def secret_of(url: str) -> dict[str, object]:
    """A database's secret, as Secrets Manager keeps it."""
    parts = sa.make_url(url)
    return {
        "username": parts.username,
        "password": parts.password,
        "host": parts.host or parts.query["host"],
        "port": parts.port or parts.query.get("port", 5432),
    }


def sm_settings(name: str, database: str) -> dict[str, str]:
    return {
        "AWS_SM_ENABLED": "1",
        "AWS_SM_NAME": name,
        "AWS_SM_REGION": REGION,
        "AWS_SM_DBNAME": database,
    }


def eventually(check: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.1)


def live_payload(database: Database) -> bytes:
    ((text,),) = database.execute("SELECT payload FROM admin.generation ORDER BY id DESC LIMIT 1")
    return str(text).encode()


# ── S3 and Secrets Manager together ──────────────────────────────────────────────────────────────


def test_an_instance_starts_from_variables_alone_and_serves_again_on_an_empty_disk(
    folder: Path, database: Database, cloud: Moto, access: Access
) -> None:
    """No secret of the database is in its environment; its disk keeps nothing that is needed."""
    bucket = cloud.bucket()
    settings = access.settings | cloud.s3_settings(bucket)
    settings |= sm_settings(cloud.secret(secret_of(database.url)), database.name)
    service = Service(folder, None, **settings)
    try:
        service.start()
        posted = service.post("/generator", BOOKS, headers=dict(access.headers))
        assert posted.status_code == 204, posted.text
        added = service.post("/book", {"title": "Emma"}, headers=dict(access.headers))
        assert added.status_code == 201
        stored = cloud.client("s3").get_object(Bucket=bucket, Key="schema.json")["Body"].read()
        assert stored == live_payload(database)
        service.stop()
        shutil.rmtree(folder)
        service.start()
        rows = service.get("/book", headers=dict(access.headers)).json()["book"]
        assert rows == [{"id": 1, "title": "Emma"}]
        assert not (service.static / "data_resource_generation_payload.json").exists()
        service.stop()
        assert "Traceback" not in service.log()
    finally:
        service.kill()


def test_two_instances_on_different_disks_share_what_is_live(
    folder: Path, database: Database, cloud: Moto, access: Access
) -> None:
    settings = access.settings | cloud.s3_settings(cloud.bucket())
    first = Service(folder / "first", database, workers=1, **settings)
    second = Service(folder / "second", database, workers=1, **settings)
    try:
        first.start()
        second.start()
        assert first.post("/generator", BOOKS, headers=dict(access.headers)).status_code == 204
        eventually(
            lambda: second.get("/book", headers=dict(access.headers)).status_code == 200, 2.5
        )
    finally:
        first.kill()
        second.kill()


def test_instances_that_generate_at_once_leave_the_object_that_is_live(
    folder: Path, database: Database, cloud: Moto, access: Access
) -> None:
    bucket = cloud.bucket()
    settings = access.settings | cloud.s3_settings(bucket)
    services = [
        Service(folder / name, database, workers=1, **settings) for name in ("first", "second")
    ]
    try:
        for service in services:
            service.start()
        posted = services[0].post("/generator", BOOKS, headers=dict(access.headers))
        assert posted.status_code == 204
        for turn in range(6):
            answers: list[int] = []

            def generate(service: Service, number: int, answers: list[int] = answers) -> None:
                changed = json.loads(json.dumps(BOOKS)) | {"touch_database": False}
                changed["data_resource_schema"]["name"] = f"Books {number}"
                headers = dict(access.headers)
                answers.append(service.post("/generator", changed, headers=headers).status_code)

            threads = [
                threading.Thread(target=generate, args=(service, 2 * turn + index))
                for index, service in enumerate(services)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert answers == [204, 204]
            stored = cloud.client("s3").get_object(Bucket=bucket, Key="schema.json")["Body"]
            assert stored.read() == live_payload(database)
    finally:
        for service in services:
            service.kill()


class Overtaken(S3Storage):
    """Between staging and publishing, another instance writes the object."""

    def stage(self, content: bytes) -> Callable[[], None]:
        publish = super().stage(content)
        if b"overtaken" not in (super().read() or b""):
            S3Storage.stage(self, b'{"overtaken": true}')()
        return publish


def test_a_copy_that_somebody_changed_between_is_told_and_written_again(
    folder: Path,
    database: Database,
    cloud: Moto,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.url)
    bucket = cloud.bucket()
    settings = Settings.from_environment(
        cloud.s3_settings(bucket, DRG_STATIC_DIR=str(folder), DATABASE_URL=database.url)
    )
    engine = create_engine(
        settings.sqlalchemy_url or "", pool_size=2, statement_timeout=settings.statement_timeout
    )
    caplog.set_level(logging.WARNING)
    Generator(settings, Servers(Server(engine), []), Overtaken(settings), lambda *_: None).generate(
        BOOKS
    )
    engine.dispose()
    assert S3Storage(settings).read() == live_payload(database)
    assert (folder / "swagger.json").exists()
    place = f"s3://{bucket}/schema.json"
    logged = [item.message for item in caplog.records if item.name == "data_resource_api"]
    assert logged == [
        f"{place} was changed by somebody else meanwhile. What is live is written again."
    ]


def test_a_generation_that_cannot_be_stored_changes_nothing(
    folder: Path, database: Database, cloud: Moto, access: Access
) -> None:
    reading = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    settings = cloud.s3_settings(cloud.bucket(), **cloud.user(reading)) | access.settings
    service = Service(folder, database, workers=1, **settings)
    try:
        service.start()
        refused = service.post("/generator", BOOKS, headers=dict(access.headers))
        assert refused.status_code == 503
        assert "Nothing was generated: s3://" in refused.json()["error"]
        assert service.get("/generator", headers=dict(access.headers)).status_code == 404
        assert database.tables() == []
    finally:
        service.kill()


def test_a_damaged_object_is_an_error_until_a_payload_repairs_it(
    folder: Path, database: Database, cloud: Moto, access: Access
) -> None:
    bucket = cloud.bucket()
    settings = cloud.s3_settings(bucket) | access.settings
    service = Service(folder, database, workers=1, **settings)
    try:
        service.start()
        headers = access.headers
        assert service.post("/generator", BOOKS, headers=dict(headers)).status_code == 204
        service.stop()
        cloud.client("s3").put_object(Bucket=bucket, Key="schema.json", Body=b'{"half')
        service.start()
        refused = service.get("/book", headers=dict(headers))
        assert refused.status_code == 503
        assert f"s3://{bucket}/schema.json is damaged" in refused.json()["error"]
        assert service.post("/generator", BOOKS, headers=dict(headers)).status_code == 204
        assert service.get("/book", headers=dict(headers)).status_code == 200
        stored = cloud.client("s3").get_object(Bucket=bucket, Key="schema.json")["Body"].read()
        assert stored == live_payload(database)
    finally:
        service.kill()


# ── a role ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def role(cloud: Moto) -> Iterator[dict[str, str]]:
    """What the agent of a container gives the programs in it: an address that tells the role's key."""
    keys = cloud.role(*EVERYTHING)

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = {
                "AccessKeyId": keys["AWS_ACCESS_KEY_ID"],
                "SecretAccessKey": keys["AWS_SECRET_ACCESS_KEY"],
                "Token": keys["AWS_SESSION_TOKEN"],
                "Expiration": "2999-01-01T00:00:00Z",
            }
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Agent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{server.server_port}/role"}
    server.shutdown()
    server.server_close()


def test_a_role_reaches_secret_and_bucket_without_a_key_in_the_environment(
    folder: Path, database: Database, cloud: Moto, role: dict[str, str], access: Access
) -> None:
    bucket = cloud.bucket()
    settings = access.settings | cloud.s3_settings(bucket, AWS_S3_USE_IAM_ROLE="1") | role
    settings |= sm_settings(cloud.secret(secret_of(database.url)), database.name)
    for name in cloud.keys:
        del settings[name]
    service = Service(folder, None, workers=1, **settings)
    try:
        service.start()
        posted = service.post("/generator", BOOKS, headers=dict(access.headers))
        assert posted.status_code == 204, posted.text
        stored = cloud.client("s3").get_object(Bucket=bucket, Key="schema.json")["Body"].read()
        assert stored == live_payload(database)
    finally:
        service.kill()


# ── Secrets Manager ──────────────────────────────────────────────────────────────────────────────

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


def serve(**settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``drg serve`` where it ends by itself."""
    environment = clean_environment(AWS_EC2_METADATA_DISABLED="true", **settings)
    command = [str(Path(sys.executable).with_name("drg")), "serve", "--port", str(free_port())]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


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


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    """A PostgreSQL whose roles can be changed."""
    from tests.service import open_folder

    with open_folder() as folder, own_server(folder) as server:
        yield server


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


# ── tokens for RDS ───────────────────────────────────────────────────────────────────────────────

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


# ── what is not used is not there, and what is secret is not shown ───────────────────────────────


def test_a_service_that_does_not_use_aws_never_imports_it(folder: Path, database: Database) -> None:
    """Not to start, not to generate: boto3 alone takes as long to import as half of the rest."""
    script = (
        "import json, sys\n"
        "from data_resource_api import create_app\n"
        f"client = create_app().test_client()\n"
        f"answer = client.post('/generator', json=json.loads({json.dumps(json.dumps(BOOKS))}))\n"
        "assert answer.status_code == 204, answer.text\n"
        "names = ('boto3', 'botocore', 'aws_encryption_sdk', 's3transfer')\n"
        "print([name for name in names if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean_environment(DATABASE_URL=database.url, DRG_STATIC_DIR=str(folder)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_no_secret_is_in_logs_answers_objects_or_arguments(
    folder: Path, own: OwnServer, cloud: Moto, access: Access
) -> None:
    """With everything logged that can be, and the database's password wrong for a while."""
    password = unique("canary")
    database = own.database(ROTATED, password)
    secret = {"username": ROTATED, "password": password, "host": own.socket, "port": 5432}
    bucket = cloud.bucket()
    keys = cloud.user(*EVERYTHING)
    settings = access.settings | cloud.s3_settings(bucket, **keys)
    settings |= sm_settings(cloud.secret(secret), database) | {"DRG_LOG_LEVEL": "DEBUG"}
    key_file = folder / "key"
    key_file.write_text(settings.pop("AWS_SECRET_ACCESS_KEY") + "\n")
    service = Service(folder, None, workers=1, AWS_SECRET_ACCESS_KEY_FILE=str(key_file), **settings)
    try:
        service.start()
        headers = access.headers
        assert service.post("/generator", BOOKS, headers=dict(headers)).status_code == 204
        answers = [service.get(path, headers=dict(headers)) for path in ("/generator", "/book")]
        arguments = subprocess.run(
            ["ps", "-A", "-ww", "-o", "args="], capture_output=True, check=True, text=True
        ).stdout
        assert f"--port {service.port}" in arguments
        own.execute(f"ALTER ROLE {ROTATED} PASSWORD 'elsewhere'")
        own.disconnect(ROTATED)
        eventually(lambda: service.get("/book", headers=dict(headers)).status_code == 503)
        answers.append(service.get("/book", headers=dict(headers)))
        service.stop()
        stored = cloud.client("s3").get_object(Bucket=bucket, Key="schema.json")["Body"].read()
        shown = [service.log(), arguments, stored.decode(), *(item.text for item in answers)]
        for canary in (password, keys["AWS_SECRET_ACCESS_KEY"]):
            assert [text for text in shown if canary in text] == []
    finally:
        service.kill()
