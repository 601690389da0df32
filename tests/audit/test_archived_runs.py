"""Scheduled runs and the command where there is an archive: what they answer, count, print, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.audit import check_archive
from engine.audit.archived.seen import ArchiveAudit
from engine.cli.app import app
from engine.ledger.archive.bucket import FolderBucket, MemoryBucket
from engine.ledger.archive.chain import EMPTY
from engine.ledger.dynamodb.audits import DynamoAuditStore
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.runtime.clock import Deadline
from tests.simulation.database import run_server
from tests.support.archived_world import ArchivedWorld
from tests.support.events import rendered

FINE, FAILED, MISUSED = 0, 1, 2
DAY = 86400.0


@pytest.fixture
def world() -> ArchivedWorld:
    """Return a user with two charges, archived."""
    world = ArchivedWorld()
    world.world.user("u-1")
    world.deliver(rendered("j-1"), rendered("j-2"))
    return world


def run(world: ArchivedWorld) -> tuple[dict[str, Any], dict[str, Any]]:
    """Do what the schedule does, and return what is told of the audit, and the line of the log."""
    told = world.scheduled()
    assert ("compared", False) == (told["line"]["message"], "audit" in told)
    return told["archive"], told["line"]


def test_a_scheduled_run_reads_what_is_new_and_keeps_a_checkpoint(world: ArchivedWorld) -> None:
    """The second one reads nothing of what the first one has read."""
    first, line = run(world)
    world.deliver(rendered("j-3"))
    second, _ = run(world)

    assert {"users": 1, "entries": 2, "since": 0, "until": 2, "isFinished": True, "counts": {}}.items() <= first.items()
    assert {"entries": 3, "since": 2, "until": 3, "read": {"objects": 1, "records": 1}}.items() <= second.items()
    assert (line["level"], line["Differences"], line["ComparisonsUnfinished"]) == ("INFO", 0, 0)


def test_a_scheduled_run_tells_what_it_finds_by_kind(world: ArchivedWorld) -> None:
    """In its answer, in the log, and as a metric for each kind, which is 0 where nothing was found."""
    run(world)
    world.change("job#j-1", 1, "SET amount = :n", n={"N": "5"})
    world.remove("job#j-2", 1)
    told, line = run(world)

    assert told["counts"] == {"changed": 1, "removed": 1}
    assert (line["NewDifferences"], run(world)[1]["NewDifferences"], run(world)[0]["counts"]) == (2, 0, told["counts"])
    assert told["differences"][0] == {
        "kind": "changed",
        "reference": "job#j-1",
        "sequence": 1,
        "users": ["u-1"],
        "problem": "was changed: its amount is 5; -0.8 was posted",
    }
    assert (line["level"], line["Differences"], line["FoundChanged"], line["FoundRemoved"]) == ("ERROR", 2, 1, 1)
    assert [line[f"Found{kind}"] for kind in ("Unarchived", "Senseless", "Unreadable", "UnknownCorrection", "Archive")] == [
        0
    ] * 5


def test_a_flag_without_words_is_told_for_a_day(world: ArchivedWorld) -> None:
    """From an hour on; once it has an explanation no more."""
    world.deliver(rendered("j-7", seconds=700))
    assert run(world)[0]["unexplained"] == 0
    world.time.wait(3700)
    told, line = run(world)
    assert (told["unexplained"], line["Unexplained"]) == (1, 1)
    world.change("job#j-7", 1, "SET explanation = :e", e={"M": {"summary": {"S": "long"}}})
    told, line = run(world)
    assert (told["unexplained"], line["Unexplained"]) == (0, 0)


@pytest.mark.parametrize(("days", "counted"), [(30, 0), (0.9, 1)])
def test_a_flag_that_is_taken_in_is_as_old_as_it_says(days: float, counted: int) -> None:
    """What nobody explained before there was an archive is no news when it is taken in."""
    world = ArchivedWorld()
    world.world.user("u-1")
    world.world.deliver(rendered("j-7", seconds=700))
    world.time.wait(days * DAY)
    world.archived.take_in()
    world.time.wait(3700)

    assert counted == run(world)[1]["Unexplained"]


def test_the_log_has_the_digest_of_the_head_that_an_audit_came_to(world: ArchivedWorld) -> None:
    """Nobody can change the log: so it is a witness of the chain."""
    told, line = run(world)

    head = world.archived.heads.now
    assert (head.number, head.digest) == (told["until"], told["head"]) == (line["until"], line["head"])


def test_nothing_is_sealed_and_the_ledger_is_not_read_as_a_whole(
    world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once all of both was compared, a run reads of the ledger no more than what is new."""
    run(world)
    world.deliver(rendered("j-3"))
    monkeypatch.setattr(DynamoAuditStore, "entries", forbidden)
    monkeypatch.setattr(DynamoAuditStore, "last_seal", forbidden)

    assert (3, True) == (run(world)[0]["entries"], run(world)[0]["isFinished"])
    assert [] == list(world.ledger.audits().seals(world.archived.deadline))


def forbidden(*_: Any) -> None:
    """Let nobody read what need not be read."""
    raise AssertionError("it is read as a whole")


def test_an_audit_has_all_of_the_time_of_a_run(world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else is left to do behind the scan: but for two seconds in which the run answers."""
    given: list[float] = []
    real = check_archive.audit_archive

    def audited(archive: Any, store: Any, deadline: Deadline, *rest: Any, **options: Any) -> ArchiveAudit:
        given.append(deadline.left())
        return real(archive, store, deadline, *rest, **options)

    monkeypatch.setattr(check_archive, "audit_archive", audited)
    world.scheduled(seconds=100)

    assert [98.0] == given


def test_a_run_says_when_all_of_both_was_compared_last(world: ArchivedWorld) -> None:
    """In its answer with how far the comparison has come, and as a metric of seconds."""
    first, line = run(world)
    world.time.wait(3 * DAY)
    second, later = run(world)

    assert {"isOver": True, "object": 2, "objects": 2, "segment": 1, "segments": 1}.items() <= first["whole"].items()
    assert first["whole"] == second["whole"]
    assert (0, 3 * DAY) == (line["SecondsSinceWhole"], later["SecondsSinceWhole"])


def test_a_comparison_of_all_that_never_ends_is_unfinished(world: ArchivedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """After two weeks, although each run comes to its end: what it finds is told all the same. It ends with the comparison."""
    with monkeypatch.context() as patched:
        patched.setattr(check_archive, "ROUND_SHARE", 0.0)
        fine = run(world)[1]
        world.time.wait(13.9 * DAY)
        waits = run(world)[1]
        world.time.wait(0.2 * DAY)
        told, late = run(world)
    over = run(world)[1]

    assert (told["isFinished"], told["whole"]["isOver"], told["whole"]["ended"]) == (True, False, None)
    assert [0, 0, 1, 0] == [line["ComparisonsUnfinished"] for line in (fine, waits, late, over)]
    assert (late["level"], late["Differences"], late["FoundChanged"]) == ("INFO", 0, 0)


def test_an_archive_that_cannot_be_read_is_an_audit_that_did_not_end(world: ArchivedWorld) -> None:
    """Nobody knows of the books then; the scan is done."""

    class Away(MemoryBucket):
        def keys(self, prefix: str, *_: Any) -> Iterator[str]:
            raise PermissionError(prefix)

    world.archived.bucket = Away()
    told, line = run(world)

    assert told == {"problem": "PermissionError: checkpoints/rounds/"}
    assert (line["level"], line["ComparisonsUnfinished"]) == ("ERROR", 1)
    assert not {"Differences", "SecondsSinceWhole"} & line.keys()


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(world: ArchivedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of an archive; the command finds the tables behind a server of their own."""
    archive = tmp_path / "archive"
    assert isinstance(world.archived.bucket, MemoryBucket)
    world.archived.bucket = copied(world.archived.bucket, archive)
    monkeypatch.setattr("engine.audit.archived.books.SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    with run_server(world.client.database) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.endpoint)
        yield archive


def copied(bucket: MemoryBucket, folder: Path) -> FolderBucket:
    """Return a copy on disk."""
    copy = FolderBucket(folder)
    for key, body in bucket.objects.items():
        copy.put(key, body, ArchivedWorld().archived.deadline)
    return copy


def audit(world: ArchivedWorld, *arguments: Any) -> Result:
    """Let the tables name the head, and run the command."""
    heads = DynamoHeads(world.client, world.world.tables.seals)
    heads.move(heads.head(world.archived.deadline) or EMPTY, world.archived.heads.now, world.archived.deadline)
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def test_the_command_says_the_same_and_writes_nothing(world: ArchivedWorld, folder: Path) -> None:
    """From the checkpoint that the last run has kept, or the whole."""
    fine = audit(world, "--archive", folder)
    run(world)
    world.deliver(rendered("j-3"))
    before = sorted(folder.rglob("*"))
    assert "the ledger is what was posted, and every user's" in audit(world, "--archive", folder, "--whole").stdout
    since = json.loads(audit(world, "--archive", folder, "--json").stdout)
    whole = json.loads(audit(world, "--archive", folder, "--whole", "--json").stdout)

    assert (FINE, "") == (fine.exit_code, fine.stderr)
    assert "nothing of what the archive tells since then is wrong" in fine.stdout
    assert (1, 3) == (since["read"]["records"], whole["read"]["records"])
    assert (3, 3) == (since["entries"], whole["entries"])
    assert before == sorted(folder.rglob("*"))


def test_the_command_ends_with_the_status_of_a_check(world: ArchivedWorld, folder: Path) -> None:
    """Each finding is a line: its kind, its place, what is wrong."""
    world.change("job#j-1", 1, "SET amount = :n", n={"N": "5"})
    result = audit(world, "--archive", folder, "--whole")

    assert result.exit_code == FAILED
    assert "changed: job#j-1, entry 1: was changed: its amount is 5; -0.8 was posted" in " ".join(result.stdout.split())
    assert "found: 1 changed" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--whole",),
        ("--since-checkpoint",),
        ("--archive", ".", "--whole", "--since-checkpoint"),
        ("--archive", ".", "--repair", "--whole"),
        ("--head", "0" * 64),
    ],
)
def test_what_does_not_go_together_is_refused(world: ArchivedWorld, folder: Path, arguments: tuple[str, ...]) -> None:
    """Nothing is read then."""
    assert folder.is_dir()
    assert audit(world, *arguments).exit_code == MISUSED


@pytest.mark.parametrize(
    ("arguments", "instead"),
    [
        (("--seal",), "leave out --seal: scheduled runs audit by the archive"),
        (("--verify",), "--whole compares every entry with it"),
        (("--repair", "--user", "u-1"), "add --plan FILE, and apply it"),
        (("--repair", "--user", "u-1", "--reason", "a mistake", "--yes"), "add --plan FILE, and apply it"),
    ],
)
def test_what_goes_by_seals_is_refused_with_what_to_use(
    world: ArchivedWorld, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], instead: str
) -> None:
    """Whoever names the archive says so: an option, or the variable that the functions have, too."""
    before = world.archived.items(), world.world.user_row()
    monkeypatch.setenv("ARCHIVE_BUCKET", str(folder))
    result = audit(world, *arguments)

    assert (MISUSED, True) == (result.exit_code, instead in result.stderr)
    assert before == (world.archived.items(), world.world.user_row())


def test_what_was_sealed_before_there_was_an_archive_can_still_be_compared(
    world: ArchivedWorld, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever says that there is none goes by the seals."""
    monkeypatch.setenv("ARCHIVE_BUCKET", str(folder))
    sealed = audit(world, "--seal", "--archive", "")
    verified = audit(world, "--verify", "--archive", "", "--json")

    assert (FINE, FINE) == (sealed.exit_code, verified.exit_code)
    assert 2 == json.loads(verified.stdout)["seals"]["entries"]


def test_a_head_that_a_log_has_kept_is_looked_for_in_the_archive(world: ArchivedWorld, folder: Path) -> None:
    """An earlier one is there as long as nobody has made the chain anew."""
    head = run(world)[0]["head"]
    world.deliver(rendered("j-3"))
    known = audit(world, "--archive", folder, "--head", head, "--json")
    unknown = audit(world, "--archive", folder, "--head", f"{head[:60]}0000")

    assert (FINE, True) == (known.exit_code, json.loads(known.stdout)["headIsKnown"])
    assert world.archived.heads.now.digest == json.loads(known.stdout)["head"] != head
    assert (FAILED, True) == (unknown.exit_code, "head: no object of the archive has this digest" in unknown.stdout)


def test_a_repair_of_nobody_names_of_whom_the_archive_tells_something(world: ArchivedWorld, folder: Path) -> None:
    """Whose entries and row agree with each other is named as well: an entry that is not what was posted."""
    world.change("job#j-1", 1, "SET #source = :s", s={"S": "scan"})
    result = audit(world, "--repair", "--archive", folder)

    assert (MISUSED, ["  u-1"]) == (result.exit_code, result.stderr.splitlines()[-1:])


def test_without_an_archive_the_audit_is_what_it_was(world: ArchivedWorld, folder: Path) -> None:
    """Nobody has named one."""
    assert folder.is_dir()
    result = audit(world, "--json")

    assert result.exit_code == FINE
    assert {"entries", "users", "net", "drifts", "faults", "busy"} <= json.loads(result.stdout).keys()
