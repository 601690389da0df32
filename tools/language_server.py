"""Fetch yaml-language-server, what most editors check YAML with, into ``.editor`` (once; ``tools/editor`` locks it)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tools.environments import ROOT, only_one_process

FOLDER = Path(".editor")
LOCKED = ROOT / "tools" / "editor"
FETCH_SECONDS_MAX = 120


class LanguageServerMissingError(RuntimeError):
    """The server is not there and cannot be fetched; the text says why."""


def language_server() -> list[str]:
    """Return the command that runs the language server. Raises LanguageServerMissingError."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise LanguageServerMissingError("node and npm are needed to run yaml-language-server, and are not installed")
    server = ROOT / FOLDER / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    with only_one_process(FOLDER):
        if not server.exists() or _locked(ROOT / FOLDER) != _locked(LOCKED):
            _fetch(npm)
    return [node, str(server), "--stdio"]


def _fetch(npm: str) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(LOCKED / name, ROOT / FOLDER / name)
    command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(command, cwd=ROOT / FOLDER, check=True, capture_output=True, text=True, timeout=FETCH_SECONDS_MAX)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        (ROOT / FOLDER / "package-lock.json").unlink()
        reason = getattr(error, "stderr", None) or str(error)
        raise LanguageServerMissingError(f"npm could not fetch yaml-language-server: {str(reason).strip()[-300:]}") from error


def _locked(folder: Path) -> str | None:
    lock = folder / "package-lock.json"
    return lock.read_text() if lock.exists() else None
