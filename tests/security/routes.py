"""What the tests' documents let whom do."""

from __future__ import annotations

from typing import Any


def secure(document: dict[str, Any]) -> dict[str, Any]:
    """A payload of people, teams and notices, secured: each of them in another way.

    people: by scopes, ``read`` and ``write``; teams: any valid token; notices: GET is public.
    """
    paths = document["data_resource_schema"]["api"]["apiSpec"]["paths"]
    for path, item in paths.items():
        for verb in ("get", "post", "put", "patch", "delete"):
            if verb in item and path.startswith("/people"):
                scope = "read" if verb == "get" else "write"
                item[verb] = item[verb] | {"security": [{"tokens": [scope]}]}
    paths["/notices"]["get"] = paths["/notices"]["get"] | {"security": []}
    return document
