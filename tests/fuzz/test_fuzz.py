"""What comes in by any door is taken, or refused with a reason; what fuzzing has found stays found."""

from __future__ import annotations

import gzip
import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from engine.cli.job_rows import rows_in
from engine.cli.replay import Checkpoint, CheckpointMismatchError
from engine.cli.replay_source import open_file
from engine.domain.errors import EventError, LedgerRefused, PolicyError
from engine.policy import parse_policy
from engine.reconcile.dead_letters import read_letter
from tests.fuzz.campaign import ask
from tests.fuzz.desk import Desk
from tests.fuzz.doors import NAMES, door
from tests.fuzz.doors.handler import Invocation, invoke
from tests.fuzz.doors.stream import Change, Record
from tests.fuzz.plants import PLANTS, Plant, found_after
from tests.support.events import rendered
from tests.support.examples import part
from tests.support.policies import example_text

EXAMPLES = 40
PROOF_SECONDS = part(15)
SHARES_MIN = dict.fromkeys(NAMES, 0.1)
"""What share of the branches behind a door some seconds reach at least."""

INVOCATIONS: dict[str, tuple[Any, str]] = {
    "a list for a source": ({"source": [], "detail-type": "Scheduled Event"}, "field event: .*`source` is a list"),
    "an object for a source": ({"source": {}, "detail-type": "video.rendered"}, "field event: .*`source` is an object"),
    "counts that are a list": ({"parts": [{"rows": []}]}, "field parts: these counts are none"),
    "counts without end": ({"again": [{"rows": float("inf")}]}, "field again: these counts are none"),
    "outcomes that are a text": ({"again": [{"outcomes": "abc"}]}, "field again: these counts are none"),
    "counts of a step without end": (
        {"slices": [], "run": "r", "errors": float("inf")},
        "field outcomes: these counts are none",
    ),
    "half a character for a run that begins": ({"begin": "\ud800"}, "field begin: is '.ud800'; half of a surrogate pair"),
    "half a character for a run": ({"slices": [], "run": "\ud800"}, "field run: is '.ud800'; half of a surrogate pair"),
    "a run without end": ({"begin": "r" * 1025}, "field begin: has 1025 characters; at most 1024"),
    "truths for segments": ({"slices": [{"segment": False, "segments": True}]}, "segment False of True; 0 <= segment"),
    "no job to go on behind": ({"slices": [{"after": ""}]}, "after is ''; a jobId or null is needed"),
    "half a job to go on behind": ({"slices": [{"after": "\ud800"}]}, "after is '.ud800'; a jobId or null"),
    "a job that is too long": ({"slices": [{"after": "語" * 700}]}, "a jobId or null is needed"),
    "a start that is no instant": ({"slices": [{"started": "today"}]}, "started is 'today'; an ISO 8601 instant"),
}
"""What the function did not stand: an exception of Python's, a request that DynamoDB refuses, or nothing at all."""


@pytest.mark.parametrize("name", NAMES)
def test_whatever_comes_in_by_a_door_is_taken_or_refused(name: str) -> None:
    """Some inputs by chance, others each time; a failure prints the smallest input of which something does not hold."""
    door(name).test(EXAMPLES)()


@pytest.mark.parametrize("is_strict", [False, True], ids=["in memory", "strict"])
@pytest.mark.parametrize(("event", "words"), INVOCATIONS.values(), ids=INVOCATIONS)
def test_an_invocation_that_is_none_is_refused_with_the_field(event: Any, words: str, is_strict: bool) -> None:  # noqa: FBT001
    """By an error that names it, and before any table is asked."""
    desk = Desk(is_strict=is_strict)
    with desk.at_work():
        refusal = invoke(desk, event)

    assert isinstance(refusal, EventError)
    with pytest.raises(EventError, match=words):
        raise refusal
    desk.check_lines()


@pytest.mark.parametrize("name", ["e\x00", "e\x1b[2J", "e\u202e"])
def test_an_error_shows_an_event_id_as_a_terminal_may_have_it(name: str) -> None:
    """Whatever step of the way finds the event senseless, and where the database does not take it."""
    desk = Desk()
    with desk.at_work():
        unknown_user = invoke(desk, rendered("j-2", user="nobody") | {"id": name})
        another_user = invoke(desk, rendered("j-1", user="u-2") | {"id": name})

    assert isinstance(unknown_user, EventError)
    assert isinstance(another_user, EventError)
    assert str(LedgerRefused("no").about(name, job="j", user="u", rule="r")).isprintable()


@pytest.mark.parametrize("digits", [90, 5000])
@pytest.mark.parametrize("number", ["0x{}", "0b{}", "0o{}", "00{}", "1_{}"])
def test_a_number_without_end_is_a_mistake_with_a_place(number: str, digits: int) -> None:
    """Python writes out no number of thousands of digits, and no message has room for it."""
    text = number.format("1" * digits)
    for old, new in (
        ("places: 4", f"places: {text}"),
        ("- name: debit", f"- name: {text}\n    match: {{a: [{text}]}}\n  - name: debit"),
    ):
        with pytest.raises(PolicyError) as refusal:
            parse_policy(example_text((old, new)), "video.yaml")
        assert all(mistake.line and len(mistake.message) < 500 for mistake in refusal.value.mistakes)


def test_a_long_slice_does_not_fill_the_log() -> None:
    """A message shows what it names, and not all of it."""
    desk = Desk()
    with desk.at_work():
        refusal = invoke(desk, {"slices": [{"after": ["x" * 100_000]}]})

    assert isinstance(refusal, EventError)
    assert len(str(refusal)) < 300


@pytest.mark.parametrize("name", ["requestContext", "responsePayload", "DDBStreamBatchInfo"])
@pytest.mark.parametrize("value", [[], ["x"], "x", 7, True, None])
def test_a_letter_is_read_whatever_its_context_is(name: str, value: Any) -> None:
    """Anybody who may write to the queue can write one; one that cannot be read hides all others."""
    event = rendered("j-1")
    content = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event, name: value}

    letter = read_letter({"MessageId": "l-1", "ReceiptHandle": "r", "Body": json.dumps(content)}, "failed")

    assert (event,) == letter.events
    assert letter.reason


DAMAGED = {
    "its first bytes": gzip.compress(b"{}")[:5],
    "all but its end": gzip.compress(b"{}" * 99)[:-9],
    "a bit turned": b"\x1f\x8b\x08" + b"x" * 40,
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_archive_is_refused_with_a_sentence(data: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything of it is sent, and with the status of wrong usage."""
    file = tmp_path / "events.jsonl.gz"
    file.write_bytes(data)

    with pytest.raises(typer.Exit) as exit_:
        open_file(file)

    assert 2 == exit_.value.exit_code
    assert f"{file.name}: cannot be read: " in capsys.readouterr().err.replace("\n", "")


NO_ROWS = {
    "an item that is a text": ('{"Items": ["x"]}', "'x' is no item"),
    "a value without a type": ('{"Items": [{"jobId": "j-1"}]}', "is no item; each value has its type beside it"),
    "a value of two types": ('{"Item": {"jobId": {"S": "j-1", "N": "1"}}}', "is no item"),
    "a number that is none": ('{"Item": {"jobId": {"S": "j-1"}, "seconds": {"N": "x"}}}', "is no item"),
    "too deep": ("[" * 100_000, "is nested too deeply"),
    "deep in a line": ('{"jobId": ' + "[" * 100_000, "is nested too deeply"),
}


@pytest.mark.parametrize(("text", "words"), NO_ROWS.values(), ids=NO_ROWS)
def test_rows_that_are_none_are_refused_with_a_sentence(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a person has written by hand, or another tool has cut off."""
    file = tmp_path / "rows.jsonl"
    file.write_text(text)

    with pytest.raises(typer.Exit) as exit_:
        rows_in(file)

    assert 2 == exit_.value.exit_code
    assert words in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"target": 1, "lines_done": 1}', '{"target": {}, "lines_done": "x"}', "[" * 100_000]
)
def test_a_file_that_is_no_checkpoint_is_not_taken_for_one(text: str, tmp_path: Path) -> None:
    """``--checkpoint`` may name any file; it is neither believed nor written over."""
    file = tmp_path / "events.checkpoint"
    file.write_text(text)

    with pytest.raises(CheckpointMismatchError, match="is no checkpoint; name another with --checkpoint"):
        Checkpoint(file, {"sha256": "x"}).lines_done()


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("sequence", {"S": "1"}),
        ("sequence", {"N": "0"}),
        ("sequence", {"N": "1.5"}),
        ("sequence", {"BOOL": True}),
        ("reference", {"N": "7"}),
        ("reference", {"S": ""}),
        ("userId", {"L": []}),
    ],
)
def test_a_record_whose_key_is_none_is_passed_by(name: str, attribute: Any) -> None:
    """The table refuses it each time: if it came back the stream would stand until its retries are used up."""
    envelope = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1"}}

    door("stream").check([Record(0, [Change(name, None, attribute)], envelope), Record(1, [], envelope)])


@pytest.mark.parametrize("event", [rendered("j-1"), rendered("j-1", user="u-2"), {"source": [], "detail-type": "x"}])
def test_an_invocation_told_twice_is_told_once(event: Any) -> None:
    """The same by the door's own check, on the strict database."""
    door("handler").check(Invocation(event, is_strict=True))


def test_each_door_has_three_deliberate_bugs() -> None:
    """So that what it finds is no accident of one."""
    assert {name for name in NAMES if sum(plant.door == name for plant in PLANTS) >= 3} == set(NAMES)


@pytest.mark.proof
@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: f"{plant.door}: {plant.says}")
def test_a_deliberate_bug_is_found(plant: Plant) -> None:
    """A door that found none of them would find nothing else."""
    assert found_after(plant)


@pytest.mark.proof
@pytest.mark.skipif((sys.platform, platform.machine()) != ("linux", "x86_64"), reason="atheris is built for Linux on x86_64")
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_by_inputs_that_grow(name: str, tmp_path: Path) -> None:
    """Under atheris, some seconds of the processor; much longer by ``make fuzz``."""
    campaign = ask(name, PROOF_SECONDS, tmp_path)

    assert () == campaign.findings
    assert campaign.inputs > 100
    assert campaign.share > SHARES_MIN[name], campaign.row()
