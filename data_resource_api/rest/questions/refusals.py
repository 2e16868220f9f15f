"""What PostgreSQL cannot answer because of how a client asks."""

from __future__ import annotations

from typing import Final

from data_resource_api.errors import BadRequest
from data_resource_api.rest.transaction import DatabaseFailed

#: SQLSTATEs that a question's texts can cause while it is answered.
_CAUSED: Final = frozenset(
    {
        "42601",  # syntax_error: of a tsquery or a jsonpath
        "42704",  # undefined_object: a text search configuration
        "54001",  # statement_too_complex
    }
)
#: … and before: the configuration's name is looked up when the statement is understood.
_CAUSED_EARLY: Final = frozenset({"42704", "54001"})


def refused_question(error: DatabaseFailed) -> Exception:
    """The refusal of a question that PostgreSQL cannot answer; the error itself where that is our fault."""
    if error.code in (_CAUSED if error.while_running else _CAUSED_EARLY):
        return BadRequest("The question cannot be answered.", [f"{error.said}."])
    return error
