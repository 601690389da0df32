"""What the program is called, which version it is, and how it ends (0 where all is fine)."""

from __future__ import annotations

PROGRAM = "reconciler"
DISTRIBUTION = "credit-reconciler"

FAILED = 1
"""Exit status: a check failed (a broken policy, drift)."""

MISUSED = 2
"""Exit status: the command was used wrongly."""


def version_line() -> str:
    """Return the program's name and the version that is installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  only this needs it

    try:
        return f"{PROGRAM} {version(DISTRIBUTION)}"
    except PackageNotFoundError:
        return f"{PROGRAM}, run from its source and not installed"
