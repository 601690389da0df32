"""``reconciler validate``: every mistake in policy files. It imports what reads a policy, and no library of commands."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.cli.status import FAILED, MISUSED
from engine.domain.errors import Mistake, PolicyError
from engine.policy import Policy, load_policy
from engine.policy.far_dates import far_dates
from engine.policy.price_differences import RowChanges, policy_changes

TEXT, GITHUB = "text", "github"
"""How it speaks: for people, or as annotations of a pull request."""

Warner = Callable[[Policy, str], Sequence[Mistake]]
"""Says what else is wrong with a policy that was read from a file."""


def validate(
    files: Sequence[str],
    *,
    output: str = TEXT,
    delivers: str | None = None,
    all_rows: bool = False,
    as_json: bool = False,
    now: datetime | None = None,
) -> int:
    """Check policy files, show every mistake with its line and what would be right, and return the exit status.

    People are shown what the rows of price books change that begin on the day of ``now`` (default: the clock's) or later.
    """
    now = now or datetime.now(UTC)
    try:
        warn = _nothing_more if delivers is None else _of_delivery(delivers)
    except PolicyError as error:
        print(f"--delivers: {error}", file=sys.stderr)
        return MISUSED
    results = {file: _mistakes(file, warn, now) for file in files}
    if as_json:
        _print_json([{"file": file, **_as_json(result)} for file, result in results.items()])
    else:
        for file, result in results.items():
            PRINT_RESULT[output](file, result, None if all_rows else now.replace(hour=0, minute=0, second=0, microsecond=0))
    return FAILED if any(result["mistakes"] for result in results.values()) else 0


def _nothing_more(_policy: Policy, _file: str) -> Sequence[Mistake]:
    return ()


def _of_delivery(text: str) -> Warner:
    """Return what compares a policy with what the stack delivers. Raises PolicyError where the text does not say that."""
    from engine.policy.delivery import Delivery, delivery_warnings  # noqa: PLC0415  only ``--delivers`` needs it

    delivery = Delivery.read(text)

    def warn(policy: Policy, file: str) -> Sequence[Mistake]:
        return delivery_warnings(policy, _bytes_of(file), file, delivery)

    return warn


def _bytes_of(file: str) -> bytes:
    with open(file, "rb") as opened:  # noqa: PTH123  pathlib takes longer to import than the policy to read
        return opened.read()


def _mistakes(file: str, warn: Warner, now: datetime) -> dict[str, Any]:
    try:
        policy = load_policy(file)
    except PolicyError as error:
        return {"mistakes": _plainly(error.mistakes), "warnings": _plainly(error.warnings)}
    warnings = _plainly([*policy.warnings, *far_dates(policy, _bytes_of(file), file, now), *warn(policy, file)])
    return {"policy": policy.identity, "mistakes": [], "warnings": warnings, "prices": policy_changes(policy)}


def _plainly(mistakes: Sequence[Mistake]) -> list[dict[str, Any]]:
    from attrs import asdict  # noqa: PLC0415  reading the policy has imported it

    return [asdict(mistake) | {"text": str(mistake)} for mistake in mistakes]


# --- printing ---------------------------------------------------------------------------------------------------------


def _print_json(value: object) -> None:
    import json  # noqa: PLC0415  people need none

    print(json.dumps(value, indent=2))


def _as_json(result: Mapping[str, Any]) -> dict[str, Any]:
    from engine.cli.price_table import plainly  # noqa: PLC0415  only where there is a table to print

    return {**result, "prices": [plainly(row) for row in result.get("prices", ())]}


def _print_text(file: str, result: Mapping[str, Any], since: datetime | None) -> None:
    for mistake in result["mistakes"]:
        print(mistake["text"])
    for warning in result["warnings"]:
        print(f"warning: {warning['text']}")
    if not result["mistakes"]:
        print(f"{file}: fine ({result['policy']})")
        _print_prices(result["prices"], since)


def _print_prices(rows: Sequence[RowChanges], since: datetime | None) -> None:
    """Print what each row changes that begins at ``since`` or later (None: each row), and how many rows are left out."""
    told = [row for row in rows if since is None or row.row.effective >= since]
    if told:
        from engine.cli.price_table import table_lines  # noqa: PLC0415  as above

        print("\n".join(table_lines(told)))
    if earlier := len(rows) - len(told):
        print(f"prices that began before today: {earlier} row{'s' if earlier > 1 else ''}; --all-rows shows what changed")


def _annotate(_file: str, result: Mapping[str, Any], _since: datetime | None) -> None:
    """Print workflow commands of GitHub Actions, which show each mistake beside its line."""
    for level, mistakes in (("error", result["mistakes"]), ("warning", result["warnings"])):
        for mistake in mistakes:
            place = ",".join(f"{name}={mistake[key]}" for name, key in ANNOTATED.items() if mistake[key] is not None)
            subject = f"{mistake['subject']} " if mistake["subject"] else ""
            print(f"::{level} {place}::{_escaped(subject + mistake['message'])}")


ANNOTATED = {"file": "file", "line": "line", "col": "column"}


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


PRINT_RESULT: Mapping[str, Callable[[str, Mapping[str, Any], datetime | None], None]] = {TEXT: _print_text, GITHUB: _annotate}


# --- arguments --------------------------------------------------------------------------------------------------------

VALUES = {"--format": "output", "--delivers": "delivers"}
"""Options that take a value, and what ``validate`` calls it."""

FLAGS = {"--json": "as_json", "--all-rows": "all_rows"}


def plain_request(arguments: Sequence[str]) -> dict[str, Any] | None:
    """Return what ``validate`` is to be called with, or None where the library has to read the arguments.

    It reads each mistake, and each spelling beside ``--json``, ``--all-rows``, ``--format text``, ``--delivers ...`` and the
    names of files that can be read.
    """
    request: dict[str, Any] = {"files": []}
    rest = iter(arguments)
    for argument in rest:
        if argument in FLAGS:
            request[FLAGS[argument]] = True
        elif argument in VALUES:
            request[VALUES[argument]] = next(rest, None)
        else:
            request["files"].append(argument)
    return {**request, "files": [*map(_shortest, request["files"])]} if _is_plain(request) else None


def _is_plain(request: Mapping[str, Any]) -> bool:
    values = [request[name] for name in VALUES.values() if name in request]
    is_spoken = request.get("output", TEXT) in PRINT_RESULT
    return is_spoken and None not in values and bool(request["files"]) and all(map(_is_plain_file, request["files"]))


def _is_plain_file(name: str) -> bool:
    try:
        return not name.startswith("-") and not stat.S_ISDIR(os.stat(name).st_mode) and os.access(name, os.R_OK)  # noqa: PTH116  as above
    except (OSError, ValueError):
        return False


def _shortest(name: str) -> str:
    """Return a file's name as pathlib writes it, which is imported only for a name that it would write otherwise."""
    if all(part not in {"", "."} for part in name.removeprefix("/").split("/")):
        return name
    from pathlib import Path  # noqa: PLC0415  as above

    return str(Path(name))
