"""Instances whose secret and whose copy are where AWS keeps them."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from data_resource_api.database.engine import create_engine
from data_resource_api.generator import Generator
from data_resource_api.rest.servers import Server, Servers
from data_resource_api.settings import Settings
from data_resource_api.storage.s3 import S3Storage
from tests.aws.instances import BOOKS, Access, eventually, live_payload, secret_of, sm_settings
from tests.cloud import EVERYTHING, Moto, unique
from tests.rds import ROTATED, OwnServer
from tests.service import Database, Service, clean_environment


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
