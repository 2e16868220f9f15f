"""Data Resource Generator: a PostgreSQL database and a REST API from one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_resource_api.app import create_app
    from data_resource_api.compiler.data_resource import DataResource, compile_data_resource

__version__ = "0.1.0"

__all__ = ["DataResource", "__version__", "compile_data_resource", "create_app"]

_HOMES = {
    "create_app": "data_resource_api.app",
    "DataResource": "data_resource_api.compiler.data_resource",
    "compile_data_resource": "data_resource_api.compiler.data_resource",
}


def __getattr__(name: str) -> Any:
    # Lazy, so that whoever needs the compiler alone does not pay for Flask.
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
