"""Payloads as producers change them: whatever stands where, an event is told or refused, and never a crash."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from engine.cli.job_rows import rows_in
from engine.domain.documents import read_document
from engine.domain.envelope import Document, Envelope, Source
from engine.domain.errors import EventError
from engine.policy import Policy, load_policy
from engine.preview.dry_run import DryRun, store_of
from tests.support.recipes import Recipe, recipes

NOTHING = object()
IN_PLACE: tuple[Any, ...] = (NOTHING, None, True, -1, 1e300, "", "8,5", "vidéo \U0001f600", "a\ud800", "x" * 1025, [], {})
"""What may stand in the place of anything that a provider sends."""

NAMED = re.compile(r"event .+, rule [a-z-]+, field \S.*: \S.+", re.DOTALL)
"""An error names event, rule and field, and says what is wrong."""

PAYLOADS = [pytest.param(recipe, name, id=f"{recipe.name}/{name}") for recipe in recipes() for name in recipe.payloads]
Path = tuple[str | int, ...]


def places(value: Any, above: Path = ()) -> Iterator[Path]:
    """Yield the way to each member of a document."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*above, key)
        yield from places(member, (*above, key))


def changed(document: Any, path: Path) -> Iterator[Any]:
    """Yield the document with something else at a place, with its value as a text, and with it a list deeper."""
    *above, last = path
    for value in (*IN_PLACE, "its text", "a list of it"):
        other = copy.deepcopy(document)
        holder = other
        for key in above:
            holder = holder[key]
        if value is NOTHING:
            del holder[last]
        else:
            holder[last] = {"its text": str(holder[last]), "a list of it": [holder[last]]}.get(str(value), value)
        yield other


def at_work(policy: Policy, rows: Mapping[str, Document]) -> DryRun:
    """Return a policy at work on no entries, and on these rows of Jobs."""
    store = store_of()
    store.jobs.update({job: dict(row) for job, row in rows.items()})
    return DryRun(policy, store)


def told(run: DryRun, document: Any) -> str:
    """Return the outcome of an event as JSON brings it, or what its error says."""
    try:
        return run.reconcile(Envelope(read_document(json.dumps(document)), Source.EVENT)).outcome.value
    except EventError as error:
        return str(error)


@pytest.mark.parametrize(("recipe", "name"), PAYLOADS)
def test_whatever_a_producer_changes_is_told_or_refused(recipe: Recipe, name: str) -> None:
    """Each error names event, rule and field; and what was told before is known all the same."""
    payload, policy = recipe.payloads[name], load_policy(recipe.policy)
    rows = rows_in(recipe.row) if recipe.row else {}
    for path in places(payload):
        for other in changed(payload, path):
            run = at_work(policy, rows)
            first, changed_one, again = told(run, payload), told(run, other), told(run, payload)

            assert " " not in changed_one or NAMED.fullmatch(changed_one), (path, changed_one)
            assert again in {"duplicate", "ignored"}, (path, first, again)
