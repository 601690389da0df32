"""What the archive of a history must be, in the end: written from its form alone; it imports nothing of the engine.

An object is JSON lines, compressed: a header, then the records. The head names the last object by the SHA-256 of its text,
each object names the one before in the same way, so that from the head backwards there is one chain and no doubt.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

type Key = tuple[str, int]
type Line = dict[str, Any]

WHOLE = ("insert", "taken-in")


def judge_chain(
    objects: Mapping[str, bytes],
    head: str,
    told: Sequence[Mapping[str, Any]],
    table: Mapping[Key, Any],
    words: Mapping[Key, Any],
) -> tuple[list[list[str]], list[str]]:
    """Return the lines of each object of the chain, and all that is wrong.

    ``told`` are the records of the stream, ``table`` is what the ledger holds without explanations, ``words`` are these, as
    DynamoDB has both.
    """
    try:
        chain = walk(objects, head)
    except Broken as broken:
        return [], [str(broken)]
    lines = [json.loads(line) for each in chain for line in each]
    wrong = [*_nothing_else(lines, told), *_in_order(lines), *_all_of_it(lines, table, words)]
    return chain, wrong


class Broken(Exception):
    """The chain has no beginning that the head leads to."""


def walk(objects: Mapping[str, bytes], head: str) -> list[list[str]]:
    """Return the lines of each object, the first first, from the head backwards. Raises Broken."""
    texts = {sha256(text).hexdigest(): (key, text.decode()) for key, text in _texts(objects)}
    found: list[list[str]] = []
    at, after = head, (None, "9999")
    while at:
        if at not in texts:
            raise Broken(f"the object of digest {at[:12]} is not there; {len(found)} follow it")
        key, text = texts[at]
        first, *lines = text.split("\n")
        header = json.loads(first)
        _check(key, at, header, lines, after)
        found.insert(0, lines)
        at, after = header["previous"], (header["number"], header["day"])
    if after[0] not in {1, None}:
        raise Broken(f"the first object has number {after[0]}")
    return found


def _texts(objects: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for key, body in objects.items():
        try:
            yield key, gzip.decompress(body)
        except OSError:
            continue


def _check(key: str, digest: str, header: Mapping[str, Any], lines: Sequence[str], after: tuple[int | None, str]) -> None:
    """An object has the number before the next one's, a day that is not later, and both in its key."""
    number, day, previous = header["number"], header["day"], header["previous"][:32] or "0" * 32
    if key != f"entries/day={day}/{number:012d}-{previous}-{digest[:32]}.jsonl.gz":
        raise Broken(f"{key} is no key of object {number}")
    if header["lines"] != len(lines):
        raise Broken(f"object {number} has {len(lines)} lines; it says {header['lines']}")
    if after[0] is not None and number != after[0] - 1:
        raise Broken(f"object {number} comes before object {after[0]}")
    if day > after[1]:
        raise Broken(f"object {number} is of {day}, the one after it of {after[1]}")


def record(of: Mapping[str, Any]) -> Line:
    """Return what the line of a record of the stream must say, but for when it happened."""
    name, change = of["eventName"].lower(), of["dynamodb"]
    keys = change["Keys"]
    place = {"reference": keys["reference"]["S"], "sequence": keys["sequence"]["N"]}
    if name == "remove":
        return {"told": name, "digest": "", **place}
    plain = {each: value for each, value in change["NewImage"].items() if each != "explanation"}
    said: Line = {"told": name, "digest": digest_of(plain), **place}
    if name == "insert":
        said["entry"] = plain
    if "explanation" in change["NewImage"]:
        said["explanation"] = change["NewImage"]["explanation"]
    return said


def digest_of(item: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an item's JSON, names sorted."""
    return sha256(json.dumps(item, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _nothing_else(lines: Sequence[Line], told: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    expected = {json.dumps(record(each), sort_keys=True) for each in told}
    for line in lines:
        said = {name: value for name, value in line.items() if name != "at"}
        if json.dumps(said, sort_keys=True) not in expected:
            yield f"{line['reference']}, entry {line['sequence']}: the stream has told no such {line['told']}"


def _in_order(lines: Sequence[Line]) -> Iterator[str]:
    """What is said of a log for the first time comes in the order of its entries, of each first that it was inserted."""
    last: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for line in lines:
        key = line["reference"], line["sequence"]
        if line["told"] in WHOLE and key not in seen:
            if int(line["sequence"]) < last.get(line["reference"], 0):
                yield f"{key[0]}: entry {key[1]} comes behind entry {last[key[0]]}"
            last[key[0]] = int(key[1])
            seen.add(key)
        elif key not in seen:
            yield f"{key[0]}: a {line['told']} of entry {key[1]} comes before it"


def _all_of_it(lines: Sequence[Line], table: Mapping[Key, Any], words: Mapping[Key, Any]) -> Iterator[str]:
    """Of each key the first whole record is the entry; what is said of its explanation last is the explanation."""
    items: dict[Key, Any] = {}
    said: dict[Key, Any] = {}
    for line in lines:
        key = line["reference"], int(line["sequence"])
        if line["told"] in WHOLE:
            items.setdefault(key, line["entry"])
        elif line["told"] == "modify" and key in items and digest_of(items[key]) != line["digest"]:
            yield f"{key[0]}: entry {key[1]} is said to have changed"
        if "explanation" in line:
            said[key] = line["explanation"]
    for key in sorted(items.keys() | table.keys()):
        if items.get(key) != table.get(key):
            yield f"{key[0]}: entry {key[1]} is {items.get(key)}; the ledger has {table.get(key)}"
    for key in sorted(said.keys() | words.keys()):
        if said.get(key) != words.get(key):
            yield f"{key[0]}: the explanation of entry {key[1]} is {said.get(key)}; the ledger has {words.get(key)}"
