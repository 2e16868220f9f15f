"""``AWS_AES_Engine`` against a KMS over HTTP: known answers, calls, tampering, contexts, an outage."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from typing import Any

import aws_encryption_sdk
import boto3
import pytest
import requests
from moto.server import ThreadedMotoServer
from sqlalchemy_utils.types.encrypted.encrypted_type import EncryptionDecryptionBaseEngine

from data_resource_api.encryption.aws import AwsColumnEngine
from data_resource_api.encryption.engines import EncryptionFailure, Opened, Place, Undecryptable
from data_resource_api.encryption.keys import kms_key_fault
from data_resource_api.errors import Unavailable
from tests.encryption.test_http import failed, protected
from tests.service import Service, entry, free_port, payload, running

PLACE = Place("person", "ssn")
REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests"}


class Kms:
    """A key management service, its keys, and the calls that it has answered."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()
        # Whether keys are checked is one setting of all of moto's servers in a process.
        self._checked = self._check_keys("inf")
        self.client = boto3.client(
            "kms",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="tests",
            aws_secret_access_key="tests",
        )
        self.keys: list[str] = [self.new_key() for _ in range(2)]
        self.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def new_key(self) -> str:
        arn: str = self.client.create_key()["KeyMetadata"]["Arn"]
        return arn

    def stop(self) -> None:
        self._check_keys(self._checked)
        self._server.stop()

    def _check_keys(self, after: str) -> str:
        """Check keys after so many calls; → after how many it was."""
        response = requests.post(f"{self.url}/moto-api/reset-auth", data=after, timeout=10)
        return str(response.json()["PREVIOUS_INITIAL_NO_AUTH_ACTION_COUNT"])

    def record(self) -> None:
        requests.post(f"{self.url}/moto-api/recorder/reset-recording", timeout=10)
        requests.post(f"{self.url}/moto-api/recorder/start-recording", timeout=10)

    def calls(self) -> list[str]:
        """The KMS operations since :meth:`record`."""
        requests.post(f"{self.url}/moto-api/recorder/stop-recording", timeout=10)
        log = requests.get(f"{self.url}/moto-api/recorder/download-recording", timeout=10).text
        return [
            name
            for line in log.splitlines()
            for name in ("GenerateDataKey", "Decrypt", "Encrypt")
            if f'"TrentService.{name}"' in line
        ]


@pytest.fixture(scope="module")
def kms() -> Iterator[Kms]:
    kms = Kms()
    yield kms
    kms.stop()


@pytest.fixture
def engine(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> AwsColumnEngine:
    for name, value in kms.environment.items():
        monkeypatch.setenv(name, value)
    return AwsColumnEngine(PLACE, kms.keys)


def sdk_message(kms: Kms, key: str, text: str, **how: Any) -> str:
    """What the AWS Encryption SDK itself writes, by default as the original did: signed."""
    provider = aws_encryption_sdk.key_providers.kms.KMSMasterKey(
        config=aws_encryption_sdk.key_providers.kms.KMSMasterKeyConfig(
            key_id=key, client=kms.client
        )
    )
    message, _ = aws_encryption_sdk.EncryptionSDKClient().encrypt(
        source=text.encode(), key_provider=provider, **how
    )
    return base64.b64encode(message).decode()


def test_the_engine_is_derived_from_sqlalchemy_utils_base_engine(engine: AwsColumnEngine) -> None:
    assert isinstance(engine, EncryptionDecryptionBaseEngine)


@pytest.mark.parametrize("text", ["", "plain", "ü" * 10_000])
def test_a_value_comes_back(engine: AwsColumnEngine, text: str) -> None:
    assert engine.open(engine.encrypt(text)) == Opened(text, 0, bound=True)


def test_what_is_written_is_a_message_that_the_sdk_reads(engine: AwsColumnEngine, kms: Kms) -> None:
    """Version 2, algorithm 0x0478: committed to its key, without a signature."""
    message = base64.b64decode(engine.encrypt("plain"))
    assert message[:3] == b"\x02\x04\x78"
    provider = aws_encryption_sdk.key_providers.kms.KMSMasterKey(
        config=aws_encryption_sdk.key_providers.kms.KMSMasterKeyConfig(
            key_id=kms.keys[0], client=kms.client
        )
    )
    plain, header = aws_encryption_sdk.EncryptionSDKClient().decrypt(
        source=message, key_provider=provider
    )
    assert plain == b"plain"
    assert header.encryption_context == {"table": "person", "column": "ssn"}


@pytest.mark.parametrize("index", [0, 1])
def test_what_the_sdk_wrote_is_read(engine: AwsColumnEngine, kms: Kms, index: int) -> None:
    """As the original stored it: no context of ours, signed."""
    message = sdk_message(kms, kms.keys[index], "from the original")
    assert engine.open(message) == Opened("from the original", index, bound=False)


def test_a_message_is_of_no_use_in_another_column(engine: AwsColumnEngine, kms: Kms) -> None:
    message = engine.encrypt("plain")
    for place in (Place("person", "name"), Place("people", "ssn")):
        with pytest.raises(Undecryptable):
            AwsColumnEngine(place, kms.keys).open(message)
    foreign = sdk_message(kms, kms.keys[0], "x", encryption_context={"purpose": "other"})
    with pytest.raises(Undecryptable):
        engine.open(foreign)


def test_every_changed_byte_is_noticed(engine: AwsColumnEngine) -> None:
    """Header, context, encrypted data key, commitment, nonce, ciphertext and tag."""
    raw = base64.b64decode(engine.encrypt("plain"))
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(Undecryptable):
            engine.open(base64.b64encode(changed).decode())
    for cut in range(0, len(raw), 7):
        with pytest.raises(Undecryptable):
            engine.open(base64.b64encode(raw[:cut]).decode())


def test_a_key_that_is_not_listed_is_not_asked_for(engine: AwsColumnEngine, kms: Kms) -> None:
    message = sdk_message(kms, kms.new_key(), "x")
    kms.record()
    with pytest.raises(Undecryptable):
        engine.open(message)
    assert kms.calls() == []


def test_a_key_that_kms_refuses_is_told_by_its_arn(engine: AwsColumnEngine, kms: Kms) -> None:
    gone = f"{kms.keys[0].rpartition('/')[0]}/00000000-0000-0000-0000-000000000000"
    with pytest.raises(EncryptionFailure) as raised:
        AwsColumnEngine(PLACE, [gone]).encrypt("canary")
    assert "NotFoundException" in str(raised.value)
    assert gone in str(raised.value)
    assert "canary" not in repr(raised.value)


def test_an_alias_is_refused_with_the_remedy() -> None:
    fault = kms_key_fault("arn:aws:kms:eu-central-1:123456789012:alias/people")
    assert fault is not None
    assert "the key's own ARN" in fault
    assert kms_key_fault("arn:aws:kms:eu-central-1:123456789012:key/1234-abcd") is None
    assert kms_key_fault("arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-12") is None
    assert kms_key_fault("1234") is not None


def test_kms_being_away_is_no_wrong_value(
    kms: Kms, engine: AwsColumnEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = engine.encrypt("plain")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "another")  # clients are kept for each key
    away = AwsColumnEngine(PLACE, kms.keys)
    for _ in range(2):
        with pytest.raises(Unavailable):
            away.open(message)
        with pytest.raises(Unavailable):
            away.encrypt("plain")


def test_data_keys_are_not_logged_at_debug(
    engine: AwsColumnEngine, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        engine.open(engine.encrypt("canary"))
    assert "Plaintext" not in caplog.text
    assert "canary" not in caplog.text


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────


def document() -> dict[str, Any]:
    built = payload(
        entry("person", protected("ssn", "string"), protected("income", "number")),
    )
    built["data_resource_schema"]["data"]["encryptionSchema"] = {
        "*": {"type": "AWS_AES_Engine", "key": "PEOPLE_ARN"}
    }
    return built


@pytest.fixture
def service(
    kms: Kms, tmp_path_factory: pytest.TempPathFactory, server_url: str
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("aws")
    settings = {**kms.environment, "PEOPLE_ARN": kms.keys[0], "DRG_LOG_LEVEL": "DEBUG"}
    with running(folder, server_url, workers=1, **settings) as service:
        yield service


def test_a_page_of_a_hundred_rows_costs_one_call_of_kms_for_each_column(
    service: Service, kms: Kms
) -> None:
    """None when the data key is known, and one after a restart; a searchable field is refused."""
    searchable = document()
    (person,) = searchable["data_resource_schema"]["data"]["dataDictionary"]
    person["tableSchema"]["fields"][1]["searchable"] = True
    (line,) = service.post("/generator", searchable).json()["errors"]
    assert "protect the field by AES_256_GCM" in line
    service.generate(document())
    kms.record()
    for n in range(100):
        assert service.post("/person", {"ssn": f"canary-{n}", "income": n}).status_code == 201
    assert kms.calls() == ["GenerateDataKey", "GenerateDataKey"]
    kms.record()
    shown = service.get("/person?limit=100").json()["person"]
    assert [row["ssn"] for row in shown] == [f"canary-{n}" for n in range(100)]
    assert [row["income"] for row in shown] == list(range(100))
    assert kms.calls() == ["Decrypt", "Decrypt"]
    kms.record()
    assert service.get("/person?limit=100").json()["person"] == shown
    assert kms.calls() == []
    service.stop()
    service.start()
    kms.record()
    assert service.get("/person?limit=100").json()["person"] == shown
    assert kms.calls() == ["Decrypt", "Decrypt"]
    service.execute("UPDATE person SET ssn = income WHERE id = 1")
    assert "person.ssn: a stored value" in failed(service, service.get("/person/1"))
    service.stop()
    service.environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{free_port()}"
    service.start()
    for answer in (service.get("/person/2"), service.post("/person", {"ssn": "x"})):
        assert answer.status_code == 503
        assert "Retry-After" in answer.headers
    assert "canary" not in service.log()
