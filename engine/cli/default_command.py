"""A command with commands of its own: ``adjust USER AMOUNT`` beside ``adjust list``.

What stands first decides: the name of a command, or else it is the first argument of the command without a name. Behind ``--``
nothing is a name: so a user who is called like a command is reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from typer.core import TyperCommand, TyperGroup

NAMELESS = "(nameless)"
"""What the command without a name is called inside: nobody types that by chance."""

HELP = frozenset({"--help"})

NEGATIVE = re.compile(r"-[.,]?[0-9].*", re.DOTALL)
"""What is meant as a number below 0, rightly written or not: no option begins with a digit."""

MINUS = "\u2212"
"""The minus of mathematics. A number that begins with a dash would be taken for an option."""


class WithDefault(TyperGroup):
    """The commands, and the one without a name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the one without a name before what names none."""
        if args and args[0] not in self.commands and args[0] not in HELP:
            args = [NAMELESS, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names that a person can use."""
        return [name for name in super().list_commands(ctx) if name != NAMELESS]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the one without a name, and the names of the others below."""
        nameless = self.commands[NAMELESS]
        nameless.format_usage(ctx, formatter)
        nameless.format_help_text(ctx, formatter)
        nameless.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


class Nameless(TyperCommand):
    """The command without a name. Its arguments may be numbers below 0."""

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Let messages call it by the name of its group."""
        del info_name
        return super().make_context(parent.info_name, args, parent.parent, **extra)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep numbers below 0 from being taken for options."""
        with_value = {name for param in self.params if not _is_switch(param) for name in param.opts if name.startswith("-")}
        return super().parse_args(ctx, list(_unmistaken(args, with_value)))


def _is_switch(param: Any) -> bool:
    return bool(getattr(param, "is_flag", False))


def _unmistaken(args: Iterable[str], with_value: set[str]) -> Iterator[str]:
    """Yield the arguments; a number below 0 that is no option's value begins with a minus that is no dash."""
    rest = iter(args)
    for arg in rest:
        is_number = NEGATIVE.fullmatch(arg) is not None
        yield f"{MINUS}{arg[1:]}" if is_number else arg
        if arg in with_value:
            yield from islice(rest, 1)
        elif arg == "--":
            yield from rest
