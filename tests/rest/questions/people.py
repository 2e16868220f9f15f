"""Schools and their people: every kind of field and of relation that a question can speak of."""

from __future__ import annotations

from typing import Any

from tests.service import entry, payload

_SCHOOL = {"fields": "school_id", "reference": {"resource": "school", "fields": "id"}}


def schools() -> dict[str, Any]:
    """school ← people ↔ club."""
    school = entry("school", {"name": "name", "type": "string"}, {"name": "city", "type": "string"})
    people = entry(
        "people",
        {"name": "name", "type": "string"},
        {"name": "age", "type": "integer"},
        {"name": "height", "type": "number"},
        {"name": "active", "type": "boolean"},
        {"name": "born", "type": "date"},
        {"name": "tags", "type": "array"},
        {"name": "address", "type": "object"},
        {"name": "limit", "type": "integer"},
        {"name": "a.b", "type": "string"},
        {"name": "school_id", "type": "integer"},
        foreignKeys=[_SCHOOL],
    )
    club = entry("club", {"name": "name", "type": "string"})
    return payload(school, people, club, pairs=[("people", "club")])


#: id, name, age, height, active, born, tags, address, limit, a.b, school_id
PEOPLE = """
INSERT INTO school VALUES (1, 'North', 'Oslo'), (2, 'South', 'Rome'), (3, 'Empty', 'Bern');
INSERT INTO people VALUES
  (1, 'Ann Smith', 17, 1.70, true, '2001-05-17', '["a", "b"]', '{"city": "Oslo", "geo": {"lat": 59}}',
   3, 'x', 1),
  (2, 'Bob', 18, 1.80, false, '2000-01-01', '["b"]', '{"city": "Rome"}', 4, 'y', 1),
  (3, 'Cy, "C."', 21, 1.65, true, NULL, '[]', NULL, 3, NULL, 2),
  (4, 'smithers', 40, NULL, NULL, '1980-12-31', NULL, '{"city": null}', NULL, 'x', 2),
  (5, 'Ève', NULL, 2.00, true, '1999-09-09', '["a", "c"]', '{}', NULL, '', NULL);
INSERT INTO club VALUES (1, 'Chess'), (2, 'Rowing');
INSERT INTO "club/people" (club_id, people_id) VALUES (1, 1), (1, 2), (2, 2), (2, 3)
"""
