"""The policy file: YAML in, a checked and compiled ``Policy`` out; every mistake at once, each with its line.

A function that must start fast takes a policy that was compiled when it was built, and imports neither YAML nor the grammar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.policy.model import Policy

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Policy", "load_policy", "parse_policy"]


def load_policy(path: Path | str) -> Policy:
    """Return the policy in a file. Raises PolicyError with every mistake, each with its line, column and excerpt."""
    from engine.policy.loader import load_policy as load  # noqa: PLC0415  not needed where the policy is compiled

    return load(path)


def parse_policy(text: str | bytes, file: str) -> Policy:
    """Return the policy written in ``text``; ``file`` is what messages call it. Raises PolicyError."""
    from engine.policy.loader import parse_policy as parse  # noqa: PLC0415  the same

    return parse(text, file)
