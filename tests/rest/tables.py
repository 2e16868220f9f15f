"""Tables that several tests of the REST API use."""

from __future__ import annotations

from tests.service import entry

#: A key of several fields, one of which has characters that a path has to write otherwise.
PLACE = entry(
    "place",
    {"name": "country", "type": "string"},
    {"name": "founded", "type": "date"},
    {"name": "name", "type": "string"},
    key=["country", "founded"],
)

#: What refers to the people of a table called people.
PETS = entry(
    "pets",
    {"name": "name", "type": "string"},
    {"name": "owner", "type": "integer"},
    foreignKeys=[{"fields": "owner", "reference": {"resource": "people", "fields": "id"}}],
)
