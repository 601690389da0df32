"""A short soak on both databases, what it finds where something is damaged, and its parts one by one."""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest

from tests.simulation.world.terms import EDITS
from tests.soak.__main__ import main
from tests.soak.bugs import HALVES
from tests.soak.engines import NAMES, STRICT
from tests.soak.soak import Soak, soak
from tests.soak.stories import late_user, policies, policy_text, story_of

SHORT = ["--minutes", "0.2", "--kill", "1.5"]
DEADLY = ["--minutes", "0.2", "--kill", "0.5"]

# --- the whole of it ---


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.local_aws
@pytest.mark.parametrize("engine", NAMES)
def test_a_short_soak_ends_right(engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Eight processes, a kill every one and a half seconds; then every balance is right."""
    status = main([*SHORT, "--engine", engine, "--keep", str(tmp_path)])
    told = capsys.readouterr().out

    assert (0, "every balance is right") == (status, told.splitlines()[-1].partition(",")[0]), told
    assert all(len(line) <= 80 for line in told.splitlines())


def damage(whole: Soak) -> None:
    """Remove an entry, change another, and say of a user that more was posted."""
    tables, client = whole.tables, whole.client
    removed, changed = [
        item for item in whole.books.items(tables.ledger) if item["type"]["S"] == "debit" and item["sequence"]["N"] == "1"
    ][:2]
    client.delete_item(TableName=tables.ledger, Key={name: removed[name] for name in ("reference", "sequence")})
    client.put_item(TableName=tables.ledger, Item={**changed, "amount": {"N": "-1000"}})
    client.update_item(
        TableName=tables.credits,
        Key={"userId": {"S": "u-hot"}},
        UpdateExpression="ADD posted :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


@pytest.mark.proof
@pytest.mark.slow
def test_a_soak_whose_tables_are_damaged_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the judge, by the digests, by the audit; the exit status is 1, and the last line says how to look."""
    play = partial(soak, before_judging=damage)
    status = main([*SHORT, "--engine", STRICT, "--keep", str(tmp_path)], play)
    told = capsys.readouterr().out

    assert 1 == status
    assert 2 == told.count("was changed or removed\n")
    assert 1 == told.count("WRONG  u-hot: entries come to")
    assert "is right\n" in told
    assert "WRONG  the audit says (Drift(" in told
    assert f"logs: {tmp_path}; again: --seed 5 --engine strict" in told


@pytest.mark.proof
@pytest.mark.slow
def test_a_process_that_can_die_between_entry_and_balance_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but a kill between two requests shows this bug, so there are many: nobody else is harmed by it."""
    status = main([*DEADLY, "--engine", STRICT, "--bug", HALVES, "--keep", str(tmp_path)])
    told = capsys.readouterr().out

    assert 1 == status
    assert re.search(r"WRONG  u-\w+: entries come to \S+, and Credits says \S+ was posted\n", told), told


# --- stories ---


def test_a_story_is_drawn_from_its_seed_and_number_alone() -> None:
    """So the judge draws in the end what was told in between; another number or seed is another story."""
    assert story_of(5, 17) == story_of(5, 17)
    assert 200 == len({str(story_of(seed, number)) for seed in (5, 6) for number in range(100)})


def test_whatever_is_a_fact_is_told_by_an_event_or_by_the_last_row() -> None:
    """The judge takes each fact for sure: what the bus loses the row has to say."""
    lost = 0
    for story in (story_of(5, number) for number in range(2000)):
        told = {telling.document["id"] for telling in story.tellings}
        for fact in story.facts:
            lost += not fact.by_event
            assert fact.by_event is (fact.event in told)
            assert fact.by_event or (
                fact.is_last and datetime.fromisoformat(story.writings[-1].row["updatedAt"]) == fact.fact.at
            )
    assert lost > 100


def test_the_first_stories_have_all_that_a_short_soak_needs() -> None:
    """Each rule, a user who comes late, poor ones, and events that make no sense."""
    stories = [story_of(5, number) for number in range(100)]

    kinds = {"rendered", "hooked", "answered", "failed", "cancelled", "credited", "broken", "purchased", "revoked", "disputed"}
    assert kinds == {fact.fact.kind for story in stories for fact in story.facts}
    assert late_user(0) == stories[0].user
    assert 3 == sum(story.user.startswith("u-poor") for story in stories)
    assert 4 == sum(len(story.senseless) for story in stories)


def test_the_judge_has_the_terms_of_each_policy_that_runs() -> None:
    """An edit, a name."""
    assert EDITS == len(policies()) == len({policy_text(edit) for edit in range(EDITS)})
