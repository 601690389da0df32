"""``reconciler adjust``: what people type, what is posted, what they see, and what they are told where it makes no sense."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer
from moto import mock_aws
from typer.testing import CliRunner, Result

from engine.cli.app import app, main
from engine.cli.identity import identity, identity_of, is_of_aws
from engine.cli.place import Place
from engine.domain.errors import CorrectionError, LedgerError
from engine.ledger.store import Tables
from tests.support.events import failed, rendered
from tests.support.policies import EXAMPLE
from tests.support.world import World
from tools.local_aws import tables_environment

FINE, FAILED, MISUSED = 0, 1, 2

Run = Callable[..., Result]

BOUNDS = "adjustments: {maximum: 100, second_person_above: 20}\n"


@pytest.fixture
def world(dynamodb: Any, tables: Tables) -> World:
    """Return a ledger with a user of a hundred credits, one job of 0.8, and a user who is called like a command."""
    world = World(dynamodb, tables).user("u-1", "100").user("list", "1").user("-x", "1")
    world.deliver(rendered("j-1"))
    return world


@pytest.fixture
def run(world: World, local_aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs `reconciler adjust` on the ledger, under a policy with bounds. Ann runs it."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"{EXAMPLE.replace('overdraft: flag', 'overdraft: refuse')}adjustments: {{maximum: 100, second_person_above: 20}}\n"
    )
    settings = {
        **tables_environment(world.tables),
        "POLICY_FILE": str(policy),
        "LOGNAME": "ann",
        "AWS_ENDPOINT_URL": local_aws,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["adjust", *arguments], prog_name="reconciler")

    return call


def answer(result: Result) -> Any:
    """Return what a command printed for machines."""
    assert FINE == result.exit_code, (result.output, result.exception)
    return json.loads(result.stdout)


def balance(world: World, user: str = "u-1") -> Decimal:
    """Return a user's balance."""
    row = world.user_row(user)
    assert row is not None
    return Decimal(row["remaining"])


# --- what is posted ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "amount"),
    [
        (("u-1", "5"), "5"),
        (("u-1", "-5"), "-5"),
        (("u-1", "-0.5", "--id", "-7"), "-0.5"),
        (("--id", "-7", "--", "u-1", "-0.0005"), "-0.0005"),
        (("u-1", "\u22125"), "-5"),
    ],
)
def test_a_user_is_given_or_taken_credits(run: Run, world: World, arguments: tuple[str, ...], amount: str) -> None:
    """An amount below 0 is no option, wherever it stands."""
    told = answer(run("--reason", "a gift", "--json", *arguments))

    assert ("adjusted", amount, amount, "ann") == tuple(told[name] for name in ("outcome", "amount", "moved", "by"))
    assert "-7" not in arguments or told["id"] == "-7"
    assert Decimal("99.2") + Decimal(amount) == balance(world) == Decimal(told["remaining"])


def test_without_an_id_one_is_made_and_told_before_anything_is_posted(run: Run, world: World) -> None:
    """So that whoever gets no answer can say the same again. Told again with it, it counts once."""
    first = run("u-1", "5", "--reason", "a gift")
    assert FINE == first.exit_code
    (name,) = re.findall(r"id ([0-9]{8}-[0-9a-f]{10}): if no answer comes, say it again with --id \1", first.stderr)

    again = run("u-1", "5", "--reason", "a gift", "--id", name)
    assert FINE == again.exit_code
    assert "Posted before" == again.stdout.splitlines()[0]
    assert "" == again.stderr
    assert Decimal("104.2") == balance(world)


def test_a_job_costs_less_by_a_concession_and_a_failure_gives_back_the_rest(run: Run, world: World) -> None:
    """0.8 were charged, 0.5 are conceded, and 0.3 go back."""
    told = answer(run("u-1", "0.5", "--job", "j-1", "--reason", "the ending was cut", "--id", "t-1", "--json"))
    assert (["job#j-1 2", "adjust#t-1 1"], "j-1") == (told["entries"], told["job"])

    world.deliver(failed("j-1"))
    assert [("debit", Decimal("-0.8")), ("adjust", Decimal("0.5")), ("refund", Decimal("0.3"))] == world.amounts("j-1")
    assert Decimal(100) == balance(world)


def test_an_adjustment_is_taken_back_by_its_id(run: Run, world: World) -> None:
    """What it was need not be said again."""
    run("u-1", "5", "--reason", "a gift", "--id", "t-1", "--reference", "job#j-1")
    told = answer(run("--reverse", "t-1", "--reason", "wrong user", "--json"))

    assert ("adjusted", "u-1", "-5", "t-1") == (told["outcome"], told["user"], told["moved"], told["reverses"])
    assert Decimal("99.2") == balance(world)


def test_above_the_second_bound_two_people_are_needed(run: Run, world: World) -> None:
    """The first proposes, the first cannot approve, the second posts it."""
    proposed = run("u-1", "50", "--reason", "an outage", "--id", "t-1")
    assert (FINE, "Waits for a second person") == (proposed.exit_code, proposed.stdout.splitlines()[0])
    assert "Another person posts it: reconciler adjust approve t-1" in proposed.stdout
    again = run("u-1", "50", "--reason", "an outage", "--id", "t-1", "--by", "ben")
    assert "It was proposed by ann. Another person posts it" in again.stdout

    spellings = ("ann", "Ann", " ann", "ann\N{NO-BREAK SPACE}", "\N{FULLWIDTH LATIN CAPITAL LETTER A}nn")
    for first in ((), *(("--by", spelling) for spelling in spellings)):
        refused = run("approve", "t-1", *first)
        assert "proposal#t-1 was proposed by ann; another person has to approve it" == str(refused.exception)
    assert Decimal("99.2") == balance(world)

    told = answer(run("approve", "t-1", "--by", "ben", "--json"))
    assert ("adjusted", "ann", "ben", "149.2") == tuple(told[name] for name in ("outcome", "by", "approvedBy", "remaining"))
    assert "duplicate" == answer(run("approve", "t-1", "--by", "cid", "--json"))["outcome"]
    assert Decimal("149.2") == balance(world)


def test_a_proposal_is_withdrawn_by_who_proposed_it(run: Run) -> None:
    """And by nobody else, however that person spells the name."""
    run("u-1", "50", "--reason", "an outage", "--id", "t-1")

    assert isinstance(run("withdraw", "t-1", "--by", "ben").exception, CorrectionError)
    told = answer(run("withdraw", "t-1", "--by", "Ann ", "--json"))
    assert ("withdrawn", "t-1", "an outage") == (told["outcome"], told["id"], told["reason"])
    assert "proposal#t-1 is no proposal that waits" == str(run("approve", "t-1", "--by", "ben").exception)


def test_what_waits_and_what_was_adjusted_is_listed(run: Run) -> None:
    """Of one user or of all, since a day, for people and for machines."""
    run("u-1", "5", "--reason", "a gift", "--id", "t-1")
    run("--reason", "another", "--id", "t-2", "--", "list", "7")
    run("--reverse", "t-1", "--reason", "a mistake", "--id", "t-3", "--by", "ben")
    run("u-1", "50", "--reason", "an outage", "--id", "t-4")

    found = answer(run("list", "--json"))
    assert [("t-4", "u-1", "50", "ann")] == [(p["id"], p["user"], p["amount"], p["by"]) for p in found["proposals"]]
    made = [(m["id"], m["user"], m["moved"], m["by"], m["takenBackBy"]) for m in found["adjustments"]]
    assert [("t-1", "u-1", "5", "ann", "t-3"), ("t-2", "list", "7", "ann", ""), ("t-3", "u-1", "-5", "ben", "")] == made
    of_one = answer(run("list", "--user", "list", "--json"))
    assert ([], ["t-2"]) == (of_one["proposals"], [made["id"] for made in of_one["adjustments"]])
    assert [] == answer(run("list", "--since", "2999-01-01", "--json"))["adjustments"]
    shown = run("list").stdout
    assert ["1 wait for a second person", "3 adjustments"] == re.findall("^[0-9] .*$", shown, re.MULTILINE)
    assert {"t-1", "t-2", "t-3", "t-4"} == set(re.findall(r"t-[0-9]", shown))


def test_a_user_who_is_called_like_a_command_is_reached_behind_two_dashes(run: Run, world: World) -> None:
    """And one whose name begins with a dash."""
    assert "adjusted" == answer(run("--reason", "a gift", "--json", "--", "list", "5"))["outcome"]
    assert "adjusted" == answer(run("--reason", "a gift", "--json", "--", "-x", "-1"))["outcome"]
    assert (Decimal(6), Decimal(0)) == (balance(world, "list"), balance(world, "-x"))


def test_the_books_agree_with_all_that_people_have_adjusted(run: Run, world: World) -> None:
    """Entries, claims and balances: by the audit, and each log counted again."""
    run("u-1", "5", "--reason", "a gift", "--id", "t-1")
    run("u-1", "0.5", "--job", "j-1", "--reason", "the ending was cut", "--id", "t-2")
    run("--reverse", "t-1", "--reason", "a mistake", "--id", "t-3")
    run("u-1", "50", "--reason", "an outage", "--id", "t-4")
    run("approve", "t-4", "--by", "ben")

    audit = CliRunner().invoke(app, ["audit"])
    assert FINE == audit.exit_code, audit.output
    for reference in ("job#j-1", "adjust#t-1", "adjust#t-2", "adjust#t-3", "adjust#t-4"):
        recounted = CliRunner().invoke(app, ["explain", "--entry", reference])
        assert FINE == recounted.exit_code, recounted.output
        assert f"{reference}, entry 1 agrees" in recounted.stdout
    assert Decimal("149.7") == balance(world)


# --- looked at first --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        (("u-1", "5"), FINE, ("adjusted", "5", "99.2", "104.2", False)),
        (("u-1", "50"), FINE, ("adjusted", "50", "99.2", "149.2", True)),
        (("u-1", "50", "--job", "j-1"), FINE, ("adjusted", "0.8", "99.2", "100.0", True)),
        (("u-1", "-99.3"), FAILED, ("refused", "0", "99.2", "99.2", True)),
    ],
)
def test_a_dry_run_shows_the_balance_and_posts_nothing(
    run: Run, world: World, arguments: tuple[str, ...], status: int, expected: tuple[Any, ...]
) -> None:
    """Before and after, and whether a second person is needed."""
    before = world.everything()
    result = run(*arguments, "--reason", "a gift", "--dry-run", "--json")

    told = json.loads(result.stdout)
    assert (status, True) == (result.exit_code, told["dryRun"])
    names = ("outcome", "moved", "before", "after", "needsSecondPerson")
    assert expected == tuple(told[name] for name in names)
    assert before == world.everything()
    assert "" == run(*arguments, "--reason", "a gift", "--dry-run").stderr
    assert [] == answer(run("list", "--json"))["proposals"]


def test_what_the_balance_does_not_cover_is_refused_and_ends_with_1(run: Run, world: World) -> None:
    """The policy says so. Nothing is kept of it."""
    before = world.everything()
    run("u-1", "-20", "--reason", "a mistake", "--id", "t-0")
    for number in range(1, 4):
        run("u-1", "-20", "--reason", "a mistake", "--id", f"t-{number}")
    result = run("u-1", "-20", "--reason", "a mistake", "--id", "t-4")

    assert FAILED == result.exit_code
    assert "the balance of u-1 does not cover it, and the policy says `overdraft: refuse`" in result.stderr
    assert Decimal("19.2") == balance(world)
    assert before != world.everything()


# --- what makes no sense ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("u-1",), "name a USER and an AMOUNT"),
        (("--id", "t-1"), "name a USER and an AMOUNT"),
        (("--reverse", "t-1", "u-1", "5"), "leave out AMOUNT and --job"),
        (("--reverse", "t-1", "--job", "j-1"), "leave out AMOUNT and --job"),
        (("u-1", "1", "--job", "j-1", "--reference", "job#j-1"), "leave out --reference"),
        (("u-1", "five"), "'five' is no plain decimal"),
        (("u-1", "1e3"), "'1e3' is no plain decimal"),
        (("u-1", "-1.2.3"), "'-1.2.3' is no plain decimal"),
        (("u-1", "-1e3"), "'-1e3' is no plain decimal"),
        (("u-1", "-5,00"), "'-5,00' is no plain decimal"),
        (("u-1", "-.5"), "'-.5' is no plain decimal"),
        (("u-1", "5", "--by", " "), "a name has 1 to 256 characters"),
        (("u-1", "5", "--reason"), "requires an argument"),
        (("u-1", "5", "more"), "unexpected extra argument"),
        (("u-1", "5", "--resaon", "x"), "No such option"),
        (("approve",), "Missing argument"),
        (("approve", "t-1", "t-2"), "unexpected extra argument"),
        (("list", "u-1"), "unexpected extra argument"),
    ],
)
def test_wrong_usage_ends_with_2(run: Run, world: World, arguments: tuple[str, ...], problem: str) -> None:
    """It says what would be right, and by the name that was typed."""
    before = world.everything()
    of_default = arguments[0] not in {"approve", "list"} and "--reason" not in arguments
    result = run(*arguments, *(("--reason", "a gift") if of_default else ()))

    assert MISUSED == result.exit_code
    assert problem in " ".join(result.stderr.split())
    assert "nameless" not in result.stderr
    assert before == world.everything()


def test_a_reason_is_needed(run: Run) -> None:
    """Nobody has to guess later."""
    result = run("u-1", "5")

    assert MISUSED == result.exit_code
    assert "Missing option '--reason'" in result.stderr
    assert "Usage: reconciler adjust [OPTIONS]" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("u-9", "5"), "no such user in Credits"),
        (("u-1", "5", "--job", "j-9"), "job#j-9 has no entry in the ledger"),
        (("--job", "j-1", "--", "list", "5"), "job#j-1 is of user 'u-1', not of 'list'"),
        (("u-1", "-5", "--job", "j-1"), "to take more for a job reprice it, or adjust the user"),
        (("u-1", "101"), "`adjustments.maximum` of the policy is 100"),
        (("u-1", "0.00001"), "a credit has 4 places"),
        (("u-1", "5", "--reference", "grant#p-1"), "grant#p-1 has no entry"),
        (("--reverse", "t-9"), "adjust#t-9 is no adjustment in the ledger"),
    ],
)
def test_what_makes_no_sense_of_the_ledger_is_told_in_words(
    run: Run, world: World, arguments: tuple[str, ...], problem: str
) -> None:
    """By what the command tells with status 1. Nothing is posted."""
    before = world.everything()
    result = run("--reason", "a gift", *arguments)

    assert isinstance(result.exception, CorrectionError)
    assert problem in str(result.exception)
    assert before == world.everything()


@pytest.mark.usefixtures("run")
def test_what_makes_no_sense_ends_with_1_and_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole line on standard error."""
    monkeypatch.setattr("sys.argv", ["reconciler", "adjust", "u-1", "500", "--reason", "a gift", "--id", "t-1"])
    with pytest.raises(SystemExit) as ended:
        main()

    assert FAILED == ended.value.code
    said = "adjust#t-1 moves 500 credits; `adjustments.maximum` of the policy is 100\n"
    assert ("", said) == capsys.readouterr()


# --- who says it ------------------------------------------------------------------------------------------------------

USER = {"UserId": "AIDAEXAMPLE", "Account": "1", "Arn": "arn:aws:iam::1:user/support/Ann"}
SESSION = {"UserId": "AROASUPPORT:ann", "Account": "1", "Arn": "arn:aws:sts::1:assumed-role/Support/ann"}
OTHER_ROLE = {"UserId": "AROAADMIN:ann", "Account": "1", "Arn": "arn:aws:sts::1:assumed-role/Admin/ann"}
RENAMED = {"UserId": "AIDAEXAMPLE", "Account": "1", "Arn": "arn:aws:iam::1:user/anna"}
COLLEAGUE = {"UserId": "AROASUPPORT:ben", "Account": "1", "Arn": "arn:aws:sts::1:assumed-role/Support/ben"}
ROOT = {"UserId": "1", "Account": "1", "Arn": "arn:aws:iam::1:root"}


@pytest.mark.parametrize("answer", [USER, SESSION, OTHER_ROLE, RENAMED])
def test_one_person_is_one_person_under_every_role(answer: dict[str, str]) -> None:
    """By the unique id, or by the name of the user or of the session; capital letters make no other person."""
    assert answer["Arn"] == identity_of(answer).name
    assert identity_of(USER).may_be(identity_of(answer))
    assert not identity_of(answer).may_be(identity_of(COLLEAGUE))
    assert not identity_of(answer).may_be(identity_of(ROOT))


@pytest.mark.parametrize(
    ("endpoint", "is_own"),
    [
        ("https://dynamodb.eu-central-1.amazonaws.com", True),
        ("https://dynamodb.cn-north-1.amazonaws.com.cn", True),
        ("https://dynamodb.eu-central-1.api.aws", True),
        ("https://vpce-1.dynamodb.eu-central-1.vpce.amazonaws.com", True),
        ("http://localhost:8000", False),
        ("https://dynamodb.amazonaws.com.example.org", False),
        ("https://notamazonaws.com", False),
    ],
)
def test_which_endpoints_are_of_aws(endpoint: str, is_own: bool) -> None:  # noqa: FBT001
    """By the list of partitions that botocore brings along."""
    assert is_own is is_of_aws(endpoint)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let botocore's own calls to AWS be answered by moto, in this process."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with mock_aws():
        yield


@pytest.mark.usefixtures("account")
def test_aws_itself_says_who_calls_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Not the machine, and not ``--by``."""
    monkeypatch.setenv("LOGNAME", "ann")
    place = Place(region="eu-central-1")

    who = identity(place, None)
    assert re.fullmatch(r"arn:aws:sts::[0-9]{12}:user/moto", who.name)
    assert "moto" == who.person
    with pytest.raises(typer.Exit) as ended:
        identity(place, "ben")
    assert MISUSED == ended.value.exit_code
    said = "--by: AWS itself says who calls https://dynamodb.eu-central-1.amazonaws.com; leave it out"
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("account")
def test_nobody_but_aws_says_who_calls_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service of another name would say what somebody wants."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://localhost:1")

    with pytest.raises(LedgerError, match="http://localhost:1 is not AWS's own"):
        identity(Place(region="eu-central-1"), None)
