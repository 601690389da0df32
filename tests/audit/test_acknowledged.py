"""What of an archive is gone for good: a person answers for it, sums begin anew, and from then on it hides nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.audit.archived import checkpoints
from engine.cli.app import app
from engine.domain.errors import LedgerRefused
from engine.ledger.archive.acknowledged import PREFIX, Acknowledged, acknowledged, keep, name_of
from engine.ledger.archive.bucket import FolderBucket, MemoryBucket
from engine.ledger.archive.chain import EMPTY, append
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.store import Tables
from tests.repairs.conftest import Place, place_on
from tests.simulation.database import Client, Database, run_server
from tests.support.archived_world import ArchivedWorld
from tests.support.events import rendered
from tools.local_aws import create_tables

FINE, FAILED, MISUSED = 0, 1, 2
AT = "2026-01-06T08:00:00Z"


@pytest.fixture
def world() -> ArchivedWorld:
    """Return a user with three charges of 0.8, each in an object of its own; the second object is gone for good."""
    world = ArchivedWorld()
    world.world.user("u-1")
    world.deliver(rendered("j-1"), rendered("j-2"))
    gone = world.archived.heads.now.key  # type: ignore[attr-defined]  it is one in memory
    world.deliver(rendered("j-3"))
    world.audit()
    assert isinstance(world.archived.bucket, MemoryBucket)
    del world.archived.bucket.objects[gone]
    return world


def breaks(world: ArchivedWorld) -> list[str]:
    """Return what the last checkpoint has of breaks."""
    found, _ = checkpoints.begun(world.archived.bucket, world.archived.deadline, whole=False)
    return list(found.breaks)


def answer_for(world: Any, *problems: str, reason: str = "the bucket was emptied by mistake") -> None:
    """Let a person answer for breaks."""
    for problem in problems:
        keep(world.archived.bucket, Acknowledged(problem, "ann", AT, reason), world.archived.deadline)


def anew(world: ArchivedWorld) -> None:
    """Take in what the archive lacks, and let the sums begin anew."""
    world.archived.seen = {key: item for key, item in world.archived.seen.items() if key != ("job#j-2", 1)}
    world.archived.take_in()
    assert world.audit(whole=True).is_kept


def test_a_break_is_told_for_ever_until_somebody_answers_for_it(world: ArchivedWorld) -> None:
    """Then it is told apart, with who has said it and why; it is neither a finding nor new."""
    world.found(whole=True)
    first, again = world.audit(), world.audit()
    problems = [each.problem for each in first.differences if each.kind == "archive"]
    anew(world)
    answer_for(world, *problems)
    after, whole = world.audit(), world.audit(whole=True)

    assert [True] == ["what comes between is missing" in each for each in problems]
    assert problems == [each.problem for each in again.differences if each.kind == "archive"] == breaks(world)
    assert [((), 0, True)] * 2 == [(each.differences, each.damages, each.is_finished) for each in (after, whole)]
    assert [("ann", problems[0])] * 2 == [(said.by, said.problem) for each in (after, whole) for said in each.acknowledged]
    assert (0, 3, 3) == (after.new, after.entries, whole.entries)


def test_what_is_taken_in_again_is_counted_once_when_sums_begin_anew(world: ArchivedWorld) -> None:
    """Without that the taken-in entry counts beside the first telling, which nobody can read any more."""
    world.archived.seen = {key: item for key, item in world.archived.seen.items() if key != ("job#j-2", 1)}
    world.archived.take_in()
    assert [True] == [line.startswith("drift: u-1: ") for line in world.found() if not line.startswith("archive")]

    world.audit(whole=True)
    world.deliver(rendered("j-4"))
    assert [] == [line for line in world.found() if not line.startswith("archive")]


def test_another_break_is_a_finding_beside_one_that_is_acknowledged(world: ArchivedWorld) -> None:
    """An acknowledgement is word for word: of one object."""
    world.audit(whole=True)
    answer_for(world, *breaks(world))
    anew(world)
    assert [] == world.found()
    world.deliver(rendered("j-4"))
    assert isinstance(world.archived.bucket, MemoryBucket)
    gone = world.archived.heads.now.key  # type: ignore[attr-defined]  the same
    world.deliver(rendered("j-5"))
    del world.archived.bucket.objects[gone]
    seen = world.audit()

    told = [each.problem for each in seen.differences if each.kind == "archive"]
    assert [True] == ["does not follow object 4: what comes between is missing" in each for each in told]
    assert (1, 1) == (len(seen.acknowledged), seen.counts[next(kind for kind in seen.counts if kind == "archive")])


def test_the_first_who_answers_counts_and_what_is_none_answers_for_nothing(world: ArchivedWorld) -> None:
    """An object that somebody puts beside them says nothing, whatever is in it."""
    problem = "object 7 has the digest \udc80"  # what cannot be read may have any text
    bucket, deadline = world.archived.bucket, world.archived.deadline
    assert isinstance(bucket, MemoryBucket)
    first = Acknowledged(problem, "ann", AT, "as agreed")
    assert first == keep(bucket, first, deadline) == keep(bucket, Acknowledged(problem, "ben", AT, "no"), deadline)
    for number, body in enumerate((b"{}", b"[]", b"\xff", b'"x"', b"[" * 100_000, first.text().encode())):
        bucket.objects[f"{PREFIX}{number}.json"] = body

    assert {problem: first} == acknowledged(bucket, deadline)


def test_sums_that_are_gone_are_begun_anew_beside_scheduled_runs(world: ArchivedWorld) -> None:
    """A page is gone: no audit comes to its end any more. An audit of the whole ends that, whatever was kept meanwhile."""
    assert isinstance(world.archived.bucket, MemoryBucket)
    objects = world.archived.bucket.objects
    world.audit()
    for key in [key for key in objects if key.startswith("checkpoints/sums/")]:
        del objects[key]
    assert [False, False] == [world.audit().is_finished, world.audit().is_finished]

    class Beside(MemoryBucket):
        """Lets three scheduled runs go by before the first page is kept."""

        def put(self, key: str, body: bytes, deadline: Any) -> None:
            if key.startswith("checkpoints/sums/"):
                world.archived.bucket = MemoryBucket(objects)
                assert [False] * 3 == [world.audit().is_finished for _ in range(3)]
            super().put(key, body, deadline)

    world.archived.bucket = Beside(objects)
    assert world.audit(whole=True).is_kept
    world.archived.bucket = MemoryBucket(objects)

    assert world.audit().is_finished


def test_an_object_that_is_back_is_a_break_until_sums_begin_anew() -> None:
    """What was found stays in the checkpoint: an audit from there does not look at the objects before it again."""
    world = ArchivedWorld()
    world.world.user("u-1")
    world.deliver(rendered("j-1"), rendered("j-2"), rendered("j-3"))
    assert isinstance(world.archived.bucket, MemoryBucket)
    objects = world.archived.bucket.objects
    (_, key, _), kept = sorted(objects), dict(objects)
    del objects[key]
    world.audit(whole=True)
    objects[key] = kept[key]

    assert [True] == ["what comes between is missing" in line for line in world.found() if line.startswith("archive")]
    assert [[], []] == [world.found(whole=True), world.found()]


# --- repairs and restores ----------------------------------------------------------------------------------------------


@pytest.fixture
def desk(tmp_path: Path) -> Place:
    """Return two charges, the first of which was changed; a line of the archive is no record."""
    client = Client(Database())
    desk = place_on(client, create_tables(client, Tables()), tmp_path)
    desk.deliver(rendered("j-1"), rendered("j-2"))
    append(desk.archived.bucket, desk.archived.heads, ["{}"], desk.time.now(), desk.deadline)
    desk.change("job#j-1", 1, amount=Decimal("-0.1"))
    return desk


def test_a_repair_goes_on_behind_what_is_acknowledged(desk: Place) -> None:
    """By the very words of the audit; before, it is refused."""
    with pytest.raises(LedgerRefused, match="is not whole"):
        desk.plan("u-1")
    answer_for(desk, *(each.problem for each in desk.found() if each.kind == "archive"))
    desk.repair("u-1")

    assert {"N": "-0.8"} == desk.item("job#j-1", 1)["amount"]
    assert [] == desk.audit()


# --- the commands ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(world: ArchivedWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the archive as a folder; the command finds the tables behind a server of their own."""
    archive = FolderBucket(tmp_path / "archive")
    assert isinstance(world.archived.bucket, MemoryBucket)
    anew(world)
    for key, body in world.archived.bucket.objects.items():
        archive.put(key, body, world.archived.deadline)
    world.archived.bucket = archive
    DynamoHeads(world.client, world.world.tables.seals).move(
        EMPTY, world.archived.heads.head(world.archived.deadline), world.archived.deadline
    )
    monkeypatch.setattr("engine.audit.archived.books.SECONDS_BETWEEN_LOOKS", 0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    with run_server(world.client.database) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.endpoint)
        yield archive.folder


def run(command: str, folder: Path, *arguments: str) -> Result:
    """Run a command of the archive, or the audit."""
    words = ["audit"] if command == "audit" else ["archive", command]
    return CliRunner().invoke(app, [*words, *arguments, "--archive", str(folder)])


def said(result: Result) -> str:
    """Return what a command has said, in one line."""
    return " ".join(result.stdout.split())


def test_a_person_answers_for_a_break_by_its_name(world: ArchivedWorld, folder: Path) -> None:
    """The name is shown; a reason is needed. From then on every audit tells it, and ends well."""
    (problem,) = breaks(world)
    shown = run("acknowledge", folder)
    for wrong in ((name_of(problem),), (name_of(problem), "--reason", " "), ("abc", "--reason", "x"), ("--reason", "x")):
        assert run("acknowledge", folder, *wrong).exit_code == MISUSED
    assert run("audit", folder).exit_code == FAILED
    done = run("acknowledge", folder, name_of(problem), "--reason", "lost with the old account", "--by", "ann")
    after, audited = run("acknowledge", folder, "--json"), run("audit", folder)

    assert (FAILED, f"{name_of(problem)}: {problem}") == (shown.exit_code, said(shown))
    line = f"acknowledged: {problem}: by ann at "
    assert (FINE, True) == (done.exit_code, f"{name_of(problem)}: {line}" in said(done))
    (told,) = json.loads(after.stdout)["breaks"]
    assert (FINE, problem, "ann", "lost with the old account") == (
        after.exit_code,
        told["problem"],
        told["acknowledged"]["by"],
        told["acknowledged"]["reason"],
    )
    assert (FINE, True) == (audited.exit_code, line in said(audited))
    assert ": lost with the old account" in said(audited)


def test_sums_are_begun_anew_by_command(world: ArchivedWorld, folder: Path) -> None:
    """What is found on the way is told, and is the status; the next audit goes on from there."""
    for page in folder.rglob("sums/*"):
        page.unlink()
    assert not json.loads(run("audit", folder, "--json").stdout)["isFinished"]
    first = run("begin-anew", folder, "--json")
    keep(FolderBucket(folder), Acknowledged(breaks(world)[0], "ann", AT, "agreed"), world.archived.deadline)
    second = run("begin-anew", folder)
    after = json.loads(run("audit", folder, "--json").stdout)

    assert (FAILED, True, {"archive": 1}) == (
        first.exit_code,
        *(json.loads(first.stdout)[name] for name in ("isKept", "counts")),
    )
    assert (FINE, True) == (second.exit_code, "the next audits go on from object 4" in said(second))
    assert (True, 4, [breaks(world)[0]]) == (
        after["isFinished"],
        after["since"],
        [each["problem"] for each in after["acknowledged"]],
    )
