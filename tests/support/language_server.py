"""An editor, reduced to what a language server sees of it: LSP over standard input and output.

Source of the protocol: "Language Server Protocol Specification", version 3.17.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from attrs import Factory, define

ANSWER_SECONDS_MAX = 60


@define
class Editor:
    """One running language server, and what it has said."""

    process: subprocess.Popen[bytes]
    messages: queue.Queue[dict[str, Any]] = Factory(queue.Queue)
    diagnostics: dict[str, list[dict[str, Any]]] = Factory(dict)
    asked: int = 0

    def request(self, method: str, params: Any) -> Any:
        """Ask, and return the answer. What the server asks meanwhile is answered, what it tells is kept."""
        self.asked += 1
        number = self.asked
        self._send({"id": number, "method": method, "params": params})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def notify(self, method: str, params: Any) -> None:
        """Tell the server something."""
        self._send({"method": method, "params": params})

    def open(self, path: Path, text: str) -> list[dict[str, Any]]:
        """Open a file with this text, and return what the server marks in it."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.diagnostics.pop(path.as_uri(), None)
        self.notify("textDocument/didOpen", {"textDocument": document})
        while path.as_uri() not in self.diagnostics:
            self._next()
        return self.diagnostics[path.as_uri()]

    def complete(self, path: Path, line: int, character: int) -> list[str]:
        """Return what the server offers at a place (counted from 0)."""
        place = {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": character}}
        answer = self.request("textDocument/completion", place)
        return [item["label"] for item in (answer or {"items": []})["items"]]

    def hover(self, path: Path, line: int, character: int) -> str:
        """Return what the server says about a place (counted from 0)."""
        place = {"textDocument": {"uri": path.as_uri()}, "position": {"line": line, "character": character}}
        answer = self.request("textDocument/hover", place)
        return answer["contents"]["value"] if answer else ""

    def _next(self) -> dict[str, Any]:
        message = self.messages.get(timeout=ANSWER_SECONDS_MAX)
        if message.get("method") == "textDocument/publishDiagnostics":
            self.diagnostics[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": _answer(message)})
        return message

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()


def _answer(message: dict[str, Any]) -> Any:
    """Answer the server's own questions: it may check and complete, and fetches no list of schemas from anywhere."""
    if message["method"] != "workspace/configuration":
        return None
    yaml = {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}
    return [yaml if item.get("section") == "yaml" else {} for item in message["params"]["items"]]


def _read(stream: IO[bytes], messages: queue.Queue[dict[str, Any]]) -> None:
    while header := stream.readline():
        name, _, value = header.partition(b":")
        if name.lower() == b"content-length":
            while stream.readline().strip():
                pass
            messages.put(json.loads(stream.read(int(value))))


@contextlib.contextmanager
def running_editor(command: list[str], folder: Path) -> Iterator[Editor]:
    """Run an editor on a folder, and close it at the end."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        editor = Editor(process)
        threading.Thread(target=_read, args=(process.stdout, editor.messages), daemon=True).start()
        try:
            capabilities = {"workspace": {"configuration": True}, "textDocument": {"hover": {"contentFormat": ["markdown"]}}}
            editor.request("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": capabilities})
            editor.notify("initialized", {})
            yield editor
        finally:
            process.kill()
