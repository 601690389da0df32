"""A way to the database on which some requests are refused for want of a permission, as often as a test says."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from attrs import define, field

REFUSAL = {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": "refused by a test"}


@define
class RefusingDatabase:
    """Hands everything on to ``endpoint``, but for the next ``refusals`` requests of ``operation`` on ``table``."""

    endpoint: str
    operation: str
    table: str
    refusals: int = 0
    url: str = ""
    lock: Any = field(factory=threading.Lock)

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of a request's answer."""
        if self._refuses(headers, body):
            return 400, json.dumps(REFUSAL).encode()
        target = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(str(target.hostname), target.port)
        with contextlib.closing(connection):
            connection.request("POST", path, body, headers)
            answered = connection.getresponse()
            return answered.status, answered.read()

    def _refuses(self, headers: dict[str, str], body: bytes) -> bool:
        asked = {name.lower(): value for name, value in headers.items()}.get("x-amz-target", "")
        is_meant = asked.endswith(f".{self.operation}") and json.loads(body).get("TableName") == self.table
        with self.lock:
            is_refused = is_meant and self.refusals > 0
            self.refusals -= is_refused
        return is_refused


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    database: ClassVar[RefusingDatabase]

    def do_POST(self) -> None:
        """Answer one request; the connection stays open."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = self.database.answer(self.path, dict(self.headers.items()), body)
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name is the library's
        """Say nothing."""


@contextlib.contextmanager
def refusing_database(endpoint: str, operation: str, table: str) -> Iterator[RefusingDatabase]:
    """Return a way to ``endpoint`` that refuses nothing yet."""
    database = RefusingDatabase(endpoint, operation, table)
    door = type("Door", (_Door,), {"database": database})
    with ThreadingHTTPServer(("127.0.0.1", 0), door) as server:
        server.daemon_threads = True
        database.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield database
        server.shutdown()
