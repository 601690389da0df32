"""A policy compiled beforehand: checked and linked when the artifact is built, tied to its YAML by a digest.

The file is a pickle of our own classes. It is made by the build and shipped beside the code that reads it, and is as
trustworthy as that code; a policy from anywhere else comes as YAML.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from typing import TYPE_CHECKING

from engine.domain.errors import Mistake, PolicyError
from engine.policy.model import Policy

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".compiled"


def compiled_path(path: Path | str) -> str:
    """Return where the compiled form of a policy file is kept: beside it."""
    return f"{path}{SUFFIX}"


def load_compiled(path: Path | str) -> Policy | None:
    """Return the compiled policy beside ``path``, or None where there is none.

    Raises PolicyError where it was compiled from another text, or by another version of this program: it must not run.
    """
    try:
        packed = _read(compiled_path(path))
    except FileNotFoundError:
        return None
    try:
        policy = pickle.loads(packed)  # noqa: S301  made by our own build, beside our own code
    except Exception as error:
        raise _stale(path, f"cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(policy, Policy) or policy.digest != _digest(path):
        raise _stale(path, "was compiled from another text")
    return policy


def compile_policy(path: Path | str) -> str:
    """Write the compiled form of a policy file beside it, and return its path. Raises PolicyError for a broken policy."""
    from engine.policy.loader import load_policy  # noqa: PLC0415  the build alone needs it

    target = compiled_path(path)
    with open(target, "wb") as file:  # noqa: PTH123  as below
        file.write(pickle.dumps(load_policy(path), protocol=5))
    return target


def _read(path: Path | str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  a cold start does without pathlib
        return file.read()


def _digest(path: Path | str) -> str | None:
    try:
        return hashlib.sha256(_read(path)).hexdigest()
    except OSError:
        return None


def _stale(path: Path | str, what: str) -> PolicyError:
    return PolicyError([Mistake(f"{what}; build the artifact again", file=compiled_path(path))])


if __name__ == "__main__":
    for name in sys.argv[1:]:
        compile_policy(name)
