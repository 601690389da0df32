"""The ``reconciler`` command: all that it can do, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer

from engine.cli import anomalies, dead_letters, ledger, policies
from engine.cli.audit import audit
from engine.cli.output import complain
from engine.cli.status import FAILED
from engine.cli.unmark import unmark
from engine.domain.errors import EventError, LedgerError, PolicyError, QueueError

COMMANDS: Mapping[str, Callable[..., Any]] = {
    "validate": policies.validate,
    "test": policies.run_policy_tests,
    "explain": policies.explain,
    "plan": policies.show_plan,
    "schema": policies.schema,
    "replay": ledger.replay,
    "scan": ledger.scan,
    "audit": audit,
    "unmark": unmark,
    "statement": ledger.statement,
}
"""A new command is a function and a line here."""

app = typer.Typer(
    name="reconciler",
    help="Keep every user's credit ledger aligned with the work that was really done.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

GROUPS: Mapping[str, typer.Typer] = {"dead-letters": dead_letters.app, "anomalies": anomalies.app}
"""Commands that have commands of their own."""

for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


def main() -> None:
    """Run the command. A broken policy, or a database or queue that does not answer, is told in words, with no traceback."""
    try:
        app()
    except SystemExit:
        raise
    except _told_in_words() as error:
        complain(str(error))
        raise SystemExit(FAILED) from error


def _told_in_words() -> tuple[type[Exception], ...]:
    """Return what a person can mend without seeing where in the code it was found; asked for only when something is wrong."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  no region, no credentials, no such profile

    return PolicyError, EventError, LedgerError, QueueError, BotoCoreError
