"""A plan at any size says to the byte what the engine says that is asked event by event."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.errors import NoRow
from engine.policy import Policy, parse_policy
from engine.preview.planning.lines import UnreadableEvents, quickly_decoded
from engine.preview.planning.reads import reads_of
from tests.support.events import rendered
from tests.support.examples import tries
from tests.support.planning import at_any_size, by_engine, made_lines
from tests.support.policies import example_text

FULL = example_text(
    ("time: time}", "time: time, reference: detail.purchaseId}"),
    (
        "  - name: flag-test-renders",
        "  - name: grant-purchased\n    match: {detail-type: [credits.purchased]}\n    action: grant\n"
        '    grant: {quantity: detail.credits, maximum: "10000"}\n  - name: flag-test-renders',
    ),
    (
        "catch_up:",
        "  - {name: unusual, outlier: {value: charge.amount, group: detail.model, mads: 6, samples: 15}}\n"
        "  - {name: burst, match: {detail-type: [video.rendered]},"
        " frequency: {same: detail.userId, more_than: 3, within: 10m}}\n"
        "  - {name: twice, frequency: {same: [detail.result_url, detail.model], more_than: 1, within: 1d}}\n"
        "  - {name: same-rate, frequency: {same: [charge.rate, detail.userId], more_than: 4, within: 1d}}\ncatch_up:",
    ),
)
EDITS = {
    "no edit": [],
    "another price": [('"0.10"', '"0.20"')],
    "another refund, within an hour": [("percent: 100", "percent: 50, within: 1h")],
    "a price that begins too late": [("2025-01-01T00:00:00Z", "2026-02-01T00:00:00Z")],
    "no price for others": [('default: "0.10", ', "")],
    "a rule that ignores repeats": [("action: debit\n", "action: debit\n    repeats: ignore\n")],
    "failures that play no part": [("[video.failed]}\n    action", "[video.failed], detail: {never: [there]}}\n    action")],
    "purchases that are charged": [
        (
            "action: grant\n    grant: {quantity: detail.credits, ",
            "action: debit\n    charge: {price: render-second, quantity: detail.credits, ",
        )
    ],
    "another user": [("user: detail.userId", "user: detail.jobId")],
    "another job": [("job: detail.jobId", "job: detail.purchaseId")],
    "other bursts": [("more_than: 3", "more_than: 2"), ("within: 1d}}\n  - {name: same", "within: 1h}}\n  - {name: same")],
    "another skew": [("overdraft: flag", "clock: {skew: 2s}\noverdraft: flag")],
    "an expression": [("quantity: detail.seconds,", 'quantity: "round_up(detail.seconds, `5`)",')],
    "an expression of all": [("quantity: detail.seconds,", 'quantity: "(@).detail.seconds",')],
    "a selector with a fallback": [("by: detail.model", "by: \"detail.model || 'premium'\"")],
    "a row that ends": [("2026-07-01T00:00:00Z\n", "2026-01-06T00:00:00Z\n      until: 2026-07-01T00:00:00Z\n")],
    "whole credits": [("places: 4", "places: 0"), ('"0.01"', '"1"')],
}


def policy(*edits: tuple[str, str]) -> Policy:
    """Return the policy of these tests, edited."""
    text = FULL
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return parse_policy(text, "plan.yaml")


NOW = policy()


def written(folder: Path, lines: list[bytes]) -> Path:
    """Return a file of lines."""
    path = folder / "events.jsonl"
    path.write_bytes(b"".join(lines))
    return path


@pytest.mark.parametrize("edit", EDITS)
def test_a_file_of_all_that_can_come_gives_the_engines_answer(tmp_path: Path, edit: str):
    """Redelivered, refunded, conflicting, foreign, malformed, NaN, 23 digits, dotted: under edits of each part."""
    lines = made_lines(len(edit), 60)
    then = policy(*EDITS[edit])

    assert by_engine(lines, NOW, then) == at_any_size([written(tmp_path, lines)], NOW, then, memo_max=10)


@pytest.mark.proof
@pytest.mark.parametrize("edit", EDITS)
def test_a_large_file_of_all_that_can_come_gives_the_engines_answer(tmp_path: Path, edit: str):
    """By one process and by two, with hardly any memory of what was met before and with all of it."""
    lines = made_lines(1 + len(edit), 1_000)
    then, path = policy(*EDITS[edit]), written(tmp_path, lines)

    by_each = {at_any_size([path], NOW, then, memo_max=memo, workers=n) for memo, n in ((200, 1), (10**9, 1), (200, 2))}

    assert {by_engine(lines, NOW, then)} == by_each


@pytest.mark.parametrize("edit", ["other bursts", "no price for others"])
def test_what_does_not_fit_into_memory_is_looked_at_in_order(tmp_path: Path, edit: str):
    """One user may stand behind half of all events."""
    lines = made_lines(7, 150)
    then = policy(*EDITS[edit])

    assert by_engine(lines, NOW, then) == at_any_size([written(tmp_path, lines)], NOW, then, looked_at_once=0)


def test_two_processes_give_the_engines_answer(tmp_path: Path):
    """Each reads every other block, so that a job's events are met by both."""
    lines = made_lines(5, 200)
    files = [tmp_path / "1.jsonl.gz", tmp_path / "2.jsonl"]
    files[0].write_bytes(gzip.compress(b"".join(lines[:90])))
    files[1].write_bytes(b"\n" + b"".join(lines[90:]))
    then = policy(*EDITS["another price"], *EDITS["another job"])

    assert by_engine(lines, NOW, then) == at_any_size(files, NOW, then, workers=2)


JOBS, AT = st.sampled_from(["a", "b"]), st.integers(0, 9)
STORY = st.lists(
    st.tuples(
        st.sampled_from(["video.rendered", "video.failed", "credits.purchased"]),
        JOBS,
        st.sampled_from(["u-1", "u-1", "u-1", "u-2"]),
        st.sampled_from([0, 1, 5, 6, 3600, 3601, 86400, 86401]),
        st.sampled_from([8, 8, 9]),
    ),
    min_size=1,
    max_size=8,
)


def event(kind: str, job: str, user: str, at: int, seconds: int) -> bytes:
    """Return an event of a story, ``at`` seconds after its beginning."""
    time = f"2026-01-{5 + at // 86400:02}T{at // 3600 % 24:02}:{at // 60 % 60:02}:{at % 60:02}Z"
    detail = {"jobId": job, "userId": user, "seconds": seconds, "credits": seconds, "purchaseId": job, "model": "veo-3"}
    return json.dumps({"id": "e", "source": "video.generation", "detail-type": kind, "time": time, "detail": detail}).encode()


@tries(60)
@given(story=STORY, edit=st.sampled_from(sorted(EDITS)))
def test_any_story_of_a_job_ends_as_the_engine_ends_it(tmp_path_factory: pytest.TempPathFactory, story: Any, edit: str):
    """In whatever order, however far apart; then once more under other names, from what is known of the first."""
    again = [(kind, f"{job}-again", user, at, seconds) for kind, job, user, at, seconds in story]
    lines = [event(*told) + b"\n" for told in (*story, *again)]
    path = written(tmp_path_factory.mktemp("story"), lines)
    then = policy(*EDITS[edit])

    assert by_engine(lines, NOW, then) == at_any_size([path], NOW, then)


def test_rows_of_jobs_are_read_where_a_policy_asks_for_them(tmp_path: Path):
    """Event by event; a row that is missing is an error, and no rows at all are the person's mistake."""
    lines = [json.dumps(rendered(job)).encode() + b"\n" for job in ("j-1", "j-2", "j-1")]
    path, rows = written(tmp_path, lines), {"j-1": {"jobId": "j-1", "seconds": 3}}
    then = policy(("quantity: detail.seconds,", "quantity: row.seconds,"))

    assert by_engine(lines, NOW, then, rows) == at_any_size([path], NOW, then, rows)
    for workers in (1, 2):
        with pytest.raises(NoRow, match=r"there is no row of job 'j-1' in Jobs, which `row.seconds` needs"):
            at_any_size([path], NOW, then, workers=workers)


def test_amounts_of_38_digits_are_added_without_loss(tmp_path: Path):
    """And everybody has enough for them."""
    lines = [json.dumps(rendered(f"j-{n}", seconds=10**33 + n)).encode() + b"\n" for n in range(3)]
    now, then = (policy((', maximum: "500"', ""), ('"0.10"', rate)) for rate in ('"0.1"', '"0.3"'))

    answer = json.loads(at_any_size([written(tmp_path, lines)], now, then))

    hundreds = "00000000000000000000000000000000"
    assert {"now": f"-3{hundreds}.3000", "then": f"-9{hundreds}.9000"} == answer["credits"]["debit"]
    assert answer["credits"]["net"] == answer["credits"]["debit"]
    assert "overdraft" not in answer["anomalies"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"a": 1}\nnonsense\n', "line 2: is not JSON"),
        (b"[1]\n{}\n", "line 1: is a JSON list"),
        (b"[1]", "line 1: is a JSON int"),
        (b'{"a": 1}{"b": 2}{"c": 3', "line 3: is not JSON"),
        (b"\x1f\x8bx", "cannot be read"),
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path: Path, text: bytes, said: str):
    """A person has to look at the file."""
    path = tmp_path / "second.jsonl"
    path.write_bytes(text)

    for workers in (1, 2)[: 1 + (text == b"[1]")]:
        with pytest.raises(UnreadableEvents, match=f"^{path}: {said}"):
            at_any_size([written(tmp_path, made_lines(1, 3)), path], NOW, NOW, workers=workers)


@pytest.mark.parametrize(
    "text",
    [b'{"a": NaN}', b'{"a": "\\ud800"}', b'\xef\xbb\xbf{"a": 1}', b'{"a": 01}', b'{"a": "\x01"}', b'{"a": 1} x', b"[" * 5000],
)
def test_the_quick_decoder_refuses_what_only_the_exact_one_can_read(text: bytes):
    """Or what neither reads: then that says why."""
    assert quickly_decoded(text) is None


def test_most_events_of_a_policy_with_an_expression_are_carried():
    """An expression that may look at the whole event is none that a reduction can carry; fields that differ are not either."""
    carried = reads_of(NOW, policy(*EDITS["an expression"]))

    assert carried is not None
    assert ("detail", "seconds") in carried.values
    assert [None, None] == [reads_of(NOW, policy(*EDITS[edit])) for edit in ("an expression of all", "another user")]
