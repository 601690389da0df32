"""What a flagged entry may cost: tokens of the model, requests, bytes on the bus. Producers flag as many as they like."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve, frozen

from engine.anomalies.bus import Bus
from engine.anomalies.explain.answer import Judgement
from engine.anomalies.explain.brief import INSTRUCTIONS, Names, Recent, brief
from engine.anomalies.explain.budget import taken
from engine.anomalies.explain.model import ANSWER_TOKENS_MAX, ATTEMPTS_MAX
from engine.anomalies.explain.run import TOGETHER_MAX, Explainer
from engine.domain.anomaly import Anomaly, Sample
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.fact import Charge
from engine.domain.facts import Facts
from engine.domain.money import Money
from engine.domain.price import Component, Price
from engine.ledger.dynamodb.postings import item_of
from engine.rating.baselines import Baseline, Baselines
from tests.support.policies import example
from tests.wallet.meter import Meter

WIDEST = "\U0001f600" * 1024
"""Each of its characters is twelve in the question: a text of as many as an entry keeps."""

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
LONGEST = Decimal("1" * 38)
PRICE = Price(rate=LONGEST, unit=WIDEST, book="b" * 60, minimum=LONGEST, maximum=LONGEST)


def worst(number: int) -> Entry:
    """Return an entry of which each text is as wide, and each list as long, as anybody can make it."""
    figures = tuple((f"{n}{WIDEST}", WIDEST) for n in range(20))
    content = tuple((f"{n}{WIDEST}", WIDEST) for n in range(20))
    return Entry(
        reference=f"job#{number}{WIDEST[:500]}",
        job=f"{number}{WIDEST[:500]}",
        sequence=1,
        user=f"{number}{WIDEST[:500]}",
        type=EntryType.DEBIT,
        amount=-LONGEST,
        occurred_at=AT,
        rule="r" * 60,
        policy="p",
        facts=Facts(charges=(Charge(LONGEST, AT, content),)),
        cost=LONGEST,
        money=Money(),
        source=Source.EVENT,
        price=evolve(PRICE, components=(Component(PRICE, LONGEST, LONGEST, "c" * 60),) * 20),
        quantity=LONGEST,
        anomalies=tuple(Anomaly(f"a-{n}", "r" * 200, figures) for n in range(30)),
        samples=tuple(Sample("charge.amount", f"{n}{WIDEST}", LONGEST) for n in range(30)),
        event_id=f"{number}{WIDEST[:500]}",
    )


QUESTION_BYTES_MAX = 100_000
"""As many tokens at the most, and a third of them for what people write."""


def asked(entries: Iterable[Entry], *, pseudonyms: bool = True) -> str:
    """Return the question about some entries."""
    labels = {f"e{n}": entry for n, entry in enumerate(entries, start=1)}
    usual = {each.group: Baseline(LONGEST, LONGEST, 9, LONGEST) for entry in labels.values() for each in entry.samples}
    recent = {entry.user: Recent(20, 20, (LONGEST,) * 20) for entry in labels.values()}
    return INSTRUCTIONS + brief(labels, Baselines({"charge.amount": usual}, AT), recent, Names(is_on=pseudonyms))


@pytest.mark.parametrize("pseudonyms", [True, False], ids=["other names", "true names"])
def test_a_question_has_a_bound_whatever_the_entries_say(pseudonyms: bool) -> None:  # noqa: FBT001  both ways
    """Seven megabytes it was for ten entries of the widest texts."""
    assert len(asked(map(worst, range(TOGETHER_MAX)), pseudonyms=pseudonyms).encode()) <= QUESTION_BYTES_MAX


def test_of_an_ordinary_entry_nothing_is_left_out() -> None:
    """A model's name of sixty characters, a price of twenty components, and all that can be flagged."""
    entry = worst(1)
    price = Price(rate=Decimal("0.10"), unit="veo-3.1-fast-generate-001/1080p", book="render-second")
    ordinary = evolve(
        entry,
        price=evolve(price, components=(Component(price, Decimal(8), Decimal("0.8"), "seconds"),) * 20),
        facts=Facts(charges=(Charge(Decimal("0.8"), AT, (("detail.model", "veo-3.1-fast-generate-001"),)),)),
        anomalies=tuple(Anomaly(f"a-{n}", "a reason of some words", (("amount", "0.8"),)) for n in range(8)),
        samples=(),
    )

    question = asked([ordinary])

    assert "left_out" not in question
    assert 20 == question.count('"comes_to"')


def test_the_model_is_asked_a_bounded_number_of_times_an_hour_whatever_is_flagged() -> None:
    """So an hour costs sixty questions and their answers, each of a bounded size: each try counts, and each container."""
    policy, counts, asked_for = example(), dict[int, int](), 0
    for second in range(3600):
        now = AT.replace(minute=second // 60, second=second % 60)
        for _try in range(ATTEMPTS_MAX):
            after = taken(counts, now, policy.explain.max_per_hour)
            asked_for += after is not None
            counts = after or counts

    assert 60 == asked_for == policy.explain.max_per_hour
    assert 4096 == ANSWER_TOKENS_MAX


# --- the stream ---


@frozen
class Talker:
    """A model that answers each question, and counts them."""

    questions: list[str]
    calls: int = 0
    model: str = "gpt-4.1"

    def ask(self, data: str, labels: Iterable[str], _deadline: Any) -> Mapping[str, Judgement]:
        """Return the same for each entry."""
        self.questions.append(data)
        return {label: Judgement("It is large.", "unusual-usage", "low", "Look at it.") for label in labels}

    def close(self) -> None:
        """There is nothing to close."""


def records(*entries: Entry) -> list[dict[str, Any]]:
    """Return the stream's records of new entries."""
    images = [item_of(entry, AT) for entry in entries]
    return [
        {"eventName": "INSERT", "dynamodb": {"NewImage": image, "SequenceNumber": str(n)}} for n, image in enumerate(images)
    ]


def flagged(number: int, group: str = "veo-3") -> Entry:
    """Return a flagged entry of a size that DynamoDB takes."""
    entry = worst(number)
    return evolve(
        entry,
        facts=Facts(charges=(Charge(Decimal(60), AT, (("detail.model", group),)),)),
        price=None,
        reference=f"job#j-{number}",
        job=f"j-{number}",
        user="u-1",
        anomalies=(Anomaly("costs-over-50", None, (("amount", "60"),)),),
        samples=(Sample("charge.amount", group, Decimal(60)),),
    )


def explained(*entries: Entry) -> tuple[Meter, Talker, list[int]]:
    """Return what was asked and told of some flagged entries, and how many requests it took."""
    meter, talker, told = Meter(example()), Talker([]), list[int]()

    def put_events(**request: Any) -> dict[str, Any]:
        told.append(len(json.dumps(request).encode()))
        return {"FailedEntryCount": 0}

    for image in (item_of(entry, AT) for entry in entries):
        meter.world.client.put_item(TableName=meter.tables.ledger, Item=image)
    reconciler = meter.reconciler
    explainer = Explainer(
        example(), reconciler.ledger, talker, reconciler.telemetry, reconciler.clock, Bus(put_events, "default")
    )
    assert [] == explainer.batch(records(*entries), reconciler.clock.deadline(60))
    return meter, talker, told


@pytest.mark.parametrize("entries", [1, 10, 100])
def test_a_flagged_entry_costs_a_few_requests_and_those_alike_one_question(entries: int) -> None:
    """A look whether it is open, one at what it is like, the explanation; and for each question the user's last entries."""
    meter, talker, told = explained(*map(flagged, range(entries)))

    assert 1 == len(talker.questions)
    assert sum(meter.client.requests.values()) <= 3 * entries + 4
    assert len(told) == -(-entries // TOGETHER_MAX)
    assert max(told) <= 1024 * 1024


def test_a_producer_that_makes_each_entry_another_gets_one_question_for_ten() -> None:
    """A name of a model for each: none is like another, and still they are asked about together."""
    _meter, talker, _told = explained(*(flagged(n, f"model-{n}{WIDEST[:900]}") for n in range(30)))

    assert 3 == len(talker.questions)
    assert max(len(question.encode()) for question in talker.questions) <= QUESTION_BYTES_MAX


def test_what_is_no_entry_asks_nobody_and_writes_one_short_line() -> None:
    """Whoever may write the Ledger could write four hundred kilobytes into it."""
    meter, talker, told = Meter(example()), Talker([]), list[int]()
    explainer = Explainer(
        example(), meter.reconciler.ledger, talker, meter.reconciler.telemetry, meter.reconciler.clock, Bus(dict, "default")
    )
    image = {"reference": {"S": "job#j"}, "anomalies": {"L": [{"S": "x" * 400_000}]}}

    assert [] == explainer.batch([{"eventName": "INSERT", "dynamodb": {"NewImage": image}}], meter.time.clock().deadline(60))
    assert ([], []) == (talker.questions, told)
    assert {} == dict(meter.client.requests)
    assert [True] == [len(line) < 500 for line in meter.lines]
