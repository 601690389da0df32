"""Facts are a join-semilattice: in whatever order, grouping and repetition they are told, they are one value in the end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.domain import facts, joins
from engine.domain.fact import Charge, Grant, Refund, Revoke
from engine.domain.facts import NOTHING_KNOWN, Facts
from tests.support.examples import part

AMOUNTS = st.sampled_from([Decimal(0), Decimal(1), Decimal("1.5")])
INSTANTS = st.integers(0, 3).map(lambda hour: datetime(2026, 1, 5, 10, tzinfo=UTC) + timedelta(hours=hour))
SAID = st.sampled_from([(), (("detail.seconds", "8"),), (("detail.seconds", "5"),)])
POLICIES = st.sampled_from(["p@1", "p@2"])
CHARGES = st.builds(Charge, AMOUNTS, INSTANTS, SAID, POLICIES, st.sampled_from(["", "", "once", "copy"]))
WINDOWS = st.sampled_from([None, timedelta(hours=1)])
REFUNDS = st.one_of(
    st.builds(Refund, AMOUNTS, INSTANTS, WINDOWS, POLICIES, st.sampled_from("rs")),
    st.builds(Refund, st.none(), INSTANTS, WINDOWS, POLICIES, st.sampled_from("rs"), AMOUNTS, SAID),
)
REVOKES = st.one_of(
    st.builds(Revoke, AMOUNTS, st.none(), INSTANTS, st.sampled_from("rs"), SAID, POLICIES),
    st.builds(Revoke, st.none(), AMOUNTS, INSTANTS, st.sampled_from("rs"), SAID, POLICIES),
)
ONE = st.one_of(
    CHARGES.map(lambda charge: Facts(charges=(charge,))),
    CHARGES.map(lambda charge: Facts(weak_charges=(charge,))),
    REFUNDS.map(lambda refund: Facts(refunds=(refund,))),
    REVOKES.map(lambda revoke: Facts(revokes=(revoke,))),
    st.builds(Grant, AMOUNTS, INSTANTS, SAID, POLICIES).map(lambda grant: Facts(grants=(grant,))),
)
"""What one event tells."""


def joined(facts: Iterable[Facts]) -> Facts:
    """Return all of them together."""
    return reduce(Facts.join, facts, NOTHING_KNOWN)


def check(told: tuple[list[Facts], list[Facts], int]) -> None:
    """Another order, another grouping, and all of it twice are the same."""
    one, other, middle = told
    left, right = joined(one[:middle]), joined(one[middle:])
    assert joined(one) == joined(other) == joined([*one, *other]) == left.join(right) == right.join(left)


HISTORIES = st.lists(ONE, min_size=1, max_size=8).flatmap(
    lambda told: st.tuples(st.just(told), st.permutations(told), st.integers(0, len(told)))
)


@pytest.mark.parametrize("examples", [600, pytest.param(part(5_000), marks=pytest.mark.proof)])
def test_facts_of_all_kinds_join_in_any_order_and_grouping(examples: int):
    """Charges with and without repeats, refunds and revokes by percent and by amount."""
    settings(max_examples=examples, database=None)(given(HISTORIES)(check))()


@pytest.mark.parametrize("rest", [{}, {"series": "r"}])
def test_nothing_by_percent_and_nothing_by_amount_are_two_facts_in_one_order(rest: dict[str, str]):
    """They sort alike by their figures; a set of them has no order of its own."""
    at, kind = datetime(2026, 1, 5, tzinfo=UTC), Revoke if rest else Refund
    by_percent, by_amount = (
        kind(percent=Decimal(0), amount=None, at=at, **rest),
        kind(percent=None, amount=Decimal(0), at=at, **rest),
    )
    fields = [{"revokes" if rest else "refunds": (each,)} for each in (by_percent, by_amount)]
    one, other = (Facts(**each) for each in fields)

    assert one.join(other) == other.join(one) == one.join(other).join(one)


def the_one_told_last(charges: set[Charge]) -> tuple[Charge, ...]:
    """Keep of each content whichever comes last out of the set."""
    return tuple({(charge.once, charge.content): charge for charge in charges}.values())


def the_last_of_a_series(revokes: tuple[Revoke, ...]) -> tuple[Revoke, ...]:
    """Keep of each series the one that was told last."""
    return tuple({revoke.series: revoke for revoke in revokes}.values())


@pytest.mark.parametrize(
    ("place", "name", "mutant"),
    [(joins, "_latest_first", the_one_told_last), (facts, "steps_of_series", the_last_of_a_series)],
)
def test_a_join_that_rests_on_the_order_is_found(place: Any, name: str, mutant: Any, monkeypatch: pytest.MonkeyPatch):
    """Else the test above would prove nothing. Nobody reads what is found, so it is not made small."""
    monkeypatch.setattr(place, name, mutant)

    with pytest.raises((AssertionError, ExceptionGroup)):
        settings(max_examples=2000, database=None, phases=[Phase.generate], derandomize=True)(given(HISTORIES)(check))()
