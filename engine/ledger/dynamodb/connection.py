"""A kept connection that speaks as much HTTP/1.1 as a request to DynamoDB needs, for a function that must start fast.

``http.client`` reads the head of an answer with the parser of e-mails. Importing that takes a tenth of a cold start, and it
parses four times as long. Source of the protocol: RFC 9112, "HTTP/1.1", sections 2 to 7 and 9.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from typing import BinaryIO, Self

from attrs import define, field, frozen

LINE_BYTES_MAX = 65_536
LINES_MAX = 100
"""Of one head with its end, as many as ``http.client`` takes. DynamoDB sends eight."""

END_OF_HEAD = frozenset({b"\r\n", b"\n"})

IN_NAMES = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
IN_LINES = b"\t" + bytes(range(0x20, 0x7F))
"""What a name and a whole line may consist of; a line that ends otherwise than by its end might be taken for two."""

CONTINUE = 100
WITHOUT_BODY = frozenset({204, 304})

IS_KEPT = {b"HTTP/1.1 ": True, b"HTTP/1.0 ": False}
"""Whether a server of a version keeps connections."""

CHUNK = rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[\t -~]*)?\r?\n"


Headers = dict[bytes, bytes]


class BadAnswerError(Exception):
    """What came is no whole answer of HTTP."""


@frozen
class Answer:
    """An answer. The names of ``headers`` are lower case; of a name that comes twice the first counts."""

    status: int
    headers: Headers
    body: bytes


@define(eq=False, repr=False)
class Connection:
    """A connection to one server. ``is_open`` says whether another request may follow an answer."""

    _sock: socket.socket
    is_open: bool = field(default=True, init=False)

    @classmethod
    def to(cls, host: str, port: int, *, tls: ssl.SSLContext | None, connect_seconds: float, read_seconds: float) -> Self:
        """Connect, with TLS where there is a context. Raises OSError."""
        sock = socket.create_connection((host, port), connect_seconds)
        try:
            _tune(sock)
            if tls is not None:
                sock = tls.wrap_socket(sock, server_hostname=host)
            sock.settimeout(read_seconds)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    def exchange(self, request: bytes) -> Answer:
        """Send a whole request, and return its answer. Raises OSError or BadAnswerError; then the connection is of no use.

        A ConnectionResetError says that the server had closed it before the answer began. What comes in one piece with the
        answer and is no part of it is dropped: it is no answer to what is sent next.
        """
        self._sock.sendall(request)
        with self._sock.makefile("rb") as came:
            status, is_kept, headers = _head(came)
            while status == CONTINUE:
                status, is_kept, headers = _head(came)
            body = _body(came, status, headers)
        self.is_open = _may_follow(status, headers, is_kept=is_kept)
        return Answer(status, headers, body)

    def is_quiet(self) -> bool:
        """Say whether nothing has come since the last answer, as urllib3 asks before it uses a connection again.

        What has come is its end, or an answer that was sent twice, which would be taken for the next request's.
        """
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)
        return not waiting.poll(0) and not (isinstance(self._sock, ssl.SSLSocket) and self._sock.pending())

    def close(self) -> None:
        """Close it."""
        self.is_open = False
        self._sock.close()


def _tune(sock: socket.socket) -> None:
    """Without NODELAY a second request waits 40 ms for an acknowledgement."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


# --- an answer's head -------------------------------------------------------------------------------------------------


def _head(came: BinaryIO) -> tuple[int, bool, Headers]:
    """Return the status, whether the server's version keeps connections, and the headers."""
    line = came.readline(LINE_BYTES_MAX)
    if not line:
        raise ConnectionResetError("the server has closed the connection without an answer")
    version, status = line[:9], line[9:12]  # "HTTP/1.1 ", "200"
    if not (version in IS_KEPT and status.isdigit() and line[12:13] in {b" ", b"\r", b"\n"}):
        raise BadAnswerError(f"an answer begins with {line[:40]!r}")
    return int(status), IS_KEPT[version], _headers(came)


def _headers(came: BinaryIO) -> Headers:
    headers: dict[bytes, bytes] = {}
    for _ in range(LINES_MAX):
        line = came.readline(LINE_BYTES_MAX)
        if line in END_OF_HEAD:
            return headers
        name, _, value = line.partition(b":")
        is_name = name and not name.translate(None, IN_NAMES)
        if not is_name or line.translate(None, IN_LINES) not in END_OF_HEAD:
            raise BadAnswerError(f"a line of the answer's head is {line[:40]!r}")
        headers.setdefault(name.lower(), value.strip())
    raise BadAnswerError(f"the answer's head has more than {LINES_MAX} lines")


def _may_follow(status: int, headers: Headers, *, is_kept: bool) -> bool:
    """Say whether another request may follow: the end of the body is told, and nobody asks to close."""
    has_end = status in WITHOUT_BODY or b"content-length" in headers or b"transfer-encoding" in headers
    asks = headers.get(b"connection", b"").lower()
    return has_end and (b"close" not in asks if is_kept else b"keep-alive" in asks)


# --- its body ---------------------------------------------------------------------------------------------------------


def _body(came: BinaryIO, status: int, headers: Headers) -> bytes:
    if (encoding := headers.get(b"transfer-encoding")) is not None:
        return _chunks(came, encoding)
    if status in WITHOUT_BODY:
        return b""
    if (length := headers.get(b"content-length")) is None:
        return came.read()
    if not length.isdigit():
        raise BadAnswerError(f"content-length is {length[:40]!r}")
    return _read(came, int(length))


def _read(came: BinaryIO, length: int) -> bytes:
    body = came.read(length)
    if len(body) < length:
        raise BadAnswerError(f"the answer ends after {len(body)} of {length} bytes")
    return body


def _chunks(came: BinaryIO, encoding: bytes) -> bytes:
    """Return a body that comes in pieces, as some proxies send it."""
    if encoding.lower() != b"chunked":
        raise BadAnswerError(f"transfer-encoding is {encoding[:40]!r}")
    chunks = []
    while length := _chunk_length(came):
        chunks.append(_read(came, length))
        if came.read(2) != b"\r\n":
            raise BadAnswerError("a chunk of the answer is longer than it says")
    _headers(came)  # what may follow the last chunk
    return b"".join(chunks)


def _chunk_length(came: BinaryIO) -> int:
    line = came.readline(LINE_BYTES_MAX)
    if (said := re.fullmatch(CHUNK, line)) is None:
        raise BadAnswerError(f"the size of a chunk is {line[:40]!r}")
    return int(said[1], 16)
