"""Every kind of damage that is planted, and what today's audit and repair do about it.

Whoever mends one sees this table change. ``noticed`` is by the audit of a scheduled run, ``named`` by ``audit --verify``;
``mended`` is what ``audit --repair`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from attrs import frozen

from engine.audit.repair import Wrong
from tests.simulation.world.damage import Hands
from tests.simulation.world.damage_done import (
    Pick,
    all_removed,
    another_cost,
    another_sign,
    another_user,
    appended,
    behind_the_seal,
    called_corrected,
    changed,
    cost_of_doubled,
    doubled,
    entry,
    forged,
    has_a_seal,
    has_posted,
    in_jobs,
    in_seals,
    job,
    moved,
    n,
    no_row,
    no_seal,
    other_facts,
    paid,
    removed,
    row_with,
    row_without,
    s,
    seal,
    user,
)


class Mended(StrEnum):
    """What a repair does about it, where a person says what is wrong if that is needed."""

    RIGHT = "all is as before"
    BALANCES = "balances are as before, the log is not"
    LEFT = "left to a person"
    NOT = "nothing"
    WRONG = "something else is wrong afterwards"
    EITHER = "all is as before, or something else is wrong, as it happens"


@frozen
class Kind:
    """One kind of damage. ``why`` says why the audit does not see it, or repair does not put it right."""

    pick: Pick
    do: Callable[[Hands, Any], object]
    noticed: bool
    named: bool
    mended: Mended
    wrong: Wrong | None = None
    why: str = ""
    is_single: bool = False
    """It shows in a count of all, so that no other may stand beside it."""


# --- the table --------------------------------------------------------------------------------------------------------

YES, NO = True, False
RIGHT, BALANCES, LEFT, NOT, BROKEN = Mended.RIGHT, Mended.BALANCES, Mended.LEFT, Mended.NOT, Mended.WRONG
EITHER = Mended.EITHER

RUNS_DO_NOT_VERIFY = "a scheduled run compares sums and counts; what was sealed is compared by --verify alone"
TOO_NEW = "nothing keeps what a new entry was before the next seal, and neither its log nor the balance shows it"
SUMS_AGREE = "entries and balance agree, as after a real posting: nothing tells which entry was posted"
APPLICATIONS = "remaining is the application's too: only posted is held to the ledger"
NOT_THE_LEDGER = "the audit reads no rows of Jobs; the next scan settles a row that is not marked"
TIMELESS = "an entry without its time is in no index, so that the repair takes an honest one for slipped in"
UNREADABLE = "of what cannot be read whole the repair forgets the facts, though a seal has them; events tell them again"
ITS_LOG_STAYS = "the balance is put right in a log of the repair's; the job's own log still says what was forged"

KINDS: Mapping[str, Kind] = {
    # entries that are sealed
    "sealed: an amount is changed": Kind(
        entry("is_sealed", "moves"), changed(amount=doubled), YES, YES, RIGHT),
    "sealed: amount and cost are changed": Kind(
        entry("is_sealed", "moves"), changed(amount=doubled, cost=cost_of_doubled), YES, YES, RIGHT),
    "sealed: an amount is gone": Kind(
        entry("is_sealed", "moves", "is_told_again"), changed(amount=None), YES, YES, RIGHT,
        why=UNREADABLE),
    "sealed: an amount becomes a text": Kind(
        entry("is_sealed", "moves", "is_told_again"), changed(amount=s("-1")), YES, YES, RIGHT,
        why=UNREADABLE),
    "sealed: an entry is given to another user": Kind(
        entry("is_sealed", "moves"), another_user, YES, YES, RIGHT),
    "sealed: the only entry, which moves nothing, is given to another user": Kind(
        entry("is_sealed", "is_still", "is_alone", "is_told_again"), another_user, NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: the only entry is gone": Kind(
        entry("is_sealed", "is_alone", "is_told_again"), removed, YES, YES, RIGHT, is_single=True),
    "sealed: the last of several is gone": Kind(
        entry("is_sealed", "is_last", "is_of_many", "is_told_again"), removed, YES, YES, RIGHT, is_single=True),
    "sealed: the first of several is gone": Kind(
        entry("is_sealed", "is_first_of_many", "is_told_again"), removed, YES, YES, RIGHT, is_single=True),
    "sealed: a whole log is gone": Kind(
        entry("is_sealed", "is_last", "is_of_many", "is_told_again"), all_removed, YES, YES, RIGHT, is_single=True),
    "sealed: what is known is changed": Kind(
        entry("is_sealed", "is_told_again"), changed(facts=other_facts), NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: a cost is changed": Kind(
        entry("is_sealed", "moves"), changed(cost=another_cost), YES, YES, RIGHT),
    "sealed: a type is changed": Kind(
        entry("is_sealed", "moves"), changed(type=another_sign), YES, YES, RIGHT),
    "sealed: a type that there is not": Kind(
        entry("is_sealed", "is_told_again"), changed(type=s("present")), YES, YES, RIGHT),
    "sealed: a rule is changed": Kind(
        entry("is_sealed"), changed(rule=s("another")), NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: a quantity is changed": Kind(
        entry("is_sealed", "has_price"), changed(quantity=n(7777)), NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: a price is gone": Kind(
        entry("is_sealed", "has_price"), changed(price=None), NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: the event's name is changed": Kind(
        entry("is_sealed"), changed(eventId=s("e-forged")), NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: an attribute is added": Kind(
        entry("is_sealed"), changed(note=s("paid by hand")), NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: a flag is taken away": Kind(
        entry("is_sealed", "is_flagged"), changed(anomalies={"L": []}, flagged=None), NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: an entry is said to be a repair's": Kind(
        entry("is_sealed", "is_no_flag"), changed(source=s("repair")), NO, YES, RIGHT, why=RUNS_DO_NOT_VERIFY),
    "sealed: its time is gone": Kind(
        entry("is_sealed"), changed(postedAt=None), YES, YES, RIGHT, is_single=True),
    "sealed: a gift is slipped in behind the seal": Kind(
        entry("is_sealed"), behind_the_seal, YES, YES, BALANCES, why=ITS_LOG_STAYS, is_single=True),
    "sealed: a doubled debit, its balance, and a correction that says so": Kind(
        entry("is_sealed", "moves", "is_last"), called_corrected, NO, NO, NOT,
        why="a correction is believed, whoever wrote it"),
    # entries that are too new to be sealed
    "new: an amount is changed": Kind(
        entry("is_new", "moves", "is_told_again"), changed(amount=doubled), YES, NO, RIGHT),
    "new: amount and cost of the last entry are changed": Kind(
        entry("is_new", "moves", "is_last"), changed(amount=doubled, cost=cost_of_doubled), YES, NO, BALANCES, Wrong.ENTRIES,
        why=ITS_LOG_STAYS),
    "new: amount and cost of an earlier entry are changed": Kind(
        entry("is_new", "moves", "is_not_last", "is_told_again"), changed(amount=doubled, cost=cost_of_doubled),
        YES, NO, RIGHT),
    "new: the only entry is given to another user": Kind(
        entry("is_new", "moves", "is_alone"), another_user, YES, NO, BALANCES, Wrong.ENTRIES, why=ITS_LOG_STAYS),
    "new: the only entry, which moves nothing, is given to another user": Kind(
        entry("is_new", "is_still", "is_alone"), another_user, NO, NO, NOT, why=TOO_NEW),
    "new: one of several is given to another user": Kind(
        entry("is_new", "is_of_many"), another_user, YES, NO, LEFT, why="which of the two users is right nothing can tell"),
    "new: the last, which moves credits, is gone": Kind(
        entry("is_new", "moves", "is_last", "is_told_again"), removed, YES, NO, RIGHT, Wrong.BALANCE),
    "new: the last, which moves nothing, is gone": Kind(
        entry("is_new", "is_still", "is_last"), removed, NO, NO, NOT, why=TOO_NEW),
    "new: the first of several is gone": Kind(
        entry("is_new", "is_first_of_many", "is_told_again"), removed, YES, NO, RIGHT),
    "new: a whole log, which comes to nothing, is gone": Kind(
        entry("is_new", "all_is_new", "is_last", "comes_to_nothing", "knows_no_word"), all_removed, NO, NO, NOT, why=TOO_NEW),
    "new: a cost is changed": Kind(
        entry("is_new", "moves", "is_told_again"), changed(cost=another_cost), YES, NO, RIGHT),
    "new: what is known is changed": Kind(
        entry("is_new"), changed(facts=other_facts), NO, NO, NOT, why=TOO_NEW),
    "new: a type is changed": Kind(
        entry("is_new", "moves", "is_told_again"), changed(type=another_sign), YES, NO, RIGHT),
    "new: a type that there is not": Kind(
        entry("is_new", "is_told_again"), changed(type=s("present")), YES, NO, RIGHT),
    "new: a quantity is changed": Kind(
        entry("is_new", "has_price"), changed(quantity=n(7777)), NO, NO, NOT, why=TOO_NEW),
    "new: the event's name is changed": Kind(
        entry("is_new"), changed(eventId=s("e-forged")), NO, NO, NOT, why=TOO_NEW),
    "new: a flag is taken away": Kind(
        entry("is_new", "is_flagged"), changed(anomalies={"L": []}, flagged=None), NO, NO, NOT, why=TOO_NEW),
    "new: an explanation is forged": Kind(
        entry("is_flagged"), changed(explanation={"M": {"summary": s("all is well")}}), NO, NO, NOT,
        why="an explanation is no part of what is sealed: it is added later, and nothing is decided by it"),
    "new: its time lies ahead": Kind(
        entry("is_new"), changed(postedAt=s("2031-01-05T12:00:00.000000Z")), NO, NO, NOT, why=TOO_NEW),
    "new: its time is gone": Kind(
        has_a_seal(entry("is_new", "moves")), changed(postedAt=None), YES, YES, EITHER, why=TIMELESS, is_single=True),
    "new: its time lies behind the seal": Kind(
        has_a_seal(entry("is_new")), changed(postedAt=s("2026-01-05T11:00:00.000000Z")), YES, YES, RIGHT, is_single=True),
    "new: somebody gives himself a grant": Kind(
        entry("moves"), lambda hands, spot: forged(hands, spot, 500), YES, NO, BALANCES, Wrong.ENTRIES, why=ITS_LOG_STAYS),
    "new: somebody gives himself a grant, and the balance with it": Kind(
        entry("moves"), paid, NO, NO, NOT, why=SUMS_AGREE),
    "new: a log of its own that moves nothing is put in": Kind(
        entry("moves"), lambda hands, spot: forged(hands, spot, 0), NO, NO, NOT, why=SUMS_AGREE),
    "new: an entry that moves nothing is appended": Kind(
        entry("is_last"), appended, NO, NO, NOT, why=SUMS_AGREE),
    # rows of Credits
    "row: posted is raised": Kind(
        user(has_posted), moved(posted=5), YES, NO, RIGHT, Wrong.POSTED),
    "row: posted is lowered": Kind(
        user(has_posted), moved(posted=-5), YES, NO, RIGHT, Wrong.POSTED),
    "row: it is written whole, without posted": Kind(
        user(has_posted), row_without("posted"), YES, NO, RIGHT, Wrong.POSTED),
    "row: posted becomes a text": Kind(
        user(has_posted), row_with(posted=lambda row: s(row["posted"]["N"])), YES, NO, RIGHT, Wrong.POSTED),
    "row: a balance moves without its entry": Kind(
        user(has_posted), moved(posted=-3, remaining=-3), YES, NO, RIGHT, Wrong.BALANCE),
    "row: it is gone": Kind(
        user(has_posted), no_row, YES, NO, BROKEN, Wrong.BALANCE, why="what the application had granted is in no ledger"),
    "row: remaining is changed": Kind(
        user(has_posted), moved(remaining=100), NO, NO, NOT, why=APPLICATIONS),
    "row: remaining is gone": Kind(
        user(has_posted), row_without("remaining"), NO, NO, NOT, why=APPLICATIONS),
    # rows of Jobs
    "job: a mark is gone": Kind(
        job, in_jobs(reconciled=None, reconciledStatus=None, reconciledSequence=None), NO, NO, NOT, why=NOT_THE_LEDGER),
    "job: a mark rests on an entry that there is not": Kind(
        job, in_jobs(reconciledSequence=n(99)), NO, NO, NOT, why=NOT_THE_LEDGER),
    # seals
    "seals: a part is changed": Kind(
        seal("part"), in_seals(lines=s("[]")), NO, YES, LEFT, why=RUNS_DO_NOT_VERIFY, is_single=True),
    "seals: a part is gone": Kind(
        seal("part"), no_seal, NO, YES, LEFT, why=RUNS_DO_NOT_VERIFY, is_single=True),
    "seals: an earlier header is gone": Kind(
        seal("header", last=NO), no_seal, NO, YES, LEFT, why=RUNS_DO_NOT_VERIFY, is_single=True),
    "seals: an earlier header is changed": Kind(
        seal("header", last=NO), in_seals(entries=n(99)), NO, YES, LEFT, why=RUNS_DO_NOT_VERIFY, is_single=True),
    "seals: the count of the last header is changed": Kind(
        seal("header", last=YES), in_seals(total=n(999)), YES, YES, LEFT, is_single=True),
    "seals: the last header is gone": Kind(
        seal("header", last=YES), no_seal, NO, NO, NOT, is_single=True,
        why="a chain that is cut at its end is whole: --head with the hash from the run's log shows it"),
}  # fmt: skip
"""By what is done."""
