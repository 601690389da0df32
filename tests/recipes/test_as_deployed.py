"""A recipe does the same where it is deployed: compiled by the build, and its entries counted again from the table."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.audit.recount import recount
from engine.domain.entry import Entry
from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.dynamodb.postings import item_of
from engine.ledger.stored import entry_of
from engine.policy.compiled import compile_policy, load_compiled
from engine.preview.policy_tests import run_test
from tests.support.recipes import Recipe, recipes

EVERY = pytest.mark.parametrize("recipe", recipes(), ids=lambda recipe: recipe.name)
POSTED_AT = datetime(2026, 12, 1, tzinfo=UTC)


@EVERY
def test_the_compiled_policy_passes_the_same_tests(recipe: Recipe, tmp_path: Path) -> None:
    """The function reads what the build has compiled, never the YAML."""
    copy = tmp_path / "policy.yaml"
    copy.write_bytes(recipe.policy.read_bytes())
    compile_policy(copy)
    compiled = load_compiled(copy)

    assert compiled is not None
    assert [] == [line for test in recipe.loaded().tests for line in run_test(test, compiled).differences]


@EVERY
def test_its_entries_are_counted_again(recipe: Recipe) -> None:
    """From nothing but the ledger, as they come back from the table."""
    file = recipe.loaded()
    for test in file.tests:
        logs = defaultdict[str, list[Entry]](list)
        for entry in run_test(test, file.policy).entries:
            logs[entry.reference].append(entry_of(decode_item(item_of(entry, POSTED_AT))))

        assert [] == [line for log in logs.values() for count in recount(log) if count.failed for line in count.lines()]
