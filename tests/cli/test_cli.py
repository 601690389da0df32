"""The ``reconciler`` command as a person types it: what it prints, and how it ends."""

from __future__ import annotations

import gzip
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app, main
from engine.domain.errors import LedgerError, LedgerUnavailable
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.store import Tables
from tests.support.attempts import NUMBERED
from tests.support.events import failed, rendered
from tests.support.policies import example_text
from tests.support.world import World

FINE, FAILED, MISUSED = 0, 1, 2


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, policy: Path) -> World:
    """Return tables that the command finds through the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", local_aws)
    monkeypatch.setenv("JOBS_TABLE", tables.jobs)
    monkeypatch.setenv("CREDITS_TABLE", tables.credits)
    monkeypatch.setenv("LEDGER_TABLE", tables.ledger)
    monkeypatch.setenv("STATE_TABLE", tables.state)
    monkeypatch.setenv("POLICY_FILE", str(policy))
    return World(dynamodb, tables).user("u-1", "1000")


def reconciler(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def events_file(path: Path, *documents: Any) -> Path:
    """Write events as JSON lines; a string is written as it is."""
    lines = (document if isinstance(document, str) else json.dumps(document) for document in documents)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


# --- validate ---------------------------------------------------------------------------------------------------------


def test_a_policy_that_is_fine_says_so(policy: Path) -> None:
    """With the name and the digest that its entries will carry."""
    result = reconciler("validate", policy)

    assert FINE == result.exit_code
    assert f"{policy}: fine (video@" in result.stdout


def test_a_broken_policy_shows_every_mistake_with_its_line(tmp_path: Path) -> None:
    """Two mistakes, two places, and the exit status of a failed check."""
    broken = tmp_path / "broken.yaml"
    broken.write_text(example_text(("action: debit", "action: debt"), ("percent: 100", "percent: 101")))

    result = reconciler("validate", broken)

    assert FAILED == result.exit_code
    assert f"{broken}:16:" in result.stdout
    assert f"{broken}:21:" in result.stdout


def test_validate_speaks_json(policy: Path, tmp_path: Path) -> None:
    """For an editor or a pipeline."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 1\n")

    result = reconciler("validate", policy, broken, "--json")

    fine, wrong = json.loads(result.stdout)
    assert FAILED == result.exit_code
    assert [] == fine["mistakes"]
    assert all(isinstance(mistake["line"], int) for mistake in wrong["mistakes"])


def test_validate_annotates_a_pull_request(tmp_path: Path) -> None:
    """Each mistake and each warning beside its line, as GitHub Actions wants them written."""
    broken, odd = tmp_path / "broken.yaml", tmp_path / "odd.yaml"
    broken.write_text(example_text(("action: debit", "action: debt")))
    odd.write_text(example_text(('default: "0.12", ', "")))

    lines = reconciler("validate", broken, odd, "--format", "github").stdout.splitlines()

    assert lines[0].startswith(f"::error file={broken},line=16,col=13::`debt` is not known; did you mean `debit`?")
    assert lines[1].startswith(f"::warning file={odd},line=12,col=14::there is no `default`")


# --- explain ----------------------------------------------------------------------------------------------------------


def test_explain_shows_every_rule_the_price_and_the_arithmetic(policy: Path, tmp_path: Path) -> None:
    """What matched, what did not and by which field, and how the amount came about."""
    (tmp_path / "event.json").write_text(json.dumps(rendered("test-1", seconds=0.05)))

    result = reconciler("explain", tmp_path / "event.json", "--policy", policy)

    assert FINE == result.exit_code
    assert [
        "u-1 pays 0.0100 credits: debit of -0.0100 on job#test-1, by debit-rendered, flagged flag-test-renders",
        "  at 2026-01-05T10:00:00Z the row from 2025-01-01T00:00:00Z counts; the next one counts from 2026-07-01T00:00:00Z on",
        "  `veo-3` has no rate of its own: `default` counts",
        "  detail.seconds is 0.05",
        "  price book `render-second`, the row from 2025-01-01T00:00:00Z, rate `default`",
        "  0.05 x 0.10 = 0.0050",
        "  minimum 0.01 counts instead",
        "  rounded half-even to 4 places: 0.0100",
        "+ debit debit-rendered (line 14): matches",
        '- refund refund-failed (line 18): `detail-type` is "video.rendered"; wanted: "video.failed"',
        "+ flag flag-test-renders (line 22): matches",
        "- anomaly costs-over-50 (line 29): `charge.amount` is 0.0100; wanted: a number > 50",
        "- anomaly longer-than-5-minutes (line 30): `detail.seconds` is 0.05; wanted: a number > 300",
        '- anomaly no-result (line 31): `detail.result_url` is "s3://renders/test-1.mp4"; wanted: no such field',
    ] == result.stdout.splitlines()


def test_explain_speaks_json(policy: Path, tmp_path: Path) -> None:
    """The same for machines, with exact amounts."""
    (tmp_path / "event.json").write_text(json.dumps(rendered("j-1", seconds=9000, at="2026-08-01T00:00:00Z")))

    answer = json.loads(reconciler("explain", tmp_path / "event.json", "--policy", policy, "--json").stdout)

    assert ("debit", "-500.0000", ["costs-over-50", "longer-than-5-minutes"]) == tuple(
        answer["entry"][name] for name in ("type", "amount", "anomalies")
    )
    assert "maximum 500 counts instead" in answer["steps"]
    assert "price book `render-second`, the row from 2026-07-01T00:00:00Z, rate `default`" in answer["steps"]
    assert "at 2026-08-01T00:00:00Z the row from 2026-07-01T00:00:00Z counts; there is no later one" in answer["steps"]
    assert [True, False, False] == [tried["matched"] for tried in answer["tried"][:3]]


@pytest.mark.parametrize(
    ("document", "status", "first"),
    [
        (failed("j-1"), FINE, "u-1 pays nothing: void of 0 on job#j-1, by refund-failed"),
        ({"source": "other"}, FINE, "ignored: no rule matches"),
        (
            {**rendered("test-1"), "source": "credit.reconciler"},
            FINE,
            "this system's own, about whose events no rule is asked",
        ),
        (rendered("j-1", seconds="x"), FAILED, "field detail.seconds: is 'x'; a finite number >= 0 is needed"),
    ],
)
def test_explain_begins_with_what_would_be_posted_or_why_not(
    policy: Path, tmp_path: Path, document: dict[str, Any], status: int, first: str
) -> None:
    """A void, nothing at all, or the error that the function would raise."""
    (tmp_path / "event.json").write_text(json.dumps(document))

    result = reconciler("explain", tmp_path / "event.json", "--policy", policy)

    assert status == result.exit_code
    assert result.stdout.splitlines()[0].endswith(first)


def test_explain_says_which_attempt_an_event_is_about(policy: Path, tmp_path: Path) -> None:
    """Where the policy numbers them; without its attempt the event makes no sense."""
    policy.write_text(example_text(NUMBERED))
    (tmp_path / "event.json").write_text(json.dumps(rendered("j-1", attempt=2)))
    (tmp_path / "bad.json").write_text(json.dumps(rendered("j-1")))

    good, bad = (reconciler("explain", tmp_path / f"{name}.json", "--policy", policy) for name in ("event", "bad"))

    said = "  attempt 2 of its job, by `event.attempt` (detail.attempt): a higher one decides over it"
    assert (FINE, said) == (good.exit_code, good.stdout.splitlines()[1])
    needed = "field detail.attempt: is missing; a whole number >= 0 of at most 38 digits is needed"
    assert (FAILED, True) == (bad.exit_code, bad.stdout.splitlines()[0].endswith(needed))


def test_explain_knows_flat_charges(policy: Path, tmp_path: Path) -> None:
    """They need neither a price book nor a quantity."""
    terms = 'charge: {price: render-second, quantity: detail.seconds, minimum: "0.01", maximum: "500"}'
    policy.write_text(example_text((terms, 'charge: {amount: "1.50"}')))
    (tmp_path / "event.json").write_text(json.dumps(rendered("j-1")))

    lines = reconciler("explain", tmp_path / "event.json", "--policy", policy).stdout.splitlines()

    assert [
        "u-1 pays 1.5000 credits: debit of -1.5000 on job#j-1, by debit-rendered",
        "  a flat amount of 1.50",
        "  rounded half-even to 4 places: 1.5000",
    ] == lines[:3]


def test_explain_counts_the_entries_of_a_reference_again(world: World, policy: Path) -> None:
    """Each with its arithmetic, and whether it agrees; the policy that posted them plays no part."""
    world.job("j-1").deliver(rendered("j-1", seconds="8.5", model="premium"), failed("j-1"))
    policy.unlink()

    result = reconciler("explain", "--entry", "job#j-1", "--policy", "policies/mediaconvert.yaml")

    posted_by = world.policy.identity
    assert FINE == result.exit_code
    assert [
        f"job#j-1, entry 1 agrees: debit of -2.125 for u-1, by debit-rendered of {posted_by}, 2026-01-05T10:00:00Z",
        "  price book `render-second`, the row from 2025-01-01T00:00:00Z, rate `premium`",
        "  8.5 x 0.25 = 2.125",
        "  rounded half-even to 4 places: 2.1250",
        "  charged 2.125 at 2026-01-05T10:00:00Z",
        "  should cost 2.125 (half-even, 4 places)",
        "  posted before 0",
        "= -2.125",
        f"job#j-1, entry 2 agrees: refund of 2.125 for u-1, by refund-failed of {posted_by}, 2026-01-05T11:00:00Z",
        "  charged 2.125 at 2026-01-05T10:00:00Z",
        "  100 % back at 2026-01-05T11:00:00Z",
        "  should cost 0.0000 (half-even, 4 places)",
        "  posted before -2.125",
        "= 2.1250",
    ] == result.stdout.splitlines()


def change_amount(world: World, amount: str) -> None:
    """Write another amount into the first entry of j-1, as somebody would by hand."""
    world.client.update_item(
        TableName=world.tables.ledger,
        Key=encode_item({"reference": "job#j-1", "sequence": 1}),
        UpdateExpression="SET amount = :amount",
        ExpressionAttributeValues=encode_item({":amount": Decimal(amount)}),
    )


def test_explain_says_where_an_entry_does_not_agree(world: World) -> None:
    """Somebody has changed an amount by hand."""
    world.job("j-1").deliver(rendered("j-1", seconds=8))
    change_amount(world, "-0.7")

    result = reconciler("explain", "--entry", "job#j-1", "--json")

    (answer,) = json.loads(result.stdout)
    assert FAILED == result.exit_code
    assert (["its amount is -0.7; -0.8 follows"], "-0.8", False) == tuple(
        answer[name] for name in ("problems", "recounted", "agrees")
    )


def test_explain_begins_with_whether_an_entry_agrees(world: World) -> None:
    """The amount that it has and the one that it should have are in one line, and the differences come before the steps."""
    world.job("j-1").deliver(rendered("j-1", seconds=8))
    change_amount(world, "-0.7")

    first, second, *steps = reconciler("explain", "--entry", "job#j-1").stdout.splitlines()

    assert first.startswith("job#j-1, entry 1 does not agree: debit of -0.7 for u-1, by debit-rendered of ")
    assert first.endswith("; counted again it is -0.8")
    assert ("  differs: its amount is -0.7; -0.8 follows", "= -0.8") == (second, steps[-1])


def test_explain_knows_no_such_reference(world: World) -> None:
    """And says what one looks like."""
    result = reconciler("explain", "--entry", "j-1")

    assert FAILED == result.exit_code
    assert f"no such reference in {world.tables.ledger}; a job's is job#<jobId>" in result.stderr


def test_explain_of_an_entry_that_a_person_wrote_is_told_in_words(world: World) -> None:
    """It has none of the figures that a count needs."""
    item = {"reference": "job#j-1", "sequence": 1, "userId": "u-1", "type": "refund", "amount": Decimal(1), "postedAt": "2026"}
    world.client.put_item(TableName=world.tables.ledger, Item=encode_item(item))

    with pytest.raises(LedgerError, match="job#j-1, entry 1: is no entry of this system"):
        raise reconciler("explain", "--entry", "job#j-1").exception


@pytest.mark.parametrize("arguments", [[], ["event.json", "--entry", "job#j-1"]])
def test_explain_takes_an_event_or_a_reference(tmp_path: Path, arguments: list[str]) -> None:
    """Just one of them."""
    (tmp_path / "event.json").write_text("{}")
    arguments = [str(tmp_path / argument) if argument.endswith(".json") else argument for argument in arguments]

    result = reconciler("explain", *arguments)

    assert MISUSED == result.exit_code
    assert "explain takes either an event's file or --entry" in result.stderr


# --- test -------------------------------------------------------------------------------------------------------------

ONE_TEST = """\
policy: policy.yaml
tests:
  - name: a rendered video is charged
    given:
      - {source: video.generation, detail-type: video.rendered, time: "2026-01-05T10:00:00Z",
         detail: {jobId: j-1, userId: u-1, seconds: 8, model: veo-3, result_url: x}}
    expect:
      - {job: j-1, type: debit, amount: "-0.80"}
"""


def test_the_shipped_policies_pass_their_own_tests_and_these_reach_all_of_them() -> None:
    """Every rule, every rate and every anomaly of every policy."""
    result = reconciler("test", "--json")

    answers = json.loads(result.stdout)
    assert FINE == result.exit_code
    assert {path.name for path in Path("policies").glob("*.yaml")} == {Path(answer["file"]).name for answer in answers}
    assert all(len(answer["tests"]) >= 10 for answer in answers)
    assert [[]] * len(answers) == [answer["notReached"] for answer in answers]


def test_a_price_that_was_changed_shows_what_differs(policy: Path, tmp_path: Path) -> None:
    """The expected line beside the one that was found, and the line of the test."""
    policy.write_text(example_text(('"0.10"', '"0.11"')))
    (tmp_path / "tests.yaml").write_text(ONE_TEST)

    result = reconciler("test", tmp_path / "tests.yaml")

    assert FAILED == result.exit_code
    assert "tests.yaml:3: a rendered video is charged" in result.stdout
    assert "    - job#j-1 debit -0.80\n    + job#j-1 debit -0.8800 by debit-rendered\n" in result.stdout
    assert "0 passed, 1 failed" in result.stdout
    assert "    no test reached 8 of 10 rates, rules and anomalies; --verbose lists them\n" in result.stdout


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        (("type: debit", "type: refund"), ["- job#j-1 refund -0.80", "+ job#j-1 debit -0.8000 by debit-rendered"]),
        (
            ('    expect:\n      - {job: j-1, type: debit, amount: "-0.80"}', "    error: no such user"),
            ["- an error that says: no such user", "+ no error"],
        ),
        (("seconds: 8", "seconds: x"), ["- no error", "detail.seconds: is 'x'"]),
        (
            ("    given:", "    users: {u-1: 5}\n    balances: {u-1: 5, u-2: 1}\n    given:"),
            ["- u-1 has 5", "+ u-1 has 4.2", "- u-2 has 1", "+ u-2 has no row"],
        ),
        (
            ('"-0.80"}', '"-0.80", anomalies: [no-result], rule: x}'),
            ["- job#j-1 debit -0.80 by x [no-result]", "+ job#j-1 debit"],
        ),
    ],
)
def test_each_kind_of_difference_is_shown(
    policy: Path, tmp_path: Path, change: tuple[str, str], differences: list[str]
) -> None:
    """Entries, balances, rules, anomalies, errors that came and errors that did not."""
    assert policy.exists()
    (tmp_path / "tests.yaml").write_text(ONE_TEST.replace(*change))

    result = reconciler("test", tmp_path / "tests.yaml")

    assert FAILED == result.exit_code
    assert all(difference in result.stdout for difference in differences), result.stdout


def test_a_mistake_in_a_file_of_tests_is_said_where_it_is(tmp_path: Path) -> None:
    """As in a policy."""
    (tmp_path / "tests.yaml").write_text(ONE_TEST.replace("given:", "givn:"))

    error = reconciler("test", tmp_path / "tests.yaml").exception

    assert "tests.yaml:4:5: `givn` is not known here; did you mean `given`?" in str(error)


def test_without_any_tests_there_is_nothing_to_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is wrong usage, not success."""
    monkeypatch.chdir(tmp_path)

    assert MISUSED == reconciler("test").exit_code


@pytest.mark.parametrize(
    "arguments",
    [(), ("validate",), ("validate", "/no/such/file"), ("replay", "/no/such/file"), ("scan", "--segments", 0), ("fly",)],
)
def test_wrong_usage_ends_with_2(arguments: tuple[Any, ...]) -> None:
    """And so can be told from a check that failed."""
    assert MISUSED == reconciler(*arguments).exit_code


def test_a_broken_policy_is_told_in_words_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not in a traceback."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("version: 3\n")
    monkeypatch.setattr("sys.argv", ["reconciler", "scan", "--policy", str(broken)])

    with pytest.raises(SystemExit) as caught:
        main()

    assert FAILED == caught.value.code
    assert f"{broken}:1:10:" in capsys.readouterr().err


def test_a_database_that_does_not_answer_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the time that a request may take."""
    monkeypatch.setattr("engine.cli.options.PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr("sys.argv", ["reconciler", "statement", "u-1", "--endpoint-url", "http://127.0.0.1:9"])

    with pytest.raises(SystemExit) as caught:
        main()

    assert FAILED == caught.value.code
    assert "DynamoDB gave no answer in time" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("statement", "u-1"), ("dead-letters", "list", "--queue", "q")])
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "You must specify a region. Name one by --region, by AWS_REGION, or in your AWS profile."),
        ({"AWS_PROFILE": "no-such"}, "The config profile (no-such) could not be found"),
        ({"AWS_REGION": "eu-west-1"}, "Unable to locate credentials"),
    ],
)
def test_an_aws_that_is_not_set_up_is_told_in_words(
    *,
    command: tuple[str, ...],
    variables: dict[str, str],
    said: str,
    policy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No region, no such profile, no credentials: for tables and for queues."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    for name, value in (nowhere | variables).items():
        monkeypatch.setenv(name, value)
    policed = ("--policy", str(policy)) if command[0] == "dead-letters" else ()
    monkeypatch.setattr("sys.argv", ["reconciler", *command, *policed])

    with pytest.raises(SystemExit) as caught:
        main()

    assert FAILED == caught.value.code
    assert said in capsys.readouterr().err


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.local_aws
def test_a_replay_posts_every_event_once_and_a_second_one_nothing(world: World, tmp_path: Path) -> None:
    """The second run finds nothing but duplicates."""
    file = events_file(
        tmp_path / "events.jsonl", rendered("j-1"), rendered("j-2"), "", failed("j-1"), {"source": "x", "detail-type": "y"}
    )

    first = json.loads(reconciler("replay", file, "--workers", 1, "--json").stdout)
    second = json.loads(reconciler("replay", file, "--json").stdout)

    assert (4, 2, 1, 1, "2.4000") == tuple(
        first[name] for name in ("events", "debited", "refunded", "ignored", "creditsMoved")
    )
    assert (4, 3, 1, "0") == tuple(second[name] for name in ("events", "duplicate", "ignored", "creditsMoved"))
    assert "replay" == world.entries("j-1")[0]["source"]


@pytest.mark.local_aws
def test_a_packed_file_is_replayed_as_it_is(world: World, tmp_path: Path) -> None:
    """Whatever its name."""
    file = tmp_path / "events"
    file.write_bytes(gzip.compress(json.dumps(rendered("j-1")).encode()))

    assert FINE == reconciler("replay", file).exit_code
    assert [("debit", Decimal("-0.8"))] == world.amounts("j-1")


@pytest.mark.local_aws
def test_events_that_make_no_sense_are_kept_with_their_reason(world: World, tmp_path: Path) -> None:
    """Nothing is lost, the rest is posted, and the exit status says that a person should look."""
    file = events_file(tmp_path / "events.jsonl", rendered("j-1"), rendered("j-2", seconds=-1), "no json", failed("j-1"))

    result = reconciler("replay", file, "--workers", 1)

    assert FAILED == result.exit_code
    rejects = [json.loads(line) for line in (tmp_path / "events.jsonl.rejects.jsonl").read_text().splitlines()]
    assert [(2, "detail.seconds"), (3, "body")] == [
        (reject["line"], reject["problem"].split("field ")[1].split(":")[0]) for reject in rejects
    ]
    assert "j-2" == json.loads(rejects[0]["event"])["detail"]["jobId"]
    assert [("debit", Decimal("-0.8")), ("refund", Decimal("0.8"))] == world.amounts("j-1")


@pytest.mark.local_aws
def test_a_checkpoint_of_something_else_is_refused(world: World, tmp_path: Path) -> None:
    """Going on in the middle of another file would leave out its beginning."""
    file = events_file(tmp_path / "events.jsonl", rendered("j-1"))
    checkpoint = tmp_path / "events.jsonl.checkpoint"
    checkpoint.write_text(json.dumps({"lines_done": 1, "target": {"sha256": "another"}}))

    result = reconciler("replay", file)

    assert MISUSED == result.exit_code
    assert "belongs to another sha256" in result.stderr
    assert [] == world.entries("j-1")


# --- scan, audit, statement -------------------------------------------------------------------------------------------


@pytest.mark.local_aws
def test_a_scan_catches_up_and_a_second_one_has_nothing_to_do(world: World) -> None:
    """The same as the scheduled run, from a terminal."""
    for number in range(5):
        world.job(f"j-{number}")

    first = reconciler("scan", "--json")
    second = reconciler("scan", "--json")

    assert FINE == first.exit_code
    assert (5, 5) == tuple(json.loads(first.stdout)[name] for name in ("rows", "adjustments"))
    assert (0, 0) == tuple(json.loads(second.stdout)[name] for name in ("rows", "adjustments"))


@pytest.mark.local_aws
def test_a_scan_that_meets_a_senseless_row_says_so(world: World) -> None:
    """Its exit status is that of a failed check; ``--verbose`` shows the row's line."""
    world.job("j-1", seconds="long").job("j-2")

    result = reconciler("scan", "--verbose")

    assert FAILED == result.exit_code
    assert "errors" in result.stdout
    assert 'is \\"long\\"' in result.stderr or "is 'long'" in result.stderr
    assert [("debit", Decimal("-0.8"))] == world.amounts("j-2")


@pytest.mark.local_aws
def test_the_audit_finds_books_that_agree(world: World) -> None:
    """After a debit and a refund."""
    world.deliver(rendered("j-1"), failed("j-1"), rendered("j-2"))

    result = reconciler("audit", "--json")

    assert FINE == result.exit_code
    agree = {"entries": 3, "users": 1, "net": "-0.8", "drifts": [], "faults": [], "busy": []}
    assert agree == json.loads(result.stdout)


@pytest.mark.local_aws
def test_the_audit_names_every_user_whose_books_do_not_agree(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A balance that somebody changed by hand, and one whose row is gone."""
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0)
    world.user("u-2").user("u-3")
    world.deliver(rendered("j-1"), rendered("j-2", user="u-2"), rendered("j-3", user="u-3"))
    world.client.update_item(
        TableName=world.tables.credits,
        Key={"userId": {"S": "u-2"}},
        UpdateExpression="ADD posted :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    world.client.delete_item(TableName=world.tables.credits, Key={"userId": {"S": "u-3"}})

    result = reconciler("audit", "--json")

    assert FAILED == result.exit_code
    drifts = {drift["user"]: (drift["ledger"], drift["posted"]) for drift in json.loads(result.stdout)["drifts"]}
    assert {"u-2", "u-3"} == drifts.keys()
    assert (Decimal("-0.8"), Decimal("0.2")) == tuple(map(Decimal, drifts["u-2"]))
    assert "drift: u-2" in reconciler("audit").stdout


@pytest.mark.local_aws
def test_a_statement_leads_from_what_was_granted_to_the_balance(world: World) -> None:
    """Line by line, in order of posting."""
    world.deliver(rendered("j-1"), rendered("j-2", seconds=5), failed("j-1"))

    statement = json.loads(reconciler("statement", "u-1", "--json").stdout)

    assert (1000, Decimal("-0.5"), Decimal("999.5")) == tuple(
        Decimal(statement[name]) for name in ("granted", "posted", "remaining")
    )
    assert [("j-1", "debit", "999.2"), ("j-2", "debit", "998.7"), ("j-1", "refund", "999.5")] == [
        (line["job"], line["type"], line["balance"].rstrip("0")) for line in statement["entries"]
    ]
    assert "Statement of u-1" in reconciler("statement", "u-1").stdout


@pytest.mark.local_aws
def test_a_statement_of_nobody_is_a_failed_check(world: World) -> None:
    """The message names where it looked."""
    result = reconciler("statement", "nobody")

    assert FAILED == result.exit_code
    assert f"no such user in {world.tables.credits}" in result.stderr


@pytest.mark.local_aws
def test_half_a_surrogate_does_not_end_a_replay(world: World, tmp_path: Path) -> None:
    """JSON can say it, UTF-8 and the database cannot: it is kept aside like whatever makes no sense."""
    file = events_file(tmp_path / "events.jsonl", rendered("j-1"), rendered("\ud800"), rendered("j-2"))

    result = reconciler("replay", file, "--json")

    assert FAILED == result.exit_code
    assert (2, 1) == tuple(json.loads(result.stdout)[name] for name in ("debited", "rejected"))


@pytest.mark.local_aws
def test_what_is_no_event_or_cannot_be_kept_does_not_end_a_replay(world: World, tmp_path: Path) -> None:
    """A wrapped line, an empty one, half of a surrogate in a rate or an id: kept aside, each with its line."""
    wrapped = {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}
    halves = [rendered("j-3", model="veo \ud83d"), {**rendered("j-4"), "id": "\udc00"}]
    file = events_file(tmp_path / "events.jsonl", rendered("j-1"), wrapped, {}, *halves, rendered("j-2"))

    result = reconciler("replay", file, "--json")

    rejects = [json.loads(line) for line in (tmp_path / "events.jsonl.rejects.jsonl").read_text().splitlines()]
    assert (2, 4) == tuple(json.loads(result.stdout)[name] for name in ("debited", "rejected"))
    assert [2, 3, 4, 5] == [reject["line"] for reject in rejects]
    assert "event line 3, rule (none), field body: is no EventBridge event" in rejects[1]["problem"]
    assert ["detail.model", "id"] == [reject["problem"].split("field ")[1].split(":")[0] for reject in rejects[2:]]


@pytest.mark.local_aws
def test_a_scan_says_which_row_makes_no_sense(world: World) -> None:
    """Not only that there is one."""
    world.job("lost-job", updatedAt=1767607200)

    result = reconciler("scan")

    assert FAILED == result.exit_code
    assert "event row 'lost-job', rule debit-rendered, field time: is 1767607200" in result.stderr


def test_a_replay_that_meets_an_outage_keeps_its_place(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is settled stays settled; the same command goes on from there."""
    file = events_file(tmp_path / "events.jsonl", *(rendered(f"j-{number}") for number in range(20)))
    monkeypatch.setenv("LEDGER_TABLE", world.tables.ledger)
    post, calls = DynamoStore._post_batch, iter(range(100))  # noqa: SLF001  the one place where a batch is sent

    def post_some(ledger: DynamoStore, *arguments: Any) -> Any:
        if next(calls) >= 5:
            raise LedgerUnavailable("DynamoDB gave no answer in time")
        return post(ledger, *arguments)

    with monkeypatch.context() as outage:
        outage.setattr("engine.cli.replay.TOGETHER", 4)
        outage.setattr(DynamoStore, "_post_batch", post_some)
        assert isinstance(reconciler("replay", file, "--workers", 1).exception, LedgerUnavailable)
    resumed = json.loads(reconciler("replay", file, "--json").stdout)

    assert 8 == resumed["resumedAfterLine"]  # two parts of four, each sent again without the marks of jobs that have no row
    assert all(1 == len(world.entries(f"j-{number}")) for number in range(20))
