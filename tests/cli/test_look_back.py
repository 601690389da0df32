"""``reconciler look-back``: what the scheduled run would flag, found when somebody asks, and said in words."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.domain.errors import LedgerRefused
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from engine.policy import load_policy
from tests.support.events import event, failed, rendered
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import tables_environment

pytestmark = pytest.mark.local_aws

FINE, FAILED = 0, 1
VIDEO = ROOT / "policies" / "video.yaml"
RESULT = "s3://renders/the-same.mp4"


@pytest.fixture
def world(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return tables on which u-1 pays twice for one result (j-1, j-2), and u-2 for the same result too (j-4)."""
    for name, value in {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws, "POLICY_FILE": str(VIDEO)}.items():
        monkeypatch.setenv(name, value)
    world = World(dynamodb, tables, load_policy(VIDEO)).user("u-1", "100").user("u-2", "100")
    world.deliver(rendered("j-1", result_url=RESULT), rendered("j-2", result_url=RESULT, at="12:00"), rendered("j-3"))
    return world


def reconciler(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def found(*arguments: Any) -> list[dict[str, Any]]:
    """Return what a look back finds."""
    result = reconciler("look-back", "--json", *arguments)
    assert FINE == result.exit_code, (result.output, result.exception)
    sightings: list[dict[str, Any]] = json.loads(result.stdout)["found"]
    return sightings


def told(*arguments: Any) -> list[tuple[str, str, str]]:
    """Return which anomalies it finds, of which references, and what they are."""
    return [(each["anomaly"], each["reference"], each["state"]) for each in found(*arguments)]


@pytest.mark.parametrize("arguments", [(), ("--user", "u-1"), ("--user", "u-1", "--since", "2026-01-01")])
def test_a_result_that_is_charged_twice_is_found_at_once(world: World, arguments: tuple[str, ...]) -> None:
    """The second job is named with the first, what it costs, and what that is. Nothing is written."""
    before = world.everything()

    (sighting,) = found(*arguments)

    assert ("rendered-twice", "job#j-2", "u-1", "0.8", "new") == tuple(
        sighting[name] for name in ("anomaly", "reference", "user", "cost", "state")
    )
    assert {"jobs": "2", "first": "job#j-1", "since": "2026-01-05T10:00:00Z"} == sighting["figures"]
    said = sighting["explanation"]
    assert ("repeated-work", "medium") == (said["likely_cause"], said["severity"])
    assert (
        "The same work may be charged twice: job#j-2 costs 0.8 credits, and says the same as job#j-1 of 2026-01-05T10:00:00Z."
        " It is flagged rendered-twice."
    ) == said["summary"]
    assert before == world.everything()


def test_what_is_asked_for_is_flagged_once_and_the_schedule_has_nothing_to_add(world: World) -> None:
    """A flag behind the debit, that moves nothing; the schedule takes it as its own."""
    posted = told("--user", "u-1", "--flag")

    assert [("rendered-twice", "job#j-2", "flagged now")] == posted
    assert [("debit", Decimal("-0.8")), ("flag", Decimal(0))] == world.amounts("j-2")
    assert [("rendered-twice", "job#j-2", "flagged")] == told("--flag") == told("--user", "u-1")
    assert 0 == world.scheduled()["lookBack"]["flags"]
    assert 2 == len(world.entries("j-2"))


def test_what_the_schedule_has_flagged_is_told_and_not_hidden(world: World) -> None:
    """Or a colleague would tell a customer that nothing was charged twice. A note that resolves it is told too."""
    world.scheduled()

    assert [("rendered-twice", "job#j-2", "flagged")] == told("--user", "u-1")
    reconciler("anomalies", "resolve", "job#j-2", "--note", "two cuts of one film")
    assert ["two cuts of one film"] == [each["resolved"] for each in found("--user", "u-1")]
    assert "flagged, resolved: two cuts of one film" in " ".join(reconciler("look-back").stdout.split())


@pytest.mark.parametrize("arguments", [(), ("--user", "u-1")])
def test_a_flag_that_a_rule_has_raised_is_none_that_looks_back(world: World, arguments: tuple[str, ...]) -> None:
    """It was raised by its event alone: the list of anomalies has it, and a look back has not."""
    world.deliver(event("video.queued", {"jobId": "test-1", "userId": "u-1"}))

    assert "job#test-1" in [each["reference"] for each in json.loads(reconciler("anomalies", "list", "--json").stdout)]
    assert [("rendered-twice", "job#j-2", "new")] == told(*arguments)


def test_a_charge_that_was_given_back_since_is_no_longer_charged_twice(world: World) -> None:
    """The flag stays, and says what the job costs now."""
    world.scheduled()
    world.deliver(failed("j-2", at="13:00"))

    (sighting,) = found("--user", "u-1")

    assert (0, "unusual-usage") == (Decimal(sighting["cost"]), sighting["explanation"]["likely_cause"])
    assert "2 jobs say the same since 2026-01-05T10:00:00Z, the first of them job#j-1" in sighting["explanation"]["summary"]


def test_one_users_look_back_sees_the_users_own_entries_alone(world: World) -> None:
    """The third charge of the result is another user's: only a look at everybody finds it."""
    world.deliver(rendered("j-4", user="u-2", result_url=RESULT, at="12:30"))

    assert [("rendered-twice", "job#j-2", "new")] == told("--user", "u-1")
    assert [] == told("--user", "u-2")
    assert ["job#j-2", "job#j-4"] == [reference for _, reference, _ in told()]


def test_a_look_at_somebody_of_whom_there_is_no_entry_says_so(world: World) -> None:
    """A name with a slip in it: nothing found would read as nothing wrong."""
    slip, later = (reconciler("look-back", "--user", "u-11", *more) for more in ((), ("--since", "2999-01-01")))

    assert "has no entry of u-11; is the name right?" in " ".join(slip.stderr.split())
    assert "has no entry of u-11 since then" in " ".join(later.stderr.split())


def test_what_was_posted_before_is_not_looked_at(world: World) -> None:
    """From a later day on there is nothing."""
    assert [] == told("--since", "2999-01-01") == told("--user", "u-1", "--since", "2999-01-01")


def test_a_burst_is_no_repeated_work(world: World) -> None:
    """21 jobs within ten minutes are unusual usage, in words of their own."""
    world.deliver(*(rendered(f"b-{number:02}", user="u-2", at=f"2026-01-05T10:00:{number:02}Z") for number in range(21)))

    (sighting,) = found("--user", "u-2")

    assert ("burst-of-one-user", "job#b-20", "unusual-usage") == (
        sighting["anomaly"],
        sighting["reference"],
        sighting["explanation"]["likely_cause"],
    )
    assert (
        "job#b-20 is flagged burst-of-one-user. Behind it: 21 jobs say the same since 2026-01-05T10:00:00Z, the first of them"
        " job#b-00." == sighting["explanation"]["summary"]
    )


def test_the_function_that_explains_says_the_same_of_the_flag(world: World) -> None:
    """By the rules, since no model is there to be asked."""
    reconciler("look-back", "--flag")

    result = reconciler("anomalies", "explain", "job#j-2", "--json")

    said, *_ = json.loads(result.stdout)  # the debit is flagged too: its job has no row
    assert "repeated-work" == said["explanation"]["likely_cause"]
    assert said["explanation"]["summary"].startswith("The same work may be charged twice: job#j-2 costs 0.8 credits")


def test_what_could_not_be_measured_is_told(world: World) -> None:
    """No scan has worked out yet what is usual: a fall of charges could not be seen. Of one user none is looked for."""
    assert "no `drift` could be judged: the baselines are missing" in reconciler("look-back").stderr
    reconciler("scan")
    assert ("", "") == (reconciler("look-back").stderr, reconciler("look-back", "--user", "u-1").stderr)


def test_more_than_can_be_looked_at_is_a_failed_check(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was flagged before is told all the same, and that it is not all."""
    world.scheduled()
    monkeypatch.setattr("engine.anomalies.on_demand.ENTRIES_MAX", 1)

    result = reconciler("look-back")

    assert FAILED == result.exit_code
    assert "job#j-2" in result.stdout
    assert "name a later --since" in result.stderr


def test_a_policy_that_looks_back_for_nothing_says_so(world: World, policy: Any) -> None:
    """Nothing found would be read as nothing wrong."""
    result = reconciler("look-back", "--policy", policy)

    assert FAILED == result.exit_code
    assert "no anomaly of it has a `frequency` or a `drift`" in result.stderr


def test_an_entry_that_is_none_is_told_and_one_users_look_back_goes_on(world: World) -> None:
    """Somebody wrote it by hand."""
    item = {
        "reference": "job#x",
        "sequence": 1,
        "userId": "u-1",
        "amount": 0,
        "postedAt": "2999",
        "signs": {"rendered-twice": "k"},
    }
    world.client.put_item(TableName=world.tables.ledger, Item=encode_item(item))

    result = reconciler("look-back")

    assert isinstance(result.exception, LedgerRefused)
    assert "an entry is none of this system (KeyError: 'occurredAt'); reconciler audit names it" in str(result.exception)
    assert [("rendered-twice", "job#j-2", "new")] == told("--user", "u-1")
