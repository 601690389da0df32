"""What a replay puts aside is replayed again when its cause is gone, with nothing lost; and so are dead letters as JSON."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.cli.event_lines import array_lines, reject_line, told
from engine.domain.documents import read_event
from engine.domain.errors import EventError
from tests.support.events import failed, rendered
from tests.support.world import World
from tools.local_aws import LocalAws, tables_environment

FINE, FAILED, MISUSED = 0, 1, 2


@pytest.fixture
def world(dynamodb: Any, tables: Any, aws: LocalAws, monkeypatch: pytest.MonkeyPatch, policy: Path) -> World:
    """Return tables that the command finds through the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("POLICY_FILE", str(policy))
    for name, value in tables_environment(tables).items():
        monkeypatch.setenv(name, value)
    return World(dynamodb, tables).user("u-1", "1000")


def replay(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def rejects_of(file: Path) -> list[dict[str, Any]]:
    """Return what was put aside of a file."""
    return [json.loads(line) for line in file.with_name(f"{file.name}.rejects.jsonl").read_text().splitlines()]


# --- what a line holds ------------------------------------------------------------------------------------------------


def only(line: bytes) -> Any:
    """Return the one event of a line."""
    (one,) = told(7, line)
    return one.event


def letter(*, body: str, way: str = "queue") -> bytes:
    """Return a line that ``dead-letters drop`` writes."""
    said = {"id": "m-1", "queue": "failed", "way": way, "reason": "never settled", "since": None, "body": body}
    return json.dumps(said).encode()


def test_an_event_that_was_put_aside_comes_back_to_the_byte() -> None:
    """Also a line that is no UTF-8, and one that was put aside twice."""
    for line in (
        json.dumps(rendered("j-1")).encode(),
        b'{"source": "a\xff\xfe", "x": 1}',
        "grün \ud7ff".encode(),
        b"no json\r",
    ):
        (first,) = told(7, line + b"\n")
        once = reject_line(first, ValueError("why")).encode()
        (second,) = told(3, once)
        twice = reject_line(second, ValueError("why else")).encode()
        (third,) = told(1, twice)

        assert line == second.text == third.text
        assert {"line": 3, "problem": "why else"} == {name: json.loads(twice)[name] for name in ("line", "problem")}


def test_a_number_in_a_dead_letter_is_the_number_that_its_event_told() -> None:
    """What is put aside of it says the same, by the reading that every door has."""
    body = json.dumps(rendered("j-1")).replace('"seconds": 8', '"seconds": 8.3333333333333333333')
    (one,) = told(1, letter(body=body))

    again = read_event(one.text)

    assert one.event == read_event(body) == again
    assert Decimal("8.333333333333334") == again["detail"]["seconds"]


def test_every_event_of_a_batch_that_died_is_told_by_itself() -> None:
    """A function's destination keeps the records of the whole batch."""
    records = [{"eventSource": "aws:sqs", "body": json.dumps(event)} for event in (rendered("j-1"), failed("j-1"), {})]
    body = json.dumps({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"Records": records}})

    one, other, nothing = told(4, letter(body=body, way="destination"))

    assert ("video.rendered", "video.failed") == (one.event["detail-type"], other.event["detail-type"])
    assert isinstance(nothing.event, EventError)
    assert "event line 4, rule (none), field body: is no EventBridge event" in str(nothing.event)
    assert [4, 4, 4] == [one.number, other.number, nothing.number]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("no json", "holds no event"),
        (
            json.dumps({"source": "aws.events", "detail-type": "Scheduled Event"}),
            "is of a scheduled run; the next one does its work",
        ),
    ],
)
def test_a_letter_without_an_event_is_put_aside_whole(body: str, problem: str) -> None:
    """So that a person still has it."""
    line = letter(body=body)
    (one,) = told(4, line)

    assert f"event line 4, letter m-1, rule (none), field body: {problem}" == str(one.event)
    assert line == one.text


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({**rendered("j-1"), "problem": "p", "event": "{}", "line": 1}),
        json.dumps({**rendered("j-1"), "id": "m", "queue": "q", "way": "w", "reason": "r"}),
        json.dumps({**rendered("j-1"), "problem": 1}),
    ],
)
def test_an_event_that_looks_like_one_of_these_is_still_an_event(line: str) -> None:
    """Producers choose the names of their members."""
    assert rendered("j-1")["detail"] == only(line.encode())["detail"]


@pytest.mark.parametrize("event", [3, "\ud800", None])
def test_what_is_no_reject_of_ours_is_told_as_no_event(event: object) -> None:
    """Somebody has edited the file."""
    assert "is no EventBridge event" in str(only(json.dumps({"line": 1, "problem": "p", "event": event}).encode()))


def test_an_array_counts_as_lines() -> None:
    """Its members are told one by one; a line that only begins like one is a line."""
    assert [b'{"a": 1}', b"2"] == array_lines(b' [{"a": 1},\n 2]\n')
    assert array_lines(b"[1]\n[2]\n") is None
    assert array_lines(b'{"a": [1]}') is None
    assert array_lines(b"[" * 100_000) is None


# --- the command ------------------------------------------------------------------------------------------------------


def test_rejects_are_replayed_when_their_cause_is_gone(world: World, tmp_path: Path) -> None:
    """A user who was not there, a price that the policy did not have; what still makes no sense is put aside again."""
    file = tmp_path / "events.jsonl"
    lines = [rendered("j-1"), rendered("j-2", user="u-new"), rendered("j-3", seconds=-1), failed("j-2", user="u-new")]
    file.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + b'{"source": "\xff"}\n')

    first = replay(file, "--workers", 1, "--json")
    world.user("u-new", "10")
    rejects = tmp_path / "events.jsonl.rejects.jsonl"
    second = replay(rejects, "--json")
    third = replay(tmp_path / "events.jsonl.rejects.jsonl.rejects.jsonl", "--json")

    assert (FAILED, FAILED, FAILED) == (first.exit_code, second.exit_code, third.exit_code)
    assert f"3 rejected: {rejects} says why; mend what it names, and replay that file" in first.stderr
    assert [2, 3, 5] == [reject["line"] for reject in rejects_of(file)]
    assert (3, 1, 2) == tuple(json.loads(second.stdout)[name] for name in ("events", "voided", "rejected"))
    assert [("void", 0), ("void", 0)] == [(kind, int(amount)) for kind, amount in world.amounts("j-2")]
    assert [(2, "detail.seconds"), (3, "body")] == [
        (reject["line"], reject["problem"].split("field ")[1].split(":")[0]) for reject in rejects_of(rejects)
    ]
    assert lines[2] == json.loads(rejects_of(rejects)[0]["event"])
    assert b'{"source": "\xff"}' == rejects_of(rejects)[1]["event"].encode(errors="surrogateescape")
    assert 2 == json.loads(third.stdout)["rejected"]


def test_a_packed_file_of_rejects_is_replayed_too(world: World, tmp_path: Path) -> None:
    """Whatever its name."""
    file = tmp_path / "aside"
    reject = {"line": 9, "problem": "there is no such user", "event": json.dumps(rendered("j-1"))}
    file.write_bytes(gzip.compress(json.dumps(reject).encode()))

    assert FINE == replay(file).exit_code
    assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")


def test_dead_letters_as_json_are_replayed(world: World, tmp_path: Path) -> None:
    """What ``list --json`` prints is an array, of more than one line; what ``drop`` keeps is a letter a line."""
    batch = {
        "Records": [{"eventSource": "aws:sqs", "body": json.dumps(event)} for event in (rendered("j-1"), rendered("j-2"))]
    }
    died = json.dumps({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": batch})
    listed = [json.loads(letter(body=died, way="destination")), json.loads(letter(body=json.dumps(rendered("j-3"))))]
    (tmp_path / "listed.json").write_text(json.dumps(listed, indent=2))
    (tmp_path / "dropped.jsonl").write_bytes(letter(body=json.dumps(rendered("j-4"))) + b"\n")

    first = json.loads(replay(tmp_path / "listed.json", "--json").stdout)
    second = json.loads(replay(tmp_path / "dropped.jsonl", "--json").stdout)

    assert ((3, 3), (1, 1)) == tuple((answer["events"], answer["debited"]) for answer in (first, second))
    assert all(1 == len(world.entries(job)) for job in ("j-1", "j-2", "j-3", "j-4"))


def test_progress_in_one_region_is_not_taken_for_progress_in_another(world: World, tmp_path: Path) -> None:
    """Tables there have the same names; a checkpoint that says no region is one of an earlier version, and counts."""
    file, checkpoint = tmp_path / "events.jsonl", tmp_path / "events.jsonl.checkpoint"
    file.write_text(json.dumps(rendered("j-1")))
    checkpoint.write_text(json.dumps({"lines_done": 1, "target": {"region": "eu-west-1"}}))

    elsewhere = replay(file)
    checkpoint.write_text(json.dumps({"lines_done": 1, "target": {}}))
    earlier = replay(file, "--json")

    assert MISUSED == elsewhere.exit_code
    assert f"{checkpoint}: belongs to another region; remove it to replay from the first line" in elsewhere.stderr
    assert (1, 0) == tuple(json.loads(earlier.stdout)[name] for name in ("resumedAfterLine", "events"))
    assert [] == world.entries("j-1")


def test_rejects_never_go_into_the_file_that_is_read(world: World, tmp_path: Path) -> None:
    """It would grow while it is read."""
    file = tmp_path / "events.jsonl"
    file.write_text("no json\n")

    result = replay(file, "--rejects", file)

    assert MISUSED == result.exit_code
    assert "the rejects need a file of their own; name another with --rejects" in result.stderr
    assert "no json\n" == file.read_text()
    assert [] == world.everything()["ledger"]
