"""Several invocations at once, in threads of which exactly one runs at any moment: whose turn is next, chance decides.

Every call of the store and every wait is a place where another may go on, so that one seed gives one interleaving.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random

from attrs import Factory, define, field

STAYS = 0.4
"""How likely the one whose turn it is goes on without a draw."""


def _taken() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@define(eq=False)
class Hand:
    """A thread that does one task after another: to start one costs more than most histories' events."""

    turn: threading.Lock = field(factory=_taken)
    task: Callable[[], None] = field(default=lambda: None)
    error: BaseException | None = None
    over: Callable[[Hand], None] = field(default=lambda _hand: None)

    def __attrs_post_init__(self) -> None:
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            self.turn.acquire()
            try:
                self.task()
            except BaseException as error:  # noqa: BLE001  it is raised where the crew was asked to run
                self.error = error
            self.over(self)


IDLE: list[Hand] = []
"""Threads that wait for work."""


@define(eq=False)
class Crew:
    """Runs tasks together. A task gives way by ``switch``."""

    chance: Random
    turns: int = 0
    live: list[Hand] = Factory(list)
    current: Hand | None = None
    done: threading.Lock = Factory(_taken)

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run all tasks to their end, and raise what one of them has raised."""
        if len(tasks) == 1:
            tasks[0]()
            return
        hands = [IDLE.pop() if IDLE else Hand() for _ in tasks]
        for hand, task in zip(hands, tasks, strict=True):
            hand.task, hand.over, hand.error = task, self._over, None
        self.live = list(hands)
        self._hand_over()
        self.done.acquire()
        IDLE.extend(hands)
        self.current = None
        for hand in hands:
            if hand.error is not None:
                raise hand.error

    def switch(self) -> None:
        """Let chance decide who goes on; come back when it is this one's turn again."""
        me = self.current
        if me is None or len(self.live) == 1 or self.chance.random() < STAYS:
            return
        following = self._next()
        if following is me:
            return
        self.turns += 1
        self.current = following
        following.turn.release()
        me.turn.acquire()

    def _next(self) -> Hand:
        return self.live[int(self.chance.random() * len(self.live))]

    def _hand_over(self) -> None:
        self.current = self._next()
        self.current.turn.release()

    def _over(self, hand: Hand) -> None:
        self.live.remove(hand)
        if self.live:
            self._hand_over()
        else:
            self.done.release()
