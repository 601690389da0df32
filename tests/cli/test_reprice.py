"""``reconciler reprice`` and ``apply``: what they print, what they refuse, and what is in the tables afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from typer.testing import CliRunner, Result

from engine.cli.app import app
from engine.ledger.store import Tables
from engine.policy import load_policy
from engine.policy.model import Policy
from engine.reconcile.repricing import apply
from tests.support.events import failed, rendered
from tests.support.policies import EXAMPLE, example_text
from tests.support.world import World

pytestmark = pytest.mark.local_aws

FINE, FAILED, MISUSED = 0, 1, 2
WRONG = example_text(('"0.10", premium: "0.25"', '"1.00", premium: "2.50"'))


@define
class Desk:
    """Somebody at the tables of six jobs that were charged ten times too much, with a folder for files."""

    world: World
    folder: Path

    def run(self, *arguments: str) -> Result:
        """Run the command."""
        return CliRunner().invoke(app, list(arguments))

    def reprice(self, *more: str, out: str = "plan.jsonl") -> Result:
        """Plan."""
        right, plan = str(self.folder / "right.yaml"), str(self.folder / out)
        return self.run("reprice", "--policy", right, "--reason", "a zero too many", "--out", plan, "--by", "ann", *more)

    def apply(self, *more: str, policy: str = "right.yaml", plan: str = "plan.jsonl") -> Result:
        """Post a plan."""
        return self.run("apply", str(self.folder / plan), "--policy", str(self.folder / policy), "--by", "bob", *more)

    def policy(self, name: str) -> Policy:
        """Return one of the two policies."""
        return load_policy(self.folder / name)


@pytest.fixture
def desk(dynamodb: Any, tables: Tables, local_aws: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    """Return the desk: two users of 100 credits, jobs of 1 to 6 seconds, half of them premium."""
    places = {"CREDITS_TABLE": tables.credits, "LEDGER_TABLE": tables.ledger, "AWS_ENDPOINT_URL_DYNAMODB": local_aws}
    for name, value in places.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "right.yaml").write_text(EXAMPLE)
    (tmp_path / "wrong.yaml").write_text(WRONG)
    world = World(dynamodb, tables).user("u-1", "100").user("u-2", "100")
    world.policy = load_policy(tmp_path / "wrong.yaml")
    for number in range(1, 7):
        model = "premium" if number % 2 else "veo-3"
        world.deliver(rendered(f"j-{number}", user=f"u-{number % 2 + 1}", seconds=number, model=model))
    return Desk(world, tmp_path)


def balances(desk: Desk) -> tuple[Decimal, Decimal]:
    """Return what both users have."""
    rows = [desk.world.user_row(user) or {} for user in ("u-1", "u-2")]
    return Decimal(rows[0]["remaining"]), Decimal(rows[1]["remaining"])


def test_a_plan_is_told_and_then_posted(desk: Desk):
    """The first user has 2 + 4 + 6 seconds at 0.10, the second 1 + 3 + 5 at 0.25: 98.8 and 97.75 are left."""
    told = desk.reprice()
    assert FINE == told.exit_code
    assert ["premium", "3", "22.5", "2.25", "20.25"] in [line.split() for line in told.stdout.splitlines()]
    assert ["2026-01-05", "6", "34.5", "3.45", "31.05"] in [line.split() for line in told.stdout.splitlines()]
    assert ["u-2", "3", "20.25"] in [line.split() for line in told.stdout.splitlines()]
    assert "nothing was posted" in told.stdout
    assert (Decimal(88), Decimal("77.5")) == balances(desk)

    posted = desk.apply("--json")
    assert FINE == posted.exit_code
    assert {"posted": 6, "postedBefore": 0, "planned": "31.0500"}.items() <= json.loads(posted.stdout).items()
    assert (Decimal("98.8"), Decimal("97.75")) == balances(desk)
    assert [("debit", Decimal(-2)), ("reprice", Decimal("1.8"))] == desk.world.amounts("j-2")

    again = desk.apply()
    assert FINE == again.exit_code
    assert {"posted 0", "postedBefore 6"} <= {" ".join(line.split()) for line in again.stdout.splitlines()}
    assert (Decimal("98.8"), Decimal("97.75")) == balances(desk)


def test_an_entry_keeps_who_posted_it_and_by_which_plan(desk: Desk):
    """``explain --entry`` counts it again from itself."""
    plan = json.loads(desk.reprice("--json").stdout)
    desk.apply()
    kept = desk.world.entries("j-1")[-1]["correction"]

    assert ("a zero too many", "bob", plan["sha256"]) == (kept["reason"], kept["by"], kept["plan"])
    counted = desk.run("explain", "--entry", "job#j-1")
    assert FINE == counted.exit_code
    assert "priced anew once" in counted.stdout


def test_a_check_posts_nothing(desk: Desk):
    """It says what is due."""
    desk.reprice()
    checked = desk.apply("--dry-run", "--json")

    assert (FINE, 6) == (checked.exit_code, json.loads(checked.stdout)["due"])
    assert "nothing was posted" in checked.stderr
    assert (Decimal(88), Decimal("77.5")) == balances(desk)


def test_a_bound_ends_a_run_and_the_next_goes_on(desk: Desk):
    """The status says that something is left, and a sentence how to go on."""
    desk.reprice()
    first, second = desk.apply("--max-entries", "4", "--json"), desk.apply("--json")

    assert "2 jobs are left; the same command goes on with them\n" == first.stderr
    assert "" == second.stderr
    assert (FAILED, 4, 2) == (first.exit_code, *(json.loads(first.stdout)[name] for name in ("posted", "left")))
    assert (FINE, 2, 4) == (second.exit_code, *(json.loads(second.stdout)[name] for name in ("posted", "postedBefore")))


def test_who_ends_it_half_way_is_told_how_far_it_came(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    """Ctrl-C behind the first of three batches: its two entries stand, and the next run posts the other four."""
    desk.reprice()
    with monkeypatch.context() as patched:
        patched.setattr(apply, "TOGETHER", 2)
        patched.setattr(apply.Applying, "_post_all", ended_behind_the_first(apply.Applying._post_all))  # noqa: SLF001
        ended = desk.apply()

    assert "2 entries or some more were posted; the same command goes on behind them" in ended.stderr
    assert FINE != ended.exit_code
    again = json.loads(desk.apply("--json").stdout)
    assert (4, 2, 0) == (again["posted"], again["postedBefore"], again["left"])
    assert (Decimal("98.8"), Decimal("97.75")) == balances(desk)


def ended_behind_the_first(post: Callable[..., None]) -> Callable[..., None]:
    """Return what posts one batch; at the next somebody has typed Ctrl-C."""
    batches: list[object] = []

    def posting(run: apply.Applying, due: Any) -> None:
        if batches:
            raise KeyboardInterrupt
        batches.append(due)
        post(run, due)

    return posting


def test_where_a_job_has_changed_nothing_is_posted_until_somebody_says_so(desk: Desk):
    """The plan did not see what counts now."""
    desk.reprice()
    desk.world.policy = desk.policy("right.yaml")
    desk.world.deliver(rendered("j-2", user="u-1", seconds=9, at="12:00"), failed("j-4", user="u-1"))
    stopped = desk.apply()

    assert FAILED == stopped.exit_code
    assert "j-2 of u-1 changed: its charge of 0.9 at 2026-01-05T12:00:00Z is new" in stopped.stderr
    assert "--go-on posts the jobs that have not changed" in stopped.stderr
    assert [("debit", Decimal(-2)), ("refund", Decimal("1.1"))] == desk.world.amounts("j-2")
    assert [("debit", Decimal("-2.5"))] == desk.world.amounts("j-1")

    went_on = desk.apply("--go-on", "--json")
    assert FAILED == went_on.exit_code
    assert {"posted": 5, "changed": 1, "otherwise": 1}.items() <= json.loads(went_on.stdout).items()
    assert Decimal(0) == sum(amount for _, amount in desk.world.amounts("j-4"))


def test_a_plan_in_which_nothing_changes_asks_nobody_to_apply_it(desk: Desk):
    """It says how many entries were read; a later plan is told as before."""
    told = desk.reprice("--since", "2999-01-01")

    assert FINE == told.exit_code
    assert "of 6 entries none tells a charge that would change; there is nothing to apply" in told.stdout
    assert "reconciler apply" not in told.stdout
    assert "reconciler apply" in desk.reprice(out="other.jsonl").stdout


def test_filters_are_in_the_plan(desk: Desk):
    """Whoever reads the file sees which jobs were meant."""
    premium = '{"detail": {"model": ["premium"]}}'
    digest = desk.policy("wrong.yaml").digest
    plan = json.loads(desk.reprice("--match", premium, "--since", "2026-01-05", "--charged-by", digest, "--json").stdout)

    assert 3 == plan["total"]["jobs"]
    assert {"match": json.loads(premium), "since": "2026-01-05T00:00:00Z", "until": None, "chargedBy": digest} == plan[
        "filters"
    ]


def test_what_cannot_be_told_is_named_and_the_status_says_so(desk: Desk):
    """The plan of all others is there."""
    told = desk.reprice("--match", '{"detail": {"resolution": ["4k"]}}')

    assert FAILED == told.exit_code
    assert "left out: 6 jobs (j-1, ...): --match asks for something that was not kept" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--match", "{"), "--match is '{'; an event pattern as JSON is needed"),
        (("--match", '{"detail": "x"}'), "--match is no event pattern"),
        (("--since", "2026-01-06", "--until", "2026-01-06"), "--until is not after --since"),
        (("--reason", " "), "--reason is empty"),
        (("--reason", "x" * 1025), "--reason has 1025 characters"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(arguments: tuple[str, ...], problem: str, desk: Desk):
    """Before anything is read."""
    refused = desk.reprice(*arguments)

    assert (MISUSED, True) == (refused.exit_code, problem in refused.stderr)
    assert not (desk.folder / "plan.jsonl").exists()


def test_a_plan_is_not_written_over(desk: Desk):
    """It may have been posted."""
    desk.reprice()
    before = (desk.folder / "plan.jsonl").read_bytes()
    again = desk.reprice()

    assert (MISUSED, True) == (again.exit_code, "is there already" in again.stderr)
    assert before == (desk.folder / "plan.jsonl").read_bytes()


def test_a_plan_that_cannot_be_written_is_said(desk: Desk):
    """The folder is not there."""
    refused = desk.reprice(out="nowhere/plan.jsonl")

    assert refused.exit_code
    assert "nowhere/plan.jsonl: cannot be written" in str(refused.exception)


def _changed(desk: Desk) -> tuple[str, ...]:
    path = desk.folder / "plan.jsonl"
    path.write_text(path.read_text().replace('"amount":"0.2500"', '"amount":"0.0000"'))
    return ()


def _other_tables(desk: Desk) -> tuple[str, ...]:
    tables = desk.world.tables
    return ("--ledger-table", tables.ledger, "--credits-table", _another(desk))


def _another(desk: Desk) -> str:
    name = f"{desk.world.tables.credits}-2"
    schema = {"AttributeName": "userId", "KeyType": "HASH"}
    attributes = [{"AttributeName": "userId", "AttributeType": "S"}]
    desk.world.client.create_table(
        TableName=name, KeySchema=[schema], AttributeDefinitions=attributes, BillingMode="PAY_PER_REQUEST"
    )
    return name


def _other_policy(desk: Desk) -> tuple[str, ...]:
    return ("--policy", str(desk.folder / "wrong.yaml"))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_changed, "was changed since it was written"),
        (_other_tables, "was made for arn:aws:dynamodb:"),
        (_other_policy, "name the one of the plan by --policy"),
    ],
)
def test_another_plan_than_was_looked_at_is_refused(change: Callable[[Desk], tuple[str, ...]], problem: str, desk: Desk):
    """An edited file, other tables, another policy."""
    desk.reprice()
    refused = desk.apply(*change(desk))

    assert (FAILED, True) == (refused.exit_code, problem in refused.stderr)
    assert (Decimal(88), Decimal("77.5")) == balances(desk)


def test_what_is_no_plan_is_refused_before_any_table_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a region as well: whoever mistypes a file's name reads of the file."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "notes.txt").write_text("ask ann\n")
    refused = CliRunner().invoke(app, ["apply", str(tmp_path / "notes.txt"), "--policy", "policies/video.yaml"])

    assert (FAILED, True) == (refused.exit_code, "notes.txt: is no plan of `reconciler reprice`" in refused.stderr)


def test_users_who_would_go_below_zero_are_told_and_can_be_spared(desk: Desk):
    """The new price takes 120 - 12 from a user who has 88, and 225 - 22.5 from one who was given plenty meanwhile."""
    desk.world.user("u-2", "1000")
    dear = example_text(('"0.10", premium: "0.25"', '"10", premium: "25"'))
    (desk.folder / "right.yaml").write_text(dear)
    told = desk.reprice("--spare-users")

    assert FINE == told.exit_code
    assert "spared: u-1, 88 left, -108 to post" in told.stdout
    assert FINE == desk.apply().exit_code
    assert (Decimal(88), Decimal("797.5")) == balances(desk)
