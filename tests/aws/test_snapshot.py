"""SnapStart, through the runtime's own client: init once, a snapshot, and environments made from it much later."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from benchmarks.runtime_api import UNSAMPLED, Sandbox
from engine.ledger.store import Tables
from tests.support.events import rendered
from tests.support.world import World
from tools import environments
from tools.local_aws import tables_environment

RESTORED: dict[str, Any] = {}
"""The Runtime API's answer to ``restore/next`` has no content that counts."""


@pytest.fixture
def credentials() -> Iterator[str]:
    """Return an endpoint that gives credentials as the container's does."""
    body = {"AccessKeyId": "test", "SecretAccessKey": "test", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/credentials"
    server.shutdown()
    server.server_close()


class Road:
    """A way to the database that counts who is on it."""

    def __init__(self, endpoint: str) -> None:
        self.there = urlsplit(endpoint)
        self.open = self.opened = 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            self.open += 1
            self.opened += 1
            far = socket.create_connection((self.there.hostname, self.there.port))
            threading.Thread(target=self._forward, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(far, near, False), daemon=True).start()

    def _forward(self, here: socket.socket, there: socket.socket, from_function: bool) -> None:  # noqa: FBT001  a thread's argument
        while data := _received(here):
            there.sendall(data)
        if from_function:
            self.open -= 1
            here.close()
            there.close()


def _received(here: socket.socket) -> bytes:
    try:
        return here.recv(65536)
    except OSError:
        return b""


@pytest.fixture
def road(local_aws: str) -> Iterator[Road]:
    """Return a counted way to the local AWS."""
    road = Road(local_aws)
    yield road
    road.server.close()


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for another process, as long as it may take on a busy machine."""
    ends = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_no_connection_goes_into_the_snapshot_and_what_is_restored_debits(
    artifact: Path, dynamodb: Any, tables: Tables, road: Road, credentials: str
) -> None:
    """Nothing is open while the snapshot is taken; after it one is opened before the first event."""
    world = World(dynamodb, tables).user()
    environments.fill(environments.RIC)
    environment = {
        **tables_environment(tables),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        "AWS_ENDPOINT_URL": road.endpoint,
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials,
    }
    with Sandbox(environments.RIC.python, artifact, "handler.lambda_handler", environment) as box:
        wait_until(lambda: road.opened == 1 and road.open == 0)  # init has read State; the snapshot is being taken
        box.exchange.events.put((RESTORED, UNSAMPLED))
        wait_until(lambda: road.opened == 2 and road.open == 1)
        answer = box.invoke(rendered())

    assert "debited" == answer.body["outcome"]
    assert 2 == road.opened
    assert 1 == len(world.entries())
