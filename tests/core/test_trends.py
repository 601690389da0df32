"""What only many events show: counted and measured by the scheduled run, flagged without moving a credit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.anomalies.look_back import longest
from engine.audit.recount import recount
from engine.domain.anomaly import Anomaly, Excerpt, Sign
from engine.domain.facts import Facts
from engine.domain.log import JobLog
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.stored import entry_of, excerpt_of
from engine.policy import Policy
from engine.preview.reasons import reasons_for
from engine.rating import trends
from engine.rating.baselines import Baseline, Baselines
from engine.rating.decide import mark_only
from engine.rating.detectors import LATER
from engine.rating.trends import LookBack, Trend
from tests.support.books import Books
from tests.support.clock import START
from tests.support.events import failed, rendered
from tests.support.planned_by_engine import plan
from tests.support.policies import example
from tests.support.steps import Steps

PLENTY = {"u-1": Decimal(1000), "u-2": Decimal(1000)}


def policy(*anomalies: str) -> Policy:
    """Return the example policy with more anomalies."""
    lines = "".join(f"  - {anomaly}\n" for anomaly in anomalies)
    return example(("catch_up:\n", f"{lines}catch_up:\n"))


BURST = policy("{name: burst, frequency: {same: detail.userId, more_than: 2, within: 10m}, reason: look at it}")
TWICE = policy("{name: twice, frequency: {same: [detail.userId, detail.prompt], more_than: 1, within: 1d}}")
FALLING = policy(
    "{name: falling, drift: {value: charge.amount, group: detail.model, below: 0.5, last: 5, within: 1h, samples: 30}}"
)
USUAL = Baselines({"charge.amount by detail.model": {"veo-3": Baseline(Decimal("1.0"), Decimal("0.1"), 30)}}, START)


def flagged(which: Policy, *documents: dict[str, Any], baselines: Baselines = USUAL) -> list[str]:
    """Return the jobs that a look back flags after these events."""
    books = Books(which, dict(PLENTY), baselines)
    books.deliver(*documents)
    books.look_back()
    return [entries[0].job or "" for entries in books.entries.values() if entries[-1].type.value == "flag"]


# --- too often --------------------------------------------------------------------------------------------------------


def jobs(*times: str, user: str = "u-1") -> list[dict[str, Any]]:
    """Return a rendered job for each time of day; they are called by it."""
    return [rendered(f"j-{at}", user=user, at=at) for at in times]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (("10:00", "10:05"), []),
        (("10:00", "10:05", "10:10"), ["j-10:10"]),
        (("10:00", "10:05", "10:11"), []),
        (("10:10", "10:00", "10:05"), ["j-10:10"]),  # however they arrive
        (("10:00", "10:01", "10:02", "10:03", "10:04", "10:05"), ["j-10:02", "j-10:04"]),  # as many again
        (("10:00", "10:01", "10:02", "10:03", "12:00"), ["j-10:02"]),
    ],
)
def test_the_job_that_is_one_too_many_is_flagged(times: tuple[str, ...], expected: list[str]) -> None:
    """More than two within ten minutes, both bounds included; then the count begins anew with it."""
    assert expected == flagged(BURST, *jobs(*times))


def test_each_user_is_counted_alone() -> None:
    """Three jobs of two users are no burst."""
    assert [] == flagged(BURST, *jobs("10:00", "10:01"), *jobs("10:02", "10:03", user="u-2"))


def test_a_job_counts_once() -> None:
    """Rendered three times, and its event came twice: one job."""
    again = [rendered("j-1", at=at, seconds=seconds) for at, seconds in (("10:00", 8), ("10:01", 9), ("10:02", 7))]

    assert [] == flagged(BURST, *again, again[0])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a cat", "a cat", ["j-2"]),
        ("a cat", "a dog", []),
        (None, None, []),
        ("", "", []),
        (True, True, []),
        ({"text": "a cat"}, {"text": "a cat"}, []),
        (8, Decimal("8.0"), ["j-2"]),
        (8, "8", []),
        ("\ud800", "\ud800", ["j-2"]),
        (Decimal("1E+999999"), Decimal("1E+999999"), []),
    ],
)
def test_the_same_is_a_text_or_a_number(first: Any, second: Any, expected: list[str]) -> None:
    """However the number is written; what says nothing is the same as nothing."""
    assert expected == flagged(TWICE, rendered("j-1", prompt=first), rendered("j-2", prompt=second))


def test_values_do_not_run_into_each_other() -> None:
    """`a` and `bc` are not `ab` and `c`."""
    books = Books(TWICE, {"a": Decimal(9), "ab": Decimal(9)})
    books.deliver(rendered("j-1", user="a", prompt="bc"), rendered("j-2", user="ab", prompt="c"))
    signs = [books.entries_of(job)[0].signs for job in ("j-1", "j-2")]

    assert [("twice", 12), ("twice", 12)] == [(sign.name, len(sign.key)) for (sign,) in signs]
    assert signs[0] != signs[1]


def test_only_what_matches_is_counted() -> None:
    """Failures are not renders."""
    failures = policy(
        "{name: failures, match: {detail-type: [video.failed]}, frequency: {same: detail.userId, more_than: 1, within: 1h}}"
    )

    assert ["j-3"] == flagged(failures, rendered("j-1"), failed("j-2", at="11:00"), failed("j-3", at="12:00"))


def test_the_figures_say_how_many_and_since_when() -> None:
    """They are what an explanation is made of."""
    books = Books(BURST, dict(PLENTY))
    books.deliver(*jobs("10:00", "10:05", "10:10"))
    books.look_back()

    flag = books.entries_of("j-10:10")[-1]
    assert [("burst", "look at it")] == [(anomaly.name, anomaly.reason) for anomaly in flag.anomalies]
    assert {"jobs": "3", "first": "job#j-10:00", "since": "2026-01-05T10:00:00Z"} == dict(flag.anomalies[0].figures)
    assert ("burst", flag.facts.flags[0][1]) == ("burst", flag.occurred_at)


# --- falling ----------------------------------------------------------------------------------------------------------


def charges(*seconds: float, model: str = "veo-3", minutes: int = 1) -> list[dict[str, Any]]:
    """Return a job of each length at 0.10 a second, some minutes apart."""
    return [
        rendered(
            f"j-{n}", user=f"u-{n % 2 + 1}", seconds=length, model=model, at=f"{10 + n * minutes // 60}:{n * minutes % 60:02}"
        )
        for n, length in enumerate(seconds)
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ((4, 4, 4, 4), []),
        ((4, 4, 4, 4, 4), ["j-4"]),
        ((5, 5, 5, 5, 5), []),  # half is not less than half
        ((10, 10, "4.999", 4, 4), ["j-4"]),  # the median of the last five is 0.4999
        ((10, 10, 10, 4, 4), []),
        ((10, 10, 4, 4, 4, 4, 4, 4, 4, 4), ["j-4", "j-9"]),
        ((10, 9, 8, 7, 6, 5, 4.9, 4.8, 4.7), ["j-8"]),  # creeping
    ],
)
def test_charges_fall_when_their_median_is_less_than_a_share_of_the_usual(
    seconds: tuple[Any, ...], expected: list[str]
) -> None:
    """Of the last five, and less than half of 1.00; then it begins anew."""
    assert expected == flagged(FALLING, *charges(*seconds))


@pytest.mark.parametrize(
    ("documents", "baselines"),
    [
        (charges(4, 4, 4, 4, 4, minutes=16), USUAL),
        (charges(4, 4, 4, 4, 4, model="never-seen"), USUAL),
        (charges(4, 4, 4, 4, 4), Baselines()),
        (
            charges(4, 4, 4, 4, 4),
            Baselines({"charge.amount by detail.model": {"veo-3": Baseline(Decimal(1), Decimal(0), 29)}}),
        ),
    ],
    ids=["too far apart", "an unknown group", "no baseline", "too few samples"],
)
def test_what_cannot_be_compared_has_not_fallen(documents: list[dict[str, Any]], baselines: Baselines) -> None:
    """Nobody is woken by it."""
    assert [] == flagged(FALLING, *documents, baselines=baselines)


# --- looking back again -----------------------------------------------------------------------------------------------


def test_a_look_that_begins_elsewhere_comes_to_the_same() -> None:
    """What an earlier one has flagged is where the count begins anew."""
    books = Books(BURST, dict(PLENTY))
    times = [f"10:{minute:02}" for minute in range(20)]
    books.deliver(*jobs(*times))
    books.look_back()
    seen = [entry.excerpt for entries in books.entries.values() for entry in entries]

    for begin in range(20):
        later = LookBack(BURST, Baselines())
        later.add(one for one in seen if one.at.minute >= begin)
        assert [] == list(later.trends())


def test_a_look_back_that_is_repeated_flags_nothing_more() -> None:
    """The count began anew at 10:10; that the job was rendered again at 10:12 makes its ten minutes no longer, in any look."""
    books = Books(BURST, dict(PLENTY))
    books.deliver(*jobs("10:00", "10:05", "10:10"), rendered("j-10:10", at="10:12", seconds=9), *jobs("10:15", "10:21"))

    looks = []
    for _ in range(3):
        books.look_back()
        looks.append([entries[0].job for entries in books.entries.values() if entries[-1].type.value == "flag"])
    assert [["j-10:10"]] * 3 == looks


def test_a_look_in_between_changes_nothing() -> None:
    """The count began anew behind j-4; that j-4 was charged again is the first of the next five, whoever has looked before."""
    first, again = charges(4, 4, 4, 4, 4), rendered("j-4", user="u-1", seconds=3, at="10:05")
    later = [rendered(f"j-{n}", seconds=4, at=f"10:{n:02}") for n in range(6, 10)]
    looked = Books(FALLING, dict(PLENTY), USUAL)
    looked.deliver(*first)
    looked.look_back()
    looked.deliver(again, *later)
    looked.look_back()

    assert ["job#j-4", "job#j-9"] == [
        reference for reference, entries in looked.entries.items() if any(entry.type.value == "flag" for entry in entries)
    ]
    assert ["j-9"] == flagged(FALLING, *first, again, *later)[-1:]


def test_what_comes_late_is_counted_at_its_own_time() -> None:
    """It is the third of then, though it is told of hours later."""
    books = Books(BURST, dict(PLENTY))
    books.deliver(*jobs("10:00", "10:09", "15:00"))
    books.look_back()
    books.deliver(*jobs("10:05"))
    books.look_back()
    books.look_back()

    assert ["debit", "flag"] == [kind for kind, _ in books.lines("j-10:09")]
    assert ["debit"] == [kind for kind, _ in books.lines("j-15:00")]


# --- the scheduled run ------------------------------------------------------------------------------------------------


def test_the_scheduled_run_flags_and_moves_nothing() -> None:
    """Once: the next run finds nothing new. The books agree, counted again as well."""
    steps = Steps(BURST)
    steps.deliver(*jobs("10:00", "10:05", "10:10"))
    before = dict(steps.ledger.balances)

    answers = [steps.scheduled()["lookBack"] for _ in range(2)]

    assert [{"entries": 3, "flags": 1, "unread": False}, {"entries": 4, "flags": 0, "unread": False}] == answers
    assert before == steps.ledger.balances
    assert [("debit", Decimal("-0.8")), ("flag", Decimal(0))] == [
        (e.type.value, e.amount) for e in steps.ledger.lines("j-10:10")
    ]
    assert not any(count.failed for count in recount(steps.ledger.lines("j-10:10")))
    assert [1] == [line["Flags"] for line in steps.lines if line.get("message") == "looked back" and "Flags" in line]


def test_a_flag_does_not_post_what_is_still_due() -> None:
    """The balance did not cover it; only its own event or a scan tries again."""
    steps = Steps(
        example(
            ("overdraft: flag", "overdraft: refuse"),
            ("catch_up:\n", "  - {name: burst, frequency: {same: detail.userId, more_than: 2, within: 10m}}\ncatch_up:\n"),
        ),
        balance="1.60",
    )
    steps.deliver(*jobs("10:00", "10:05", "10:10"))
    steps.ledger.balances["u-1"] = Decimal(1000)

    assert 1 == steps.scheduled()["lookBack"]["flags"]
    assert [("flag", 0), ("flag", 0)] == [(entry.type.value, entry.amount) for entry in steps.ledger.lines("j-10:10")]
    assert not any(count.failed for count in recount(steps.ledger.lines("j-10:10")))

    steps.deliver(*jobs("10:10"))
    assert Decimal("-0.8") == steps.ledger.lines("j-10:10")[-1].amount


def test_a_flag_is_of_the_user_whose_log_it_is() -> None:
    """A correction has given the log back to u-1; the entry that is one too many still names u-2."""
    seen = Excerpt("job#j-1", "j-1", "u-2", datetime(2026, 1, 5, 10, tzinfo=UTC))
    log = JobLog(3, "u-1", Facts(), Decimal("0.8"), Decimal("-0.8"))

    decision = mark_only(trends.flagged(Trend(seen, Anomaly("burst-of-one-user"))), log, example())

    assert decision.entry is not None
    assert ("u-1", Decimal(0), Decimal("0.8"), 4) == (
        decision.entry.user, decision.entry.amount, decision.entry.cost, decision.entry.sequence,
    )  # fmt: skip


def test_an_event_after_the_flag_goes_on_as_ever() -> None:
    """A duplicate is one still, and a refund gives all of it back."""
    steps = Steps(BURST)
    steps.deliver(*jobs("10:00", "10:05", "10:10"))
    steps.scheduled()

    reports = steps.deliver(*jobs("10:10"), failed("j-10:10"))

    assert ["duplicate", "refunded"] == [report.outcome.value for report in reports]
    assert Decimal(0) == sum(entry.amount for entry in steps.ledger.lines("j-10:10"))


def test_a_ledger_that_cannot_be_read_does_not_stop_the_run() -> None:
    """The money has moved before; the answer and the log say what is wrong."""
    steps = Steps(BURST)
    steps.deliver(*jobs("10:00"))
    steps.ledger.down = True

    answer = steps.scheduled()

    assert "LedgerRefused: ResourceNotFoundException" == answer["lookBack"]["problem"]
    assert ["ERROR"] == [line["level"] for line in steps.lines if line.get("message") == "looked back"]


def test_more_than_can_be_held_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was seen is flagged; that something was not seen is said."""
    monkeypatch.setattr("engine.anomalies.look_back.ENTRIES_MAX", 3)
    steps = Steps(BURST)
    steps.deliver(*jobs("10:00", "10:05", "10:10"))

    assert {"entries": 3, "flags": 1, "unread": True} == steps.scheduled()["lookBack"]


def test_a_policy_that_looks_for_no_such_thing_reads_nothing() -> None:
    """The scheduled run costs what it has cost."""
    steps = Steps(example())
    steps.ledger.down = True

    assert "lookBack" not in steps.scheduled()


def test_a_look_reaches_as_far_as_the_longest_pattern() -> None:
    """Of all of them together."""
    both = policy(
        "{name: often, frequency: {same: detail.userId, more_than: 2, within: 2h}}",
        "{name: falling, drift: {value: charge.amount, group: detail.model, below: 0.5, last: 5, within: 3d, samples: 30}}",
    )

    assert [timedelta(days=3), timedelta(minutes=10), None] == [longest(which) for which in (both, BURST, example())]


# --- without a ledger -------------------------------------------------------------------------------------------------


def test_a_plan_looks_back_as_well() -> None:
    """Once, after all events, under both policies."""
    both = plan(jobs("10:00", "10:05", "10:10"), example(), BURST)

    assert {"burst": (0, 1)} == both.anomalies
    assert ("anomaly burst is new",) == both.changes
    assert () == both.differences


def test_an_event_alone_is_said_to_be_counted() -> None:
    """Whether it is one too many, `explain` cannot know."""
    tried = [one for which in (BURST, FALLING) for one in reasons_for(rendered(), which).tried]

    assert [LATER, LATER] == [one.difference for one in tried if one.name in {"burst", "falling"}]


# --- entries ----------------------------------------------------------------------------------------------------------


def test_an_entry_keeps_what_it_is_counted_by() -> None:
    """There and back, and what a look sees of the item is what it sees of the entry."""
    books = Books(BURST, dict(PLENTY))
    books.deliver(*jobs("10:00", "10:05", "10:10"))
    books.look_back()

    for entry in books.entries_of("j-10:10"):
        stored = decode_item(item_of(entry, START))
        assert (entry.signs, entry.excerpt) == (entry_of(stored).signs, excerpt_of(stored))
    assert ["burst"] == [sign.name for sign in books.entries_of("j-10:10")[0].signs]
    assert "signs" not in item_of(books.entries_of("j-10:10")[1], START)


def test_an_entry_of_an_earlier_version_is_counted_by_nothing() -> None:
    """It has no signs."""
    old = {"reference": "job#j-1", "userId": "u-1", "occurredAt": "2026-01-05T10:00:00Z", "type": "debit", "rule": "r"}

    assert Excerpt("job#j-1", None, "u-1", datetime.fromisoformat("2026-01-05T10:00:00Z")) == excerpt_of(old)
    assert (Sign("a", "k"),) == excerpt_of({**old, "signs": {"a": "k"}}).signs
