"""``drg generate``, ``drg routes`` and the rest of the command line, as a shell runs them."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from data_resource_api import __version__
from tests.command_line import run
from tests.service import (
    WORKFORCE,
    Database,
    Service,
    entry,
    free_port,
    payload,
    running,
    workforce,
)


def generate(service: Service, *arguments: str | Path, text: str = "") -> tuple[int, str, str]:
    done = run("drg", "generate", *arguments, "--url", service.url, text=text)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, server_url: str) -> Iterator[Service]:
    """A service that accepts small bodies."""
    folder = tmp_path_factory.mktemp("small")
    with running(folder, server_url, workers=1, DRG_MAX_BODY_BYTES="1000000") as service:
        yield service


# ── drg generate ─────────────────────────────────────────────────────────────────────────────────


def test_generate_says_what_is_live(small: Service) -> None:
    code, out, errors = generate(small, WORKFORCE)
    assert (code, errors) == (0, "")
    assert out.splitlines() == [
        f"Cedar Bend Workforce Data Trust is live: {small.url}/ui/",
        "Tables: provider, program, credential, participant, enrollment",
    ]
    assert small.get("/provider").status_code == 200


def test_generate_reads_standard_input(small: Service) -> None:
    assert generate(small, WORKFORCE)[0] == 0
    code, out, _ = generate(small, "-", text=WORKFORCE.read_text())
    assert (code, out.splitlines()[0][-4:]) == (0, "/ui/")


def test_generate_tells_each_fault_on_a_line(small: Service, tmp_path: Path) -> None:
    document = workforce()
    fields = document["data_resource_schema"]["data"]["dataDictionary"][0]["tableSchema"]["fields"]
    fields[1]["type"] = "strin"
    fields[2]["type"] = "nothing"
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(document))
    code, out, errors = generate(small, file)
    assert (code, out) == (1, "")
    summary, *faults = errors.splitlines()
    assert summary.startswith("drg: The payload has ")
    assert "drg: data.dataDictionary[0].tableSchema.fields[1].type: " in faults[0]
    assert "drg: data.dataDictionary[0].tableSchema.fields[2].type: " in faults[1]


def test_generate_tells_a_conflict(small: Service, tmp_path: Path) -> None:
    assert generate(small, WORKFORCE)[0] == 0
    file = tmp_path / "payload.json"
    file.write_text(json.dumps(payload(entry("provider"))))
    code, _, errors = generate(small, file)
    assert code == 1
    assert "drg: provider: the table exists." in errors.splitlines()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": }', "is not JSON: Expecting value (line 1, column 7)."),
        ("", "is not JSON: Expecting value (line 1, column 1)."),
        ('{"a": NaN}', "is not JSON: NaN is not a JSON value."),
    ],
)
def test_generate_sends_nothing_that_is_not_json(tmp_path: Path, text: str, complaint: str) -> None:
    """No service is needed to find out."""
    file = tmp_path / "payload.json"
    file.write_text(text)
    done = run("drg", "generate", file, "--url", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr == f"drg: {file}: The body {complaint}\n"


def test_generate_tells_that_a_file_is_missing(tmp_path: Path) -> None:
    done = run("drg", "generate", tmp_path / "payload.json")
    assert done.returncode == 2
    assert done.stderr.endswith("payload.json': No such file or directory\n")


def test_generate_tells_that_a_payload_is_too_large(small: Service) -> None:
    for size in (1_000_000, 30_000_000):  # one that has arrived before it is refused, and one not
        code, _, errors = generate(small, "-", text=json.dumps({"a": "a" * size}))
        assert code == 1
        assert "Traceback" not in errors
        assert "DRG_MAX_BODY_BYTES" in errors
        assert errors.count("\n") == 1


def test_generate_tells_that_no_service_is_there(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = run("drg", "generate", WORKFORCE, "--url", url)
    assert done.returncode == 1
    assert done.stderr.startswith(f"drg: No service answers at {url}: ")
    assert done.stderr.endswith(" Start one with `drg serve`, or name another with --url.\n")


def test_generate_uses_no_proxy_for_this_machine(small: Service) -> None:
    done = run("drg", "generate", WORKFORCE, "--url", small.url, http_proxy="http://127.0.0.1:1")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8081", "http://"])
def test_generate_tells_that_the_address_is_none(url: str) -> None:
    done = run("drg", "generate", WORKFORCE, "--url", url)
    assert done.returncode == 1
    assert done.stderr == f"drg: --url must be like http://127.0.0.1:8081, not {url}\n"


@pytest.mark.parametrize(
    ("status", "complaint"),
    [(200, "is not this service: no JSON."), (502, "/generator is 502 Bad Gateway: <html>")],
)
def test_generate_tells_that_something_else_answers(status: int, complaint: str) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.handle_request, daemon=True).start()
        done = run(
            "drg", "generate", WORKFORCE, "--url", f"http://127.0.0.1:{other.server_address[1]}"
        )
    assert done.returncode == 1
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


# ── a token ──────────────────────────────────────────────────────────────────────────────────────

TOKEN = "eyJhbGciOi.canary-token.c2lnbg"


@dataclass
class Received:
    """What a server was sent, and what it answers every request with."""

    status: int
    body: bytes = b'{"message": "Access Denied"}'
    headers: tuple[tuple[str, str], ...] = ()
    authorizations: list[str | None] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def answering(received: Received) -> Iterator[Received]:
    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.authorizations.append(self.headers["Authorization"])
            self.send_response(received.status)
            for header in received.headers:
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(received.body)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with socketserver.TCPServer(("127.0.0.1", 0), Recorder) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        received.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield received
        server.shutdown()
        thread.join()


def test_generate_sends_the_token_of_a_file_or_of_the_environment(tmp_path: Path) -> None:
    """The file that is named wins; a line break at its end is not part of the token."""
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    with answering(Received(401)) as received:
        url = ("--url", received.url)
        run("drg", "generate", WORKFORCE, *url)
        run("drg", "generate", WORKFORCE, *url, "--token-file", file, DRG_TOKEN="other")
        run("drg", "generate", WORKFORCE, *url, "--token-file", "-", text=TOKEN)
        run("drg", "generate", WORKFORCE, *url, DRG_TOKEN=TOKEN)
        run("drg", "generate", WORKFORCE, *url, DRG_TOKEN_FILE=str(file))
    assert received.authorizations == [None, *[f"Bearer {TOKEN}"] * 4]


@pytest.mark.parametrize(
    ("status", "token", "remedy"),
    [
        (401, "", "put it in a file for --token-file, or in DRG_TOKEN."),
        (401, TOKEN, "it may have expired"),
        (403, TOKEN, "(OAUTH2_ADMIN_SCOPE of the service)"),
    ],
)
def test_generate_tells_what_to_do_about_the_token(status: int, token: str, remedy: str) -> None:
    with answering(Received(status)) as received:
        done = run("drg", "generate", WORKFORCE, "--url", received.url, DRG_TOKEN=token)
    said, what_to_do = done.stderr.splitlines()
    assert done.returncode == 1
    assert said == "drg: Access Denied"
    assert remedy in what_to_do
    assert "canary" not in done.stdout + done.stderr


@pytest.mark.parametrize("text", ["two words", "a\r\nX-Other: header", "", "\u20ac", "=abc"])
def test_generate_sends_nothing_that_is_no_token(tmp_path: Path, text: str) -> None:
    """What the file holds may be another secret: it is not shown."""
    file = tmp_path / "token"
    file.write_text(text)
    done = run("drg", "generate", WORKFORCE, "--token-file", file)
    assert done.returncode == 1
    what = "holds no access token: it must be the token alone, on one line."
    assert done.stderr == f"drg: {file} {what}\n"


def test_a_token_does_not_follow_a_redirect() -> None:
    """It may lead to another host."""
    with answering(Received(200, b"{}")) as other:
        location = (("Location", f"{other.url}/generator"),)
        with answering(Received(302, headers=location)) as received:
            run("drg", "generate", WORKFORCE, "--url", received.url, DRG_TOKEN=TOKEN)
    assert received.authorizations[0] == f"Bearer {TOKEN}"
    assert other.authorizations
    assert not any(other.authorizations)


def test_generate_warns_that_a_token_goes_out_unencrypted() -> None:
    url = f"http://nobody.invalid:{free_port()}"
    done = run("drg", "generate", WORKFORCE, "--url", url, DRG_TOKEN=TOKEN)
    assert done.stderr.startswith(f"drg: Warning: the token is sent to {url} unencrypted.\n")
    assert "canary" not in done.stderr


def test_the_token_is_known_and_shown_nowhere(tmp_path: Path, database: Database) -> None:
    """No warning of an unknown name; the service does not read it."""
    done = run("drg", "routes", DATABASE_URL=database.url, DRG_TOKEN=TOKEN, DRG_TOKEN_FILE="x")
    assert "not known" not in done.stderr
    assert "canary" not in done.stdout + done.stderr


# ── the others ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("program", [("drg",), ("flask", "drg")])
def test_routes_lists_what_is_live(small: Service, program: tuple[str, ...]) -> None:
    """As ``drg`` and, in the project's folder and with no FLASK_APP, as a command of Flask's."""
    assert generate(small, WORKFORCE)[0] == 0
    done = run(*program, "routes", **settings_of(small))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "GET    /provider" in lines
    assert "PATCH  /provider/{id}" in lines
    assert [line.split() for line in lines] == [
        operation.split() for operation in small.get("/generator").json()["operations"]
    ]


def test_routes_says_that_nothing_is_live(tmp_path: Path, database: Database) -> None:
    done = run("drg", "routes", DATABASE_URL=database.url, DRG_STATIC_DIR=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "drg: Nothing has been generated yet.\n"


def test_routes_says_that_what_is_stored_cannot_be_served(tmp_path: Path) -> None:
    url = f"postgresql://127.0.0.1:{free_port()}/none"
    done = run("drg", "routes", DATABASE_URL=url, DRG_STATIC_DIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "drg: The database cannot be reached."


def settings_of(service: Service) -> dict[str, str]:
    return {
        name: value
        for name, value in service.environment.items()
        if name.startswith("DRG_") or name == "DATABASE_URL"
    }


def test_version_is_told() -> None:
    assert run("drg", "--version").stdout == f"drg, version {__version__}\n"


@pytest.mark.parametrize("command", ["serve", "generate", "routes"])
def test_every_command_helps(command: str) -> None:
    done = run("drg", command, "--help")
    assert done.returncode == 0
    assert f"Usage: drg {command}" in done.stdout


@pytest.mark.parametrize("program", [("drg",), ("flask", "drg")])
def test_a_wrong_setting_ends_every_command_with_its_remedy(program: tuple[str, ...]) -> None:
    done = run(*program, "routes", APP_ENV="STAGING")
    assert done.returncode == 2
    assert done.stderr == "drg: APP_ENV must be one of TEST, LOCAL, PRODUCTION, not 'STAGING'.\n"
