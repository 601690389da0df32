"""An editor, reduced to what a language server sees of it: LSP over standard input and output.

Source of the protocol: "Language Server Protocol Specification", version 3.17.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from attrs import Factory, define

ANSWER_SECONDS_MAX = 300
END_SECONDS_MAX = 5

Message = dict[str, Any]


class LanguageServerError(RuntimeError):
    """The server refused, ended, or said nothing for too long."""


@define
class Editor:
    """One running language server, and what it has said. Lines and characters are counted from 0."""

    process: subprocess.Popen[bytes]
    messages: queue.Queue[Message | None] = Factory(queue.Queue)
    """What the server said and nobody has read; None is its end."""

    diagnostics: dict[str, list[Message]] = Factory(dict)
    asked: int = 0

    def request(self, method: str, params: Any = None) -> Any:
        """Ask, and return the answer. What the server asks meanwhile is answered, what it tells is kept."""
        self.asked += 1
        number = self.asked
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                if "error" in message:
                    raise LanguageServerError(f"{method}: {message['error']}")
                return message["result"]

    def notify(self, method: str, params: Any = None) -> None:
        """Tell the server something."""
        self._send({"method": method, "params": params})

    def open(self, path: Path, text: str) -> None:
        """Open a file with this text. The file need not be saved."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})

    def marks(self, path: Path) -> list[Message]:
        """Return what the server marks in an open file, as soon as it has looked at it."""
        while path.as_uri() not in self.diagnostics:
            self._next()
        return self.diagnostics[path.as_uri()]

    def complete(self, path: Path, line: int, character: int) -> list[str]:
        """Return what the server offers at a place."""
        answer = self.request("textDocument/completion", _place(path, line, character))
        return [item["label"] for item in (answer or {"items": []})["items"]]

    def hover(self, path: Path, line: int, character: int) -> str:
        """Return what the server says about a place."""
        answer = self.request("textDocument/hover", _place(path, line, character))
        return answer["contents"]["value"] if answer else ""

    def start(self, folder: Path) -> None:
        """Shake hands: say what this editor can do, and wait until the server has its settings."""
        capabilities = {"workspace": {"configuration": True}, "textDocument": {"hover": {"contentFormat": ["plaintext"]}}}
        self.request("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": capabilities})
        self.notify("initialized", {})
        while self._next().get("method") != "workspace/configuration":
            pass

    def end(self) -> None:
        """Take leave; who does not go is sent."""
        try:
            self.request("shutdown")
            self.notify("exit")
            self.process.wait(END_SECONDS_MAX)
        except (LanguageServerError, OSError, subprocess.TimeoutExpired):
            self.process.kill()

    def listen(self) -> None:
        """Take in what the server says until it ends."""
        assert self.process.stdout is not None
        for message in _messages(self.process.stdout):
            self.messages.put(message)
        self.messages.put(None)

    def _next(self) -> Message:
        try:
            message = self.messages.get(timeout=ANSWER_SECONDS_MAX)
        except queue.Empty as error:
            raise LanguageServerError(f"the server has said nothing for {ANSWER_SECONDS_MAX} seconds") from error
        if message is None:
            self.messages.put(None)
            raise LanguageServerError("the server has ended")
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": _answer(message)})
        return message

    def _send(self, message: Message) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()


def _place(path: Path, line: int, character: int) -> Message:
    return {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": character}}


def _answer(message: Message) -> Any:
    """Answer the server's own questions: it may check and complete, and fetches no list of schemas from anywhere."""
    if message["method"] != "workspace/configuration":
        return None
    yaml = {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}
    return [yaml if item.get("section") == "yaml" else {} for item in message["params"]["items"]]


def _messages(stream: IO[bytes]) -> Iterator[Message]:
    """Yield each message: header lines, an empty line, and as many bytes of JSON as ``Content-Length`` says."""
    while header := stream.readline():
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            while stream.readline().strip():
                pass
            yield json.loads(stream.read(int(value)))


@contextlib.contextmanager
def running_editor(command: Sequence[str], folder: Path) -> Iterator[Editor]:
    """Run an editor on a folder, and close it at the end."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        editor = Editor(process)
        threading.Thread(target=editor.listen, daemon=True).start()
        try:
            editor.start(folder)
            yield editor
        finally:
            editor.end()
