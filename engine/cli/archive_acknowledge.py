"""``reconciler archive acknowledge``: a person answers for a break of the archive, which no alarm has to tell any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from attrs import asdict

from engine.audit.archived import checkpoints
from engine.cli.archive_option import ArchivePlace, open_archive
from engine.cli.identity import identity
from engine.cli.options import AsJson, forever, on_aws
from engine.cli.output import complain, print_json, say
from engine.cli.place import Place
from engine.cli.reprice import By
from engine.cli.status import FAILED, MISUSED
from engine.domain.instants import instant_text
from engine.domain.texts import text_problem
from engine.ledger.archive.acknowledged import Acknowledged, acknowledged, keep, name_of
from engine.ledger.archive.bucket import Bucket
from engine.runtime.clock import Clock

Breaks = Annotated[
    list[str] | None, typer.Argument(metavar="BREAK...", help="The names of breaks; without one all are shown.")
]


@on_aws
def acknowledge(
    *,
    breaks: Breaks = None,
    reason: Annotated[str, typer.Option(help="Why it may stay so: each audit tells it.")] = "",
    archive: ArchivePlace = "",
    by: By = None,
    place: Place,
    as_json: AsJson = False,
) -> None:
    """Show the breaks that audits have found in the archive, or answer for some by name: each audit tells who has, and why."""
    bucket = open_archive(archive, place)
    found = breaks_of(bucket)
    names = breaks or []
    for problem in _problems(names, reason, found):
        complain(problem)
        raise typer.Exit(MISUSED)
    if names:
        who, at = identity(place, by).name, instant_text(Clock().now().replace(microsecond=0))
        for name in names:
            keep(bucket, Acknowledged(found[name], who, at, reason.strip()), forever())
    said = acknowledged(bucket, forever())
    _tell({name: problem for name, problem in found.items() if not names or name in names}, said, as_json=as_json)
    if any(problem not in said for problem in found.values()) and not names:
        raise typer.Exit(FAILED)


def breaks_of(bucket: Bucket) -> dict[str, str]:
    """Return what the last checkpoint has of breaks, by their names."""
    found, _ = checkpoints.begun(bucket, forever(), whole=False)
    return {name_of(problem): problem for problem in found.breaks}


def _problems(names: Sequence[str], reason: str, found: Mapping[str, str]) -> list[str]:
    problems = {
        "BREAK needs --reason, which each audit tells": bool(names) and not reason.strip(),
        "--reason goes with BREAK": not names and bool(reason),
        f"--reason {text_problem(reason)}": text_problem(reason) is not None,
    }
    unknown = [
        f"{name}: the last audit has found no such break; leave out all names to see them"
        for name in names
        if name not in found
    ]
    return [*(problem for problem, is_wrong in problems.items() if is_wrong), *unknown]


def _tell(found: Mapping[str, str], said: Mapping[str, Acknowledged], *, as_json: bool) -> None:
    if as_json:
        print_json({"breaks": [_answer(name, problem, said.get(problem)) for name, problem in found.items()]})
        return
    for name, problem in found.items():
        say(f"{name}: {said[problem].line() if problem in said else problem}")
    if not found:
        say("the last audit has found no break")


def _answer(name: str, problem: str, said: Acknowledged | None) -> dict[str, Any]:
    return {"name": name, "problem": problem, "acknowledged": asdict(said) if said is not None else None}
