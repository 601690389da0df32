"""A parsed event pattern: immutable values, independent of how they are matched."""

from __future__ import annotations

from decimal import Decimal

from attrs import field, frozen

from engine.policy.patterns.addresses import address_bytes

type Scalar = str | Decimal | bool | None


def _tell_booleans_from_numbers(value: Scalar) -> tuple[bool, Scalar]:
    return isinstance(value, bool), value


@frozen
class Exact:
    """The value itself. A number is a ``Decimal`` and equals any notation of it; ``True`` never equals 1."""

    value: Scalar = field(eq=_tell_booleans_from_numbers)


@frozen
class Prefix:
    """A string that begins with ``text``; an empty text accepts every string."""

    text: str
    ignore_case: bool = False


@frozen
class Suffix:
    """A string that ends with ``text``."""

    text: str
    ignore_case: bool = False


@frozen
class EqualsIgnoreCase:
    """A string that equals ``text`` when each character may be in either case."""

    text: str


@frozen
class Wildcard:
    """A string that holds ``literals`` in this order with anything, or nothing, in place of each ``*`` between them."""

    literals: tuple[str, ...]


@frozen
class Numeric:
    """A number for which every comparison (``=``, ``<``, ``<=``, ``>``, ``>=`` with a bound) holds."""

    comparisons: tuple[tuple[str, Decimal], ...]


@frozen
class Cidr:
    """A string that is an IP address from ``first`` to ``last``, both included: 4 bytes for IPv4, 16 for IPv6."""

    first: bytes
    last: bytes


@frozen
class Exists:
    """Whether the field is a leaf of the event. Objects, empty objects and empty arrays are not leaves."""

    present: bool


type Negatable = Exact | Prefix | Suffix | EqualsIgnoreCase | Wildcard


@frozen
class AnythingBut:
    """A leaf of any type that passes none of the ``excluded`` tests."""

    excluded: tuple[Negatable, ...]


type Test = Negatable | Numeric | Cidr | Exists | AnythingBut


@frozen
class Field:
    """A leaf of the event under its dotted ``name``; it matches when any of the tests passes."""

    name: str
    tests: tuple[Test, ...]


@frozen
class Branch:
    """Fields that must all match, in the order of the pattern; no name occurs twice."""

    fields: tuple[Field, ...]


@frozen
class Pattern:
    """Branches of which one must match. A pattern without ``$or`` has exactly one."""

    branches: tuple[Branch, ...]


def required_values(pattern: Pattern, name: str) -> frozenset[str] | None:
    """Return the strings of which an event must hold one in the field ``name``, or None where other values can match.

    This is what an index over exact fields needs: an event that has none of these values in the field, be it as the
    value itself, as an element of an array or under a key with a dot, cannot match the pattern.
    """
    found: set[str] = set()
    for branch in pattern.branches:
        values = exact_strings(branch, name)
        if values is None:
            return None
        found |= values
    return frozenset(found)


def exact_strings(branch: Branch, name: str) -> set[str] | None:
    """Return the strings of which one must stand in a field for the branch to match, or None where other values can match."""
    tests = next((field.tests for field in branch.fields if field.name == name), ())
    values = {test.value for test in tests if isinstance(test, Exact) and isinstance(test.value, str)}
    # An address has several spellings, so its text alone does not tell which events hold it.
    if not tests or len(values) < len(set(tests)) or any(address_bytes(value) for value in values):
        return None
    return values
