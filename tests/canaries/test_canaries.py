"""A canary is heard in each channel, whichever way it gets there; and nothing of the product gives it one."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest
import typer
from attrs import evolve
from typer.testing import CliRunner

from engine.domain.errors import EventError
from engine.rating import contributions
from engine.runtime import telemetry
from tests.support import canaries
from tests.support.canaries import DETAIL, EAR, MODEL_KEY, PERSONAL, SECRET_KEY, listen
from tests.support.events import failed, rendered
from tests.support.model_server import run_model_server
from tests.support.policies import example
from tests.support.steps import Steps
from tests.support.xray import Daemon
from tests.wallet.meter import Meter
from tools.environments import ROOT

ALL = sorted(PERSONAL.values())


def heard_in(channel: str) -> bool:
    """Say whether something was heard in a channel, and nothing in any other; it is forgotten."""
    heard = EAR.take()
    return bool(heard) and all(line.startswith(f"{channel}: ") for line in heard)


# --- what is planted, and where it must not arrive ---


def test_every_event_and_every_row_of_the_tests_holds_all_personal_details() -> None:
    """In members of members, and of lists."""
    meter = Meter(example())
    meter.world.job()

    assert all(canary in json.dumps(rendered()) and canary in json.dumps(failed()) for canary in ALL)
    row = meter.world.job_row()
    assert row is not None
    assert all(PERSONAL[name] in row["prompt"] for name in ("prompt", "name", "email"))
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRET_KEY


INSTEAD = [
    ("the user", {"userId": DETAIL["customer"]}),
    ("the user, in a list", {"userId": [DETAIL["customer"]]}),
    ("the job", {"jobId": DETAIL["customer"]}),
    ("the seconds", {"seconds": DETAIL}),
    ("the seconds, in a list", {"seconds": [PERSONAL["email"], PERSONAL["card"]]}),
    ("the model", {"model": DETAIL["customer"]}),
    ("the time", {"finishedAt": DETAIL["customer"]}),
]


@pytest.mark.parametrize(("said"), [said for _, said in INSTEAD], ids=[name for name, _ in INSTEAD])
@pytest.mark.parametrize("door", ["direct", "queue"])
def test_an_object_in_place_of_a_value_is_not_quoted(said: dict[str, Any], door: str) -> None:
    """A producer that changes the form of its events tells of a customer where a policy looks for an id."""
    meter = Meter(example(("time: time}", "time: detail.finishedAt || time}")))
    body = rendered(**said)

    bill = meter.event(body) if door == "direct" else meter.batch(json.dumps(body))

    assert ["error"] == [line["outcome"] for line in bill.told]
    assert " with " in bill.told[0]["problem"]
    assert [] == EAR.take()


def test_what_is_no_event_at_all_is_not_quoted() -> None:
    """A body without an envelope, a list, and half a body."""
    meter = Meter(example())
    detail = rendered()["detail"]

    bill = meter.batch(json.dumps(detail), json.dumps([detail]), json.dumps(detail)[:-2], json.dumps(PERSONAL["prompt"]))

    assert ["error"] * 4 == [line["outcome"] for line in bill.told]
    assert [] == EAR.take()


def test_a_scan_tells_nothing_of_a_row_but_what_the_policy_reads() -> None:
    """Neither of one that is charged, nor of one that makes no sense, nor of a status that nobody mapped."""
    meter = Meter(example())
    meter.world.job("j-1").job("j-2", seconds="eight").job("j-4", userId=[PERSONAL["email"]])
    meter.world.job("j-3", status={"was": PERSONAL["name"]})

    bill = meter.scan()

    outcomes = [line.get("outcome") for line in bill.told]
    assert (1, 2) == (outcomes.count("debited"), outcomes.count("error"))
    assert [] == EAR.take()


# --- each channel can be heard ---


def test_a_line_of_the_log_is_heard() -> None:
    """An error that quotes whatever stands in a place, as errors once did."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.rating.assess.quoted", str)
        with pytest.raises(EventError):
            Steps(example()).deliver(rendered(userId=DETAIL["customer"]))

    assert heard_in("log")


def test_a_metric_is_heard() -> None:
    """Its name, here."""
    steps = Steps(example())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telemetry, "settled_metrics", lambda report, _before: {report.envelope.document["detail"]["prompt"]: 1})
        steps.deliver(rendered())

    assert heard_in("log")


def test_an_entry_is_heard_whichever_store_keeps_it() -> None:
    """A fact that keeps all that the event said."""

    def keeps_all(*given: Any, **named: Any) -> Any:
        effect = contribute(*given, **named)
        charge = evolve(effect.fact.charges[0], content=(("detail", json.dumps(DETAIL)),))
        return evolve(effect, fact=evolve(effect.fact, charges=(charge,)))

    contribute = next(iter(contributions.CONTRIBUTE.values()))
    action = next(iter(contributions.CONTRIBUTE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(contributions.CONTRIBUTE, action, keeps_all)  # type: ignore[arg-type]
        Steps(example()).deliver(rendered())
        assert heard_in("entry")
        Meter(example()).event(rendered())

    assert {"entry", "table"} == {line.partition(": ")[0] for line in EAR.take()}


def test_a_segment_is_heard() -> None:
    """Whatever the daemon takes."""
    with Daemon() as daemon, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        told = json.dumps({"annotations": {"user": PERSONAL["email"]}})
        sender.sendto(b'{"format": "json", "version": 1}\n' + told.encode(), daemon.socket.getsockname())
        daemon.documents()

    assert heard_in("X-Ray")


def test_pythons_own_log_is_heard_with_its_traceback() -> None:
    """What libraries log. pytest would show it as well, so the record goes to the ear alone."""
    (ear,) = (handler for handler in logging.getLogger().handlers if isinstance(handler, canaries.Records))
    error = ValueError(SECRET_KEY)
    ear.handle(logging.LogRecord("botocore", logging.ERROR, "", 1, "no answer", (), (ValueError, error, None)))

    assert heard_in("python log")


def test_what_is_printed_is_heard_although_a_test_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The function prints its lines."""
    sys.stdout.write(SECRET_KEY)
    capsys.readouterr()

    assert heard_in("printed")


def test_a_command_is_heard() -> None:
    """Whatever it writes."""
    app = typer.Typer()
    app.command()(lambda: typer.echo(PERSONAL["card"]))

    assert 0 == CliRunner().invoke(app, []).exit_code
    assert heard_in("command")


def test_a_question_to_the_model_is_heard() -> None:
    """By the server of the tests, whatever it answers. The key of the model stands in a header and is no part of it."""
    question = json.dumps({"messages": [{"content": PERSONAL["prompt"]}]}).encode()
    with run_model_server() as server:
        asked = urllib.request.Request(f"{server.url}/elsewhere", question)  # noqa: S310  it is our own
        with pytest.raises(urllib.error.HTTPError, match="404") as refusal:
            urllib.request.urlopen(asked)  # noqa: S310  the same
        refusal.value.close()

    assert heard_in("model")


def test_the_bus_and_the_logs_of_the_deployed_functions_are_heard() -> None:
    """By what the tests take from them: one detail, one line among others."""
    listen("bus", {"Entries": [{"Detail": json.dumps({"userId": PERSONAL["name"]})}]})
    assert heard_in("bus")
    listen("CloudWatch", "\n".join(["START", json.dumps({"problem": f"is {MODEL_KEY}"}), "END"]))
    assert heard_in("CloudWatch")


LEAKING = """
import sys
from tests.support.canaries import PERSONAL

def test_that_tells_a_name():
    sys.stdout.write(PERSONAL["name"])

def test_that_tells_nothing():
    sys.stdout.write("nothing")
"""


def test_a_test_in_which_a_canary_is_heard_fails(tmp_path: Any) -> None:
    """And no other does."""
    (tmp_path / "test_leak.py").write_text(LEAKING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), str(tmp_path)]

    done = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert f"stdout: ...{PERSONAL['name']}" in done.stdout
    assert 1 == done.returncode
