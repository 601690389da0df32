"""The chain read backwards, from a head on: where an entry was archived before the part that an audit reads.

The keys alone tell the way; of an object no more is read than is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta

from engine.domain.errors import TimeIsUp
from engine.ledger.archive.bucket import Bucket
from engine.ledger.archive.chain import DIGITS, KEY, PREFIX, ArchiveError, ArchiveObject, Head
from engine.runtime.clock import Deadline

type Place = tuple[int, str]
"""The number of an object, and the beginning of its digest."""

type Link = tuple[str, Place]
"""An object's key, and the place of the one before it."""


def keys_back(bucket: Bucket, head: Head, deadline: Deadline) -> Iterator[tuple[str, str]]:
    """Yield the days and keys of the chain's objects, from a head back to the first one, or to a gap."""
    first = next(iter(bucket.keys(PREFIX, "", deadline)), None)
    found = KEY.fullmatch(first) if first else None
    if found is None or not head.number:
        return
    first_day, day = str(found[1]), head.day
    links, at = _links(bucket, day, deadline), (head.number, head.digest[:DIGITS])
    while at[0]:
        while at not in links:
            if day <= first_day:
                return
            day = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
            links = _links(bucket, day, deadline)
        key, at = links[at]
        yield day, key


def _links(bucket: Bucket, day: str, deadline: Deadline) -> dict[Place, Link]:
    found: dict[Place, Link] = {}
    for key in bucket.keys(f"{PREFIX}day={day}/", "", deadline):
        if parts := KEY.fullmatch(key):
            number = int(parts[2])
            found[number, parts[4]] = key, (number - 1, parts[3])
    return found


def objects_back(
    bucket: Bucket, head: Head, deadline: Deadline, wanted: Callable[[str], bool | None]
) -> Iterator[ArchiveObject]:
    """Yield objects of the chain from a head back. ``wanted`` says of a day whether it is read; None: nothing more is."""
    for day, key in keys_back(bucket, head, deadline):
        if deadline.left() <= 0:
            raise TimeIsUp("the time to search the archive was used up")
        is_wanted = wanted(day)
        if is_wanted is None:
            return
        if is_wanted and (found := read_object(bucket, key, deadline)) is not None:
            yield found


def read_object(bucket: Bucket, key: str, deadline: Deadline) -> ArchiveObject | None:
    """Return an object, None where it is gone or is not what its key says: who follows the chain tells of that."""
    body = bucket.get(key, deadline)
    try:
        return ArchiveObject.read(key, body) if body is not None else None
    except ArchiveError:
        return None


def is_in_chain(bucket: Bucket, head: Head, digest: str, deadline: Deadline) -> bool:
    """Say whether an object of the chain that ends at ``head`` has this digest: what a log has kept of an earlier head."""
    for _, key in keys_back(bucket, head, deadline):
        if (parts := KEY.fullmatch(key)) is not None and parts[4] == digest[:DIGITS]:
            found = read_object(bucket, key, deadline)
            return found is not None and found.head.digest == digest
    return False
