"""Which tests stay together on one worker: those that share what takes long to make.

pytest-xdist has groups for that, which it writes into the tests' names, in a way that pytest 9.2 takes no notice of.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ROOT = Path(__file__).parents[2]

USES_THE_STACK = re.compile(r"\bdeployed: ")
SHARES_WHAT_IT_MAKES = re.compile(r'scope="module"|^@(?:functools\.)?(?:lru_)?cache\b', re.MULTILINE)
"""By a fixture of the module, or by a function of it that keeps its answers: a second worker would make all of it again."""


class Units(LoadScopeScheduling):
    """Hands out units of tests, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Forget a unit whose tests are done: xdist counts what is left of all units of a worker, at each test anew."""
        super().mark_test_complete(node, item_index, duration)
        unit, units = unit_of(self.registered_collections[node][item_index]), self.assigned_work[node]
        if all(units[unit].values()):
            del units[unit]


def unit_of(nodeid: str) -> str:
    """Return what a test belongs to: the deployed stack, its file where its tests share what they make, or itself."""
    file = nodeid.partition("::")[0]
    return shared_in(file) or nodeid


@cache
def shared_in(file: str) -> str | None:
    """Return what the tests of a file share."""
    text = (ROOT / file).read_text()
    if USES_THE_STACK.search(text):
        return "the deployed stack"
    return file if SHARES_WHAT_IT_MAKES.search(text) else None
