"""Everything that can be refused, as one tree.

    DrgError                                500
    ├── BadRequest                          400
    │   └── InvalidDocument                 400   a payload or a descriptor has faults, each with its place
    ├── Unauthorized                        401   carries the challenge of RFC 6750
    ├── Forbidden                           403
    │   └── InsufficientScope               403   the token has not the scope; carries the challenge
    ├── NotFound                            404
    ├── MethodNotAllowed                    405   carries the methods that are allowed
    ├── Conflict                            409
    │   └── DatabaseDiffers                 409   the tables are not as the document describes them
    ├── PreconditionFailed                  412   carries the present ETag, where the client may know it
    ├── TooLarge                            413
    ├── UnsupportedMediaType                415
    ├── PreconditionRequired                428
    └── Unavailable                         503   carries Retry-After
        ├── NotLoaded                       503   what is stored cannot be served until somebody mends it
        └── ProviderUnavailable             503   whether a token is valid cannot be found out

    ConfigurationError                      at start-up only: a setting is wrong, or one is missing

An error is data: the class holds status and title, the instance a sentence and, where there is
more to say, one sentence per fault. ``rest.response`` and ``admin`` render them; nothing here
knows HTTP libraries or Flask.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final


class DrgError(Exception):
    """A refusal that a client is told about.

    :param detail: one sentence for a person.
    :param errors: one sentence per fault, each starting with the place of the fault.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal Server Error"

    def __init__(self, detail: str, errors: Iterable[str] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that belong to the answer."""
        return {}

    def body(self) -> dict[str, object]:
        """The answer's JSON: ``{"error", "errors"}``, ``errors`` only where there are some."""
        body: dict[str, object] = {"error": self.detail}
        if self.errors:
            body["errors"] = list(self.errors)
        return body

    def problem(self) -> dict[str, object]:
        """The same as an RFC 9457 problem document."""
        problem: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            problem["errors"] = list(self.errors)
        return problem


class BadRequest(DrgError):
    """The request itself is wrong; sending it again unchanged is of no use."""

    status = 400
    title = "Bad Request"


class InvalidDocument(BadRequest):
    """A payload or a descriptor has faults."""


class Forbidden(DrgError):
    """The client may not do this."""

    status = 403
    title = "Forbidden"


#: What the service calls itself in a challenge.
REALM: Final = "data-resource-api"


class Unauthorized(DrgError):
    """No bearer token, or one that cannot be used. The contract quotes the body.

    :param reason: what is wrong with the token; ``None`` where there was none (RFC 6750, section 3.1:
        a request without credentials is not told an error). ASCII without quotes and backslashes.
    """

    status = 401
    title = "Unauthorized"

    def __init__(self, reason: str | None = None) -> None:
        super().__init__("Access Denied")
        self.reason = reason

    @property
    def headers(self) -> Mapping[str, str]:
        """``WWW-Authenticate``, as RFC 6750 asks."""
        challenge = f'Bearer realm="{REALM}"'
        if self.reason is not None:
            challenge += f', error="invalid_token", error_description="{self.reason}"'
        return {"WWW-Authenticate": challenge}

    def body(self) -> dict[str, object]:
        """The quoted body."""
        return {"message": self.detail}


class InsufficientScope(Forbidden):
    """The token is good, and has none of the scopes that are asked for.

    :param alternatives: sets of scopes, each of which would do.
    """

    def __init__(self, alternatives: Iterable[Iterable[str]]) -> None:
        self.alternatives = tuple(" ".join(sorted(scopes)) for scopes in alternatives)
        super().__init__(f"The token needs the scope {' or '.join(self.alternatives)}.")

    @property
    def headers(self) -> Mapping[str, str]:
        """``WWW-Authenticate`` with the scopes of the first alternative, as RFC 6750 asks."""
        challenge = f'Bearer realm="{REALM}", error="insufficient_scope"'
        if self.alternatives:
            challenge += f', scope="{self.alternatives[0]}"'
        return {"WWW-Authenticate": challenge}


class NotFound(DrgError):
    """There is no such thing."""

    status = 404
    title = "Not Found"


class MessageNotFound(NotFound):
    """A 404 whose body the contract quotes: ``{"message": …}`` and nothing else."""

    def body(self) -> dict[str, object]:
        """The quoted body."""
        return {"message": self.detail}


class MethodNotAllowed(DrgError):
    """The path exists, the verb does not."""

    status = 405
    title = "Method Not Allowed"

    def __init__(self, detail: str, allowed: Iterable[str]) -> None:
        super().__init__(detail)
        self.allowed = tuple(sorted(allowed))

    @property
    def headers(self) -> Mapping[str, str]:
        """``Allow``, as RFC 9110 asks."""
        return {"Allow": ", ".join(self.allowed)}


class DeleteUnimplemented(MethodNotAllowed):
    """``DELETE`` of a row: whitelisted or not, nothing is ever deleted. The body is quoted."""

    def body(self) -> dict[str, object]:
        """The quoted body."""
        return {"message": self.detail}


class Conflict(DrgError):
    """The request is fine and clashes with what is there."""

    status = 409
    title = "Conflict"


class DatabaseDiffers(Conflict):
    """The tables in the database are not the ones that the document describes."""


class PreconditionFailed(DrgError):
    """What is there is not what ``If-Match`` or ``If-None-Match`` says.

    :param tag: the entity tag of its present state; ``None`` where there is none, or it is not to be told.
    """

    status = 412
    title = "Precondition Failed"

    def __init__(self, detail: str, tag: str | None = None) -> None:
        super().__init__(detail)
        self.tag = tag

    @property
    def headers(self) -> Mapping[str, str]:
        """``ETag``: of the present state."""
        return {"ETag": self.tag} if self.tag is not None else {}


class PreconditionRequired(DrgError):
    """The change has to say which state it was made for: ``DRG_REQUIRE_IF_MATCH`` (RFC 6585)."""

    status = 428
    title = "Precondition Required"


class TooLarge(DrgError):
    """The body is larger than ``DRG_MAX_BODY_BYTES``."""

    status = 413
    title = "Content Too Large"


class UnsupportedMediaType(DrgError):
    """The body is not JSON."""

    status = 415
    title = "Unsupported Media Type"


class Unavailable(DrgError):
    """The service cannot answer now, and may later."""

    status = 503
    title = "Service Unavailable"
    retry_after = 2

    @property
    def headers(self) -> Mapping[str, str]:
        """``Retry-After``, in seconds."""
        return {"Retry-After": str(self.retry_after)}


class NotLoaded(Unavailable):
    """What is stored cannot be served; posting a payload repairs it."""

    retry_after = 30


class ProviderUnavailable(Unavailable):
    """The provider of tokens cannot be asked, or its answer cannot be understood.

    :param reason: what is wrong with it, for the operator; clients are not told.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("The provider of tokens cannot be asked.")
        self.reason = reason


class ConfigurationError(Exception):
    """A setting is wrong or missing; the service does not start.

    :param errors: one sentence per setting, naming it and the remedy.
    """

    def __init__(self, *errors: str) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors
