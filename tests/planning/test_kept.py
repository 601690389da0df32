"""A plan out of a ledger: what its entries keep is told once more, under both policies. Figures are worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given

from engine.domain.documents import read_document
from engine.preview.planning.kept.spool import Span
from engine.preview.planning.material import Material
from tests.planning.test_answer import DEARER, EVENTS
from tests.planning.test_planning import EDITS, NOW, STORY, event, policy, written
from tests.support.events import event as envelope
from tests.support.events import failed, rendered
from tests.support.examples import tries
from tests.support.kept_plans import Books, plan_of
from tests.support.planning import made_lines
from tests.support.policies import example
from tests.support.repricing import planned as repriced
from tests.support.repricing import repriced as priced_anew

PRICED_OTHERWISE = ("another price", "a selector with a fallback", "a row that ends", "whole credits", "no price for others")


def test_what_a_ledger_keeps_says_what_its_events_say(tmp_path: Path):
    """Ann's 8 and 100 seconds cost 0.88 + 11.00 in place of 0.80 + 10.00: every table is that of the events."""
    lines = [f"{document}\n".encode() for document in map(as_json, EVENTS)]
    now, then = example(), example(DEARER)

    kept = plan_of(Books(now).tell(*EVENTS).material(), now, then)
    told = plan_of(Material((written(tmp_path, lines),)), now, then)

    assert {"now": "11.8000", "then": "12.8800", "by": "1.0800", "percent": "9.15"} == kept["net"]
    for part in ("outcomes", "credits", "net", "causes", "jobs", "users", "groups", "differences", "events"):
        assert told[part] == kept[part], part
    assert ("ledger", [], []) == (kept["source"], kept["leftOut"], kept["warnings"])
    assert {"jobs": 4, "paid": "11.8", "reasons": []} == kept["ledger"]


def as_json(document: dict[str, Any]) -> str:
    """Return an event as a line."""
    import json  # noqa: PLC0415

    return json.dumps(document)


@pytest.mark.parametrize("edit", PRICED_OTHERWISE)
def test_a_pure_change_of_prices_is_planned_as_it_would_be_posted(tmp_path: Path, edit: str):
    """To the last digit what ``reprice`` would post, of the same jobs; and it leaves out the same, for the same reasons."""
    books = Books(NOW).tell(*map(read_document, made_lines(3, 120)))
    then = policy(*EDITS[edit])

    kept, head = plan_of(books.material(), NOW, then), repriced(books.run.store, then, tmp_path / "plan.jsonl")

    assert Decimal(kept["net"]["by"]) == -head["total"]["difference"]
    assert [(each["why"], each["jobs"]) for each in head["leftOut"]] == [
        (each["why"], each["jobs"]) for each in kept["ledger"]["reasons"]
    ]
    assert sum(each["jobs"] for each in head["leftOut"]) == len(kept["leftOut"])


@pytest.mark.parametrize("edit", ["another refund, within an hour", "another price", "a row that ends", "another skew"])
def test_a_file_of_all_that_can_come_moves_what_its_ledger_keeps(tmp_path: Path, edit: str):
    """Redelivered, refunded, conflicting, foreign, malformed: what the ledger has of them comes to the same."""
    lines = made_lines(len(edit), 150)
    then = policy(*EDITS[edit])

    kept = plan_of(Books(NOW).tell(*map(read_document, lines)).material(), NOW, then)
    told = plan_of(Material((written(tmp_path, lines),)), NOW, then)

    assert ([], told["net"]) == (kept["leftOut"], kept["net"])
    assert moved(told) == moved(kept)


def moved(answer: dict[str, Any]) -> dict[str, str]:
    """Return how much more each user pays who pays otherwise."""
    return {row["key"]: row["by"] for row in answer["groups"]["user"] if Decimal(row["by"])}


@tries(60)
@given(story=STORY)
def test_any_story_of_a_job_is_kept_whole_enough(tmp_path_factory: pytest.TempPathFactory, story: Any):
    """In whatever order, however far apart: its ledger says of a dearer price what the events say."""
    lines = [event(*told) + b"\n" for told in story]
    then = policy(*EDITS["another price"])
    path = written(tmp_path_factory.mktemp("story"), lines)

    kept = plan_of(Books(NOW).tell(*map(read_document, lines)).material(), NOW, then)
    told = plan_of(Material((path,)), NOW, then)

    assert (Decimal(told["net"]["then"]), ended(told)) == (Decimal(kept["net"]["then"]), ended(kept))


def ended(answer: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the differences in an order that does not depend on that of the events."""
    return sorted(tuple(difference.values()) for difference in answer["differences"])


def test_an_unchanged_policy_moves_nothing():
    """Whatever was posted by it: zero in every table."""
    kept = plan_of(Books(NOW).tell(*map(read_document, made_lines(9, 150))).material(), NOW, NOW)

    assert ("0.0000", 0, []) == (kept["net"]["by"], kept["jobs"]["concerned"], kept["differences"])
    assert all(Decimal(row["by"]) == 0 for rows in kept["groups"].values() for row in rows)


def test_two_processes_and_no_memory_say_the_same():
    """Each reads its share of the facts; an effect that is no longer remembered is worked out again."""
    material = Books(NOW).tell(*map(read_document, made_lines(5, 100))).material()
    then = policy(*EDITS["another price"])

    whole = plan_of(material, NOW, then)

    assert whole == plan_of(material, NOW, then, memo_max=3) == plan_of(material, NOW, then, workers=2)


# --- what is told anew ------------------------------------------------------------------------------------------------


def test_a_refund_is_told_anew_where_its_rule_is_edited():
    """Of 0.80 half goes back in place of all, and nothing where the failure came after the window: 0.40 + 0.80 more."""
    now, then = example(), example(("percent: 100", "percent: 50, within: 1h"))
    books = Books(now).tell(rendered("j-1"), failed("j-1"), rendered("j-2"), failed("j-2", at="11:01"))

    kept = plan_of(books.material(), now, then)

    assert {"now": "0.0000", "then": "1.2000", "by": "1.2000", "percent": None} == kept["net"]
    assert [("job#j-2", "-0.8000"), ("job#j-1", "-0.4000")] == [(d["reference"], d["by"]) for d in kept["differences"]]


def test_an_earlier_refund_counts_where_the_edit_says_so():
    """Of two failures the later decides now; within an hour only the earlier is in time, and gives back half."""
    now, then = example(), example(("percent: 100", "percent: 50, within: 1h"))
    books = Books(now).tell(rendered("j-1"), failed("j-1", at="10:30"), failed("j-1", at="12:00"))

    assert ("0.0000", "0.4000") == tuple(plan_of(books.material(), now, then)["net"][side] for side in ("now", "then"))


def test_past_refunds_keep_what_they_gave_where_no_refund_is_edited():
    """The half that an older policy gave back stays half: 8 seconds cost 0.40 now, and 0.44 at the dearer rate."""
    older, now, then = example(("percent: 100", "percent: 50")), example(), example(DEARER)
    books = Books(older).tell(rendered("j-1"), failed("j-1"))

    kept = plan_of(books.material(), now, then)

    assert {"now": "0.4000", "then": "0.4400", "by": "0.0400", "percent": "10.00"} == kept["net"]


def test_a_concession_lowers_what_the_job_costs_under_both():
    """Of 10 seconds 0.30 was conceded: 0.70 now, 0.80 at 0.11 a second; and never below 0."""
    now, then = example(), example(DEARER)
    books = Books(now).tell(rendered("j-1", seconds=10), rendered("j-2", seconds=1))
    books.concede("j-1", "0.30", "2026-01-06T10:00:00+00:00").concede("j-2", "5", "2026-01-06T10:00:00+00:00")

    kept = plan_of(books.material(), now, then)

    assert {"now": "0.7000", "then": "0.8000", "by": "0.1000", "percent": "14.29"} == kept["net"]
    assert {"now": "0.4000", "then": "0.4100"} == kept["credits"]["adjust"]


def test_a_charge_that_was_priced_anew_is_priced_once_more(tmp_path: Path):
    """Posted at 1.00 a second, corrected to 0.10: the plan compares 0.80 with 0.88, and not with the mistake."""
    wrong, now, then = example(('"0.10"', '"1.00"')), example(), example(DEARER)
    books = Books(wrong).tell(rendered("j-1"))
    priced_anew(books.run.store, now, tmp_path / "plan.jsonl")

    kept = plan_of(books.material(), now, then)

    assert {"now": "0.8000", "then": "0.8800", "by": "0.0800", "percent": "10.00"} == kept["net"]
    assert [] == kept["warnings"]


def test_what_rows_without_a_time_have_told_is_told_anew():
    """A weak charge and a weak refund, at the starts of two scans: 0.80 went back whole, and half of 0.88 would."""
    now, then = example(), example(DEARER, ("percent: 100", "percent: 50"))
    books = Books(now).tell_rows(rendered("j-1"), rendered("j-2"), failed("j-2"))

    kept = plan_of(books.material(), now, then)

    assert {"now": "0.8000", "then": "1.3200", "by": "0.5200", "percent": "65.00"} == kept["net"]
    assert (3, []) == (kept["events"], kept["leftOut"])


def test_grants_and_revokes_are_told_anew():
    """5 credits of 2 each were bought, and half was taken back: 5 given now, 7.5 where a credit bought gives 3."""
    grants = (
        "rules:\n",
        "rules:\n  - {name: bought, match: {detail-type: [bought]}, action: grant,"
        " grant: {price: bonus, quantity: detail.n}}\n"
        "  - {name: back, match: {detail-type: [back]}, action: revoke, revoke: {percent: 50}}\n",
    )
    bonus = ("prices:\n", 'prices:\n  bonus: [{effective: 2025-01-01T00:00:00Z, rates: {default: "2"}}]\n')
    named = ("time: time}", "time: time, reference: detail.id}")
    now = example(grants, bonus, named)
    detail = {"id": "p-1", "userId": "ann", "n": 5}
    books = Books(now).tell(envelope("bought", detail), envelope("back", detail, "12:00"))

    dearer = plan_of(books.material(), now, example(grants, (bonus[0], bonus[1].replace('"2"', '"3"')), named))
    milder = plan_of(books.material(), now, example((grants[0], grants[1].replace("50", "20")), bonus, named))

    assert ("-5.0000", "-7.5000") == (dearer["net"]["now"], dearer["net"]["then"])
    assert ("-5.0000", "-8.0000") == (milder["net"]["now"], milder["net"]["then"])


# --- what cannot be told ----------------------------------------------------------------------------------------------

STEPS = ("quantity: detail.seconds,", 'quantity: "round_up(detail.seconds, `5`)",')
RENAMED = (
    "  - name: debit-rendered\n",
    '  - {name: b, match: {detail: {kind: [b]}}, action: debit, charge: {amount: "1"}}\n  - name: a\n',
)


@pytest.mark.parametrize(
    ("now", "then", "why"),
    [
        ([STEPS], [(STEPS[0], STEPS[1].replace("5", "10"))], "rule `debit-rendered`: `detail.seconds` was not kept"),
        ([], [("by: detail.model", "by: detail.size")], "rule `debit-rendered`: `detail.size` was not kept"),
        ([], [RENAMED], "no debit rule `debit-rendered` takes it, and several others may: `b`, `a`"),
        ([], [("2025-01-01T00:00:00Z", "2026-02-01T00:00:00Z")], "`time` is before the first price of render-second"),
        (
            [],
            [("[video.failed]}", "[video.failed], detail: {never: [there]}}")],
            "`refund-failed` takes other events than before",
        ),
        ([], [("name: refund-failed", "name: back")], "there is no refund rule `refund-failed`"),
        ([], [("percent: 100", "percent: detail.percent")], "rule `refund-failed`: `detail` was not kept"),
        (
            [],
            [("action: debit\n", "action: debit\n    repeats: ignore\n")],
            "one policy ignores repeats",
        ),
    ],
)
def test_a_job_that_cannot_be_told_anew_is_named(now: Any, then: Any, why: str):
    """It is in no table, and nobody is told that it would stay as it is."""
    books = Books(example(*now)).tell(rendered("j-1"), failed("j-1"), envelope("other", {}))

    kept = plan_of(books.material(), example(*now), example(*now, *then) if not now else example(*then))

    assert [("job#j-1", "u-1")] == [(each["reference"], each["user"]) for each in kept["leftOut"]]
    assert why in kept["leftOut"][0]["why"]
    assert (0, "0", []) == (kept["jobs"]["all"], kept["net"]["now"], kept["groups"]["user"])
    assert any(warning.startswith("1 jobs and grants cannot be priced anew") for warning in kept["warnings"])


def test_a_log_that_lacks_an_entry_is_named():
    """Half an archive would say otherwise what a job costs."""
    books = Books(example()).tell(rendered("j-1"), failed("j-1"), rendered("j-2"))
    halves = Material(entries=lambda: books.entries()[1:])

    kept = plan_of(halves, example(), example(DEARER))

    assert [{"reference": "job#j-1", "user": "u-1", "why": "entry 1 is missing"}] == kept["leftOut"]
    assert "0.0800" == kept["net"]["by"]


def test_what_somebody_has_put_into_the_ledger_is_named():
    """No place of a log, or nothing but a place: the job is left out, and what it says moves nothing."""
    odd = {"reference": "job#j-2", "sequence": Decimal("1.5"), "userId": "bo", "amount": "much", "occurredAt": "then"}
    bare = {"reference": "grant#g-1", "sequence": 1}
    books = Books(example(), {"u-1": "1"}).tell(rendered("j-1"))

    kept = plan_of(evolve(books.material(), entries=lambda: [odd, *books.entries(), bare]), example(), example(DEARER))

    assert [
        {"reference": "grant#g-1", "user": "", "why": "entry 1 is no entry of this system"},
        {"reference": "job#j-2", "user": "bo", "why": "entry 1 is missing"},
    ] == kept["leftOut"]
    assert ("0.0800", 0) == (kept["net"]["by"], kept["balances"]["unknown"])


def test_an_entry_that_comes_twice_counts_once():
    """As an archive may have it; and in whatever order."""
    books = Books(example()).tell(rendered("j-1"), failed("j-1", at="09:00"))

    kept = plan_of(Material(entries=lambda: [*reversed(books.entries()), *books.entries()]), example(), example(DEARER))

    assert ("0.0800", []) == (kept["net"]["by"], kept["leftOut"])


def test_what_other_policies_have_priced_is_said():
    """Two jobs were posted at 0.20 a second: users have paid 3.20, and by the policy as it is now it were 1.60."""
    books = Books(example(('"0.10"', '"0.20"'))).tell(rendered("j-1"), rendered("j-2"))

    kept = plan_of(books.material(), example(), example(DEARER))

    said = "users have paid 3.2 for these jobs and grants; by the policy as it is now they would have paid 1.6"
    assert ([said], "1.7600") == (kept["warnings"], kept["net"]["then"])


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("user: detail.userId", "user: detail.jobId"), "setting event: `user` differs: whose a job is was settled"),
        (("[video.rendered], detail: {r", "[video.made], detail: {r"), "anomaly no-result: `match` differs: the ledger"),
        (
            ("rules:\n", "rules:\n  - {name: m, match: {source: [m]}, action: flag, reason: m}\n"),
            "rule m is new: events that no",
        ),
        (
            ("[video.failed]}", "[video.failed, video.lost]}"),
            "rule refund-failed: `match` differs: events that no rule has taken",
        ),
    ],
)
def test_what_no_entry_shows_of_an_edit_is_said(edit: tuple[str, str], said: str):
    """It would look as if such an edit did nothing."""
    kept = plan_of(Books(example()).tell(rendered("j-1")).material(), example(), example(edit))

    assert any(warning.startswith(said) for warning in kept["warnings"]), kept["warnings"]


def test_jobs_of_a_time_are_planned_by_when_their_charge_happened():
    """From 11:00 on and before 12:00: of three jobs one."""
    books = Books(example()).tell(*(rendered(f"j-{hour}", at=f"{hour}:00") for hour in (10, 11, 12)))
    noon = Span(instant(11), instant(12))

    assert ["job#j-11"] == [
        each["reference"] for each in plan_of(books.material(span=noon), example(), example(DEARER))["differences"]
    ]


def instant(hour: int) -> Any:
    """Return an hour of the day of these events."""
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime(2026, 1, 5, hour, tzinfo=UTC)
