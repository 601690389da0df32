"""What somebody does to the archive itself: objects, the head, checkpoints, plans. Object Lock forbids most of it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from random import Random
from typing import Any

from engine.ledger.archive.chain import ArchiveObject, Head
from engine.ledger.dynamodb.attributes import encode_item
from tests.simulation.damages.doing import GIFT, made
from tests.simulation.damages.targets import StageHands
from tests.simulation.world.damage import Hands, Spot
from tests.simulation.world.damage_done import entry
from tests.simulation.world.place import NEVER
from tests.simulation.world.strict import TABLES

ARCHIVE = "archive"
"""What is said to be touched where it is the archive."""


def an_object(prefix: str, *, last: bool | None = None) -> Callable[[Hands, list[Spot], Random], Any]:
    """Return what chooses an object: the last of its kind, or one before it; None where there is none."""

    def pick(hands: Any, _spots: list[Spot], chance: Random) -> str | None:
        keys = sorted(key for key in hands.bucket.objects if key.startswith(prefix))
        if last is not None:
            keys = keys[-1:] if last else keys[:-1]
        return chance.choice(keys) if keys else None

    return pick


def gone(hands: StageHands, key: str) -> None:
    """Remove an object."""
    hands.touch(ARCHIVE)
    del hands.bucket.objects[key]


def junk(hands: StageHands, key: str) -> None:
    """Let an object be something else."""
    hands.touch(ARCHIVE)
    hands.bucket.objects[key] = gzip.compress(b"{}")


def altered(hands: StageHands, key: str) -> None:
    """Let an object say something else: the first digit of what it keeps is another."""
    hands.touch(ARCHIVE)
    body = hands.bucket.objects[key]
    text = gzip.decompress(body) if key.endswith(".gz") else body
    changed = bytes((each ^ 1) if each in b"0123456789" else each for each in text)
    hands.bucket.objects[key] = gzip.compress(changed, mtime=0) if key.endswith(".gz") else changed


def put_junk(hands: StageHands, _picked: object) -> None:
    """Put an object among those of the chain that is none of it."""
    hands.touch(ARCHIVE)
    hands.bucket.objects["entries/day=2026-01-05/readme.txt"] = b"hello"


def _forged(hands: StageHands, head: Head, spot: Any) -> ArchiveObject:
    """Return an object behind another that says of a gift that it was inserted."""
    from engine.ledger.dynamodb.stream import Told, record_of  # noqa: PLC0415  one use

    at = hands.stage.timeline.now()
    line = record_of(Told.INSERT, at, made(hands, spot, GIFT)).text()
    return ArchiveObject.after(head, [line], at)


some_entry = entry("moves")


def branch(hands: StageHands, spot: Any) -> None:
    """Put an object behind an earlier one of the chain, with a gift in it."""
    hands.touch(ARCHIVE)
    keys = sorted(key for key in hands.bucket.objects if key.startswith("entries/day="))
    first = ArchiveObject.read(keys[0], hands.bucket.objects[keys[0]]).head
    forged = _forged(hands, first, spot)
    hands.bucket.objects.setdefault(forged.key, forged.body())


def branch_with_head(hands: StageHands, spot: Any) -> None:
    """Put an object behind the first one, and let the head name it: all between is passed over."""
    branch(hands, spot)
    keys = sorted(key for key in hands.bucket.objects if key.startswith("entries/day="))
    first = ArchiveObject.read(keys[0], hands.bucket.objects[keys[0]]).head
    _put_head(hands, _forged(hands, first, spot).head)


def more_than_one(hands: Hands, spots: list[Spot], chance: Random) -> str | None:
    """Choose an object before the last one; None where the head names the first."""
    return an_object("entries/day=", last=False)(hands, spots, chance)


def head_back(hands: StageHands, _picked: object) -> None:
    """Let the head name the first object again."""
    hands.touch(ARCHIVE)
    keys = sorted(key for key in hands.bucket.objects if key.startswith("entries/day="))
    _put_head(hands, ArchiveObject.read(keys[0], hands.bucket.objects[keys[0]]).head)


def head_nowhere(hands: StageHands, _picked: object) -> None:
    """Let the head name an object that there is not."""
    hands.touch(ARCHIVE)
    head = hands.stage.heads.head(NEVER)
    _put_head(hands, Head(head.number, "ab" * 32, head.key.replace(head.digest[:32], "ab" * 16), head.day))


def no_head(hands: StageHands, _picked: object) -> None:
    """Remove the head."""
    hands.touch(ARCHIVE)
    hands.client.delete_item(TableName=TABLES.seals, Key=encode_item({"id": "archive", "number": 0}))


def _put_head(hands: StageHands, head: Head) -> None:
    row = {"id": "archive", "number": 0, "object": head.number, "digest": head.digest, "key": head.key, "day": head.day}
    hands.client.put_item(TableName=TABLES.seals, Item=encode_item(row))
