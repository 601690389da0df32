"""What people correct, seen by audits: an honest ledger raises no alarm, a damaged one is found, named and put right."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import frozen

from engine.audit.balances import BalanceKeeper
from engine.audit.books import Audit, audit
from engine.audit.claims import Claims
from engine.audit.recount import recount
from engine.audit.repair import Wrong, users_found
from engine.audit.seals import REST
from engine.domain.adjustment import AdjustmentRequest, Identity
from engine.domain.decision import Outcome
from engine.domain.errors import CorrectionError
from engine.reconcile.corrections import Adjuster
from engine.reconcile.plan_file import PlanFile
from engine.reconcile.repricing.apply import Applying
from engine.reconcile.repricing.plan import Wish, make_plan
from tests.audit.conftest import LATER, Day
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.repairs import repair_everybody

pytestmark = pytest.mark.local_aws

GRANTED = 1000
ANN = Identity("arn:aws:iam::1:user/ann", "AIDAANN", "ann")
EVENTS = example(("unknown_user: refuse", "unknown_user: refuse\ngrants: events"))
DEARER = example(('default: "0.10", premium: "0.25"}', 'default: "0.20", premium: "0.25"}'))
"""Of the day's jobs each second costs 0.20 instead of 0.10."""

SAID = (
    AdjustmentRequest("c-1", "u-1", Decimal("0.3"), "slow", job="j-1"),
    AdjustmentRequest("c-2", "u-1", Decimal("0.5"), "slow", job="j-2"),
    AdjustmentRequest("c-4", "u-2", Decimal(5), "slow", job="j-4"),
    AdjustmentRequest("c-7", "u-3", Decimal("0.1"), "the wrong job", job="j-7"),
    AdjustmentRequest("r-7", "", Decimal(0), "it was another", reverses="c-7"),
    AdjustmentRequest("a-1", "u-2", Decimal(5), "goodwill"),
    AdjustmentRequest("a-2", "u-2", Decimal(-3), "paid twice"),
    AdjustmentRequest("r-2", "", Decimal(0), "it was not", reverses="a-2"),
)
"""c-2 is of a job that has failed, and gives nothing; c-4 is more than its job costs."""

AFTERWARDS = failed("j-1"), rendered("j-8"), failed("j-7", user="u-3")

TRUE = {"u-1": Decimal("-1.8"), "u-2": Decimal(1), "u-3": Decimal(0)}
"""What was posted in the end. Priced anew, a second costs 0.20; what comes afterwards costs 0.10 again:

u-1: j-1 (8 s, 0.3 conceded) and j-2 have failed; j-3 was rendered again (5 s), j-8 is new (8 s): 1.00 + 0.80.
u-2: j-4 (12 s, 2.40) is conceded whole, j-5 (20 s) costs 4.00; 5 were given, and 3 taken and given back.
u-3: j-6 and j-7 have failed.
"""


class Corrected:
    """The day, corrected by people while it goes on."""

    def __init__(self, day: Day, file: Path) -> None:
        self.day, self.world = day, day.world
        self.world.policy = EVENTS
        self.file = file

    def say(self, *requests: AdjustmentRequest) -> list[Outcome | None]:
        """Let a person adjust, and return how each request ended."""
        adjuster = Adjuster.on(self.world.policy, self.day.ledger)
        return [adjuster.adjust(request, ANN, self.world.deadline()).outcome for request in requests]

    def reprice(self) -> None:
        """Price all jobs anew."""
        deadline, at = self.world.deadline(600), self.world.clock.now()
        self.file.unlink(missing_ok=True)
        wish = Wish(DEARER, "the rate was half of what it is", ANN.name, at, {"ledger": "Ledger"})
        make_plan(wish, self.day.ledger, self.file, deadline)
        Applying(PlanFile.open(self.file, "reprice"), DEARER, self.day.ledger, ANN.name, deadline).post(1_000)

    def look(self, *, writes: bool = False) -> Audit:
        """Audit, seal what is new, and hold balances."""
        self.day.time.wait((REST + LATER).total_seconds())
        keeper = BalanceKeeper(self.day.store, self.day.time.now(), self.world.deadline(600), wanted=True, writes=writes)
        if writes:
            self.day.seal()
        return audit(self.day.ledger, self.world.deadline(600), keeper=keeper)

    def sums(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Return what was posted for each user, and by how much the balance has moved."""
        rows = {user: self.world.user_row(user) or {} for user in TRUE}
        return {user: (row["posted"], row["remaining"] - GRANTED) for user, row in rows.items()}

    def told_again(self) -> set[Outcome | None]:
        """Let every word and every event be told once more, and return how the words ended."""
        said = set(self.say(*SAID))
        self.world.deliver(*self.day.sealed_events, *self.day.new_events, *AFTERWARDS)
        return said


@pytest.fixture
def corrected(day: Day, tmp_path: Path) -> Corrected:
    """Return the day with all that people say of it, and a job that fails afterwards."""
    made = Corrected(day, tmp_path / "plan.jsonl")
    assert made.look(writes=True).is_clean
    assert [Outcome.ADJUSTED, Outcome.VOIDED, *[Outcome.ADJUSTED] * 6] == made.say(*SAID)
    made.reprice()
    made.world.deliver(*AFTERWARDS)
    return made


def test_an_honest_ledger_with_corrections_raises_no_alarm(corrected: Corrected) -> None:
    """Before it is sealed and afterwards: sums, logs, claims, seals, balances that are held; and each entry, counted again."""
    before, after = corrected.look(), corrected.look(writes=True)

    assert (True, True) == (before.is_clean, after.is_clean)
    assert after.checked is not None
    assert () == corrected.day.verify().deviations
    assert [] == users_found(corrected.day.ledger, corrected.world.deadline(600))
    counted = [
        each
        for reference in sorted({reference for reference, _ in corrected.day.entries()})
        for each in recount(corrected.day.ledger.entries_of(reference, corrected.world.deadline()))
    ]
    assert [] == [each.problems for each in counted if each.failed]
    assert {"debit", "refund", "adjust", "reprice", "void"} == {each.entry.type.value for each in counted}
    assert {user: (posted, posted) for user, posted in TRUE.items()} == corrected.sums()
    assert {Outcome.DUPLICATE} == corrected.told_again()
    assert {user: (posted, posted) for user, posted in TRUE.items()} == corrected.sums()


@frozen
class Planted:
    """What somebody does to the ledger, what is named then, and what a person says is wrong where tables cannot tell."""

    do: Callable[[Day], object]
    named: str
    wrong: Wrong | None = None


def n(number: str) -> dict[str, str]:
    """Return a number of DynamoDB."""
    return {"N": number}


def s(text: str) -> dict[str, str]:
    """Return a text of DynamoDB."""
    return {"S": text}


GIFT_SAID = {"id": s("gift"), "reason": s("a gift"), "by": s("u-3")}
GIFT = {"userId": s("u-3"), "amount": n("500"), "cost": n("-500"), "correction": {"M": GIFT_SAID}}

SEALED: dict[str, Planted] = {
    "an adjustment is gone": Planted(
        lambda day: day.remove("adjust#a-1", 1), "removed: adjust#a-1, entry 1: is gone: 5 of u-2"
    ),
    "what took an adjustment back is gone": Planted(
        lambda day: day.remove("adjust#a-2", 2), "removed: adjust#a-2, entry 2: is gone: 3 of u-2"
    ),
    "an adjustment gives more": Planted(
        lambda day: day.change("adjust#a-1", 1, "SET amount = :n, cost = :c", n=n("500"), c=n("-500")),
        "changed: adjust#a-1, entry 1: was changed: its amount is 500; 5 was sealed",
    ),
    "an adjustment is of another user": Planted(
        lambda day: day.change("adjust#a-1", 1, "SET #user = :s", s=s("u-3")), "its user is u-3; u-2 was sealed"
    ),
    "a concession gives more": Planted(
        lambda day: day.change("job#j-1", 2, "SET amount = :n", n=n("3")), "its amount is 3; 0.3 was sealed"
    ),
    "a concession is gone": Planted(lambda day: day.remove("job#j-1", 2), "removed: job#j-1, entry 2: is gone: 0.3 of u-1"),
    "a price was changed back": Planted(
        lambda day: day.change("job#j-5", 2, "SET amount = :n, cost = :c", n=n("-0.1"), c=n("2.1")),
        "changed: job#j-5, entry 2: was changed: its amount is -0.1; -2 was sealed",
    ),
    "a new price is gone": Planted(lambda day: day.remove("job#j-5", 2), "removed: job#j-5, entry 2: is gone: -2 of u-2"),
    "who said it was changed": Planted(
        lambda day: day.change("adjust#a-1", 1, "SET correction.#by = :s", s=s("arn:aws:iam::1:user/eve")),
        "changed: adjust#a-1, entry 1: was changed, in neither amount nor user",
    ),
    "the claim of a concession is gone": Planted(
        lambda day: day.remove("adjust#c-1", 1), "removed: adjust#c-1, entry 1: is gone: 0 of u-1"
    ),
    "the claim of a concession is of another user": Planted(
        lambda day: day.change("adjust#c-1", 1, "SET #user = :s", s=s("u-3")), "its user is u-3; u-1 was sealed"
    ),
    "an adjustment was slipped in behind the seals": Planted(
        lambda day: day.insert("adjust#gift", 1, "adjust#a-1", **GIFT), "added: adjust#gift, entry 1: was added behind seal"
    ),
    "somebody has given himself an adjustment": Planted(
        lambda day: day.insert("adjust#gift", 1, "adjust#a-1", **GIFT, postedAt=s("2026-01-05T23:00:00.000000Z")),
        "drift: u-3: 500.0 in the ledger",
        Wrong.ENTRIES,
    ),
}
"""A sealed ledger: the seals prove what was there. What somebody adds afterwards nothing proves."""


def named(corrected: Corrected, seen: Audit) -> list[str]:
    """Return what an audit and the seals name."""
    lines = [f"drift: {drift.user}: {drift.ledger} in the ledger" for drift in seen.drifts]
    lines += [f"fault: {fault.reference}, entry {fault.sequence}: {fault.problem}" for fault in seen.faults]
    return lines + [
        f"{deviation.damage}: {deviation.reference}, entry {deviation.sequence}: {deviation.problem}"
        for deviation in corrected.day.verify().open
    ]


TOGETHER = (
    (
        "an adjustment is gone",
        "a concession gives more",
        "a new price is gone",
        "the claim of a concession is of another user",
    ),
    ("an adjustment gives more", "what took an adjustment back is gone", "a concession is gone", "a price was changed back"),
    ("an adjustment is of another user", "the claim of a concession is gone", "an adjustment was slipped in behind the seals"),
    ("who said it was changed", "somebody has given himself an adjustment"),
)
"""Each kind once, several in one ledger, of different logs."""


def test_each_kind_is_planted_once() -> None:
    """So that none is lost unnoticed."""
    assert sorted(SEALED) == sorted(kind for kinds in TOGETHER for kind in kinds)


@pytest.mark.parametrize("kinds", TOGETHER, ids=" and ".join)
def test_damage_of_what_was_corrected_is_found_and_put_right(corrected: Corrected, kinds: tuple[str, ...]) -> None:
    """By entries that are added. Whoever tells all of it again afterwards moves nothing; a word may be remembered anew."""
    assert corrected.look(writes=True).is_clean
    for kind in kinds:
        SEALED[kind].do(corrected.day)

    found = named(corrected, corrected.look())
    assert [] == [kind for kind in kinds if not any(SEALED[kind].named in line for line in found)], f"not named among {found}"
    wrong = next((SEALED[kind].wrong for kind in kinds if SEALED[kind].wrong is not None), None)
    done = repair_everybody(corrected.day.ledger, "ticket 4711", wrong, corrected.world.deadline(600), is_shown=True)

    assert ((), True) == (done.left, done.after.is_clean), done
    assert corrected.look().is_clean
    assert () == corrected.day.verify().open
    assert {user: (posted, posted) for user, posted in TRUE.items()} == corrected.sums()
    assert corrected.told_again() <= {Outcome.DUPLICATE, Outcome.VOIDED}
    assert {user: (posted, posted) for user, posted in TRUE.items()} == corrected.sums()
    assert corrected.look().is_clean


def test_an_id_that_is_not_claimed_is_found_and_claimed_again(corrected: Corrected) -> None:
    """Nothing is sealed yet, and no credit has moved: only that both entries belong together tells. The id counts once."""
    corrected.day.remove("adjust#c-1", 1)

    seen = corrected.look()
    assert ["job#j-1, entry 2: its id is not claimed: adjust#c-1 has no entry, and it could be told again"] == [
        f"{fault.reference}, entry {fault.sequence}: {fault.problem}" for fault in seen.faults
    ]
    done = repair_everybody(corrected.day.ledger, "ticket 4711", None, corrected.world.deadline(600), is_shown=True)

    assert [("adjust#c-1", 1, "u-1", 0)] == [
        (each.reference, each.sequence, each.user, each.amount) for each in done.corrections
    ]
    assert ((), True) == (done.left, corrected.look().is_clean)
    assert {Outcome.DUPLICATE} == corrected.told_again()
    with pytest.raises(CorrectionError, match="is an adjustment of 0.3 for user 'u-1' of job 'j-1'"):
        corrected.say(AdjustmentRequest("c-1", "u-1", Decimal("0.3"), "slow", job="j-3"))
    assert corrected.look().is_clean


@pytest.mark.parametrize(
    ("gone", "claim", "of"), [(("job#j-2", 3), "adjust#c-2", "job#j-2"), (("adjust#a-2", 2), "adjust#r-2", "adjust#a-2")]
)
def test_a_claim_whose_adjustment_is_gone_is_found(corrected: Corrected, gone: tuple[str, int], claim: str, of: str) -> None:
    """A concession that gave nothing has moved nothing, so that no sum tells it; what was taken back drifts as well."""
    for sequence in range(gone[1], 6):
        corrected.day.remove(gone[0], sequence)

    seen = corrected.look()
    done = repair_everybody(corrected.day.ledger, "ticket 4711", Wrong.BALANCE, corrected.world.deadline(600), is_shown=True)

    assert f"{claim}, entry 1: it claims the id of an adjustment that {of} does not have" in [
        f"{fault.reference}, entry {fault.sequence}: {fault.problem}" for fault in seen.faults
    ]
    assert (claim, 2) in [(each.reference, each.sequence) for each in done.corrections]
    assert ((), True) == (done.left, corrected.look().is_clean)


def test_a_word_that_is_posted_while_an_audit_reads_is_no_finding(corrected: Corrected) -> None:
    """Its claim stands behind the reader, the adjustment before him, and the other way round."""
    store = corrected.day.store
    entries = list(store.entries(corrected.world.deadline()))
    for kept in (lambda reference: reference.startswith("adjust#"), lambda reference: not reference.startswith("adjust#")):
        claims = Claims()
        for entry in entries:
            if kept(entry.line.reference):
                claims.take(entry)
        assert (True, []) == (bool(claims.words or claims.claims), list(claims.faults(store, corrected.world.deadline())))
