"""A wrong price, put right: a plan in a file, and its posting. Every user ends where the right price would have left them."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from engine.audit.recount import recount
from engine.domain.decision import Guard, Outcome
from engine.domain.entry import Entry, EntryType
from engine.domain.facts import Facts
from engine.ledger.store import Verdict
from engine.policy import Policy
from engine.policy.model import Overdraft
from engine.reconcile.plan_file import PlanFile, PlanFileError, write
from engine.reconcile.repricing.which_jobs import Filters
from tests.support.books import Books
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.repricing import BY, NOON, applying, planned, repriced

RIGHT = example()
TOO_MUCH = example(('"0.10", premium: "0.25"', '"1.00", premium: "2.50"'))
TOO_LITTLE = example(('"0.10", premium: "0.25"', '"0.01", premium: "0.02"'))
USERS = {f"u-{number}": Decimal(1000) for number in range(4)}


def forty_jobs(policy: Policy, balances: dict[str, Decimal] | None = None) -> Books:
    """Return the books of four users, each charged for ten jobs of 1, 2, 3 ... seconds: 5 of each premium."""
    books = Books(policy, balances or USERS)
    books.deliver(*(_render(number) for number in range(40)))
    return books


def _render(number: int) -> dict[str, Any]:
    model = "premium" if number // 4 % 2 else "veo-3"
    return rendered(f"j-{number}", user=f"u-{number % 4}", seconds=number // 4 + 1, model=model)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the plan goes."""
    return tmp_path / "plan.jsonl"


# --- the first show ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [TOO_MUCH, TOO_LITTLE], ids=["ten times too much", "a tenth"])
def test_forty_jobs_end_where_the_right_price_would_have_left_them(wrong: Policy, file: Path):
    """Five of them fail after they were corrected: what goes back is what the job cost then, and not a credit more.

    By hand: 1 + 3 + 5 + 7 + 9 seconds at 0.10 are 2.5, 2 + 4 + 6 + 8 + 10 at 0.25 are 7.5: 990 are left. Jobs of 1 second at
    0.10 fail for each user, and one of 2 seconds at 0.25 for the first: 990.1 and 990.6.
    """
    books = forty_jobs(wrong)
    done = repriced(books.store, RIGHT, file)
    books.policy = RIGHT
    books.deliver(*(failed(f"j-{number}", user=f"u-{number % 4}") for number in range(5)))

    assert {"u-0": Decimal("990.6"), **dict.fromkeys(("u-1", "u-2", "u-3"), Decimal("990.1"))} == dict(books.balances)
    assert (40, 40, True) == (done.jobs, done.posted, done.is_whole)
    assert [] == [problem for log in books.entries.values() for each in recount(log) for problem in each.problems]


def test_an_entry_says_what_was_told_and_by_which_plan(file: Path):
    """A reader of the ledger finds the file, the reason, who posted it, and the price that counts now."""
    books = forty_jobs(TOO_MUCH)
    repriced(books.store, RIGHT, file)
    entry = books.entries_of("j-4")[-1]

    assert ("reprice", Decimal("4.5"), Decimal("0.5"), NOON) == (entry.type, entry.amount, entry.cost, entry.occurred_at)
    assert entry.correction is not None
    assert ("the rate had a zero too many", BY) == (entry.correction.reason, entry.correction.by)
    assert PlanFile.open(file, "reprice").digest == entry.correction.plan
    assert (Decimal("0.25"), Decimal(2)) == (entry.price and entry.price.rate, entry.quantity)


def test_the_event_told_again_changes_nothing(file: Path):
    """Under the old policy or the new one."""
    books = forty_jobs(TOO_MUCH)
    repriced(books.store, RIGHT, file)
    balances = dict(books.balances)
    for policy in (TOO_MUCH, RIGHT):
        books.policy = policy
        assert {"duplicate"} == {*books.deliver(*(_render(number) for number in range(40)))}

    assert balances == dict(books.balances)


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_tells_what_it_comes_to_and_posts_nothing(file: Path):
    """By model, by day and by user: 25 seconds at 1.00 and 30 at 2.50 are 100 a user, of which 10 were right."""
    books = forty_jobs(TOO_MUCH)
    head = planned(books.store, RIGHT, file)

    assert {"jobs": 40, "before": Decimal(400), "after": Decimal(40), "difference": Decimal(360)} == head["total"]
    assert [("premium", 20, 270), ("veo-3", 20, 90)] == [_short(each) for each in head["byModel"]]
    assert [("2026-01-05", 40, 360)] == [_short(each) for each in head["byDay"]]
    assert (4, {Decimal(90)}) == (head["users"], {each["difference"] for each in head["mostConcerned"]})
    assert 40 == sum(len(log) for log in books.entries.values())
    assert {"u-0": Decimal(900)}.items() <= dict(books.balances).items()


def _short(group: dict[str, Any]) -> tuple[str, int, int]:
    return group["key"], group["jobs"], int(group["difference"])


def test_jobs_that_cost_the_same_are_not_in_a_plan(file: Path):
    """Only the premium rate was wrong."""
    books = forty_jobs(example(('premium: "0.25"}', 'premium: "2.50"}')))
    planned(books.store, RIGHT, file)

    lines = list(PlanFile.open(file, "reprice").lines())
    assert {f"j-{number}" for number in range(40) if number // 4 % 2} == {line["job"] for line in lines}
    assert [line["user"] for line in lines] == sorted(line["user"] for line in lines)


def test_a_failed_job_is_priced_anew_although_nothing_moves(file: Path):
    """The charge counts for nothing today. A later word, told of it, finds the right one."""
    books = forty_jobs(TOO_MUCH)
    books.deliver(failed("j-0", user="u-0"))
    repriced(books.store, RIGHT, file)

    assert [("debit", "-1.0000"), ("refund", "1.0000"), ("void", "0")] == books.lines("j-0")


def test_what_cannot_be_told_is_left_out_by_name(file: Path):
    """The new policy asks for something that the old one did not."""
    books = forty_jobs(TOO_MUCH)
    asks = example(('by: detail.model\n      rates: {default: "0.10"', 'by: detail.tier\n      rates: {default: "0.10"'))
    head = planned(books.store, asks, file)

    assert (0, 40) == (head["total"]["jobs"], head["leftOut"][0]["jobs"])
    assert "rule `debit-rendered`: `detail.tier` was not kept" == head["leftOut"][0]["why"]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {"leftOut": "j-0", "user": "u-0", "why": head["leftOut"][0]["why"]} in lines


def test_filters_choose_jobs(file: Path):
    """By the charge's own time, and by who priced it."""
    books = forty_jobs(TOO_MUCH)
    books.deliver(rendered("j-late", user="u-0", at="2026-01-07T00:00:00Z"))
    since = NOON

    assert 1 == planned(books.store, RIGHT, file, Filters(since=since))["total"]["jobs"]
    assert 40 == planned(books.store, RIGHT, file, Filters(until=since))["total"]["jobs"]
    assert 41 == planned(books.store, RIGHT, file, Filters(charged_by=TOO_MUCH.digest))["total"]["jobs"]
    assert 0 == planned(books.store, RIGHT, file, Filters(charged_by=RIGHT.digest))["total"]["jobs"]


# --- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text.replace('"amount":"0.1000"', '"amount":"0.0000"', 1), "was changed since it was written"),
        (lambda text: text.replace("too many", "too few", 1), "was changed since it was written"),
        (lambda text: "\n".join(text.splitlines()[:-1]) + "\n", "its end is missing"),
        (lambda text: "\n".join([*text.splitlines()[:5], text.splitlines()[-1]]) + "\n", "was changed since it was written"),
        (lambda text: text.splitlines()[-1] + "\n", "is no plan"),
        (lambda _text: "", "is no plan"),
        (lambda _text: "[1]\n[2]\n", "is no plan"),
        (lambda text: text.replace('"plan":"reprice"', '"plan":"another"', 1), "is no plan"),
    ],
)
def test_a_file_that_is_not_the_plan_is_refused(change: Callable[[str], str], problem: str, file: Path):
    """A plan is posted as it was looked at, to the byte."""
    planned(forty_jobs(TOO_MUCH).store, RIGHT, file)
    file.write_text(change(file.read_text()))

    with pytest.raises(PlanFileError, match=problem):
        PlanFile.open(file, "reprice")


def test_whatever_the_file_holds_it_is_the_plan_or_is_refused(tmp_path: Path):
    """Bytes that are changed, lost or added anywhere."""
    whole = tmp_path / "whole"
    planned(forty_jobs(TOO_MUCH).store, RIGHT, whole)
    kept = whole.read_bytes()

    @given(st.integers(0, len(kept)), st.integers(0, 40), st.binary(max_size=40))
    def holds(place: int, lost: int, added: bytes) -> None:
        changed = tmp_path / "changed"
        changed.write_bytes(kept[:place] + added + kept[place + lost :])
        if changed.read_bytes() == kept:
            return
        with pytest.raises(PlanFileError):
            PlanFile.open(changed, "reprice")

    holds()


@pytest.mark.parametrize("end", [b"", b"\n\n", b" \n", b"\r\n"])
def test_the_last_line_has_one_form_too(file: Path, end: bytes):
    """It says the digest of all before it, and so nothing vouches for it: it is compared as a whole."""
    planned(forty_jobs(TOO_MUCH).store, RIGHT, file)
    file.write_bytes(file.read_bytes().removesuffix(b"\n") + end)

    with pytest.raises(PlanFileError):
        PlanFile.open(file, "reprice")


def test_an_event_that_is_told_again_is_no_word_of_a_person_and_waits_for_the_balance(file: Path):
    """It was refused, priced anew, and comes again under a rule that ignores repeats: it is charged, when it is covered."""
    refuses, once = ("overdraft: flag", "overdraft: refuse"), ("action: debit\n", "action: debit\n    repeats: ignore\n")
    books = Books(example(('default: "0.10"', 'default: "1.00"'), refuses), {"u-1": Decimal("0.5")})
    render = rendered("j-1", seconds=8)
    assert [Outcome.REFUSED] == books.deliver(render)
    repriced(books.store, example(refuses), file)

    books.policy = example(refuses, once)
    assert [Outcome.REFUSED] == books.deliver(render)
    books.balances["u-1"] += 1

    assert [Outcome.DEBITED] == books.deliver(render)
    assert [("flag", "0"), ("flag", "0"), ("flag", "0"), ("debit", "-0.8000")] == books.lines("j-1")
    assert not any(each.failed for each in recount(books.entries_of("j-1")))


def test_a_line_that_somebody_has_written_with_its_digest_is_refused(file: Path):
    """It is named, and nothing is posted."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    write(file, PlanFile.open(file, "reprice").header, ['{"job":"j-0","user":"u-0"}'])

    with pytest.raises(PlanFileError, match="the line of job 'j-0' is none of a plan"):
        applying(books.store, RIGHT, file).check()


def test_the_same_plan_has_the_same_digest(tmp_path: Path):
    """Of the same ledger, told in another order."""
    first, second = forty_jobs(TOO_MUCH), Books(TOO_MUCH, USERS)
    second.deliver(*(_render(number) for number in reversed(range(40))))
    heads = [planned(books.store, RIGHT, tmp_path / f"{number}") for number, books in enumerate((first, second))]

    assert heads[0]["sha256"] == heads[1]["sha256"]


# --- posting ----------------------------------------------------------------------------------------------------------


def test_a_second_run_posts_nothing_and_tells_the_same_sum(file: Path):
    """Whatever was told of the jobs in between."""
    books = forty_jobs(TOO_MUCH)
    repriced(books.store, RIGHT, file)
    books.deliver(failed("j-0", user="u-0"), rendered("j-1", user="u-1", at="12:00", seconds=99))
    balances = dict(books.balances)
    again = applying(books.store, RIGHT, file).post(1000)

    assert (0, 40, Decimal(360), True) == (again.posted, again.posted_before, again.credits, again.is_whole)
    assert balances == dict(books.balances)


@pytest.mark.parametrize("each", [1, 7, 39])
def test_a_run_goes_on_where_one_before_has_ended(each: int, file: Path):
    """A bound, a kill and a lost connection are alike to it: each entry is posted once."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    runs = [applying(books.store, RIGHT, file).post(each) for _ in range(40)]

    assert (40, each, 40 - each) == (runs[0].jobs, runs[0].posted, runs[0].left)
    assert 40 == sum(run.posted for run in runs)
    assert (Decimal(360), 0, True) == (runs[-1].credits, runs[-1].left, runs[-1].is_whole)
    assert 80 == sum(len(log) for log in books.entries.values())


def test_a_check_says_what_a_run_would_do(file: Path):
    """And posts nothing."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    checked = applying(books.store, RIGHT, file).check()

    assert (40, Decimal(360), 0) == (checked.posted, checked.credits, checked.changed)
    assert 40 == sum(len(log) for log in books.entries.values())


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([rendered("j-0", user="u-0", at="12:00", seconds=3)], "is new"),
        ([rendered("j-0", user="u-0", seconds=3)], "is new"),
        ([rendered("j-0", user="u-0", at="12:00", seconds=1)], "is no longer what it was"),
    ],
)
def test_a_job_whose_charges_have_changed_is_left_alone(told: list[dict[str, Any]], why: str, file: Path):
    """A later charge, a twin of the same instant: the plan has not seen what counts now. All others are posted."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    books.deliver(*told)
    checked, done = applying(books.store, RIGHT, file).check(), applying(books.store, RIGHT, file).post(1000)

    assert (1, 39) == (checked.changed, checked.posted)
    assert [("j-0", "changed")] == [(each["job"], each["what"]) for each in done.alone]
    assert why in done.alone[0]["why"]
    assert (39, False) == (done.posted, done.is_whole)


def test_a_failure_since_is_no_change_of_a_charge(file: Path):
    """The job is priced anew, and posts what is right by then: nothing. The sum is another than planned, and says so."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    books.deliver(failed("j-0", user="u-0"))
    done = applying(books.store, RIGHT, file).post(1000)

    assert (40, 1, Decimal("359.1")) == (done.posted, done.otherwise, done.credits)
    assert Decimal(0) == books.net("j-0")


def test_of_two_plans_the_later_decides(file: Path, tmp_path: Path):
    """The second is made after the first was posted. A plan that was made before is left alone, job by job."""
    books = forty_jobs(TOO_MUCH)
    stale = tmp_path / "stale.jsonl"
    planned(books.store, TOO_LITTLE, stale)
    repriced(books.store, TOO_LITTLE, file)
    repriced(books.store, RIGHT, file)

    assert {Decimal(990)} == {*books.balances.values()}
    left = applying(books.store, TOO_LITTLE, stale).post(1000)
    assert (0, 0) == (left.posted, left.changed)  # it is the very plan that was posted, under another name


def test_a_plan_of_charges_that_were_priced_anew_since_is_left_alone(file: Path, tmp_path: Path):
    """Two people plan at the same time, and one of them is first."""
    books = forty_jobs(TOO_MUCH)
    stale = tmp_path / "stale.jsonl"
    planned(books.store, TOO_LITTLE, stale)
    repriced(books.store, RIGHT, file)
    done = applying(books.store, TOO_LITTLE, stale).post(1000)

    assert (0, 40) == (done.posted, done.changed)
    assert "priced anew already" in done.alone[0]["why"]


# --- balances that do not cover it ------------------------------------------------------------------------------------

POOR = {"u-0": Decimal("1.5"), **{f"u-{number}": Decimal(1000) for number in (1, 2, 3)}}


def test_users_who_would_go_below_zero_are_told(file: Path):
    """By their balance, and what the plan takes from them: 0.85 of 1.5 are charged, and 10 would have been right."""
    head = planned(forty_jobs(TOO_LITTLE, POOR).store, RIGHT, file)

    assert {
        "users": 1,
        "first": [{"user": "u-0", "remaining": Decimal("0.65"), "difference": Decimal("-9.15")}],
    } == head["belowZero"]


def test_where_the_policy_flags_an_overdraft_it_is_posted_and_flagged(file: Path):
    """As any charge is."""
    books = forty_jobs(TOO_LITTLE, POOR)
    repriced(books.store, RIGHT, file)

    assert Decimal("-8.5") == books.balances["u-0"]
    assert "overdraft" in books.anomalies("j-36")
    assert "overdraft" not in books.anomalies("j-1")


def test_where_the_policy_refuses_it_the_job_is_left_alone(file: Path):
    """It says so, nothing stays due, and nobody else waits for it."""
    refuses = evolve(RIGHT, overdraft=Overdraft.REFUSE)
    books = forty_jobs(TOO_LITTLE, POOR)
    planned(books.store, refuses, file)
    done = applying(books.store, refuses, file).post(1000)

    assert books.balances["u-0"] >= 0
    assert {Decimal(990)} == {books.balances[f"u-{number}"] for number in (1, 2, 3)}
    assert {("u-0", "refused")} == {(each["user"], each["what"]) for each in done.alone}
    assert done.refused == len(done.alone) == 40 - done.posted


def test_users_can_be_spared(file: Path):
    """Whoever would go below zero is left alone, and named; the others' sums are planned and posted to the last digit."""
    books = forty_jobs(TOO_LITTLE, POOR)
    head = planned(books.store, RIGHT, file, spare=True)
    done = applying(books.store, RIGHT, file).post(1000)

    assert (30, Decimal("-27.45"), 10) == (head["total"]["jobs"], head["total"]["difference"], head["leftOut"][0]["jobs"])
    assert (30, head["total"]["difference"]) == (done.posted, done.credits)
    assert Decimal("0.65") == books.balances["u-0"]


def test_what_a_user_gets_comes_before_what_a_user_gives(file: Path):
    """2 are left: 9 come back for the premium job, and then the other can pay 8 more. The other way round it could not."""
    both_wrong = example(('"0.10", premium: "0.25"', '"0.10", premium: "1.15"'))
    both_right = example(('"0.10", premium: "0.25"', '"0.90", premium: "0.25"'), ("overdraft: flag", "overdraft: refuse"))
    books = Books(both_wrong, {"u-1": Decimal("14.5")})
    books.deliver(rendered("j-1", seconds=10), rendered("j-2", seconds=10, model="premium"))
    assert Decimal(2) == books.balances["u-1"]
    head = planned(books.store, both_right, file)
    done = applying(books.store, both_right, file).post(1000)

    assert (0, Decimal(1)) == (head["belowZero"]["users"], head["total"]["difference"])
    assert (2, 0, Decimal(3)) == (done.posted, done.refused, books.balances["u-1"])


def test_a_spared_user_who_became_poor_since_is_left_alone(file: Path):
    """The balance at the time of the posting counts, not the one that the plan saw."""
    books = forty_jobs(TOO_LITTLE)
    planned(books.store, RIGHT, file, spare=True)
    books.balances["u-0"] = Decimal(0)
    done = applying(books.store, RIGHT, file).post(1000)

    assert (30, 10, Decimal(0)) == (done.posted, done.refused, books.balances["u-0"])


def test_a_user_who_is_gone_is_left_alone(file: Path):
    """The policy refuses users without a row. Nobody else waits for it."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    del books.balances["u-0"]
    done = applying(books.store, RIGHT, file).post(1000)

    assert (30, 10) == (done.posted, done.refused)
    assert "there is no such user in Credits" in done.alone[0]["why"]


def test_a_balance_that_is_no_number_is_left_alone(file: Path):
    """Somebody has written words there: one user, not the whole run."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    books.store.credits["u-1"]["remaining"] = "plenty"
    done = applying(books.store, RIGHT, file).post(1000)

    assert (30, 10) == (done.posted, done.refused)
    assert "is no number: 'plenty'" in done.alone[0]["why"]


class NoInstant:
    """What stands where an instant should."""

    def isoformat(self) -> str:
        return "yesterday"


def test_a_log_that_was_damaged_since_is_left_alone(file: Path):
    """Its last entry has lost the instant of its charge."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    ((entry, at),) = books.store.kept["job#j-0"]
    charge = evolve(entry.facts.charges[0], at=NoInstant())
    books.store.kept["job#j-0"] = [(evolve(entry, facts=Facts(charges=(charge,))), at)]
    done = applying(books.store, RIGHT, file).post(1000)

    assert (39, 1) == (done.posted, done.changed)
    assert "its log cannot be read" in done.alone[0]["why"]


# --- others at work ---------------------------------------------------------------------------------------------------


def test_what_is_told_between_the_look_and_the_posting_is_seen(file: Path, monkeypatch: pytest.MonkeyPatch):
    """A failure arrives as the first transaction is sent: the job is looked at again, and comes to nothing."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    run, post_all = applying(books.store, RIGHT, file), type(books.store).post_all

    def disturbed(store: Any, postings: Any, deadline: Any) -> Any:
        monkeypatch.undo()
        books.deliver(failed("j-0", user="u-0"), rendered("j-4", user="u-0", at="12:00", seconds=3))
        return post_all(store, postings, deadline)

    monkeypatch.setattr(type(books.store), "post_all", disturbed)
    done = run.post(1000)

    assert (39, 1, 40) == (done.posted, done.changed, done.jobs)
    assert Decimal(0) == books.net("j-0")
    assert [("debit", "-5.0000"), ("refund", "2.0000")] == books.lines("j-4")


def test_two_runs_at_once_post_each_job_once(file: Path, monkeypatch: pytest.MonkeyPatch):
    """Two people begin the same plan; the second finds what the first has posted in the meantime."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    first, post_all = applying(books.store, RIGHT, file), type(books.store).post_all

    def overtaken(store: Any, postings: Any, deadline: Any) -> Any:
        monkeypatch.undo()
        assert 40 == applying(books.store, RIGHT, file).post(1000).posted
        return post_all(store, postings, deadline)

    monkeypatch.setattr(type(books.store), "post_all", overtaken)
    done = first.post(1000)

    assert (0, 40, Decimal(360), True) == (done.posted, done.posted_before, done.credits, done.is_whole)
    assert 80 == sum(len(log) for log in books.entries.values())


def test_an_entry_that_is_none_of_this_system_is_left_out(file: Path):
    """Somebody has put something else there: one log, not the whole plan."""
    books = forty_jobs(TOO_MUCH)
    ((entry, at),) = books.store.kept["job#j-0"]
    books.store.kept["job#j-0"] = [(evolve(entry, type=SimpleNamespace(value="gift")), at)]
    head = planned(books.store, RIGHT, file)

    assert (39, "entry 1 is no entry of this system") == (head["total"]["jobs"], head["leftOut"][0]["why"])


def test_the_log_is_compared_by_its_whole_where_others_have_written(file: Path):
    """A flag posted since moves no charge: the job is posted, at the sequence that is free."""
    books = forty_jobs(TOO_MUCH)
    planned(books.store, RIGHT, file)
    ((entry, _),) = books.store.kept["job#j-0"]
    flag: Entry = evolve(entry, sequence=2, type=EntryType.FLAG, amount=Decimal(0))
    assert Verdict.POSTED is books.store.post(flag, Guard.NONE, None, books.run.deadline).verdict
    done = applying(books.store, RIGHT, file).post(1000)

    assert (40, [1, 2, 3]) == (done.posted, [each.sequence for each in books.entries_of("j-0")])
