"""Where a command works: a stack names its tables, and what is wrong with tables and endpoints is told in one line.

Each command is tried against each trouble. It ends before it has done anything, and names what a person can mend.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import asdict, define, field

from engine.cli.app import main
from engine.cli.options import FIRST_ANSWER_SECONDS
from engine.ledger.dynamodb.tables import KEYS
from engine.ledger.store import Tables
from engine.reconcile.wiring import READ_SECONDS_MAX
from tests.support.events import rendered
from tests.support.world import World
from tools.environments import ROOT
from tools.local_aws import REGION, LocalAws, table_names, tables_environment
from tools.template import load, table_schemas

FINE, FAILED, MISUSED = 0, 1, 2

VIDEO = ROOT / "policies" / "video.yaml"

QUEUE = ("--queue", "no-such-queue")

COMMANDS: Mapping[str, tuple[str, ...]] = {
    "statement": ("statement", "u-1"),
    "job": ("job", "j-1"),
    "look-back": ("look-back", "--policy", str(VIDEO)),
    "explain": ("explain", "--entry", "job#j-1"),
    "replay": ("replay", "{events}"),
    "scan": ("scan",),
    "audit": ("audit", "--verify"),
    "repair": ("audit", "--repair", "--reason", "a test"),
    "unmark": ("unmark", "--since", "2026-01-06T00:00:00Z"),
    "anomalies list": ("anomalies", "list"),
    "anomalies show": ("anomalies", "show", "job#j-1"),
    "anomalies resolve": ("anomalies", "resolve", "job#j-1", "--note", "a test"),
    "anomalies explain": ("anomalies", "explain", "job#j-1", "--store"),
    "anomalies digest": ("anomalies", "digest"),
    "dead-letters replay": ("dead-letters", "replay", "--all", *QUEUE),
}
"""Every command that needs a table."""

OF_QUEUES: Mapping[str, tuple[str, ...]] = {
    "dead-letters list": ("dead-letters", "list", *QUEUE),
    "dead-letters show": ("dead-letters", "show", *QUEUE),
    "dead-letters drop": ("dead-letters", "drop", "--all", *QUEUE),
}
"""Every command that asks a queue first."""

SOME = ("statement", "replay", "scan", "dead-letters list")
"""One of each way to begin."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command in a folder of its own; it returns the status and what was said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLICY_FILE", str(policy))
    (tmp_path / "events.jsonl").write_text("".join(f"{json.dumps(rendered(f'j-{number}'))}\n" for number in range(40)))

    def called(*command: str) -> tuple[int, str, str]:
        words = [word.replace("{events}", "events.jsonl") for word in command]
        monkeypatch.setattr("sys.argv", ["reconciler", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return called


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a tenth of what the command waits."""
    monkeypatch.setattr("engine.reconcile.wiring.READ_SECONDS_MAX", 0.2)
    monkeypatch.setattr("engine.cli.options.READ_SECONDS_MAX", 0.2)
    monkeypatch.setattr("engine.cli.options.FIRST_ANSWER_SECONDS", 0.5)


# --- endpoints that are none ------------------------------------------------------------------------------------------


@define
class Server:
    """A server that is no AWS, or one that refuses: it answers every request alike, and counts them."""

    status: int
    kind: str
    body: str
    requests: list[str] = field(factory=list)
    url: str = ""


@contextmanager
def served(server: Server) -> Iterator[Server]:
    """Run the server on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.requests.append(self.headers.get("x-amz-target", self.path))
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(server.status)
            self.send_header("content-type", server.kind)
            self.send_header("content-length", str(len(server.body)))
            self.end_headers()
            self.wfile.write(server.body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.url = f"http://127.0.0.1:{running.server_port}"
        yield server
        running.shutdown()
        thread.join()


@define
class Hole:
    """A server that accepts connections and never answers."""

    listener: socket.socket

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accepted(self) -> int:
        """Return how many connections there were."""
        self.listener.settimeout(0)
        number = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.listener.accept()[0].close()
                number += 1
        return number


@contextmanager
def black_hole() -> Iterator[Hole]:
    """Listen on a port of this machine."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield Hole(listener)


EXPIRED = json.dumps({"__type": "x#ExpiredTokenException", "message": "The security token included in the request is expired"})
HTML = "<html><body><h1>It works!</h1></body></html>"
WEB_SERVER, EXPIRED_TOKEN = Server(200, "text/html; charset=utf-8", HTML), Server(400, "application/x-amz-json-1.0", EXPIRED)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", SOME)
def test_an_endpoint_where_nobody_listens_is_told_in_one_line(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its URL."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    is_refused(run, command, "Could not connect to the endpoint URL", "http://127.0.0.1:9")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("command", SOME)
def test_an_endpoint_that_never_answers_is_told_in_one_line(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts what is sent, and says nothing."""
    with black_hole() as hole:
        monkeypatch.setenv("AWS_ENDPOINT_URL", hole.url)

        is_refused(run, command, "Read timeout on endpoint URL", hole.url)


def test_an_endpoint_that_never_answers_is_given_up_within_five_seconds(run: Run) -> None:
    """Two requests, each of which waits for two seconds; a third would not end in time."""
    with black_hole() as hole:
        status, _, said = run("statement", "u-1", "--endpoint-url", hole.url)
        requests = hole.accepted()

    assert (FAILED, 2) == (status, requests)
    assert "DynamoDB gave no answer in time" in said
    assert 5 == FIRST_ANSWER_SECONDS > 2 * READ_SECONDS_MAX


@pytest.mark.parametrize("command", [*COMMANDS, *OF_QUEUES])
def test_a_web_server_is_told_from_an_aws(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request was enough; an empty page is not an empty table."""
    with served(Server(**asdict(WEB_SERVER))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)

        is_refused(
            run, command, f"{server.url}: a web server answers there (status 200, text/html; charset=utf-8), and no AWS"
        )

    assert 1 == len(server.requests)


@pytest.mark.parametrize("status", [404, 501])
def test_a_web_server_that_refuses_is_told_too(run: Run, status: int) -> None:
    """As the simplest ones do with what they do not know."""
    with served(Server(status, "text/html", HTML)) as server:
        ended, _, said = run("scan", "--endpoint-url", server.url)

    assert FAILED == ended
    assert f"a web server answers there (status {status}, text/html), and no AWS" in said


def test_what_speaks_json_and_is_no_database_is_told(run: Run) -> None:
    """Any other service of one's own."""
    with served(Server(200, "application/json", '{"hello": 1}')) as server:
        status, _, said = run("scan", "--endpoint-url", server.url)

    assert (FAILED, 1) == (status, said.count("\n"))
    assert "what answers there is no DynamoDB" in said


@pytest.mark.parametrize("command", SOME)
def test_credentials_that_have_expired_are_told_in_one_line(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one request: no event of a file is refused by itself."""
    with served(Server(**asdict(EXPIRED_TOKEN))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)

        is_refused(run, command, "ExpiredToken", "The security token included in the request is expired")

    assert 1 == len(server.requests)


@pytest.mark.parametrize("command", SOME)
def test_without_a_region_one_is_asked_for(run: Run, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In botocore's words, and with the ways to name one."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)

    is_refused(run, command, "You must specify a region.", "--region")


@pytest.mark.parametrize("command", SOME)
def test_an_endpoint_that_is_no_url_is_wrong_usage(run: Run, command: str) -> None:
    """And what one looks like is said."""
    status, out, said = run(*(COMMANDS | OF_QUEUES)[command], "--endpoint-url", "localhost:8000")

    assert (MISUSED, "") == (status, out)
    assert "localhost:8000: Invalid endpoint: localhost:8000; an endpoint is a URL, like http://localhost:8000\n" == said


def is_refused(run: Run, command: str, *words: str) -> None:
    """Check that a command fails with one line that has these words, and leaves nothing behind."""
    before = sorted(path.name for path in Path.cwd().iterdir())
    status, out, said = run(*(COMMANDS | OF_QUEUES)[command])

    assert (FAILED, "") == (status, out)
    assert 1 == said.count("\n"), said
    assert [] == [word for word in words if word not in said], said
    assert before == [name for name in sorted(path.name for path in Path.cwd().iterdir()) if name != "dropped-letters.jsonl"]


# --- tables that are not there, or are others -------------------------------------------------------------------------


@pytest.fixture
def world(dynamodb: Any, tables: Tables, aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return tables that the command finds through the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    for name, value in tables_environment(tables).items():
        monkeypatch.setenv(name, value)
    return World(dynamodb, tables).user("u-1", "1000")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_table_that_is_not_there_is_told_by_its_name_and_the_variable_that_named_it(
    world: World, run: Run, command: str, monkeypatch: pytest.MonkeyPatch, aws: LocalAws
) -> None:
    """Before anything is done: no event is refused one by one, no row is read."""
    monkeypatch.setenv("LEDGER_TABLE", "Ledgr")

    is_refused(run, command, f"LEDGER_TABLE=Ledgr: there is no such table in us-east-1 at {aws.endpoint}\n")

    assert {"jobs": [], "ledger": []} == {name: world.everything()[name] for name in ("jobs", "ledger")}


@pytest.mark.parametrize(
    ("variable", "command"),
    [
        ("JOBS_TABLE", "scan"),
        ("CREDITS_TABLE", "statement"),
        ("STATE_TABLE", "replay"),
        ("SEALS_TABLE", "audit"),
    ],
)
def test_each_table_is_told_by_its_own_variable(
    world: World, run: Run, variable: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that a command works without where nobody names them."""
    assert world
    monkeypatch.setenv(variable, "wrong")

    is_refused(run, command, f"{variable}=wrong: there is no such table")


def test_a_table_is_told_by_the_option_that_named_it(world: World, run: Run) -> None:
    """The option counts before the variable."""
    assert world
    status, _, said = run("statement", "u-1", "--ledger-table", "Ledgr")

    assert FAILED == status
    assert said.startswith("--ledger-table Ledgr: there is no such table in ")


def test_a_table_that_nobody_named_is_told_with_what_would_name_it(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is for somebody who has set nothing yet."""
    assert world
    monkeypatch.delenv("CREDITS_TABLE")
    status, _, said = run("statement", "u-1")

    assert FAILED == status
    assert said.startswith("Credits (CREDITS_TABLE is not set): there is no such table in ")
    assert said.endswith("; name the tables by options, by variables or by --stack\n")


def test_what_no_credit_depends_on_may_be_missing_where_nobody_names_it(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay posts without State, an audit adds up without Seals; but what is to be sealed needs them."""
    monkeypatch.delenv("STATE_TABLE")
    monkeypatch.delenv("SEALS_TABLE")

    assert FINE == run("replay", "{events}")[0]
    assert FINE == run("audit")[0]
    assert "Seals (SEALS_TABLE is not set): there is no such table" in run("audit", "--seal")[2]
    assert 40 == len(world.everything()["ledger"])


@pytest.mark.parametrize("command", ["replay", "statement"])
def test_a_table_of_another_kind_is_told_by_its_key(
    world: World, run: Run, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody has taken one variable for another."""
    monkeypatch.setenv("LEDGER_TABLE", world.tables.credits)

    is_refused(
        run, command, f"LEDGER_TABLE={world.tables.credits}: its key is userId (S); "
        "the table of ledger has reference (S) and sequence (N)",
    )  # fmt: skip


def test_the_keys_are_those_of_the_template() -> None:
    """What a command asks for is what is deployed."""
    kinds = {logical_id: kind for kind, logical_id in zip(asdict(Tables()), table_names(Tables()), strict=True)}
    deployed = {
        kinds[logical_id]: {key["AttributeName"]: types[key["AttributeName"]] for key in schema["KeySchema"]}
        for logical_id, schema in table_schemas().items()
        for types in [{each["AttributeName"]: each["AttributeType"] for each in schema["AttributeDefinitions"]}]
    }

    assert KEYS == deployed


# --- a stack that names them ------------------------------------------------------------------------------------------

NAMES = {
    "JOBS_TABLE": "JobsTableName",
    "CREDITS_TABLE": "CreditsTableName",
    "LEDGER_TABLE": "LedgerTableName",
    "STATE_TABLE": "StateTableName",
    "SEALS_TABLE": "SealsTableName",
}


@define
class Stacks:
    """Stacks on the local AWS, each with a queue and whatever outputs it is to have."""

    client: Any
    made: list[str] = field(factory=list)

    def make(self, outputs: Mapping[str, Any]) -> str:
        """Make a stack with these outputs, and return its name."""
        name = f"stack-{uuid.uuid4().hex[:8]}"
        queues = {
            each: {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"{name}-{each}"}}
            for each in ("Failed", "Undelivered")
        }
        template = {"Resources": queues, "Outputs": {key: {"Value": value} for key, value in outputs.items()}}
        self.client.create_stack(StackName=name, TemplateBody=json.dumps(template))
        self.client.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
        self.made.append(name)
        return name


@pytest.fixture
def stacks(aws: LocalAws) -> Iterator[Stacks]:
    """Return what makes stacks, which are gone at the end."""
    made = Stacks(aws.client("cloudformation"))
    yield made
    for name in made.made:
        made.client.delete_stack(StackName=name)
    made.client.close()


def outputs_of(tables: Tables) -> dict[str, Any]:
    """Return the outputs that the template has."""
    named = {output: tables_environment(tables)[variable] for variable, output in NAMES.items()}
    queues = {"FailedEventsQueueUrl": {"Ref": "Failed"}, "UndeliveredEventsQueueUrl": {"Ref": "Undelivered"}}
    return {**named, **queues, "PolicyFile": "policies/video.yaml"}


@pytest.fixture
def unnamed(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return tables that no variable names."""
    for name in NAMES:
        monkeypatch.delenv(name)
    return world


def test_a_stack_names_tables_queues_and_policy(unnamed: World, stacks: Stacks, run: Run) -> None:
    """From one word, each command finds what it needs."""
    name = stacks.make(outputs_of(unnamed.tables))

    assert FINE == run("replay", "{events}", "--policy", "policy.yaml", "--stack", name)[0]
    assert 40 == len(unnamed.everything()["ledger"])
    assert "j-39" in run("statement", "u-1", "--stack", name)[1]
    assert FINE == run("audit", "--seal", "--verify", "--stack", name)[0]
    assert "0 dead letters" in run("dead-letters", "list", "--stack", name)[1]
    assert "entry 1 agrees: debit of -0.8" in run("explain", "--entry", "job#j-1", "--stack", name)[1]
    planned = run("plan", "policy.yaml", "--policy", "policy.yaml", "--ledger", "--stack", name)[1]
    assert "40 facts that the ledger keeps of 40 jobs and grants" in planned


def test_the_policy_of_a_stack_is_the_file_beside_the_program(unnamed: World, stacks: Stacks, run: Run) -> None:
    """A folder without it will do; a stack that runs a file which is not here is told."""
    name = stacks.make(outputs_of(unnamed.tables))
    other = stacks.make({**outputs_of(unnamed.tables), "PolicyFile": "policies/ours.yaml"})
    unnamed.job("lost")

    assert FINE == run("scan", "--stack", name)[0]
    assert "video@" in unnamed.entries("lost")[0]["policy"]
    status, _, said = run("scan", "--stack", other)
    assert MISUSED == status
    assert f"policies/ours.yaml' does not exist; the stack {other} runs it: name a copy with --policy" in " ".join(
        said.split()
    )


def test_a_stack_counts_before_variables_and_an_option_before_the_stack(
    unnamed: World, stacks: Stacks, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was typed says more than what was set once."""
    name = stacks.make(outputs_of(unnamed.tables))
    monkeypatch.setenv("LEDGER_TABLE", "of-another-day")

    assert FINE == run("audit", "--stack", name)[0]
    assert run("audit", "--stack", name, "--ledger-table", "Ledgr")[2].startswith(
        "--ledger-table Ledgr: there is no such table"
    )


def test_a_table_that_is_gone_is_told_by_the_stack_that_names_it(unnamed: World, stacks: Stacks, run: Run) -> None:
    """And by the output."""
    name = stacks.make({**outputs_of(unnamed.tables), "LedgerTableName": "Ledger-gone"})

    status, _, said = run("audit", "--stack", name)

    assert FAILED == status
    assert said.startswith(f"Ledger-gone (LedgerTableName of the stack {name}): there is no such table in ")


@pytest.mark.parametrize("command", ["audit", "replay", "dead-letters list"])
def test_a_stack_that_is_not_there_is_told(unnamed: World, run: Run, command: str, aws: LocalAws) -> None:
    """With where it was looked for."""
    assert unnamed
    words = [word for word in (COMMANDS | OF_QUEUES)[command] if word not in QUEUE]
    status, out, said = run(*words, "--stack", "no-such-stack")

    assert (FAILED, "") == (status, out)
    assert f"there is no stack no-such-stack in us-east-1 at {aws.endpoint}\n" == said


def test_a_stack_of_something_else_is_told_by_the_output_that_it_lacks(unnamed: World, stacks: Stacks, run: Run) -> None:
    """Or one of an earlier version."""
    assert unnamed
    name = stacks.make({"Something": "else"})

    status, out, said = run("audit", "--stack", name)

    assert (FAILED, "") == (status, out)
    assert said.startswith(f"the stack {name} (CREATE_COMPLETE) has no output JobsTableName; is it a stack of this project's ")


DENIED = """<ErrorResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><Error><Type>Sender</Type>
<Code>AccessDenied</Code><Message>User: x is not authorized to perform: cloudformation:DescribeStacks</Message></Error>
<RequestId>1</RequestId></ErrorResponse>"""


def test_a_stack_that_may_not_be_read_is_told_with_what_allows_it(run: Run) -> None:
    """The template has a policy for it."""
    with served(Server(403, "text/xml", DENIED)) as server:
        status, out, said = run("audit", "--stack", "prod", "--endpoint-url", server.url)

    assert (FAILED, "") == (status, out)
    assert "the stack prod cannot be read: " in said
    assert "is not authorized to perform: cloudformation:DescribeStacks" in said
    assert said.endswith("the policy that the stack's output OperatorPolicyArn names allows it\n")


def test_a_region_and_a_profile_can_be_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They count before the environment's; the region goes to each service, the profile says whose the request is."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", REGION)
    (tmp_path / "config").write_text(
        "[profile theirs]\naws_access_key_id = THEIRKEY\naws_secret_access_key = secret\nregion = eu-north-1\n"
    )
    signed: list[str] = []
    with served(Server(**asdict(EXPIRED_TOKEN))) as server:
        monkeypatch.setattr("engine.cli.place._refuse_pages", lambda *_, **__: None)
        monkeypatch.setattr("botocore.auth.SigV4Auth._inject_signature_to_request", _noting(signed))
        run("statement", "u-1", "--endpoint-url", server.url, "--region", "eu-west-3", "--profile", "theirs")
        status, _, said = run("statement", "u-1", "--endpoint-url", server.url, "--profile", "nobodys")

    assert 1 == len(signed)
    assert "THEIRKEY/" in signed[0]
    assert "/eu-west-3/dynamodb/" in signed[0]
    assert (FAILED, "The config profile (nobodys) could not be found\n") == (status, said)


def _noting(signed: list[str]) -> Callable[..., Any]:
    """Return what notes whose signature a request gets."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415  what it was before

    inject = SigV4Auth._inject_signature_to_request  # noqa: SLF001

    def noted(self: Any, request: Any, signature: str) -> Any:
        injected = inject(self, request, signature)
        signed.append(str(request.headers["Authorization"]))
        return injected

    return noted


def test_the_template_has_every_output_that_a_stack_is_asked_for() -> None:
    """By the names that the command knows."""
    asked = {*NAMES.values(), "FailedEventsQueueUrl", "UndeliveredEventsQueueUrl", "PolicyFile"}

    assert asked <= load()["Outputs"].keys()
