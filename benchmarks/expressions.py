"""What one evaluation of an expression takes: as closures, and by the interpreter over the same tree. ``docs/decisions/0020``.

``python -m benchmarks.expressions [ROUNDS]`` prints the least of the rounds, in microseconds; the rounds are in random order,
so that whatever else the machine does meets all alike.
"""

from __future__ import annotations

import random
import sys
import timeit
from collections.abc import Callable
from functools import partial
from typing import Any

from engine.policy.expressions.exact import interpreter
from engine.policy.expressions.paths import PLAIN, WITH_FALLBACK, compile_path
from engine.policy.expressions.syntax import parse
from engine.policy.expressions.values import exact

EVENT = {
    "id": "0f6a2c1e-8d8b-4c5e-9c52-0a3f7d1b2c3d",
    "source": "video.generation",
    "detail-type": "video.rendered",
    "time": "2026-01-05T10:00:00Z",
    "detail": {
        "jobId": "j-1",
        "userId": "u-1",
        "seconds": 8.5,
        "model": "veo-3",
        "width": 1280,
        "height": 720,
        "frames": 192,
        "resolution": None,
        "created": 1767607200,
        "outputs": [{"seconds": 1.5}, {"seconds": 2}],
        "result_url": "s3://videos/jobs/j-1/output.mp4",
    },
}

EXPRESSIONS = (
    "detail.seconds",
    "detail.resolution || 'x'",
    "detail.resolution || detail.model",
    "multiply(detail.width, detail.height, detail.frames)",
    "divide(multiply(detail.width, detail.height), `1000000`)",
    "round_up(detail.seconds, `5`)",
    "from_seconds(detail.created)",
    "sum(detail.outputs[].seconds)",
    "split(detail.result_url, '/')[4]",
    "to_string(detail.height)",
)

CALLS = 50


def interpreted(text: str) -> Callable[[Any], Any]:
    """Return what was done before: the document made exact, the tree walked. What never was interpreted is as it was."""
    if PLAIN.fullmatch(text) or WITH_FALLBACK.fullmatch(text):
        return compile_path(text).search
    tree: Any = parse(text).parsed
    return lambda document: interpreter().visit(tree, exact(document))


def measure(rounds: int) -> dict[tuple[str, str], float]:
    """Return the microseconds of one evaluation, by expression and way."""
    ways = {(text, "closures"): compile_path(text).search for text in EXPRESSIONS}
    ways |= {(text, "interpreted"): interpreted(text) for text in EXPRESSIONS}
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for key in random.sample(list(ways), len(ways)):
            seconds = timeit.timeit(partial(ways[key], EVENT), number=CALLS)
            least[key] = min(least[key], seconds / CALLS * 1e6)
    return least


def main(rounds: int = 400) -> None:
    """Print the table of the decision."""
    figures = measure(rounds)
    for text in EXPRESSIONS:
        cell = text.replace("|", r"\|")
        print(f"| ``{cell}`` | {figures[text, 'interpreted']:.1f} | {figures[text, 'closures']:.1f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
