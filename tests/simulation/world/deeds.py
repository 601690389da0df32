"""What somebody does who is no event: it comes to its end, or he dies, or the database is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.domain.errors import LedgerError
from tests.simulation.faults import Killed

if TYPE_CHECKING:
    from tests.simulation.world.play import World

PERSON_SECONDS = 600.0
"""Who types a command waits."""


def tried[T](world: World, what: str, act: Callable[[], T]) -> T | None:
    """Let an act come to its end; None where it was killed, or the database was not there."""
    try:
        said = act()
    except Killed:
        world.tell(f"{what}: killed")
        world.count["killed at other work"] += 1
        return None
    except LedgerError as error:
        world.tell(f"{what}: {type(error).__name__}: {error}")
        return None
    except Exception as error:  # noqa: BLE001  nothing else may ever come out of it
        world.wrong.append(f"{what} raised {type(error).__name__}: {error}")
        return None
    world.tell(f"{what}: done")
    return said
