"""What a log says of itself: which entries follow from each other, and which cannot."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.audit.logs import Fault, faults, settled
from engine.ledger.audits import Line
from engine.ledger.moved import sum_of


def line(sequence: int, kind: str, amount: str | None, cost: str | None, **more: object) -> Line:
    """Return an entry of job j-1 of user u-1."""
    numbers = [Decimal(number) if number is not None else None for number in (amount, cost)]
    fields = {"reference": "job#j-1", "user": "u-1", "is_correction": False} | more
    return Line(sequence=sequence, type=kind, amount=numbers[0], cost=numbers[1], **fields)  # type: ignore[arg-type]


DEBIT = line(1, "debit", "-0.8", "0.8")
REFUND = line(2, "refund", "0.8", "0")
AGAIN = line(3, "debit", "-0.5", "0.5")
REFUSED = line(1, "flag", "0", "0.8")


KNOWN = "debit, refund, grant, revoke, adjust, reprice, hold, settle, release, flag, void"


def held(sequence: int, kind: str, amount: str, cost: str, more: str | None, **fields: object) -> Line:
    """Return an entry after which so many credits more are held."""
    return line(sequence, kind, amount, cost, held=Decimal(more) if more is not None else None, **fields)


HOLD = held(1, "hold", "-2", "2", "2")
SETTLE = held(2, "settle", "0.5", "1.5", "-2")
RELEASE = held(2, "release", "2", "0", "-2")
OF_ANOTHER = line(1, "flag", "0", "0", user="u-2", names_its_user=False)


@pytest.mark.parametrize(
    "log",
    [
        [],
        [DEBIT],
        [DEBIT, REFUND],
        [DEBIT, REFUND, AGAIN],
        [line(1, "void", "0", "0"), line(2, "void", "0", "0")],
        [REFUSED],
        [REFUSED, line(2, "flag", "0", "0.8"), line(3, "debit", "-0.8", "0.8")],
        [DEBIT, line(2, "flag", "0", "0.8")],
        [DEBIT, line(2, "refund", "0.4", "0.4")],
        [line(1, "grant", "100", "-100"), line(2, "grant", "-40", "-60")],
        [line(1, "debit", "-0.8", None)],
        [HOLD, SETTLE],
        [HOLD, RELEASE],
        [HOLD, RELEASE, held(3, "hold", "-3", "3", "3")],
        [HOLD, held(2, "hold", "1", "1", "-1")],
        [HOLD, held(2, "settle", "0", "2", "-2")],
        [HOLD, held(2, "settle", "0", "5", "-2"), line(3, "debit", "-3", "5")],
        [line(1, "flag", "0", "5"), held(2, "hold", "-3", "8", "3"), held(3, "release", "3", "5", "-3")],
        [HOLD, held(2, "adjust", "0.5", "1.5", "-0.5"), held(3, "settle", "0", "1.5", "-1.5")],
        [line(1, "debit", "-5", "5"), held(2, "hold", "0", "5", "0"), held(3, "release", "0", "5", "0")],
        [OF_ANOTHER, held(2, "hold", "-2", "2", "2")],
        [OF_ANOTHER],
    ],
    ids=[
        "nothing",
        "a debit",
        "debit and refund",
        "charged again",
        "voids",
        "refused",
        "refused, then charged",
        "flagged afterwards",
        "half refunded",
        "a grant that was too large",
        "an entry of the first form",
        "held, then charged less",
        "held and released",
        "held again",
        "a smaller hold of a higher attempt",
        "charged just what was held",
        "charged more than was held, the rest refused and then paid",
        "held above a charge that was refused",
        "conceded while it is held",
        "a hold below what is charged already",
        "another's request was refused before",
        "nothing but a request that was refused",
    ],
)
def test_what_the_engine_writes_follows(log: list[Line]) -> None:
    """No alarm for any of it."""
    assert [] == faults(log)
    assert settled(log) == sum_of(line.moves for line in log).amount


@pytest.mark.parametrize(
    ("log", "where", "problem"),
    [
        ([REFUND], 1, "is missing"),
        ([DEBIT, AGAIN], 2, "is missing"),
        ([line(4, "debit", "-0.5", "0.5")], 1, "and those up to 3 are missing"),
        ([line(1, "debit", "-0.5", "0.8")], 1, "with it the entries add up to -0.5; -0.8 follows from its cost"),
        ([DEBIT, line(2, "refund", "8", "0")], 2, "with it the entries add up to 7.2; 0 follows from its cost"),
        ([line(1, "debit", None, "0.8")], 1, "its amount is no number"),
        ([line(1, "debit", "0.8", "-0.8")], 1, "its amount is 0.8; of a debit it is below 0"),
        ([line(1, "refund", "-0.8", "0.8")], 1, "its amount is -0.8; of a refund it is above 0"),
        ([line(1, "void", "-0.8", "0.8")], 1, "its amount is -0.8; of a void it is 0"),
        ([line(1, "grant", "0", "0")], 1, "its amount is 0; of a grant it is not 0"),
        ([line(1, "gift", "5", "-5")], 1, f"its type is 'gift'; one of {KNOWN} is needed"),
        ([DEBIT, line(2, "refund", "0.8", "0", user="u-2")], 2, "its user is 'u-2'; the log is of 'u-1'"),
        ([line(1, "void", "0", "0.8")], 1, "with it the entries add up to 0; -0.8 follows from its cost"),
        ([held(1, "hold", "-2", "2", None)], 1, "what it holds is no number"),
        ([held(1, "hold", "-2", "2", "0.5")], 1, "with it the entries add up to -2; -0.5 follows from its cost"),
        ([HOLD, held(2, "settle", "0.5", "1.5", "-1.5")], 2, "it ends the hold, and 0.5 are still held"),
        ([HOLD, held(2, "release", "2", "0", "-3")], 2, "with it -1 are held; less than nothing cannot be"),
        ([HOLD, held(2, "settle", "0.4", "1.5", "-2")], 2, "with it the entries add up to -1.6; -1.5 follows from its cost"),
        ([line(1, "refund", "0", "0")], 1, "its amount is 0; of a refund it is above 0"),
        ([HOLD, held(2, "settle", "0.5", "1.5", "-2", user="u-2")], 2, "its user is 'u-2'; the log is of 'u-1'"),
        ([line(1, "flag", "0", "0", user=None, names_its_user=False)], 1, "its user is missing; the log is of missing"),
    ],
)
def test_what_was_done_to_a_log_is_named_with_its_place(log: list[Line], where: int, problem: str) -> None:
    """By the first thing that does not follow."""
    assert Fault("job#j-1", where, problem) == faults(log)[0]


@pytest.mark.parametrize("reference", ["x", "", "j-1", "Job#j-1", "jobs#j-1"])
def test_a_log_of_no_kind_is_named_though_its_entry_moves_nothing(reference: str) -> None:
    """A claim of an id that stands there adds up all the same. Once it was corrected it is done with."""
    void = line(1, "void", "0", "0", reference=reference)
    corrected = line(2, "flag", "0", "0", reference=reference, is_correction=True)
    problem = f"its log is {reference!r}; one that begins with job#, grant#, adjust#, repair# is needed"

    assert [Fault(reference, 1, problem)] == faults([void])
    assert [] == faults([void, corrected])


@pytest.mark.parametrize("reference", ["grant#p-1", "adjust#a-1", "repair#u-1"])
def test_a_log_of_each_kind_is_none_that_is_named(reference: str) -> None:
    """Not only a job's."""
    assert [] == faults([line(1, "void", "0", "0", reference=reference)])


def test_one_wrong_amount_is_told_once() -> None:
    """Though all sums behind it are wrong as well."""
    assert 1 == len(faults([line(1, "debit", "-0.7", "0.8"), REFUND, AGAIN]))


def test_what_stands_before_a_correction_was_put_right_by_it() -> None:
    """What comes after it is looked at as ever."""
    corrected = [line(1, "debit", "-0.5", "0.8"), line(2, "debit", "-0.3", "0.8", is_correction=True)]

    assert [] == faults(corrected)
    assert [] == faults([*corrected, line(3, "refund", "0.8", "0")])
    assert ["with it the entries add up to -0.3; 0 follows from its cost"] == [
        fault.problem for fault in faults([*corrected, line(3, "refund", "0.5", "0")])
    ]


def test_a_correction_must_itself_add_up() -> None:
    """Else nothing behind it would be worth anything."""
    assert "with it the entries add up to -0.7; -0.8 follows from its cost" == (
        faults([line(1, "debit", "-0.5", "0.8"), line(2, "debit", "-0.2", "0.8", is_correction=True)])[0].problem
    )


def test_a_correction_says_whose_log_it_is() -> None:
    """After an entry that somebody gave to another user."""
    log = [line(1, "debit", "-0.8", "0.8", user="u-2"), line(2, "refund", "0.8", "0", user="u-2", is_correction=True)]
    log.append(line(3, "debit", "-0.8", "0.8", is_correction=True))

    assert [] == faults([*log, line(4, "refund", "0.8", "0")])
    assert 1 == len(faults([*log, line(4, "refund", "0.8", "0", user="u-2")]))
