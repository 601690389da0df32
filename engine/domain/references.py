"""How the logs of the ledger are named: a job's, a grant's, a correction's."""

from __future__ import annotations

JOB, GRANT, REPAIR = "job#", "grant#", "repair#"
"""What a reference of the ledger begins with; ``repair#`` and a user for corrections of a row of Credits."""


def log_name(reference: str) -> str:
    """Return whose log a reference names: ``job``, ``grant`` or ``repair``."""
    return reference.partition("#")[0]
