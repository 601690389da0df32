"""Where a plan looks up what it knows, it says what the engine says: for each short cut what could lead it astray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.domain.instants import read_instant
from engine.preview.planning.lines import quickly_decoded
from engine.preview.planning.reads import reads_of
from engine.preview.planning.reducer import reducer_of
from engine.preview.planning.reduction import Instants, Uncarried, microseconds
from engine.preview.planning.seen import Limit, Seen, SeenByAll, added
from tests.planning.test_planning import EDITS, NOW, policy
from tests.support.planning import at_any_size, by_engine

PLAIN = '"source": "video.generation", "detail-type": "video.rendered", "time": "2026-01-05T10:00:00Z"'

ALIKE_TO_PYTHON = (
    *(
        '"seconds": 1',
        '"seconds": 1.0',
        '"seconds": true',
        '"seconds": "1"',
        '"seconds": 1e0',
        '"seconds": 0.0',
        '"seconds": -0.0',
    ),
    *(
        '"seconds": false',
        '"seconds": 0',
        '"seconds": null',
        '"other": 1',
        '"seconds": NaN',
        '"seconds": 12345678901234567890123',
    ),
    *(
        '"seconds": 0.12345678901234567890123',
        '"seconds": 8, "model": null',
        '"seconds": 8',
        '"seconds": 8, "model": "\\ud800"',
    ),
    *('"seconds": 8, "model": ""', '"seconds": 8, "result_url": null', '"seconds": 8, "result_url": 7', '"seconds": [1]'),
    *('"seconds": 8, "resolution": null', '"seconds": 8, "seconds.x": 9', '"seconds": 8, "seconds": 9', '"seconds": {"x": 8}'),
)
ODD_EVENTS = (
    *(
        '"detail": null',
        '"detail": []',
        '"detail": {}',
        '"other": {}',
        '"detail.seconds": 9, "detail": {"jobId": "d", "userId": "u"}',
    ),
    *(
        '"charge": {"amount": 99}, "detail": {"jobId": "c", "userId": "u", "seconds": 8}',
        '"charge": null',
        '"id": 7',
        '"id": null',
    ),
)


def odd_lines() -> list[bytes]:
    """Return events that are equal to Python, or nearly, each twice: the second one is looked up."""
    told = [
        f'{PLAIN}, "id": "e-{number}", "detail": {{"jobId": "j-{time}-{number}", "userId": "u", {odd}}}'
        for time in range(2)
        for number, odd in enumerate(ALIKE_TO_PYTHON)
    ]
    told += [f'{PLAIN}, "id": "o-{number}", {odd}' for number, odd in enumerate(ODD_EVENTS)]
    return [f"{{{each}}}\n".encode() for each in told]


@pytest.mark.parametrize("edit", ["another price", "an expression", "a selector with a fallback", "other bursts"])
def test_what_is_equal_to_python_alone_is_told_apart(tmp_path: Path, edit: str):
    """True, 1 and 1.0; null and what is missing; NaN, half a surrogate, 23 digits, keys with dots, a member twice."""
    path, then = tmp_path / "events.jsonl", policy(*EDITS[edit])
    path.write_bytes(b"".join(odd_lines()))

    assert by_engine(odd_lines(), NOW, then) == at_any_size([path], NOW, then)


def test_most_odd_events_are_carried_and_each_by_a_key_of_its_own():
    """What is equal to Python has as many keys as classes; of 1, 1.0 and true no two share one."""
    reads = reads_of(NOW, NOW)
    assert reads is not None
    reduce = reducer_of(reads)
    keys = [reduce(quickly_decoded(line))[0] for line in (odd_lines()[number] for number in (0, 1, 2, 3, 8, 9, 10))]

    assert 7 == len(set(keys))
    with pytest.raises(Uncarried):
        reduce(quickly_decoded(odd_lines()[20]))  # a list where a number is looked for


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2026-01-05T10:00:00Z",
            "2026-01-05T10:00:59Z",
            "2026-01-05T10:00:07+00:00",
            "2026-01-05T10:00Z",
            "20260105T100000Z",
        ),
        *("2026-01-05T10:00:00.5Z", "20260105T100000.123Z", "20260105T100000.153Z", "2026-01-05T12:00:00+02:00"),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "2024-02-29T00:00:30Z"),
    ],
)
def test_an_instant_of_a_known_minute_is_what_it_is_read_as(text: str):
    """Also where the end of another form looks like seconds."""
    instants, instant = Instants(), read_instant(text)
    assert instant is not None

    for known in ("2026-01-05T10:00:30Z", "20260105T100000.103Z", text, text):
        instants.read(known)

    assert microseconds(instant) == instants.read(text)


@pytest.mark.parametrize(
    "text", ["2026-01-05T10:00:60Z", "2026-01-05T10:00:5Z", "2026-02-30T10:00:00Z", "2026-01-05T10:00:00", 7]
)
def test_what_is_no_instant_is_none_in_a_known_minute_either(text: Any):
    """There is no 61st second; the engine is asked what to say of it."""
    instants = Instants()
    instants.read("2026-01-05T10:00:30Z")

    with pytest.raises(Uncarried):
        instants.read(text)


# --- what comes often -------------------------------------------------------------------------------------------------

MINUTE = 60_000_000


@pytest.mark.parametrize(("apart", "often"), [(2, {"ann"}), (21, set())])
def test_what_comes_often_within_a_time_is_named_while_it_is_counted(tmp_path: Path, apart: int, often: set[str]):
    """More than five in ten minutes: six lie in them that are two minutes apart, and never two that are 21 apart."""
    seen = Seen(1, 1, {"burst": Limit(5, 10 * MINUTE)})
    seen.add(((0, "burst"),), [(("ann",), apart * number * MINUTE) for number in range(6)])

    assert {"burst": often} == seen.done(tmp_path / "seen")


def test_two_processes_name_together_what_neither_has_seen_often(tmp_path: Path):
    """Of two that came once to each the sum is what counts."""
    limits = {"twice": Limit(1, 10 * MINUTE)}
    paths = [tmp_path / "seen-0", tmp_path / "seen-1"]
    often = []
    for path, others in zip(paths, ("bo", "cy"), strict=True):
        seen = Seen(1, 2, limits)
        seen.add(((0, "twice"),), [(("ann",), 0), ((others,), 0)])
        often.append(seen.done(path))

    logs = {name: [(0, "", "", 0, 0, "", (name,), None)] for name in ("ann", "bo", "cy", "dee")}
    assert [logs["ann"]] == SeenByAll(paths, often, limits).more_often("twice", [*logs.values()], 0, 0)


def test_bytes_of_files_are_added_one_by_one(tmp_path: Path):
    """127 and 127 are the most that two processes count: no sum is carried into the next byte."""
    paths = [tmp_path / "a", tmp_path / "b"]
    paths[0].write_bytes(bytes([127, 0, 1, 127]))
    paths[1].write_bytes(bytes([127, 0, 2, 1]))

    assert bytearray([254, 0, 3, 128]) == added(paths)


BURST = ("more_than: 3", "more_than: 9")


def burst(user: str, count: int, seconds: int) -> list[bytes]:
    """Return renders of a user, so many seconds apart."""
    details = (
        {"jobId": f"{user}-{n}", "userId": user, "seconds": 8, "model": "veo-3", "result_url": f"{user}{n}"}
        for n in range(count)
    )
    times = (f"2026-01-05T10:{seconds * n // 60:02}:{seconds * n % 60:02}Z" for n in range(count))
    event = {"source": "video.generation", "detail-type": "video.rendered"}
    return [
        json.dumps({**event, "id": f"{user}-{n}", "time": at, "detail": detail}).encode() + b"\n"
        for n, (at, detail) in enumerate(zip(times, details, strict=True))
    ]


def test_a_burst_that_two_processes_share_is_found(tmp_path: Path):
    """Ten of ann's within ten minutes, six in the one file and four in the other; of bo's seven at most."""
    lines = [line for both in zip(burst("ann", 10, 60), burst("bo", 10, 90), strict=True) for line in both]
    files = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    files[0].write_bytes(b"".join(lines[:12]))
    files[1].write_bytes(b"".join(lines[12:]))
    now, then = policy(BURST), policy(BURST, *EDITS["another price"])

    told = at_any_size(files, now, then, workers=2)

    assert by_engine(lines, now, then) == told
    assert {"now": 1, "then": 1} == json.loads(told)["anomalies"]["burst"]
