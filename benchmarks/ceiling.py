"""What one would write by hand for these tables, and nothing more: the ceiling for a Flask service.

No validation, no links, no count, no error bodies.
"""

from __future__ import annotations

import os
from queue import SimpleQueue
from typing import Any

import orjson
import psycopg2
from flask import Flask, Response, request

from benchmarks.ground import WIDE

_WIDE = ", ".join(["id", "code", *WIDE])
_PAGE = "SELECT {} FROM {} ORDER BY id LIMIT %s OFFSET %s"


def make_app() -> Flask:
    """The application, with a pool of connections that grows to one for each thread."""
    app = Flask("ceiling", static_folder=None)
    url = os.environ["DATABASE_URL"]
    idle: SimpleQueue[Any] = SimpleQueue()

    def run(sql: str, values: tuple[Any, ...], *, one: bool = False) -> Any:
        """One statement; its rows as objects."""
        connection = _connected(url) if idle.empty() else idle.get()
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            names = [column.name for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
        idle.put(connection)
        return (rows[0] if rows else None) if one else rows

    def answer(value: Any, status: int = 200) -> Response:
        body = orjson.dumps(value, default=str)
        return Response(body, status, mimetype="application/json")

    def page(table: str, columns: str) -> Response:
        limit, offset = int(request.args.get("limit", 20)), int(request.args.get("offset", 0))
        return answer({table: run(_PAGE.format(columns, table), (limit, offset))})

    @app.get("/people/<int:key>")
    def one(key: int) -> Response:
        return answer(run("SELECT id, name FROM people WHERE id = %s", (key,), one=True))

    @app.get("/people")
    def people() -> Response:
        return page("people", "id, name")

    @app.get("/wide")
    def wide() -> Response:
        return page("wide", _WIDE)

    @app.get("/million")
    def million() -> Response:
        return page("million", "id, name")

    @app.post("/people/query")
    def named() -> Response:
        name = orjson.loads(request.get_data())["name"]
        sql = "SELECT id, name FROM people WHERE name = %s ORDER BY id"
        return answer({"results": run(sql, (name,))})

    @app.post("/wide/query")
    def coded() -> Response:
        code = orjson.loads(request.get_data())["code"]
        sql = f"SELECT {_WIDE} FROM wide WHERE code = %s ORDER BY id"
        return answer({"results": run(sql, (code,))})

    @app.post("/people")
    def create() -> Response:
        name = orjson.loads(request.get_data())["name"]
        sql = "INSERT INTO people (name) VALUES (%s) RETURNING id"
        return answer(run(sql, (name,), one=True), 201)

    @app.put("/people/<int:key>")
    def replace(key: int) -> Response:
        name = orjson.loads(request.get_data())["name"]
        sql = "UPDATE people SET name = %s WHERE id = %s RETURNING id"
        return answer(run(sql, (name, key), one=True))

    return app


def _connected(url: str) -> Any:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection
