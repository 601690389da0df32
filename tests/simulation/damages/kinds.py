"""Every kind of damage: to what it is done, what is done, and what a person has to say or cannot know."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen

from engine.audit.repair import Wrong
from tests.simulation.damages import doing, objects
from tests.simulation.damages.doing import AHEAD, BACK, FORGER, put_in, replaced
from tests.simulation.damages.targets import anything
from tests.simulation.world.damage_done import (
    Pick,
    all_removed,
    another_cost,
    another_sign,
    another_user,
    changed,
    cost_of_doubled,
    doubled,
    entry,
    has_posted,
    in_jobs,
    job,
    moved,
    n,
    no_row,
    other_facts,
    removed,
    row_with,
    row_without,
    s,
    user,
)


@frozen
class Kind:
    """One kind of damage.

    ``said``: which side a person says is wrong where sums disagree. ``undecidable``: why nothing can tell it, or put it right;
    what is expected of it then is that it is not noticed, or not put right.
    """

    pick: Pick
    do: Any
    said: Wrong | None = None
    undecidable: str = ""
    is_seen: bool = True
    """Whether it has to be noticed and named; what is undecidable may be."""
    is_mended: bool = True
    """Whether all has to be as if it had not been done."""
    of_archive: bool = False
    """It is done to the archive itself."""
    is_harmless: bool = False
    """In the end nothing is otherwise."""


POSTED, BALANCE, ENTRIES = Wrong.POSTED, Wrong.BALANCE, Wrong.ENTRIES
LIKE_A_POSTING = "entry and balance agree, and the entry follows: it is like a posting of this system"
OF_NOBODY = "it is of nobody: no balance can be wrong by it, so that nothing is taken back; it is named as long as it stands"
NO_WORDS = "nothing is decided by an explanation: of one that is gone an audit says no more than that it is missing"
THE_APPLICATIONS = "remaining is the application's too: only posted is held to the ledger"
NOT_THE_LEDGER = "marks are no part of the ledger; the next scan settles a row that is not marked"
OPENING = "what the application had granted is in no ledger"


def unseen(pick: Pick, do: Any, why: str) -> Kind:
    """Return a kind that nothing can tell from what is right."""
    return Kind(pick, do, undecidable=why, is_seen=False, is_mended=False)


def of_archive(pick: Any, do: Any, *, is_seen: bool = True) -> Kind:
    """Return a kind that is done to the archive itself: it is named, and no entry is touched for it."""
    return Kind(pick, do, of_archive=True, is_seen=is_seen, is_mended=False)


CHANGED: Mapping[str, Kind] = {
    "changed: amount": Kind(entry("moves"), changed(amount=doubled)),
    "changed: amount and cost of the last": Kind(
        entry("moves", "is_last"), changed(amount=doubled, cost=cost_of_doubled), ENTRIES
    ),
    "changed: amount and cost of an earlier one": Kind(
        entry("moves", "is_not_last"), changed(amount=doubled, cost=cost_of_doubled)
    ),
    "changed: amount is gone": Kind(entry("moves"), changed(amount=None)),
    "changed: amount is a text": Kind(entry("moves"), changed(amount=s("-1"))),
    "changed: amount is a set": Kind(entry("moves"), changed(amount={"NS": ["1", "2"]})),
    "changed: amount has 38 digits": Kind(entry("moves"), changed(amount={"N": "9" * 38}), ENTRIES),
    "changed: user of the only entry": Kind(entry("moves", "is_alone"), another_user, ENTRIES),
    "changed: user of one of several": Kind(entry("is_of_many"), another_user, ENTRIES),
    "changed: user of what moves nothing": Kind(entry("is_still", "is_alone"), another_user),
    "changed: user is gone": Kind(entry("moves"), changed(userId=None), ENTRIES),
    "changed: name of the job": Kind(entry("is_of_job", "is_plain"), changed(jobId=s("j-forged"))),
    "changed: facts": Kind(entry("is_last"), changed(facts=other_facts)),
    "changed: facts of an earlier one": Kind(entry("is_not_last"), changed(facts=other_facts)),
    "changed: facts are gone": Kind(entry("is_last"), changed(facts=None)),
    "changed: facts are a text": Kind(entry("is_last"), changed(facts=s("none"))),
    "changed: cost": Kind(entry("moves"), changed(cost=another_cost)),
    "changed: cost is gone": Kind(entry("moves"), changed(cost=None)),
    "changed: type has the other sign": Kind(entry("moves"), changed(type=another_sign)),
    "changed: type is none": Kind(entry("moves"), changed(type=s("present"))),
    "changed: rule": Kind(entry("is_last"), changed(rule=s("another"))),
    "changed: policy": Kind(entry("is_last"), changed(policy=s("video@000000000000"))),
    "changed: quantity": Kind(entry("has_price"), changed(quantity=n(7777))),
    "changed: rate": Kind(entry("has_rate"), lambda hands, spot: doing.nested(hands, spot, rate=n(7))),
    "changed: price is gone": Kind(entry("has_price"), changed(price=None)),
    "changed: price is a list": Kind(entry("has_price"), changed(price={"L": [n(1)]})),
    "changed: name of the event": Kind(entry("is_plain"), changed(eventId=s("e-forged"))),
    "changed: an attribute more": Kind(entry("is_last"), changed(note=s("paid by hand"))),
    "changed: an attribute thirty levels deep": Kind(entry("is_last"), changed(note=doing.deep(30))),
    "changed: flag is gone": Kind(entry("is_flagged"), changed(anomalies={"L": []}, flagged=None)),
    "changed: anomalies are texts": Kind(entry("is_flagged"), changed(anomalies={"L": [s("dear")]})),
    "changed: it is a repair's": Kind(entry("is_last"), changed(source=s("repair"))),
    "changed: a scan made it": Kind(entry("is_plain", "is_told"), changed(source=s("scan"), eventId=None)),
    "changed: posting time is gone": Kind(entry("is_last"), changed(postedAt=None)),
    "changed: posting time lies ahead": Kind(entry("is_last"), changed(postedAt=s(AHEAD))),
    "changed: posting time lies back": Kind(entry("is_last"), changed(postedAt=s(BACK))),
    "changed: time of the event": Kind(entry("is_last"), changed(occurredAt=s("2026-01-05T00:30:00Z"))),
    "changed: explanation of another": Kind(entry("is_explained"), changed(explanation=doing.words_of("all is well"))),
    "changed: explanation is gone": Kind(
        entry("is_explained"), changed(explanation=None), undecidable=NO_WORDS, is_seen=False, is_harmless=True
    ),
    "changed: explanation is a text": Kind(entry("is_explained"), changed(explanation=s("all is well"))),
    "changed: explanation of what is not flagged": unseen(
        entry("is_no_flagged"), changed(explanation=doing.words_of("all is well")),
        "an explanation is added later; whose words it has nothing proves, and nothing is decided by it",
    ),
    "changed: two amounts are exchanged": Kind(entry("moves", "other_moves"), doing.exchanged),
    "changed: two amounts and costs, of opposite sign": Kind(entry("moves", "is_plain", "other_moves"), doing.shifted),
    "changed: user of a whole log": Kind(entry("moves_in_all"), doing.given_away, ENTRIES),
    "changed: user of a whole log, with both balances": Kind(entry("moves_in_all"), doing.given_away_with_balances, ENTRIES),
}  # fmt: skip

GONE: Mapping[str, Kind] = {
    "gone: the only entry": Kind(entry("is_alone", "moves"), removed, BALANCE),
    "gone: the only entry, which moves nothing": Kind(entry("is_alone", "is_still"), removed),
    "gone: the last of several": Kind(entry("is_last", "is_of_many"), removed, BALANCE),
    "gone: the first of several": Kind(entry("is_first_of_many"), removed),
    "gone: one between others": Kind(entry("is_middle"), removed),
    "gone: a whole log": Kind(entry("is_last", "is_of_many", "moves_in_all"), all_removed, BALANCE),
    "gone: a whole log that comes to nothing": Kind(entry("is_last", "is_of_many", "comes_to_nothing"), all_removed),
    "gone: all of a user": Kind(entry("moves", "is_plain"), doing.all_of_user, BALANCE),
    "gone: an entry, with its balance": Kind(entry("moves", "is_last"), doing.gone_with_its_balance, BALANCE),
    "replaced: by half of it": Kind(
        entry("moves", "is_last"), replaced(amount=doing.half, cost=doing.cost_of_half), ENTRIES
    ),
    "replaced: by itself": Kind(entry("is_last"), replaced(), is_seen=False, is_harmless=True),
    "replaced: by what knows something else": Kind(entry("is_last"), replaced(facts=other_facts)),
    "replaced: by another's": Kind(entry("is_last", "is_alone"), replaced(userId=s(FORGER)), ENTRIES),
}  # fmt: skip

PUT_IN: Mapping[str, Kind] = {
    "put in: a gift": Kind(entry("moves"), put_in(), ENTRIES),
    "put in: a gift, with its balance": Kind(entry("moves"), put_in(paid=True), ENTRIES),
    "put in: what moves nothing": unseen(entry("moves"), put_in(Decimal(0)), LIKE_A_POSTING),
    "put in: a gift that is dated back": Kind(entry("moves"), put_in(postedAt=s(BACK)), ENTRIES),
    "put in: a gift that is dated back, with its balance": Kind(entry("moves"), put_in(postedAt=s(BACK), paid=True), ENTRIES),
    "put in: a gift that is dated ahead, with its balance": Kind(
        entry("moves"), put_in(postedAt=s(AHEAD), paid=True), ENTRIES
    ),
    "put in: a gift without a time": Kind(entry("moves"), put_in(postedAt=None), ENTRIES),
    "put in: a gift without a time, with its balance": Kind(entry("moves"), put_in(postedAt=None, paid=True), ENTRIES),
    "put in: a gift at place 1.5": Kind(entry("moves"), doing.half_a_place, ENTRIES),
    "put in: a gift at place 0": Kind(entry("moves"), put_in(sequence=n(0)), ENTRIES),
    "put in: a gift at place -1, with its balance": Kind(entry("moves"), put_in(sequence=n(-1), paid=True), ENTRIES),
    "put in: a gift for nobody": Kind(
        entry("moves"), put_in(userId=None), ENTRIES, undecidable=OF_NOBODY, is_mended=False
    ),
    "put in: a gift whose amount is a text": Kind(entry("moves"), put_in(amount=s("500")), ENTRIES),
    "put in: nothing but a key": Kind(entry("moves"), doing.key_alone),
    "put in: a thousand places behind": Kind(entry("is_last"), doing.far_behind),
    "put in: what knows something else": Kind(entry("is_last", "is_of_job"), doing.knows_more),
    "put in: a refund": Kind(entry("is_last", "is_of_job", "moves_in_all"), doing.refunded(paid=False), ENTRIES),
    "put in: a refund, with its balance": Kind(
        entry("is_last", "is_of_job", "moves_in_all"), doing.refunded(paid=True), ENTRIES
    ),
    "put in: a debit, with its balance": Kind(entry("moves"), doing.taken_from, ENTRIES),
}  # fmt: skip

SAID: Mapping[str, Kind] = {
    "forged: a correction": Kind(entry("is_last"), doing.corrected(paid=False), ENTRIES),
    "forged: a correction, with its balance": Kind(entry("is_last"), doing.corrected(paid=True), ENTRIES),
    "forged: a correction of a doubled debit": Kind(entry("is_last", "is_debit"), doing.doubled_and_corrected, ENTRIES),
    "forged: a correction of what is gone": Kind(entry("is_last", "moves"), doing.gone_and_corrected, ENTRIES),
    "forged: a correction that cannot be read": Kind(entry("is_last"), doing.unreadable_correction),
    "forged: an adjustment": Kind(entry("moves"), doing.adjusted(paid=False), ENTRIES),
    "forged: an adjustment, with its balance": unseen(entry("moves"), doing.adjusted(paid=True), LIKE_A_POSTING),
    "forged: the claim of a concession": Kind(entry("is_of_job", "moves"), doing.claimed),
    "forged: who has said a word": Kind(entry("is_word"), doing.spoken_by_another),
    "word: the amount of a concession": Kind(entry("is_concession", "moves"), changed(amount=doubled)),
    "word: a concession is gone": Kind(entry("is_concession", "moves"), removed, BALANCE),
    "word: the claim of a concession is gone": Kind(entry("is_claim"), removed),
    "word: the amount of an adjustment": Kind(
        entry("is_adjustment"), changed(amount=doubled, cost=cost_of_doubled), ENTRIES
    ),
    "word: an adjustment is gone": Kind(entry("is_adjustment"), removed, BALANCE),
    "word: the facts of a new price": Kind(entry("is_repriced", "is_last"), changed(facts=other_facts)),
    "word: a new price is gone": Kind(entry("is_repriced", "is_last"), removed, BALANCE),
    "correction: its amount": Kind(entry("is_correction"), changed(amount=n(9)), ENTRIES),
    "correction: it is gone": Kind(entry("is_correction"), removed, BALANCE),
}  # fmt: skip

ROWS: Mapping[str, Kind] = {
    "row: posted is raised": Kind(user(has_posted), moved(posted=5), POSTED),
    "row: posted is lowered": Kind(user(has_posted), moved(posted=-5), POSTED),
    "row: posted is gone": Kind(user(has_posted), row_without("posted"), POSTED),
    "row: posted is a text": Kind(user(has_posted), row_with(posted=lambda row: s(row["posted"]["N"])), POSTED),
    "row: posted is a set": Kind(user(has_posted), row_with(posted=lambda row: {"NS": [row["posted"]["N"]]}), POSTED),
    "row: posted moves to another's": Kind(user(has_posted), doing.to_another_row, POSTED),
    "row: a balance moves without its entry": Kind(user(has_posted), doing.row_and_balance, BALANCE),
    "row: it is gone": Kind(user(has_posted), no_row, BALANCE, undecidable=OPENING, is_mended=False),
    "row: remaining is changed": unseen(user(has_posted), moved(remaining=100), THE_APPLICATIONS),
    "row: remaining is gone": unseen(user(has_posted), row_without("remaining"), THE_APPLICATIONS),
    "job: a mark is gone": Kind(job, doing.no_mark, undecidable=NOT_THE_LEDGER, is_seen=False, is_harmless=True),
    "job: a mark rests on no entry": Kind(
        job, in_jobs(reconciledSequence=n(99)), undecidable=NOT_THE_LEDGER, is_seen=False, is_harmless=True
    ),
}  # fmt: skip

A_CHECKPOINT = objects.an_object("checkpoints/heads/", last=True)

OF_ARCHIVE: Mapping[str, Kind] = {
    "archive: an earlier object is gone": of_archive(objects.an_object("entries/", last=False), objects.gone),
    "archive: the last object is gone": of_archive(objects.an_object("entries/", last=True), objects.gone),
    "archive: an object is something else": of_archive(objects.an_object("entries/"), objects.junk),
    "archive: an object says something else": of_archive(objects.an_object("entries/"), objects.altered),
    "archive: something else among the objects": of_archive(anything, objects.put_junk, is_seen=False),
    "archive: a branch": of_archive(objects.some_entry, objects.branch, is_seen=False),
    "archive: a branch that the head names": of_archive(objects.some_entry, objects.branch_with_head),
    "archive: the head goes back": of_archive(objects.more_than_one, objects.head_back),
    "archive: the head names nothing": of_archive(anything, objects.head_nowhere),
    "archive: the head is gone": of_archive(anything, objects.no_head),
    "archive: a checkpoint is gone": of_archive(A_CHECKPOINT, objects.gone, is_seen=False),
    "archive: a checkpoint is something else": of_archive(A_CHECKPOINT, objects.junk),
    "archive: a checkpoint says something else": of_archive(A_CHECKPOINT, objects.altered),
    "archive: a plan is gone": of_archive(objects.an_object("plans/"), objects.gone),
    "archive: a plan says something else": of_archive(objects.an_object("plans/"), objects.altered),
}  # fmt: skip

DRAWN: Mapping[str, Kind] = {**CHANGED, **GONE, **PUT_IN, **SAID, **ROWS, **OF_ARCHIVE}

LATER: Mapping[str, Kind] = {
    "forged: the id of a concession on another job": Kind(
        entry("is_last", "is_of_job", "is_due", "others_have_a_concession"), doing.told_twice(paid=False)
    ),
    "forged: the id of a concession on another job, with the balance": Kind(
        entry("is_last", "is_of_job", "is_due", "others_have_a_concession"), doing.told_twice(paid=True)
    ),
}  # fmt: skip
"""Kinds that came later: drawn beside the others, so that a seed which was noted down goes on saying the same trial."""

OF_HELD: Mapping[str, Kind] = {
    "row: held is raised": Kind(user(has_posted), moved(held=5), POSTED),
    "row: held is a text": Kind(user(has_posted), row_with(held=lambda _row: s("5")), POSTED),
    "changed: what it holds": Kind(entry("moves"), changed(held=n(7))),
}
"""What is done to what is held of a user's credits: each is played by itself, and no seed draws it."""

KINDS: Mapping[str, Kind] = {**DRAWN, **LATER, **OF_HELD}
"""By what is done."""
