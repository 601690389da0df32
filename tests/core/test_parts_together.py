"""Prices, rows of jobs, repeats, refunds and revokes together, against an oracle that was written from the rules alone.

Two rules ignore repeats and two do not; two price books have a change and a promotion; users, rates and refunds are read from
the job's row, which comes late and changes; a telling comes by an event, a batch of the queue, a replay or a row of Jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

import pytest
from attrs import define, evolve
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain.envelope import Envelope
from engine.domain.errors import EventError
from engine.domain.instants import instant_text
from engine.ledger.store import ScanSlice
from engine.preview.reasons import reasons_for
from engine.reconcile.catch_up import scan
from tests.support.books import Books
from tests.support.examples import part
from tests.support.parts import (
    BY_ROW,
    CHARGES,
    EDITS,
    ON_GRANT,
    POLICIES,
    ROWS,
    RULES,
    Oracle,
    Telling,
    clock,
    expected,
    row_of,
)

# --- histories --------------------------------------------------------------------------------------------------------


@st.composite
def tellings(draw: Callable[..., Any], edits: int, rows: int) -> list[Telling]:
    """Draw tellings of a few kinds that mostly say the same, some of them again and again."""
    kinds = draw(st.lists(st.sampled_from(CHARGES_DRAWN), min_size=1, max_size=2)) * 2
    kinds += draw(st.lists(st.sampled_from([*BACK_DRAWN, *sorted(ON_GRANT)]), max_size=3))
    numbers = draw(st.sampled_from([[4], [4, 4, 1], [1, 0]]))
    facts = st.builds(
        Telling, st.sampled_from(kinds), st.sampled_from([660, 720, 780, 840]), st.sampled_from(numbers),
        st.sampled_from(draw(st.sampled_from([["pro"], ["std", "pro"]]))), st.sampled_from([600, 800]),
    )  # fmt: skip
    how = st.tuples(st.integers(0, edits - 1), st.integers(0, rows - 1), st.sampled_from(["event", "queue", "replay", "scan"]))
    told = draw(
        st.lists(st.tuples(st.sampled_from(draw(st.lists(facts, min_size=1, max_size=6))), how), min_size=1, max_size=8)
    )
    return [_told(fact, edit, row, door, is_edited=edits > 1) for fact, (edit, row, door) in told]


def _told(fact: Telling, edit: int, row: int, door: str, *, is_edited: bool) -> Telling:
    """Where policies change, rules of one instant say different things: nothing else tells whose charge or revoke is known."""
    n, later = (OFFSET.get(fact.kind, 0), LATER.get(fact.kind, 0)) if is_edited else (0, 0)
    door = door if door != "scan" or fact.kind in BY_ROW else "queue"
    return evolve(fact, n=fact.n + n, minute=fact.minute + later, edit=edit, row=row, door=door)


OFFSET, LATER = {"extended": 20, "hooked": 40, "copied": 60}, {"disputed": 5}
"""What of several rules differs in what it says; in its instant, where one policy has a rule that asks nothing."""
CHARGES_DRAWN = ["rendered", "extended", "hooked", "hooked", "copied", "rendered"]
BACK_DRAWN = ["failed", "cancelled", "credited", "waived"]


@define
class World:
    """The engine at work."""

    overdraft: str
    books: Books

    @classmethod
    def of(cls, overdraft: str, balance: int = 10**6) -> World:
        """Return a world of one user, with the first policy in force."""
        return cls(overdraft, Books(POLICIES[overdraft][0], {"u-1": Decimal(balance)}))

    def tell(self, told: list[Telling]) -> list[Any]:
        """Tell all; neighbours of one edit, row and door come as one batch."""
        ends: list[Any] = []
        for (edit, row, door), several in groupby(told, key=lambda each: (each.edit, each.row, each.door)):
            ends += self._tell(edit, row, door, list(several))
        return ends

    def _tell(self, edit: int, row: int | None, door: str, several: list[Telling]) -> Iterator[Any]:
        self.books.policy = POLICIES[self.overdraft][edit]
        self.books.store.jobs.pop("j-1", None)
        if row is not None:
            self.books.store.jobs["j-1"] = row_of(several[0])
        envelopes = [telling.envelope(self.books.policy) for telling in several]
        run = self.books.run
        if door == "event":
            return (self._one(envelope) for envelope in envelopes)
        return iter(run.reconciler.many(envelopes, run.deadline))

    def _one(self, envelope: Envelope) -> Any:
        try:
            return self.books.run.reconciler.settled(envelope, self.books.run.deadline)
        except EventError as error:
            return error

    def nets(self) -> tuple[Fraction, Fraction]:
        """Return the net of the job and of the purchase."""
        return Fraction(self.books.net("j-1")), Fraction(self.books.net("grant#o-1"))

    def keeps(self, telling: Telling) -> bool:
        """Say whether the log keeps what was told: no charge that was passed over by a rule that did not ignore repeats."""
        if telling.kind not in CHARGES or RULES[telling.kind] in EDITS[telling.edit].once:
            return True
        charges = self.books.entries_of("j-1")[-1].facts.charges
        return any(instant_text(charge.at) == clock(telling.minute) for charge in charges)

    def check(self) -> None:
        """What holds of every ledger at any time."""
        for reference in ("j-1", "grant#o-1"):
            entries = self.books.entries_of(reference)
            assert [] == [problem for counted in recount(entries) for problem in counted.problems]
            sums = [sum(entry.amount for entry in entries[: number + 1]) for number in range(len(entries))]
            assert all(total <= 0 if reference == "j-1" else total >= 0 for total in sums)
        row = self.books.store.credits["u-1"]
        assert row.get("posted", 0) == sum(self.nets())


def is_fine(ends: list[Any]) -> bool:
    """Say whether nothing had to come back."""
    return not any(isinstance(end, Exception) for end in ends)


def check_orders(drawn: tuple[list[Telling], list[Telling], str]) -> None:
    """Any order of the same facts under one policy, each told twice."""
    told, other, overdraft = drawn
    for order in (told, other):
        world = World.of(overdraft)
        assert is_fine(world.tell([*order, *reversed(order)]))
        assert expected(told) == world.nets()
        world.check()


def check_late_row(drawn: tuple[list[Telling], list[Telling], str]) -> None:
    """The row comes late and the balance too; what was refused comes again."""
    told, other, overdraft = drawn
    world = World.of(overdraft, balance=1)
    for number, telling in enumerate(other):
        world.tell([evolve(telling, row=None if number % 2 and telling.door != "scan" else telling.row)])
        world.check()
    world.books.store.credits["u-1"]["remaining"] += 10**6
    assert is_fine(world.tell(told))
    assert expected(told) == world.nets()
    world.check()


def check_weak(drawn: tuple[tuple[list[Telling], list[Telling], str], list[Telling], list[int]]) -> None:
    """Rows without a time of their own, between all else: what an event says counts, whatever the order."""
    (told, other, overdraft), weak, places = drawn
    of_job = [each for each in told if each.kind not in ON_GRANT]
    if not of_job:
        return
    oracle = Oracle()
    for each in told:
        oracle.tell(each)
    cost = oracle.cost()
    at = max((claim.at for claim in oracle.charges), default=0)
    is_given_back = any(back.at >= at and (back.hours is None or back.at - at <= 60 * back.hours) for back in oracle.refunds)
    if not is_given_back and any(each.kind == "failed" and each.minute >= at for each in weak):
        cost = Fraction(0)
    for order in (told, other):
        mixed = list(order)
        for each, place in zip(weak, sorted(places), strict=False):
            mixed.insert(min(place, len(mixed)), each)
        world = World.of(overdraft)
        assert is_fine(world.tell([*mixed, *order]))
        assert (-cost, oracle.given()) == world.nets()
        world.check()
        quiet(world, weak or told)


def quiet(world: World, told: list[Telling]) -> None:
    """A scan of the row, and all told again: a second scan writes nothing."""
    kind = next((each.kind for each in told if each.kind in BY_ROW), "rendered")
    run, entries = world.books.run, lambda: len(world.books.entries_of("j-1"))
    for at in ({}, {"at": clock(700)}):
        world.books.store.jobs["j-1"] = {**row_of(told[0]), **told[0].said, "status": BY_ROW[kind], **at}
        scan(run.reconciler, [ScanSlice(0, 1)], run.deadline)
        before = (world.nets(), entries())
        for name in ("reconciled", "reconciledStatus", "reconciledSequence"):
            world.books.store.jobs["j-1"].pop(name, None)
        scan(run.reconciler, [ScanSlice(0, 1)], run.deadline)
        assert before == (world.nets(), entries())
        scan(run.reconciler, [ScanSlice(0, 1)], run.deadline)
        assert before == (world.nets(), entries())
    world.check()


def check_edits(told: list[Telling]) -> None:
    """The net is what the rules say, and stays so when all is told again under each policy, by each row."""
    world = World.of("flag")
    assert is_fine(world.tell(told))
    assert expected(told) == world.nets()
    unmoved(world, told)


def check_edits_of_repeats(told: list[Telling]) -> None:
    """Whatever it was told under, all that was kept of it is known; what was passed over takes its place when it comes again.

    Of a charge that came when a later one counted nothing is kept, unless its rule ignored repeats then. Where its rule has
    come to ignore them, its next telling may be the earliest of what says the same, and from then on is known too.
    """
    world = World.of("flag")
    assert is_fine(world.tell(told))
    unmoved(world, [telling for telling in told if world.keeps(telling)])
    assert is_fine(world.tell(told))
    unmoved(world, told)


def unmoved(world: World, told: list[Telling]) -> None:
    """All told again under each policy, by each row, moves nothing. A row of Jobs tells what it told."""
    before = world.nets()
    for edit in range(len(EDITS)):
        for row in range(len(ROWS)):
            again = [
                evolve(telling, edit=edit, row=row, door="event") if telling.door != "scan" else evolve(telling, edit=edit)
                for telling in told
            ]
            assert is_fine(world.tell(again))
            assert before == world.nets(), (edit, row)
    world.check()


ORDERS = tellings(1, 1).flatmap(
    lambda told: st.tuples(st.just(told), st.permutations(told), st.sampled_from(["allow", "flag", "refuse"]))
)
ORDERS_OF_LAST = ORDERS.map(
    lambda drawn: ([evolve(each, edit=5) for each in drawn[0]], [evolve(each, edit=5) for each in drawn[1]], drawn[2])
)


WEAK = st.lists(st.tuples(st.sampled_from(["rendered", "hooked", "failed"]), st.sampled_from([1, 4])), max_size=4).map(
    lambda drawn: [Telling(kind, 640 + 70 * number, n, door="weak") for number, (kind, n) in enumerate(drawn)]
)
WITH_WEAK = st.tuples(ORDERS, WEAK, st.lists(st.integers(0, 8), min_size=4, max_size=4))
HISTORIES = {
    "any order": (check_orders, ORDERS),
    "any order of another policy": (check_orders, ORDERS_OF_LAST),
    "a late row": (check_late_row, ORDERS),
    "rows without a time": (check_weak, WITH_WEAK),
    "edits": (check_edits, tellings(3, 3)),
    "edits of repeats": (check_edits_of_repeats, tellings(6, 3)),
}


def tried(name: str, examples: int, *, always_the_same: bool = False) -> None:
    """Try so many histories; the first that is wrong fails, as small as it can be made."""
    check, histories = HISTORIES[name]
    phases = [Phase.generate] if always_the_same else tuple(Phase)
    rules = settings(max_examples=examples, deadline=None, database=None, phases=phases, derandomize=always_the_same)
    rules(given(histories)(check))()


EXAMPLES = [40, pytest.param(part(300), marks=[pytest.mark.proof, pytest.mark.slow, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("examples", EXAMPLES)
@pytest.mark.parametrize("name", HISTORIES)
def test_whatever_meets_ends_in_what_the_rules_say(name: str, examples: int) -> None:
    """Net of job and purchase, balance, bounds, recount, and a second scan that writes nothing."""
    tried(name, examples)


def test_a_charge_that_was_passed_over_takes_its_place_where_its_rule_has_come_to_ignore_repeats() -> None:
    """Nothing was kept of the first render. Told again it is the earliest of both, and what was charged after it counts."""
    charged, passed_over = Telling("extended", 720, 24, "pro"), Telling("rendered", 660, 4, "pro")
    world, alone = World.of("flag"), World.of("flag")
    alone.tell([charged])
    world.tell([charged, passed_over])
    assert alone.nets() == world.nets()
    world.tell([Telling("rendered", 720, 4, "pro", edit=4)])
    assert alone.nets() < world.nets()

    world.tell([passed_over])

    assert alone.nets() == world.nets()
    unmoved(world, [charged, passed_over])


def test_after_an_edit_two_revokes_of_one_instant_that_say_the_same_are_one() -> None:
    """A rule may have come to another series; nobody could tell that from another event, and nothing is taken twice."""
    bought, disputed, returned = (Telling(kind, 660, 4) for kind in ("bought", "disputed", "returned"))
    edited, under_one = World.of("flag"), World.of("flag")
    edited.tell([bought, evolve(disputed, edit=1), returned])
    under_one.tell([bought, disputed, returned])

    assert (Fraction("2.4"), Fraction(0)) == (edited.nets()[1], under_one.nets()[1])
    assert expected([bought, evolve(disputed, edit=1), returned]) == edited.nets()


@pytest.mark.parametrize("kind", [*CHARGES_DRAWN, *BACK_DRAWN, "bought"])
@pytest.mark.parametrize("edit", range(len(EDITS)))
def test_what_explain_says_beforehand_is_what_is_posted(kind: str, edit: int) -> None:
    """The first event of a log, with its row."""
    telling = Telling(kind, 780, 4, "pro", edit=edit, row=2)
    policy = POLICIES["flag"][edit]
    said = reasons_for(telling.envelope(policy).document, policy, rows={"j-1": row_of(telling)})
    world = World.of("flag")
    world.tell([telling])
    reference = "grant#o-1" if kind in ON_GRANT else "j-1"

    assert said.entry is not None
    assert said.entry.amount == world.books.net(reference) == sum(expected([telling]))
