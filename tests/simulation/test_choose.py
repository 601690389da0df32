"""The command that finds seeds for the mutants, and writes the corpus and the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.rating import decide
from tests.simulation import choose, rates
from tests.simulation.mutants import MUTANTS, Mutant, mutant
from tests.simulation.world.small import SMALL_FROM

CAUGHT, ARCHIVES = "the newest row of prices counts", "the archive loses explanations"
HARMLESS = "a mutant that does no harm"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return a corpus of old lines, and a page with an old table."""
    corpus, page = tmp_path / "corpus.txt", tmp_path / "proof.md"
    corpus.write_text("# of old\n999    catches: a mutant that is gone\n17     a history that somebody wants to see again\n")
    page.write_text(f"before\n{choose.BEGIN}of old\n{choose.END}after\n")
    monkeypatch.setattr(choose, "CORPUS", corpus)
    monkeypatch.setattr(choose, "PROOF", page)
    return corpus, page


def test_a_mutant_without_a_seed_gets_the_first_that_catches_it(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines of mutants that are gone go; all others stay, and so does the rest of the page."""
    monkeypatch.setattr(choose, "MUTANTS", {CAUGHT: MUTANTS[CAUGHT]})
    assert 0 == choose.main([])
    corpus, page = (file.read_text() for file in files)

    assert [CAUGHT] == list(choose.seeds())
    assert "17     a history that somebody wants to see again\n" in corpus
    assert page.startswith(f"before\n{choose.BEGIN}")
    assert page.endswith(f"{choose.END}after\n")
    assert f"| {CAUGHT} | memory | small {choose.seeds()[CAUGHT] - SMALL_FROM + 1} | 900 |\n" in page


def test_of_a_mutant_that_no_small_history_shows_the_first_other_one_is_told(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no archive in small ones."""
    monkeypatch.setattr(choose, "MUTANTS", {ARCHIVES: MUTANTS[ARCHIVES]})
    assert 0 == choose.main([])

    assert f"| {ARCHIVES} | memory | {choose.seeds()[ARCHIVES] + 1} | 900 |\n" in files[1].read_text()
    assert choose.seeds()[ARCHIVES] < SMALL_FROM


def test_the_command_fails_where_a_mutant_is_not_caught(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, and it has no line: the tests that ask for its seed fail as well."""
    monkeypatch.setattr(mutant, "CERTAIN", 1)
    monkeypatch.setattr(choose, "MUTANTS", {HARMLESS: Mutant(decide, "due", lambda old: old, one_in=1)})
    assert 1 == choose.main([])

    assert f"{HARMLESS}: not caught" in capsys.readouterr().err
    assert {} == choose.seeds()
    assert HARMLESS not in files[1].read_text()


def test_a_mutant_that_shows_more_seldom_than_it_says_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then its number of histories is too small, and somebody's proof fails by chance."""
    harmless = Mutant(decide, "due", lambda old: old, one_in=2)
    monkeypatch.setattr(rates, "MUTANTS", {CAUGHT: MUTANTS[CAUGHT], HARMLESS: harmless})
    of_small = ["--catches", "2", "--first", str(SMALL_FROM)]
    assert 1 == rates.main(of_small)

    assert f"more seldom than they say: {HARMLESS}\n" in capsys.readouterr().out
    assert 0 == rates.main([*of_small, CAUGHT])
    counted = rates.counted(harmless, SMALL_FROM, 2)
    assert (8, ()) == (counted.played, counted.caught)
