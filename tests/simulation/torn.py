"""Damaged answers over HTTP: the strict database's server, behind a network that tears, alters and repeats what it says.

What the server has carried out stays done: a client that takes a damaged answer for none sends the request again.
"""

from __future__ import annotations

import time
import zlib
from contextlib import AbstractContextManager
from threading import Event

from tests.simulation.database import Database, Server
from tests.simulation.database import server as whole
from tests.simulation.database.server import serving

WHOLE = "whole"
TORN_HEAD, TORN_BODY, ALTERED, REPEATED, REPEATED_LATER, SILENCE = DAMAGES = (
    "answer torn in its head",
    "answer torn in its body",
    "answer altered on its way",
    "answer repeated",
    "answer repeated a moment later",
    "connection closed without an answer",
)
"""What may become of an answer."""

MOMENT_SECONDS = 0.02
"""So much later comes what is repeated: the client has read the answer by then, and has kept the connection."""

SENT_SECONDS_MAX = 10

REASONS = {200: "OK", 400: "Bad Request", 500: "Internal Server Error"}


class TornServer(Server):
    """A server whose next answer is damaged in the way that ``damage`` says; those after it are whole."""

    damage: str = WHOLE

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.RequestHandlerClass = TornHandler
        self.all_sent = Event()
        self.all_sent.set()

    def wait_for_repeats(self) -> None:
        """Wait until what is repeated later was: what comes after the next request nobody could tell from its answer."""
        assert self.all_sent.wait(SENT_SECONDS_MAX), "an answer was not repeated"


class TornHandler(whole._Handler):  # noqa: SLF001  it says otherwise only how an answer is sent
    """Answers as the server is told."""

    server: TornServer

    def _send(self, status: int, body: bytes) -> None:
        damage, self.server.damage = self.server.damage, WHOLE
        if damage == REPEATED_LATER:
            self.server.all_sent.clear()
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {whole.CONTENT}\r\nContent-Length: {len(body)}\r\n"
        head += f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
        self.wfile.write(_damaged(damage, head.encode(), body))
        if damage == REPEATED_LATER:
            self._repeat(head.encode() + body)
        self.close_connection = damage in {TORN_HEAD, TORN_BODY, SILENCE}

    def _repeat(self, answer: bytes) -> None:
        try:
            time.sleep(MOMENT_SECONDS)
            self.wfile.write(answer)
        finally:
            self.server.all_sent.set()


def _damaged(damage: str, head: bytes, body: bytes) -> bytes:
    if damage == SILENCE:
        return b""
    if damage == TORN_HEAD:
        return head[: len(head) // 2]
    if damage == TORN_BODY:
        return head + body[: len(body) // 2]
    if damage == ALTERED:
        return head + bytes([body[0] ^ 1]) + body[1:]
    return (head + body) * (2 if damage == REPEATED else 1)


def run_torn_server(database: Database) -> AbstractContextManager[TornServer]:
    """Serve a database on a free port of 127.0.0.1 until the end."""
    return serving(TornServer(database))
