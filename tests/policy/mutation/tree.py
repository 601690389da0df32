"""A YAML file as spots: where each value stands in the text, so that one can be changed and all else stays as it is.

Read by PyYAML itself and not by the engine's reader: a wrong place in the engine cannot hide behind the same place here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise

import yaml
from attrs import define, frozen

type Path = tuple[str | int, ...]
"""Keys and indices from the root of the file to a value."""


@frozen(eq=False)
class Spot:
    """One value, and the key that leads to it where it is a mapping's."""

    path: Path
    node: yaml.Node
    key: yaml.ScalarNode | None = None

    @property
    def start(self) -> int:
        """Where the value begins."""
        return int(self.node.start_mark.index)

    @property
    def end(self) -> int:
        """Where the value ends."""
        return _end(self.node)

    @property
    def key_start(self) -> int:
        """Where the member of a mapping begins: at its key."""
        assert self.key is not None
        return int(self.key.start_mark.index)

    @property
    def key_end(self) -> int:
        """Where the key ends."""
        assert self.key is not None
        return int(self.key.end_mark.index)

    @property
    def key_line(self) -> int:
        """The line of the key; lines count from 1."""
        assert self.key is not None
        return int(self.key.start_mark.line) + 1

    @property
    def lines(self) -> frozenset[int]:
        """The lines of the value and of its key."""
        return frozenset(int(node.start_mark.line) + 1 for node in (self.node, self.key) if node is not None)

    @property
    def scalar(self) -> str | None:
        """The text of a scalar."""
        return str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else None

    @property
    def is_quoted(self) -> bool:
        """Say whether a scalar is text, whatever it looks like."""
        return isinstance(self.node, yaml.ScalarNode) and self.node.style in {"'", '"', "|", ">"}

    @property
    def is_flow(self) -> bool:
        """Say whether a list or mapping is written in brackets."""
        return isinstance(self.node, yaml.CollectionNode) and bool(self.node.flow_style)


def _end(node: yaml.Node) -> int:
    """Return where a node ends; the parser lets what stands in lines of its own end where the next begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


@define(slots=False)
class Tree:
    """A file's text and its spots, in the order in which they stand there."""

    text: str

    @cached_property
    def spots(self) -> tuple[Spot, ...]:
        """Return all spots, the root first."""
        root = yaml.compose(self.text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        assert root is not None
        return tuple(_below(Spot((), root)))

    @cached_property
    def by_path(self) -> Mapping[Path, Spot]:
        """Return the spot at each path: of a key that is there twice, the second."""
        return {spot.path: spot for spot in self.spots}

    @cached_property
    def below(self) -> Mapping[Path, tuple[Spot, ...]]:
        """Return the members or items of each list and mapping."""
        found: defaultdict[Path, list[Spot]] = defaultdict(list)
        for spot in self.spots[1:]:
            found[spot.path[:-1]].append(spot)
        return {path: tuple(spots) for path, spots in found.items()}

    def parent(self, spot: Spot) -> Spot:
        """Return the list or mapping that a spot stands in."""
        return self.by_path[spot.path[:-1]]

    # --- one thing changed ---

    def with_value(self, spot: Spot, new: str) -> str:
        """Return the text with another value; comments behind it stay."""
        return self._replaced(spot.start, spot.end, new if spot.end > spot.start else f" {new}")

    def with_key(self, spot: Spot, new: str) -> str:
        """Return the text with another key."""
        return self._replaced(spot.key_start, spot.key_end, new)

    def with_both(self, spot: Spot, key: str, value: str) -> str:
        """Return the text with another key and another value."""
        return f"{self.text[: spot.key_start]}{key}: {value}{self.text[spot.end :]}"

    def without(self, spot: Spot) -> str:
        """Return the text without a member or an item. Every line stays where it is."""
        if not self.parent(spot).is_flow:
            return self._replaced(self._first(spot), spot.end, "")
        siblings = self.below[spot.path[:-1]]
        at = siblings.index(spot)
        if at + 1 < len(siblings):
            return self._replaced(self._first(spot), self._first(siblings[at + 1]), "")
        return self._replaced(siblings[at - 1].end if at else self._first(spot), spot.end, "")

    def with_twice(self, spot: Spot) -> str:
        """Return the text with a member written a second time, behind the first or in the line below."""
        member = self.text[spot.key_start : spot.end]
        if self.parent(spot).is_flow:
            return f"{self.text[: spot.end]}, {member}{self.text[spot.end :]}"
        line_end = self.text.find("\n", spot.end)
        line_end = len(self.text) if line_end < 0 else line_end
        assert spot.key is not None
        return f"{self.text[:line_end]}\n{' ' * int(spot.key.start_mark.column)}{member}{self.text[line_end:]}"

    def swapped(self, one: Spot, other: Spot) -> str:
        """Return the text with two items in each other's place."""
        parts = (self.text[: one.start], self.text[other.start : other.end], self.text[one.end : other.start])
        return "".join((*parts, self.text[one.start : one.end], self.text[other.end :]))

    def neighbours(self, path: Path) -> Iterable[tuple[Spot, Spot]]:
        """Return the pairs of items of a list that follow each other."""
        return pairwise(self.below.get(path, ()))

    def _first(self, spot: Spot) -> int:
        """Return where a member or an item begins, the dash of a list included."""
        if spot.key is not None:
            return spot.key_start
        return spot.start if self.parent(spot).is_flow else self.text.rindex("-", 0, spot.start)

    def _replaced(self, start: int, end: int, new: str) -> str:
        """Return the text with something else between two places, and as many lines as before."""
        return f"{self.text[:start]}{new}{'\n' * self.text.count('\n', start, end)}{self.text[end:]}"


def _below(spot: Spot) -> Iterator[Spot]:
    yield spot
    if isinstance(spot.node, yaml.MappingNode):
        for key, value in spot.node.value:
            yield from _below(Spot((*spot.path, str(key.value)), value, key))
    elif isinstance(spot.node, yaml.SequenceNode):
        for index, item in enumerate(spot.node.value):
            yield from _below(Spot((*spot.path, index), item))
