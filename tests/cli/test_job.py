"""``reconciler job``: a job's story as a person reads it, whatever ledger and Jobs know of it. It writes nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from typer.testing import CliRunner, Result

from engine.audit.story import story_of
from engine.cli.app import app
from engine.domain.entry import Correction, PricedAnew
from engine.domain.envelope import Source
from engine.domain.fact import Adjustment
from engine.domain.facts import Facts
from engine.domain.instants import read_instant
from engine.domain.log import log_of
from engine.domain.price import Price
from engine.ledger.store import Tables
from engine.ledger.stored import stored_of
from engine.policy import load_policy
from engine.rating.correct import Word, correct
from engine.rating.decide import Standing
from tests.support.attempts import NUMBERED
from tests.support.books import Books
from tests.support.clock import ManualClock
from tests.support.events import failed, rendered
from tests.support.policies import example_text
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

FINE, FAILED, MISUSED = 0, 1, 2
VIDEO = ROOT / "policies" / "video.yaml"


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return tables on which j-1 was rendered and failed, at noon; the command finds them."""
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws, "POLICY_FILE": str(VIDEO)}.items():
        monkeypatch.setenv(name, value)
    world = World(dynamodb, tables, load_policy(VIDEO), ManualClock().clock()).user("u-1", "100").job("j-1")
    world.deliver({**rendered("j-1", seconds=400), "id": "e-1"}, source=Source.QUEUE)
    world.deliver({**failed("j-1", at="11:00"), "id": "e-2"})
    return world


def reconciler(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(job: str, status: int = FINE) -> dict[str, Any]:
    """Return what the command tells machines."""
    result = reconciler("job", job, "--json")
    assert status == result.exit_code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


STORY = """\
Job
job     j-1
user    u-1
cost    0
posted  0
due     0

Entry 1
told      a charge of 40 at 2026-01-05T10:00:00Z: detail.model veo-3, detail.seconds 400
by        an event, through the queue
event     e-1
occurred  2026-01-05T10:00:00Z
posted    2026-01-05T12:00:00.000000Z
rule      debit-rendered
policy    POLICY
type      debit
amount    -40
count     price book `render-second`, the row from 2020-01-01T00:00:00Z, rate `default`
          400 x 0.1 = 40.0
          rounded half-even to 4 places: 40.0000
          charged 40 at 2026-01-05T10:00:00Z
          should cost 40 (half-even, 4 places)
          posted before 0
flagged   longer-than-5-minutes: amount 40.0000; price render-second 2020-01-01T00:00:00Z default; quantity 400; rate 0.10; \
unit default

Entry 2
told      100 % back at 2026-01-05T11:00:00Z
by        an event, handed to the function
event     e-2
occurred  2026-01-05T11:00:00Z
posted    2026-01-05T12:00:00.000000Z
rule      refund-failed
policy    POLICY
type      refund
amount    40
count     charged 40 at 2026-01-05T10:00:00Z
          100 % back at 2026-01-05T11:00:00Z
          should cost 0.0000 (half-even, 4 places)
          posted before -40

Now
counts  charged 40 at 2026-01-05T10:00:00Z
        100 % back at 2026-01-05T11:00:00Z
        should cost 0 (half-even, 4 places)

Row in Jobs
userId      u-1
status      completed
updatedAt   2026-01-05T10:00:00Z
model       veo-3
result_url  s3://renders/j-1.mp4
seconds     400
mark        settled at failed by entry 2; its status has changed since
next scan   nothing but the mark: the ledger holds all of it
"""


def test_the_story_of_a_job_is_told_in_order(world: World) -> None:
    """What was told, when and by which door; each entry with its arithmetic; what counts; what the row says."""
    world.job("j-1", seconds=400, reconciled=True, reconciledStatus="failed", reconciledSequence=2)
    before = world.everything()

    result = reconciler("job", "j-1")

    assert STORY.replace("POLICY", world.policy.identity) == result.stdout
    assert (FINE, before) == (result.exit_code, world.everything())


def test_the_name_of_its_log_names_a_job_too(world: World) -> None:
    """Other commands print that name."""
    assert told("j-1") == told("job#j-1")


def test_the_story_speaks_json(world: World) -> None:
    """With exact credits, and each entry counted again."""
    found = told("j-1")

    assert ("j-1", "u-1", ["e-1", "e-2"]) == (found["job"], found["user"], [entry["eventId"] for entry in found["entries"]])
    assert [-40, 40] == [Decimal(entry["recounted"]) for entry in found["entries"]]
    assert (Decimal(0), Decimal(0)) == tuple(Decimal(found["now"][name]) for name in ("cost", "due"))


def test_a_job_that_nobody_knows_is_a_failed_check(world: World) -> None:
    """The message names where it looked."""
    result = reconciler("job", "nobodys")

    assert (FAILED, "") == (result.exit_code, result.stdout)
    assert f"nobodys: no such job in {world.tables.jobs} and no entry of it in {world.tables.ledger}" in result.stderr


def test_a_job_whose_event_was_lost_has_only_a_row_and_the_next_scan_charges_it(world: World) -> None:
    """8 seconds at 0.10. Then it is a story with one entry, told by the scan."""
    world.job("j-2")

    found = told("j-2")

    assert ([], None, ["nothing is known: the ledger has no entry of it"]) == (
        found["entries"],
        found["user"],
        found["now"]["steps"],
    )
    assert ("not marked", "posts a debit of -0.8000 by debit-rendered") == (found["row"]["mark"], found["row"]["nextScan"])
    world.scan()
    found = told("j-2")
    assert ["a scan of Jobs"] == [entry["door"] for entry in found["entries"]]
    assert "nothing: the row is marked as settled at its status" == found["row"]["nextScan"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"status": "queued"}, "nothing: `catch_up_ignore` names the status queued"),
        ({"status": "moderated"}, "nothing: no `catch_up` maps the status moderated"),
        ({"status": 7}, "nothing: no `catch_up` maps the status (int) 7"),
        ({"seconds": "long"}, "an error: event row 'j-2', rule debit-rendered, field detail.seconds: is 'long'"),
        (
            {"userId": "u-9"},
            "an error: event of job#j-2 from scan, rule debit-rendered, field detail.userId: is 'u-9'; there is",
        ),
        ({"status": "failed"}, "posts a void of 0 by refund-failed"),
    ],
)
def test_what_the_next_scan_would_do_is_told_of_any_row(world: World, row: dict[str, Any], says: str) -> None:
    """As it would: what it ignores, what nobody has mapped, what makes no sense."""
    world.job("j-2", **row)
    before = world.everything()

    assert told("j-2")["row"]["nextScan"].startswith(says)
    assert before == world.everything()


def test_a_job_without_a_row_says_so(world: World) -> None:
    """Its entry is flagged for that."""
    world.deliver(rendered("j-2"))

    assert None is told("j-2")["row"]
    assert "Jobs has no row of it" in reconciler("job", "j-2").stdout


def test_what_the_policy_does_not_read_of_a_row_is_not_shown(world: World, tmp_path: Path, monkeypatch: Any) -> None:
    """A prompt is nobody's business; without a policy at hand only what every application has is shown."""
    monkeypatch.delenv("POLICY_FILE")
    monkeypatch.chdir(tmp_path)

    row = told("j-1")["row"]

    assert {"userId", "status", "updatedAt", "mark"} == row.keys()


def test_a_policy_that_is_named_and_not_there_is_wrong_usage(world: World) -> None:
    """Only one that nobody has named may be missing."""
    assert MISUSED == reconciler("job", "j-1", "--policy", "nowhere.yaml").exit_code


def test_an_entry_that_does_not_agree_is_a_failed_check(world: World) -> None:
    """Somebody has changed an amount: the story says what follows."""
    key = {"reference": {"S": "job#j-1"}, "sequence": {"N": "1"}}
    change = {"UpdateExpression": "SET amount = :it", "ExpressionAttributeValues": {":it": {"N": "-4"}}}
    world.client.update_item(TableName=world.tables.ledger, Key=key, **change)

    result = reconciler("job", "j-1")

    assert FAILED == result.exit_code
    assert "differs   its amount is -4; -40" in result.stdout


def test_an_entry_that_cannot_be_read_does_not_hide_the_others(world: World) -> None:
    """It is told as what it is."""
    key = {"reference": {"S": "job#j-1"}, "sequence": {"N": "2"}}
    change = {"UpdateExpression": "REMOVE facts"}
    world.client.update_item(TableName=world.tables.ledger, Key=key, **change)

    first, second = told("j-1", FAILED)["entries"]

    assert (True, False) == (first["agrees"], second["agrees"])
    assert ["is no entry of this system (KeyError: 'facts')"] == second["problems"]


def test_a_charge_that_was_priced_anew_is_told_with_its_policy() -> None:
    """400 s at 0.05 in place of 0.10: 20 go back, and the story says by which policy, why and by whom."""
    books = Books(load_policy(VIDEO))
    books.deliver(rendered("j-1", seconds=400))
    (entry,) = books.entries_of("j-1")
    at = read_instant("2026-01-06T00:00:00Z")
    assert at is not None
    how = PricedAnew(Price(book="render-second", rate=Decimal("0.05")), Decimal(400))
    (charge,) = entry.facts.charges
    facts = Facts(charges=(evolve(charge, amount=Decimal(20), policy="video@new", revision=1),))
    by = Correction("the list said 0.05", "arn:aws:iam::1:user/ada", plan="4711", priced=(how,))
    word = Word("job#j-1", "j-1", "u-1", at, "reprice", facts, by, how.price, how.quantity)
    decision = correct(word, log_of([entry]), Standing.ASSUMED_COVERED, books.policy)
    assert decision.entry is not None

    story = story_of("j-1", [_stored(each, at) for each in (entry, decision.entry)], None)

    assert ("its price: the charge of 2026-01-05T10:00:00Z is 20 by policy video@new",) == story.chapters[1].told
    assert ("reprice", Decimal(20), False) == (decision.entry.type, decision.entry.amount, story.failed)
    assert "the list said 0.05" == story.chapters[1].answer()["correction"]["reason"]


def test_an_explanation_and_a_persons_note_are_part_of_the_story(world: World) -> None:
    """What was said of the flag, and how somebody has resolved it."""
    reconciler("anomalies", "explain", "job#j-1", "--store")
    reconciler("anomalies", "resolve", "job#j-1", "--note", "a trailer, asked the customer")

    lines = reconciler("job", "j-1").stdout

    assert "explained  A debit of 40 credits by debit-rendered is flagged longer-than-5-minutes." in lines
    assert "told      the anomalies of entry 1 are resolved: a trailer, asked the customer" in lines
    assert "by        a person, by the command" in lines


def test_a_concession_says_who_and_why() -> None:
    """5 of 40 conceded: the job costs 35 from then on, and the story says on whose word."""
    books = Books(load_policy(VIDEO))
    books.deliver(rendered("j-1", seconds=400))
    entry, *_ = books.entries_of("j-1")
    at = read_instant("2026-01-06T00:00:00Z")
    assert at is not None
    facts, by = (
        Facts(concessions=(Adjustment("a-1", Decimal(5), at),)),
        Correction("was late", "arn:aws:iam::1:user/ada", "a-1"),
    )
    word = Word("job#j-1", "j-1", "u-1", at, "adjust", facts, by)
    decision = correct(word, log_of([entry]), Standing.ASSUMED_COVERED, books.policy)
    assert decision.entry is not None

    story = story_of("j-1", [_stored(each, at) for each in (entry, decision.entry)], None)

    assert ("5 credits are conceded by adjustment a-1",) == story.chapters[1].told
    assert ("adjust", Decimal(5), False) == (decision.entry.type, decision.entry.amount, story.failed)
    assert "was late" == story.chapters[1].answer()["correction"]["reason"]
    assert Decimal(35) == story.log.cost


def _stored(entry: Any, at: Any) -> dict[str, Any]:
    """Return an entry as a table gives it back: what is None is left out, at any depth."""
    return _told(stored_of(entry, at))


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _told(member) for name, member in value.items() if member is not None}
    return [_told(member) for member in value] if isinstance(value, list | tuple) else value


def test_a_job_of_two_attempts_is_told_and_its_books_agree(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt, by a clock that is behind, costs 2: story, audit and statement say so. A scan has nothing to do."""
    policy = tmp_path / "numbered.yaml"
    policy.write_text(example_text(NUMBERED))
    monkeypatch.setenv("POLICY_FILE", str(policy))
    numbered = evolve(world, policy=load_policy(policy)).job("j-2", attempt=2, updatedAt="2026-01-05T09:00:00Z")
    numbered.deliver(rendered("j-2", attempt=1), rendered("j-2", attempt=2, at="09:00", seconds=20))

    found = told("j-2")

    assert ["-0.8", "-1.2"] == [entry["amount"] for entry in found["entries"]]
    assert "charged 2 at 2026-01-05T09:00:00Z in attempt 2" in found["now"]["steps"]
    assert "attempt 1 was charged 0.8: the charge of the highest attempt counts" in found["now"]["steps"]
    assert "settled at completed, attempt 2, by entry 2" == found["row"]["mark"]
    assert "nothing: the row is marked as settled at its status" == found["row"]["nextScan"]
    audited, stated = reconciler("audit"), json.loads(reconciler("statement", "u-1", "--json").stdout)
    assert FINE == audited.exit_code, audited.stdout
    assert Decimal("98.0") == Decimal(stated["entries"][-1]["balance"]) == (world.user_row() or {})["remaining"]
