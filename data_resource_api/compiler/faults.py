"""Faults in a document, each with its place and the remedy, all reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from data_resource_api.errors import InvalidDocument

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

#: How many faults an answer carries; a document with more is told so in the last line.
MAX_FAULTS: Final = 500

_JSON_NAMES: Final = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule of a schema that a document breaks.

    :ivar missing: the names of which at least one is not there, where that is the rule.
    """

    place: str
    message: str
    missing: tuple[str, ...] = ()


class Faults:
    """Collects faults; a place that has one already keeps the first, more telling one."""

    def __init__(self) -> None:
        self._faults: dict[str, list[str]] = {}

    def add(self, place: str, message: str) -> None:
        """Note that ``message`` holds at ``place`` (``data.dataDictionary[2].tableSchema``)."""
        messages = self._faults.setdefault(place, [])
        if message not in messages:
            messages.append(message)

    def add_broken(self, rules: Iterable[BrokenRule]) -> None:
        """Note which rules a document breaks, where nothing better has been said."""
        known = frozenset(self._faults)
        for broken in rules:
            missing = any(
                fault == join(broken.place, name)
                or fault.startswith(join(broken.place, name) + ".")
                for name in broken.missing
                for fault in known
            )
            if broken.place not in known and not missing:
                self.add(broken.place, broken.message)

    def __bool__(self) -> bool:
        return bool(self._faults)

    def lines(self) -> list[str]:
        """One line per fault, ``place: message``, in the order in which they were found."""
        lines = [
            f"{place}: {message}" if place else message
            for place, messages in self._faults.items()
            for message in messages
        ]
        if len(lines) > MAX_FAULTS:
            lines[MAX_FAULTS:] = [f"… and {len(lines) - MAX_FAULTS} more."]
        return lines

    def raise_if_any(self, what: str) -> None:
        """Raise :class:`InvalidDocument` with every fault, if there is one."""
        if self._faults:
            lines = self.lines()
            count = "one fault" if len(lines) == 1 else f"{len(lines)} faults"
            raise InvalidDocument(f"{what} has {count}.", lines)


def join(base: str, *path: str | int) -> str:
    """Write a path as people do: ``join("data", "dataDictionary", 2)`` is ``data.dataDictionary[2]``."""
    place = base
    for step in path:
        if isinstance(step, int):
            place += f"[{step}]"
        elif not step or not step.replace("_", "a").isalnum():
            place += f'["{step}"]'
        else:
            place += f".{step}" if place else step
    return place


def json_name(value: object) -> str:
    """What a JSON value is, in words."""
    return next((name for kind, name in _JSON_NAMES.items() if type(value) is kind), "a number")


def nearest(word: object, choices: Iterable[str]) -> str:
    """``; did you mean "string"?`` or, when nothing is near, an empty string."""
    names = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(str(word).lower(), names, n=1)
    return f'; did you mean "{names[found[0]]}"?' if found else ""


def quote(value: object) -> str:
    """A short quotation of a value that a client sent."""
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def broken_rules(validator: Validator, document: Any, base: str = "") -> Iterator[BrokenRule]:
    """What a JSON Schema validator finds in a document, which stands at ``base``."""
    for error in validator.iter_errors(document):
        leaf = _leaf(error)
        stated: Any = leaf.validator_value
        missing = tuple(stated) if leaf.validator == "required" else ()
        yield BrokenRule(join(base, *leaf.absolute_path), schema_message(leaf), missing)


def _leaf(error: ValidationError) -> ValidationError:
    from jsonschema.exceptions import best_match

    return best_match([error]) or error


def schema_message(error: ValidationError) -> str:
    """Say what a JSON Schema error means to the author of the document."""
    rule: Any = error.validator_value
    schema: Any = error.schema
    instance: Any = error.instance
    match error.validator:
        case "required":
            missing = [name for name in rule if name not in instance]
            return "needs " + ", ".join(f'"{name}"' for name in missing) + "."
        case "type":
            kinds = [rule] if isinstance(rule, str) else rule
            names = " or ".join(_KINDS.get(kind, kind) for kind in kinds)
            return f"must be {names}, not {json_name(instance)}."
        case "enum":
            choices = [str(choice) for choice in rule]
            return (
                f"{quote(instance)} is not one of {', '.join(choices)}{nearest(instance, choices)}"
            ).rstrip(".") + ("" if nearest(instance, choices) else ".")
        case "additionalProperties" if isinstance(instance, Mapping):
            known = list(schema.get("properties", ()))
            patterns = [*schema.get("patternProperties", ())]
            extra = [
                name
                for name in instance
                if name not in known and not any(re.search(pattern, name) for pattern in patterns)
            ]
            like = f"; names here match {' or '.join(patterns)}." if patterns else "."
            return " ".join(
                f'"{name}" is not known here{nearest(name, known) or like}' for name in extra
            )
        case "minItems":
            return f"needs at least {rule} item{'s' if rule != 1 else ''}."
        case "maxItems":
            return f"takes at most {rule} item{'s' if rule != 1 else ''}."
        case "minLength":
            return "must not be empty."
        case "pattern":
            return f"{quote(instance)} does not match {rule}."
        case "not":
            return str(schema.get("description", error.message))
        case _:
            return error.message.rstrip(".") + "."


_KINDS: Final = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
