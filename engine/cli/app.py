"""The ``reconciler`` command: all that it can do, in one table. A command is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Annotated, Any

import typer
from attrs import frozen
from typer.core import TyperGroup

from engine.cli.program import PROGRAM, version_line
from engine.cli.status import FAILED
from engine.domain.errors import CorrectionError, EventError, LedgerError, NoOpenAnomaly, PolicyError, QueueError


@frozen
class Command:
    """A command: the module and the name of its function (or of the ``Typer`` of its own commands), and its line of help."""

    module: str
    function: str
    summary: str


COMMANDS: Mapping[str, Command] = {
    "validate": Command("policies", "validate", "Check policy files, and show every mistake with its line."),
    "test": Command("policy_tests", "run_policy_tests", "Run policy tests: what given events must post."),
    "explain": Command("policies", "explain", "Show why an event, or an entry, costs what it costs."),
    "plan": Command("plan", "show_plan", "Show what an edit of the policy would do to given events."),
    "schema": Command("policies", "schema", "Print the JSON Schema of a policy file, for editors."),
    "replay": Command("ledger", "replay", "Send a file of events through the engine."),
    "scan": Command("ledger", "scan", "Charge and refund the jobs whose event was lost."),
    "audit": Command("audit", "audit", "Check that entries add up to the balances, or repair them."),
    "reprice": Command("reprice", "reprice", "Plan what charges should have cost at other prices."),
    "apply": Command("apply", "apply", "Post a plan of `reprice`, exactly as it was written."),
    "archive": Command("archive", "app", "Take in, restore or compact what the archive of entries has."),
    "export": Command("export", "export", "Write the ledger's entries into files, as the archive has them."),
    "unmark": Command("unmark", "unmark", "After a restore: take marks off jobs whose entry is gone."),
    "statement": Command("statement", "statement", "Show a user's entries, with the balance after each."),
    "job": Command("job", "job", "Tell a job's whole story: events, entries, what counts now."),
    "adjust": Command("adjust", "app", "Give a user credits or take some, once by an id."),
    "look-back": Command("look_back", "look_back", "Find what many entries show, like work charged twice."),
    "dead-letters": Command("dead_letters", "app", "List, show, replay or drop events that were not processed."),
    "anomalies": Command("anomalies", "app", "List, show, explain or resolve what the policy flagged."),
}
"""A new command is a function in a module of this folder, a line here, and ``python -m tools.help_texts``."""

SETTINGS: Mapping[str, Any] = {"add_completion": False, "rich_markup_mode": None, "pretty_exceptions_enable": False}


class _OnDemand(TyperGroup):
    """A group that knows its commands' names, and imports a command when it is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        names: dict[str, Any] = dict.fromkeys(COMMANDS)  # the library looks at the names alone
        self.commands = names

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        del ctx
        return _imported(cmd_name, COMMANDS[cmd_name]) if cmd_name in COMMANDS else None


def _imported(name: str, command: Command) -> Any:
    """Return a command as the library sees it."""
    found = getattr(import_module(f"engine.cli.{command.module}"), command.function)
    alone = typer.Typer(**SETTINGS)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name, short_help=command.summary)
    else:
        alone.command(name, short_help=command.summary)(found)
        alone.callback()(_start)  # otherwise it would be no group
    group: Any = typer.main.get_command(alone)
    return group.commands[name]


def _show_version(is_asked: bool) -> None:  # noqa: FBT001  the library calls it so
    if is_asked:
        print(version_line())
        raise typer.Exit


def _start(
    version: Annotated[  # noqa: FBT002  an option of the command, by its name
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Keep every user's credit ledger aligned with the work that was really done."""
    del version  # whoever asks for it gets no further


app = typer.Typer(name=PROGRAM, cls=_OnDemand, no_args_is_help=True, **SETTINGS)
app.callback()(_start)


def main() -> None:
    """Run the command. A broken policy, or a database or queue that does not answer, is told in words, with no traceback."""
    try:
        app(prog_name=PROGRAM)
    except SystemExit:
        raise
    except _told_in_words() as error:
        from engine.cli.output import complain  # noqa: PLC0415  only when something is wrong

        complain(f"{error}{WAYS_OUT.get(type(error).__name__, '')}")
        raise SystemExit(FAILED) from error


WAYS_OUT: Mapping[str, str] = {"NoRegionError": " Name one by --region, by AWS_REGION, or in your AWS profile."}
"""What would be right, where botocore says only what is wrong."""


def _told_in_words() -> tuple[type[Exception], ...]:
    """Return what a person can mend without seeing where in the code it was found; asked for only when something is wrong."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  no region, no credentials, no such profile

    from engine.cli.files import UnwritableFileError  # noqa: PLC0415  the same

    return PolicyError, EventError, LedgerError, CorrectionError, NoOpenAnomaly, QueueError, BotoCoreError, UnwritableFileError
