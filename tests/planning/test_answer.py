"""The answer of a plan as it is used: by whom, for what, how much more in percent, and why. Figures are worked out by hand."""

from __future__ import annotations

import errno
import json
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.preview.planning.answer import Asked, answer_of
from engine.preview.planning.books import as_of, edited_rates
from engine.preview.planning.condition import Condition, ConditionError
from engine.preview.planning.run import planned
from engine.preview.planning.work import Wish
from tests.support.events import failed, rendered
from tests.support.policies import example, example_text

EVENTS = [
    rendered("j-1", user="ann", seconds=8, team="a"),
    rendered("j-2", user="bo", seconds=10, model="premium", team="b"),
    failed("j-2", user="bo", at="2026-01-06T09:00:00Z"),
    rendered("j-3", user="ann", seconds=100, model="sora-2"),
    rendered("j-4", user="cy", seconds=4, model="premium", at="2026-01-06T10:00:00Z"),
]
DEARER = ('"0.10"', '"0.11"')


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Return a file of events."""
    path = tmp_path / "events.jsonl"
    path.write_text("".join(f"{json.dumps(event)}\n" for event in EVENTS))
    return path


def answer(events: Path, *edits: tuple[str, str], **wish: Any) -> dict[str, Any]:
    """Return the answer of a plan, as JSON has it."""
    asked = Wish((events,), example(), example(*edits), **wish)
    with planned(asked) as outcome:
        told: dict[str, Any] = json.loads("".join(json.JSONEncoder(indent=1).iterencode(answer_of(asked, outcome))))
        return told


def row(key: str, jobs: int, users: int, *figures: str | None) -> dict[str, Any]:
    """Return a row of a group."""
    return {"key": key, "jobs": jobs, "users": users, **dict(zip(("now", "then", "by", "percent"), figures, strict=True))}


def test_ten_percent_on_the_default_rate_is_told_by_model_user_and_day(events: Path):
    """Of ann's 8 and 100 seconds: 0.80 + 10.00 become 0.88 + 11.00. What premium costs stays, and j-2 went back whole."""
    told = answer(events, DEARER)

    assert {"now": "11.8000", "then": "12.8800", "by": "1.0800", "percent": "9.15"} == told["net"]
    assert [
        row("sora-2", 1, 1, "10.0000", "11.0000", "1.0000", "10.00"),
        row("veo-3", 1, 1, "0.8000", "0.8800", "0.0800", "10.00"),
        row("premium", 2, 2, "1.0000", "1.0000", "0.0000", "0.00"),
    ] == told["groups"]["model"]
    assert [
        row("ann", 2, 1, "10.8000", "11.8800", "1.0800", "10.00"),
        row("bo", 1, 1, "0.0000", "0.0000", "0.0000", None),
        row("cy", 1, 1, "1.0000", "1.0000", "0.0000", "0.00"),
    ] == told["groups"]["user"]
    assert [
        row("2026-01-05", 3, 2, "13.3000", "14.3800", "1.0800", "8.12"),
        row("2026-01-06", 2, 2, "-1.5000", "-1.5000", "0.0000", "0.00"),
    ] == told["groups"]["day"]
    assert [
        row("debit-rendered", 4, 3, "14.3000", "15.3800", "1.0800", "7.55"),
        row("refund-failed", 1, 1, "-2.5000", "-2.5000", "0.0000", "0.00"),
    ] == told["groups"]["rule"]


def test_jobs_and_users_concerned_are_counted(events: Path):
    """Ann would pay 1.08 more for two jobs; bo and cy are not concerned."""
    told = answer(events, DEARER)

    assert {"all": 4, "concerned": 2} == told["jobs"]
    assert {"all": 3, "concerned": 1, "winners": 0, "losers": 1, "won": "0.0000", "lost": "-1.0800"} == told["users"]


def test_a_persons_own_group_is_of_what_the_event_says(events: Path):
    """A failure names no team: it is of the team of its job. Who names none at all stands under ``(none)``."""
    from engine.policy.expressions.paths import compile_path  # noqa: PLC0415

    told = answer(events, ("percent: 100", "percent: 50"), groups=(("team", compile_path("detail.team")),))

    assert [
        row("b", 1, 1, "0.0000", "1.2500", "1.2500", None),
        row("(none)", 2, 2, "11.0000", "11.0000", "0.0000", "0.00"),
        row("a", 1, 1, "0.8000", "0.8000", "0.0000", "0.00"),
    ] == told["groups"]["team"]


def test_what_is_edited_in_prices_is_told_rate_by_rate():
    """A rate that changes, one that comes, one that goes, and a row that is new beside the one that counts without it."""
    then = example(
        ('default: "0.10", premium: "0.25"', 'default: "0.11", sora: "0.50"'), ("2026-07-01T00:00:00Z", "2026-06-01T00:00:00Z")
    )

    assert [
        ("2025-01-01T00:00:00Z", "default", "changed", "0.10", "0.11", "10.0"),
        ("2025-01-01T00:00:00Z", "sora", "came", "0.10", "0.50", "400.0"),
        ("2025-01-01T00:00:00Z", "premium", "went", "0.25", "0.11", "-56.0"),
        ("2026-06-01T00:00:00Z", "default", "changed", "0.10", "0.12", "20.0"),
    ] == [tuple(rate.answer().values())[1:] for rate in edited_rates(example(), then)]


def test_events_that_would_be_refused_or_pass_by_are_counted(events: Path):
    """Three that have no price any more, two that no rule takes."""
    gone, never = ('default: "0.10", ', ""), ("[video.failed]}", "[video.failed], detail: {never: [there]}}")

    assert {"refused": 2, "unmatched": 1, "flagged": 0} == answer(events, gone, never)["newly"]


def test_of_very_many_keys_the_rest_stands_under_one(events: Path, monkeypatch: pytest.MonkeyPatch):
    """So that a group by what each event has for itself fills no memory; the sums are whole."""
    from engine.policy.expressions.paths import compile_path  # noqa: PLC0415

    for module in ("tally", "users"):
        monkeypatch.setattr(f"engine.preview.planning.{module}.KEYS_MAX", 2)
    rows = answer(events, DEARER, groups=(("job", compile_path("detail.jobId")),))["groups"]["job"]

    assert (3, "1.0800", 4) == (len(rows), f"{sum(Decimal(one['by']) for one in rows)}", sum(one["jobs"] for one in rows))
    assert "(others)" in {one["key"] for one in rows}


def test_events_that_make_no_sense_under_either_policy_are_told(events: Path):
    """As of a year without prices all debits are refused now and then: no difference says nothing."""
    wish = Wish((events,), *(as_of(which, datetime(2019, 1, 1, tzinfo=UTC)) for which in (example(), example(DEARER))))
    with planned(wish) as outcome:
        told = answer_of(wish, outcome, Asked(example(), example(DEARER), datetime(2019, 1, 1, tzinfo=UTC)))

    assert ["4 events make no sense under either policy, and play no part"] == told["warnings"]


# --- the command ------------------------------------------------------------------------------------------------------


def run(*arguments: Any, **environment: str) -> Any:
    """Run the command."""
    return CliRunner().invoke(app, ["plan", *map(str, arguments)], env={"COLUMNS": "80", **environment})


@pytest.fixture
def policies(tmp_path: Path) -> tuple[Path, Path]:
    """Return the policy, and a file for an edited one."""
    policy, edited = tmp_path / "policy.yaml", tmp_path / "edited.yaml"
    policy.write_text(example_text())
    edited.write_text(example_text(DEARER))
    return policy, edited


def test_what_is_price_and_what_is_rule_adds_up_to_all(events: Path, policies: tuple[Path, Path]):
    """Prices alone: 1.08, while all of j-2 goes back. Then half of its 2.50 stays: 1.25."""
    policy, edited = policies
    edited.write_text(example_text(DEARER, ("percent: 100", "percent: 50")))

    told = json.loads(run(edited, "--policy", policy, "--events", events, "--json").stdout)

    assert ({"prices": "1.0800", "rest": "1.2500"}, "2.3300") == (told["causes"], told["net"]["by"])


def test_a_price_of_the_future_is_warned_of_and_planned_as_of_then(events: Path, policies: tuple[Path, Path]):
    """From July on 0.12 becomes 0.24: no event lies there. As of July ann pays 12.96 now, and 25.92 then."""
    policy, edited = policies
    edited.write_text(example_text(('"0.12"', '"0.24"')))

    now, july = (
        run(edited, "--policy", policy, "--events", events),
        run(edited, "--policy", policy, "--events", events, "--as-of", "2026-07-01", "--json"),
    )

    assert "--as-of 2026-07-01T00:00:00Z prices all events" in " ".join(now.stdout.split())
    assert [row("ann", 2, 1, "12.9600", "25.9200", "12.9600", "100.00")] == json.loads(july.stdout)["groups"]["user"][:1]
    assert [] == json.loads(july.stdout)["warnings"]


def test_a_file_that_is_named_twice_and_an_edit_of_nothing_are_warned_of(events: Path, policies: tuple[Path, Path]):
    """Each would make the answer say less than it seems to."""
    policy, _ = policies

    told = json.loads(run(policy, "--policy", policy, "--events", events, "--events", events, "--json").stdout)

    assert [f"{events} is named twice: its events come twice, and count once", "the two policies do not differ"] == told[
        "warnings"
    ]
    assert {"now": "11.8000", "then": "11.8000", "by": "0.0000", "percent": "0.00"} == told["net"]


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
def test_a_file_under_two_names_is_warned_of(events: Path, link: Any):
    """Its events count once, so that the sums are those of one file; a copy says the same and is no mistake."""
    again, copy = events.with_name("again.jsonl"), events.with_name("copy.jsonl")
    link(again, events)
    copy.write_bytes(events.read_bytes())

    wish = Wish((events, again, copy), example(), example(DEARER))
    with planned(wish) as outcome:
        told = answer_of(wish, outcome)

    assert [f"{again} is the same file as {events}: its events come twice, and count once"] == told["warnings"]
    assert {"now": "11.8000", "then": "12.8800", "by": "1.0800", "percent": "9.15"} == told["net"]


def test_the_base_is_what_the_last_commit_has(events: Path, policies: tuple[Path, Path]):
    """Where nothing else is named; a file that no commit has is told."""
    _, edited = policies
    git = ["git", "-c", "user.name=ann", "-c", "user.email=ann@example.com"]
    edited.write_text(example_text())
    subprocess.run([*git, "init", "-q"], cwd=edited.parent, check=True)
    subprocess.run([*git, "add", edited.name], cwd=edited.parent, check=True)
    before = run(edited, "--events", events)
    subprocess.run([*git, "commit", "-q", "-m", "prices"], cwd=edited.parent, check=True)
    edited.write_text(example_text(DEARER))

    after = run(edited, "--events", events)

    assert (2, "no commit has it yet") == (before.exit_code, " ".join(before.stderr.split())[len(str(edited)) + 2 :][:20])
    assert (0, True) == (after.exit_code, "users pay 11.8000 -> 12.8800 (+1.0800, +9.15 %)" in after.stdout)


def test_a_disk_that_is_full_is_named(events: Path, policies: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    """What does not fit into memory has to stand somewhere."""
    monkeypatch.setattr("engine.preview.planning.spill.Path.open", _full)

    result = run(policies[1], "--policy", policies[0], "--events", events)

    assert 2 == result.exit_code
    assert "No space left on device; TMPDIR names another folder" in " ".join(result.stderr.split())


REALLY_OPEN = Path.open


def _full(path: Path, mode: str = "r", *more: Any, **options: Any) -> Any:
    """Open a file of a disk on which nothing can be added."""
    if mode == "ab":
        raise OSError(errno.ENOSPC, "No space left on device")
    return REALLY_OPEN(path, mode, *more, **options)


def test_no_line_in_a_terminal_is_wider_than_it(events: Path, policies: tuple[Path, Path]):
    """Eighty columns; each table with its percentages."""
    policy, edited = policies

    lines = run(edited, "--policy", policy, "--events", events).stdout.splitlines()

    assert max(map(len, lines)) <= 80
    assert "sora-2  1     1      10.0000  11.0000  1.0000  10.00" in lines


def test_markdown_shows_names_as_they_are(events: Path, policies: tuple[Path, Path]):
    """A model may be called like a table's border."""
    policy, edited = policies
    events.write_text(json.dumps(rendered("j-1", model="a|b *c*")))

    told = run(edited, "--policy", policy, "--events", events, "--markdown").stdout

    assert "| a\\|b \\*c\\* | 1 | 1 | 0.8000 | 0.8800 | 0.0800 | 10.00 |" in told
    assert "- the company: users pay 0.8000 -\\> 0.8800 (+0.0800, +10.00 %)" in told


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("net.percent > 9.14", 1),
        ("net.percent > 9.15", 0),
        ("users.losers >= 1 and jobs.concerned < 2", 0),
        ("users.losers >= 1 and jobs.concerned < 2 or differences == 2", 1),
        ("groups.model['sora-2'].by != 1", 0),
        ("groups.model['sora-2'].by == 1.0", 1),
        ("groups.user['bo'].percent > 0", 0),  # of nothing
        ("newly.refused > 0", 0),
    ],
)
def test_a_condition_fails_the_check(events: Path, policies: tuple[Path, Path], condition: str, status: int):
    """By its exit status; the reason stands on standard error."""
    policy, edited = policies

    result = run(edited, "--policy", policy, "--events", events, "--fail-if", condition)

    assert status == result.exit_code
    assert ("the check fails: " in result.stderr) is bool(status)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("net.percnt > 5", "the plan has no `percnt`; did you mean `percent`?"),
        ("groups.model['veo'].by > 5", "the plan has no `veo`"),
        ("net > 5", "`net` is no number"),
        ("changes.x > 5", "the plan has no `x`"),
        ("new_overdrafts > 0", "is not known: events do not say what users had"),
        ("net.percent", "'net.percent' is no comparison; write one like `net.percent > 5`"),
        ("net.percent > 5 and", "'' is no comparison"),
        ("net.by > 5 if net.by < 6", "'if net.by < 6' follows a comparison"),
        ("net.by > 5 or newly.refuse > 0", "did you mean `refused`?"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused(events: Path, policies: tuple[Path, Path], condition: str, said: str):
    """Also where another part of it would have decided: a check that can never fail is worse than none."""
    policy, edited = policies

    result = run(edited, "--policy", policy, "--events", events, "--fail-if", condition)

    assert 2 == result.exit_code
    assert said in " ".join(result.stderr.split())


def test_a_name_with_words_in_quotes_is_one_name():
    """A model may be called ``a or b``."""
    assert "groups.model['a or b'].by > 0" == Condition.read("groups.model['a or b'].by > 0").met(
        {"groups": {"model": [{"key": "a or b", "by": "1"}]}}
    )
    with pytest.raises(ConditionError):
        Condition.read("")


@pytest.mark.parametrize("group", ["team", "user=detail.team", "team=", "team=detail.("])
def test_a_group_that_makes_no_sense_is_refused(events: Path, policies: tuple[Path, Path], group: str):
    """Its name is its own, its expression one of the policy's language."""
    policy, edited = policies

    assert 2 == run(edited, "--policy", policy, "--events", events, "--group", group).exit_code


def test_as_of_an_instant_without_a_price_events_are_refused(events: Path):
    """As they would be then."""
    instant = datetime(2024, 1, 1, tzinfo=UTC)
    wish = Wish((events,), example(), as_of(example(), instant))
    with planned(wish) as outcome:
        told = answer_of(wish, outcome, Asked(example(), example(), instant))
        refused = [*told["refused"]]

    assert 4 == told["newly"]["refused"] == len(refused)
    assert "before the first price of render-second" in refused[0]
