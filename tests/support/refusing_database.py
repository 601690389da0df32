"""A way to the database on which some requests are refused, for the reason and as often as a test says."""

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

NO_PERMISSION, THROTTLED = "AccessDeniedException", "ThrottlingException"


@define
class RefusingDatabase:
    """Hands everything on to ``endpoint``, but for the next ``refusals`` requests of ``operation`` on ``table``."""

    endpoint: str
    operation: str
    table: str
    code: str
    refusals: int = 0
    url: str = ""
    lock: Any = field(factory=threading.Lock)

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of a request's answer."""
        if self._refuses(headers, body):
            return 400, json.dumps({"__type": f"com.amazon.coral.service#{self.code}", "Message": "by a test"}).encode()
        target = urlsplit(self.endpoint)
        connection = http.client.HTTPConnection(str(target.hostname), target.port)
        with contextlib.closing(connection):
            connection.request("POST", path, body, headers)
            answered = connection.getresponse()
            return answered.status, answered.read()

    def _refuses(self, headers: dict[str, str], body: bytes) -> bool:
        asked = {name.lower(): value for name, value in headers.items()}.get("x-amz-target", "")
        is_meant = asked.endswith(f".{self.operation}") and self.table in tables_of(json.loads(body))
        with self.lock:
            is_refused = is_meant and self.refusals > 0
            self.refusals -= is_refused
        return is_refused


def tables_of(request: dict[str, Any]) -> set[str]:
    """Return the tables that a request is about, a transaction's too."""
    parts = [part for item in request.get("TransactItems", ()) for part in item.values()]
    return {part["TableName"] for part in (request, *parts) if "TableName" in part}


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
def refusing_database(endpoint: str, operation: str, table: str, code: str = NO_PERMISSION) -> Iterator[RefusingDatabase]:
    """Return a way to ``endpoint`` that refuses nothing yet."""
    database = RefusingDatabase(endpoint, operation, table, code)
    door = type("Door", (_Door,), {"database": database})
    with ThreadingHTTPServer(("127.0.0.1", 0), door) as server:
        server.daemon_threads = True
        database.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield database
        server.shutdown()
