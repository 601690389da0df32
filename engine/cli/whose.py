"""Who says what a command tells: the name that its entries keep."""

from __future__ import annotations

import getpass

from engine.cli.place import Place


def who_says(place: Place, by: str | None) -> str:
    """Return the name of who runs the command: as it is said, else the machine's user."""
    del place
    return by or getpass.getuser()
