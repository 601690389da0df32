"""What holds for every file: it is a policy, or it is refused with mistakes that have a place."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Mistake, PolicyError
from engine.paths import compile_path
from engine.policy import Policy, parse_policy

SHIPPED = (Path(__file__).parents[2] / "policies" / "video.yaml").read_bytes()
SETTINGS = settings(max_examples=300, deadline=timedelta(seconds=3))
"""The deadline is for one file: it bounds the time in which even the oddest is refused."""

SCALAR = re.compile(rb"[^\s{}\[\],:#]+")
ODD = [
    b"", b"~", b"null", b"true", b"no", b"0", b"-0", b"-1", b"010", b"1e3", b"1e99999999999999999999", b".5", b".inf", b".nan",
    b"9" * 50, b"0." + b"0" * 200 + b"1", b"[]", b"{}", b"[[]]", b"{a: b}", b"*a", b"&a b", b"!!str x", b"!!python/object:x y",
    b"<<", b"? x", b"- x", b"|", b">", b"'", b'"', b'"\\e[2J"', b'"\\ud800"', b"@", b"`", b"%", b"\xef\xbb\xbf", b"$or",
    b"detail..x", b"sum(@)", b"a" * 2000, b"2026-01-01", b"2026-01-01T00:00:00Z", b"9999-12-31T23:59:59-23:59", b"exists",
]  # fmt: skip

type Mutation = Callable[[bytes], bytes]


def on_lines(change: Callable[[list[bytes], int, int], None]) -> Callable[[int, int], Mutation]:
    """Return a maker of mutations that change the list of lines at one place, with another place in hand."""

    def make(one: int, other: int) -> Mutation:
        def mutate(data: bytes) -> bytes:
            lines = data.split(b"\n")
            change(lines, one % len(lines), other % len(lines))
            return b"\n".join(lines)

        return mutate

    return make


def drop(lines: list[bytes], one: int, _other: int) -> None:
    """Leave a line out."""
    del lines[one]


def repeat(lines: list[bytes], one: int, other: int) -> None:
    """Write a line a second time, elsewhere."""
    lines.insert(other, lines[one])


def swap(lines: list[bytes], one: int, other: int) -> None:
    """Let two lines change places."""
    lines[one], lines[other] = lines[other], lines[one]


def replace_scalar(index: int, odd: bytes) -> Mutation:
    """Return a mutation that puts something odd in the place of a key or a value."""

    def mutate(data: bytes) -> bytes:
        found = list(SCALAR.finditer(data))
        if not found:
            return odd
        start, end = found[index % len(found)].span()
        return data[:start] + odd + data[end:]

    return mutate


def splice(index: int, gone: int, put: bytes) -> Mutation:
    """Return a mutation that takes some bytes away and puts others there."""

    def mutate(data: bytes) -> bytes:
        start = index % (len(data) + 1)
        return data[:start] + put + data[start + gone :]

    return mutate


anywhere = st.integers(0, 1_000_000)
mutations = st.one_of(
    *(st.builds(on_lines(change), anywhere, anywhere) for change in (drop, repeat, swap)),
    st.builds(replace_scalar, anywhere, st.sampled_from(ODD)),
    st.builds(splice, anywhere, st.integers(0, 3), st.one_of(st.just(b""), st.binary(max_size=3), st.sampled_from(ODD))),
)
signs = st.sampled_from(
    [*"abc019.-:,?![]{}&*#|>'\"%@` \n\t", ": ", "- ", "  ", "\n- ", "version: 1\n", "<<: ", "é", "\u2028", "\ud800", "\0"]
)
expressions = st.lists(
    st.sampled_from(
        [*"ab.[]{}()|&@!?*`'\"\\:,<=0-1 \t", "&&", "||", "==", "sum(", "detail", "`1", "[?", "[::", "9" * 30, "é"]
    ),
    max_size=12,
)


def check(text: str | bytes) -> None:
    """Assert that a file gives a policy, or mistakes that have a file, a line and a column each."""
    mistakes: tuple[Mistake, ...] = ()
    try:
        assert isinstance(parse_policy(text, "video.yaml"), Policy)
    except PolicyError as error:
        mistakes = error.mistakes
        if not mistakes:
            raise
    places = [(mistake.line or 0, mistake.column or 0) for mistake in mistakes]

    assert sorted(places) == places
    assert all(line >= 1 and column >= 1 for line, column in places)
    assert all(mistake.file == "video.yaml" and mistake.message.isprintable() for mistake in mistakes)


@SETTINGS
@given(changes=st.lists(mutations, min_size=1, max_size=4))
def test_a_policy_with_something_changed_is_read_or_refused(changes):
    """Lines dropped, repeated and swapped, odd scalars, bytes taken away and put in."""
    data = SHIPPED
    for change in changes:
        data = change(data)

    check(data)


@SETTINGS
@given(text=st.lists(signs, max_size=40).map("".join))
def test_signs_of_yaml_in_any_order_are_read_or_refused(text):
    """Most of it is no YAML; none of it is a crash."""
    check(text)


@SETTINGS
@given(data=st.binary(max_size=60))
def test_bytes_are_read_or_refused(data):
    """Not every file is text."""
    check(data)


@pytest.mark.filterwarnings("ignore:deprecated string literal syntax")
@SETTINGS
@given(text=expressions.map("".join))
def test_an_expression_is_read_or_refused(text):
    """One that is read also tells which attributes of a row it can look at."""
    with suppress(PolicyError):
        attributes = compile_path(text).row_attributes()
        assert attributes is None or isinstance(attributes, frozenset)
