"""Damaged answers over HTTP: the strict database's server, behind a network that tears, alters and repeats what it says.

What the server has carried out stays done: a client that takes a damaged answer for none sends the request again.
"""

from __future__ import annotations

import time
import zlib
from contextlib import AbstractContextManager

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

REASONS = {200: "OK", 400: "Bad Request", 500: "Internal Server Error"}


class TornServer(Server):
    """A server whose next answer is damaged in the way that ``damage`` says; those after it are whole."""

    damage: str = WHOLE

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.RequestHandlerClass = TornHandler


class TornHandler(whole._Handler):  # noqa: SLF001  it says otherwise only how an answer is sent
    """Answers as the server is told."""

    server: TornServer

    def _send(self, status: int, body: bytes) -> None:
        damage, self.server.damage = self.server.damage, WHOLE
        head = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {whole.CONTENT}\r\nContent-Length: {len(body)}\r\n"
        head += f"x-amz-crc32: {zlib.crc32(body)}\r\n\r\n"
        self.wfile.write(_damaged(damage, head.encode(), body))
        if damage == REPEATED_LATER:
            time.sleep(MOMENT_SECONDS)
            self.wfile.write(head.encode() + body)
        self.close_connection = damage in {TORN_HEAD, TORN_BODY, SILENCE}


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
