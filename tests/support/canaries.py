"""Texts that must never be told: secrets in the environment, and personal details in events and rows that no policy reads.

They are planted wherever a test makes an event or a row of Jobs. Each channel that tells anything is listened to: the lines of
the log with their metrics, what is printed, Python's own log, X-Ray's segments, questions to the model, the bus, entries. A
test in which a canary is heard fails (``nothing_is_told`` in ``tests/conftest.py``).
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from attrs import Factory, define

SECRET_KEY, SESSION_TOKEN = "canary+secret/key+4f1d", "canary+session/token+9b7e"
MODEL_KEY = "sk-test-0123456789"
"""What the secret of the model holds in tests."""

ENVIRONMENT: Mapping[str, str] = {"AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_SESSION_TOKEN": SESSION_TOKEN}

PERSONAL: Mapping[str, str] = {
    "name": "Canary Featherstone",
    "email": "canary.featherstone@example.com",
    "card": "4929 1234 5678 9012",
    "prompt": "a canary that sings of its owner",
    "token": "sk-canary-of-the-customer",
}
DETAIL: Mapping[str, Any] = {
    "customer": {name: PERSONAL[name] for name in ("name", "email")} | {"cards": [{"number": PERSONAL["card"]}]},
    "prompt": PERSONAL["prompt"],
    "headers": {"Authorization": f"Bearer {PERSONAL['token']}"},
}
"""What each event says beside what policies read: members of members, and of lists."""

ROW: Mapping[str, Any] = {"prompt": f"{PERSONAL['prompt']}, for {PERSONAL['name']} <{PERSONAL['email']}>"}
"""The same of a row of Jobs."""


SHOWS_LETTERS = (["dead-letters", "show"], ["dead-letters", "list"])
"""Commands by which an operator looks at whole events, and is to: of these only secrets are heard."""


@define
class Ear:
    """What was heard of the canaries, by channel, since the last look."""

    secrets: set[str] = Factory(lambda: {SECRET_KEY, SESSION_TOKEN, MODEL_KEY})
    heard: list[str] = Factory(list)

    def listen(self, channel: str, text: str, *, personal: bool = True) -> str:
        """Listen to a text of a channel, and return it."""
        for canary in (*self.secrets, *(PERSONAL.values() if personal else ())):
            if (at := text.find(canary)) >= 0:
                self.heard.append(f"{channel}: ...{text[max(0, at - 80) : at + len(canary)]}")
        return text

    def take(self) -> list[str]:
        """Return what was heard, and forget it."""
        heard, self.heard = self.heard, []
        return heard


EAR = Ear()
"""The one that all channels of this process are listened to by."""


def listen(channel: str, told: Any, *, personal: bool = True) -> None:
    """Listen to whatever a channel takes; where it is not ``personal``, for secrets alone."""
    text = told if isinstance(told, str) else json.dumps(told, default=str, ensure_ascii=False)
    EAR.listen(channel, text, personal=personal)


class Lines(json.JSONEncoder):
    """The encoder of the log's lines, listened to: lines and metrics go through it whoever writes them."""

    def encode(self, line: Any) -> str:
        """Return a line."""
        return EAR.listen("log", super().encode(line))


class Records(logging.Handler):
    """Listens to what libraries, and the tracing, log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Listen to a record with its traceback."""
        listen("python log", logging.Formatter().format(record))


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Listen to the channels of this process."""
    from typer.testing import CliRunner  # noqa: PLC0415  the same

    from engine.domain.digits import as_text  # noqa: PLC0415  a plugin is loaded before the product's coverage is counted
    from engine.ledger import memory  # noqa: PLC0415  the same
    from engine.ledger.dynamodb import postings  # noqa: PLC0415  the same
    from engine.runtime import telemetry  # noqa: PLC0415  the same

    handler = Records()
    logging.getLogger().addHandler(handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(telemetry, "LINE", Lines(default=as_text))
        patch.setattr(postings, "item_of", _heard("entry", postings.item_of))
        patch.setattr(memory.MemoryStore, "_keep", _heard_before("entry", memory.MemoryStore._keep))  # noqa: SLF001  its one door
        patch.setattr(pytest.CaptureFixture, "readouterr", _heard("printed", pytest.CaptureFixture.readouterr))
        patch.setattr(CliRunner, "invoke", _heard_command(CliRunner.invoke))
        yield
    logging.getLogger().removeHandler(handler)


def _heard(channel: str, told: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(told)
    def heard(*given: Any, **named: Any) -> Any:
        answer = told(*given, **named)
        listen(channel, answer)
        return answer

    return heard


def _heard_command(invoke: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(invoke)
    def heard(runner: Any, app: Any, args: Any = None, **named: Any) -> Any:
        result = invoke(runner, app, args, **named)
        listen("command", result.output, personal=list(args or ())[:2] not in SHOWS_LETTERS)
        return result

    return heard


def _heard_before(channel: str, taken: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(taken)
    def heard(store: Any, entry: Any, *given: Any) -> Any:
        listen(channel, repr(entry))
        return taken(store, entry, *given)

    return heard
