"""X-Ray's daemon as a function sees it: something that takes datagrams."""

from __future__ import annotations

import json
import socket
from typing import Any, Self

from attrs import define, field

from tests.support.canaries import listen

HEADER = {"format": "json", "version": 1}
"""What each datagram begins with, on a line of its own. Source: "Sending trace data to X-Ray", AWS X-Ray Developer Guide."""

BYTES_MAX = 64 * 1024

Document = dict[str, Any]


@define
class Daemon:
    """A real UDP listener on loopback, where a datagram has arrived as soon as it was sent. Use as a context manager."""

    socket: socket.socket = field(factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    def __enter__(self) -> Self:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)  # noqa: FBT003  the name of the method says it
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def documents(self) -> list[Document]:
        """Return what has arrived since the last look, in order. Fails for what is no segment document."""
        documents = []
        while datagram := self._received():
            header, _, document = datagram.partition(b"\n")
            assert HEADER == json.loads(header)
            assert len(datagram) <= BYTES_MAX
            listen("X-Ray", document.decode())
            documents.append(json.loads(document))
        return documents

    def _received(self) -> bytes:
        try:
            return self.socket.recv(BYTES_MAX + 1)
        except BlockingIOError:
            return b""


def names(documents: list[Document]) -> list[str]:
    """Return the names of subsegments, in the order in which they ended."""
    return [document["name"] for document in documents]


def annotations(documents: list[Document]) -> list[tuple[str, Document]]:
    """Return what each subsegment is annotated with, beside its name."""
    return [(document["name"], document.get("annotations", {})) for document in documents]
