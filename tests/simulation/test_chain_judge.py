"""The judge of archives: it takes a chain that is right, and says of every wrong one what is wrong. All is written by hand."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from typing import Any

import pytest

from tests.simulation.chain_judge import judge_chain

WORDS = {"M": {"summary": {"S": "late"}}}


def entry(number: int, amount: str = "-1") -> dict[str, Any]:
    """Return an entry of job j."""
    return {"reference": {"S": "job#j"}, "sequence": {"N": str(number)}, "amount": {"N": amount}}


def digest(item: dict[str, Any]) -> str:
    """Return the digest of an entry: of its JSON without blanks, names sorted."""
    return sha256(json.dumps(item, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def line(told: str, item: dict[str, Any], **more: Any) -> str:
    """Return a line of the archive."""
    place = {"reference": item["reference"]["S"], "sequence": item["sequence"]["N"]}
    whole = {"entry": item} if told == "insert" else {}
    return json.dumps({"told": told, "at": "2026-01-05", **place, "digest": digest(item), **whole, **more})


def told(name: str, item: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a record of the stream."""
    keys = {"reference": item["reference"], "sequence": item["sequence"]}
    return {"eventName": name, "dynamodb": {"Keys": keys, "NewImage": {**item, **more}}}


STREAM = [told("INSERT", entry(1)), told("INSERT", entry(2)), told("MODIFY", entry(1), explanation=WORDS)]
LINES = [line("insert", entry(1)), line("insert", entry(2)), line("modify", entry(1), explanation=WORDS)]
TABLE = {("job#j", 1): entry(1), ("job#j", 2): entry(2)}
SAID = {("job#j", 1): WORDS}


def chain(*objects: tuple[str, list[str]], numbers: tuple[int, ...] = (1, 2, 3, 4)) -> tuple[dict[str, bytes], str]:
    """Return the objects of a chain, each of a day and some lines, and the digest of the last."""
    kept, previous = {}, ""
    for number, (day, lines) in zip(numbers, objects, strict=False):
        header = {"archive": 1, "number": number, "previous": previous, "day": day, "lines": len(lines)}
        text = "\n".join([json.dumps(header, separators=(",", ":")), *lines]).encode()
        own = sha256(text).hexdigest()
        key = f"entries/day={day}/{number:012d}-{previous[:32] or '0' * 32}-{own[:32]}.jsonl.gz"
        kept[key], previous = gzip.compress(text), own
    return kept, previous


def wrong(kept: tuple[dict[str, bytes], str]) -> str:
    """Return what the judge says."""
    return "; ".join(judge_chain(*kept, STREAM, TABLE, SAID)[1])


def test_a_chain_that_is_right_is_taken() -> None:
    """In one object or in three, of one day or of two, with a batch that came again."""
    assert wrong(chain(("2026-01-05", LINES))) == ""
    assert wrong(chain(("2026-01-05", LINES[:1]), ("2026-01-05", LINES[:2]), ("2026-01-06", LINES[1:]))) == ""


def test_what_is_not_in_the_chain_is_no_matter() -> None:
    """An object that nobody names is a stray."""
    kept, head = chain(("2026-01-05", LINES))
    stray, _ = chain(("2026-01-05", LINES[:1]))

    assert wrong(({**kept, **stray}, head)) == ""


FORGED = line("insert", entry(3, "500"))

WRONG: dict[str, tuple[tuple[dict[str, bytes], str], str]] = {
    "an entry is missing": (chain(("2026-01-05", LINES[:1] + LINES[2:])), "entry 2 is None; the ledger has"),
    "an explanation is missing": (chain(("2026-01-05", LINES[:2])), "the explanation of entry 1 is None"),
    "an entry was never told": (chain(("2026-01-05", [*LINES, FORGED])), "the stream has told no such insert"),
    "an entry is another": (
        chain(("2026-01-05", [LINES[0], line("insert", entry(2, "-2")), LINES[2]])), "entry 2 is {'reference'"
    ),
    "entries stand in another order": (chain(("2026-01-05", [LINES[1], LINES[0], LINES[2]])), "entry 1 comes behind entry 2"),
    "a change comes before its entry": (chain(("2026-01-05", LINES[::-1])), "a modify of entry 1 comes before it"),
    "days go back": (chain(("2026-01-06", LINES[:2]), ("2026-01-05", LINES[2:])), "object 1 is of 2026-01-06"),
    "a number is left out": (
        chain(("2026-01-05", LINES[:2]), ("2026-01-05", LINES[2:]), numbers=(1, 3)), "comes before object 3"
    ),
    "the first number is another": (chain(("2026-01-05", LINES), numbers=(2,)), "the first object has number 2"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str) -> None:
    """Each rule by itself."""
    kept, said = WRONG[name]

    assert said in wrong(kept)


def test_an_object_that_is_gone_or_changed_is_missed() -> None:
    """Its digest leads to nothing then."""
    kept, head = chain(("2026-01-05", LINES[:2]), ("2026-01-05", LINES[2:]))
    first, last = kept
    for damaged in ({last: kept[last]}, {**kept, first: gzip.compress(b"{}")}, {first: kept[first]}):
        assert "is not there" in wrong((damaged, head))
