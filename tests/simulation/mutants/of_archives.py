"""Bugs in the archive: what is appended, where the head goes, what records say, and how the chain is followed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from engine.ledger.archive import chain
from engine.ledger.archive.chain import ArchiveObject, Head
from engine.ledger.dynamodb import stream
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.calls import call
from engine.ledger.dynamodb.heads import HEAD, DynamoHeads
from engine.ledger.seals import canonical, digest
from tests.simulation.mutants.mutant import Mutant, always

# --- what is appended -------------------------------------------------------------------------------------------------


def _head_first(_old: Any) -> Any:
    def append(bucket: Any, heads: Any, lines: Any, at: Any, deadline: Any) -> Head:
        while True:
            seen = heads.head(deadline)
            new = ArchiveObject.after(seen, lines, at)
            if heads.move(seen, new.head, deadline):
                bucket.put(new.key, new.body(), deadline)
                return new.head

    return append


def _overtaken_is_fine(_old: Any) -> Any:
    def append(bucket: Any, heads: Any, lines: Any, at: Any, deadline: Any) -> Head:
        seen = heads.head(deadline)
        new = ArchiveObject.after(seen, lines, at)
        bucket.put(new.key, new.body(), deadline)
        heads.move(seen, new.head, deadline)
        return new.head

    return append


def _puts_once(_old: Any) -> Any:
    """The object is made once, and the head is moved to it whoever was there meanwhile."""

    def append(bucket: Any, heads: Any, lines: Any, at: Any, deadline: Any) -> Head:
        new = ArchiveObject.after(heads.head(deadline), lines, at)
        bucket.put(new.key, new.body(), deadline)
        while not heads.move(heads.head(deadline), new.head, deadline):
            pass
        return new.head

    return append


def _with_lines(change: Any) -> Any:
    return lambda old: lambda bucket, heads, lines, at, deadline: old(bucket, heads, change(lines), at, deadline)


def _after(make: Any) -> Any:
    return lambda old: classmethod(lambda cls, head, lines, at: make(old.__func__, cls, head, lines, at))


def _of_its_own_day(old: Any, cls: Any, head: Head, lines: Any, at: Any) -> Any:
    return old(cls, evolve(head, day=""), lines, at)


def _of_no_other(old: Any, cls: Any, head: Head, lines: Any, at: Any) -> Any:
    return old(cls, evolve(head, digest=""), lines, at)


def _of_the_same_number(old: Any, cls: Any, head: Head, lines: Any, at: Any) -> Any:
    return old(cls, evolve(head, number=max(head.number - 1, 0)), lines, at)


def _without_condition(_old: Any) -> Any:
    def move(self: Any, _seen: Head, to: Head, deadline: Any) -> bool:
        item = {"id": HEAD, "number": 0, "object": to.number, "digest": to.digest, "key": to.key, "day": to.day}
        call(self.client.put_item, {"TableName": self.table, "Item": encode_item(item)}, deadline)
        return True

    return move


# --- what records say -------------------------------------------------------------------------------------------------


def _says(change: Any) -> Any:
    return lambda old: lambda told, at, item: change(old(told, at, item))


def _without_words(record: Any) -> Any:
    return evolve(record, explanation=None)


def _one_further(record: Any) -> Any:
    return evolve(record, key=(record.key[0], record.key[1] + 1))


# --- how it is followed -----------------------------------------------------------------------------------------------


def _reads_one_day(old: Any) -> Any:
    def read(self: Any) -> None:
        old(self)
        self._is_read = True

    return read


MUTANTS: Mapping[str, Mutant] = {
    "the archive's head is moved before its object is there": Mutant(chain, "append", _head_first),
    "the archive's head moves over whatever is there": Mutant(DynamoHeads, "move", _without_condition),
    "whoever archives and is overtaken takes his lines for kept": Mutant(chain, "append", _overtaken_is_fine),
    "whoever archives and is overtaken moves the head to his own": Mutant(chain, "append", _puts_once),
    "the last line of a batch is not archived": Mutant(chain, "append", _with_lines(lambda lines: lines[:-1] or lines)),
    "a batch is archived from behind": Mutant(chain, "append", _with_lines(lambda lines: lines[::-1])),
    "a day of the archive goes back": Mutant(ArchiveObject, "after", _after(_of_its_own_day)),
    "an object of the archive names none before it": Mutant(ArchiveObject, "after", _after(_of_no_other)),
    "two objects of the archive have one number": Mutant(ArchiveObject, "after", _after(_of_the_same_number)),
    "the archive loses explanations": Mutant(stream, "record_of", _says(_without_words)),
    "the archive takes an explanation for a change": Mutant(
        stream, "digest_of", lambda _old: lambda item: digest(canonical(dict(item)))
    ),
    "the archive keeps an entry in the place of the next": Mutant(stream, "record_of", _says(_one_further)),
    "a stray of the archive is followed": Mutant(chain._Follower, "_reach", always(1)),  # noqa: SLF001  it is what follows
    "of the archive one day is read": Mutant(chain._Follower, "_read_day", _reads_one_day),  # noqa: SLF001  the same
}
"""By what they do wrong."""
