"""What a person tells beside the events: how it joins with what they tell, and what a job costs then."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.audit.statement import StatementLine
from engine.domain.decision import Guard, Standing
from engine.domain.entry import Correction, Entry, PricedAnew
from engine.domain.errors import CorrectionError
from engine.domain.fact import Adjustment, Charge, Refund
from engine.domain.facts import NOTHING_KNOWN, Facts
from engine.domain.log import NO_ENTRIES, JobLog
from engine.domain.money import Money
from engine.domain.price import Price
from engine.ledger.stored import correction_in
from engine.policy import parse_policy
from engine.rating.correct import Word, correct
from engine.rating.cost import desired_cost
from tests.support.books import Books
from tests.support.events import rendered
from tests.support.policies import EXAMPLE, example

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
MONEY = Money(4, "half-even")
EIGHT = (("detail.seconds", "8"),)
TEN = (("detail.seconds", "10"),)
POLICY = parse_policy(EXAMPLE, "example.yaml")
REFUSES = parse_policy(EXAMPLE.replace("overdraft: flag", "overdraft: refuse"), "example.yaml")
BECAUSE = Correction("the price was wrong", "arn:aws:iam::1:user/ann", "a-1")
COVERED = Standing.ASSUMED_COVERED


def charged(amount: str, content: tuple[tuple[str, str], ...] = EIGHT, at: datetime = AT, *, revision: int = 0) -> Facts:
    """Return the fact of a charge."""
    return Facts(charges=(Charge(Decimal(amount), at, content, f"p@{revision}", revision=revision),))


def conceded(name: str, amount: str, reverses: str = "") -> Facts:
    """Return the fact of a concession."""
    return Facts(concessions=(Adjustment(name, Decimal(amount), LATER, reverses=reverses),))


def failed(percent: int = 100, at: datetime = LATER) -> Facts:
    """Return the fact of a refund."""
    return Facts(refunds=(Refund(Decimal(percent), at, None, "p@0", "refund-failed"),))


def in_any_order(*told: Facts) -> Decimal:
    """Return the cost of a job that was told all of it, each twice, in whatever order."""
    costs = set()
    for order in itertools.permutations(told):
        facts = NOTHING_KNOWN
        for new in (*order, *reversed(order)):
            facts = facts.join(new)
        costs.add(desired_cost(facts, MONEY))
    (cost,) = costs
    return cost


def test_of_one_content_the_highest_revision_counts():
    """Ten times too much, priced anew. The event itself, told again, tells the 0th."""
    assert Decimal("0.8") == in_any_order(charged("8.0"), charged("0.8", revision=1))
    assert Decimal("9.0") == in_any_order(charged("8.0"), charged("0.8", revision=1), charged("9.0", revision=2))


def test_of_equal_revisions_the_smaller_amount_counts():
    """Two people at once; the user has the benefit of the doubt."""
    assert Decimal("0.7") == in_any_order(charged("8.0"), charged("0.8", revision=1), charged("0.7", revision=1))


def test_of_contents_the_smallest_counts_after_their_revisions():
    """Twins of one instant, each by the last word that was said of it."""
    assert Decimal("0.9") == in_any_order(charged("8.0"), charged("10.0", TEN), charged("0.9", TEN, revision=1))
    assert Decimal("9.0") == in_any_order(charged("8.0"), charged("10.0", TEN), charged("9.0", revision=1))


def test_a_later_charge_takes_the_place_of_one_that_was_priced_anew():
    """It is told by an event, and priced by the policy of its day."""
    assert Decimal(3) == in_any_order(charged("8.0"), charged("0.8", revision=1), charged("3", TEN, LATER))


def test_a_refund_gives_back_what_was_priced_anew():
    """Nothing more: the whole wrong charge must not go back beside its correction."""
    assert Decimal(0) == in_any_order(charged("8.0"), charged("0.8", revision=1), failed())
    assert Decimal("0.4") == in_any_order(charged("8.0"), charged("0.8", revision=1), failed(50))


def test_a_repeat_that_is_ignored_keeps_its_first_instant_and_its_last_revision():
    """An earlier telling of the same may still come after a person has priced the later one anew."""
    early, late = (Facts(charges=(Charge(Decimal(8), at, EIGHT, "p@0", "once"),)) for at in (AT, LATER))
    anew = Facts(charges=(Charge(Decimal("0.8"), LATER, EIGHT, "p@1", "once", 1),))

    assert Decimal("0.8") == in_any_order(early, late, anew)
    assert (AT, 1) == next((charge.at, charge.revision) for charge in early.join(anew).charges)
    assert early.join(anew).join(late) == late.join(early).join(anew) == anew.join(late).join(early)


def test_a_concession_lowers_the_cost_and_never_below_nothing():
    """A failure that comes later gives back what is left. Nothing goes back twice."""
    assert Decimal("5.5") == in_any_order(charged("8.0"), conceded("a-1", "2.5"))
    assert Decimal("3.0") == in_any_order(charged("8.0"), conceded("a-1", "2.5"), conceded("a-2", "2.5"))
    assert Decimal(0) == in_any_order(charged("8.0"), conceded("a-1", "9"))
    assert Decimal(0) == in_any_order(charged("8.0"), conceded("a-1", "2.5"), failed())
    assert Decimal("1.5") == in_any_order(charged("8.0"), conceded("a-1", "2.5"), failed(50))
    assert Decimal(0) == in_any_order(conceded("a-1", "2.5"))


def test_a_concession_that_is_taken_back_counts_no_more():
    """By another that names it, whichever is told first."""
    assert Decimal("8.0") == in_any_order(charged("8.0"), conceded("a-1", "2.5"), conceded("a-2", "2.5", reverses="a-1"))


def test_an_adjustment_gives_or_takes_on_its_own_log():
    """Cost is from the company's side. One that names a job claims the id of a concession, and moves nothing here."""
    given_by = Facts(adjustments=(Adjustment("a-1", Decimal(5), AT),))
    back = Facts(adjustments=(Adjustment("a-2", Decimal(5), AT, reverses="a-1"),))
    claim = Facts(adjustments=(Adjustment("a-1", Decimal(5), AT, job="j-1"),))

    assert Decimal(-5) == in_any_order(given_by)
    assert Decimal(2) == in_any_order(Facts(adjustments=(Adjustment("a-1", Decimal(-2), AT),)))
    assert Decimal(0) == in_any_order(given_by, back) == in_any_order(claim) == in_any_order(back)


TOLD = st.builds(
    charged,
    st.sampled_from(["1", "2", "3"]),
    st.sampled_from([EIGHT, TEN]),
    st.sampled_from([AT, LATER]),
    revision=st.integers(0, 2),
)
REPEATED = st.builds(
    lambda amount, at, revision: Facts(charges=(Charge(Decimal(amount), at, EIGHT, "p@0", "once", revision),)),
    st.integers(1, 3),
    st.sampled_from([AT, LATER]),
    st.integers(0, 2),
)
WORDS = st.builds(conceded, st.sampled_from(["a-1", "a-2"]), st.just("1"), st.sampled_from(["", "a-1"]))


@given(st.lists(st.one_of(TOLD, REPEATED, WORDS, st.builds(failed, st.sampled_from([50, 100]))), min_size=2, max_size=4))
def test_facts_join_alike_in_any_order(told: list[Facts]):
    """They are a semilattice with revisions and concessions too. An id says one thing."""
    said = {each.id: each for facts in told for each in facts.concessions}
    told = [
        Facts(concessions=tuple(said[each.id] for each in facts.concessions)) if facts.concessions else facts for facts in told
    ]
    first, *others = dict.fromkeys(told)
    for order in itertools.permutations([first, *others]):
        joined = NOTHING_KNOWN
        for new in order:
            joined = joined.join(new)
        assert joined == joined.join(joined)
        assert desired_cost(joined, MONEY) == desired_cost(_joined([first, *others]), MONEY)


def _joined(told: list[Facts]) -> Facts:
    facts = NOTHING_KNOWN
    for new in told:
        facts = facts.join(new)
    return facts


def test_an_event_is_known_again_whichever_policy_has_priced_it_anew():
    """Also by one that ignores repeats, though the event was told under one that did not: to remember that moves nothing."""
    ignores = example(("action: debit\n", "action: debit\n    repeats: ignore\n"), ('default: "0.10"', 'default: "0.01"'))
    told = rendered("j-1", seconds=8)
    books = Books(POLICY)
    books.deliver(told)
    first = books.entries_of("j-1")[0]
    anew = tuple(evolve(charge, amount=Decimal("1.5"), revision=1, policy=ignores.identity) for charge in first.facts.charges)
    log = books.store.read("job#j-1", books.run.deadline)
    entry = correct(word(Facts(charges=anew), rule="reprice"), log, COVERED, POLICY).entry
    assert entry is not None
    books.store.post(entry, Guard.EXISTS, None, books.run.deadline)
    books.policy = ignores

    assert ["voided", "duplicate"] == books.deliver(told, told)
    assert Decimal("-1.5") == books.net("j-1")


# --- what a person's word makes of a log ------------------------------------------------------------------------------


def word(facts: Facts, reference: str = "job#j-1", rule: str = "adjust") -> Word:
    """Return what a person says of a log."""
    priced = tuple(PricedAnew(Price(amount=charge.amount)) for charge in facts.charges)
    said = Correction(BECAUSE.reason, BECAUSE.by, BECAUSE.id, priced=priced)
    return Word(reference, "j-1" if reference.startswith("job#") else None, "u-1", LATER, rule, facts, said)


CHARGED = JobLog(1, "u-1", charged("8.0"), Decimal("8.0"), Decimal("-8.0"))


def entry_of(facts: Facts, known: JobLog, reference: str = "job#j-1") -> Entry:
    """Return the entry that a person's word becomes."""
    entry = correct(word(facts, reference), known, COVERED, POLICY).entry
    assert entry is not None
    return entry


def test_a_concession_gives_back_its_part():
    """An entry of its own type, with who said it and why."""
    decision = correct(word(conceded("a-1", "2.5")), CHARGED, COVERED, POLICY)
    entry = decision.entry

    assert ("adjusted", Guard.EXISTS) == (decision.outcome, decision.guard)
    assert entry is not None
    assert ("adjust", Decimal("2.5"), Decimal("5.5"), 2) == (entry.type, entry.amount, entry.cost, entry.sequence)
    assert BECAUSE == entry.correction


def test_a_word_that_is_known_is_not_posted_again():
    """Whoever says it, and how often."""
    log = CHARGED.then(entry_of(conceded("a-1", "2.5"), CHARGED))

    assert correct(word(conceded("a-1", "2.5")), log, COVERED, POLICY).entry is None


@pytest.mark.parametrize(
    ("facts", "known", "expected"),
    [
        (charged("0.8", revision=1), CHARGED, ("reprice", "7.2")),
        (charged("9.5", revision=1), CHARGED, ("reprice", "-1.5")),
        (
            charged("0.8", revision=1),
            CHARGED.then(entry_of(conceded("a-1", "8"), CHARGED)),
            ("void", "0"),
        ),
        (conceded("a-1", "2.5"), NO_ENTRIES, ("void", "0")),
    ],
)
def test_what_a_word_posts(facts: Facts, known: JobLog, expected: tuple[str, str]):
    """Desired less posted. What moves nothing now is kept for what is told of the job later."""
    entry = entry_of(facts, known)

    assert expected == (entry.type, format(entry.amount.normalize() if entry.amount else entry.amount, "f"))


def test_an_adjustment_moves_the_balance_of_its_user():
    """On a log of its own, either way."""
    for amount in (Decimal(5), Decimal(-5)):
        entry = correct(
            word(Facts(adjustments=(Adjustment("a-1", amount, LATER),)), "adjust#a-1"), NO_ENTRIES, COVERED, POLICY
        ).entry

        assert entry is not None
        assert ("adjust", amount, -amount) == (entry.type, entry.amount, entry.cost)


def test_what_a_refusal_has_left_due_is_not_taken_by_the_way():
    """A charge of 8 that the balance did not cover: with a concession of 2 less is due, and it stays so."""
    due = JobLog(1, "u-1", charged("8"), Decimal(8), Decimal(0))
    decision = correct(word(conceded("a-1", "2")), due, COVERED, REFUSES)

    assert decision.entry is not None
    assert ("flag", Decimal(0), Decimal(6)) == (decision.entry.type, decision.entry.amount, decision.entry.cost)
    assert Decimal(-6) == due.then(decision.entry).due


def test_what_the_balance_does_not_cover_is_refused_where_the_policy_says_so():
    """Nothing is told and nothing stays due: a person has to decide anew."""
    dearer = word(charged("9.5", revision=1), rule="reprice")

    refused = correct(dearer, CHARGED, Standing.NOT_COVERED, REFUSES)
    assert ("refused", None) == (refused.outcome, refused.entry)
    flagged = correct(dearer, CHARGED, Standing.NOT_COVERED, POLICY).entry
    assert flagged is not None
    assert ["overdraft"] == [anomaly.name for anomaly in flagged.anomalies]


@pytest.mark.parametrize(
    ("log", "standing", "problem"),
    [
        (JobLog(1, "u-2", charged("8.0"), Decimal("8.0"), Decimal("-8.0")), COVERED, "of user 'u-2'"),
        (CHARGED, Standing.UNKNOWN_USER, "no such user"),
        (JobLog(10_000, "u-1", charged("8.0"), Decimal("8.0"), Decimal("-8.0")), COVERED, "10000 entries"),
    ],
)
def test_a_word_that_makes_no_sense_of_its_log_is_an_error(log: JobLog, standing: Standing, problem: str):
    """It names the log."""
    with pytest.raises(CorrectionError, match=problem) as told:
        correct(word(conceded("a-1", "2.5")), log, standing, POLICY)
    assert str(told.value).startswith("job#j-1 ")


def test_an_entry_of_a_correction_is_recounted_from_itself():
    """Also a price that was wrong once more."""
    first = entry_of(charged("0.8", revision=1), NO_ENTRIES)
    assert [] == [problem for each in recount([first]) for problem in each.problems]

    forged = evolve(first, correction=Correction("x", "y", priced=(PricedAnew(Price(amount=Decimal("0.7"))),)))
    assert ("it prices a charge anew at 0.8; 0.7000 follows",) == recount([forged])[0].problems


@pytest.mark.parametrize("odd", ["paid by hand, see id 7", Decimal(7), ["id"], None, True])
def test_what_somebody_put_in_the_place_of_a_correction_is_none(odd: object):
    """Support still reads the statement, and whoever adjusts the user is told what was done."""
    stored = {"reference": "job#j-1", "sequence": 1, "correction": odd}

    assert {} == correction_in(stored)
    assert "" == StatementLine(stored, Decimal(0), Decimal(0), "", "").answer()["reason"]
