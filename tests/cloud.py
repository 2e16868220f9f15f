"""AWS for tests: moto as a server that checks signatures and policies, and seaweedfs, another S3.

Both speak HTTP on loopback. ``conftest`` starts each at most once for all tests (fixtures ``cloud``
and ``seaweed``); names are drawn at random, so tests share them without meeting.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import requests
from botocore.config import Config
from moto.server import ThreadedMotoServer

REGION = "us-west-1"
#: What a key may do that is used for everything.
EVERYTHING = ({"Effect": "Allow", "Action": "*", "Resource": "*"},)


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


class Cloud:
    """Something that speaks AWS's protocols on a loopback port, and a key that may do everything."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self.url = url
        #: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
        self.keys = keys

    def client(self, service: str, keys: dict[str, str] | None = None) -> Any:
        """A client of one service, with the key that may do everything by default."""
        used = keys or self.keys
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=used["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=used["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 1}),
        )

    def settings(self, **changes: str) -> dict[str, str]:
        """The variables that let a service reach this instead of AWS."""
        return {"AWS_ENDPOINT_URL": self.url} | self.keys | changes

    def bucket(self) -> str:
        """A new bucket."""
        name = unique("bucket")
        self.client("s3").create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        return name

    def s3_settings(self, bucket: str, name: str = "schema.json", **changes: str) -> dict[str, str]:
        """The variables of a service that keeps its copy in a bucket."""
        stated = {
            "SCHEMA_STORAGE_TYPE": "S3",
            "AWS_S3_REGION": REGION,
            "AWS_S3_STORAGE_BUCKET_NAME": bucket,
            "AWS_S3_STORAGE_OBJECT_NAME": name,
        }
        return self.settings() | stated | changes


class Moto(Cloud):
    """moto's server: a wrong secret is refused, and so is what a key's policy does not allow."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        super().__init__(
            f"http://{host}:{port}",
            {"AWS_ACCESS_KEY_ID": "unchecked", "AWS_SECRET_ACCESS_KEY": "unchecked"},
        )
        self.keys = self.user(*EVERYTHING)
        requests.post(f"{self.url}/moto-api/reset-auth", data=b"0", timeout=10)

    def user(self, *statements: dict[str, Any]) -> dict[str, str]:
        """The key of a new user who may do what these policy statements say."""
        iam = self.client("iam")
        name = unique("user")
        iam.create_user(UserName=name)
        if statements:
            document = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_user_policy(
                UserName=name, PolicyName="policy", PolicyDocument=json.dumps(document)
            )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }

    def role(self, *statements: dict[str, Any]) -> dict[str, str]:
        """The key of one session of a new role that may do what these policy statements say."""
        iam = self.client("iam")
        name = unique("role")
        version = "2012-10-17"
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": version, "Statement": [trust]}),
        )["Role"]
        iam.put_role_policy(
            RoleName=name,
            PolicyName="policy",
            PolicyDocument=json.dumps({"Version": version, "Statement": statements}),
        )
        assumed = self.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")
        key = assumed["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "AWS_SESSION_TOKEN": key["SessionToken"],
        }

    def secret(self, value: object) -> str:
        """A new secret in Secrets Manager; text as it is, anything else as JSON."""
        name = unique("secret")
        text = value if isinstance(value, str) else json.dumps(value)
        self.client("secretsmanager").create_secret(Name=name, SecretString=text)
        return name

    def rotate(self, name: str, value: object) -> None:
        """Give a secret another value."""
        self.client("secretsmanager").put_secret_value(
            SecretId=name, SecretString=json.dumps(value)
        )

    def stop(self) -> None:
        """Answer no more."""
        self._server.stop()


@contextlib.contextmanager
def running_seaweed(folder: Path) -> Iterator[Cloud]:
    """seaweedfs with its S3 gateway, which knows one key."""
    keys = {"AWS_ACCESS_KEY_ID": unique("key"), "AWS_SECRET_ACCESS_KEY": uuid.uuid4().hex}
    identity = {
        "name": "tests",
        "credentials": [
            {"accessKey": keys["AWS_ACCESS_KEY_ID"], "secretKey": keys["AWS_SECRET_ACCESS_KEY"]}
        ],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    master, volume, filer, s3 = _ports(4)
    log = folder / "seaweed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("weed")),
                "server",
                f"-dir={folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-master.port={master}",
                "-master.telemetry=false",
                "-master.volumeSizeLimitMB=64",
                f"-volume.port={volume}",
                "-volume.max=1000",
                "-volume.preStopSeconds=0",
                f"-filer.port={filer}",
                "-s3",
                f"-s3.port={s3}",
                f"-s3.config={config}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        cloud = Cloud(f"http://127.0.0.1:{s3}", keys)
        _wait_for_a_bucket(cloud, process, log)
        yield cloud
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def _ports(count: int) -> list[int]:
    """Free ports whose gRPC ports, 10,000 above, are free too."""
    found: list[int] = []
    while len(found) < count:
        with contextlib.ExitStack() as held:
            try:
                probe = held.enter_context(socket.create_server(("127.0.0.1", 0)))
                port = probe.getsockname()[1] - 10_000
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            if port not in found:
                found.append(port)
    return found


def _wait_for_a_bucket(cloud: Cloud, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until a bucket can be made and an object written in it."""
    deadline = time.monotonic() + 60
    failure: Exception | None = None
    while process.poll() is None and time.monotonic() < deadline:
        try:
            name = cloud.bucket()
            cloud.client("s3").put_object(Bucket=name, Key="probe", Body=b"probe")
        except Exception as error:  # noqa: BLE001 (whatever boto3 raises as long as nobody answers)
            failure = error
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"seaweedfs did not start: {failure}\n{log.read_text()[-3000:]}")
