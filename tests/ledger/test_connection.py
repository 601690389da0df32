"""HTTP as the fast client reads it, beside Python's own library: both read the same, and what is broken is no answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from http.client import HTTPResponse
from itertools import pairwise
from threading import Thread

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.ledger.dynamodb.connection import LINES_MAX, Answer, BadAnswerError, Connection

FINE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-amz-crc32: 2745614147\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n, world!!!\r\n0\r\nlast: 1\r\n\r\n"

Seen = tuple[int, bytes, bool]
"""Of an answer: its status, its body, and whether another request may follow."""


def ours(pieces: Sequence[bytes]) -> Seen:
    """Return what the client reads of an answer that comes in pieces, and ends with its connection."""
    keeps, answer = exchanged(pieces)
    return answer.status, answer.body, keeps


def exchanged(pieces: Sequence[bytes]) -> tuple[bool, Answer]:
    """Send a request, and let the answer come; return whether the connection stays, and the answer."""
    client, server = socket.socketpair()
    client.settimeout(5)
    connection = Connection(client)
    writer = Thread(target=_write, args=(server, pieces))
    writer.start()
    try:
        answer = connection.exchange(b"POST / HTTP/1.1\r\n\r\n")
        return connection.is_open, answer
    finally:
        writer.join()
        connection.close()


def _write(server: socket.socket, pieces: Sequence[bytes]) -> None:
    with server:
        server.recv(1024)
        for piece in pieces:
            server.sendall(piece)


def librarys(data: bytes) -> Seen:
    """Return what ``http.client`` reads of the same."""
    client, server = socket.socketpair()
    with client, server:
        server.sendall(data)
        server.shutdown(socket.SHUT_WR)
        response = HTTPResponse(client, method="POST")
        response.begin()
        keeps = not response.will_close
        return response.status, response.read(), keeps


NAMES = st.sampled_from(["Date", "x-amzn-RequestId", "Connection", "x-amz-crc32", "Server"])
VALUES = st.sampled_from(["keep-alive", "close", "", "a: b", " Tue, 01 Dec 2026 10:00:00 GMT ", "Close"])


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """Draw a whole answer, framed in one of three ways."""
    version, status = draw(st.sampled_from(["1.1", "1.1", "1.0"])), draw(st.sampled_from([200, 200, 204, 304, 400, 500]))
    body = draw(st.binary(max_size=300))
    lines = [f"{name}: {value}" for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))]
    framing = draw(st.sampled_from(["length", "length", "chunked", "end"]))
    if framing == "length":
        lines.insert(draw(st.integers(0, len(lines))), f"Content-Length: {len(body)}")
    elif framing == "chunked":
        lines.append("transfer-encoding: chunked")
        body = b"".join(chunks(body, draw(st.integers(1, 100))))
    head = "\r\n".join([f"HTTP/{version} {status} OK", *lines, "", ""]).encode()
    before = draw(st.sampled_from([b"", b"", b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n"]))
    return before + head + (b"" if status in {204, 304} and framing != "chunked" else body)


def chunks(body: bytes, length: int) -> Iterator[bytes]:
    """Yield a body in pieces of a length."""
    for start in range(0, len(body), length):
        piece = body[start : start + length]
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def cut(data: bytes, at: Sequence[int]) -> list[bytes]:
    """Cut an answer into pieces, as a network does."""
    places = sorted({0, *(place % (len(data) + 1) for place in at), len(data)})
    return [data[start:end] for start, end in pairwise(places)]


@given(answer=answers(), at=st.lists(st.integers(0, 1000), max_size=4))
@example(answer=FINE, at=[])
@example(answer=CHUNKED, at=[60, 75])
def test_an_answer_is_read_as_by_the_standard_library(answer: bytes, at: list[int]) -> None:
    """Status, body, and whether the connection stays; however it is framed and wherever the network cuts it."""
    assert librarys(answer) == ours(cut(answer, at))


@given(answer=answers(), place=st.integers(0, 1000), new=st.binary(max_size=3), removed=st.integers(0, 3))
def test_a_broken_answer_is_refused_or_read_as_by_the_standard_library(
    answer: bytes, place: int, new: bytes, removed: int
) -> None:
    """Nothing that the library refuses is taken, and nothing is taken for something else."""
    place %= len(answer)
    broken = answer[:place] + new + answer[place + removed :]
    try:
        seen = ours([broken])
    except (BadAnswerError, ConnectionResetError):
        return

    assert librarys(broken)[:2] == seen[:2]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"garbage\r\n\r\n", r"an answer begins with b'garbage"),
        (b"HTTP/2 200 OK\r\n\r\n", r"an answer begins with b'HTTP/2"),
        (b"HTTP/1.1 20 OK\r\n\r\n", r"an answer begins with"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", r"an answer begins with"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", r"a line of the answer's head is b'content-le'"),
        (b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n", r"a line of the answer's head is b'a b: c"),
        (b"HTTP/1.1 200 OK\r\n: c\r\n\r\n", r"a line of the answer's head is b': c"),
        (b"HTTP/1.1 200 OK\r\na: b\rcontent-length: 0\r\n\r\n", r"a line of the answer's head is b'a: b"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", r"a line of the answer's head is b'no colon"),
        (b"HTTP/1.1 200 OK\r\na: b\r\n folded: c\r\n\r\n", r"a line of the answer's head is b' folded"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * LINES_MAX + b"\r\n", r"more than 100 lines"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n{}", r"content-length is b'-2'"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", r"ends after 2 of 3 bytes"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n{}", r"transfer-encoding is b'gzip'"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n", r"the size of a chunk is b'-2"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r?\n{}\r\n0\r\n\r\n", r"the size of a chunk is b'2"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{}\r\n", r"a chunk of the answer is longer"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n", r"the size of a chunk is b''"),
    ],
)
def test_what_is_broken_says_what_came(answer: bytes, said: str) -> None:
    """Half an answer is none: the request may have been carried out."""
    with pytest.raises(BadAnswerError, match=said):
        ours([answer])


def test_a_hundred_lines_are_a_head() -> None:
    """As many as the standard library takes."""
    answer = b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (LINES_MAX - 2) + b"content-length: 0\r\n\r\n"

    assert (200, b"", True) == ours([answer]) == librarys(answer)


def test_no_answer_is_a_reset() -> None:
    """The server has closed a connection that it had kept: the request may go again on another."""
    with pytest.raises(ConnectionResetError, match="without an answer"):
        ours([])


def test_the_names_of_headers_are_lower_case_and_the_first_of_two_counts() -> None:
    """As ``get`` of the standard library's message has it."""
    _, answer = exchanged([b"HTTP/1.1 200 OK\r\nX-Amz-Crc32:  1 \r\nx-amz-crc32: 2\r\nContent-Length: 0\r\n\r\n"])

    assert {b"x-amz-crc32": b"1", b"content-length": b"0"} == answer.headers


def test_an_answer_that_comes_twice_is_not_the_next_ones() -> None:
    """In one piece with the first it is dropped; by itself it makes the connection unquiet."""
    client, server = socket.socketpair()
    with client, server:
        client.settimeout(5)
        connection = Connection(client)
        server.sendall(FINE + FINE)
        assert b"{}" == connection.exchange(b"x").body
        assert connection.is_quiet()
        server.sendall(FINE.replace(b"{}", b"[]"))
        assert not connection.is_quiet()
        assert b"[]" == connection.exchange(b"x").body
