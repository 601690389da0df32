"""Standard output that takes no more, for every command: a full disk is told in one line, a reader who has gone by the status.

And files that the command writes itself: which one is full is told, and no half of a line is left in it.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from engine.cli.files import UnwritableFileError, append_line
from engine.cli.start import main
from engine.ledger.store import Tables
from tests.cli.test_screens import COMMANDS, USER
from tests.support.events import rendered
from tests.support.world import World
from tools.local_aws import LocalAws, tables_environment

FULL = Path("/dev/full")
FULL_TOLD = "standard output cannot be written: No space left on device\n"
FAILED, MISUSED = 1, 2

AT_ONCE = [["--help"], ["--version"], ["validate", "policy.yaml"], ["validate", "--json", *["policy.yaml"] * 40]]
"""The last prints more at a time than Python keeps before it writes."""

BY_THE_LIBRARY = [["schema"], ["validate", "--format=github", "broken.yaml"], ["anomalies", "--help", "list"]]

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")


@pytest.fixture
def world(dynamodb: Any, tables: Tables, aws: LocalAws, monkeypatch: pytest.MonkeyPatch, policy: Path) -> World:
    """Return tables that the command finds through the environment."""
    monkeypatch.chdir(policy.parent)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("POLICY_FILE", str(policy))
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0)
    for name, value in tables_environment(tables).items():
        monkeypatch.setenv(name, value)
    return World(dynamodb, tables).user(USER, "1000")


@contextmanager
def full() -> Iterator[io.TextIOWrapper]:
    """Yield what stands on a full disk."""
    with FULL.open("w") as file:
        yield file


@contextmanager
def read_by_nobody() -> Iterator[io.TextIOWrapper]:
    """Yield the end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    file = os.fdopen(writer, "w")
    yield file
    with suppress(BrokenPipeError):  # what the library has left in it
        file.close()


type Opened = Callable[[], Any]


def ended(words: list[str], opened: Opened, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """Return how a command ends whose standard output is ``opened``, and what it says on standard error."""
    said = io.StringIO()
    with monkeypatch.context() as here, opened() as file:
        here.setattr("sys.argv", ["reconciler", *words])
        here.setattr("sys.stdout", file)
        here.setattr("sys.stderr", said)
        here.setattr("engine.cli.output.out", Console(highlight=False, markup=False, emoji=False))  # it keeps what failed
        with pytest.raises(SystemExit) as end:
            main()
    return int(str(end.value.code or 0)), said.getvalue()


@pytest.mark.parametrize("name", [name for name in COMMANDS if "nobody" not in name])  # who is not there is told elsewhere
def test_each_command_tells_a_full_disk_in_one_line(
    world: World, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a status of its own: nobody takes it for a check that failed. And a reader who has gone is told nothing."""
    words, _ = COMMANDS[name](world, tmp_path)
    told = [ended(more, opened, monkeypatch) for more, opened in ((words, full), ([*words, "--json"], full))]
    to_nobody = ended(words, read_by_nobody, monkeypatch)

    assert [MISUSED, MISUSED, FAILED] == [status for status, _ in (*told, to_nobody)]
    assert [FULL_TOLD] * 2 == [said.splitlines(keepends=True)[-1] for _, said in told]  # what else is wrong comes before
    assert not any(word in said for _, said in (*told, to_nobody) for word in ("Traceback", "Errno", "pipe"))


@pytest.mark.parametrize("words", [*AT_ONCE, *BY_THE_LIBRARY], ids=" ".join)
def test_what_is_answered_without_tables_tells_it_too(policy: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not the library has to read the arguments."""
    monkeypatch.chdir(policy.parent)
    (policy.parent / "broken.yaml").write_text("version: 1\n")

    assert (MISUSED, FULL_TOLD) == ended(words, full, monkeypatch)
    assert (FAILED, "") == ended(words, read_by_nobody, monkeypatch)


@pytest.mark.parametrize("words", [["validate", "policies/video.yaml"], ["schema"]], ids=" ".join)
def test_a_process_ends_without_a_word_of_pythons(words: list[str]) -> None:
    """Nor does its end write once more. Where standard error is full too, or no output was wanted, the status tells."""
    command = [sys.executable, "-m", "engine.cli", *words]
    with full() as disk, read_by_nobody() as pipe:
        of_disk = subprocess.run(command, stdout=disk, stderr=subprocess.PIPE, text=True, check=False)
        of_pipe = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
        of_both = subprocess.run(command, stdout=disk, stderr=disk, check=False)
    closed = subprocess.run(["/bin/sh", "-c", '"$@" >&-', "sh", *command], stderr=subprocess.PIPE, text=True, check=False)

    assert (MISUSED, FULL_TOLD) == (of_disk.returncode, of_disk.stderr)
    assert (FAILED, "") == (of_pipe.returncode, of_pipe.stderr)
    assert MISUSED == of_both.returncode
    assert (0, "") == (closed.returncode, closed.stderr)


def test_what_prints_nothing_misses_no_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misuse is told on standard error alone."""
    status, said = ended(["plan", "--nonsense"], full, monkeypatch)

    assert MISUSED == status
    assert "No such option: --nonsense" in said
    assert FULL_TOLD not in said


# --- files that the command writes itself -----------------------------------------------------------------------------


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the disk be full for each file that has so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_of_a_line_for_which_there_is_no_room_nothing_is_left(tmp_path: Path) -> None:
    """So that what is added later is a line of its own."""
    file = tmp_path / "rejects.jsonl"
    append_line(file, "a" * 60)
    with files_of_at_most(100), pytest.raises(UnwritableFileError) as told:
        append_line(file, "b" * 60)
    append_line(file, "c")

    assert f"{file}: cannot be written: File too large" == str(told.value)
    assert ["a" * 60, "c"] == file.read_text().splitlines()


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (["--rejects", "/dev/full"], "/dev/full: cannot be written: No space left on device"),
        (["--rejects", "no-folder/x"], "no-folder/x: cannot be written: No such file or directory"),
        (["--checkpoint", "no-folder/x"], "no-folder/x: cannot be written: No such file or directory"),
    ],
    ids=["no room for rejects", "no folder for rejects", "no folder for the checkpoint"],
)
def test_a_replay_names_the_file_that_it_cannot_write(
    world: World, option: list[str], named: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line, and not as a traceback. Once there is room the same command does all of it, and charges once."""
    Path("events.jsonl").write_text(f"{json.dumps(rendered('j-1', user=USER))}\nno json\n")
    monkeypatch.setattr("sys.argv", ["reconciler", "replay", "events.jsonl", *option])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    monkeypatch.setattr("sys.argv", ["reconciler", "replay", "events.jsonl", "--json"])
    with pytest.raises(SystemExit) as again:
        main()

    assert (FAILED, named) == (end.value.code, printed.err.replace("\n", " ").strip())
    assert (FAILED, 1) == (again.value.code, json.loads(capsys.readouterr().out)["rejected"])
    assert (Decimal("999.2"), Decimal("-0.8")) == tuple(world.user_row(USER)[name] for name in ("remaining", "posted"))
