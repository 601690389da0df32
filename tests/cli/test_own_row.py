"""Commands for policies that read the job's own row: it comes from a file, or out of the table."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.cli.job_rows import rows_in
from engine.domain.errors import PolicyError
from engine.ledger.dynamodb.attributes import encode_item
from tests.support.events import event
from tests.support.policies import example_text
from tests.support.world import World
from tools.local_aws import LocalAws, tables_environment

FINE, FAILED, MISUSED = 0, 1, 2

BY_ROWS = (("user: detail.userId", "user: row.userId"), ("quantity: detail.seconds", "quantity: row.seconds"))
ROWS = [{"jobId": f"j-{n}", "userId": "u-1", "seconds": 8 * n} for n in (1, 2)]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Return a policy that finds user and seconds in the job's row."""
    path = tmp_path / "policy.yaml"
    path.write_text(example_text(*BY_ROWS))
    return path


def reconciler(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def done(job: str) -> dict[str, Any]:
    """Return an event that does not say whose it is, nor how long."""
    return event("video.rendered", {"jobId": job, "model": "veo-3", "result_url": "s3://r"}, id=f"e-{job}")


def file_of(path: Path, *documents: Any) -> Path:
    """Write JSON lines."""
    path.write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    return path


# --- explain ----------------------------------------------------------------------------------------------------------


def test_explain_counts_with_the_row_that_it_is_given(policy: Path, tmp_path: Path) -> None:
    """8 seconds x 0.10, for the user of the row."""
    row, told = file_of(tmp_path / "row.json", ROWS[0]), file_of(tmp_path / "event.json", done("j-1"))

    result = reconciler("explain", told, "--row", row, "--policy", policy)

    assert FINE == result.exit_code
    assert "u-1 pays 0.8000 credits: debit of -0.8000 on job#j-1" in result.stdout
    assert "row.seconds is 8" in result.stdout


def test_explain_says_that_it_needs_the_row(policy: Path, tmp_path: Path) -> None:
    """And by which option it gets it."""
    result = reconciler("explain", file_of(tmp_path / "event.json", done("j-1")), "--policy", policy)

    assert MISUSED == result.exit_code
    assert "there is no row of job 'j-1' in Jobs, which `row.userId` needs; name a file with it by --row" in _said(result)


def test_explain_refuses_an_event_whose_row_is_another(policy: Path, tmp_path: Path) -> None:
    """As the function would."""
    row, told = file_of(tmp_path / "row.json", ROWS[1]), file_of(tmp_path / "event.json", done("j-1"))

    result = reconciler("explain", told, "--row", row, "--policy", policy)

    assert FAILED == result.exit_code
    assert "refused: event e-j-1, rule debit-rendered, field row.userId: there is no row of job 'j-1'" in _said(result)


def test_a_policy_that_reads_no_row_needs_none(tmp_path: Path) -> None:
    """The option may be given all the same."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(example_text())
    told = file_of(
        tmp_path / "event.json", {**done("j-1"), "detail": {**done("j-1")["detail"], "userId": "u-2", "seconds": 1}}
    )

    for given in ([], ["--row", file_of(tmp_path / "row.json", ROWS[0])]):
        assert "u-2 pays 0.1000 credits" in reconciler("explain", told, "--policy", policy, *given).stdout


# --- plan -------------------------------------------------------------------------------------------------------------


def test_plan_counts_with_the_rows_that_it_is_given(policy: Path, tmp_path: Path) -> None:
    """0.80 and 1.60 now, ten times as much then."""
    edited = tmp_path / "edited.yaml"
    edited.write_text(example_text(*BY_ROWS, ('"0.10"', '"1"')))
    events = file_of(tmp_path / "events.jsonl", done("j-1"), done("j-2"))
    rows = file_of(tmp_path / "rows.jsonl", *ROWS)

    result = reconciler("plan", edited, "--events", events, "--rows", rows, "--policy", policy, "--json")

    assert FINE == result.exit_code
    assert {"now": "-2.4000", "then": "-24.0000"} == json.loads(result.stdout)["credits"]["net"]


def test_plan_says_that_it_needs_rows(policy: Path, tmp_path: Path) -> None:
    """Before it has said anything that would be wrong without them."""
    result = reconciler("plan", policy, "--events", file_of(tmp_path / "events.jsonl", done("j-1")), "--policy", policy)

    assert MISUSED == result.exit_code
    assert (
        "there is no row of job 'j-1' in Jobs, which `row.userId` needs; name a file with the rows of Jobs by --rows"
        in _said(result)
    )


def test_plan_counts_events_without_a_row_as_refused(policy: Path, tmp_path: Path) -> None:
    """Under either policy, so that nothing differs."""
    events, rows = file_of(tmp_path / "events.jsonl", done("j-1"), done("j-9")), file_of(tmp_path / "rows.jsonl", *ROWS)

    result = reconciler("plan", policy, "--events", events, "--rows", rows, "--policy", policy, "--json")

    outcomes = {one["now"]: one["events"] for one in json.loads(result.stdout)["outcomes"]}
    assert {"debited": 1, "error": 1} == outcomes


# --- policy tests -----------------------------------------------------------------------------------------------------

TESTS = """\
policy: policy.yaml
tests:
  - name: the row says whose it is, and how long
    rows: [{jobId: j-1, userId: u-1, seconds: 8.5}]
    given:
      - {source: video.generation, detail-type: video.rendered, time: 2026-01-05T10:00:00Z, detail: {jobId: j-1, model: veo-3}}
    expect: [{job: j-1, type: debit, amount: "-0.85"}]
  - name: without a row nothing is charged
    given:
      - {source: video.generation, detail-type: video.rendered, time: 2026-01-05T10:00:00Z, detail: {jobId: j-1, model: veo-3}}
    error: there is no row of job 'j-1' in Jobs, which `row.userId` needs
"""


def test_a_policy_test_has_rows(policy: Path) -> None:
    """Beside its events."""
    file = policy.with_name("tests.yaml")
    file.write_text(TESTS)

    result = reconciler("test", file)

    assert FINE == result.exit_code, result.output
    assert "2 passed, 0 failed" in result.stdout


@pytest.mark.parametrize("rows", ["[{userId: u-1}]", "[{jobId: 7}]", "[j-1]"])
def test_a_row_of_a_policy_test_names_its_job(policy: Path, rows: str) -> None:
    """The line is shown."""
    file = policy.with_name("tests.yaml")
    file.write_text(TESTS.replace("[{jobId: j-1, userId: u-1, seconds: 8.5}]", rows))

    with pytest.raises(PolicyError, match=r"tests.yaml:4:12: each of `rows` is a row of Jobs, with its `jobId`"):
        raise reconciler("test", file).exception or AssertionError


# --- files of rows ----------------------------------------------------------------------------------------------------

ITEMS = [encode_item(row) for row in ROWS]
FORMS: dict[str, str] = {
    "lines": "\n".join(map(json.dumps, ROWS)),
    "an array": json.dumps(ROWS, indent=2),
    "typed lines of an export": "\n".join(json.dumps({"Item": item}) for item in ITEMS),
    "a scan by the AWS CLI": json.dumps({"Items": ITEMS, "Count": 2}, indent=4),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_rows_are_read_in_whatever_form_they_come(tmp_path: Path, form: str, packed: bool) -> None:  # noqa: FBT001
    """Numbers with or without their types are the same numbers."""
    file, text = tmp_path / "rows", FORMS[form].encode()
    file.write_bytes(gzip.compress(text) if packed else text)

    assert {"j-1": ROWS[0], "j-2": ROWS[1]} == rows_in(file)


def test_a_row_may_be_written_over_many_lines(tmp_path: Path) -> None:
    """As `aws dynamodb get-item` prints one, or a person writes it."""
    for text in (json.dumps(ROWS[0], indent=2), json.dumps({"Item": ITEMS[0]}, indent=4)):
        (tmp_path / "row.json").write_text(text)

        assert {"j-1": ROWS[0]} == rows_in(tmp_path / "row.json")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"userId": "u-1"}', "row 1 has no `jobId`"),
        ('{"jobId": 7}', "row 1 has no `jobId`"),
        ("x", "is not JSON"),
        ("", None),
    ],
)
def test_a_file_of_something_else_is_refused(policy: Path, tmp_path: Path, text: str, problem: str | None) -> None:
    """The file is named; an empty one has no rows."""
    (tmp_path / "row.json").write_text(text)

    result = reconciler(
        "explain", file_of(tmp_path / "event.json", done("j-1")), "--row", tmp_path / "row.json", "--policy", policy
    )

    assert (MISUSED if problem else FAILED) == result.exit_code
    assert (problem or "there is no row of job 'j-1'") in _said(result)


# --- on the table -----------------------------------------------------------------------------------------------------


@pytest.fixture
def world(dynamodb: Any, tables: Any, aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return tables that the command finds through the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    for name, value in tables_environment(tables).items():
        monkeypatch.setenv(name, value)
    return World(dynamodb, tables).user("u-1", "1000")


def test_a_replay_reads_the_rows_of_its_events(world: World, policy: Path, tmp_path: Path) -> None:
    """Events without a row are put aside, and replayed once it is there."""
    world.job("j-1", seconds=8).job("j-2", seconds=Decimal("2.5"))
    events = file_of(tmp_path / "events.jsonl", done("j-1"), done("j-2"), done("j-3"))

    result = reconciler("replay", events, "--policy", policy, "--json")

    assert {"debited": 2, "rejected": 1} == {name: json.loads(result.stdout)[name] for name in ("debited", "rejected")}
    assert [[("debit", Decimal("-0.8"))], [("debit", Decimal("-0.25"))]] == [world.amounts("j-1"), world.amounts("j-2")]

    world.job("j-3", seconds=1)
    reconciler("replay", tmp_path / "events.jsonl.rejects.jsonl", "--policy", policy)

    assert [("debit", Decimal("-0.1"))] == world.amounts("j-3")


def _said(result: Result) -> str:
    """Return all that was said, on one line: a terminal folds it."""
    return " ".join(result.output.split())
