"""The mark on a job's row: what it rests on, whose row it is, and what a late event may not say."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from attrs import Factory, define, evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.decision import Guard, Outcome
from engine.domain.entry import Entry
from engine.domain.errors import EventError, LedgerUnavailable
from engine.domain.job_row import Mark
from engine.ledger.store import Receipt, ScanSlice, Verdict
from engine.reconcile.catch_up import OwnAllowance, scan
from engine.runtime.clock import Deadline
from tests.support.events import event, failed, rendered
from tests.support.examples import tries
from tests.support.held import submitted, with_holds
from tests.support.ledgers import FaultyStore
from tests.support.policies import example
from tests.support.steps import Steps

REFUSE = ("overdraft: flag", "overdraft: refuse")
UNKNOWN_JOB = "unknown_user: refuse", "unknown_user: refuse\nunknown_job: {}"


def row(job: str = "j-1", at: str = "10:00", **columns: Any) -> dict[str, Any]:
    """Return a row of Jobs as the application writes it."""
    completed = {"jobId": job, "userId": "u-1", "status": "completed", "seconds": 8, "model": "veo-3"}
    return {**completed, "updatedAt": f"2026-01-05T{at}:00Z", "result_url": "s3://renders/x.mp4", **columns}


def world(*changes: tuple[str, str], balance: str = "1000", **columns: Any) -> Steps:
    """Return a reconciler over memory with the row of j-1."""
    steps = Steps(example(*changes), balance)
    steps.ledger.rows["j-1"] = row(**columns)
    return steps


@define
class Interrupted(FaultyStore):
    """A ledger where something happens before each of the next postings or bare marks."""

    before_post: list[Callable[[], object]] = Factory(list)
    before_mark: list[Callable[[], object]] = Factory(list)
    is_posting: bool = False

    def post(self, entry: Entry, guard: Guard, mark: Mark | None, deadline: Deadline) -> Receipt:
        """Post after what happens first."""
        if self.before_post:
            self.before_post.pop(0)()
        self.is_posting = True
        try:
            return FaultyStore.post(self, entry, guard, mark, deadline)
        finally:
            self.is_posting = False

    def post_all(self, postings: Any, deadline: Deadline) -> Any:
        """Post after what happens first."""
        if self.before_post:
            self.before_post.pop(0)()
        yield from FaultyStore.post_all(self, postings, deadline)

    def mark(self, job: str, mark: Mark, deadline: Deadline) -> bool:
        """Mark after what happens first."""
        if self.before_mark and not self.is_posting:
            self.before_mark.pop(0)()
        return FaultyStore.mark(self, job, mark, deadline)


def interrupted(steps: Steps) -> Interrupted:
    """Let things happen in between; returns where to say what."""
    ledger = Interrupted(steps.ledger.store)
    steps.ledger, steps.reconciler = ledger, evolve(steps.reconciler, ledger=ledger)  # type: ignore[arg-type]
    return ledger


# --- the mark rests on an entry ---------------------------------------------------------------------------------------


def test_a_scan_does_not_set_again_what_a_refusal_took_away() -> None:
    """Between the scan's look and its mark a re-render is refused; after a top-up the next scan charges it."""
    steps = world(REFUSE, balance="1")
    ledger = interrupted(steps)
    steps.deliver(rendered(seconds=8))
    ledger.rows["j-1"] = row()  # the application put the whole item, without our marks

    def refused_meanwhile() -> None:
        assert [Outcome.REFUSED] == [report.outcome for report in steps.deliver(rendered(seconds=20, at="11:00"))]

    ledger.before_mark.append(refused_meanwhile)
    assert ({Outcome.DUPLICATE: 1}, 0) == ((first := steps.scan()).outcomes, first.marked)
    assert (False, 2) == (ledger.rows["j-1"]["reconciled"], ledger.rows["j-1"]["reconciledSequence"])

    ledger.balances["u-1"] += 5
    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert Decimal("4.0") == ledger.balances["u-1"], "6 - 20 x 0.10"
    assert {} == steps.scan().outcomes


def test_a_scan_sees_a_refusal_behind_the_first_entry_that_knows_its_row() -> None:
    """The first entry knows the row's render; a later one was refused, and the row stays due."""
    steps = world(REFUSE, balance="1")
    steps.deliver(rendered(seconds=8), rendered(seconds=20, at="11:00"))
    steps.ledger.rows["j-1"] = row()

    assert {Outcome.REFUSED: 1} == steps.scan().outcomes
    assert "reconciledStatus" not in steps.ledger.rows["j-1"]
    steps.ledger.balances["u-1"] += 5
    assert {Outcome.DEBITED: 1} == steps.scan().outcomes


def test_a_row_that_turns_to_failed_after_its_failure_was_posted_is_marked() -> None:
    """The mark rests on the same entry as the one that stands there, at another status, and the row says what was read."""
    steps = world(at="12:00")
    steps.deliver(rendered(at="12:00"), failed(at="11:00"))
    assert ("completed", 1) == (steps.ledger.rows["j-1"]["reconciledStatus"], steps.ledger.rows["j-1"]["reconciledSequence"])
    steps.ledger.rows["j-1"] |= {"status": "failed", "updatedAt": "2026-01-05T11:00:00Z"}

    assert ({Outcome.DUPLICATE: 1}, 1) == ((done := steps.scan()).outcomes, done.marked)
    steps.ledger.rows["j-1"] |= {"status": "completed", "updatedAt": "2026-01-05T12:00:00Z"}
    assert 1 == steps.scan().marked
    assert {} == steps.scan().outcomes


def test_a_mark_of_an_earlier_version_counts_as_none() -> None:
    """It has no sequence."""
    steps = world(reconciled=True, reconciledStatus="completed")

    steps.deliver(rendered())

    assert 1 == steps.ledger.rows["j-1"]["reconciledSequence"]


STATUSES = {"completed": "video.rendered", "failed": "video.failed"}
ROWS = st.tuples(st.sampled_from(sorted(STATUSES)), st.integers(9, 11), st.sampled_from([8, 20]))
STEPS = st.one_of(
    st.tuples(st.just("row"), ROWS),
    st.tuples(st.just("put"), ROWS),
    st.tuples(st.just("event"), ROWS),
    st.tuples(st.just("top-up"), st.integers(1, 3)),
    st.tuples(st.just("scan"), st.none()),
)


def do(steps: Steps, step: tuple[str, Any]) -> None:
    """Take one step: the application writes its attributes, puts a whole item (our marks are lost), an event comes ..."""
    kind, what = step
    if kind == "top-up":
        steps.ledger.balances["u-1"] += what
    elif kind == "scan":
        steps.scan()
    else:
        status, hour, seconds = what
        at = f"{hour:02}:00"
        written = row(at=at, status=status, seconds=seconds)
        if kind == "event":
            steps.deliver(rendered(at=at, seconds=seconds) if status == "completed" else failed(at=at))
        else:
            steps.ledger.rows["j-1"] = ({} if kind == "put" else steps.ledger.rows.get("j-1", {})) | written


@tries(300)
@given(st.lists(STEPS, max_size=9), st.sampled_from(["allow", "flag", "refuse"]), st.sampled_from(["0", "1", "9"]))
def test_once_all_is_quiet_a_scan_finds_no_row_due_but_those_refused(
    course: list[tuple[str, Any]], overdraft: str, balance: str
) -> None:
    """In whatever order rows, events, refusals, top-ups and scans came."""
    steps = Steps(example(("overdraft: flag", f"overdraft: {overdraft}")), balance)
    for step in course:
        do(steps, step)
    steps.scan()

    again = steps.scan()

    assert (0, 0) == (again.adjustments, again.errors)
    assert set(again.outcomes) <= {Outcome.REFUSED}
    steps.ledger.balances["u-1"] += 100
    steps.scan()
    assert {} == steps.scan().outcomes


# --- whose row it is --------------------------------------------------------------------------------------------------


def _names(error: EventError) -> tuple[str, str]:
    return error.rule, error.field


@pytest.mark.parametrize("told_before", [False, True])
def test_an_event_that_names_another_user_than_the_row_moves_nothing(told_before: bool) -> None:  # noqa: FBT001
    """The error names the event, the rule, the field, and whose job it is."""
    steps = world()
    steps.ledger.balances["u-2"] = Decimal(5)
    if told_before:
        steps.deliver(rendered())
    before = json.dumps([steps.ledger.rows, len(steps.ledger.lines("j-1"))])

    with pytest.raises(EventError, match="'u-1'") as raised:
        steps.deliver(rendered(user="u-2"))

    assert ("debit-rendered", "detail.userId") == _names(raised.value)
    assert Decimal(5) == steps.ledger.balances["u-2"]
    assert before == json.dumps([steps.ledger.rows, len(steps.ledger.lines("j-1"))])


def test_in_a_batch_only_the_event_of_another_user_comes_back() -> None:
    """Its neighbours, and the true event behind it, are posted."""
    steps = world()
    steps.ledger.rows["j-2"] = row("j-2")
    steps.ledger.balances["u-2"] = Decimal(5)

    bodies = [json.dumps(body) for body in (rendered("j-2"), rendered(user="u-2"), rendered())]

    assert ["m-1"] == steps.batch(*bodies)
    assert ([Decimal("-0.8")], Decimal(5)) == ([e.amount for e in steps.ledger.lines("j-1")], steps.ledger.balances["u-2"])


@pytest.mark.parametrize("owner", [None, "", ["u-1"], {"id": "u-1"}, True])
def test_a_row_that_does_not_say_whose_it_is_holds_up_nothing(owner: Any) -> None:
    """Only what names a user can contradict one."""
    steps = world(userId=owner)

    assert [Outcome.DEBITED] == [report.outcome for report in steps.deliver(rendered())]
    assert "completed" == steps.ledger.rows["j-1"]["reconciledStatus"]


def test_a_row_that_names_its_user_by_a_number_is_of_the_user_of_these_digits() -> None:
    """An application may store 7 and tell "7"."""
    steps = world(userId=7)
    steps.ledger.balances.update({"7": Decimal(5), "8": Decimal(5)})

    with pytest.raises(EventError, match="'7'"):
        steps.deliver(rendered(user="8"))
    assert [Outcome.DEBITED] == [report.outcome for report in steps.deliver(rendered(user="7"))]


def test_a_policy_that_makes_up_its_users_asks_the_row_in_the_same_words() -> None:
    """The row's own attribute is only a part of the user."""
    steps = world(("user: detail.userId", "user: \"join('/', [detail.tenant, detail.userId])\""), tenant="t")
    steps.ledger.balances["t/u-1"] = Decimal(5)

    assert [Outcome.DEBITED] == [report.outcome for report in steps.deliver(rendered(tenant="t"))]
    with pytest.raises(EventError, match="t/u-1"):
        steps.deliver(rendered(tenant="x"))


# --- no row -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("says", "flags"), [("allow", []), ("flag", ["unknown-job"])])
def test_a_job_without_a_row_is_posted_without_a_mark(says: str, flags: list[str]) -> None:
    """Flagged where the policy asks for it, alone and in a batch."""
    steps = Steps(example((UNKNOWN_JOB[0], UNKNOWN_JOB[1].format(says))))

    assert [] == steps.batch(json.dumps(rendered("j-1")), json.dumps(rendered("j-2")))
    steps.deliver(rendered("j-3"))

    assert [flags] * 3 == [[found.name for found in steps.ledger.lines(f"j-{n}")[0].anomalies] for n in (1, 2, 3)]
    assert {} == steps.ledger.rows


def test_a_job_without_a_row_is_refused_where_the_policy_asks_for_one() -> None:
    """It comes back until there is a row, alone and in a batch; nothing moves."""
    steps = Steps(example((UNKNOWN_JOB[0], UNKNOWN_JOB[1].format("refuse"))))
    steps.ledger.rows["j-2"] = row("j-2")

    with pytest.raises(EventError, match="no such job in Jobs") as raised:
        steps.deliver(rendered())
    assert ("debit-rendered", "detail.jobId") == _names(raised.value)
    assert ["m-0"] == steps.batch(json.dumps(rendered("j-1")), json.dumps(rendered("j-2")))
    assert ([], Decimal("999.2")) == (steps.ledger.lines("j-1"), steps.ledger.balances["u-1"])


# --- what the row says later ------------------------------------------------------------------------------------------


def test_a_late_event_does_not_mark_a_row_that_says_a_later_time() -> None:
    """The event of 03:00 was lost; the late one of 01:00 leaves the row due, so that the scan charges the later one."""
    steps = world(at="03:00", seconds=20)

    (report,) = steps.deliver(rendered(at="01:00", seconds=8))
    assert (Outcome.DEBITED, False) == (report.outcome, "reconciled" in steps.ledger.rows["j-1"])

    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert Decimal("998.0") == steps.ledger.balances["u-1"], "1000 - 20 x 0.10"
    assert {} == steps.scan().outcomes


@pytest.mark.parametrize(
    ("time", "marks"),
    [
        ("2026-01-05T10:00:05Z", True),
        ("2026-01-05T10:00:05.000Z", True),
        ("2026-01-05T10:00:05.001Z", False),
        ("2026-01-05T10:00:06Z", False),
        ("2026-01-05T18:00:00+08:00", True),
        ("yesterday", True),
        (1767607200, True),
        (None, True),
    ],
)
def test_times_compare_as_instants_beyond_the_skew(time: Any, marks: bool) -> None:  # noqa: FBT001
    """Five seconds of skew; what is no instant holds up no mark."""
    steps = world(updatedAt=time)

    steps.deliver(rendered(at="10:00"))

    assert marks is steps.ledger.rows["j-1"].get("reconciled", False)


def test_a_row_that_was_written_again_since_the_scan_read_it_stays_due() -> None:
    """The mark of the scan would say that the second render is charged."""
    steps = world()
    ledger = interrupted(steps)
    ledger.before_post.append(lambda: ledger.rows["j-1"].update(row(at="11:00", seconds=20)))

    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert Decimal("998.0") == ledger.balances["u-1"], "1000 - 20 x 0.10"


# --- clocks, balances, caps -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at", "is_refused"), [("13:00", False), ("13:01", True)])
def test_an_event_of_the_future_makes_no_sense(at: str, is_refused: bool) -> None:  # noqa: FBT001
    """It is 12:00, and clocks may be an hour ahead: by each door."""
    steps = world()

    if is_refused:
        with pytest.raises(EventError, match=r"not after 2026-01-05T13:00:00Z") as raised:
            steps.deliver(rendered(at=at))
        assert ("debit-rendered", "time") == _names(raised.value)
    assert (["m-0"] if is_refused else []) == steps.batch(json.dumps(rendered(at=at)))
    steps.ledger.rows["j-1"] = row(at=at)
    assert int(is_refused) == steps.scan().errors


def test_a_balance_that_did_not_cover_a_larger_debit_is_asked_again_for_a_smaller_one() -> None:
    """8 s are paid, 20 s are not covered; then half goes back, so that of 1.0 for 20 s 0.6 is due, of 0.9."""
    steps = world(REFUSE, ("percent: 100", "percent: 50"), balance="1.3")
    ledger = interrupted(steps)
    steps.deliver(rendered(seconds=8, at="09:00"))
    ledger.before_post += [lambda: None, lambda: None, lambda: steps.deliver(failed(at="11:00"))]

    (report,) = steps.deliver(rendered(seconds=20, at="10:00"))

    assert Outcome.DEBITED is report.outcome
    assert ["-0.8", "0.4", "-0.6"] == [str(entry.amount.normalize()) for entry in ledger.lines("j-1")]
    assert Decimal("0.3") == ledger.balances["u-1"]


@define
class Dying:
    """A ledger whose time is up after a few postings; of one more the answer ``is_lost``."""

    steps: Steps
    postings: int
    is_lost: bool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.steps.ledger, name)

    def post_all(self, postings: Any, deadline: Deadline) -> Any:
        """Send each by itself."""
        for posting in postings:
            if self.postings or self.is_lost:
                receipt = self.steps.ledger.post(*posting, deadline)
            if not self.postings:
                self.steps.time.elapsed = 8.5
                raise LedgerUnavailable("no answer in time")
            self.postings -= 1
            yield receipt


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_run_whose_time_runs_out_within_a_turn_keeps_to_its_cap(is_lost: bool) -> None:  # noqa: FBT001
    """Three of ten were posted before the time was up (and of a fourth the answer was lost): they count."""
    steps = Steps(example())
    for number in range(10):
        steps.ledger.rows[f"j-{number}"] = row(f"j-{number}")
    steps.ledger.page_size = 10
    allowance = OwnAllowance(5)
    dying = evolve(steps.reconciler, ledger=Dying(steps, 3, is_lost))  # type: ignore[arg-type]

    first = scan(dying, [ScanSlice()], steps.time.clock().deadline(9), allowance)
    second = scan(steps.reconciler, first.left_over, steps.time.clock().deadline(60), allowance)

    assert (3, True) == (first.adjustments, second.is_capped or not allowance.left)
    assert len([entries for entries in steps.ledger.entries.values() if entries]) <= 5


@define
class Deaf:
    """A ledger of which the answer to the first posting is lost; nothing goes together with others."""

    steps: Steps
    is_lost: bool = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.steps.ledger, name)

    def post_all(self, postings: Any, _deadline: Deadline) -> Any:
        """Refuse all, so that each goes alone."""
        yield from (Receipt(Verdict.ALONE) for _ in postings)

    def post(self, *posting: Any) -> Receipt:
        """Post; nobody hears of the first."""
        receipt: Receipt = self.steps.ledger.post(*posting)
        if self.is_lost:
            self.is_lost = False
            raise LedgerUnavailable("no answer in time")
        return receipt


def test_a_posting_whose_answer_was_lost_counts_although_the_next_try_finds_it_known() -> None:
    """A run may post one entry: it has, and nobody knows whether that was its own."""
    steps = Steps(example())
    for number in range(3):
        steps.ledger.rows[f"j-{number}"] = row(f"j-{number}")
    deaf = evolve(steps.reconciler, ledger=Deaf(steps))  # type: ignore[arg-type]

    report = scan(deaf, [ScanSlice()], steps.time.clock().deadline(60), OwnAllowance(1))

    assert ({"duplicate": 1}, True) == (report.outcomes, report.is_capped)
    assert ["job#j-0"] == [reference for reference, entries in steps.ledger.entries.items() if entries]


def test_a_charge_that_is_refused_beyond_its_hold_counts_as_an_entry_of_the_run() -> None:
    """It charges what was held. So of two, each held at half of what it costs, a run that may post one entry settles one."""
    steps = Steps(with_holds(REFUSE), balance="0.80")
    for number in range(2):
        steps.ledger.rows[f"j-{number}"] = row(f"j-{number}")
        steps.deliver(submitted(f"j-{number}", seconds=4, at="09:59"))

    report = scan(steps.reconciler, [ScanSlice()], steps.time.clock().deadline(60), OwnAllowance(1))

    assert ({"refused": 1}, True) == (report.outcomes, report.is_capped)
    assert Decimal("0.40") == steps.ledger.store.credits["u-1"]["held"]


def test_a_release_that_leaves_something_due_does_not_settle_the_row() -> None:
    """3.2 for the first try were refused, 0.8 held for the second. It fails, half of 3.2 is to be paid: 0.8 are still due."""
    numbered = ("time: time}", "time: time, attempt: 'detail.attempt || row.attempt'}")
    steps = Steps(with_holds(REFUSE, numbered, ("percent: 100", "percent: 50")), balance="0.80")
    steps.deliver(submitted(seconds=8, at="09:30", attempt=2), rendered(seconds=32, at="09:31", attempt=1))
    steps.ledger.rows["j-1"] = row(status="failed", attempt=2)

    assert {Outcome.RELEASED: 1} == steps.scan().outcomes
    assert (False, 0) == (steps.ledger.rows["j-1"]["reconciled"], steps.ledger.store.credits["u-1"]["held"])

    steps.ledger.balances["u-1"] += 1
    assert {Outcome.DEBITED: 1} == steps.scan().outcomes
    assert Decimal("0.20") == steps.ledger.balances["u-1"]
    assert {} == steps.scan().outcomes


# --- statuses that nobody mapped --------------------------------------------------------------------------------------


def test_the_scan_counts_the_rows_of_statuses_that_nobody_mapped() -> None:
    """In its answer and as a metric; those that the policy ignores, and those that are mapped, are none of them."""
    ignoring = ("catch_up:\n", "catch_up_ignore: [queued]\ncatch_up:\n")
    steps = world(ignoring)
    for number, status in enumerate(["queued", "stopped", "stopped", "moderated", "failed"]):
        steps.ledger.rows[f"k-{number}"] = row(f"k-{number}", status=status)

    done = steps.scan()

    assert {"stopped": 2, "moderated": 1} == done.answer()["unmapped"]
    assert 3 == steps.lines[-1]["UnmappedRows"]


def test_a_refusal_of_what_no_row_stands_for_leaves_the_job_due_as_well() -> None:
    """A credit of 0.40, and a later one of nothing: 0.40 is owed again. No `catch_up` maps such an event; a scan does."""
    credit = (
        "  - name: refund-failed\n",
        "  - name: credited\n    match: {detail-type: [video.credited]}\n    action: refund\n"
        "    refund: {amount: detail.back}\n  - name: refund-failed\n",
    )
    steps = world(credit, REFUSE, balance="1")
    steps.deliver(rendered(at="10:00"), event("video.credited", {"jobId": "j-1", "userId": "u-1", "back": "0.40"}, "11:00"))
    assert steps.ledger.rows["j-1"]["reconciled"] is True
    steps.ledger.balances["u-1"] -= Decimal("0.50")  # spent elsewhere

    (later,) = steps.deliver(event("video.credited", {"jobId": "j-1", "userId": "u-1", "back": 0}, "12:00"))

    assert (Outcome.REFUSED, False) == (later.outcome, steps.ledger.rows["j-1"]["reconciled"])
    steps.ledger.balances["u-1"] += 1
    assert 1 == steps.scan().adjustments
    assert Decimal("0.70") == steps.ledger.balances["u-1"]  # 1 - 0.50 + 1 - 0.80
    assert steps.ledger.rows["j-1"]["reconciled"] is True
