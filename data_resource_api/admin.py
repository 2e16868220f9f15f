"""The administration routes: /generator, /tableschema, /swagger, the live document, /-/health, /-/ready."""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa
from flask import Blueprint, Flask, Response, request

from data_resource_api.compiler.data_resource import DataResource
from data_resource_api.compiler.description.drafted import draft_openapi
from data_resource_api.compiler.drafts import read_draft
from data_resource_api.compiler.openapi import Unmatched, disabled
from data_resource_api.database import admin_schema
from data_resource_api.database.deadlines import limit
from data_resource_api.errors import BadRequest, NotFound, Unavailable, UnsupportedMediaType
from data_resource_api.generator import LOOK_TIMEOUT, Generator
from data_resource_api.json_text import read_json, write_json
from data_resource_api.rest.api_request import is_json
from data_resource_api.rest.flask_app import request_body, to_response
from data_resource_api.rest.response import json_reply
from data_resource_api.settings import Settings

#: What ``admin.table_schema.id`` can be.
_DRAFT_IDS = range(2**31)


def register_admin(app: Flask, generator: Generator) -> None:
    """Add the administration routes to an application."""
    routes = Blueprint("admin", __name__)

    @routes.post("/generator")
    def generate() -> Response:
        """Make the posted Data Resource Generation Payload the live data resource."""
        generator.generate(_json_body(generator))
        return _nothing()

    @routes.get("/generator")
    def describe() -> Response:
        """What is live."""
        return _answer(describe_resource(live_resource(generator)))

    @routes.put("/tableschema/<int:number>")
    def put_draft(number: int) -> Response:
        """Keep a Table Schema as a draft, and draft its OpenAPI document."""
        if number not in _DRAFT_IDS:
            raise BadRequest(f"The number of a draft is at most {_DRAFT_IDS.stop - 1}.")
        table = read_draft(_json_body(generator))
        stated = dict(table.entry)
        swagger = draft_openapi([table], title=table.name, token_url=token_url(generator.settings))
        draft = admin_schema.Draft(
            number, write_json(stated).decode(), write_json(swagger).decode()
        )
        admin_schema.save_draft(generator.engine, draft)
        return _answer({"tableschema": stated, "swagger": swagger})

    @routes.get("/tableschema")
    def list_drafts() -> Response:
        """Every draft."""
        return _answer([_shown(draft) for draft in admin_schema.drafts(generator.engine)])

    @routes.get("/tableschema/<int:number>")
    def get_draft(number: int) -> Response:
        """One draft."""
        found = admin_schema.drafts(generator.engine, number) if number in _DRAFT_IDS else []
        if not found:
            raise NotFound(f"There is no draft {number}.")
        return _answer(_shown(found[0]))

    @routes.delete("/tableschema/<int:number>")
    def delete_draft(number: int) -> Response:
        """Forget a draft."""
        if number not in _DRAFT_IDS or not admin_schema.delete_draft(generator.engine, number):
            raise NotFound(f"There is no draft {number}.")
        return _nothing()

    @routes.get("/swagger")
    def swagger() -> Response:
        """One OpenAPI document for all drafts."""
        drafts = admin_schema.drafts(generator.engine)
        if not drafts:
            return _answer({"swagger": ""})
        tables = [read_draft(read_json(draft.tableschema.encode())) for draft in drafts]
        document = draft_openapi(tables, token_url=token_url(generator.settings))
        return _answer({"swagger": document})

    @routes.get("/static/swagger.json")
    def live_document() -> Response:
        """The live OpenAPI document."""
        return _answer(generator.served_document(live_resource(generator)))

    @routes.get("/-/health")
    def health() -> Response:
        """The process answers; the database is not asked."""
        return _answer({"status": "alive"})

    @routes.get("/-/ready")
    def ready() -> Response:
        """The database is reachable, and what is stored is loaded."""
        live = generator.keep_up()
        if live.problem is not None:
            raise live.problem
        try:
            with generator.engine.connect() as connection:
                limit(connection, LOOK_TIMEOUT)
                connection.scalar(sa.select(1))
        except sa.exc.SQLAlchemyError as error:
            raise Unavailable("The database cannot be reached.") from error
        return _answer({"status": "ready", "version": live.digest})

    app.register_blueprint(routes)


def token_url(settings: Settings) -> str | None:
    """Where a drafted document says that tokens are issued: as Auth0 and BrightHive have it."""
    if settings.oauth2_url is None:
        return None
    return f"{settings.oauth2_url.rstrip('/')}/oauth/token"


def live_resource(generator: Generator) -> DataResource:
    """The live data resource.

    :raises NotFound: nothing has been generated.
    :raises NotLoaded: something has, and cannot be served.
    """
    live = generator.keep_up()
    if live.problem is not None:
        raise live.problem
    if live.resource is None:
        raise NotFound(
            "Nothing has been generated. POST a Data Resource Generation Payload to /generator."
        )
    return live.resource


def describe_resource(resource: DataResource) -> dict[str, Any]:
    """What is live, for the people who are responsible for it."""
    pairs = resource.payload.pairs
    return {
        "name": resource.name,
        "description": resource.description,
        "version": resource.digest,
        "tables": [
            {
                "name": table.name,
                "title": table.entry.title,
                "fields": list(table.fields),
                "primaryKey": list(table.key),
                "foreignKeys": [
                    {
                        "fields": list(key.fields),
                        "reference": {"resource": key.resource, "fields": list(key.references)},
                    }
                    for key in table.foreign_keys
                ],
                "distribution": _distribution(resource, table.name),
            }
            for table in resource.tables.values()
        ],
        "manyToMany": [[pair.left, pair.right] for pair in pairs],
        "operations": [operation.place for operation in resource.operations],
        "public": [operation.place for operation in resource.operations if operation.public],
        "unmatched": [_unmatched(item) for item in resource.unmatched],
        "disabled": [
            _unmatched(item) for item in disabled(resource.operations, resource.tables, pairs)
        ],
        "protected": [
            {"table": table.name, "field": str(field.name), "searchable": field.searchable}
            for table in resource.tables.values()
            for field in table.protected_fields
        ],
        "apiOnly": [
            {
                "table": rule.table,
                "field": rule.field,
                "constraint": rule.constraint,
                "reason": rule.reason,
            }
            for rule in resource.api_rules
        ],
    }


def _distribution(resource: DataResource, table: str) -> dict[str, Any] | None:
    distribution = resource.distributions.get(table)
    return distribution.document() if distribution else None


def _unmatched(item: Unmatched) -> dict[str, str]:
    return {"operation": f"{item.verb.upper()} {item.path}", "reason": item.reason}


def _answer(value: object) -> Response:
    return to_response(json_reply(200, value))


def _nothing() -> Response:
    response = Response(status=204)
    del response.headers["Content-Type"]
    return response


def _json_body(generator: Generator) -> Any:
    if not is_json(request.mimetype):
        raise UnsupportedMediaType("The body must be application/json.")
    max_nesting = generator.settings.max_nesting
    return read_json(request_body(), max_depth=max_nesting)


def _shown(draft: admin_schema.Draft) -> dict[str, Any]:
    return {
        "id": draft.id,
        "tableschema": orjson.Fragment(draft.tableschema),
        "swagger": orjson.Fragment(draft.swagger),
    }
