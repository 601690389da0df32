"""What the command answers before it imports its library: help, the version, and `validate` where its arguments are plain."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.app import COMMANDS, app
from engine.cli.start import COLUMNS, main, stored_help, terminal_columns
from engine.cli.validate import plain_request
from tools.help_texts import help_texts

FINE, FAILED, MISUSED = 0, 1, 2

BROKEN = "version: 1\nname: broken\nevent: {job: a, user: b, time: c}\nrules: []\nrools: :x: [bold]\n"
WARNED = """\
version: 1
name: warned
event: {job: detail.jobId, user: detail.userId, time: time}
rules:
  - {name: flag-late, match: {detail: {late: [yes]}}, action: flag, reason: 50 % late}
"""
PRICES = """\
version: 1
name: prices
event: {job: detail.jobId, user: detail.userId, time: time}
prices:
  second:
    - {effective: 2025-01-01T00:00:00Z, rates: {default: "0.10"}}
    - {effective: 2026-01-01T00:00:00Z, rates: {default: "0.12"}}
rules:
  - {name: debit, match: {source: [a]}, action: debit, charge: {price: second, quantity: detail.seconds}}
"""

LIBRARIES = (
    "typer",
    "rich",
    "botocore",
    "boto3",
    "jmespath",
    "jsonschema",
    "engine.runtime.telemetry",
    "engine.preview.planning.run",
)


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Return how the command ends, and what it prints."""
    monkeypatch.setattr("sys.argv", ["reconciler", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(str(ended.value.code or FINE)), printed.out, printed.err


def by_the_library(*arguments: str) -> tuple[int, str, str]:
    """Return the same of the library."""
    result = CliRunner().invoke(app, arguments, prog_name="reconciler", env={"COLUMNS": str(COLUMNS)})
    return result.exit_code, result.stdout, result.stderr


# --- help and version -------------------------------------------------------------------------------------------------


def test_the_stored_help_is_what_the_library_writes() -> None:
    """Of every command, and of none that is no more. `python -m tools.help_texts` writes it."""
    texts = help_texts()
    stored = {file: file.read_text() for file in next(iter(texts)).parent.iterdir()}

    assert texts == stored
    assert {"reconciler.txt", "reconciler.plan.txt", "reconciler.anomalies.list.txt"} <= {file.name for file in stored}
    assert max(len(line) for text in stored.values() for line in text.splitlines()) <= COLUMNS


def test_each_command_has_a_whole_line_in_the_help() -> None:
    """None is cut off in a terminal of 80 columns."""
    text = stored_help([])

    assert text is not None
    assert [f"  {name:<12}  {command.summary}" for name, command in COMMANDS.items()] == text.split("Commands:\n")[
        1
    ].splitlines()


@pytest.mark.parametrize("command", [[], ["validate"], ["anomalies"], ["anomalies", "list"], ["dead-letters", "drop"]])
def test_help_is_printed_as_it_is_stored(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same text, stream and status as by the library."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setitem(sys.modules, "engine.cli.app", None)  # importing it would fail

    assert run(capsys, monkeypatch, *command, "--help") == by_the_library(*command, "--help")


def test_without_arguments_help_is_told_as_a_misuse(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error, as the library does it."""
    status, printed, told = run(capsys, monkeypatch)

    assert (MISUSED, "", stored_help([])) == (status, printed, told)
    assert (status, printed, told) == by_the_library()


@pytest.mark.parametrize(
    "arguments",
    [
        ["valdate", "--help"],
        ["../reconciler", "--help"],
        ["--help", "--nonsense"],
        ["plan", "x", "--help"],
        ["x" * 300, "--help"],
    ],
)
def test_other_words_before_help_are_left_to_the_library(arguments: list[str]) -> None:
    """It knows what they mean, or that they mean nothing."""
    assert stored_help(arguments[:-1]) is None


def test_a_narrow_terminal_gets_help_of_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the library; a wide one gets what is stored."""
    monkeypatch.setenv("COLUMNS", "60")
    narrow = stored_help(["plan"])
    monkeypatch.setenv("COLUMNS", "200")
    wide = stored_help(["plan"])

    assert (None, by_the_library("plan", "--help")[1]) == (narrow, wide)


@pytest.mark.parametrize("stated", ["", "0", "-5", "many"])
def test_without_a_terminal_its_width_is_80(stated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else the variable says."""
    monkeypatch.setenv("COLUMNS", stated)
    with Path(os.devnull).open("w") as nothing:
        monkeypatch.setattr(sys, "__stdout__", nothing)
        beside_a_file = terminal_columns()
    monkeypatch.setattr(sys, "__stdout__", None)

    assert (80, 80) == (beside_a_file, terminal_columns())


def test_the_version_is_that_of_what_is_installed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Printed at once, and by the library where other arguments stand beside it."""
    monkeypatch.setattr("importlib.metadata.version", {"credit-reconciler": "1.2.3"}.__getitem__)

    assert (FINE, "reconciler 1.2.3\n", "") == run(capsys, monkeypatch, "--version") == by_the_library("--version", "plan")


def test_without_the_library_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever installed no extra has help and plain validations; another missing module is a mistake of ours."""
    monkeypatch.delitem(sys.modules, "engine.cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)  # importing it fails as if it were not there
    told = run(capsys, monkeypatch, "schema")
    monkeypatch.setitem(sys.modules, "engine.cli.app", None)
    monkeypatch.setattr("sys.argv", ["reconciler", "schema"])

    assert (MISUSED, "", "this command needs the libraries of the extra `cli`: pip install 'credit-reconciler[cli]'\n") == told
    with pytest.raises(ModuleNotFoundError):
        main()


def test_a_reader_who_goes_away_is_no_error() -> None:
    """Of help, and of what is wrong with a policy: no traceback."""
    for arguments in (["--help"], ["validate", "policies/video.yaml"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "engine.cli", *arguments], stdout=writer, stderr=subprocess.PIPE, check=False
        )
        os.close(writer)

        assert (FAILED, b"") == (done.returncode, done.stderr)


def test_a_process_that_ends_at_once_has_printed_all(tmp_path: Path) -> None:
    """Into pipes, which Python writes in pieces: both streams, to the last line, and the status."""
    broken = [str(tmp_path / f"{number}.yaml") for number in range(200)]
    for file in broken:
        Path(file).write_text(BROKEN)
    validation, misuse = (
        subprocess.run([sys.executable, "-m", "engine.cli", *arguments], capture_output=True, text=True, check=False)
        for arguments in (["validate", *broken], [])
    )

    status, printed, _ = by_the_library("validate", *broken)
    assert (status, printed, "") == (validation.returncode, validation.stdout, validation.stderr)
    assert (MISUSED, "", stored_help([])) == (misuse.returncode, misuse.stdout, misuse.stderr)


# --- validate ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def policies(tmp_path: Path, policy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with policies, and work there."""
    (tmp_path / "broken.yaml").write_text(BROKEN)
    (tmp_path / "warned.yaml").write_text(WARNED)
    (tmp_path / "prices.yaml").write_text(PRICES)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert policy == tmp_path / "policy.yaml"
    return tmp_path


PLAIN = [
    ["policy.yaml"],
    ["./policy.yaml", "folder/..//policy.yaml", "policy.yaml"],
    ["policy.yaml", "broken.yaml", "warned.yaml"],
    ["--json", "broken.yaml", "warned.yaml"],
    ["--all-rows", "prices.yaml"],
    ["prices.yaml"],
    ["broken.yaml", "--format", "github", "warned.yaml"],
    ["--format", "github", "broken.yaml", "--format", "text"],
    ["--delivers", "shop/sold", "policy.yaml", "--json"],
    ["--delivers", "nonsense", "policy.yaml"],
    ["--delivers", "", "policy.yaml"],
]

ODD = [
    [],
    ["--json"],
    ["--help"],
    ["no-such.yaml"],
    ["folder"],
    ["--format", "xml", "policy.yaml"],
    ["policy.yaml", "--format"],
    ["policy.yaml", "--delivers"],
    ["--format=github", "broken.yaml"],
    ["--", "policy.yaml"],
    ["-", "policy.yaml"],
    ["policy.yaml", "--nonsense"],
    [""],
    ["with\0null"],
]


@pytest.mark.parametrize("arguments", PLAIN, ids=" ".join)
@pytest.mark.usefixtures("policies")
def test_plain_arguments_are_read_as_the_library_reads_them(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is printed, where, and how it ends."""
    expected = by_the_library("validate", *arguments)
    monkeypatch.setitem(sys.modules, "engine.cli.app", None)  # importing it would fail

    assert expected == run(capsys, monkeypatch, "validate", *arguments)


@pytest.mark.parametrize("arguments", ODD, ids=repr)
@pytest.mark.usefixtures("policies")
def test_odd_arguments_are_left_to_the_library(arguments: list[str]) -> None:
    """With its words for each mistake."""
    assert plain_request(arguments) is None


@pytest.mark.usefixtures("policies")
def test_a_file_that_may_not_be_read_is_left_to_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which says so."""
    monkeypatch.setattr("os.access", lambda *_: False)

    assert plain_request(["policy.yaml"]) is None


@pytest.mark.usefixtures("policies")
def test_what_a_file_says_is_printed_letter_by_letter(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in it is taken for a picture or for a colour."""
    status, printed, _ = run(capsys, monkeypatch, "validate", "broken.yaml")

    assert (FAILED, True) == (status, "rools: :x: [bold]" in printed)


def imported_by(*arguments: str) -> str:
    """Return which libraries a command imports, in a process of its own."""
    code = (
        f"import sys; sys.argv = ['reconciler', *{arguments!r}]\n"
        "from engine.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {LIBRARIES} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return str(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("arguments", [("--help",), ("plan", "--help"), ("--version",), ("validate", "policies/video.yaml")])
def test_what_is_answered_at_once_imports_no_library(arguments: tuple[str, ...]) -> None:
    """Neither that of the command line nor that of the database."""
    assert "[]" == imported_by(*arguments)
