"""A second policy beside the first where credits are held: what it would have held, settled and released."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.policy import Policy
from engine.rating.beside import Beside
from engine.rating.expire import expiry_of
from engine.reconcile.settle import EventProposal, settle
from engine.reconcile.shadow import SecondPolicy
from engine.runtime.telemetry import Report
from tests.planning.test_holds_planned import EDITS, NOW, policy, told
from tests.support.books import Books
from tests.support.examples import part
from tests.support.shadows import Shaded


def said(shaded: Shaded) -> list[tuple[str, Decimal, Decimal]]:
    """Return what was told of the shadow: how each event ends, what it moves, and how much more that is."""
    return [(each["outcome"], Decimal(each["amount"]), Decimal(each["difference"])) for each in shaded.shadows]


def test_a_shadow_holds_settles_and_releases_by_its_own_prices() -> None:
    """Twice as much is held: 1.6 in place of 0.8, of which 1.0 goes back at a charge of 0.6."""
    shaded = Shaded(NOW, policy("holds twice as much"))

    shaded.deliver(told("submitted", "j-1", "10:00", seconds=8), told("rendered", "j-1", "10:05", seconds=6))
    shaded.deliver(told("submitted", "j-2", "10:00", seconds=5), told("failed", "j-2", "10:05"))

    assert [
        ("held", Decimal("-1.6"), Decimal("-0.8")),
        ("settled", Decimal("1.0"), Decimal("0.8")),
        ("held", Decimal("-1.0"), Decimal("-0.5")),
        ("released", Decimal("1.0"), Decimal("0.5")),
    ] == said(shaded)


def test_a_shadow_without_holds_charges_at_the_render() -> None:
    """The request is ignored there; a request that comes too late is told of neither."""
    shaded = Shaded(NOW, policy("no holds"))

    shaded.deliver(
        told("submitted", "j-1", "10:00", seconds=8),
        told("rendered", "j-1", "10:05", seconds=6),
        told("submitted", "j-1", "10:09", seconds=8),
    )

    assert [("ignored", Decimal(0), Decimal("0.8")), ("debited", Decimal("-0.6"), Decimal("-0.8"))] == said(shaded)


def test_what_is_closed_to_the_running_policy_alone_is_not_known() -> None:
    """The second policy passes the failure by, so that the request would be held; if it was told before nobody knows."""
    shaded = Shaded(NOW, policy("failures that play no part"))

    shaded.deliver(told("failed", "j-1", "10:00"), told("submitted", "j-1", "10:05", seconds=8))

    assert ["unknown"] == [each["outcome"] for each in shaded.shadows[1:]]
    assert "the ledger keeps nothing of the event" in shaded.unknown[0]


def test_that_a_hold_has_expired_is_told_of_the_shadow_too() -> None:
    """No event tells it, and no policy: 1.6 go back there, 0.8 here."""
    books, then = Books(NOW), policy("holds twice as much")
    books.deliver(told("submitted", "j-1", "10:00", seconds=8))
    ledger, deadline = books.run.reconciler.ledger, books.run.deadline
    log = ledger.read("job#j-1", deadline)
    assert log.facts.hold is not None
    expiry = expiry_of(log.facts.hold, "j-1", "u-1", log.facts.hold.expires_at + timedelta(minutes=5))
    decision, *_ = settle(EventProposal(expiry, NOW, ledger, log), ledger, deadline)
    report = Report.of_posting(decision, expiry, 1, log)

    shadowed = SecondPolicy(Beside(NOW, then), books.store.clock).beside(report, deadline)

    assert shadowed is not None
    assert ("released", Decimal("1.6"), Decimal("0.8")) == (shadowed.outcome, shadowed.amount, shadowed.difference)


STORY = st.lists(
    st.tuples(
        st.sampled_from(["submitted", "submitted", "rendered", "failed"]),
        st.sampled_from(["j-1", "j-1", "j-2"]),
        st.sampled_from(["10:00", "10:01", "12:30"]),
        st.integers(1, 2),
        st.sampled_from([4, 8]),
    ),
    min_size=1,
    max_size=7,
)


@pytest.mark.parametrize("examples", [80, pytest.param(part(3_000), marks=[pytest.mark.proof, pytest.mark.slow])])
def test_in_whatever_order_the_shadow_comes_to_what_its_policy_would_have_posted(examples: int) -> None:
    """Or says that it does not know; that is so in fewer than four stories of five."""
    exact = 0

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(story=STORY, edit=st.sampled_from(sorted(EDITS)))
    def comes_to_it(story: Any, edit: str) -> None:
        nonlocal exact
        documents = [told(kind, job, at, attempt, seconds=seconds) for kind, job, at, attempt, seconds in story]
        then = policy(edit)
        shaded = Shaded(NOW, then)
        shaded.deliver(*documents)

        assert 0 == shaded.count("ShadowErrors")
        if not shaded.unknown:
            exact += 1
            assert net_under(then, documents) == shaded.shadowed

    comes_to_it()

    assert exact > examples / 5


def net_under(then: Policy, documents: list[dict[str, Any]]) -> Decimal:
    """Return what the events move under a policy alone, holds among it."""
    books = Books(then)
    books.deliver(*documents)
    return sum((books.net(job) for job in ("j-1", "j-2")), Decimal(0))
