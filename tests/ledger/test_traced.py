"""A store in a trace: the same requests, each in a subsegment that says what it was about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from attrs import Factory, define

from engine.domain.decision import Guard
from engine.domain.entry import Entry, EntryType
from engine.domain.envelope import Source
from engine.domain.facts import NOTHING_KNOWN
from engine.domain.job_row import Mark
from engine.domain.money import Money
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Posting, ScanSlice, Store, Tables, Verdict
from engine.ledger.traced import TracedStore, traced
from engine.ledger.wanted import Wanted
from engine.runtime.tracing import UNTRACED, Span, Tracer
from tests.support.clock import ManualClock

ANSWERED_BY_THE_STORE = {"post", "post_all", "due_jobs"}


class NotedSpan(Span):
    """Notes what it is told, after its name."""

    def __init__(self, name: str) -> None:
        self.name, self.told, self.is_open = name, dict[str, Any](), False

    def __enter__(self) -> Self:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False

    def annotate(self, about: Iterable[Any] = (), /, **facts: Any) -> None:
        """Keep the jobs of the subjects, and all facts."""
        if jobs := [subject.job for subject in about]:
            self.told["jobs"] = jobs
        self.told |= {name: list(fact) if isinstance(fact, Iterator) else fact for name, fact in facts.items()}


class NotedTracer(Tracer):
    """Keeps its spans."""

    def __init__(self) -> None:
        self.spans: list[NotedSpan] = []

    def span(self, name: str) -> Span:
        """Return a span that is kept."""
        self.spans.append(NotedSpan(name))
        return self.spans[-1]


@define
class Client:
    """Takes every request, and gives back a page of the scan; it notes which span each was made in."""

    tracer: NotedTracer | None = None
    requests: list[dict[str, Any]] = Factory(list)
    spans: list[int] = Factory(list)

    def transact_write_items(self, **request: Any) -> dict[str, Any]:
        """Take a transaction."""
        return self._noted({"TransactItems": request["TransactItems"]}, {})

    def scan(self, **request: Any) -> dict[str, Any]:
        """Return a page of one row that is due and one that nobody mapped; three more were left out."""
        rows = [{"jobId": {"S": job}, "status": {"S": status}} for job, status in (("j-1", "completed"), ("j-2", "stuck"))]
        return self._noted(request, {"Items": rows, "ScannedCount": 5})

    def _noted(self, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        self.spans += [n for n, span in enumerate(self.tracer.spans) if span.is_open] if self.tracer else []
        return answer


def store_of(client: Client) -> Store:
    """Return the store on a client; its clock stands still."""
    return DynamoStore(client, Tables(), ManualClock().clock())  # type: ignore[arg-type]


def posting(number: int) -> Posting:
    """Return a debit of a job with its mark: three actions, of which the users' are shared."""
    entry = Entry(
        reference=f"job#j-{number}",
        job=f"j-{number}",
        sequence=1,
        user="u-1",
        type=EntryType.DEBIT,
        amount=Decimal("-0.8"),
        occurred_at=datetime(2026, 1, 5, 10, tzinfo=UTC),
        rule="debit-rendered",
        policy="example@1",
        facts=NOTHING_KNOWN,
        cost=Decimal("0.8"),
        money=Money(),
        source=Source.EVENT,
    )
    return entry, Guard.COVERED, Mark("completed", sequence=1)


def test_a_posting_is_a_subsegment_that_says_what_became_of_it() -> None:
    """It closes when the answer is there."""
    tracer = NotedTracer()
    client = Client(tracer)

    receipt = traced(store_of(client), tracer).post(*posting(1), ManualClock().clock().deadline(20))

    assert Verdict.POSTED is receipt.verdict
    (span,) = tracer.spans
    assert ("post", {"jobs": ["j-1"], "policy": "example@1", "verdict": "posted"}) == (span.name, span.told)
    assert ([0], False) == (client.spans, span.is_open)


def test_each_transaction_of_many_postings_is_a_subsegment() -> None:
    """Sixty entries with their marks and one user's row: 49 of them fill a transaction (99 actions), eleven are left."""
    tracer = NotedTracer()
    client, plain = Client(tracer), Client()
    postings = [posting(number) for number in range(60)]
    deadline = ManualClock().clock().deadline(20)

    receipts = list(traced(store_of(client), tracer).post_all(iter(postings), deadline))

    assert [Verdict.POSTED] * 60 == [receipt.verdict for receipt in receipts]
    assert [("post", 49), ("post", 11)] == [(span.name, len(span.told["jobs"])) for span in tracer.spans]
    assert ["example@1", ["posted"] * 11] == [tracer.spans[1].told[name] for name in ("policy", "verdict")]
    assert [0, 1] == client.spans
    assert 60 == len(list(store_of(plain).post_all(postings, deadline)))
    assert plain.requests == client.requests, "the trace changes nothing"


def test_a_page_of_the_scan_is_a_subsegment_that_says_how_much_was_read() -> None:
    """Five rows were read, two came, one is due."""
    tracer = NotedTracer()

    page = traced(store_of(Client(tracer)), tracer).due_jobs(
        ScanSlice(1, 2), Wanted({"completed"}, ignored=("queued",)), ManualClock().clock().deadline(20)
    )

    assert ([{"jobId": "j-1", "status": "completed"}], {"stuck": 1}) == (list(page.rows), page.unmapped)
    (span,) = tracer.spans
    assert ("scan page", {"segment": 1, "rows": 1, "rows_read": 5}) == (span.name, span.told)


def test_all_else_is_asked_of_the_store_itself() -> None:
    """Whatever the protocol has, and at no other price; a trace in a trace is one."""
    store = store_of(Client())
    told = traced(traced(store, UNTRACED), NotedTracer())

    assert isinstance(told, TracedStore)
    assert store is told.store
    names = {name for name in vars(Store) if not name.startswith("_")}
    assert ANSWERED_BY_THE_STORE < names
    for name in names - ANSWERED_BY_THE_STORE:
        assert getattr(store, name) == getattr(told, name), name
