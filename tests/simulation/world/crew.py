"""Several invocations at once, in threads of which exactly one runs at any moment: whose turn is next, chance decides.

Every call of the store and every wait is a place where another may go on, so that one seed gives one interleaving.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from random import Random

from attrs import Factory, define, field


@define(eq=False)
class Crew:
    """Runs tasks together. A task gives way by ``switch``."""

    chance: Random
    turns: int = 0
    live: list[Member] = Factory(list)
    current: Member | None = None
    done: threading.Lock = Factory(threading.Lock)

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Run all tasks to their end; the first failure of one that is none of the world's is raised."""
        if len(tasks) == 1:
            tasks[0]()
            return
        members = [Member(task) for task in tasks]
        self.live = list(members)
        threads = [threading.Thread(target=self._work, args=(member,), daemon=True) for member in members]
        self.done.acquire()
        for thread in threads:
            thread.start()
        self._hand_over()
        self.done.acquire()
        self.done.release()
        for thread in threads:
            thread.join()
        self.current = None
        for member in members:
            if member.error is not None:
                raise member.error

    def switch(self) -> None:
        """Let chance decide who goes on; come back when it is this one's turn again."""
        me = self.current
        if me is None or len(self.live) < 2:
            return
        following = self.live[int(self.chance.random() * len(self.live))]
        if following is me:
            return
        self.turns += 1
        self.current = following
        following.turn.release()
        me.turn.acquire()

    def _hand_over(self) -> None:
        following = self.live[int(self.chance.random() * len(self.live))]
        self.current = following
        following.turn.release()

    def _work(self, member: Member) -> None:
        member.turn.acquire()
        try:
            member.task()
        except BaseException as error:  # noqa: BLE001  it is raised where the crew was asked to run
            member.error = error
        self.live.remove(member)
        if self.live:
            self._hand_over()
        else:
            self.done.release()


def _not_yet() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@define(eq=False)
class Member:
    """One task, and whether it is its turn."""

    task: Callable[[], None]
    turn: threading.Lock = field(factory=_not_yet)
    error: BaseException | None = None
