"""Whatever was charged wrong, and whatever is told afterwards: in the end each job costs what it would have cost all along.

Two worlds hear the same events, in the same order. One has had the right price from the beginning. The other has had a wrong
one until somebody mended it, and then repriced: in the middle, in the end, or both.
"""

from __future__ import annotations

import functools
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError
from engine.policy import Policy, parse_policy
from tests.support.books import Books
from tests.support.events import event
from tests.support.examples import part
from tests.support.repricing import repriced

POLICY = """\
version: 1
name: video
event: {{job: detail.jobId, user: detail.userId, time: time}}
prices:
  second:
    - {{effective: 2025-01-01T00:00:00Z, by: detail.model, rates: {{default: "{rate}", premium: "{premium}"}}}}
    - {{effective: 2026-01-05T11:30:00Z, by: detail.model, rates: {{default: "{later}", premium: "{premium}"}}}}
  tiered:
    - effective: 2025-01-01T00:00:00Z
      rates: {{default: [{{up_to: {up_to}, rate: "{rate}"}}, {{rate: "{later}"}}]}}
rules:
  - {{name: rendered, match: {{detail-type: [rendered]}}, action: debit, charge: {{{terms}}}}}
  - {{name: called, match: {{detail-type: [called]}}, action: debit, repeats: ignore, charge: {{{terms}}}}}
  - {{name: copied, match: {{detail-type: [copied]}}, action: debit, charge: {{amount: "{flat}"}}}}
  - {{name: whole, match: {{detail-type: [failed]}}, action: refund, refund: {{percent: 100}}}}
  - {{name: half, match: {{detail-type: [half]}}, action: refund, refund: {{percent: 50, within: 90m}}}}
  - {{name: part, match: {{detail-type: [part]}}, action: refund, refund: {{amount: "0.3"}}}}
overdraft: allow
"""

TERMS = [
    "price: second, quantity: detail.seconds",
    "price: second, quantity: detail.seconds, minimum: '{minimum}', maximum: '{maximum}'",
    "price: tiered, quantity: detail.seconds",
    "price: second, quantity: detail.seconds, priced_at: detail.submitted",
    "components: [{{price: second, quantity: detail.seconds}}, {{amount: '{flat}'}}], minimum: '{minimum}'",
    "price: second, quantity: 'round_up(detail.seconds, `{step}`)'",
]


@frozen
class Prices:
    """What a policy has in its places."""

    rate: str
    premium: str
    later: str
    up_to: int
    flat: str
    minimum: str
    maximum: str
    step: int

    @functools.cache  # noqa: B019  there are thirty
    def policy(self, terms: str) -> Policy:
        """Return the policy with terms of this form."""
        places = {name: str(getattr(self, name)) for name in Prices.__annotations__}
        return parse_policy(POLICY.format(**places, terms=terms.format(**places)), "video.yaml")


RIGHT = Prices("0.1", "0.25", "0.12", 20, "0.5", "0.4", "6", 5)
WRONG = [
    Prices("1", "2.5", "1.2", 20, "5", "4", "60", 5),  # ten times too much
    Prices("0.01", "0.025", "0.012", 20, "0.05", "0.04", "0.6", 5),  # a tenth
    Prices("0.1", "0.25", "0.12", 5, "0.5", "0", "100", 5),  # bounds and tiers alone
    Prices("0.12", "0.1", "0.1", 60, "0.4", "2", "2", 5),  # some more, some less
]


# --- what happens -----------------------------------------------------------------------------------------------------

SECONDS = {"called": [13, "18", 41.5]}
"""After an edit of the policy an event is known by what it says, whatever its kind: each has its own, also rounded up."""

KINDS = ["rendered", "rendered", "called", "copied", "failed", "half", "part"]
TIMES = ["10:00", "10:00", "11:00", "12:00"]


@st.composite
def tellings(draw: st.DrawFn) -> Envelope:
    """Draw an event, or a row of Jobs without a time of its own, as a scan tells it."""
    kind = draw(st.sampled_from(KINDS))
    detail = {"jobId": draw(st.sampled_from(["j-1", "j-2"])), "userId": "u-1", "submitted": "2026-01-05T09:00:00Z"}
    detail["seconds"] = draw(st.sampled_from(SECONDS.get(kind, [3, "8", 30.5])))  # type: ignore[assignment]
    detail["model"] = draw(st.sampled_from(["premium", "veo-3"]))
    document = event(kind, detail, "10:30" if kind == "copied" else draw(st.sampled_from(TIMES)))
    is_weak = kind in {"rendered", "failed"} and draw(st.integers(0, 4)) == 0
    if is_weak:
        return Envelope({**document, "time": "2026-01-05T13:00:00Z"}, Source.SCAN, status=kind, time_is_assumed=True)
    return Envelope(document, Source.EVENT)


@frozen
class History:
    """Tellings, how many of them came before the wrong price was mended, and behind how many somebody repriced too early.

    That may be before the price was mended: what is told then is charged wrong once more, late events among it.
    """

    told: list[Envelope]
    mended_after: int
    repriced_after: int


HISTORIES = st.builds(History, st.lists(tellings(), min_size=1, max_size=9), st.integers(0, 9), st.integers(0, 9))


def told_to(books: Books, told: list[Envelope]) -> None:
    """Tell them. One that says too much of one instant is refused alike in both worlds."""
    for envelope in told:
        try:
            books.reconcile(envelope)
        except EventError as error:
            raise AssertionError(error) from error


def the_wrong_world(history: History, wrong: Policy, right: Policy, folder: Path) -> Books:
    """Return the books of the world in which the price was wrong for a while, and somebody put that right."""
    books = Books(wrong, {"u-1": Decimal(1000)})
    for number, envelope in enumerate(history.told):
        if number == history.mended_after:
            books.policy = right
        if number == history.repriced_after:
            repriced(books.store, right, folder / "too-early")
        told_to(books, [envelope])
    repriced(books.store, right, folder / "in-the-end")
    return books


EXAMPLES = [50, pytest.param(part(2_000), marks=[pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("examples", EXAMPLES)
def test_each_user_ends_where_the_right_price_would_have_left_them(examples: int) -> None:
    """For all that is told before and after, early or late, once or twice, under the old policy or the new one."""

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(HISTORIES, st.sampled_from(WRONG), st.sampled_from(TERMS))
    def holds(history: History, prices: Prices, terms: str) -> None:
        wrong, right = prices.policy(terms), RIGHT.policy(terms)
        always_right = Books(right, {"u-1": Decimal(1000)})
        told_to(always_right, history.told)
        with tempfile.TemporaryDirectory() as folder:
            mended = the_wrong_world(history, wrong, right, Path(folder))
            again = repriced(mended.store, right, Path(folder) / "again")

        assert _nets(always_right) == _nets(mended)
        assert dict(always_right.balances) == dict(mended.balances)
        assert 0 == again.jobs
        assert [] == [problem for log in mended.entries.values() for each in recount(log) for problem in each.problems]

    holds()


def _nets(books: Books) -> dict[str, Any]:
    return {job: books.net(job) for job in ("j-1", "j-2")}
