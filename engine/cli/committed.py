"""The text of a file as version control has it: what an edit is compared with where nothing else is named."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

GIT = "git"


class NotCommittedError(ValueError):
    """A file is tracked, and no commit has it yet."""


def committed(path: Path) -> bytes | None:
    """Return the text of a file in the last commit; None where it is not under version control. Raises NotCommittedError."""
    if shutil.which(GIT) is None or _asked(path, "ls-files", "--error-unmatch", "--", path.name) is None:
        return None
    if (text := _asked(path, "show", f"HEAD:./{path.name}")) is None:
        raise NotCommittedError(
            f"{path}: no commit has it yet, so that there is nothing to compare it with; name one by --policy"
        )
    return text


def _asked(path: Path, *question: str) -> bytes | None:
    """Return git's answer, asked in the file's folder; None where it has none."""
    asked = subprocess.run([GIT, *question], cwd=path.resolve().parent, capture_output=True, check=False)  # noqa: S603
    return asked.stdout if asked.returncode == 0 else None
