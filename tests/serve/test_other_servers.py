"""``python wsgi.py``, ``flask run`` and other WSGI servers."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

from tests.serve.processes import end, postmasters, wait_for, wait_until_served
from tests.service import ROOT, Service


def stopped(service: Service, number: signal.Signals) -> None:
    """End the service, after which its embedded PostgreSQL is gone."""
    assert service.process is not None
    for _ in range(3):  # as a person would who sees that nothing happened
        service.process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.process.wait(15)
            break
    assert service.process.poll() is not None
    wait_for(lambda: not postmasters(service))


def test_python_wsgi_py_is_drg_serve(embedded: Service) -> None:
    embedded.program = [sys.executable, str(ROOT / "wsgi.py")]
    embedded.start()
    wait_until_served(embedded)
    assert end(embedded, signal.SIGTERM) == 0
    assert not postmasters(embedded)


def test_flask_run_needs_no_flask_app(embedded: Service) -> None:
    """In the project's folder, Flask finds ``wsgi:app``; the embedded PostgreSQL ends with it."""
    embedded.program = [str(Path(sys.executable).with_name("flask")), "run"]
    embedded.arguments = ["--port", str(embedded.port)]
    embedded.cwd = ROOT
    embedded.start()
    assert embedded.get("/generator").status_code in (200, 404)
    assert len(postmasters(embedded)) == 1
    stopped(embedded, signal.SIGINT)
    assert "Traceback" not in embedded.log()


def test_any_wsgi_server_can_serve_wsgi_app(embedded: Service) -> None:
    """Here granian's own command line, whose workers end without Python's atexit."""
    embedded.program = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi"]
    embedded.arguments = ["--port", str(embedded.port), "--workers", "1", "wsgi:app"]
    embedded.cwd = ROOT
    embedded.start()
    assert embedded.get("/generator").status_code in (200, 404)
    assert len(postmasters(embedded)) == 1
    stopped(embedded, signal.SIGTERM)
    assert "Traceback" not in embedded.log()
