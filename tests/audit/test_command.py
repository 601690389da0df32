"""``reconciler audit`` as a person types it: what it prints, and how it ends."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from engine.cli.app import app
from tests.audit.conftest import Day
from tests.support.policies import example_text

pytestmark = pytest.mark.local_aws

FINE, FAILED, MISUSED = 0, 1, 2
REASON = "ticket 4711"


@pytest.fixture
def day(day: Day, local_aws: str, monkeypatch: pytest.MonkeyPatch) -> Day:
    """Return a day whose tables the command finds through the environment; it waits for nothing."""
    tables = day.world.tables
    for name in ("jobs", "credits", "ledger", "state", "seals"):
        monkeypatch.setenv(f"{name.upper()}_TABLE", getattr(tables, name))
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", local_aws)
    monkeypatch.setattr("engine.audit.books.SECONDS_BETWEEN_LOOKS", 0)
    return day


def audit(*arguments: Any) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def answer(*arguments: Any) -> dict[str, Any]:
    """Run the command, and return what it tells machines."""
    result: dict[str, Any] = json.loads(audit(*arguments, "--json").stdout)
    return result


def test_what_was_sealed_is_what_it_was(day: Day) -> None:
    """Eight of eleven entries have rested long enough."""
    result = audit("--verify")

    assert FINE == result.exit_code
    assert "8 sealed entries in 1 seals are unchanged" in result.stdout
    assert {"seals": 1, "entries": 8, "findings": []}.items() <= answer("--verify")["seals"].items()


def test_the_head_of_the_chain_is_compared_with_the_log(day: Day) -> None:
    """A chain that was made anew from its beginning is whole, but its hashes are others."""
    head = day.verify().head

    assert FINE == audit("--verify", "--head", head).exit_code
    unknown = audit("--verify", "--head", "0" * 64)
    assert FAILED == unknown.exit_code
    assert "head: no seal has this hash" in unknown.stdout


def test_sealing_by_hand_is_what_scheduled_runs_do(day: Day) -> None:
    """Everything here is long past for the command's own clock."""
    sealed = answer("--seal")

    assert (2, 11, 0) == (sealed["seal"]["number"], sealed["seal"]["entries"], sealed["cameOrWent"])
    assert f"sealed: 11 entries in 2 seals, {sealed['seal']['hash']}" in audit("--seal").stdout


def test_damage_is_named_and_then_put_right(day: Day) -> None:
    """Status 1 until it is. First it is only shown; afterwards the seals say which entry corrects which."""
    day.remove("job#j-2", 1)
    found = audit("--verify")
    entries = day.entries()
    shown = audit("--repair", "--user", "u-1")
    assert entries == day.entries()
    repaired = audit("--repair", "--user", "u-1", "--reason", REASON, "--yes")
    after = audit("--verify")

    statuses = tuple(result.exit_code for result in (found, shown, repaired, after))
    assert (FAILED, FAILED, FINE, FINE) == statuses, repaired.stdout
    for line in (
        "drift: u-1: entries add up to -0.5, Credits says -1.3",
        "fault: job#j-2, entry 1: is missing",
        "removed: job#j-2, entry 1: is gone: -0.8 of u-1",
    ):
        assert line in found.stdout
    assert "would correct: job#j-2, entry 3: -0.8 for u-1: is gone: -0.8 of u-1" in shown.stdout
    assert "nothing was posted; --yes posts it" in shown.stdout
    assert "corrected: job#j-2, entry 3: -0.8 for u-1: is gone: -0.8 of u-1" in repaired.stdout
    assert "; corrected by entry 3" in after.stdout


def test_what_came_or_went_behind_the_seals_is_counted_while_sealing(day: Day) -> None:
    """Which ones, --verify tells."""
    day.remove("job#j-1", 1)

    result = audit("--seal")

    assert FAILED == result.exit_code
    assert "seals: 1 entries are gone behind the seals; --verify names them" in result.stdout


def test_a_balance_is_touched_only_where_a_person_says_what_is_wrong(day: Day) -> None:
    """First it is left, then the half posting is taken back."""
    day.change_row("u-1", "ADD remaining :n, posted :n", n={"N": "-0.8"})

    mine = "--repair", "--user", "u-1", "--reason", REASON
    left, shown = audit(*mine, "--yes"), audit(*mine, "--wrong", "balance")
    before = day.world.everything()
    done = audit(*mine, "--wrong", "balance", "--yes")

    assert (FAILED, FAILED, FINE) == (left.exit_code, shown.exit_code, done.exit_code)
    assert before["credits"] != day.world.everything()["credits"]
    assert "would correct: repair#u-1, entry 1: 0 for u-1, the balance moved by 0.8" in shown.stdout
    assert "left: u-1: the entries add up to -1.3, Credits says -2.1; only a person can say what is wrong" in left.stdout
    assert "corrected: repair#u-1, entry 1: 0 for u-1, the balance moved by 0.8" in done.stdout


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """Return the file of a policy by which only events grant."""
    file = tmp_path / "events.yaml"
    file.write_text(example_text(("overdraft: flag", "grants: events")))
    return file


def test_balances_are_held_once_openings_were_taken(day: Day, policy: Path) -> None:
    """``--seal`` takes them, as a scheduled run does; then whoever looks sees what was changed, and needs no policy."""
    before = audit()
    sealed = answer("--seal", "--policy", policy)
    day.change_row("u-2", "ADD remaining :n", n={"N": "250"})
    found, told = audit(), answer()

    assert "balances" not in before.stdout
    since = sealed["balances"]["checkedSince"]
    assert [] == sealed["balances"]["drifts"]
    assert FAILED == found.exit_code
    assert "balance: u-2: the balance is 1246.8; 996.8 follows: 250 too much, first seen by the audit of" in found.stdout
    assert f"balances have to follow from the ledger since {since}: 1 balances do not" in found.stdout
    assert (since, [("u-2", "1246.8", "996.8", "250.0")]) == (
        told["balances"]["checkedSince"],
        [(drift["user"], drift["remaining"], drift["expected"], drift["by"]) for drift in told["balances"]["drifts"]],
    )
    day.change_row("u-2", "ADD remaining :n", n={"N": "-250"})
    assert FINE == (right := audit()).exit_code
    assert f"balances have to follow from the ledger since {since}: every balance does" in right.stdout


def test_sealing_takes_the_policy_that_the_environment_names_where_it_is_here(
    day: Day, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever seals elsewhere seals as ever; a file that is typed has to be there."""
    monkeypatch.setenv("POLICY_FILE", "nowhere.yaml")
    assert "balances" not in answer("--seal")
    assert MISUSED == audit("--seal", "--policy", "nowhere.yaml").exit_code
    monkeypatch.setenv("POLICY_FILE", str(policy))
    assert "balances" not in answer()
    assert [] == answer("--seal")["balances"]["drifts"]


def test_an_audit_needs_no_table_of_seals_that_nobody_names(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing can hold balances, and the entries are looked at as ever. A name that was a slip is told."""
    monkeypatch.delenv("SEALS_TABLE")
    assert FINE == audit().exit_code
    assert "--seals-table Slips: there is no such table" in str(audit("--seals-table", "Slips").exception)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--repair", "--user", "u-1", "--yes"], "--yes needs --reason"),
        (["--repair", "--user", "u-1", "--yes", "--reason", "  "], "--yes needs --reason"),
        (["--repair", "--user", "u-1", "--verify"], "--verify goes with --repair once that has posted"),
        (["--repair", "--user", "u-1", "--seal"], "--seal does not go with --repair"),
        (["--reason", REASON], "--user, --reason, --wrong and --yes go with --repair"),
        (["--wrong", "posted"], "--user, --reason, --wrong and --yes go with --repair"),
        (["--user", "u-1"], "--user, --reason, --wrong and --yes go with --repair"),
        (["--yes"], "--user, --reason, --wrong and --yes go with --repair"),
        (["--head", "0"], "--head goes with --verify"),
        (["--policy", "policies/video.yaml"], "--policy goes with --seal"),
    ],
)
def test_wrong_usage_touches_nothing(day: Day, arguments: list[str], problem: str) -> None:
    """Status 2, and what would be right."""
    result = audit(*arguments)

    assert MISUSED == result.exit_code
    assert problem in result.stderr


def test_a_repair_names_the_users_and_takes_one_of_them(day: Day) -> None:
    """Two rows were changed, and one log names two users: without a user nothing is done, with one nobody else moves."""
    day.change_row("u-1", "ADD remaining :n, posted :n", n={"N": "500"})
    day.change_row("u-2", "ADD remaining :n, posted :n", n={"N": "500"})
    day.change("job#j-6", 1, "SET #user = :s", s={"S": "u-4"})
    before = day.world.everything()

    refused = audit("--repair", "--reason", REASON, "--wrong", "balance", "--yes")
    assert MISUSED == refused.exit_code
    assert refused.stderr.splitlines() == [
        "--repair corrects one user at a time; name one by --user. Something is found of:",
        *(f"  {user}" for user in ("u-1", "u-2", "u-3", "u-4")),
    ]
    assert before == day.world.everything()

    done = audit("--repair", "--user", "u-1", "--reason", REASON, "--wrong", "balance", "--yes")
    assert FAILED == done.exit_code, "others are still to be repaired"
    assert ["repair#u-1"] == sorted({entry[0] for entry in day.entries()} - {entry["reference"] for entry in before["ledger"]})
    rows = {row["userId"]: row for row in before["credits"]}
    assert rows["u-2"] == day.world.user_row("u-2")
    assert (Decimal("998.7"), Decimal("-1.3")) == ((row := day.world.user_row("u-1"))["remaining"], row["posted"])


def test_a_repair_of_somebody_of_whom_nothing_is_found_says_so(day: Day) -> None:
    """Whether or not anything is found of others."""
    nobody = audit("--repair")
    assert (MISUSED, True) == (nobody.exit_code, "No user is named by what is found." in nobody.stderr)
    day.remove("job#j-2", 1)

    shown = audit("--repair", "--user", "u-2")

    assert (FINE, "u-2: nothing to post\n") == (shown.exit_code, shown.stdout)
    assert {"user": "u-2", "planned": [], "left": []} == answer("--repair", "--user", "u-2")
    assert ["job#j-2"] == [each["reference"] for each in answer("--repair", "--user", "u-1")["planned"]]


@pytest.mark.parametrize("more", [(), ("--yes", "--reason", REASON)])
def test_a_repair_of_somebody_whom_no_table_knows_is_no_clean_bill(more: tuple[str, ...], day: Day) -> None:
    """A name with a slip in it: that nothing is to be posted would read as if all were right."""
    before = day.world.everything()
    result = audit("--repair", "--user", "u-22", *more)

    assert (FAILED, "") == (result.exit_code, result.stdout)
    assert "u-22: no such user in Credits and no entry in the ledger\n" == result.stderr
    assert before == day.world.everything()


def test_a_held_balance_that_was_changed_is_taken_back_where_a_person_says_it_is_wrong(day: Day, policy: Path) -> None:
    """Entries and ``posted`` agree, so nothing but that person can tell. An entry of 0 keeps what moved."""
    answer("--seal", "--policy", policy)
    day.change_row("u-2", "ADD remaining :n", n={"N": "250"})

    left = audit("--repair", "--user", "u-2")
    done = audit("--repair", "--user", "u-2", "--wrong", "balance", "--reason", REASON, "--yes")

    assert FAILED == left.exit_code
    assert "u-2: the balance is 1246.8; 996.8 follows: 250 too much" in left.stdout
    assert "only a person can say whether that is wrong; `--wrong balance` takes it back" in left.stdout
    assert FINE == done.exit_code, done.stdout
    assert "corrected: repair#u-2, entry 1: 0 for u-2, the balance moved by -250" in done.stdout
    assert Decimal("996.8") == day.world.user_row("u-2")["remaining"]
    assert FINE == audit("--verify").exit_code


@pytest.mark.parametrize("side", ["entries", "posted"])
def test_a_held_balance_is_not_put_right_by_the_side_that_is_in_order(side: str, day: Day, policy: Path) -> None:
    """The person has said something, so the command says why that is not it, and which word is meant."""
    answer("--seal", "--policy", policy)
    day.change_row("u-2", "ADD remaining :n", n={"N": "250"})
    before = day.world.everything()

    left = audit("--repair", "--user", "u-2", "--wrong", side, "--reason", REASON, "--yes")

    assert FAILED == left.exit_code
    assert "u-2: the balance is 1246.8; 996.8 follows: 250 too much" in left.stdout
    assert (
        f"its entries agree with `posted`, so `--wrong {side}` corrects nothing; `--wrong balance` takes the change back"
        in left.stdout
    )
    assert "only a person can say" not in left.stdout
    assert before == day.world.everything()


def test_a_held_balance_that_is_no_number_is_left(day: Day, policy: Path) -> None:
    """Nothing can be added to a text; posting would fail too."""
    answer("--seal", "--policy", policy)
    day.change_row("u-2", "SET remaining = :s", s={"S": "996.8"})

    left = audit("--repair", "--user", "u-2", "--wrong", "balance", "--reason", REASON, "--yes")

    assert FAILED == left.exit_code
    assert "left: u-2: the balance is no number; 996.8 follows" in left.stdout


def test_a_corrected_log_explains_itself(day: Day) -> None:
    """``explain --entry`` says what the correction was for."""
    day.change("job#j-4", 1, "SET amount = :n", n={"N": "-0.2"})
    audit("--repair", "--user", "u-2", "--reason", REASON, "--yes")

    result = CliRunner().invoke(app, ["explain", "--entry", "job#j-4"])

    assert f"{REASON} (was changed: its amount is -0.2; -1.2 was sealed)" in " ".join(result.stdout.split())


def test_a_statement_adds_up_after_a_correction(day: Day) -> None:
    """What was corrected without moving the balance stands in it like any entry."""
    day.change("job#j-4", 1, "SET amount = :n", n={"N": "-0.2"})
    audit("--repair", "--user", "u-2", "--reason", REASON, "--yes")

    result = CliRunner().invoke(app, ["statement", "u-2", "--json"])

    lines = json.loads(result.stdout)["entries"]
    assert "996.8" == lines[-1]["balance"].rstrip("0")
    assert ["-0.2", "-2", "-1"] == [line["amount"].rstrip("0").rstrip(".") for line in lines]
