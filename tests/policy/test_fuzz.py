"""What holds for every file: it is a policy, or it is refused with mistakes that have a place, in time and within memory.

Only a file that cannot be read at all is refused without a line and a column.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.policy import load_policy
from engine.policy.expressions.paths import compile_path
from tests.policy.fuzzing.huge import HUGE
from tests.policy.fuzzing.limits import FILE, MEGABYTES_MAX, SECONDS_MAX, read
from tests.policy.fuzzing.trees import ODD
from tests.support.processor import at_most

ROOT = Path(__file__).parents[2]
SHIPPED = (ROOT / "policies" / "video.yaml").read_bytes()
SETTINGS = settings(max_examples=300)

SHARES = [pytest.param(0, 800, id="800")] + [
    pytest.param(first, 2_500, id=f"2,500 from {first:,}", marks=pytest.mark.proof) for first in range(0, 10_000, 2_500)
]
"""Which odd policies one process reads: 800 in each run of the tests; all 10,000, in four shares, by ``make proof``."""

SCALAR = re.compile(rb"[^\s{}\[\],:#]+")

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


odd = st.sampled_from([text.encode() for text in ODD])
anywhere = st.integers(0, 1_000_000)
mutations = st.one_of(
    *(st.builds(on_lines(change), anywhere, anywhere) for change in (drop, repeat, swap)),
    st.builds(replace_scalar, anywhere, odd),
    st.builds(splice, anywhere, st.integers(0, 3), st.one_of(st.just(b""), st.binary(max_size=3), odd)),
)
signs = st.sampled_from(
    [*"abc019.-:,?![]{}&*#|>'\"%@` \n\t", ": ", "- ", "  ", "\n- ", "version: 1\n", "<<: ", "é", "\u2028", "\ud800", "\0"]
)
expressions = st.lists(
    st.sampled_from(
        [
            *"ab.[]{}()|&@!?*`'\"\\:,<=0-1 \t",
            "&&",
            "||",
            "==",
            "sum(",
            "multiply(",
            "round_up(",
            "from_seconds(",
            "split(",
            ",",
            "detail",
            "`1",
            "[?",
            "[::",
            "9" * 30,
            "é",
        ]
    ),
    max_size=12,
)


def check(text: str | bytes) -> None:
    """Assert that a file gives a policy, or mistakes that have a file, a line and a column each, in time."""
    with at_most(SECONDS_MAX):
        _, wrong = read(text)

    assert [] == wrong


def fuzzed(*options: str) -> dict[str, Any]:
    """Return the figures of a fresh process that reads odd policies."""
    command = [sys.executable, "-m", "tests.policy.fuzzing", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


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
    with at_most(SECONDS_MAX), suppress(PolicyError):
        attributes = compile_path(text).row_attributes()
        assert attributes is None or isinstance(attributes, frozenset)


@pytest.mark.parametrize(("first", "count"), SHARES)
def test_odd_policies_are_read_or_refused_in_time_and_within_memory(first, count):
    """Of parts dropped, repeated, swapped, buried, shared, swollen: each within a second of the processor and 200 MB."""
    figures = fuzzed("--first", str(first), "--count", str(count))

    assert {} == figures["faults"]
    assert count == sum(figures["counts"].values())
    assert all(figures["counts"][kind] for kind in ("read", "refused", "not YAML"))
    assert figures["seconds_max"] <= SECONDS_MAX
    assert figures["megabytes_max"] <= MEGABYTES_MAX


@pytest.mark.parametrize("name", HUGE)
def test_the_largest_policies_are_read_or_refused_in_time_and_within_memory(name):
    """About as much of each thing as a file can hold."""
    figures = fuzzed("--huge", name)

    assert {} == figures["faults"]
    assert figures["megabytes_max"] <= MEGABYTES_MAX


def test_only_a_file_that_cannot_be_read_is_refused_without_a_place(tmp_path):
    """There is nothing in it to point at."""
    with pytest.raises(PolicyError, match="cannot be read: No such file or directory") as refusal:
        load_policy(tmp_path / FILE)

    assert [(str(tmp_path / FILE), None, None)] == [(one.file, one.line, one.column) for one in refusal.value.mistakes]
