"""The database over HTTP, on this machine alone: DynamoDB's own protocol, for botocore and for the product's client.

Source: "DynamoDB low-level API" (``X-Amz-Target``, ``application/x-amz-json-1.0``, ``x-amz-crc32``), Developer Guide.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any

from tests.simulation.database.database import Database
from tests.simulation.database.errors import BAD_REQUEST, Malformed, Refused

SUCCESS = 200
API = "DynamoDB_20120810"
CONTENT = "application/x-amz-json-1.0"
OF_THE_FRAMEWORK = frozenset({"ValidationException", "SerializationException", "UnknownOperationException"})
"""Errors whose names do not begin with DynamoDB's own."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one request after the other on a connection that is kept."""

    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = answered(self.server.database, self.headers.get("X-Amz-Target", ""), body)
        self._send(status, json.dumps(answer).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        for name, value in headers_of(body).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  as the base class has it
        """Write no line for each request."""


class Server(ThreadingHTTPServer):
    """A server with a database behind it."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, database: Database) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.database = database

    @property
    def endpoint(self) -> str:
        """The URL that clients are given."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Pass over a client that has gone; what the database itself does wrong is answered as a 500."""


def answered(database: Database, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Return status and answer for a request as it came over the wire."""
    api, _, operation = target.partition(".")
    try:
        return SUCCESS, database.call(operation if api == API else target, _read(body))
    except Refused as refused:
        return BAD_REQUEST, error_answer(refused)
    except Exception as error:  # noqa: BLE001  whoever asked has to learn of it
        told = f"{type(error).__name__}: {error}"
        return 500, {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": told}


REQUESTS = itertools.count(1)
"""What the next request is called."""


def headers_of(body: bytes) -> dict[str, str]:
    """Return what is said of the body of an answer."""
    return {
        "Content-Type": CONTENT,
        "Content-Length": str(len(body)),
        "x-amz-crc32": str(zlib.crc32(body)),
        "x-amzn-RequestId": f"{next(REQUESTS):032X}",
    }


def error_answer(refused: Refused) -> dict[str, Any]:
    """Return the body of an error."""
    family = "com.amazon.coral.service" if refused.code in OF_THE_FRAMEWORK else "com.amazonaws.dynamodb.v20120810"
    return {"__type": f"{family}#{refused.code}", "message": refused.message, **refused.more}


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Malformed(f"the body is no JSON: {error}") from error


def run_server(database: Database) -> AbstractContextManager[Server]:
    """Serve a database on a free port of 127.0.0.1 until the end."""
    return serving(Server(database))


@contextlib.contextmanager
def serving[S: BaseServer](server: S) -> Iterator[S]:
    """Let a server answer in a thread of its own until the end."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
