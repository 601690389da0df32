"""Tests of one field, compiled to a predicate over a leaf of the event.

A leaf is a string, a number, true, false or null. ``other`` is what JSON cannot hold (NaN, a set of DynamoDB): such a
leaf is there, but equals nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from operator import eq, ge, gt, le, lt
from typing import Any

from attrs import frozen

from engine.policy.patterns.addresses import address_bytes
from engine.policy.patterns.model import (
    AnythingBut,
    Cidr,
    EqualsIgnoreCase,
    Exact,
    Exists,
    Numeric,
    Prefix,
    Suffix,
    Test,
    Wildcard,
)
from engine.policy.patterns.wildcards import wildcard_test

type Number = int | Decimal
type StringTest = Callable[[str], bool]
type NumberTest = Callable[[Number], bool]

COMPARE: dict[str, Callable[[Any, Any], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}


@frozen(eq=False, repr=False)
class LeafTest:
    """What the tests of one field answer: for a leaf (``accepts``, ``accepts_string``) and for none (``absent``)."""

    accepts: Callable[[object], bool]
    accepts_string: StringTest
    absent: bool


def compile_tests(tests: Sequence[Test]) -> LeafTest:
    """Return the predicate that is true where any of the tests passes."""
    string = _any_of([*_string_tests(tests), *_address_tests(tests)])
    number = _any_number(tests)
    words = {word: any(_word(test, word) for test in tests) for word in ("true", "false", "null", "other")}
    absent = any(isinstance(test, Exists) and not test.present for test in tests)
    return LeafTest(_acceptor(string, number, words), string, absent)


def _acceptor(string: StringTest, number: NumberTest, words: dict[str, bool]) -> Callable[[object], bool]:
    constants = {None: words["null"], True: words["true"], False: words["false"]}
    other = words["other"]

    def accepts(leaf: object) -> bool:
        if isinstance(leaf, str):
            return string(leaf)
        if leaf is None or isinstance(leaf, bool):
            return constants[leaf]
        exact = _comparable(leaf)
        return other if exact is None else number(exact)

    return accepts


def _comparable(leaf: object) -> Number | None:
    if isinstance(leaf, int):
        return leaf
    # A float is the number that its shortest text says, which is what the sender of the event wrote.
    exact = Decimal(repr(float(leaf))) if isinstance(leaf, float) else leaf
    return exact if isinstance(exact, Decimal) and exact.is_finite() else None


# --- strings ----------------------------------------------------------------------------------------------------------


def _string_tests(tests: Sequence[Test]) -> list[StringTest]:
    exact = frozenset(test.value for test in tests if isinstance(test, Exact) and isinstance(test.value, str))
    predicates: list[StringTest] = [exact.__contains__] if exact else []
    return [*predicates, *(predicate for test in tests if (predicate := _string(test)) is not None)]


def _any_of[T](predicates: Sequence[Callable[[T], bool]]) -> Callable[[T], bool]:
    if len(predicates) == 1:
        return predicates[0]
    return lambda leaf: any(predicate(leaf) for predicate in predicates)


def _string(test: Test) -> StringTest | None:  # noqa: PLR0911 - one line for each kind of test
    match test:
        case Prefix(text, ignore_case):
            return _found(re.compile(_any_case(text)).match) if ignore_case else partial(_starts, text)
        case Suffix(text, ignore_case):
            return _ends_in_any_case(text) if ignore_case else partial(_ends, text)
        case EqualsIgnoreCase(text):
            return _found(re.compile(_any_case(text)).fullmatch)
        case Wildcard(literals):
            return wildcard_test(literals)
        case Cidr(first, last):
            return partial(_in_network, first, last)
        case AnythingBut(excluded):
            return _none_of(_any_of(_string_tests(excluded)))
        case Exists(present=True):
            return _always
        case _:
            return None


def _starts(text: str, leaf: str) -> bool:
    return leaf.startswith(text)


def _ends(text: str, leaf: str) -> bool:
    return leaf.endswith(text)


def _ends_in_any_case(text: str) -> StringTest:
    """Return the test for an end, read from behind: looked for from the front, it would be tried at each character."""
    pattern = re.compile("".join(_either_case(character, behind=True) for character in reversed(text)))
    longest = sum(max(len(character.lower()), len(character.upper())) for character in text)
    return lambda leaf: pattern.match(leaf[: -longest - 1 : -1]) is not None


def _always(_leaf: object) -> bool:
    return True


def _none_of[T](excluded: Callable[[T], bool]) -> Callable[[T], bool]:
    return lambda leaf: not excluded(leaf)


def _address_tests(tests: Sequence[Test]) -> list[StringTest]:
    # AWS compares an exact value that is an IP address as an address, in whatever way the event spells it. What
    # anything-but excludes it compares as text.
    texts = [test.value for test in tests if isinstance(test, Exact) and isinstance(test.value, str)]
    addresses = [address for address in map(address_bytes, texts) if address is not None]
    return [partial(_in_network, address, address) for address in addresses]


def _in_network(first: bytes, last: bytes, leaf: str) -> bool:
    address = address_bytes(leaf)
    return address is not None and len(address) == len(first) and first <= address <= last


def _any_case(text: str) -> str:
    """Return the expression for a text of which each character may come in its lower or its upper case.

    This is Event Ruler's comparison. It differs from comparing lowered texts where case mappings are lopsided: the
    Kelvin sign lowers to ``k`` but is not a ``k``, and ``ß`` has the upper case ``SS``.
    """
    return "".join(_either_case(character) for character in text)


def _found(find: Callable[[str], re.Match[str] | None]) -> StringTest:
    return lambda leaf: find(leaf) is not None


def _either_case(character: str, *, behind: bool = False) -> str:
    """Return the expression for both cases of a character; one of several characters is turned round for ``behind``."""
    cases = sorted({character.lower(), character.upper()})
    if len(cases) == 1 or max(map(len, cases)) > 1:
        read = [re.escape(case[::-1] if behind else case) for case in cases]
        return f"(?:{'|'.join(read)})" if len(read) > 1 else read[0]
    return f"[{''.join(map(re.escape, cases))}]"


# --- numbers, true, false, null ---------------------------------------------------------------------------------------


def _any_number(tests: Sequence[Test]) -> NumberTest:
    exact = frozenset(test.value for test in tests if isinstance(test, Exact) and isinstance(test.value, Decimal))
    predicates: list[NumberTest] = [exact.__contains__] if exact else []
    predicates += [predicate for test in tests if (predicate := _number(test)) is not None]
    return _any_of(predicates)


def _number(test: Test) -> NumberTest | None:
    match test:
        case Numeric(comparisons):
            return _all_hold([(COMPARE[comparison], bound) for comparison, bound in comparisons])
        case AnythingBut(excluded):
            return _none_of(_any_number(excluded))
        case Exists(present=True):
            return _always
        case _:
            return None


def _all_hold(comparisons: Sequence[tuple[Callable[[Any, Any], bool], Decimal]]) -> NumberTest:
    if len(comparisons) == 1:
        holds, bound = comparisons[0]
        return lambda leaf: holds(leaf, bound)
    (above, bottom), (below, top) = comparisons
    return lambda leaf: above(leaf, bottom) and below(leaf, top)


def _word(test: Test, word: str) -> bool:
    match test:
        case Exact(bool() | None as value):
            return word == {True: "true", False: "false", None: "null"}[value]
        case Exists(present):
            return present
        case _:
            return isinstance(test, AnythingBut)
