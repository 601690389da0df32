"""Damages at random, each in a history that is lived twice: with the archive they end as if they had not been done."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from engine.audit import books
from engine.audit.logs import Fault
from engine.ledger.dynamodb.audits import DynamoAuditStore
from tests.simulation.damages import report
from tests.simulation.damages.__main__ import main
from tests.simulation.damages.keepers import Keeper, WithoutArchive
from tests.simulation.damages.kinds import KINDS, OF_HELD, Kind
from tests.simulation.damages.shares import share
from tests.simulation.damages.trial import Trial
from tests.simulation.damages.with_archive import WithArchive
from tests.support.examples import part

SEEDS = (0, 6)
PROVED = part(40)
WERE_WRONG = (1035, 1089, 1196, 3222, 3392, 20045, 20155, 20201, 40060)
"""Trials that once did not end as they should: docs/proof.md says how."""


def test_there_are_more_than_eighty_kinds() -> None:
    """Beside those that are done to the archive itself."""
    assert sum(not kind.of_archive for kind in KINDS.values()) > 80


def test_what_need_not_be_seen_or_put_right_has_its_reason() -> None:
    """Nothing is passed over in silence."""

    def is_bare(kind: Kind) -> bool:
        return not ((kind.is_seen and kind.is_mended) or kind.undecidable or kind.of_archive or kind.is_harmless)

    assert [] == [name for name, kind in KINDS.items() if is_bare(kind)]


@pytest.mark.parametrize("seed", SEEDS)
def test_with_an_archive_each_damage_is_noticed_named_and_put_right(seed: int) -> None:
    """All is as if it had not been done, now and whatever comes later; but for what is undecidable, and says why."""
    trial = Trial(seed, WithArchive)
    became = trial.play()

    assert became
    assert [] == [*trial.wrong, *(what for each in became for what in report.unexpected(each))]


@pytest.mark.parametrize("kind", OF_HELD)
@pytest.mark.parametrize("keeper", [WithArchive, WithoutArchive])
def test_damage_to_what_is_held_ends_as_if_it_had_not_been_done(kind: str, keeper: type[Keeper]) -> None:
    """Each kind in one history, with an archive and without."""
    trial = Trial(3, keeper, [[kind]])
    (became,) = trial.play()

    assert ([], []) == (trial.wrong, list(report.unexpected(became)))
    assert (True, True) == (became.noticed, became.right)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_an_archive_no_innocent_is_touched(seed: int) -> None:
    """Whatever else becomes of the damage."""
    trial = Trial(seed, WithoutArchive)

    assert trial.play()
    assert [] == trial.wrong


def test_what_nobody_has_damaged_raises_no_alarm() -> None:
    """The same history, looked at in the middle and in the end, with events between."""
    assert [] == [what for keeper in (WithArchive, WithoutArchive) for what in Trial(SEEDS[0], keeper).sound()]


def test_a_repair_that_is_wrong_is_seen() -> None:
    """So the trials can fail: nothing of what it says is written."""
    kinds = [["changed: user of the only entry"]]
    right = [became.right for became in Trial(1, WithoutArchive, kinds).play()]
    with (
        patch.object(DynamoAuditStore, "append", lambda *_values: True),
        patch.object(DynamoAuditStore, "append_with_row", lambda *_values: True),
    ):
        wrong = [became.right for became in Trial(1, WithoutArchive, kinds).play()]

    assert [True] == right
    assert [False] == wrong


def test_an_audit_that_names_everybody_is_seen() -> None:
    """The same of innocents: every log has a fault."""
    with patch.object(books, "faults", lambda log: [Fault(log[0].reference, 1, "is strange")]):
        assert any("innocents are named" in what for what in named_by(Trial(0, WithoutArchive)))


def named_by(trial: Trial) -> list[str]:
    """Play a trial, and return what must not be."""
    trial.play()
    return trial.wrong


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each kind, and how many there were."""
    main(["--count", "1", "--workers", "1"])
    told = capsys.readouterr().out

    assert "| kind | damages | old | noticed | named |" in told
    assert "damages of" in told


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_damages_end_as_if_they_had_not_been_done() -> None:
    """Of all kinds. A thousand are played by the command."""
    tally = share(sorted({*range(1000, 1000 + PROVED), *WERE_WRONG}), "on")

    assert tally.damages > PROVED
    assert [] == tally.wrong
