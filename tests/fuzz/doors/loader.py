"""Bytes in the place of a policy: anchors, tags, merge keys, huge numbers, control characters, lines moved about."""

from __future__ import annotations

import pickle
from pathlib import Path

from hypothesis import strategies as st

from engine.domain.errors import PolicyError
from engine.policy import parse_policy
from tests.fuzz.door import Door, seen
from tests.policy.fuzzing.limits import FILE, read
from tests.policy.fuzzing.trees import ODDER
from tests.policy.mutation.spread import SPREAD

ROOT = Path(__file__).parents[3]
SHIPPED = [path.read_text().splitlines(keepends=True) for path in sorted((ROOT / "policies").glob("*.yaml"))]
RECIPES = [path.read_text().splitlines(keepends=True) for path in sorted((ROOT / "docs/recipes").glob("*/policy.yaml"))]
HEAD = ["version: 1\n", "name: x\n", "event: {job: a, user: b, time: c}\n", "rules:\n"]
RULE = ["  - {name: r, match: {a: [b]}, action: flag, reason: r}\n"]
SIGNS = (
    "&a ", "*a", "<<: *a\n", "!!str ", "!!binary ", "!!python/object:x ", "? ", ": ", "- ", "#", "|\n", ">-\n", "%YAML 1.1\n",
    "---\n", "...\n", "\t", "\x00", "\x1b", "\x85", "\u2028", "\ufeff", "9" * 5000,
    "0x" + "f" * 2000, "1e999999999", "0o7", "1_0", ".inf",
    "~", "[", "]", "{", "}", ",", "'", '"', "\\", "@", "`",
)  # fmt: skip

type Edit = tuple[str, int, int, str]

edits = st.tuples(
    st.sampled_from(["drop", "repeat", "swap", "put", "value", "cut"]),
    st.integers(0, 400),
    st.integers(0, 400),
    st.one_of(st.sampled_from(SIGNS), st.sampled_from(ODDER), st.text(max_size=4)),
)
bases = st.one_of(
    st.just([*HEAD, *RULE]), st.just(SPREAD.splitlines(keepends=True)), st.sampled_from(SHIPPED), st.sampled_from(RECIPES)
)


def edited(base: list[str], changes: list[Edit], encoding: str) -> bytes:
    """Return the lines of a policy, changed one after the other, as bytes."""
    lines = list(base)
    for change in changes:
        lines = _changed(lines or [""], *change)
    return "".join(lines).encode(encoding, errors="surrogatepass")


def _changed(lines: list[str], how: str, one: int, other: int, text: str) -> list[str]:
    at, there = one % len(lines), other % len(lines)
    line = lines[at]
    if how == "drop":
        return lines[:at] + lines[at + 1 :]
    if how == "repeat":
        return [*lines[:there], line, *lines[there:]]
    if how == "cut":
        return lines[:at]
    if how == "swap":
        lines[at], lines[there] = lines[there], lines[at]
    elif how == "put":
        place = other % (len(line) + 1)
        lines[at] = line[:place] + text + line[place:]
    elif ":" in line:
        lines[at] = f"{line[: line.index(':')]}: {text}\n"
    return lines


policies = st.one_of(
    st.builds(edited, bases, st.lists(edits, max_size=4), st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16"])),
    st.builds(edited, bases, st.lists(edits, max_size=4), st.just("utf-8")),
    st.lists(st.one_of(st.sampled_from(SIGNS), st.sampled_from("abc019 \n")), max_size=20).map(
        lambda it: "".join(it).encode()
    ),
    st.binary(max_size=40),
)


def check(data: bytes) -> None:
    """It is a policy, the same one again and after it was stored, or it is refused with mistakes that have a place."""
    became, wrong = read(data)
    seen(became)
    assert not wrong, wrong
    if became == "read":
        policy = parse_policy(data, FILE)
        stored = pickle.loads(pickle.dumps(policy))  # noqa: S301  our own
        assert policy.identity == parse_policy(data, FILE).identity == stored.identity
        assert policy.rules == stored.rules
        return
    try:
        parse_policy(data, FILE)
    except PolicyError as error:
        check_mistakes(error)


def check_mistakes(error: PolicyError) -> None:
    """Assert that a refusal can be read: each mistake says something, and none of them fills a screen."""
    for mistake in error.mistakes:
        assert mistake.message.strip(), "a mistake without words"
        assert len(mistake.message) <= 2_000, mistake.message[:200]


DOOR = Door("loader", policies, check, ("engine/policy/*.py", "engine/policy/not_yaml/*"))
