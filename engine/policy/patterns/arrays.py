"""Matching an event whose arrays hold objects or arrays: fields of one branch must agree on the elements they come from.

This is Event Ruler's array-consistent matching (``ACFinder``, ``ArrayMembership``): no two fields of a branch may be
in different elements of the same array. Fields are settled in the order of their names, and what is joined is not the
values but the places where they pass, so that the work grows with the arrays and not with the ways to combine them.

An event that nobody would send for its work (arrays a thousand deep, keys with dots that lead to one name by many ways) can
still make places by the billion. ``Effort`` ends that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from engine.domain.errors import Intricate

if TYPE_CHECKING:
    from engine.policy.patterns.leaves import LeafTest

ARRAY = (list, tuple)
CONTAINER = (Mapping, list, tuple)

type Address = tuple[str | int, ...]
type Place = dict[Address, int]
"""For each array around a leaf, by its address in the event: the element that holds the leaf."""
type Steps = tuple[tuple[str, Steps | None], ...]
"""The keys to try at an object for a dotted name, each with the steps that remain (none: the leaf is here)."""


STEPS_MAX = 3_000_000
"""What one pattern may take for one event: a second of a small processor, and a hundred megabytes.

An event of a megabyte that is one array of numbers takes two thirds of it, and so does a number two thousand arrays deep.
"""

ELEMENT_STEPS = 4
"""What a look at one element takes, beside one step for each array around it: each is copied into its place."""


class Effort:
    """The steps that are left for one event. Raises Intricate once they are used up.

    A plain class, like ``Tree``: every cold start makes them, and few events need them.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = STEPS_MAX

    def spend(self, steps: int) -> None:
        """Take ``steps`` before they are made."""
        self.left -= steps
        if self.left < 0:
            raise Intricate


class Tree:
    """Places as a tree: by an array, outermost first, and its element. Those that agree with a choice are found at once."""

    __slots__ = ("below", "place")

    def __init__(self) -> None:
        self.below: dict[Address, dict[int, Tree]] = {}
        self.place: Place | None = None

    @classmethod
    def of(cls, places: Iterable[Place]) -> Tree:
        """Return the tree of ``places``."""
        root = cls()
        for place in places:
            node = root
            for array, element in place.items():
                node = node.below.setdefault(array, {}).setdefault(element, cls())
            node.place = place
        return root

    def agreeing(self, chosen: Place, effort: Effort) -> Iterator[Place]:
        """Yield the places that do not contradict ``chosen``."""
        rest = [self]
        while rest:
            node = rest.pop()
            if node.place is not None:
                effort.spend(ELEMENT_STEPS + len(chosen) + len(node.place))
                yield node.place
            for array, elements in node.below.items():
                effort.spend(1)
                if array not in chosen:
                    rest += elements.values()
                elif (near := elements.get(chosen[array])) is not None:
                    rest.append(near)


@frozen(eq=False, repr=False)
class Wanted:
    """A field of a branch: its name, the steps to it and its compiled tests."""

    name: str
    steps: Steps
    test: LeafTest


def steps_to(name: str) -> Steps:
    """Return the steps to a dotted name. Keys of an event may hold dots themselves: ``a.b`` is also one key."""
    known: dict[str, Steps] = {}

    def steps(rest: str) -> Steps:
        if rest not in known:
            dots = [at for at, character in enumerate(rest) if character == "."]
            known[rest] = (*((rest[:at], steps(rest[at + 1 :])) for at in dots), (rest, None))
        return known[rest]

    return steps(name)


def matches_consistently(event: Mapping[str, Any], wanted: Sequence[Wanted]) -> bool:
    """Return whether all fields match without contradicting each other about an element of an array. Raises Intricate."""
    effort = Effort()
    fields = sorted(wanted, key=lambda field: field.name)
    leaves = [list(leaves_with_places(event, field.steps, effort)) for field in fields]
    needed = _arrays_still_needed(leaves)
    chosen: list[Place] = [{}]
    for field, found, later in zip(fields, leaves, needed, strict=True):
        chosen = _distinct(_settle(field.test, found, chosen, later, effort), later)
        if not chosen:
            return False
    return True


def _settle(
    test: LeafTest, leaves: list[tuple[object, Place]], chosen: list[Place], later: set[Address], effort: Effort
) -> Iterator[Place]:
    settled = set[Address]().union(*chosen)
    passing = Tree.of(_distinct((place for leaf, place in leaves if test.accepts(leaf)), settled | later))
    for place in chosen:
        yield from ({**place, **agreeing} for agreeing in passing.agreeing(place, effort))
    if test.absent:
        present = Tree.of(_distinct((place for _, place in leaves), settled))
        yield from (place for place in chosen if not any(True for _ in present.agreeing(place, effort)))


def _arrays_still_needed(leaves: list[list[tuple[object, Place]]]) -> list[set[Address]]:
    needed: list[set[Address]] = [set()]
    for found in reversed(leaves[1:]):
        needed.append(needed[-1].union(*(place for _, place in found)))
    return needed[::-1]


def _distinct(places: Iterable[Place], needed: set[Address]) -> list[Place]:
    # What no later field looks at is forgotten: two choices that differ only there are one.
    kept = ({address: element for address, element in place.items() if address in needed} for place in places)
    return list({frozenset(place.items()): place for place in kept}.values())


def leaves_under(event: Mapping[str, Any], steps: Steps) -> Iterator[object]:
    """Yield the leaves under a name. Raises Intricate."""
    yield from (leaf for leaf, _ in leaves_with_places(event, steps, Effort()))


type Node = tuple[object, Steps | None, Address, Place]
"""A part of an event, the steps that remain from there, and where it is."""


def leaves_with_places(event: Mapping[str, Any], steps: Steps, effort: Effort) -> Iterator[tuple[object, Place]]:
    """Yield the leaves under a name, each with its place. Without recursion: events nest as deep as they like."""
    levels: list[Iterator[Node]] = [iter([(event, steps, (), {})])]
    while levels:
        below: Iterator[Node] | None = None
        for node in levels[-1]:
            if (below := _below(node, effort)) is not None:
                break
            if node[1] is None:
                yield node[0], node[3]
        if below is None:
            levels.pop()
        else:
            levels.append(below)


def _below(node: Node, effort: Effort) -> Iterator[Node] | None:
    """Return what lies below an object or an array on the way; None for a plain value."""
    value, ahead, address, place = node
    if isinstance(value, Mapping):
        return ((value[key], after, (*address, key), place) for key, after in ahead or () if key in value)
    if not isinstance(value, ARRAY):
        return None
    effort.spend(len(value) * (ELEMENT_STEPS + len(place)))
    return ((item, ahead, (*address, at), _inside(item, place, address, at)) for at, item in enumerate(value))


def _inside(item: object, place: Place, address: Address, at: int) -> Place:
    # A plain value in an array belongs to the field itself; only objects and arrays make elements that can contradict.
    return {**place, address: at} if isinstance(item, CONTAINER) else place
