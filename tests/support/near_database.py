"""The strict database without the network: what botocore would send is answered in this process.

All of botocore stays at work but for its connection: it judges and writes requests, signs them, reads answers and their
checksums. The connection is half of a call's time. Only the main thread goes without; other threads keep their connections,
where they take turns within a call.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from tests.simulation.database.server import Server, answered, headers_of

Send = Callable[[URLLib3Session, AWSPreparedRequest], AWSResponse]


class Raw(io.BytesIO):
    """A body, as botocore reads it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Yield it in one piece."""
        yield self.read()


@contextlib.contextmanager
def near(server: Server) -> Iterator[None]:
    """Let botocore's clients in the main thread reach a server's database without a connection."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(URLLib3Session, "send", functools.partialmethod(_send, server, URLLib3Session.send))
        yield


def _send(session: URLLib3Session, server: Server, send: Send, request: AWSPreparedRequest) -> AWSResponse:
    if request.url != f"{server.endpoint}/" or threading.current_thread() is not threading.main_thread():
        return send(session, request)
    status, answer = answered(server.database, request.headers["X-Amz-Target"].decode(), request.body)
    body = json.dumps(answer).encode()
    return AWSResponse(request.url, status, headers_of(body), Raw(body))
