"""A stand-in for how the first implementation of this documentation reaches its data.

Written here from what it does, not from its text: a SQLAlchemy session for each request, objects
mapped onto the tables, a count beside each page, Flask's own JSON, under gunicorn.
"""

from __future__ import annotations

import datetime as dt
import decimal
import os
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response, jsonify, request
from sqlalchemy.orm import DeclarativeBase, Session

Answer = Response | tuple[Response, int]


def make_app() -> Flask:
    """The application; its classes are mapped onto the tables that it finds."""
    app = Flask("original", static_folder=None)
    url = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://")
    # Mapping is done in the master or in the worker, as gunicorn likes: a connection of its own each.
    mapping = sa.create_engine(url, poolclass=sa.NullPool)
    engine = sa.create_engine(url, pool_size=8)

    class Base(DeclarativeBase):
        pass

    classes: dict[str, Any] = {
        name: type(
            name.title(),
            (Base,),
            {"__table__": sa.Table(name, Base.metadata, autoload_with=mapping)},
        )
        for name in ("people", "wide", "million")
    }

    @app.get("/<table>")
    def page(table: str) -> Answer:
        offset, limit = int(request.args.get("offset", 0)), int(request.args.get("limit", 20))
        mapped = classes[table]
        with Session(engine) as session:
            found = session.query(mapped).order_by(mapped.__table__.c.id)
            rows = [shown(row) for row in found.limit(limit).offset(offset).all()]
            count = session.query(mapped).count()
        return jsonify({table: rows, "links": links(table, offset, limit, count)})

    @app.get("/<table>/<int:key>")
    def one(table: str, key: int) -> Answer:
        with Session(engine) as session:
            row = session.get(classes[table], key)
            return (jsonify(error="not found"), 404) if row is None else jsonify(shown(row))

    @app.post("/<table>/query")
    def query(table: str) -> Answer:
        with Session(engine) as session:
            found = session.query(classes[table]).filter_by(**(request.json or {})).all()
            return jsonify(results=[shown(row) for row in found])

    @app.post("/<table>")
    def create(table: str) -> Answer:
        with Session(engine) as session:
            row = classes[table](**(request.json or {}))
            session.add(row)
            session.commit()
            answer = {"message": "Successfully added new resource.", "id": shown(row)["id"]}
        return jsonify(answer), 201

    @app.put("/<table>/<int:key>")
    def replace(table: str, key: int) -> Answer:
        with Session(engine) as session:
            row = session.get(classes[table], key)
            for name, value in (request.json or {}).items():
                setattr(row, name, value)
            session.commit()
        return jsonify(message="Successfully updated resource.", id=key)

    return app


def shown(row: Any) -> dict[str, Any]:
    """A mapped object as JSON's values."""
    return {column.name: value_of(getattr(row, column.name)) for column in row.__table__.columns}


def value_of(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, dt.date) else value


def links(table: str, offset: int, limit: int, count: int) -> list[dict[str, str]]:
    """Where to go from a page."""
    places = {"self": offset, "first": 0, "last": max(0, (count - 1) // limit * limit)}
    if offset > 0:
        places["prev"] = max(0, offset - limit)
    if offset + limit < count:
        places["next"] = offset + limit
    return [
        {"rel": rel, "href": f"/{table}?offset={start}&limit={limit}"}
        for rel, start in places.items()
    ]
