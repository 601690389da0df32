"""What an edit would do where credits are held: held, settled, released, closed; and no open hold is revenue."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.plan_page import _totals
from engine.cli.plan_told import head
from engine.domain.fact import Hold
from engine.domain.instants import read_instant
from engine.policy import Policy, parse_policy
from engine.preview.planning.material import Material
from engine.rating.expire import expiry_of
from engine.reconcile.settle import EventProposal, settle
from tests.planning.test_planning import written
from tests.support.events import event
from tests.support.examples import tries
from tests.support.kept_plans import Books, plan_of
from tests.support.planning import at_any_size, by_engine

HOLD = """\
  - name: hold-submitted
    match: {detail-type: [video.submitted]}
    action: hold
    hold: {price: second, quantity: detail.seconds, expires: 2h}
"""
POLICY = f"""\
version: 1
name: holds
event: {{job: detail.jobId, user: detail.userId, time: time, attempt: "detail.attempt || `1`"}}
prices:
  second: [{{effective: 2025-01-01T00:00:00Z, rates: {{default: "0.1"}}}}]
rules:
{HOLD}\
  - name: debit-rendered
    match: {{detail-type: [video.rendered]}}
    action: debit
    charge: {{price: second, quantity: detail.seconds}}
  - {{name: refund-failed, match: {{detail-type: [video.failed]}}, action: refund, refund: {{percent: 100}}}}
"""
TWICE = "quantity: 'multiply(detail.seconds, `2`)', expires"
EDITS = {
    "holds twice as much": ("quantity: detail.seconds, expires", TWICE),
    "no holds": (HOLD, ""),
    "another price": ('"0.1"', '"0.2"'),
    "failures that play no part": ("[video.failed]}", "[video.faltered]}"),
    "a shorter hold": ("expires: 2h", "expires: 1h"),
}


def policy(edit: str = "") -> Policy:
    """Return the policy of these tests, edited."""
    old, new = EDITS.get(edit, ("", ""))
    assert old in POLICY
    return parse_policy(POLICY.replace(old, new), "holds.yaml")


NOW = policy()


def told(kind: str, job: str, at: str, attempt: int = 1, **detail: Any) -> dict[str, Any]:
    """Return an event of a job of u-1."""
    return event(f"video.{kind}", {"jobId": job, "userId": "u-1", "attempt": attempt, **detail}, at)


DAY = (
    told("submitted", "j-1", "10:00", seconds=8),
    told("rendered", "j-1", "10:05", seconds=6),
    told("submitted", "j-2", "10:10", seconds=20),
    told("submitted", "j-3", "10:20", seconds=5),
    told("failed", "j-3", "10:25"),
    told("submitted", "j-3", "10:30", seconds=5),
)
"""j-1 is settled, j-2 is held, j-3 is released, and a request for it comes too late."""


def plan(folder: Path, documents: tuple[dict[str, Any], ...], then: Policy) -> dict[str, Any]:
    """Return the plan of events."""
    path = written(folder, [json.dumps(document).encode() + b"\n" for document in documents])
    return plan_of(Material((path,)), NOW, then)


def outcomes(answer: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return how many events end so now and then."""
    return {(row["now"], row["then"]): row["events"] for row in answer["outcomes"]}


def test_what_is_only_held_is_told_apart_and_is_no_revenue(tmp_path: Path):
    """Twice as much is held: 4 in place of 2 in the end. Users pay the 0.6 of j-1, whatever was held for it."""
    answer = plan(tmp_path, DAY, policy("holds twice as much"))

    ends = {("held", "held"): 3, ("settled", "settled"): 1, ("released", "released"): 1, ("closed", "closed"): 1}
    assert ends == outcomes(answer)
    assert {"now": "2.0000", "then": "4.0000"} == answer["held"]
    assert {"now": "0.6000", "then": "0.6000", "by": "0.0000", "percent": "0.00"} == answer["net"]
    assert {"settle": {"now": "-0.6000", "then": "-0.6000"}, "net": {"now": "-0.6000", "then": "-0.6000"}} == answer["credits"]
    assert [] == answer["differences"]
    assert ["rule hold-submitted: `hold` differs"] == answer["changes"]
    shown = [total for total in _totals(answer) if "held" in total[0]]
    assert [("Beside that, held in the end", "2.0000"), ("would be held", "4.0000")] == shown
    assert "beside that, held in the end for work that is not done: 2.0000 -> 4.0000" in [
        line.strip() for line in head(answer)
    ]


def test_a_policy_that_begins_to_hold_charges_no_more(tmp_path: Path):
    """The rule is gone: requests are ignored, and the render of j-1 is a debit. By rule it is what users pay."""
    answer = plan(tmp_path, DAY, policy("no holds"))

    assert {
        ("held", "ignored"): 3,
        ("closed", "ignored"): 1,
        ("settled", "debited"): 1,
        ("released", "voided"): 1,
    } == outcomes(answer)
    assert ("0.0000", {"now": "2.0000", "then": "0"}) == (answer["net"]["by"], answer["held"])
    rows = {row["key"]: (row["now"], row["then"]) for row in answer["groups"]["rule"]}
    assert ("0.6000", "0.6000") == rows["debit-rendered"]
    assert ("0", "0") == tuple(f"{float(amount):g}" for amount in rows["hold-submitted"])


JOBS = st.sampled_from(["a", "a", "b"])
STORY = st.lists(
    st.tuples(
        st.sampled_from(["submitted", "submitted", "rendered", "failed"]),
        JOBS,
        st.sampled_from(["10:00", "10:01", "12:30"]),
        st.integers(1, 2),
        st.sampled_from([4, 8]),
        st.booleans(),
    ),
    min_size=1,
    max_size=7,
)


@tries(80)
@given(story=STORY, edit=st.sampled_from(sorted(EDITS)))
def test_any_story_with_holds_ends_as_the_engine_ends_it(tmp_path_factory: pytest.TempPathFactory, story: Any, edit: str):
    """Twice, under other names and a day apart; some requests have no id, and make no sense."""
    lines = []
    for name, day in (("", "05"), ("-again", "06")):
        for kind, job, at, attempt, seconds, has_id in story:
            document = told(kind, job + name, f"2026-01-{day}T{at}:00Z", attempt, seconds=seconds)
            kept = {key: value for key, value in document.items() if has_id or key != "id"}
            lines.append(json.dumps(kept).encode() + b"\n")
    path, then = written(tmp_path_factory.mktemp("story"), lines), policy(edit)

    assert by_engine(lines, NOW, then) == at_any_size([path], NOW, then)


# --- from the ledger --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["holds twice as much", "no holds", "another price", "a shorter hold"])
def test_what_a_ledger_keeps_of_holds_says_what_its_events_say(tmp_path: Path, edit: str):
    """But for the request that came too late: the ledger keeps nothing of that."""
    then, documents = policy(edit), DAY[:-1]

    kept = plan_of(Books(NOW).tell(*documents).material(), NOW, then)
    events = plan(tmp_path, documents, then)

    for part in ("outcomes", "credits", "held", "net", "causes", "jobs", "users", "groups", "differences", "events"):
        assert events[part] == kept[part], part
    assert ([], []) == (kept["leftOut"], kept["warnings"])
    assert {"jobs": 3, "paid": "0.6", "reasons": []} == kept["ledger"]


def test_holds_that_are_alike_keep_their_own_times(tmp_path: Path):
    """Two days apart, and each expires by itself: j-1 of the first day, j-2 not yet. 0.8 are held in the end."""
    books = Books(NOW, {"u-1": "10"}).tell(
        told("submitted", "j-1", "2026-01-05T10:00:00Z", seconds=8),
        told("submitted", "j-2", "2026-01-07T10:00:00Z", seconds=8),
    )
    expire(books, "j-1", "2026-01-05T12:05:00Z")

    answer = plan_of(books.material(), NOW, policy("holds twice as much"))

    assert {"now": "0.8000", "then": "1.6000"} == answer["held"]
    assert {("held", "held"): 2, ("released", "released"): 1} == outcomes(answer)
    assert ({"2026-01-05", "2026-01-07"}, []) == ({row["key"] for row in answer["groups"]["day"]}, answer["leftOut"])


def expire(books: Books, job: str, at: str) -> None:
    """Let the scheduled run find a hold due."""
    run, instant = books.run, read_instant(at)
    log = run.store.read(f"job#{job}", run.deadline)
    assert log.facts.hold is not None
    assert instant is not None
    expiry = expiry_of(log.facts.hold, job, "u-1", instant)
    settle(EventProposal(expiry, run.policy, run.reconciler.ledger, log), run.reconciler.ledger, run.deadline)


def test_who_could_not_pay_what_is_held_is_named():
    """Of 3 credits 2 are held: 4 would be, which is 1 too much."""
    books = Books(NOW, {"u-1": "3"}).tell(told("submitted", "j-1", "10:00", seconds=20))

    answer = plan_of(books.material(), NOW, policy("holds twice as much"))

    assert [{"user": "u-1", "now": "1", "then": "-1", "at": "2026-01-05T10:00:00Z"}] == answer["overdrafts"]


def test_a_hold_lasts_as_long_at_another_instant_and_never_beyond_the_end_of_time():
    """Two hours, from whenever on."""
    hold = Hold(Decimal(0), datetime(2026, 1, 5, 10, tzinfo=UTC), datetime(2026, 1, 5, 12, tzinfo=UTC))

    assert datetime(2026, 1, 5, 15, tzinfo=UTC) == hold.moved(datetime(2026, 1, 5, 13, tzinfo=UTC)).expires_at
    assert datetime.max.replace(tzinfo=UTC) == hold.moved(datetime(9999, 12, 31, 23, tzinfo=UTC)).expires_at
