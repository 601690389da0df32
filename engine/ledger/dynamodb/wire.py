"""DynamoDB over the wire: the calls that the ledger makes, without botocore, for a function that must start fast.

It offers what botocore's client offers for these calls, request and answer in DynamoDB's own JSON. It serves static
credentials and a plain endpoint; whatever else a user may configure is botocore's to serve (``choice.py``).
Source of the protocol: "DynamoDB low-level API", Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

import json
import ssl  # reading roots costs more, and waits for the first connection
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import Factory, define, field, frozen

from engine.ledger.dynamodb.connection import Answer, BadAnswerError, Connection
from engine.ledger.dynamodb.signing import Signer

API = "DynamoDB_20120810"
ROOTS = Path(__file__).with_name("amazon-roots.pem")
"""The five roots that AWS's certificates end in; the build puts them here. Reading all of the web's takes 20 ms."""

AWS_DOMAIN = ".amazonaws.com"
"""Where those five vouch for every host. An endpoint of the user's own may end in any root of the web."""

CLOSED_MEANWHILE = (ConnectionResetError, BrokenPipeError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""How a kept connection says that the server had closed it."""

SUCCESS = 200

AS_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""Made once: ``json.dumps`` makes an encoder for each text with separators of one's own. No request is circular."""

Response = dict[str, Any]


class ServiceError(Exception):
    """DynamoDB answered with an error. ``reasons`` has one mapping for each item of a cancelled transaction."""

    def __init__(self, code: str, message: str, status: int, reasons: list[Response]) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.status, self.reasons = code, status, reasons


class NoAnswerError(Exception):
    """No whole answer came: the request may have been carried out, or not."""


class _StaleConnectionError(Exception):
    """The server had closed a kept connection before the answer began."""


@frozen
class Endpoint:
    """Where DynamoDB is. ``bundle`` is a file of trusted roots; None for the build's own, or else the system's."""

    host: str
    port: int
    is_tls: bool = True
    bundle: str | None = None

    @property
    def authority(self) -> str:
        """The host as the request names it: with its port where that is not the scheme's own."""
        own = self.port == (443 if self.is_tls else 80)
        return self.host if own else f"{self.host}:{self.port}"


@define(eq=False, repr=False)
class WireClient:
    """Sends requests over connections that are kept. Safe under threads: each request has a connection to itself."""

    endpoint: Endpoint
    signer: Signer
    now: Callable[[], datetime]
    connect_seconds: float
    read_seconds: float
    _idle: list[Connection] = Factory(list)
    _context: ssl.SSLContext | None = field(default=None, repr=False)

    def transact_write_items(self, **request: Any) -> Response:
        return self._call("TransactWriteItems", request)

    def put_item(self, **request: Any) -> Response:
        return self._call("PutItem", request)

    def update_item(self, **request: Any) -> Response:
        return self._call("UpdateItem", request)

    def get_item(self, **request: Any) -> Response:
        return self._call("GetItem", request)

    def query(self, **request: Any) -> Response:
        return self._call("Query", request)

    def scan(self, **request: Any) -> Response:
        return self._call("Scan", request)

    def batch_get_item(self, **request: Any) -> Response:
        return self._call("BatchGetItem", request)

    def describe_table(self, **request: Any) -> Response:
        return self._call("DescribeTable", request)

    def close(self) -> None:
        """Close the kept connections."""
        while (connection := self._kept()) is not None:
            connection.close()

    def _call(self, operation: str, request: dict[str, Any]) -> Response:
        """Send a request, and return the answer. Raises ServiceError or NoAnswerError."""
        body = AS_JSON(request).encode()
        target = f"{API}.{operation}"
        kept = self._kept()
        if kept is not None and not kept.is_quiet():
            kept.close()
        elif kept is not None:
            with suppress(_StaleConnectionError):
                return self._exchange(kept, target, body, is_kept=True)
            # Sent again at once on a new connection, even if the first was carried out: a transaction carries its
            # ClientRequestToken, and every other call may be repeated. What is idle longer is closed as well.
            self.close()
        return self._exchange(self._connected(), target, body, is_kept=False)

    def _exchange(self, connection: Connection, target: str, body: bytes, *, is_kept: bool) -> Response:
        headers = self.signer.headers(self.endpoint.authority, target, body, self.now())
        try:
            answer = connection.exchange(_request(headers, body))
        except (BadAnswerError, OSError) as error:
            connection.close()
            if is_kept and isinstance(error, CLOSED_MEANWHILE):
                raise _StaleConnectionError from error
            raise NoAnswerError(f"{type(error).__name__}: {error}") from error
        if connection.is_open:
            self._idle.append(connection)
        else:
            connection.close()
        return _read(answer)

    # --- connections ---

    def _kept(self) -> Connection | None:
        """Return the connection that was used last, for its own, or None. One step, so that no two threads get the same."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _connected(self) -> Connection:
        """Return a new connection. Roots that cannot be read are no answer too, as with botocore."""
        endpoint = self.endpoint
        try:
            if endpoint.is_tls and self._context is None:
                self._context = _tls(endpoint)
        except OSError as error:
            raise NoAnswerError(f"the trusted roots cannot be read: {error}") from error
        seconds = {"connect_seconds": self.connect_seconds, "read_seconds": self.read_seconds}
        try:
            return Connection.to(endpoint.host, endpoint.port, tls=self._context, **seconds)
        except OSError as error:
            raise NoAnswerError(f"{type(error).__name__}: {error}") from error


def roots_of(endpoint: Endpoint) -> str | None:
    """Return the file of roots to trust: the user's, or Amazon's own for AWS itself; None for the system's."""
    is_aws = endpoint.host.endswith(AWS_DOMAIN)
    return endpoint.bundle or (str(ROOTS) if is_aws and ROOTS.exists() else None)


def _tls(endpoint: Endpoint) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=roots_of(endpoint))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _request(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request in one piece: head and body by themselves would be two packets, and two TLS records."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST / HTTP/1.1\r\n{lines}accept-encoding: identity\r\ncontent-length: {len(body)}\r\n\r\n".encode("ascii") + body


def _read(answer: Answer) -> Response:
    checksum = answer.headers.get(b"x-amz-crc32")
    if checksum is not None and checksum != b"%d" % zlib.crc32(answer.body):
        raise NoAnswerError("the answer is damaged: its checksum differs")
    if answer.status != SUCCESS:
        raise _error(answer.status, answer.body)
    try:
        said = json.loads(answer.body)
    except ValueError as error:
        raise NoAnswerError(f"the answer is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise NoAnswerError(f"the answer is a JSON {type(said).__name__}, not an object")
    return said


def _error(status: int, body: bytes) -> ServiceError:
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    code = str(said.get("__type", "")).rsplit("#", 1)[-1] or f"HTTP {status}"
    message = str(said.get("message") or said.get("Message") or "")
    return ServiceError(code, message, status, list(said.get("CancellationReasons") or ()))
