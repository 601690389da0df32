"""How the logs of the ledger are named: a job's, a grant's, an adjustment's, a repair's."""

from __future__ import annotations

import zlib

JOB, GRANT, ADJUST, REPAIR = "job#", "grant#", "adjust#", "repair#"
"""What a reference of the ledger begins with: a job, a grant, an adjustment's id, a user whose row of Credits was repaired."""

LOGS = (JOB, GRANT, ADJUST, REPAIR)
"""No other log is of this system."""


def log_name(reference: str) -> str:
    """Return whose log a reference names: ``job``, ``grant``, ``adjust`` or ``repair``."""
    return reference.partition("#")[0]


def job_of(reference: str) -> str | None:
    """Return the job whose log a reference names; None where it names another log, or no job."""
    return (reference.removeprefix(JOB) or None) if reference.startswith(JOB) else None


def spread(name: str) -> int:
    """Return a number by which names are spread evenly. It is for good: entries are stored by it."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))
