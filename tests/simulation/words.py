"""What people at a desk say beside the events, by the rules of the design alone; none of it the engine's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from attrs import frozen

ADJUST = "adjust"  # the rule that an entry names which a person at a desk has told


class Wrong(Exception):
    """The tables say what they must not."""


@frozen
class Word:
    """So many credits for a user, or of a job. ``reason`` is nobody else's: by it an entry tells which word it is."""

    id: str
    user: str
    amount: Fraction
    reason: str
    job: str = ""
    reverses: str = ""
    """The id of the word that is taken back, whatever that comes to."""


def standing(words: Iterable[Word]) -> Fraction:
    """What was given and not taken back."""
    said = list(words)
    reversed_ids = {word.reverses for word in said}
    return sum((word.amount for word in said if not word.reverses and word.id not in reversed_ids), Fraction(0))


def standing_of(word: Word, reference: str) -> tuple[Word, ...]:
    """What a word says of the log on which an entry of it stands: nothing where it only claims its id."""
    is_claim = reference == f"adjust#{word.id}" and bool(word.job or word.reverses)
    return () if is_claim else (word,)


def of_ids(said: Sequence[Word], entries: Iterable[Mapping[str, Any]], bounds: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with ids: each is one word's, which stands on its log and claims the id in the same breath."""
    stand: dict[str, dict[tuple[str, int], Word]] = {}
    approved: dict[str, bool] = {}
    logs = {entry["reference"] for entry in entries if entry["rule"] != ADJUST}
    for entry in entries:
        if entry["rule"] == ADJUST:
            word = word_of(said, entry)
            stand.setdefault(word.id, {})[entry["reference"], int(entry["sequence"])] = word
            approved[word.id] = entry["correction"].get("approvedBy", entry["correction"]["by"]) != entry["correction"]["by"]
    one = {name: next(iter(found.values())) for name, found in stand.items()}
    for name, found in stand.items():
        yield from of_bounds(name, abs(one.get(one[name].reverses, one[name]).amount), bounds, by_two=approved[name])
        log = log_of(one[name], one)
        if len({word.reason for word in found.values()}) > 1:
            yield f"adjust#{name}: the id is that of several words"
        if (
            sorted(reference for reference, _ in found) != sorted({log, f"adjust#{name}"})
            or (f"adjust#{name}", 1) not in found
        ):
            yield f"adjust#{name}: it stands at {sorted(found)}; once on {log} is right, and the id is claimed"
    for name in {word.id for word in said} - one.keys():
        if any(may_stand(word, one, logs, bounds) for word in said if word.id == name):
            yield f"adjust#{name}: it was said, and no entry knows of it"
    targets = [word.reverses for word in one.values() if word.reverses]
    yield from (f"adjust#{name}: it is taken back, and took back" for name in targets if name not in one or one[name].reverses)
    yield from (f"adjust#{name}: it is taken back twice" for name in set(targets) if targets.count(name) > 1)


def word_of(said: Iterable[Word], entry: Mapping[str, Any]) -> Word:
    """The word that an entry tells."""
    correction = entry["correction"]
    for word in said:
        if (word.id, word.reason) == (correction["id"], correction["reason"]):
            return word
    raise Wrong(f"{entry['reference']}: nobody said {correction['id']} ({correction['reason']})")


def log_of(word: Word, one: Mapping[str, Word]) -> str:
    """Where a word stands: on its job's log, or its own; what takes another back stands where that does."""
    target = one.get(word.reverses, word)
    return f"job#{target.job}" if target.job else f"adjust#{target.id}"


def may_stand(word: Word, one: Mapping[str, Word], logs: Collection[str], bounds: Mapping[str, str]) -> bool:
    """A word of a job needs a log. One that takes another back needs that, which must not take back, nor be taken back."""
    if abs(word.amount) > Fraction(bounds["maximum"]) or (word.job and f"job#{word.job}" not in logs):
        return False
    target = one.get(word.reverses)
    is_free = all(other.reverses != word.reverses for other in one.values())
    return not word.reverses or (target is not None and not target.reverses and is_free)


def of_bounds(name: str, amount: Fraction, bounds: Mapping[str, str], *, by_two: bool) -> Iterator[str]:
    """What is larger than the second bound two people have said, and nobody says more than the first."""
    if amount > Fraction(bounds["maximum"]):
        yield f"adjust#{name}: nobody may say so much"
    if amount > Fraction(bounds["second_person_above"]) and not by_two:
        yield f"adjust#{name}: nobody else has approved it"
