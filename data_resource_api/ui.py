"""Pages for people: the landing page and Swagger UI, both working offline."""

from __future__ import annotations

from flask import Flask

from data_resource_api.generator import Generator


def register_pages(app: Flask, generator: Generator) -> None:
    """Add the pages to an application."""
