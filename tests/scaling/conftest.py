"""PgBouncer, where it is installed."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def pgbouncer_program() -> str:
    """The program; a machine without it skips, a machine that has to have it fails."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        reason = "PgBouncer is missing: apt install pgbouncer"
        if os.environ.get("DRG_REQUIRE_PGBOUNCER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return program
