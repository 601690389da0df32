"""Several invocations at once, of which exactly one runs at any moment: whose turn is next, chance decides.

Every call of the store and every wait is a place where another may go on, so that one seed gives one interleaving. Each task
is a greenlet: to take a turn costs one microsecond, where threads that wait for each other take seven and a second core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from attrs import Factory, define
from greenlet import getcurrent, greenlet

STAYS = 0.4
"""How likely the one whose turn it is goes on without a draw."""

UNASKED = Random(0)
"""The chance of a crew of one, in which nobody has to be chosen: to make one from a seed takes longer than many a step."""


@define(eq=False)
class Crew:
    """Runs tasks together. A task gives way by ``switch``."""

    chance: Random
    turns: int = 0
    live: list[greenlet] = Factory(list)
    """The tasks that are not at their end; empty where one works alone."""
    errors: dict[greenlet, BaseException] = Factory(dict)

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run all tasks to their end, and raise what the first of them, in their order, has raised."""
        if len(tasks) == 1:
            tasks[0]()
            return
        hands = [greenlet(self._guarded(task)) for task in tasks]
        self.live = list(hands)
        while self.live:
            self._next().switch()  # comes back when one is at its end, perhaps another than that which was begun here
            self.live = [hand for hand in self.live if not hand.dead]
        for hand in hands:
            if hand in self.errors:
                raise self.errors[hand]

    def _guarded(self, task: Callable[[], None]) -> Callable[[], None]:
        """Return a task that raises nothing: those that wait for their turn would never come to their end."""

        def work() -> None:
            try:
                task()
            except BaseException as error:  # noqa: BLE001  it is raised where the crew was asked to run
                self.errors[getcurrent()] = error

        return work

    def switch(self) -> None:
        """Let chance decide who goes on; come back when it is this one's turn again."""
        if len(self.live) < 2 or self.chance.random() < STAYS:
            return
        following = self._next()
        if following is not getcurrent():
            self.turns += 1
            following.switch()

    def _next(self) -> greenlet:
        return self.live[int(self.chance.random() * len(self.live))]
