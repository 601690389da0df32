"""What scenes are made of: rounds of steps, rows, two sizes of work."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.simulation.world.documents import Document
from tests.simulation.world.plan import Plan, Round, Step, Told

SMALL = {"seconds": "1", "frames": "5", "model": "veo", "resolution": "hd"}
LARGE = {"seconds": "100", "frames": "90", "model": "pro", "resolution": "hd"}
MORNING = 5 * 3600


def edit_at_last(plan: Plan) -> int:
    """Return the edit of the policy that is at work when a scene begins."""
    return [plan.edit, *(step.subject for step in plan.steps() if step.kind == "deploy")][-1]


class Steps:
    """Makes rounds, each step with a seed of its own."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance

    def round(self, *steps: tuple[str, object], calm: bool = False) -> Round:
        """Return a round of steps that happen at once; no faults happen to calm ones."""
        return Round(self.chance.getrandbits(48), tuple(self._steps(steps, calm=calm)), 3.0)

    def _steps(self, steps: tuple[tuple[str, object], ...], *, calm: bool) -> Iterator[Step]:
        for kind, subject in steps:
            yield Step(kind, self.chance.getrandbits(48), subject, calm)


def row_telling(fact: Told, job: str) -> Document:
    """Return the row by which a job's work is told."""
    return {"jobId": job, "userId": fact.user, "status": "completed", "prompt": "a cat", **fact.said, "updatedAt": fact.at}
