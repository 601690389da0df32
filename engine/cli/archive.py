"""``reconciler archive``: what people do with the archive of entries."""

from __future__ import annotations

import typer

from engine.cli.archive_acknowledge import acknowledge
from engine.cli.archive_begin_anew import begin_anew
from engine.cli.archive_compact import compact
from engine.cli.archive_restore import restore
from engine.cli.archive_take_in import take_in

app = typer.Typer(
    name="archive",
    help="Take in, restore or compact what the archive of entries has; answer for what it lacks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("take-in")(take_in)
app.command("restore")(restore)
app.command("compact")(compact)
app.command("acknowledge")(acknowledge)
app.command("begin-anew")(begin_anew)
