"""A coverage.py plugin: measures the threads in which granian runs the application.

Up to Python 3.13 coverage measures a thread by a trace function that ``threading`` sets in every
thread that it starts. granian's threads are Rust's and never pass there, so what runs in them goes
unseen. Where coverage runs (and nowhere else, see ``[tool.coverage.run]``), this plugin has granian
set the trace function that ``threading`` would have set.
"""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from coverage import CoveragePlugin

WRAPPER = "_callback_wrapper"


class WorkerCoverage(CoveragePlugin):
    """Measures nothing itself."""


class _Finder(importlib.abc.MetaPathFinder):
    """Alters ``granian.wsgi`` when it is imported, and is not needed any more."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> Any:
        if name != "granian.wsgi":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_alter(module: ModuleType) -> None:
                execute(module)
                vars(module)[WRAPPER] = _measured(vars(module)[WRAPPER])

            spec.loader.exec_module = execute_and_alter  # type: ignore[method-assign]
        return spec


def _measured(wrap: Callable[..., Callable[..., Any]]) -> Callable[..., Callable[..., Any]]:
    @functools.wraps(wrap)
    def wrap_measured(*arguments: Any) -> Callable[..., Any]:
        answer = wrap(*arguments)

        @functools.wraps(answer)
        def answer_measured(protocol: Any, scope: Any) -> Any:
            if sys.gettrace() is None:
                sys.settrace(threading.gettrace())
            return answer(protocol, scope)

        return answer_measured

    return wrap_measured


def coverage_init(_registry: object, _options: object) -> None:
    """Install the hook; coverage.py calls this in every process that it measures."""
    if "granian.wsgi" not in sys.modules and not any(
        isinstance(finder, _Finder) for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _Finder())
