"""What the tables say: for the judge, who knows nothing of the engine, and for comparing them with themselves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from attrs import define, field, frozen

from engine.audit.books import audit
from engine.audit.seals import verify
from engine.ledger.store import Tables
from engine.reconcile.wiring import store_on
from engine.runtime.clock import Clock
from tests.simulation.judge import Case, judge
from tests.soak.stories import Row, policies, story_of

Item = Mapping[str, Any]
JUDGED = (
    *("reference", "sequence", "userId", "rule", "type", "amount", "eventId"),
    *("occurredAt", "occurredAtFrom", "policy", "price", "quantity"),
)
AUDIT_SECONDS = 600
TOLD_MAX = 5


@define
class Books:
    """The tables, read by a client of their own."""

    client: Any
    tables: Tables
    seen: dict[str, bytes] = field(factory=dict)
    """The digest of each entry that was seen, by its key: none may change or go."""

    def items(self, table: str, *names: str) -> Iterator[Item]:
        """Yield all items of a table, or no more of them than some attributes."""
        some = {"ProjectionExpression": ", ".join(f"#{name}" for name in names)} if names else {}
        some |= {"ExpressionAttributeNames": {f"#{name}": name for name in names}} if names else {}
        for page in self.client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True, **some):
            yield from page["Items"]

    def digests(self) -> dict[str, bytes]:
        """Return a digest of each item of the three tables that count, by its table and key."""
        tables = (self.tables.jobs, self.tables.credits, self.tables.ledger)
        return {key_of(table, item): digest(item) for table in tables for item in self.items(table)}

    def look(self) -> list[str]:
        """Return what is wrong with what was seen before: entries that were changed or removed."""
        now = {key_of("", item): digest(without_words(item)) for item in self.items(self.tables.ledger)}
        wrong = [f"entry {key} was changed or removed" for key, one in self.seen.items() if now.get(key) != one]
        self.seen = now
        return wrong

    def sizes(self) -> tuple[int, float]:
        """Return how many entries there are, and how many megabytes all tables hold, as the service says."""
        told = [self.client.describe_table(TableName=table)["Table"] for table in self.all_tables()]
        entries = next(each["ItemCount"] for each in told if each["TableName"] == self.tables.ledger)
        return entries, sum(each["TableSizeBytes"] for each in told) / 2**20

    def all_tables(self) -> tuple[str, ...]:
        """Return the names of all tables."""
        tables = self.tables
        return tables.jobs, tables.credits, tables.ledger, tables.state, tables.seals

    def unexplained(self, explained: set[tuple[str, int]]) -> list[str]:
        """Return entries that should have an explanation, since the function that explains has said so, and have none."""
        asked = self.items(self.tables.ledger, "reference", "sequence", "explanation")
        have = {(item["reference"]["S"], int(item["sequence"]["N"])) for item in asked if "explanation" in item}
        return [f"{reference}/{sequence} was explained, and has no explanation" for reference, sequence in explained - have]

    def audited(self) -> list[str]:
        """Return what the product's own audit says, and whether all that was sealed is there."""
        clock = Clock()
        ledger = store_on(self.client, self.tables, clock)
        said = audit(ledger, clock.deadline(AUDIT_SECONDS))
        wrong = [] if said.is_clean else [f"the audit says {said.drifts[:TOLD_MAX]} {said.faults[:TOLD_MAX]}"]
        deviations = verify(ledger.audits(), clock.deadline(AUDIT_SECONDS)).deviations
        return wrong + [f"the seals say {deviation}" for deviation in deviations[:TOLD_MAX]]


@frozen
class Verdict:
    """What the judge says, and what was judged."""

    wrong: tuple[str, ...]
    facts: int
    entries: int
    net: Fraction


def judged(books: Books, seed: int, stories: int, granted: Mapping[str, Fraction], letters: Sequence[str]) -> Verdict:
    """Draw all stories again, and let the judge compare them with the tables."""
    told = [story_of(seed, number) for number in range(stories)]
    entries = [plain(item) for item in books.items(books.tables.ledger, *JUDGED)]
    rows = [plain(item) for item in books.items(books.tables.credits, "userId", "posted", "remaining")]
    facts = [fact for story in told for fact in story.facts]
    case = Case(
        tellings=facts,
        policies=policies(),
        entries=entries,
        credits={row["userId"]: row for row in rows},
        granted=granted,
        senseless=frozenset(event for story in told for event in story.senseless),
        letters=frozenset(letters),
    )
    return Verdict(
        tuple(judge(case)), len(facts), len(entries), sum((Fraction(each["amount"]) for each in entries), Fraction(0))
    )


def plain(item: Item) -> Row:
    """Return an item as the judge reads it: texts, and numbers as texts, but for the sequence."""
    row = {name: value_of(value) for name, value in item.items()}
    return {**row, "sequence": int(row["sequence"])} if "sequence" in row else row


def value_of(stored: Item) -> Any:
    """Return what an attribute says."""
    ((kind, value),) = stored.items()
    if kind == "M":
        return {name: value_of(member) for name, member in value.items()}
    return [value_of(element) for element in value] if kind == "L" else value


def without_words(item: Item) -> Item:
    """Return an entry without its explanation, which comes later."""
    return {name: value for name, value in item.items() if name != "explanation"}


def key_of(table: str, item: Item) -> str:
    """Return the table and key of an item of Jobs, Credits or the Ledger."""
    names = ("reference", "sequence") if "reference" in item else ("jobId",) if "jobId" in item else ("userId",)
    return "/".join((table, *(next(iter(item[name].values())) for name in names)))


def digest(item: Item) -> bytes:
    """Return a digest of an item."""
    return hashlib.blake2b(json.dumps(item, sort_keys=True).encode(), digest_size=12).digest()
