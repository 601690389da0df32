"""The simulation: past seeds in every run of the tests, fresh ones and mutants at full size in ``make proof``."""

from __future__ import annotations

import sys

import pytest

from tests.simulation.__main__ import corpus, main
from tests.simulation.choose import BEGIN, END, PROOF, seeds, table
from tests.simulation.history import play
from tests.simulation.mutants import MUTANTS, caught
from tests.simulation.shrinking import shrunk
from tests.simulation.story import story_of
from tests.simulation.world.plan import plan_of

FRESH = 1_000_000
"""From here on mutants are looked for; ``make proof`` plays a thousand histories of other seeds by the command as well."""


@pytest.mark.parametrize("seed", sorted(set(corpus())))
def test_a_history_of_the_corpus_ends_right(seed: int) -> None:
    """Every balance, every log, every dead letter; a second scan writes nothing; the audit raises no alarm."""
    assert () == play(plan_of(seed)).wrong


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught_by_its_seed(name: str) -> None:
    """So the judge sees what that bug does. Where plans have changed, `python -m tests.simulation.choose` finds another."""
    assert 1 == caught(MUTANTS[name], [seeds()[name]])


def test_the_page_tells_the_seed_of_each_mutant() -> None:
    """There are forty at least, in every room that touches credits; the command that finds their seeds writes the table."""
    page = PROOF.read_text().partition(BEGIN)[2].partition(END)[0]

    assert page.strip() == table({name: seeds()[name] for name in MUTANTS}).strip()
    assert len(MUTANTS) >= 40


def test_one_seed_is_one_history() -> None:
    """To the last line and count, however often one invocation takes the turn of another."""
    first, second = (play(plan_of(4)) for _ in range(2))

    assert first.lines == second.lines
    assert first.count == second.count
    assert first.count["turns taken from one invocation by another"] > 0


def test_a_failing_history_is_made_small_and_told() -> None:
    """Of many steps a few are left; the story says what happened, what is wrong, and how to play it again."""
    mutant = MUTANTS["the newest row of prices counts"]
    with mutant.at_work():
        plan = plan_of(next(filter(mutant.is_caught_by, range(mutant.seeds_max))))  # the first that is not small
        small = shrunk(plan)
        told = story_of(small)

    assert len(list(small.steps())) <= 2 < len(list(plan.steps()))
    assert " is right\n" in told
    assert f"--story {plan.seed}" in told
    assert () == play(small).wrong


def test_the_command_tells_what_it_has_played(capsys: pytest.CaptureFixture[str]) -> None:
    """The tables, the speed, and the exit status."""
    assert 0 == main(["--seeds", "0:3"])
    told = capsys.readouterr().out

    assert "branches taken" in told
    assert "3 histories" in told
    assert "0 wrong" in told


def test_the_command_fails_with_a_story(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 1 where a history ends wrong."""
    name = "the newest row of prices counts"
    seed = seeds()[name]
    with MUTANTS[name].at_work():
        assert 1 == main(["--seeds", f"{seed}:{seed + 1}", "--whole"])

    assert f"seed {seed} ends wrong" in capsys.readouterr().out


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.drawn
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught_by_fresh_seeds(name: str) -> None:
    """Not by the seed alone that was chosen for it: of a rare one, by any whose history may show it."""
    mutant = MUTANTS[name]
    tried = caught(mutant, mutant.seeds_from(FRESH))

    assert tried is not None
    print(f"{name}: {tried}", file=sys.stderr)
