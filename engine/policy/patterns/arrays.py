"""Matching an event whose arrays hold objects or arrays: fields of one branch must agree on the elements they come from.

This is Event Ruler's array-consistent matching (``ACFinder``, ``ArrayMembership``): no two fields of a branch may be
in different elements of the same array. Fields are settled in the order of their names, and what is joined is not the
values but the places where they pass, so that the work grows with the arrays and not with the ways to combine them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from engine.policy.patterns.leaves import LeafTest

ARRAY = (list, tuple)
CONTAINER = (Mapping, list, tuple)

type Address = tuple[str | int, ...]
type Place = dict[Address, int]
"""For each array around a leaf, by its address in the event: the element that holds the leaf."""
type Groups = dict[Address | None, dict[int, list[Place]]]
"""Places by their outermost array and its element, so that those that agree with a choice are found at once."""
type Steps = tuple[tuple[str, Steps | None], ...]
"""The keys to try at an object for a dotted name, each with the steps that remain (none: the leaf is here)."""


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
    """Return whether all fields match without contradicting each other about an element of an array."""
    fields = sorted(wanted, key=lambda field: field.name)
    leaves = [list(leaves_with_places(event, field.steps)) for field in fields]
    needed = _arrays_still_needed(leaves)
    chosen: list[Place] = [{}]
    for field, found, later in zip(fields, leaves, needed, strict=True):
        chosen = _distinct(_settle(field.test, found, chosen), later)
        if not chosen:
            return False
    return True


def _settle(test: LeafTest, leaves: list[tuple[object, Place]], chosen: list[Place]) -> Iterator[Place]:
    passing = _grouped(place for leaf, place in leaves if test.accepts(leaf))
    for place in chosen:
        yield from _agreeing(passing, place)
    if test.absent:
        present = _grouped(place for _, place in leaves)
        yield from (place for place in chosen if not any(True for _ in _agreeing(present, place)))


def _grouped(places: Iterable[Place]) -> Groups:
    groups: Groups = {}
    for place in places:
        array, element = next(iter(place.items()), (None, 0))
        groups.setdefault(array, {}).setdefault(element, []).append(place)
    return groups


def _agreeing(groups: Groups, chosen: Place) -> Iterator[Place]:
    """Yield what ``chosen`` becomes when joined with each place that does not contradict it."""
    for array, elements in groups.items():
        near = [elements.get(chosen[array], [])] if array in chosen else elements.values()
        for place in (place for group in near for place in group):
            if all(chosen.get(address, element) == element for address, element in place.items()):
                yield {**chosen, **place}


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
    """Yield the leaves under a name."""
    yield from (leaf for leaf, _ in leaves_with_places(event, steps))


def leaves_with_places(event: Mapping[str, Any], steps: Steps) -> Iterator[tuple[object, Place]]:
    """Yield the leaves under a name, each with its place. Without recursion: events nest as deep as they like."""
    rest: list[tuple[object, Steps | None, Address, Place]] = [(event, steps, (), {})]
    while rest:
        node, ahead, address, place = rest.pop()
        if isinstance(node, Mapping):
            keys = [(key, after) for key, after in ahead or () if key in node]
            rest += [(node[key], after, (*address, key), place) for key, after in keys]
        elif isinstance(node, ARRAY):
            rest += [(item, ahead, (*address, at), _inside(item, place, address, at)) for at, item in enumerate(node)]
        elif ahead is None:
            yield node, place


def _inside(item: object, place: Place, address: Address, at: int) -> Place:
    # A plain value in an array belongs to the field itself; only objects and arrays make elements that can contradict.
    return {**place, address: at} if isinstance(item, CONTAINER) else place
