"""The processes of ``drg serve``, and waiting for what they do."""

from __future__ import annotations

import signal
import socket
import subprocess
import time

from tests.service import Service, entry, payload

NOTE = payload(entry("note", {"name": "text", "type": "string"}))


def processes(*marks: str) -> dict[int, str]:
    """The command lines, by process id, of the processes that mention all of these."""
    shown = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,stat=,args="], stdout=subprocess.PIPE, text=True, check=True
    )
    found = {}
    for line in shown.stdout.splitlines():
        number, status, *arguments = line.split(None, 2)
        if arguments and not status.startswith("Z") and all(mark in line for mark in marks):
            found[int(number)] = arguments[0]
    return found


def postmasters(service: Service) -> list[int]:
    return list(processes("bin/postgres ", f"{service.folder}/"))


def workers(service: Service) -> list[int]:
    assert service.process is not None
    return sorted(processes("serve", f"--port {service.port}").keys() - {service.process.pid})


def wait_for(condition: object, seconds: float = 20) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def wait_until_served(service: Service) -> None:
    """Every worker has started, so that whoever is asked answers."""
    wait_for(lambda: "Serving on" in service.log() or not alive(service))
    assert "Serving on" in service.log(), service.log()


def alive(service: Service) -> bool:
    return service.process is not None and service.process.poll() is None


def end(service: Service, *signals: signal.Signals) -> int:
    """Send these signals and return the exit code."""
    assert service.process is not None
    for number in signals:
        service.process.send_signal(number)
        time.sleep(0.02)
    code = service.process.wait(40)
    service.process = None
    return code


def listens(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False
