"""What a pull request's edits of policies would have done to real events, as Markdown for a comment on it.

    python -m tools.review FOLDER [--base COMMIT] [--output FILE]

Each policy below ``policies/`` that differs from COMMIT (default: the commit that the pull request is merged into) is planned
by ``reconciler plan``. Environment: ``PLAN_EVENTS`` says where events are, separated by blanks (``s3://BUCKET/PREFIX``, or
files here), ``PLAN_FAIL_IF`` is the condition of ``--fail-if``. FOLDER gets ``plan.md``, which is the comment, and
``whole.md``, which is not cut; FILE gets ``said=true`` once they are there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import indent
from typing import Any

from attrs import frozen

from engine.domain.errors import PolicyError
from engine.domain.instants import instant_text
from engine.policy import load_policy
from engine.preview.planning.books import edited_rates

MARK = "<!-- reconciler plan -->"
"""By this the workflow finds its comment again."""

LENGTH_MAX = 60_000
"""So many characters of a comment: GitHub takes 65,536."""

S3 = "s3://"
NO_EVENTS = (
    "No plan: the variable PLAN_EVENTS of this repository names no events. docs/how-to/change-a-price.md says how it is set."
)
NO_EDIT = "No plan: no policy that was there before is edited."


@frozen
class Planned:
    """What was planned of one policy: its file, the Markdown, and whether the check has failed."""

    file: str
    text: str
    has_failed: bool


def git(*arguments: str) -> str:
    """Return what git prints, in the folder of this process."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout  # noqa: S607  as on the path


def edited(base: str) -> list[str]:
    """Return the policies that differ from a commit and were there already."""
    names = git("diff", "--name-only", "--diff-filter=M", base, "--", "policies/*.yaml").splitlines()
    return [name for name in names if name.count("/") == 1]


def events_in(places: Iterable[str], folder: Path) -> Iterator[Path]:
    """Yield the files of events, those in S3 once they are here."""
    for place in places:
        if place.startswith(S3):
            yield from _fetched(place, folder)
        else:
            yield Path(place)


def _fetched(place: str, folder: Path) -> Iterator[Path]:
    import boto3  # noqa: PLC0415  only where something lies there

    bucket, _, prefix = place.removeprefix(S3).partition("/")
    client = boto3.client("s3")
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for told in page.get("Contents", ()):
            if told["Size"]:
                path = folder / f"{len(list(folder.iterdir()))}-events"
                client.download_file(bucket, told["Key"], str(path))
                yield path


def planned(file: str, base: str, events: Iterable[Path], fail_if: str, folder: Path) -> Planned:
    """Plan the edit of one policy."""
    before = folder / Path(file).name
    before.write_text(git("show", f"{base}:{file}"))
    given = [part for path in events for part in ("--events", str(path))]
    at = _as_of(before, Path(file))
    options = [*(["--as-of", at] if at else []), *(["--fail-if", fail_if] if fail_if else [])]
    command = [sys.executable, "-m", "engine.cli", "plan", file, "--policy", str(before), *given, *options, "--markdown"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    problem = f"\n{indent(done.stderr.strip(), '    ')}\n" if done.returncode else ""
    when = f"\nAll events are priced as of {at}: what is edited begins then.\n" if at else ""
    return Planned(file, f"{problem}{when}\n{done.stdout}", done.returncode != 0)


def _as_of(before: Path, after: Path) -> str | None:
    """Return when an edited row begins that begins later than today: no event of the past would show it."""
    try:
        rates = edited_rates(load_policy(before), load_policy(after))
    except PolicyError:
        return None  # the plan itself says what is wrong
    begins = max((rate.effective for rate in rates), default=None)
    return instant_text(begins) if begins is not None and begins > datetime.now(UTC) else None


def comment(plans: Iterable[Planned]) -> str:
    """Return the comment; what is too long for one ends in a line that says so."""
    parts = (f"## `{each.file}`\n{each.text}" for each in plans)
    text = "\n".join([MARK, *parts])
    end = "\n\n(cut here: more fits into no comment; the job's artifact has all of it)\n"
    return text if len(text) <= LENGTH_MAX else _closed(text[: LENGTH_MAX - len(end)]) + end


def _closed(text: str) -> str:
    """Return a text with its last part closed that a reader opens."""
    whole_lines = text[: text.rfind("\n")]
    return f"{whole_lines}\n\n</details>" if text.count("<details>") > text.count("</details>") else whole_lines


def review(base: str, out: Path, environment: Any) -> bool | None:
    """Write what the edits would have done, and say whether a check has failed; None where there is nothing to say."""
    places, fail_if = environment.get("PLAN_EVENTS", "").split(), environment.get("PLAN_FAIL_IF", "")
    files = edited(base)
    if not places or not files:
        print(f"::notice::{NO_EVENTS if files else NO_EDIT}")
        return None
    with TemporaryDirectory(prefix="review-") as folder:
        here, before = Path(folder, "events"), Path(folder, "before")
        here.mkdir()
        before.mkdir()
        events = list(events_in(places, here))
        plans = [planned(file, base, events, fail_if, before) for file in files]
    out.mkdir(parents=True, exist_ok=True)
    (out / "plan.md").write_text(comment(plans))
    (out / "whole.md").write_text("\n".join(each.text for each in plans))
    return any(each.has_failed for each in plans)


def main() -> int:
    """Write the comment; 1 where a check has failed."""
    parser = argparse.ArgumentParser(description="Say what edits of policies would have done to real events.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", default="HEAD^1", help="compare with this commit")
    parser.add_argument("--output", type=Path, help="append said=true to this file")
    arguments = parser.parse_args()
    has_failed = review(arguments.base, arguments.folder, os.environ)
    if has_failed is not None and arguments.output is not None:
        with arguments.output.open("a") as file:
            file.write("said=true\n")
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
