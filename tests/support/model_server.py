"""A server on this machine that speaks the chat completions protocol, well or badly, as a test asks for.

Source of the protocol: "Create chat completion" and "Error codes", OpenAI API reference.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from attrs import Factory, define

from tests.support.canaries import MODEL_KEY, listen

KEY = MODEL_KEY

FINE = {
    "summary": "The charge of 70 credits is far above the usual 0.80.",
    "likely_cause": "unusual-usage",
    "severity": "medium",
    "suggested_check": "Compare the seconds with the job's own row.",
}


@define
class Exchange:
    """One request under way: what was asked, and how it can be answered."""

    handler: Any
    body: dict[str, Any]
    server: ModelServer

    @property
    def labels(self) -> list[str]:
        """The entries that were asked about."""
        return [entry["entry"] for entry in self.data["entries"]]

    @property
    def data(self) -> Any:
        """The document between the marks."""
        begin, text, end = self.body["messages"][1]["content"].split("\n")
        assert ("<data>", "</data>") == (begin, end)
        return json.loads(text)

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send a whole answer."""
        said = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        self.handler.send_response(status)
        for name, value in said.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        with contextlib.suppress(OSError):  # who asked may have gone
            self.handler.wfile.write(body)

    def complete(self, content: str | None, finish: str = "stop", **message: Any) -> None:
        """Send a completion whose message is ``content``."""
        self.send(200, json.dumps(completion(self.body["model"], content, finish, **message)).encode())

    def explain(self, **changes: Any) -> None:
        """Say something fine of each entry, but for the changes."""
        said = [{"entry": label, **FINE, **changes} for label in self.labels]
        self.complete(json.dumps({"explanations": said}))

    def fail(self, status: int, code: str | None = None, headers: dict[str, str] | None = None) -> None:
        """Send an error as the endpoint words them."""
        error = {"message": f"something is wrong with {KEY}", "type": "error", "param": None, "code": code}
        self.send(status, json.dumps({"error": error}).encode(), headers)


Behaviour = Callable[[Exchange], None]


def completion(model: str, content: str | None, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """Return a completion as the endpoint sends it."""
    said = {"role": "assistant", "content": content, "refusal": None, "annotations": [], **message}
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1767607200,
        "model": model,
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
        "service_tier": "default",
    }


@define
class ModelServer:
    """What the server does with its next requests, the last of it for ever, and what it was asked so far."""

    url: str = ""
    behaviours: list[Behaviour] = Factory(list)
    accepts: str = KEY
    exchanges: list[Exchange] = Factory(list)
    stopped: threading.Event = Factory(threading.Event)

    def does(self, *behaviours: Behaviour) -> ModelServer:
        """Let the next requests be answered so."""
        self.behaviours = list(behaviours)
        self.exchanges.clear()
        return self

    def next(self) -> Behaviour:
        """Return how the next request is answered."""
        if not self.behaviours:
            return Exchange.explain
        return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    model_server: ModelServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        listen("model", body)
        exchange = Exchange(self, body, self.model_server)
        self.model_server.exchanges.append(exchange)
        if self.path != "/v1/chat/completions":
            exchange.fail(404)
        elif self.headers["Authorization"] != f"Bearer {self.model_server.accepts}":
            exchange.fail(401, "invalid_api_key")
        elif not is_strict(body):
            exchange.fail(400, "invalid_request_error")
        else:
            self.model_server.next()(exchange)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def is_strict(body: dict[str, Any]) -> bool:
    """Say whether a request asks for structured output as it must: every object closed, every member required."""
    form = body["response_format"]["json_schema"]
    return form["strict"] is True and "stream" not in body and all(is_closed(part) for part in objects(form["schema"]))


def is_closed(part: dict[str, Any]) -> bool:
    """Say whether a schema's object has the members it names, all of them, and no others."""
    return part["additionalProperties"] is False and sorted(part["required"]) == sorted(part["properties"])


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield every object of a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from objects(part)


@contextlib.contextmanager
def run_model_server() -> Iterator[ModelServer]:
    """Run the server on a free port of this machine."""
    model_server = ModelServer()
    bound = type("Bound", (_Handler,), {"model_server": model_server})
    server = ThreadingHTTPServer(("127.0.0.1", 0), bound)
    server.daemon_threads = True
    server.block_on_close = False
    model_server.url = f"http://127.0.0.1:{server.server_port}/v1"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield model_server
    finally:
        model_server.stopped.set()
        server.shutdown()
        server.server_close()


# --- ways to answer badly ---------------------------------------------------------------------------------------------


def hangs(exchange: Exchange) -> None:
    """Take the request, and never say anything."""
    exchange.server.stopped.wait(60)


def drips_headers(exchange: Exchange) -> None:
    """Send a header a byte at a time, for ever: no single read waits long."""
    _drip(exchange, b"HTTP/1.1 200 OK\r\nX-Long: ")


def drips_body(exchange: Exchange) -> None:
    """Send a body a byte at a time, for ever."""
    _drip(exchange, b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")


def _drip(exchange: Exchange, begin: bytes) -> None:
    with contextlib.suppress(OSError):
        exchange.handler.wfile.write(begin)
        while not exchange.server.stopped.wait(0.05):
            exchange.handler.wfile.write(b" ")
    exchange.handler.close_connection = True


def sends_ten_megabytes(exchange: Exchange) -> None:
    """Answer with more than anybody wants to read."""
    exchange.complete("x" * 10_000_000)


def says_garbage(exchange: Exchange) -> None:
    """Answer with what is no JSON, though it says it is."""
    exchange.send(200, b"\x00\xff<html>busy</html>")


def is_cut_in_the_middle(exchange: Exchange) -> None:
    """Send half of a completion as if it were whole."""
    text = json.dumps(completion("gpt-4.1", json.dumps({"explanations": []}))).encode()
    exchange.send(200, text[: len(text) // 2])


def hangs_up(exchange: Exchange) -> None:
    """Promise a body, send half of it, and close."""
    exchange.handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
    exchange.handler.close_connection = True


def obeys_the_event(exchange: Exchange) -> None:
    """Do as the injected text asked: words, and members that nobody asked for."""
    said = [{"entry": label, **FINE, "refund": "everyone", "amount": "-1000000"} for label in exchange.labels]
    exchange.complete(json.dumps({"explanations": said, "transfer": {"to": "u-evil", "credits": 1_000_000}}))


def waits_then(seconds: float, then: Behaviour) -> Behaviour:
    """Return a behaviour that thinks for a while first."""

    def behave(exchange: Exchange) -> None:
        time.sleep(seconds)
        then(exchange)

    return behave
