"""What a request makes its answer depend on: ``If-Match`` and ``If-None-Match`` (RFC 9110, section 13).

An *entity tag* names one state of one representation. Here it is a hash of the answer's body, so every
worker, host and replica gives the same state the same tag, and nothing has to be stored. SHA-256, cut to
128 bits: whoever tries can make no two rows with one tag, and OpenSSL's takes less than a microsecond for a
row, less than any other that is as safe.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Final

from data_resource_api.compiler.faults import quote
from data_resource_api.errors import BadRequest, PreconditionFailed
from data_resource_api.rest.response import Reply

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_TAGS: Final = re.compile(_TAG)
_WEAK: Final = "W/"

#: ``*``: any state at all.
ANY: Final = ("*",)


@dataclass(frozen=True, slots=True)
class Conditions:
    """The tags that one request names.

    :ivar match: of ``If-Match``: the tags, ``ANY`` for ``*``, empty where there is no header.
    :ivar none_match: of ``If-None-Match``, in the same form.
    """

    match: tuple[str, ...] = ()
    none_match: tuple[str, ...] = ()

    @property
    def compares(self) -> bool:
        """Whether a tag has to be known, rather than only whether something is there."""
        return any(tags and tags != ANY for tags in (self.match, self.none_match))

    def refuse(self, tag: str | None, *, told: bool) -> None:
        """Let a change pass if what is there now is what the client says.

        :param tag: of the present state, ``None`` where it does not exist.
        :param told: whether this client may learn the tag.
        :raises PreconditionFailed: it is not.
        """
        shown = tag if told else None
        if self.match and not _matches(self.match, tag):
            if tag is None:
                raise PreconditionFailed(
                    "There is no such row. To create it, send If-None-Match: * instead of If-Match."
                )
            weak = all(text.startswith(_WEAK) for text in self.match)
            raise PreconditionFailed(
                "If-Match names weak tags only, which never match (RFC 9110). Send the tag without W/, "
                "as the service gives it; a proxy that compresses may have added that."
                if weak
                else "This has changed. GET it again, and make your change to what it is now.",
                tag=shown,
            )
        if self.none_match and _matches(self.none_match, tag, weakly=True):
            raise PreconditionFailed(
                "The row exists. To change it, send If-Match with its ETag instead of If-None-Match."
                if self.none_match == ANY
                else "This is in the state that If-None-Match excludes.",
                tag=shown,
            )


#: A request without conditions.
NONE: Final = Conditions()


def entity_tag(body: bytes) -> str:
    """The strong entity tag of a representation."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def read_conditions(if_match: str, if_none_match: str) -> Conditions:
    """The conditions of a request from its headers, empty where there is none.

    :raises BadRequest: one cannot be read; ignoring it would make a change that the client did not mean.
    """
    return Conditions(_tags("If-Match", if_match), _tags("If-None-Match", if_none_match))


def _tags(name: str, text: str) -> tuple[str, ...]:
    text = text.strip()
    if not text:
        return ()
    if text == ANY[0]:
        return ANY
    if not _LIST.fullmatch(text):
        raise BadRequest(
            f'{name} must be * or tags in quotes, such as "5d41402a", not {quote(text)}.'
        )
    return tuple(_TAGS.findall(text))


def _matches(tags: tuple[str, ...], tag: str | None, *, weakly: bool = False) -> bool:
    """Whether a state is among tags (RFC 9110, section 8.8.3.2); ours are strong."""
    if tag is None:
        return False
    return tags == ANY or any(
        tag == (text.removeprefix(_WEAK) if weakly else text) for text in tags
    )


def tagged(reply: Reply, conditions: Conditions) -> Reply:
    """What a read answers, with its tag; 304 without a body where the client has it already.

    :raises PreconditionFailed: ``If-Match`` names another state.
    """
    tag = entity_tag(reply.body)
    headers = {**reply.headers, "ETag": tag, "Vary": "Accept"}
    if conditions is not NONE:
        if conditions.match and not _matches(conditions.match, tag):
            raise PreconditionFailed("This is not in the state that If-Match names.", tag=tag)
        if conditions.none_match and _matches(conditions.none_match, tag, weakly=True):
            return replace(reply, status=304, body=b"", headers=headers)
    return Reply(reply.status, reply.body, headers, reply.media_type)
