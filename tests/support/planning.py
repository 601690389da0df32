"""Plans for tests: of events that are at hand, and of files full of what real ones hold too."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.domain.documents import read_document
from engine.domain.envelope import Document
from engine.policy import Policy
from engine.preview.planning.answer import answer_of
from engine.preview.planning.effects import MEMO_MAX
from engine.preview.planning.run import planned
from engine.preview.planning.work import Wish
from tests.support.planned_by_engine import plan

SHARED = ("changes", "events", "outcomes", "credits", "anomalies", "differences", "refused")
"""What the plan that the engine makes event by event says too."""


def by_engine(lines: Iterable[bytes], now: Policy, then: Policy, rows: Mapping[str, Document] | None = None) -> str:
    """Return the answer of the engine, event by event."""
    return text_of(plan(map(read_document, lines), now, then, rows=rows).answer())


def at_any_size(
    paths: Sequence[Path],
    now: Policy,
    then: Policy,
    rows: Mapping[str, Document] | None = None,
    *,
    memo_max: int = MEMO_MAX,
    workers: int = 1,
) -> str:
    """Return as much of the answer of a plan as the engine gives event by event."""
    wish = Wish(tuple(paths), now, then, rows, memo_max=memo_max, workers=workers)
    with planned(wish) as outcome:
        answer = answer_of(wish, outcome)
        return text_of({name: answer[name] for name in SHARED})


def text_of(answer: Mapping[str, Any]) -> str:
    """Return an answer as text."""
    return "".join(json.JSONEncoder(indent=1).iterencode(answer))


# --- a file of all that can come ---

MODELS = ("premium", "veo-3", "sora-2", None, 7, "", "premium ", True)
SECONDS = (
    *("8", "8.0", "8.00", "12.5", '"8"', "1", "true", "0", "-0.0", "-1", "500", "1e3", "NaN", "Infinity", "1e400", "null"),
    *("12345678901234567890123", "0.12345678901234567890123", "8.3333333333333333333", "[8]", "{}", '"12 s"'),
)
KINDS = ("video.rendered", "video.rendered", "video.rendered", "video.failed", "credits.purchased", "video.queued")
TIMES = (
    *(
        "2026-01-05T10:00:00Z",
        "2026-01-05T10:00:03Z",
        "2026-01-05T10:00:05Z",
        "2026-01-05T10:00:06.5Z",
        "2026-01-05T11:00:00Z",
    ),
    *("2026-01-06T11:00:01Z", "2026-06-30T23:59:59Z", "2026-07-01T00:00:00Z", "2024-12-31T00:00:00Z"),
    *("2026-01-05T12:00:00+02:00", "yesterday", "2026-01-05T10:00:00"),
)
ODD_MEMBERS = (
    *('"userId": "\\ud800"', '"model": "\\ud83d"', '"jobId": "a\\u0001b"', '"jobId": ""', '"userId": 7', '"jobId": "\\u00fc"'),
    *('"result_url": null', '"result_url": ["a"]', '"result_url": {"a": 1}', '"extra": NaN', '"resolution": "1080p"'),
)
ODD_TOPS = (
    *('"detail.seconds": 9', '"detail.model": "premium"', '"detail.jobId": "test-9"', '"charge": {"amount": 99}'),
    *('"charge.amount": 99', '"charge": 5', '"source": "credit.reconciler"', '"time": null', '"detail": null'),
)


def made_lines(seed: int, count: int) -> list[bytes]:
    """Return lines of events: redelivered, refunded, conflicting, of foreign users, malformed, and odd in other ways."""
    chance = random.Random(seed)  # noqa: S311  to be played again
    lines: list[bytes] = []
    for number in range(count):
        if lines and chance.random() < 0.15:
            lines.append(chance.choice(lines[-50:]))
        else:
            lines.append(_line(chance, number, max(count // 4, 1)))
    return lines


def _line(chance: random.Random, number: int, jobs: int) -> bytes:
    job = chance.choice((f"j-{chance.randrange(jobs)}", f"j-{number}", f"j-{number}", f"test-{number}"))
    detail = [f'"jobId": "{job}"', f'"userId": "u-{hash_of(job) % 17 if chance.random() < 0.95 else 99}"']
    model = chance.choice(MODELS[: 3 if chance.random() < 0.9 else None])
    seconds = chance.choice(SECONDS[: 4 if chance.random() < 0.85 else None])
    at = chance.choice(TIMES[: 9 if chance.random() < 0.95 else None])
    detail += [f'"model": {json.dumps(model)}', f'"seconds": {seconds}', f'"credits": {chance.choice((5, 5, 7, 2000))}']
    detail += [f'"purchaseId": "p-{chance.randrange(jobs)}"'] if chance.random() < 0.7 else []
    detail += [f'"result_url": "s3://{chance.choice((job, job, "same"))}.mp4"'] if chance.random() < 0.8 else []
    if chance.random() < 0.06:
        detail.append(chance.choice(ODD_MEMBERS))
    if chance.random() < 0.04:
        detail.pop(chance.randrange(len(detail)))
    kind = chance.choice(KINDS)
    event_id = chance.choice(
        (f'"e-{number}"', f'"e-{number}"', '"é"', "7", f'"{"x" * 1100}"')[: 2 if chance.random() < 0.97 else 5]
    )
    members = [f'"id": {event_id}', '"source": "video.generation"', f'"detail-type": "{kind}"', f'"time": "{at}"']
    members.append(f'"detail": {{{", ".join(detail)}}}' if chance.random() < 0.99 else '"detail": [1]')
    if chance.random() < 0.02:
        members.append(chance.choice(ODD_TOPS))
    return f"{{{', '.join(members)}}}\n".encode()


def hash_of(text: str) -> int:
    """Return a number of a text that is the same in every process."""
    return sum(text.encode())
