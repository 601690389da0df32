"""Every amount can be worked out again from the ledger alone, however often the policy has changed since."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from attrs import evolve

from engine.audit.recount import recount
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.facts import all_claims
from engine.domain.price import Price
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.stored import entry_of
from engine.policy import Policy, parse_policy
from engine.preview.reasons import reasons_for
from engine.rating.baselines import Baselines
from tests.support.books import Books
from tests.support.events import event, failed, rendered
from tests.support.examples import part
from tests.support.people import People
from tests.support.policies import example

ENTRIES_LEAST = [5_000, pytest.param(100_000, marks=[pytest.mark.proof, pytest.mark.slow(80)])]
"""So many entries at least; of ten times as many there are ten times as many jobs."""

POLICY = """\
version: 1
name: video
event: {{job: detail.jobId, user: detail.userId, time: time, reference: detail.purchaseId}}
money: {{places: {places}, rounding: {rounding}}}
prices:
  second:
    - effective: 2025-01-01T00:00:00Z
      by: detail.model
      rates: {{default: "{a}", pro: [{{up_to: 10, rate: "{b}"}}, {{rate: "{c}"}}]}}
    - effective: 2026-01-05T11:00:00Z
      by: [detail.model, "detail.resolution || 'hd'"]
      tiers: volume
      rates:
        default: "{b}"
        pro: {{default: [{{up_to: 5, rate: "{c}"}}, {{up_to: 20, rate: "{a}"}}, {{rate: "{b}"}}], 4k: "{c}"}}
    - {{effective: 2026-01-05T12:00:00Z, until: 2026-01-05T13:00:00Z, changes: {{default: "{a}", pro: {{4k: "{b}"}}}}}}
    - {{effective: 2026-01-05T14:00:00Z, changes: {{pro: {{4k: null, sd: [{{up_to: 9, rate: "{a}"}}, {{rate: "{c}"}}]}}}}}}
  kilopixel:
    - effective: 2026-01-05T00:00:00Z
      by: [detail.model, "detail.resolution || 'hd'", "to_string(detail.audio)", detail.region]
      rates: {{default: "{c}", pro: {{default: "{b}", 4k: {{default: "{a}", "true": {{default: "{b}", eu: "{c}"}}}}}}}}
    - {{effective: 2026-01-05T09:00:00Z, until: 2026-01-05T10:30:00Z, changes: {{default: "0.001", pro: {{4k: "0.0007"}}}}}}
    - {{effective: 2026-01-05T12:00:00Z, changes: {{pro: {{4k: {{"true": {{eu: null, us: "{a}"}}}}}}}}}}
rules:
  - name: composed
    match: {{detail-type: [video.composed]}}
    action: debit
    charge:
      priced_at: from_seconds(detail.submitted)
      components:
        - {{name: frames, price: kilopixel,
           quantity: "round_up(divide(multiply(detail.width, detail.height), `1000`), `7`)"}}
        - {{price: second, quantity: "subtract(detail.seconds, `0.0005`)"}}
        - {{name: setup, amount: "0.00033"}}
      minimum: "{minimum}"
      maximum: "{maximum}"
  - {{name: stored, match: {{detail-type: [video.stored]}}, action: debit,
     charge: {{price: kilopixel, quantity: "add(row.kilopixels, detail.extra)", minimum: "{minimum}"}}}}
  - {{name: debit, match: {{detail-type: [video.rendered]}}, action: debit,
     charge: {{price: second, quantity: detail.seconds, minimum: "{minimum}", maximum: "{maximum}",
              priced_at: "detail.submittedAt || time"}}}}
  - {{name: flat, match: {{detail-type: [video.copied]}}, action: debit, repeats: ignore, charge: {{amount: "{minimum}"}}}}
  - {{name: hold, match: {{detail-type: [video.submitted]}}, action: hold,
     hold: {{price: second, quantity: detail.seconds, minimum: "{minimum}", expires: 2h}}}}
  - {{name: slow, match: {{detail: {{error: [slow]}}}}, action: refund, refund: {{percent: "{percent}"}}}}
  - {{name: refund, match: {{detail-type: [video.failed]}}, action: refund, refund: {{percent: 100, within: {hours}h}}}}
  - {{name: credit, match: {{detail-type: [video.credited]}}, action: refund, refund: {{{credit}}}}}
  - {{name: revoke, match: {{detail-type: [credits.refunded]}}, action: revoke, revoke: {{{credit}}}}}
  - {{name: dispute, match: {{detail-type: [credits.disputed]}}, action: revoke,
     revoke: {{amount: detail.credit, series: banks}}}}
  - {{name: grant, match: {{detail-type: [credits.purchased]}}, action: grant, grant: {{quantity: detail.credits}}}}
  - {{name: flag-tests, match: {{detail: {{jobId: [{{prefix: test-}}]}}}}, action: flag, reason: a test}}
overdraft: {overdraft}
unknown_user: flag
anomalies:
  - {{name: unusual, outlier: {{value: charge.amount, group: detail.model, mads: 6, samples: 30}}}}
"""

EDITS: list[dict[str, Any]] = [
    {"places": 4, "rounding": "half-even", "a": "0.1", "b": "0.25", "c": "0.0333", "minimum": "0.01", "maximum": "3",
     "percent": "33.33", "hours": 2, "credit": "amount: detail.credit", "overdraft": "flag"},
    {"places": 2, "rounding": "up", "a": "0.12", "b": "0.2", "c": "0.05", "minimum": "0.02", "maximum": "2.5",
     "percent": "50", "hours": 1, "credit": "percent: detail.share", "overdraft": "refuse"},
    {"places": 6, "rounding": "down", "a": "0.077777", "b": "0.3", "c": "0.000123", "minimum": "0", "maximum": "100",
     "percent": "99.99", "hours": 3, "credit": "percent: detail.credit", "overdraft": "allow"},
    {"places": 0, "rounding": "half-up", "a": "1", "b": "0.5", "c": "7", "minimum": "1", "maximum": "50",
     "percent": "10", "hours": 5, "credit": "amount: 7", "overdraft": "flag"},
]  # fmt: skip
"""A policy and three changes of all its figures."""

KINDS = {
    "submitted": 3, "rendered": 8, "failed": 4, "copied": 1, "composed": 4, "stored": 2,
    "purchased": 2, "credited": 2, "refunded": 1, "disputed": 1,
}  # fmt: skip
"""What events tell, and how often."""


def random_event(chance: random.Random, number: int, jobs: int) -> dict[str, Any]:
    """Return any event of one of so many jobs, of users and purchases."""
    kind = chance.choices(*zip(*KINDS.items(), strict=True))[0]
    at = f"2026-01-05T{chance.randint(8, 14):02}:{chance.choice((0, 30)):02}:00Z"
    job = f"{'test-' if chance.random() < 0.02 else 'j-'}{number % jobs if chance.random() < 0.7 else chance.randint(0, jobs)}"
    detail: dict[str, Any] = {"jobId": job, "userId": f"u-{hash_of(job) % 50}"}
    if chance.random() < 1 / 3:
        detail["submittedAt"] = f"2026-01-05T{chance.randint(8, 14):02}:15:00Z"
    if kind == "purchased":
        credits_bought = f"{chance.randint(0, 5) * 97}.{hash_of(job):05}"  # of one reference no more than are kept
        return event("credits.purchased", {**detail, "purchaseId": f"p-{job}", "credits": credits_bought}, at)
    if kind in {"credited", "refunded", "disputed"}:
        figures = {
            "credit": f"{chance.randint(0, 4)}.{chance.randint(0, 99):02}",
            "share": chance.choice([0, 12.5, "33.3", 100]),
        }
        kind = f"video.{kind}" if kind == "credited" else f"credits.{kind}"
        return event(kind, {**detail, "purchaseId": f"p-{job}", **figures}, at)
    if kind == "failed":
        return event("video.failed", {**detail, "error": chance.choice(["slow", "gpu"])}, at)
    seconds = f"{chance.randint(0, 40)}.{chance.randint(0, 999):03}"
    model, resolution = chance.choice(["veo", "pro", "pro"]), chance.choice([{}, {"resolution": "4k"}, {"resolution": "sd"}])
    detail |= {"seconds": seconds, "model": model, **resolution}
    if kind in {"composed", "stored"}:
        detail |= random_composition(chance)
    return {**event(f"video.{kind}", detail, at), "id": f"e-{number}"}


def random_composition(chance: random.Random) -> dict[str, Any]:
    """Return what makes the price of a video that is charged for several things, at the instant of its submission."""
    submitted = datetime(2026, 1, 5, chance.randint(8, 14), chance.choice((0, 29, 30)), tzinfo=UTC)
    return {
        "width": chance.choice([640, "1280", 1921]),
        "height": chance.randint(1, 2000),
        "extra": chance.choice([0, "0.125"]),
        "audio": chance.random() < 0.5,
        "region": chance.choice(["eu", "us", "asia"]),
        "submitted": int(submitted.timestamp()),
    }


def hash_of(job: str) -> int:
    """Return a number that belongs to a job: its owner."""
    return int(job.rsplit("-", 1)[1])


Ledger = dict[str, list[Entry]]


@pytest.fixture(scope="module", params=ENTRIES_LEAST, ids=str)
def entries_least(request: pytest.FixtureRequest) -> int:
    """Return how many entries there are at least."""
    least: int = request.param
    return least


@pytest.fixture(scope="module")
def ledger(entries_least: int) -> Ledger:
    """Return at least so many entries by reference, posted under four policies, as they come back from the table."""
    jobs = entries_least * 9 // 100
    chance = random.Random(20260105)  # noqa: S311  nothing secret: the same entries in every run
    policies: list[Policy] = [parse_policy(POLICY.format(**edit), "policy.yaml") for edit in EDITS]
    balances = {f"u-{number}": Decimal(200) for number in range(50)}
    books = Books(policies[0], balances, Baselines({}))
    people = People(books, random.Random(20260107))  # noqa: S311  as above
    number = 0
    while (number % 100 or posted(books) < entries_least) and number < 10 * entries_least:
        if number % 20 == 0:
            books.policy = policies[min(3, number // (5 * jobs))]
        told = random_event(chance, number, jobs)
        job = told["detail"]["jobId"]  # whose row says something else each time
        books.store.jobs[job] = {"jobId": job, "userId": told["detail"]["userId"], "kilopixels": chance.randint(1, 3000)}
        books.deliver(told, source=Source.EVENT)
        if number % 12 == 0:
            people.speak_of(job, told["detail"]["userId"])
        number += 1
    return {reference: [stored(entry) for entry in entries] for reference, entries in books.entries.items()}


def posted(books: Books) -> int:
    """Return how many entries there are."""
    return sum(map(len, books.store.kept.values()))


def stored(entry: Entry) -> Entry:
    """Return an entry as it comes back from the table."""
    return entry_of(decode_item(item_of(entry, datetime(2026, 1, 6, tzinfo=UTC))))


def test_every_entry_recounts_to_the_last_digit(ledger: Ledger, entries_least: int) -> None:
    """Of all types, under a policy that has changed three times, without any of the four policies at hand."""
    recounts = [count for entries in ledger.values() for count in recount(entries)]

    assert entries_least <= len(recounts)
    assert 4 == len({count.entry.policy for count in recounts})
    assert set(EntryType) == {count.entry.type for count in recounts}
    assert [] == [(count.entry, count.problems) for count in recounts if count.failed][:3]
    assert all(count.amount == count.entry.amount for count in recounts)


def test_what_an_entry_keeps_gives_the_amount_by_another_arithmetic(
    ledger: dict[str, list[Entry]], entries_least: int
) -> None:
    """In fractions, written down here from the documentation alone, for every entry that brought in a charge or a grant."""
    checked = of_components = 0
    for entries in ledger.values():
        for entry, claim in told(entries):
            assert claim.amount in by_hand(entry, claim)
            checked += 1
            of_components += bool(entry.price and entry.price.components)

    assert checked > entries_least / 3
    assert of_components > entries_least / 20


@pytest.mark.parametrize("events", [600, pytest.param(part(10_000), marks=pytest.mark.proof)])
def test_explain_tells_beforehand_what_the_entry_is_counted_by_afterwards(events: int) -> None:
    """The arithmetic of an event that has not been posted, and of its entry as it comes back from the table."""
    chance = random.Random(20260106)  # noqa: S311  as above
    policies, checked = [parse_policy(POLICY.format(**edit), "policy.yaml") for edit in EDITS], 0
    for number in range(events):
        policy = policies[number % 4]
        told = random_event(chance, number, events)
        row = {"jobId": told["detail"]["jobId"], "kilopixels": chance.randint(1, 3000)}
        reasons = reasons_for(told, policy, rows={row["jobId"]: row})
        if reasons.entry is None or reasons.entry.price is None:
            continue
        (count,) = recount([stored(reasons.entry)])
        arithmetic = calculations(count.steps)
        assert (count.failed, count.amount) == (False, reasons.entry.amount)
        assert arithmetic == [step for step in calculations(reasons.steps) if step in arithmetic]
        checked += 1

    assert checked > events / 2


def calculations(steps: tuple[str, ...]) -> list[str]:
    """Return the steps that calculate, each number without the zeros that a table does not keep (26.640)."""
    return [
        re.sub(r"\.0+\b|(\.\d*?)0+\b", r"\1", step)
        for step in steps
        if " x " in step or step.startswith(("together", "rounded"))
    ]


def told(entries: list[Entry]) -> Iterator[tuple[Entry, Any]]:
    """Yield each entry that brought in a charge or a grant, with it."""
    known: set[Any] = set()
    for entry in entries:
        for claim in all_claims(entry.facts):
            is_repeated = getattr(claim, "once", "")  # then the amount may be an earlier policy's
            told_as = (claim.amount, claim.content, claim.policy) if is_repeated else claim
            if told_as not in known and entry.price is not None:
                yield entry, claim
            known.add(told_as)


def by_hand(entry: Entry, claim: Any) -> set[Fraction]:
    """Return what the quantity comes to by which an entry brought in a claim; a person may price several charges at once."""
    anew = entry.correction.priced if entry.correction is not None and claim.revision else [entry]
    return {at_its_price(each.price, each.quantity, entry) for each in anew if each.price is not None}


def at_its_price(price: Price, quantity: Decimal | None, entry: Entry) -> Fraction:
    """Return what a quantity, or those of the components together, come to at a price."""
    parts = [(each.price, each.quantity) for each in price.components] or [(price, quantity)]
    amount = max(sum(unrounded(part, Fraction(of_it or 0)) for part, of_it in parts), Fraction(price.minimum or 0))
    return rounded(min(amount, Fraction(price.maximum)) if price.maximum is not None else amount, entry)


def unrounded(price: Price, quantity: Fraction) -> Fraction:
    """Return what a quantity comes to at one price, without bounds."""
    if price.amount is not None:
        return Fraction(price.amount)
    if not price.tiers or price.tier_model == "volume":
        return quantity * Fraction(price.rate if price.rate is not None else 1)
    amount, below = Fraction(0), Fraction(0)
    for tier in price.tiers:
        above = Fraction(tier.up_to) if tier.up_to is not None else quantity
        amount += max(Fraction(0), min(quantity, above) - below) * Fraction(tier.rate)
        below = above
    return amount


def rounded(amount: Fraction, entry: Entry) -> Fraction:
    """Return an amount >= 0 rounded as the entry's money says."""
    scaled = amount * 10**entry.money.places
    whole, rest = divmod(scaled, 1)
    half = Fraction(1, 2)
    up = {
        "up": rest > 0,
        "down": False,
        "half-up": rest >= half,
        "half-even": rest > half or (rest == half and whole % 2 == 1),
    }[entry.money.rounding]
    return Fraction(whole + up, 10**entry.money.places)


# --- what does not agree ----------------------------------------------------------------------------------------------


def course() -> list[Entry]:
    """Return a debit and its refund."""
    ledger = Books(example(("percent: 100", "percent: 50")), {"u-1": Decimal(100)})
    ledger.deliver(rendered(seconds="8.123"), failed())
    return [stored(entry) for entry in ledger.entries_of("j-1")]


def spoilt(index: int, **changes: Any) -> list[list[str]]:
    """Return the problems of each entry when one has been changed."""
    entries = course()
    entries[index] = evolve(entries[index], **changes)
    return [list(count.problems) for count in recount(entries)]


def test_a_course_agrees() -> None:
    """0.8123 charged, half of it back: 0.40615 is 0.4062 to the even."""
    assert [[], []] == [list(count.problems) for count in recount(course())]
    assert ["-0.8123", "0.4061"] == [format(count.amount, "f") for count in recount(course())]


@pytest.mark.parametrize(
    ("index", "changes", "problems"),
    [
        (0, {"amount": Decimal("-0.8124")},
         [["its amount is -0.8124; -0.8123 follows"], ["its amount is 0.4061; 0.4062 follows"]]),
        (0, {"quantity": Decimal("8.124")}, [["its charge is 0.8123; 0.8124 follows"], []]),
        (1, {"amount": Decimal("0.5")}, [[], ["its amount is 0.5; 0.4061 follows"]]),
        (1, {"cost": Decimal("0.4")}, [[], ["its cost is 0.4; 0.4062 follows"]]),
        (1, {"sequence": 3}, [[], ["its sequence is 3; 2 follows"]]),
        (1, {"user": "u-2"}, [[], ["its user is u-2; the first entry names u-1"]]),
        (1, {"type": EntryType.VOID}, [[], ["its amount is 0.4061; 0 follows", "0.4061 should have gone back with it"]]),
        (0, {"type": EntryType.VOID, "amount": Decimal(0)},
         [["0.8123 should have been charged with it"], ["its amount is 0.4061; -0.4062 follows"]]),
        (0, {"price": None}, [["it knows a charge of 0.8123 that nothing tells of"], []]),
    ],
)  # fmt: skip
def test_an_entry_that_was_changed_does_not_agree(index: int, changes: dict[str, Any], problems: list[list[str]]) -> None:
    """The figure that is there, and the one that follows from the rest."""
    assert problems == spoilt(index, **changes)


def test_a_fact_that_was_taken_out_is_missed() -> None:
    """The refund's entry no longer knows the charge."""
    entries = course()
    without = evolve(entries[1], facts=evolve(entries[1].facts, charges=()))

    assert "the charge that was known is gone" in recount([entries[0], without])[1].problems
