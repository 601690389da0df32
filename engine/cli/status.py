"""How the command ends; 0 is fine."""

FAILED = 1
"""Exit status: a check failed (a broken policy, drift)."""

MISUSED = 2
"""Exit status: the command was used wrongly."""
