"""The programs of the environment, as a shell runs them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.service import ROOT, clean_environment

BIN = Path(sys.executable).parent


def run(*command: str | Path, text: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment to its end."""
    program, *arguments = command
    return subprocess.run(
        [BIN / program, *arguments],
        cwd=ROOT,
        env=clean_environment(**settings),
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
