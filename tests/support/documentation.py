"""A page of documentation as its examples: fenced blocks and tables, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

FENCE = re.compile(r"^```(?P<info>.*)\n(?P<text>(?:.*\n)*?)^```$", re.MULTILINE)
TABLE = re.compile(r"(?:^\|.*\|\n)+", re.MULTILINE)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
PIPE = re.compile(r"(?<!\\)\|")


@frozen
class Block:
    """A fenced block: ``kind`` is all that stands after the fence (the language first), ``line`` where its text begins."""

    kind: str
    text: str
    line: int


@frozen
class Table:
    """A table: its header and its rows, cell by cell."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    line: int


@frozen
class Page:
    """A page of Markdown: its text, and the examples in it."""

    text: str
    blocks: tuple[Block, ...]
    tables: tuple[Table, ...]


def read_page(path: Path) -> Page:
    """Return the examples of a page. A block that is not closed is a mistake."""
    text = path.read_text(encoding="utf-8")
    blocks = tuple(
        Block(found["info"].strip(), found["text"], _line(text, found.start("text"))) for found in FENCE.finditer(text)
    )
    if "```" in (rest := FENCE.sub("", text)):
        raise ValueError(f"{path}: a fence is not closed, or indented: {rest[rest.index('```') :][:40]!r}")
    return Page(text, blocks, tuple(_tables(text)))


def code(cell: str) -> list[str]:
    """Return what stands in backticks in a cell; in two of them what has backticks of its own."""
    return [found[2] for found in CODE.finditer(cell)]


def _tables(text: str) -> Iterator[Table]:
    prose = FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)
    for found in TABLE.finditer(prose):
        header, _rule, *rows = (_cells(line) for line in found[0].splitlines())
        yield Table(header, tuple(rows), _line(prose, found.start()))


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace(r"\|", "|") for cell in PIPE.split(line)[1:-1])


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
