"""Options that several commands share, and what they open."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict, frozen

from engine.cli.place import Place, TableName
from engine.cli.stack import Stack as DeployedStack
from engine.cli.stack import read_stack
from engine.domain.errors import LedgerError, LedgerRefused, shown
from engine.domain.instants import read_instant
from engine.domain.references import JOB
from engine.domain.texts import KEY_BYTES_MAX, is_key
from engine.ledger.store import Store, Tables
from engine.policy import load_policy
from engine.reconcile.reconciler import Reconciler
from engine.reconcile.wiring import HOME, READ_SECONDS_MAX, store_on, table_problem
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Telemetry

FOREVER_SECONDS = 10.0 * 365 * 24 * 60 * 60
PATIENCE_SECONDS = 60.0
"""How long the command goes on trying one request before it gives up."""

FIRST_ANSWER_SECONDS = 5.0
"""How long the command waits for its first answer: who waits longer has most likely named another endpoint than was meant."""

KEYWORD = inspect.Parameter.KEYWORD_ONLY

IN_S3 = "s3://"
"""What the name of a bucket begins with, where a folder could be meant."""

COMMANDLINE = "COMMANDLINE"
"""What typer calls the source of a value that was typed."""

# --- what stands for what is not typed --------------------------------------------------------------------------------


def _table(output: str) -> Callable[..., TableName]:
    """Return what gives a table's option its value: what was typed, else the stack's output, else the variable, the default.

    The name carries who named it, so that an error can say it.
    """

    def named(ctx: typer.Context, param: typer.CallbackParam, value: str) -> TableName:
        if (source := _source(ctx, param)) == COMMANDLINE:
            return TableName(value, f"{param.opts[0]} {value}")
        if (stack := _stack(ctx)) is not None:
            name = stack.output(output)
            return TableName(name, f"{name} ({output} of the stack {stack.name})")
        variable = str(param.envvar)
        if source == "ENVIRONMENT":
            return TableName(value, f"{variable}={value}")
        return TableName(value, f"{value} ({variable} is not set)", is_default=True)

    return named


def _policy(ctx: typer.Context, param: typer.CallbackParam, value: Path) -> Path:
    """Return the policy's file: as typed, else the one that the stack runs, else the variable's or the default."""
    stack = None if _source(ctx, param) == COMMANDLINE else _stack(ctx)
    if stack is not None:
        named = Path(stack.output("PolicyFile"))
        value = named if named.is_file() else HOME / named
    if value.is_file():
        return value
    whose = f"; the stack {stack.name} runs it: name a copy with --policy" if stack is not None else "."
    raise typer.BadParameter(f"File {str(value)!r} does not exist{whose}")


def _policy_if_there(ctx: typer.Context, param: typer.CallbackParam, value: Path) -> Path | None:
    """Return the policy's file, or None where nobody has typed one and none is found."""
    try:
        return _policy(ctx, param, value)
    except typer.BadParameter:
        if _source(ctx, param) == COMMANDLINE:
            raise
        return None


def _policy_of_seal(ctx: typer.Context, param: typer.CallbackParam, value: Path | None) -> Path | None:
    """Return the policy's file as typed, or with ``--seal`` the one that the stack or the variable names, if it is here."""
    if _source(ctx, param) == COMMANDLINE:
        return _policy(ctx, param, value or DEFAULT_POLICY)
    if not ctx.params.get("seal") or (value is None and _stack(ctx) is None):  # what is typed is read before what is not
        return None
    with suppress(typer.BadParameter):
        return _policy(ctx, param, value or DEFAULT_POLICY)
    return None


def stack_queues(ctx: typer.Context, param: typer.CallbackParam, value: list[str]) -> list[str]:
    """Return the queues: as typed, else those of the stack, else the variable's."""
    if _source(ctx, param) != COMMANDLINE and (stack := _stack(ctx)) is not None:
        return [stack.output("FailedEventsQueueUrl"), stack.output("UndeliveredEventsQueueUrl")]
    if not value:
        raise typer.BadParameter("name a queue, a --stack, or both queues in DEAD_LETTER_QUEUES")
    return value


def archive_named(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """Return where the archive of entries is: as typed, else the bucket of the stack, else the variable's."""
    source = _source(ctx, param)
    if source != COMMANDLINE and (stack := _stack(ctx)) is not None:
        return f"{IN_S3}{stack.output('ArchiveBucketName')}"
    if not value:
        raise typer.BadParameter("name the archive, like s3://BUCKET, or a --stack")
    return value if source == COMMANDLINE or "/" in value else f"{IN_S3}{value}"  # a bucket's name alone, as functions have it


def archive_if_named(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """Return where the archive of entries is, as ``archive_named`` does; empty where nobody has said, or there is none."""
    if _source(ctx, param) == COMMANDLINE:
        return value
    stack = _stack(ctx)
    named = stack.outputs.get("ArchiveBucketName", "") if stack is not None else value
    return f"{IN_S3}{named}" if named and not named.startswith(IN_S3) else named


def _source(ctx: typer.Context, param: typer.CallbackParam) -> str:
    source = ctx.get_parameter_source(str(param.name))
    return source.name if source is not None else ""


def _stack(ctx: typer.Context) -> DeployedStack | None:
    """Return the stack that is named, read once."""
    if (name := ctx.params.get("stack")) is None:
        return None
    place = Place(*(ctx.params.get(option) for option in WHERE))
    read: DeployedStack = ctx.meta.setdefault("stack", None) or read_stack(place, name)
    ctx.meta["stack"] = read
    return read


def day_or_instant(text: str) -> datetime:
    """Return an instant as it is written: ISO 8601 with a zone, or a day, which begins at midnight UTC."""
    if (instant := read_instant(text)) is not None:
        return instant
    try:
        return datetime.combine(date.fromisoformat(text), time(tzinfo=UTC))
    except ValueError as error:
        problem = f"is {shown(text)}; write a day like 2026-01-31, or an instant with its zone like 2026-01-31T10:00:00Z"
        raise typer.BadParameter(problem) from error


def key_of_a_table(value: str | None) -> str | None:
    """Return the name of a user or a job; one that no table can hold is refused before a table is asked."""
    if value is not None and not is_key(f"{JOB}{value}" if value else value):
        raise typer.BadParameter(f"is {shown(value)}; a name has 1 to {KEY_BYTES_MAX - len(JOB)} bytes of UTF-8")
    return value


def name_of_a_log(value: str | None) -> str | None:
    """Return a reference; one that no table can hold is refused before a table is asked."""
    if value is not None and not is_key(value):
        raise typer.BadParameter(f"is {shown(value)}; a reference has 1 to {KEY_BYTES_MAX} bytes of UTF-8")
    return value


# --- the options ------------------------------------------------------------------------------------------------------

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Endpoint = Annotated[str | None, typer.Option("--endpoint-url", help="AWS to use.  [default: as every AWS tool finds it]")]
Region = Annotated[str | None, typer.Option("--region", help="Region to use.  [default: as every AWS tool finds it]")]
Profile = Annotated[str | None, typer.Option("--profile", help="Profile to use.  [default: as every AWS tool finds it]")]
Stack = Annotated[
    str | None,
    typer.Option("--stack", help="Use the tables, queues and policy file of this deployed stack."),
]
JobsTable = Annotated[str, typer.Option(envvar="JOBS_TABLE", help="Table of jobs.", callback=_table("JobsTableName"))]
CreditsTable = Annotated[
    str, typer.Option(envvar="CREDITS_TABLE", help="Table of balances.", callback=_table("CreditsTableName"))
]
LedgerTable = Annotated[str, typer.Option(envvar="LEDGER_TABLE", help="Table of entries.", callback=_table("LedgerTableName"))]
StateTable = Annotated[
    str,
    typer.Option(envvar="STATE_TABLE", help="Table of baselines and counters.", callback=_table("StateTableName")),
]
SealsTable = Annotated[
    str,
    typer.Option(envvar="SEALS_TABLE", help="Table of seals.", callback=_table("SealsTableName")),
]
PolicyFile = Annotated[Path, typer.Option("--policy", envvar="POLICY_FILE", help="Policy file.", callback=_policy)]
PolicyFileIfThere = Annotated[
    Path | None, typer.Option("--policy", envvar="POLICY_FILE", help="Policy file.", callback=_policy_if_there)
]
Since = Annotated[
    datetime | None,
    typer.Option(parser=day_or_instant, metavar="DAY", help="Only from this day or instant on; a day begins at midnight UTC."),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=day_or_instant, metavar="DAY", help="Only before this day or instant."),
]
SealPolicy = Annotated[
    Path | None,
    typer.Option("--policy", envvar="POLICY_FILE", help="With --seal: whose `grants` counts.", callback=_policy_of_seal),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Write the log line of each outcome to standard error.")]

DEFAULT_POLICY = Path("policies/video.yaml")

WHERE: Mapping[str, Any] = {"endpoint_url": Endpoint, "region": Region, "profile": Profile, "stack": Stack}
"""The options that say where a command works."""


def on_aws[R](command: Callable[..., R]) -> Callable[..., R]:
    """Give a command the options of ``WHERE``, and hand them over to it as its argument ``place``."""

    @functools.wraps(command)
    def run(**given: Any) -> R:
        return command(place=Place(*(given.pop(name) for name in WHERE)), **given)

    own = inspect.signature(command, eval_str=True)
    options = [inspect.Parameter(name, KEYWORD, default=None, annotation=option) for name, option in WHERE.items()]
    shown = [*(each for each in own.parameters.values() if each.name != "place"), *options]
    run.__dict__["__signature__"] = own.replace(parameters=shown)  # which typer reads
    run.__annotations__ = {each.name: each.annotation for each in shown} | {"return": own.return_annotation}
    return run


# --- what they open ---------------------------------------------------------------------------------------------------

MAY_BE_MISSING = frozenset({"state", "seals"})
"""Where nobody names these tables, a command that only looks into them works without."""


@frozen
class Target:
    """The tables that a command works on."""

    tables: Tables
    place: Place

    def ledger(self, connections: int = 10, needed: frozenset[str] = frozenset()) -> Store:
        """Open the tables. Raises LedgerError where one of them is not there, or is another kind of table.

        A table that may be missing is looked at where somebody has named it, and where it is ``needed``.
        """
        client = self.place.client("dynamodb", connections)
        deadline = Clock().deadline(min(PATIENCE_SECONDS, FIRST_ANSWER_SECONDS - READ_SECONDS_MAX))
        for kind, name in asdict(self.tables).items():
            if isinstance(name, TableName) and not (name.is_default and kind in MAY_BE_MISSING - needed):
                _look(client, kind, name, deadline)
        return store_on(client, self.tables, Clock())

    def addresses(self) -> dict[str, str]:
        """Return what tells these balances and entries from all others, whoever asks: the tables' ARNs."""
        client = self.place.client("dynamodb", 1)
        named = {"credits": self.tables.credits, "ledger": self.tables.ledger}
        return {kind: str(client.describe_table(TableName=str(name))["Table"]["TableArn"]) for kind, name in named.items()}

    def description(self) -> dict[str, str]:
        """Return what tells this target from another."""
        return {
            "jobs": str(self.tables.jobs),
            "credits": str(self.tables.credits),
            "ledger": str(self.tables.ledger),
            "endpoint": self.place.endpoint_of("dynamodb") or "aws",
            "region": self.place.region or os.environ.get("AWS_REGION") or "",
            "profile": self.place.profile or os.environ.get("AWS_PROFILE") or "",
        }


def _look(client: Any, kind: str, name: TableName, deadline: Deadline) -> None:
    """Raise LedgerError where a table is not what it should be."""
    try:
        problem = table_problem(client, kind, name, deadline)
    except LedgerRefused as error:
        raise LedgerRefused(f"{name.said}: the table cannot be looked at: {error}") from error
    if problem is not None:
        hint = "; name the tables by options, by variables or by --stack" if name.is_default else ""
        raise LedgerError(f"{name.said}: {problem} in {client.meta.region_name} at {client.meta.endpoint_url}{hint}")


def open_reconciler(target: Target, policy: Path, connections: int, write: Callable[[str], None]) -> Reconciler:
    """Return a reconciler on the target that reports each outcome to ``write``."""
    clock = Clock()
    telemetry = Telemetry(write, clock, {"FunctionName": "reconciler"}, logging.INFO)
    return Reconciler(load_policy(policy), target.ledger(connections), telemetry, clock)


def reporter(*, verbose: bool, then: Callable[[], None] = lambda: None) -> Callable[[str], None]:
    """Return what takes the log lines: it counts, and shows them where that was asked for."""

    def write(line: str) -> None:
        if verbose:
            print(line, file=sys.stderr)
        then()

    return write


def forever() -> Deadline:
    """Return a deadline that does not come."""
    return Clock().deadline(FOREVER_SECONDS)


def patience() -> Deadline:
    """Return the deadline of one request."""
    return Clock().deadline(PATIENCE_SECONDS)
