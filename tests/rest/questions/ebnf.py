"""The grammar that ``docs/querying.md`` publishes, read by a machine: rules → random texts."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from tests.docs.pages import DOCS, blocks

#: Stands where a rule says ``"="``, which divides a parameter's name from its value.
DIVIDER: Final = "\ue000"

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<name>[a-z]+)|(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<special>\?[^?]*\?)|(?P<sign>[]=;|(){}[]))"
)
#: What the grammar says in words.
SPECIAL: Final = {
    "0 to 9": st.sampled_from("0123456789"),
    "1 to 9": st.sampled_from("123456789"),
    # None of these letters make a word of the grammar.
    "any other character": st.sampled_from("bxyz_0é7%'&/;?#$ß日"),
}


@dataclass
class Grammar:
    """The rules, each as tokens, and the texts that they make."""

    rules: dict[str, list[str]]

    @classmethod
    def published(cls) -> Grammar:
        """The grammar of ``docs/querying.md``."""
        page = DOCS / "querying.md"
        block = next(block for block in blocks(page) if block.text.startswith("parameter "))
        tokens = [found[0].strip() for found in _TOKEN.finditer(block.text)]
        rules: dict[str, list[str]] = {}
        while tokens:
            name, equals, *rest = tokens
            assert equals == "=", tokens[:8]
            end = rest.index(";")
            rules[name], tokens = rest[:end], rest[end + 1 :]
        return cls(rules)

    @functools.cache  # noqa: B019 (there is one grammar, for the whole run)
    def texts(self, rule: str, depth: int) -> st.SearchStrategy[str]:
        """Texts of a rule that nests so deep at most."""
        tokens = [*self.rules[rule]]
        made = self._alternatives(tokens, depth - 1)
        assert not tokens, (rule, tokens)
        return made

    def __hash__(self) -> int:
        return id(self)

    def _alternatives(self, tokens: list[str], depth: int) -> st.SearchStrategy[str]:
        choices = [self._sequence(tokens, depth)]
        while tokens and tokens[0] == "|":
            tokens.pop(0)
            choices.append(self._sequence(tokens, depth))
        possible = [choice for choice in choices if choice is not None]
        return st.one_of(possible) if possible else st.nothing()

    def _sequence(self, tokens: list[str], depth: int) -> st.SearchStrategy[str]:
        parts = []
        while tokens and tokens[0] not in tuple("|)]}"):
            parts.append(self._part(tokens.pop(0), tokens, depth))
        return st.tuples(*parts).map("".join)

    def _part(self, token: str, tokens: list[str], depth: int) -> st.SearchStrategy[str]:
        match token[0]:
            case '"':
                text = re.sub(r"\\(.)", r"\1", token[1:-1])
                return st.just(DIVIDER if text == "=" else text)
            case "?":
                return SPECIAL[token.strip("? ")]
            case "(" | "[" | "{":
                inner = self._alternatives(tokens, depth)
                tokens.pop(0)
                if token == "(":
                    return inner
                if depth <= 0:
                    return st.just("")
                if token == "[":
                    return st.one_of(st.just(""), inner)
                return st.lists(inner, max_size=3).map("".join)
            case _:
                if depth <= -8:
                    return st.nothing()
                return st.deferred(lambda: self.texts(token, depth))
