"""How the command ends, as its exit status says it. 0 is fine."""

FAILED = 1
"""A check failed (a broken policy, drift), or something did not answer as it should."""

MISUSED = 2
"""The command was used wrongly."""
