"""The names of the anomalies that the engine itself finds."""

from __future__ import annotations

CLOSE_CALL = "close-call"
CONFLICTING_CHARGE = "conflicting-charge"
CONFLICTING_GRANT = "conflicting-grant"
"""What earlier entries call a repeated grant of another amount."""
OVERDRAFT = "overdraft"
REPEATED_GRANT = "repeated-grant"
REPEAT_AFTER_REFUND = "repeat-after-refund"
REPLACED_CHARGE = "replaced-charge"
UNKNOWN_JOB = "unknown-job"
UNKNOWN_USER = "unknown-user"
BUILT_IN_ANOMALIES = (
    CLOSE_CALL,
    CONFLICTING_CHARGE,
    CONFLICTING_GRANT,
    OVERDRAFT,
    REPEATED_GRANT,
    REPEAT_AFTER_REFUND,
    REPLACED_CHARGE,
    UNKNOWN_JOB,
    UNKNOWN_USER,
)
"""What is found while the engine decides; a policy cannot use these names for its own."""
