"""A way to the database on which each answer takes as long as a test says."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from attrs import define

CHUNK = 65_536


@define
class SlowDatabase:
    """Hands everything on to ``endpoint``, and each answer back after ``seconds``."""

    endpoint: str
    listener: socket.socket
    seconds: float = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                target = urlsplit(self.endpoint)
                server = socket.create_connection((target.hostname, target.port))
                asked = threading.Event()
                for source, sink, before in (
                    (client, server, asked.set),
                    (server, client, lambda asked=asked: self._wait(asked)),
                ):
                    threading.Thread(target=self._hand_on, args=(source, sink, before), daemon=True).start()

    def _wait(self, asked: threading.Event) -> None:
        """Wait before the first piece of an answer; the rest of it comes at once."""
        if asked.is_set():
            asked.clear()
            time.sleep(self.seconds)

    @staticmethod
    def _hand_on(source: socket.socket, sink: socket.socket, before: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                before()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def slow_database(endpoint: str) -> Iterator[SlowDatabase]:
    """Return a way to ``endpoint`` that is not slow yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        database = SlowDatabase(endpoint, listener)
        threading.Thread(target=database.serve, daemon=True).start()
        yield database
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
