"""What the command is called, and which version of it runs."""

from __future__ import annotations

PROGRAM = "reconciler"
DISTRIBUTION = "credit-reconciler"


def version_line() -> str:
    """Return the command's name and the version that is installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  help does without

    try:
        return f"{PROGRAM} {version(DISTRIBUTION)}"
    except PackageNotFoundError:
        return f"{PROGRAM}, run from its source and not installed"
