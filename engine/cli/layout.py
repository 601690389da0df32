"""Rows as the lines of a screen. An identifier is never broken over two lines, whatever the width.

A table where it fits. Where it does not, prose is folded between its words. Where that is not enough, the widest columns leave
the table and stand below their row, a line each under their name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from attrs import field, frozen
from rich.cells import cell_len

GAP = "  "
BELOW = "    "
"""How far what stands below its row is moved to the right."""

TABLE_COLUMNS_MIN = 3

PROSE_COLUMNS_MIN = 24
"""Prose that is folded narrower than this is no longer read with ease."""

BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""These let a terminal show a text in another order than it has."""


@frozen(eq=False)
class Column:
    """A column: its name, its cells, whether they are numbers, and whether they may be folded between their words."""

    name: str
    cells: Sequence[str]
    is_number: bool = False
    is_prose: bool = False
    widest: int = field(init=False)
    narrowest: int = field(init=False)

    @widest.default
    def _widest(self) -> int:
        return max(map(cell_len, (self.name, *self.cells)))

    @narrowest.default
    def _narrowest(self) -> int:
        if not self.is_prose:
            return self.widest
        words = (word for text in (self.name, *self.cells) for word in text.split())
        return max(min(self.widest, PROSE_COLUMNS_MIN), *map(cell_len, words), 0)

    def placed(self, text: str, width: int) -> str:
        """Return a text of this column with blanks up to ``width``."""
        blanks = " " * (width - cell_len(text))
        return blanks + text if self.is_number else text + blanks


def laid_out(columns: Sequence[Column], room: int | None) -> tuple[str, list[str]]:
    """Return the line of names, and the lines of the rows, for a screen of ``room`` columns (None: as wide as need be)."""
    table, below = _divided(columns, room)
    widths = _widths(table, room)
    names = _line(table, [column.name for column in table], widths)
    label = max((cell_len(column.name) for column in below), default=0)
    lines: list[str] = []
    for index in range(len(columns[0].cells)):
        lines += _row(table, index, widths)
        for column in (column for column in below if column.cells[index]):
            lines += labelled(column.name, column.cells[index], label, room, BELOW, is_prose=column.is_prose)
    return names, lines


def labelled(name: str, text: str, label: int, room: int | None, indent: str = "", *, is_prose: bool = True) -> list[str]:
    """Return a text behind its name, which takes ``label`` columns. What does not fit there stands on lines of its own."""
    start = f"{indent}{name}{' ' * (label - cell_len(name))}{GAP}"
    if room is None or cell_len(start) + cell_len(text) <= room:
        return [start + text]
    words = text.split() if is_prose else [text]
    if cell_len(start) + max(map(cell_len, words), default=0) <= room:
        return _filled(start, words, " " * cell_len(start), room)
    deeper = indent + BELOW
    return [start.rstrip(), *_filled(deeper, words, deeper, room)]


def folded(text: str, room: int | None) -> str:
    """Return a text whose lines are folded between words to ``room`` columns, further parts a little to the right."""
    if room is None:
        return text
    return "\n".join(part for line in text.split("\n") for part in _folded_line(line, room))


def _folded_line(line: str, room: int) -> list[str]:
    if cell_len(line) <= room:
        return [line]
    indent = line[: len(line) - len(line.lstrip(" "))]
    return _filled(indent, line.split(" ")[len(indent) :], indent + BELOW, room)


def plain(text: str, *, keeps_lines: bool = False) -> str:
    """Return a text without anything that a terminal would obey: control characters stand as they are escaped."""
    if text.isprintable():
        return text
    return "".join(character if _is_shown(character, keeps_lines=keeps_lines) else _escaped(character) for character in text)


def _is_shown(character: str, *, keeps_lines: bool) -> bool:
    if character in "\n\t":
        return keeps_lines
    return unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"} and character not in BIDIRECTIONAL


def _escaped(character: str) -> str:
    return ascii(character)[1:-1]


def _divided(columns: Sequence[Column], room: int | None) -> tuple[list[Column], list[Column]]:
    """Return the columns of the table, and those that stand below: the widest, until the rest fits. The first one stays.

    A table of two columns, with all others below, is none any more: then the first stands alone.
    """
    table = list(columns)
    while room is not None and len(table) > 1 and _size([column.narrowest for column in table]) > room:
        table.remove(max(table[1:], key=lambda column: column.narrowest))
    if len(table) < min(len(columns), TABLE_COLUMNS_MIN):
        del table[1:]
    return table, [column for column in columns if column not in table]


def _widths(table: Sequence[Column], room: int | None) -> list[int]:
    """Return the width of each column: what is left over goes to prose."""
    if room is None:
        return [column.widest for column in table]
    widths = [column.narrowest for column in table]
    left = room - _size(widths)
    for index, column in enumerate(table):
        more = max(0, min(column.widest - widths[index], left))
        widths[index] += more
        left -= more
    return widths


def _size(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _row(table: Sequence[Column], index: int, widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of a row: as many as its longest prose has."""
    cells = [_cell(column, column.cells[index], width) for column, width in zip(table, widths, strict=True)]
    for texts in zip_longest(*cells, fillvalue=""):
        yield _line(table, texts, widths)


def _cell(column: Column, text: str, width: int) -> list[str]:
    if not column.is_prose or cell_len(text) <= width:
        return [text]
    return _filled("", text.split(), "", width)


def _line(table: Sequence[Column], texts: Sequence[str], widths: Sequence[int]) -> str:
    placed = (column.placed(text, width) for column, text, width in zip(table, texts, widths, strict=True))
    return GAP.join(placed).rstrip()


def _filled(first: str, words: Sequence[str], further: str, room: int) -> list[str]:
    """Return words in lines of at most ``room`` columns; a longer word has a line of its own, and is not broken."""
    lines, line, is_empty = [], first, True
    for word in words:
        if not is_empty and cell_len(line) + 1 + cell_len(word) > room:
            lines.append(line)
            line, is_empty = further, True
        if is_empty and cell_len(line) + cell_len(word) > room:
            line = ""
        line = line + word if is_empty else f"{line} {word}"
        is_empty = False
    return [*lines, line]
