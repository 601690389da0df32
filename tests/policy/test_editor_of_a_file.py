"""An editor offers the price books and the rates of the file that is typed on, by a schema made for that file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from engine.policy.words import OPERATORS_ABOUT
from tests.support.language_server import Editor, running_editor
from tests.support.typed_policy import place_of
from tools.language_server import LanguageServerMissingError, language_server

POLICY = """\
# yaml-language-server: $schema=video.schema.json
version: 1
name: video
event: {job: detail.jobId, user: detail.userId, time: time, reference: detail.purchaseId}
prices:
  render-second:
    - effective: 2026-01-01T00:00:00Z
      by: [detail.model, "detail.resolution || 'default'"]
      rates:
        default: "0.10"
        sora-2: {default: "0.10", 1080p: "0.30"}
    - effective: 2026-07-01T00:00:00Z
      changes:
        veo-3: "0.40"
  credits:
    - effective: 2026-01-01T00:00:00Z
      rates: {default: "1"}
rules:
  - name: debit-rendered
    match: {detail-type: [video.rendered]}
    action: debit
    charge: {price: render-second, quantity: detail.seconds}
  - name: grant-purchased
    match: {detail-type: [credits.purchased]}
    action: grant
    grant: {price: credits, quantity: detail.credits}
anomalies:
  - name: dear
    match: {charge: {unit: [sora-2/1080p]}}
"""
BOOKS = {"render-second", "credits"}
UNITS = {"default", "sora-2/default", "sora-2/1080p", "veo-3"}
CHARGE = "    charge: {price: render-second, quantity: detail.seconds}\n"
GRANT = "    grant: {price: credits, quantity: detail.credits}\n"
CHANGES = '        veo-3: "0.40"\n'
UNIT = "    match: {charge: {unit: [sora-2/1080p]}}\n"


def schema_of(path: Path) -> str:
    """Return what the command prints for a policy."""
    return CliRunner().invoke(app, ["schema", "--for", str(path)]).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a policy and the schema that was made for it."""
    folder = tmp_path_factory.mktemp("policies")
    (folder / "video.yaml").write_text(POLICY)
    (folder / "video.schema.json").write_text(schema_of(folder / "video.yaml"))
    return folder


@pytest.fixture(scope="module")
def editor(folder: Path) -> Iterator[Editor]:
    """Return an editor with that folder open."""
    try:
        command = language_server()
    except LanguageServerMissingError as missing:
        pytest.skip(str(missing))
    with running_editor(command, folder) as running:
        yield running


@pytest.fixture
def draft(folder: Path, request: pytest.FixtureRequest) -> Path:
    """Return a file beside the policy that nobody has saved yet."""
    return folder / f"draft-{abs(hash(request.node.name))}.yaml"


def test_the_policy_has_no_red_line(editor: Editor, draft: Path) -> None:
    """Else the marks below would prove nothing."""
    editor.open(draft, POLICY)

    assert [] == editor.marks(draft)


@pytest.mark.parametrize(
    ("right", "typed", "offered"),
    [
        (CHARGE, "    charge: {price: |, quantity: detail.seconds}\n", BOOKS),
        (CHARGE, "    charge:\n      price: |\n", BOOKS),
        (CHARGE, "    charge:\n      components:\n        - price: |\n", BOOKS),
        (GRANT, "    grant:\n      price: |\n", BOOKS),
        (CHANGES, "        |\n", {"default", "sora-2", "veo-3"}),
        (CHANGES, "        sora-2:\n          |\n", {"default", "1080p"}),
        (UNIT, "    match:\n      charge:\n        unit: [|]\n", UNITS),
        (UNIT, "    match:\n      charge:\n        unit:\n          - |\n", {*UNITS, *OPERATORS_ABOUT} - {"$or"}),
        (
            UNIT,
            "    match:\n      charge:\n        price: [|]\n",
            {
                *(f"render-second 2026-01-01T00:00:00Z {unit}" for unit in UNITS - {"veo-3"}),
                *(f"render-second 2026-07-01T00:00:00Z {unit}" for unit in UNITS),
                "credits 2026-01-01T00:00:00Z default",
            },
        ),
    ],
)
def test_a_name_of_the_file_is_completed(editor: Editor, draft: Path, right: str, typed: str, offered: set[str]) -> None:
    """Books where a price is named, rates where they change, units and prices where an anomaly asks for them."""
    text = POLICY.replace(right, typed.replace("|", ""))
    line, column = place_of(text, typed.replace("|", ""))
    before = typed[: typed.index("|")]
    editor.open(draft, text)

    line, column = line + before.count("\n"), (0 if "\n" in before else column) + len(before.rpartition("\n")[2])
    assert offered == set(editor.complete(draft, line, column))


def test_a_rate_of_another_book_is_not_offered(editor: Editor, draft: Path) -> None:
    """Each book has its own models."""
    text = POLICY.replace('      rates: {default: "1"}\n', "      rates:\n        \n")
    line, _ = place_of(text, "rules:")
    editor.open(draft, text)

    assert {"sora-2", "veo-3"}.isdisjoint(editor.complete(draft, line - 1, 8))


NO_BOOK = "There was no such price book in "
NO_RATE = "Write a rate; null takes away only a rate that another row has."


@pytest.mark.parametrize(
    ("right", "typed", "message"),
    [
        (CHARGE, "    charge: {price: >render-secnd<, quantity: detail.seconds}\n", NO_BOOK),
        (CHARGE, "    charge: {components: [{price: >credit<, quantity: a}]}\n", NO_BOOK),
        (CHANGES, "        sora-3: >null<\n", NO_RATE),
        (CHANGES, "        sora-2: {720p: >null<}\n", NO_RATE),
    ],
)
def test_a_name_that_the_file_does_not_have_has_a_red_line(
    editor: Editor, draft: Path, right: str, typed: str, message: str
) -> None:
    """Just under what stands between the angles."""
    plain = typed.replace(">", "").replace("<", "")
    text = POLICY.replace(right, plain)
    editor.open(draft, text)

    (said,) = editor.marks(draft)
    line, column = place_of(text, plain)
    assert {"line": line, "character": column + typed.index(">")} == said["range"]["start"]
    assert {"line": line, "character": column + typed.index("<") - 1} == said["range"]["end"]
    assert said["message"].startswith(message)


@pytest.mark.parametrize("typed", ["sora-2: null", "sora-3: 0.5", "sora-2: {720p: 0.2, 1080p: null}"])
def test_a_rate_may_come_and_go(editor: Editor, draft: Path, typed: str) -> None:
    """A new one is no mistake, and one that is there may be taken away."""
    editor.open(draft, POLICY.replace(CHANGES, f"        {typed}\n"))

    assert [] == editor.marks(draft)


def test_a_policy_that_is_half_typed_has_a_schema_too(tmp_path: Path) -> None:
    """Only what needs the whole policy is missing: the prices that anomalies may ask for."""
    (tmp_path / "video.yaml").write_text(POLICY.replace("    action: debit\n", ""))

    schema = json.loads(schema_of(tmp_path / "video.yaml"))

    assert ["render-second", "credits"] == schema["$defs"]["rules.charge.price"]["enum"]
    assert "allOf" not in schema["$defs"]["priced-envelope"]["properties"]["charge"]["properties"]["unit"]


def test_a_file_that_is_no_yaml_has_none(tmp_path: Path) -> None:
    """It says why."""
    (tmp_path / "video.yaml").write_text("version: [1\n")

    result = CliRunner().invoke(app, ["schema", "--for", str(tmp_path / "video.yaml")])

    assert 0 != result.exit_code
    assert "video.yaml:1:10: the `[` that begins here is never closed" in f"{result.exception}{result.output}"
