"""``reconciler audit --repair --plan`` and ``reconciler apply`` as a person types them."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time as clock
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.ledger.archive.bucket import FolderBucket
from tests.repairs.conftest import Place
from tests.support.events import failed, rendered
from tools.environments import ROOT

pytestmark = pytest.mark.local_aws

FINE, FAILED, MISUSED = 0, 1, 2
REASON = ("--reason", "ticket 4711", "--by", "ann")


@pytest.fixture
def place(place: Place, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    """Return a ledger whose tables and archive the command finds through the environment."""
    for name in ("jobs", "credits", "ledger", "state", "seals"):
        monkeypatch.setenv(f"{name.upper()}_TABLE", getattr(place.world.tables, name))
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", local_aws)
    folder = tmp_path / "archive"
    folder.mkdir()
    place.archived.bucket = FolderBucket(folder)
    return place


def run(*arguments: Any) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, [*map(str, arguments)])


def planned(place: Place, *more: str) -> Result:
    """Run a repair by plan of u-1."""
    archive = ("--archive", place.folder / "archive")
    return run("audit", "--repair", "--user", "u-1", "--plan", place.folder / "plan", *archive, *REASON, *more)


def applied(place: Place, *more: str) -> Result:
    """Run the plan."""
    return run("apply", place.folder / "plan", "--archive", place.folder / "archive", "--by", "ben", *more)


def test_a_repair_is_looked_at_and_then_applied(place: Place) -> None:
    """Nothing is written before; the plan is kept beside the archive then, under its digest."""
    place.deliver(rendered("j-1"))
    before = place.items()
    place.change("job#j-1", 1, amount=Decimal("-0.1"))
    damaged = place.items()

    shown = planned(place)
    checked = applied(place, "--dry-run")
    assert damaged == place.items()
    done, again = applied(place), applied(place, "--json")

    assert FAILED == shown.exit_code
    assert "job#j-1: entry 1 was changed: `amount` is -0.1; -0.8 was posted" in shown.stdout
    assert "job#j-1: put back: entry 1, as it was posted" in shown.stdout
    assert (FAILED, "job#j-1: due") == (checked.exit_code, checked.stdout.splitlines()[0])
    assert (FINE, "job#j-1: put right") == (done.exit_code, done.stdout.splitlines()[0])
    assert {"done": 0, "doneBefore": 1, "changed": 0}.items() <= json.loads(again.stdout).items()
    assert before == place.items()
    digest = json.loads(again.stdout)["plan"]
    assert (place.folder / "plan").read_bytes() == (place.folder / "archive" / "plans" / f"{digest}.jsonl").read_bytes()


def test_what_only_a_person_can_say_is_asked_for(place: Place) -> None:
    """The balance moved without an entry. Then the person says that the balance is wrong."""
    place.deliver(rendered("j-1"))
    place.move_row("u-1", posted="5", remaining="5")

    asked = planned(place)
    said = planned(place, "--wrong", "balance")
    done = applied(place)

    assert FAILED == asked.exit_code
    assert "the entries add up to -0.8, Credits says 4.2; only a person can say what is wrong" in " ".join(
        asked.stdout.split()
    )
    assert FAILED == said.exit_code
    assert FINE == done.exit_code, done.stdout
    assert (Decimal("999.2"), Decimal("-0.8")) == place.balance("u-1")
    (place.folder / "plan").unlink()
    assert FINE == planned(place).exit_code


def test_an_entry_that_a_person_names_is_undone(place: Place) -> None:
    """It follows, and nothing but the balance speaks against it: the plan says which one alone makes up the difference."""
    place.deliver(rendered("j-1"), rendered("j-2"))
    place.insert("job#j-3", 1, ("job#j-1", 1), jobId="j-3", amount=Decimal("-0.8"))

    asked = planned(place)
    assert "--forged job#j-3/1" not in asked.stdout  # j-1 and j-2 would make it up as well
    said = planned(place, "--forged", "job#j-3/1")
    done = applied(place)

    assert FAILED == said.exit_code
    assert "job#j-3: add: entry 2, 0.8 for u-1" in said.stdout
    assert FINE == done.exit_code
    assert (Decimal("998.4"), Decimal("-1.6")) == place.balance("u-1")


def test_an_entry_in_doubt_was_posted_where_a_person_says_so(place: Place) -> None:
    """Charge and refund came on a log that was emptied, and cancel each other out: somebody may have forged both."""
    place.deliver(rendered("j-1"), rendered("j-1", seconds=16, at="10:30"))
    place.remove("job#j-1", 2, 1)
    place.deliver(rendered("j-1"), failed("j-1"))

    asked = planned(place)
    said = planned(place, "--posted", "job#j-1/1", "--posted", "job#j-1/2")
    done = applied(place)

    assert "if it was posted say --posted job#j-1/2" in " ".join(asked.stdout.split())
    assert (FAILED, FINE) == (said.exit_code, done.exit_code)
    assert (Decimal(1000), Decimal(0)) == place.balance("u-1")


PLANNED = ("--repair", "--user", "u-1", "--plan", "p", "--reason", "x", "--archive", ".")

MISTAKES: list[tuple[tuple[str, ...], str]] = [
    (("--plan", "p"), "--plan goes with --repair --user"),
    (("--repair", "--user", "u-1", "--plan", "p", "--yes", "--reason", "x"), "--yes does not go with --plan"),
    (("--repair", "--user", "u-1", "--forged", "job#j-1/1"), "--forged, --posted and --by go with --plan"),
    (("--repair", "--user", "u-1", "--posted", "job#j-1/1"), "--forged, --posted and --by go with --plan"),
    (("--repair", "--user", "u-1", "--plan", "p", "--archive", "."), "--plan needs --reason"),
    (("--repair", "--user", "u-1", "--plan", "p", "--reason", "x"), "--plan needs --archive"),
    (
        (*PLANNED, "--forged", "j-1"),
        "write the entry's log and its number",
    ),
    (
        (*PLANNED, "--forged", "job#j-1/1", "--posted", "job#j-1/1"),
        "--forged and --posted name the same entry",
    ),
]


def test_options_that_do_not_go_together_are_refused(place: Place) -> None:
    """Before anything is read of the archive."""
    place.deliver(rendered("j-1"))

    for arguments, problem in MISTAKES:
        result = run("audit", *arguments)
        assert MISUSED == result.exit_code
        assert problem in " ".join(result.stderr.split())


def test_a_plan_of_other_tables_is_not_applied(place: Place, monkeypatch: pytest.MonkeyPatch, new_tables: Any) -> None:
    """Its digest is right, and it is of another ledger."""
    place.deliver(rendered("j-1"))
    place.change("job#j-1", 1, amount=Decimal("-0.1"))
    planned(place)
    monkeypatch.setenv("LEDGER_TABLE", new_tables().ledger)

    result = applied(place)

    assert FAILED == result.exit_code
    assert "was made for" in result.stderr


@pytest.mark.proof
def test_apply_that_is_killed_is_gone_on_with(place: Place, local_aws: str) -> None:
    """SIGKILL in the middle of twelve logs; the second run does the rest, and each log is put right once."""
    jobs = [f"j-{number}" for number in range(12)]
    place.deliver(*(rendered(job) for job in jobs))
    for job in jobs:
        place.remove(f"job#{job}", 1)
    place.deliver(*place.sent)
    planned(place)
    command = [sys.executable, "-m", "engine.cli", "apply", place.folder / "plan", "--archive", place.folder / "archive"]
    process = subprocess.Popen(
        list(map(str, [*command, "--by", "ben"])),
        env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = clock.monotonic() + 60
    while len(place.items()) < 14 and clock.monotonic() < until and process.poll() is None:
        clock.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    result = json.loads(applied(place, "--json").stdout)

    assert 12 == result["done"] + result["doneBefore"]
    assert result["doneBefore"] >= 1
    assert (Decimal("990.4"), Decimal("-9.6")) == place.balance("u-1")
    assert 24 == len(place.items())


PAGE = ROOT / "docs" / "how-to" / "a-balance-looks-wrong.md"
CONSOLE = re.compile(r"^```console\n\$ (.*?)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def test_the_page_shows_what_the_commands_print(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands of the section on repairs with an archive, in its order."""
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("COLUMNS", "120")
    place.world.user("eve")
    place.deliver(rendered("j-7", user="eve"))
    before = place.items()
    place.change("job#j-7", 1, amount=Decimal("-0.2"))

    for command, shown in CONSOLE.findall(PAGE.read_text()):
        printed = run(*shlex.split(command)[1:]).stdout
        assert alike(shown) == alike(printed)

    assert before == place.items()


def alike(text: str) -> str:
    """Return a text without a plan's digest, and without blanks at the end of lines."""
    plain = re.sub("[0-9a-f]{64}", "...", text)
    return "\n".join(line.rstrip() for line in plain.splitlines() if line.strip())
