"""A database and an API from one document, in one command: ``make demo``.

Starts the service with its embedded PostgreSQL, posts ``workforce/payload.json``, loads its rows,
says what to look at, and stays until Ctrl-C, which stops everything. What was generated before is
kept: a second run shows it again.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parent.parent
WORKFORCE = ROOT / "examples" / "workforce"
DRG = Path(sys.executable).parent / "drg"

READY_SECONDS = 120
STOP_SECONDS = 30

# The demo never touches a database, a provider or a bucket that the shell happens to know.
NOT_FOR_THE_DEMO = (
    "APP_ENV",
    "AWS_",
    "DATABASE_URL",
    "DRG_ALLOW_ANONYMOUS",
    "OAUTH2_",
    "POSTGRES_",
    "SCHEMA_STORAGE_TYPE",
)

WELCOME = """
  Your database and its API are running. Open

    {url}/      what there is: tables, fields, relationships
    {url}/ui/   every operation, to try out
{example}
  Ctrl-C stops the service and its database. Both are kept for the next `make demo`.
"""
EXAMPLE = """
  or try, in another terminal,

    curl '{url}/program?limit=2'
    curl {url}/program/query -H 'Content-Type: application/json' -d '{{"delivery": "hybrid"}}'
"""

# A proxy, if there is one, is not for this machine's own address.
_open = build_opener(ProxyHandler({})).open


class DemoError(Exception):
    """The demo cannot go on; the message tells a person why."""


def main() -> int:
    """Run the demo until the service ends or somebody stops it; return the exit code."""
    _on_stop_signals(_interrupt)
    try:
        port = _port(os.environ)
        _refuse_taken(port)
    except DemoError as error:
        return _fail(error)
    url = f"http://{HOST}:{port}"
    # In a session of its own, so that Ctrl-C reaches the service once: from here.
    service = subprocess.Popen(
        [DRG, "serve", "--host", HOST, "--port", str(port)],
        cwd=ROOT,
        env=_environment(os.environ),
        start_new_session=True,
    )
    try:
        _wait_until_ready(url, service)
        if not _get(f"{url}/generator"):  # what is there already is kept
            _run(DRG, "generate", WORKFORCE / "payload.json", "--url", url)
            _run(sys.executable, WORKFORCE / "load.py", "--url", url)
        example = EXAMPLE.format(url=url) if _get(f"{url}/program?limit=1") else ""
        print(WELCOME.format(url=url, example=example), flush=True)
        service.wait()
    except KeyboardInterrupt:
        print("\nStopping …", flush=True)
    except DemoError as error:
        _stop(service)
        return _fail(error)
    return _stop(service)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    _on_stop_signals(signal.SIG_IGN)  # a second Ctrl-C must not cut the stopping short
    raise KeyboardInterrupt


def _on_stop_signals(action: signal.Handlers | Callable[[int, FrameType | None], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, action)


def _port(environ: Mapping[str, str]) -> int:
    text = environ.get("PORT") or "8081"
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise DemoError(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    return int(text)


def _refuse_taken(port: int) -> None:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise DemoError(
            f"Port {port} cannot be used: {reason}. Another one: make demo PORT={port + 1}"
        ) from error


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith(NOT_FOR_THE_DEMO)}
    return kept | {"APP_ENV": "LOCAL"}


def _wait_until_ready(url: str, service: subprocess.Popen[bytes]) -> None:
    reason = "no answer"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if service.poll() is not None:
            raise DemoError(
                f"The service ended with code {service.returncode} before it was ready; see above."
            )
        try:
            _open(f"{url}/-/ready", timeout=5).close()
        except HTTPError as error:
            reason = error.read().decode(errors="replace")
        except (URLError, OSError) as error:
            reason = str(error)
        else:
            return
        time.sleep(0.1)
    raise DemoError(f"The service is not ready after {READY_SECONDS} s: {reason}")


def _get(url: str) -> bool:
    """Tell whether there is anything at ``url``."""
    try:
        _open(url, timeout=30).close()
    except HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return False
        raise DemoError(f"GET {url}: {error.code} {error.read().decode()}") from error
    except OSError as error:
        raise DemoError(f"GET {url}: {error}") from error
    return True


def _run(*command: str | Path) -> None:
    try:
        subprocess.run(command, cwd=ROOT, check=True)
    except subprocess.CalledProcessError as error:
        program = " ".join(str(part) for part in command)
        raise DemoError(f"This failed with code {error.returncode}: {program}") from error


def _stop(service: subprocess.Popen[bytes]) -> int:
    """End the service, which ends its workers and its database; return its exit code."""
    _on_stop_signals(signal.SIG_IGN)
    if service.poll() is None:
        service.terminate()
    try:
        code = service.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"The service does not stop within {STOP_SECONDS} s; it is killed.", file=sys.stderr)
        os.killpg(service.pid, signal.SIGKILL)
        code = service.wait()
    return code if code >= 0 else 128 - code


def _fail(error: DemoError) -> int:
    print(f"make demo: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
