"""Files that people hand to ``reconciler``: events, rejects, dead letters, rows of Jobs; as lines, an array, packed, torn."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from attrs import frozen
from hypothesis import strategies as st

from engine.cli.event_lines import Told, told
from engine.cli.job_rows import rows_in
from engine.cli.ledger import group_of
from engine.cli.replay import Checkpoint, ReplayFile, Summary, replay_file
from engine.cli.replay_source import open_file
from engine.domain.envelope import Envelope, Source
from engine.domain.errors import EventError
from engine.reconcile.dead_letters import jobs_and_users, letter_line, read_letter
from engine.reconcile.reconciler import Reconciler
from tests.fuzz.desk import KNOWN_USERS, NOW, ROW, Desk
from tests.fuzz.door import Door, seen
from tests.fuzz.doors.queue import bodies
from tests.fuzz.odd import any_of, either, events, mapping, mostly, scalars, texts, values
from tests.fuzz.sense import Books, told_by

MISUSED = 2

message_attributes = mapping(
    RULE_ARN=mapping(StringValue=texts),
    ERROR_CODE=mapping(StringValue=either("NO_PERMISSIONS")),
    ERROR_MESSAGE=mapping(StringValue=texts),
    RETRY_ATTEMPTS=mapping(StringValue=either("185")),
    ErrorMessage=mapping(StringValue=texts),
    Receives=mapping(StringValue=either("3")),
).map(lambda all_: {name: one for name, one in all_.items() if isinstance(one, dict)} if isinstance(all_, dict) else {})
by_lambda = mapping(
    requestContext=any_of(mapping(condition=scalars, approximateInvokeCount=scalars), values),
    requestPayload=st.one_of(events, values),
    responsePayload=any_of(mapping(errorMessage=scalars), values),
    DDBStreamBatchInfo=any_of(mapping(batchSize=scalars), values),
)
payloads = any_of(
    events,
    mapping(Records=mostly(st.lists(mapping(body=bodies), max_size=2))),
    by_lambda,
    mapping(slices=values, detail_type=either("Scheduled Event")),
    values,
)
letters = st.fixed_dictionaries(
    {
        "MessageId": st.sampled_from(["l-1", "l-2"]),
        "ReceiptHandle": st.just("r"),
        "Body": any_of(
            *[by_lambda.map(json.dumps)] * 3,
            payloads.map(json.dumps),
            bodies.filter(lambda body: isinstance(body, str)),
        ),
        "MessageAttributes": st.dictionaries(
            st.sampled_from(
                ["RULE_ARN", "ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS", "ErrorMessage", "ErrorCode", "Receives"]
            ),
            st.fixed_dictionaries({"StringValue": texts}),
            max_size=3,
        ),
        "Attributes": st.sampled_from([{}, {"SentTimestamp": "1767607200000", "ApproximateReceiveCount": "3"}]),
    }
)


def letter_text(message: dict[str, Any]) -> str:
    """Return a letter as ``dead-letters list --json`` writes it."""
    return letter_line(read_letter(message, "queue"))


def rejected(line: str, problem: str, times: int) -> str:
    """Return a line as a file of rejects holds it, rejected again and again."""
    for _ in range(times):
        line = json.dumps({"line": 1, "problem": problem, "event": line})
    return line


texts_of_events = st.one_of(events.map(json.dumps), bodies.filter(lambda body: isinstance(body, str)))
lines = st.one_of(
    texts_of_events,
    texts_of_events,
    letters,
    st.builds(rejected, texts_of_events, texts, st.integers(1, 3)),
    values.map(json.dumps),
    st.sampled_from(
        ["", " ", "[", "\ufeff{}", "[[]]", '{"Items": [1]}', '{"Item": {"jobId": {"S": "j-9"}}}', '{"jobId": "j-8"}']
    ),
)
items = st.dictionaries(
    st.sampled_from(["jobId", "userId", "seconds", "x"]),
    st.one_of(
        st.builds(lambda kind, value: {kind: value}, st.sampled_from(["S", "N", "M", "L", "BOOL", "NULL", "X"]), values),
        values,
    ),
    max_size=3,
)
rows = st.one_of(
    mapping(jobId=either("j-1"), status=scalars),
    st.builds(lambda item: {"Item": item}, st.one_of(items, values)),
    st.builds(lambda several: {"Items": several}, st.one_of(st.lists(st.one_of(items, values), max_size=3), values)),
    values,
)


@frozen
class File:
    """What is in a file, in which form, and which kind of file it is taken for. ``cut`` is how much is left of a torn one."""

    parts: list[str | dict[str, Any]]
    """Lines, and dead letters."""
    form: str
    cut: int
    is_of_rows: bool

    @property
    def data(self) -> bytes:
        """The bytes. What writes them is asked here and not where the file is drawn: if it fails, that is a finding."""
        lines = [letter_text(part) if isinstance(part, dict) else part for part in self.parts]
        text = "\n".join(lines) if self.form != "array" else f"[{', '.join(lines)}]"
        data = text.encode(errors="surrogatepass") if self.form != "bytes" else text.encode("latin-1")
        if self.form in {"packed", "torn"}:
            data = gzip.compress(data, mtime=0)
        return data[: self.cut % (len(data) + 1)] if self.form in {"torn", "cut"} else data


forms = st.sampled_from(["lines", "lines", "lines", "array", "packed", "torn", "cut"])
files = st.one_of(
    st.builds(File, st.lists(lines, max_size=5), forms, st.integers(0, 10_000), st.just(False)),
    st.builds(
        File, st.lists(st.one_of(rows.map(json.dumps), lines), max_size=3), forms, st.integers(0, 10_000), st.just(True)
    ),
    st.binary(max_size=40).map(lambda data: File([data.decode("latin-1")], "bytes", 0, is_of_rows=False)),
)
given = any_of(files, files, files, letters)


def check(what: File | dict[str, Any]) -> None:
    """A file is replayed or refused with a sentence; every line ends as an outcome or a reject; a letter is always read."""
    if isinstance(what, dict):
        check_letter(what)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(what.data)
        if what.is_of_rows:
            check_rows(path)
        else:
            check_events(path)


def check_letter(message: dict[str, Any]) -> None:
    """A dead letter is read whatever it is, shown, and told again by its own line."""
    letter = read_letter(message, "queue")
    assert letter.reason.strip(), "a letter without a reason"
    assert all(isinstance(name, str) for names in jobs_and_users(letter, Desk().reconciler().policy) for name in names)
    again = [one.event for one in told(1, letter_line(letter).encode())]
    events_ = [event for event in again if not isinstance(event, EventError)]
    seen(f"{len(letter.events)} events in a letter")
    assert len(letter.events) >= len(events_)


def check_rows(path: Path) -> None:
    """Rows are read, each by its job, or refused with a sentence and the status of wrong usage."""
    found = told_in_words(lambda: rows_in(path))
    assert found is None or all(isinstance(job, str) and row["jobId"] == job for job, row in found.items())


def check_events(path: Path) -> None:
    """Each line ends as an outcome or a reject; rejects are told again as they were; a second replay changes nothing."""
    desk = Desk()
    reconciler = desk.reconciler()
    if (source := told_in_words(lambda: open_file(path))) is None:
        return
    told_ = [one for number, line in source.lines_after(0) for one in told(number, line)]
    rejects = path.with_name("rejects")
    summary = replayed(path, rejects, reconciler)
    books = Books({ROW["jobId"]: ROW["userId"]}, KNOWN_USERS)
    sound, later = taken(told_, books), taken(told_, books)
    seen(f"{sound.count(True)} of {len(sound)} sound")
    counted = summary.outcomes.total(), summary.rejected
    assert (sound.count(True), sound.count(False)) == counted, list(zip(sound, told_, strict=True))
    assert books.moved() == desk.moved()
    middle = desk.state()
    replayed(path, path.with_name("others"), reconciler)
    assert sound != later or middle == desk.state(), "replayed twice is not replayed once"
    if summary.rejected and sound == later:
        again = replayed(rejects, path.with_name("more"), reconciler)
        assert (0, summary.rejected) == (again.outcomes.total(), again.rejected), "a reject is taken the second time"
        first = [one.text.rstrip(b"\n") for one, is_sound in zip(told_, sound, strict=True) if not is_sound]
        kept = [one.text for number, line in ReplayFile.open(rejects).lines_after(0) for one in told(number, line)]
        assert first == kept, "a reject is not told again as it was"
        assert middle == desk.state()


def taken(told_: Sequence[Told], books: Books) -> list[bool]:
    """Return which events make sense; of an unknown user a charge makes none until a refund is known."""
    return [not isinstance(one.event, EventError) and books.take(told_by(one.event, NOW)) for one in told_]


def told_in_words[T](act: Callable[[], T]) -> T | None:
    """Return what is read; None where it is refused with a sentence and the status of wrong usage."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return act()
    except typer.Exit as exit_:
        assert MISUSED == exit_.exit_code
        assert said.getvalue().strip(), "refused without a word"
        return None


def replayed(path: Path, rejects: Path, reconciler: Reconciler) -> Summary:
    """Replay a file as the command does."""
    deadline = reconciler.clock.deadline(600.0)
    return replay_file(
        ReplayFile.open(path),
        lambda documents: reconciler.many([Envelope(document, Source.REPLAY) for document in documents], deadline),
        lambda document: group_of(document, reconciler.policy),
        Checkpoint(path.with_name(f"{path.name}.checkpoint"), {}),
        rejects,
        workers=1,
        done=lambda _: None,
    )


DOOR = Door(
    "files",
    given,
    check,
    ("engine/cli/event_lines.py", "engine/cli/replay.py", "engine/cli/job_rows.py", "engine/reconcile/dead_letters.py"),
)
