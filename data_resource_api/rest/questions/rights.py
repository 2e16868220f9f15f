"""Which tables a caller may ask about: those that he or she could list."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from data_resource_api.compiler.security import Security


class Unlisted(Exception):
    """Nobody can list this table: a question about it is answered as if it did not exist."""


class ReadingRights:
    """Tells whether a caller may read a table by its own GET.

    :param listed: the tables that can be listed, and what their GET asks for.
    :param authorize: lets this caller do what asks for this, or raises.
    """

    def __init__(
        self, listed: Mapping[str, Security], authorize: Callable[[Security], None]
    ) -> None:
        self._listed = listed
        self._authorize = authorize

    def __call__(self, table: str) -> None:
        """Let the caller read a table.

        :raises Unlisted: nobody can.
        :raises Forbidden: the token has not the scopes for it, as the table's own GET would say.
        :raises Unauthorized: it asks for a token, and there is none.
        """
        security = self._listed.get(table)
        if security is None:
            raise Unlisted(table)
        self._authorize(security)
