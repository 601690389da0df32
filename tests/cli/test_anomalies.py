"""The command for flagged entries: what is open, what is known of it, what is said of it, and how it is resolved."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.audit.recount import recount
from engine.cli.app import app, main
from engine.domain.errors import NoOpenAnomaly
from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.events import failed, rendered
from tests.support.model_server import FINE, KEY, run_model_server
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

FINE_STATUS, FAILED, MISUSED = 0, 1, 2

Run = Callable[..., Result]


@pytest.fixture
def world(dynamodb: Any, tables: Tables) -> World:
    """Return a ledger with two flagged jobs and one that is not."""
    world = World(dynamodb, tables).user("u-1", "1000").user("[bold]u-2[/bold]", "1000")
    world.deliver(rendered("j-1", seconds=700), rendered("j-2"), rendered("j-3", seconds=900, user="[bold]u-2[/bold]"))
    return world


@pytest.fixture
def run(world: World, local_aws: str, policy: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs `reconciler anomalies` on the ledger."""
    for name, value in {**tables_environment(world.tables), "POLICY_FILE": str(policy)}.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> Result:
        command = ["anomalies", *arguments]
        return CliRunner().invoke(app, [*command, "--endpoint-url", local_aws], catch_exceptions=True)

    return call


def answer(result: Result) -> Any:
    """Return what a command printed for machines."""
    assert FINE_STATUS == result.exit_code, (result.output, result.exception)
    return json.loads(result.stdout)


def test_what_is_flagged_is_listed_the_latest_first(run: Run) -> None:
    """With the figures; the entry that is not flagged is not there."""
    found = answer(run("list", "--json"))

    assert [("job#j-3", "-90"), ("job#j-1", "-70")] == [(entry["reference"], entry["amount"]) for entry in found]
    figures = {"amount": "70.0000", "quantity": "700", "rate": "0.10", "unit": "default"}
    assert figures.items() <= found[1]["anomalies"][0]["figures"].items()
    assert [None, None] == [entry["explanation"] for entry in found]


def test_a_users_own_are_listed(run: Run) -> None:
    """By the index, without a scan."""
    assert ["job#j-1"] == [entry["reference"] for entry in answer(run("list", "--user", "u-1", "--json"))]


def test_what_a_stranger_wrote_is_shown_as_text(run: Run) -> None:
    """A user's name that looks like markup does nothing to the terminal."""
    assert "[bold]u-2[/bold]" in run("show", "job#j-3").stdout


def test_a_resolved_anomaly_is_listed_no_more(run: Run, world: World) -> None:
    """An entry of its own says who may forget it: type flag, no credits, the note; and nothing else has moved."""
    before = world.user_row("u-1")

    resolved = answer(run("resolve", "job#j-1", "--note", "a trailer of twelve minutes, asked the customer", "--json"))

    assert (2, [1]) == (resolved["sequence"], resolved["resolved"])
    assert ["job#j-3"] == [entry["reference"] for entry in answer(run("list", "--json"))]
    entry = world.entries("j-1")[1]
    assert ("flag", 0, "resolve", "command") == tuple(entry[name] for name in ("type", "amount", "rule", "source"))
    assert {"entries": [1], "note": "a trailer of twelve minutes, asked the customer"} == entry["resolution"]
    assert before == world.user_row("u-1")
    everything = {found["reference"]: found["resolved"] for found in answer(run("list", "--all", "--json"))}
    assert {"job#j-1": "a trailer of twelve minutes, asked the customer", "job#j-3": None} == everything


def test_a_job_goes_on_behind_its_resolution(run: Run, world: World) -> None:
    """The next fact is posted after it, a repeated one changes nothing, and all entries recount."""
    run("resolve", "job#j-1", "--note", "fine")

    world.deliver(rendered("j-1", seconds=700), failed("j-1", at="11:00"))

    assert [("debit", Decimal(-70)), ("flag", Decimal(0)), ("refund", Decimal(70))] == world.amounts("j-1")
    entries = world.reconciler().ledger.entries_of("job#j-1", world.deadline())
    assert [False] * 3 == [counted.failed for counted in recount(entries)]


@pytest.mark.parametrize("arguments", [("job#j-2",), ("job#nobody",), ("job#j-1", "--entry", "7")])
def test_what_is_not_flagged_cannot_be_resolved(arguments: tuple[str, ...], run: Run, world: World) -> None:
    """Nothing is appended."""
    result = run("resolve", *arguments, "--note", "?")

    assert FAILED == result.exit_code
    assert isinstance(result.exception, NoOpenAnomaly)
    assert f"{arguments[0]}{', entry 7' if arguments[1:] else ''}: there is no open anomaly" == str(result.exception)
    assert 1 == len(world.entries("j-1")) == len(world.entries("j-2"))


def test_a_note_says_something(run: Run) -> None:
    """Or the command was used wrongly."""
    assert MISUSED == run("resolve", "job#j-1", "--note", " ").exit_code


def test_what_is_known_of_an_entry_is_shown(run: Run) -> None:
    """The figures of each anomaly, and that nobody has explained it yet."""
    shown = run("show", "job#j-1").stdout

    assert "quantity 700" in shown
    assert "not explained yet" in shown
    assert FAILED == run("show", "job#j-2").exit_code


def test_a_local_run_without_a_key_explains_by_the_rules_and_stores_nothing(run: Run, world: World) -> None:
    """Unless it is asked to."""
    (said,) = answer(run("explain", "job#j-1", "--json"))

    assert ("rules", "no-key", False) == (said["explanation"]["by"], said["explanation"]["why"], said["stored"])
    assert "explanation" not in world.entries("j-1")[0]


def test_what_is_missing_is_explained_by_the_model_and_stored(run: Run, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key in the environment: all flagged entries without an explanation, and the second time none."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with run_model_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        said = answer(run("explain", "--missing", "--store", "--json"))

    assert [True, True] == [each["stored"] for each in said]
    assert FINE["likely_cause"] == world.entries("j-1")[0]["explanation"]["likely_cause"]
    assert [] == answer(run("explain", "--missing", "--json"))


@pytest.mark.parametrize("arguments", [(), ("job#j-1", "--missing")])
def test_one_says_what_is_to_be_explained(arguments: tuple[str, ...], run: Run) -> None:
    """A reference, or what is missing."""
    assert MISUSED == run("explain", *arguments).exit_code


def test_the_digest_is_one_page(run: Run) -> None:
    """Counts, the dearest, and a paragraph."""
    digest = answer(run("digest", "--json"))

    assert {"costs-over-50": 2, "longer-than-5-minutes": 2} == digest["anomalies"]
    assert {"veo-3": 2} == digest["models"]
    assert {"[bold]u-2[/bold]": 1, "u-1": 1} == digest["users"]
    assert [("job#j-3", "90"), ("job#j-1", "70")] == [(entry["reference"], entry["credits"]) for entry in digest["dearest"]]
    assert "2 entries of 2 users and 1 model were flagged, most often costs-over-50 (2)." in digest["paragraph"]
    assert "The dearest is job#j-3 with 90 credits." in digest["paragraph"]
    assert "[bold]u-2" in run("digest").stdout


def test_a_ledger_that_is_not_there_is_told_in_words(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], local_aws: str
) -> None:
    """By the real entry point: exit status 1, and no traceback."""
    monkeypatch.setenv("LEDGER_TABLE", "No-such-table")
    monkeypatch.setattr("sys.argv", ["reconciler", "anomalies", "list", "--endpoint-url", local_aws])

    with pytest.raises(SystemExit) as status:
        main()

    assert FAILED == status.value.code
    assert "LEDGER_TABLE=No-such-table: there is no such table in us-east-1 at " in capsys.readouterr().err


def test_a_digest_counts_by_the_model_that_the_event_named(world: World, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped policy measures rates by their row of the price book first: that is no model."""
    shipped = ROOT / "policies" / "video.yaml"
    world.policy = load_policy(shipped)
    world.deliver(rendered("j-8", seconds=700, model="premium"), rendered("j-9", seconds=700, model="wan-2"))
    monkeypatch.setenv("POLICY_FILE", str(shipped))

    digest = answer(run("digest", "--json"))

    assert {"veo-3": 2, "premium": 1, "wan-2": 1} == digest["models"]
