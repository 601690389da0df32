"""What people ask of a job of several attempts: why it costs what it costs, its story, plans, repricing. In memory."""

from __future__ import annotations

import itertools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.audit.recount import recount
from engine.audit.story import mark_text, story_of
from engine.domain.decision import Outcome
from engine.domain.envelope import Envelope, Source
from engine.preview.next_scan import SETTLED, next_scan
from engine.preview.planning.material import Material
from engine.preview.steps import steps_of
from engine.rating.assess import assess
from tests.core.test_marks import row
from tests.support.attempts import NUMBERED
from tests.support.books import Books
from tests.support.events import failed, rendered
from tests.support.kept_plans import Books as KeptBooks
from tests.support.kept_plans import plan_of
from tests.support.planning import at_any_size, by_engine
from tests.support.policies import example
from tests.support.repricing import repriced
from tests.support.steps import Steps

DEARER = ('{default: "0.10", premium: "0.25"}', '{default: "0.20", premium: "0.25"}')
NOW, THEN = example(NUMBERED), example(NUMBERED, DEARER)

FIRST = rendered(attempt=1)
SECOND = rendered(attempt=2, at="09:30", seconds=20)  # by a clock that is behind
FIRST_FAILED = failed(attempt=1)
THIRD_FAILED = failed(attempt=3, at="09:00")
STORY = (FIRST, SECOND, FIRST_FAILED, THIRD_FAILED)


def steps_now(books: Books) -> list[str]:
    """Return how the last entry of j-1 comes to its amount."""
    return list(recount(books.entries_of("j-1"))[-1].steps)


def test_an_entry_says_of_which_attempt_each_fact_is_and_which_one_counts() -> None:
    """The second attempt's charge of 2 counts; the third one failed, so all of it goes back."""
    books = Books(NOW)
    books.deliver(*STORY)

    assert [
        "charged 2.0000 at 2026-01-05T09:30:00Z in attempt 2",
        "attempt 1 was charged 0.8000: the charge of the highest attempt counts",
        "100 % back at 2026-01-05T11:00:00Z in attempt 1",
        "attempt 2 was charged, so nothing goes back",
        "100 % back at 2026-01-05T09:00:00Z in attempt 3",
        "that attempt was not charged, so it is of what is left of the charge of attempt 2",
        "should cost 0.0000 (half-even, 4 places)",
        "posted before -2.0000",
    ] == steps_now(books)


@pytest.mark.parametrize("order", list(itertools.permutations(STORY)))
def test_in_every_order_each_entry_is_counted_again_and_nothing_is_left_to_pay(order: Any) -> None:
    """Told once more all is known."""
    books = Books(NOW)
    books.deliver(*order)

    assert [] == [count.problems for count in recount(books.entries_of("j-1")) if count.failed]
    assert Decimal(0) == books.net("j-1")
    assert {Outcome.DUPLICATE} == {*books.deliver(*order)}


def test_where_a_policy_numbers_nothing_no_attempt_is_named() -> None:
    """As ever."""
    books = Books(example())
    books.deliver(rendered(), failed())

    assert [] == [step for step in steps_now(books) if "attempt" in step]


def test_an_event_is_explained_with_its_attempt() -> None:
    """By which expression it was found, and that attempts decide over each other; said once."""
    policy = example((NUMBERED[0], "time: time, attempt: 'to_number(detail.try)'}".replace("'", '"')))
    for told in (rendered, failed):
        envelope = Envelope(told(**{"try": "2"}), Source.EVENT)
        assessment = assess(envelope, policy)
        assert assessment is not None
        steps = [step for step in steps_of(envelope, assessment, policy) if "try" in step]
        said = "attempt 2 of its job, by `event.attempt` (to_number(detail.try)): a higher one decides over it"
        assert [said] == steps


def test_the_story_of_a_job_tells_attempts() -> None:
    """What each event said of its attempt; and the mark names one."""
    books = Books(NOW)
    books.deliver(FIRST, THIRD_FAILED)
    stored = books.store.stored_entries_of("job#j-1", books.run.deadline)

    story = story_of("j-1", stored, {"status": "failed", "reconciled": True, "reconciledStatus": "failed#3"})

    charge = "a charge of 0.8000 at 2026-01-05T10:00:00Z: detail.attempt 1, detail.model veo-3, detail.seconds 8"
    assert [(charge,), ("100 % back at 2026-01-05T09:00:00Z: detail.attempt 3",)] == [each.told for each in story.chapters]
    assert ("settled at failed, attempt 3,", False) == (story.mark(), story.failed)


@pytest.mark.parametrize(
    ("status", "marked", "says"),
    [
        ("completed", "completed", "settled at completed by entry 2"),
        ("completed", "completed#2", "settled at completed, attempt 2, by entry 2"),
        ("failed", "completed#2", "settled at completed, attempt 2, by entry 2; its status has changed since"),
        ("completed#2", "completed#2", "settled at completed#2 by entry 2"),
        ("completed", None, "settled at None by entry 2; its status has changed since"),
    ],
)
def test_a_mark_is_told_with_its_attempt(status: str, marked: Any, says: str) -> None:
    """A status that has such a text itself is that status."""
    told = {"status": status, "reconciled": True, "reconciledStatus": marked, "reconciledSequence": 2}

    assert says == mark_text(told)


def test_what_the_next_scan_would_do_goes_by_the_attempt() -> None:
    """Nothing at the attempt that is marked, and a charge once the row has gone on."""
    steps = Steps(NOW)
    steps.ledger.rows["j-1"] = row(attempt=1)
    steps.deliver(rendered(attempt=1))
    said = steps.ledger.rows["j-1"]

    def scanned(**columns: Any) -> str:
        return next_scan({**said, **columns}, NOW, steps.ledger.store, steps._deadline())  # type: ignore[arg-type] # noqa: SLF001

    assert SETTLED == scanned()
    assert "posts a debit of -1.2000 by debit-rendered" == scanned(attempt=2, seconds=20)
    assert scanned(attempt=None).endswith(
        "field detail.attempt: is missing; a whole number >= 0 of at most 38 digits is needed"
    )


# --- plans ------------------------------------------------------------------------------------------------------------


def many() -> list[dict[str, Any]]:
    """Return events of forty jobs that differ in nothing but their attempts and the order in which these came."""
    told = []
    for number, (one, other) in enumerate(itertools.product((0, 1, 2, "x"), (0, 1, 2, None))):
        job = f"j-{number}"
        told += [
            rendered(job, attempt=one),
            failed(job, attempt=other, at="09:00"),
            rendered(job, attempt=other, at="2026-01-05T10:00:03Z"),
        ]
    return told


def written(folder: Path) -> tuple[Path, list[bytes]]:
    """Write these events into a file."""
    lines = [json.dumps(event).encode() for event in many()]
    path = folder / "events.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path, lines


def by_job(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a plan says of each job that would end otherwise."""
    found: list[dict[str, Any]] = plan["differences"]
    return sorted(found, key=lambda difference: str(difference["reference"]))


@pytest.mark.parametrize("memo_max", [3, 100_000])
def test_a_plan_of_any_size_tells_attempts_apart(tmp_path: Path, memo_max: int) -> None:
    """Events that are alike but for their attempt are not alike: the plan is that of the engine, event by event."""
    path, lines = written(tmp_path)

    assert by_engine(lines, NOW, THEN) == at_any_size([path], NOW, THEN, memo_max=memo_max)


def test_a_plan_from_the_ledger_is_the_plan_of_its_events(tmp_path: Path) -> None:
    """Each kept fact is told anew in its own attempt."""
    path, _ = written(tmp_path)

    kept = plan_of(KeptBooks(NOW).tell(*many()).material(), NOW, THEN)
    told = plan_of(Material((path,)), NOW, THEN)

    assert told["net"] == kept["net"]
    assert by_job(told) == by_job(kept) != []


def test_a_plan_from_the_ledger_flags_what_its_events_flag(tmp_path: Path) -> None:
    """A close call within one attempt; none between two."""
    close = {"at": "2026-01-05T10:00:03Z"}
    told = (FIRST, failed(attempt=1, **close), rendered("j-2", attempt=1), failed("j-2", attempt=2, **close))
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, told)))

    kept = plan_of(KeptBooks(NOW).tell(*told).material(), NOW, THEN)

    assert {"close-call": {"now": 1, "then": 1}} == kept["anomalies"]
    assert plan_of(Material((path,)), NOW, THEN)["anomalies"] == kept["anomalies"]


def test_an_edit_that_numbers_attempts_is_planned_by_events(tmp_path: Path) -> None:
    """A failure in a second attempt by a clock that is behind takes back what nobody gave back before."""
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(map(json.dumps, (FIRST, failed(attempt=2, at="09:00")))))

    plan = plan_of(Material((path,)), example(), NOW)

    assert ("0.8000", "0.0000") == (plan["net"]["now"], plan["net"]["then"])


# --- corrections ------------------------------------------------------------------------------------------------------


def test_a_repricing_tells_the_charges_of_all_attempts(tmp_path: Path) -> None:
    """At twice the price both cost twice as much; the second still counts, and the old events are known."""
    steps = Steps(NOW)
    steps.deliver(FIRST, SECOND)

    done = repriced(steps.ledger.store, THEN, tmp_path / "plan.jsonl")

    assert 1 == done.posted
    assert [(2, Decimal("4.0000"), 1), (1, Decimal("1.6000"), 1)] == [
        (charge.attempt, charge.amount, charge.revision) for charge in steps.ledger.lines("j-1")[-1].facts.charges
    ]
    assert Decimal("996.0") == steps.ledger.balances["u-1"]
    assert [Outcome.DUPLICATE] * 2 == [report.outcome for report in steps.deliver(FIRST, SECOND)]
    assert [Outcome.REFUNDED] == [report.outcome for report in steps.deliver(THIRD_FAILED)]
    assert Decimal("1000.0") == steps.ledger.balances["u-1"]


@pytest.mark.parametrize("told", [*itertools.permutations((FIRST, FIRST_FAILED)), (FIRST,), (THIRD_FAILED, FIRST)])
def test_events_that_were_told_before_attempts_were_numbered_are_known(told: Any) -> None:
    """Under the edited policy each is the fact that it was: of attempt 0, at its own price."""
    books = Books(example())
    books.deliver(*told)
    before = books.lines("j-1")
    books.policy = THEN

    assert {Outcome.DUPLICATE} == {*books.deliver(*told)}
    assert before == books.lines("j-1")


def test_a_charge_that_had_been_passed_over_is_passed_over_once_attempts_are_numbered() -> None:
    """Of what was overtaken the ledger keeps nothing. Told again it is no later than what has no number, and so has none."""
    books = Books(example())
    books.deliver(FIRST, SECOND)
    before = books.lines("j-1")
    books.policy = NOW

    assert [Outcome.DUPLICATE] * 2 == books.deliver(FIRST, SECOND)
    assert before == books.lines("j-1")
