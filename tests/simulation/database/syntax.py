"""The small language of DynamoDB's expressions: tokens, document paths and operands, for the four grammars that share them.

Source: "Using expressions in DynamoDB" with its pages on names, values, operators and functions, and the quotas on expression
parameters, Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Self

from attrs import Factory, define, frozen

from tests.simulation.database.errors import Invalid
from tests.simulation.database.words import RESERVED

EXPRESSION_BYTES_MAX = 4096
OPERATORS_MAX = 300
PATH_DEPTH_MAX = 32
END = "<EOF>"

TOKEN = re.compile(
    r"\s*(?:(?P<value>:[A-Za-z0-9_]+)|(?P<place>\#[A-Za-z0-9_]+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<digits>[0-9]+)"
    r"|(?P<sign><>|<=|>=|[<>=()\[\].,+-])|(?P<odd>\S))"
)


@frozen
class Path:
    """A document path: names (of attributes, or places like ``#n`` that stand for one) and indexes of lists."""

    parts: tuple[str | int, ...]


@frozen
class Value:
    """A place for a value: ``:v``."""

    place: str


@frozen
class Token:
    """A word of an expression, and what kind of word."""

    kind: str
    text: str


@define
class Reader:
    """Reads an expression from left to right, and notes what it uses. ``kind`` is the parameter's own name."""

    kind: str
    tokens: list[Token]
    at: int = 0
    operators: int = 0
    places: set[str] = Factory(set)
    values: set[str] = Factory(set)

    @classmethod
    def of(cls, kind: str, text: str) -> Self:
        """Return a reader at the beginning of a text. Raises Invalid for one that is empty, too long or has odd characters."""
        size = len(text.encode(errors="surrogatepass"))
        if size > EXPRESSION_BYTES_MAX:
            problem = f"Expression size has exceeded the maximum allowed size; expression size: {size}"
            raise Invalid(f"Invalid {kind}: {problem}")
        tokens = [Token(str(found.lastgroup), found[str(found.lastgroup)]) for found in TOKEN.finditer(text)]
        if not tokens:
            raise Invalid(f"Invalid {kind}: The expression can not be empty;")
        reader = cls(kind, tokens)
        for reader.at, token in enumerate(tokens):
            if token.kind == "odd":
                raise reader.unexpected()
        reader.at = 0
        return reader

    # --- tokens ---

    def peek(self, ahead: int = 0) -> Token:
        """Return the next token, or one behind it."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("end", END)

    def take(self) -> Token:
        """Return the next token, and go on behind it."""
        token = self.peek()
        self.at += 1
        return token

    def takes(self, *texts: str) -> str | None:
        """Go on behind the next token if it is one of these; words count in any case. Return it as it stands here."""
        text = self.peek().text.upper()
        if text not in texts:
            return None
        self.at += 1
        return text

    def expect(self, text: str) -> None:
        """Go on behind a token that has to come now."""
        if not self.takes(text):
            raise self.unexpected()

    def finish(self) -> None:
        """Say that nothing may follow."""
        if self.peek().kind != "end":
            raise self.unexpected()

    def problem(self, text: str) -> Invalid:
        """Return the refusal of this expression."""
        return Invalid(f"Invalid {self.kind}: {text}")

    def unexpected(self) -> Invalid:
        """Return the refusal of the next token."""
        near = " ".join(token.text for token in self.tokens[max(self.at - 1, 0) : self.at + 2])
        return self.problem(f'Syntax error; token: "{self.peek().text}", near: "{near}"')

    def operator(self) -> None:
        """Count an operator or a function."""
        self.operators += 1
        if self.operators > OPERATORS_MAX:
            raise self.problem(f"The expression contains too many operators; maximum: {OPERATORS_MAX}")

    # --- paths and places ---

    def path(self) -> Path:
        """Read a document path."""
        parts: list[str | int] = [self._name()]
        while True:
            if self.takes("."):
                parts.append(self._name())
            elif self.takes("["):
                parts.append(self._index())
                self.expect("]")
            else:
                break
        if len(parts) > PATH_DEPTH_MAX:
            raise self.problem("The document path has too many nesting elements;")
        return Path(tuple(parts))

    def value(self) -> Value:
        """Read the place of a value."""
        if self.peek().kind != "value":
            raise self.unexpected()
        self.values.add(place := self.take().text)
        return Value(place)

    def operand(self) -> Path | Value:
        """Read a path or the place of a value."""
        return self.value() if self.peek().kind == "value" else self.path()

    def commas[T](self, read: Callable[[], T]) -> list[T]:
        """Read one or more parts with commas between them."""
        parts = [read()]
        while self.takes(","):
            parts.append(read())
        return parts

    def _name(self) -> str:
        token = self.peek()
        if token.kind not in {"word", "place"}:
            raise self.unexpected()
        if token.kind == "place":
            self.places.add(token.text)
        elif token.text.upper() in RESERVED:
            raise self.problem(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        return self.take().text

    def _index(self) -> int:
        if self.peek().kind != "digits":
            raise self.unexpected()
        return int(self.take().text)
