"""``make play`` as somebody at a terminal lives through it: the day, the printed commands pasted one by one, Ctrl-C."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from attrs import Factory, define

from tools.environments import ROOT

PATIENCE_SECONDS = 300
"""A busy machine may need so long for a day of events; nobody waits for what has come."""
PASTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)


@define
class Terminal:
    """The process, and what it has printed so far. A thread reads along, since a full pipe would stop it."""

    process: subprocess.Popen[str]
    printed: list[str] = Factory(list)

    def read(self) -> None:
        """Keep each line."""
        assert self.process.stdout is not None
        self.printed.extend(self.process.stdout)

    @property
    def text(self) -> str:
        return "".join(self.printed)

    def wait_for(self, text: str) -> None:
        """Wait until it has printed ``text``."""
        end = time.monotonic() + PATIENCE_SECONDS
        while text not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < end, self.text
            time.sleep(0.05)


@pytest.fixture
def terminal(built: Path) -> Iterator[Terminal]:
    """Return a terminal in which the day is over and the local AWS waits."""
    command = [sys.executable, "-m", "tools.demo", "--play", "--built", built]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    terminal = Terminal(process)
    reader = threading.Thread(target=terminal.read, daemon=True)
    reader.start()
    terminal.wait_for("Ctrl-C here")
    yield terminal
    process.kill()
    process.wait()
    reader.join()
    if process.stdout is not None:
        process.stdout.close()


@define
class Shell:
    """Another terminal: what was pasted first counts for each command."""

    first: str
    commands: list[str]

    def run(self, part: str) -> str:
        """Paste the one command that has ``part`` in it, and return what it prints. It must end well."""
        (command,) = [command for command in self.commands if part in command]
        return self.paste(command)

    def paste(self, command: str) -> str:
        """Return what a command prints."""
        shell = [
            "env",
            "-i",
            "PATH=/usr/bin:/bin",
            "AWS_PROFILE=nobody",
            "COLUMNS=200",
            "sh",
            "-c",
            f"{self.first}\n{command}",
        ]
        done = subprocess.run(shell, cwd="/", capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS)
        assert 0 == done.returncode, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


SHOWN = {
    " statement ": [r"remaining\W+12\.19\b"],  # 20 granted; -7.20 -0.60 -0.01 -1.20 +1.20 posted
    " explain ": [r"10 x 0\.12 = 1\.20", r"agrees(?s:.)*agrees"],  # charged by the event, given back by the scan
    " audit": [r"every user's entries add up"],
    " plan ": [r"default 0\.12 -> 0\.15", r"-2\.61"],  # 0.03 more for 60, 5, 12 and 10 seconds: 1.80 + 0.15 + 0.36 + 0.30
    " anomalies ": [r"job#j-104", r"job#j-109", r"job#test-106"],
    " dead-letters ": [r"'eight'"],  # its seconds are a word
    "put_events": [],
}
"""What each printed command shows, by a part of it; the last one sends an event."""


@pytest.mark.timeout(1200)
def test_every_printed_command_works_as_it_is_pasted_and_ctrl_c_leaves_nothing(terminal: Terminal) -> None:
    """In another folder, by somebody who has a profile of AWS, with an event of one's own; then Ctrl-C, twice."""
    assert "every value is as worked out by hand" in terminal.text
    first, *commands = PASTED.findall(terminal.text.split("In another terminal")[1])
    shell = Shell(first, commands)

    for part, expected in SHOWN.items():
        found = shell.run(part)
        assert [] == [pattern for pattern in expected if not re.search(pattern, found)], found
    assert len(SHOWN) == len(commands)
    the_own_event_is_charged(shell)
    everything_ends(terminal, shell)


def the_own_event_is_charged(shell: Shell) -> None:
    """Ten seconds of the premium model at 0.25."""
    end = time.monotonic() + PATIENCE_SECONDS
    while "j-200" not in (found := shell.run(" statement ")) and time.monotonic() < end:
        time.sleep(0.2)

    assert re.search(r"j-200\s+debit\s+premium\s+10\s+-2\.5\b", found)
    assert re.search(r"remaining\W+9\.69\b", found)


def everything_ends(terminal: Terminal, shell: Shell) -> None:
    """The port is closed, the folder is gone, and the exit status is 0, also where Ctrl-C comes again."""
    address = urlsplit(shell.paste("echo $AWS_ENDPOINT_URL").strip())
    folder = Path(shell.first.rsplit(maxsplit=1)[-1]).parent
    assert folder.exists()
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("Stopping")
    terminal.process.send_signal(signal.SIGINT)

    assert 0 == terminal.process.wait(PATIENCE_SECONDS)
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError), socket.create_connection((address.hostname, address.port), timeout=5):
        pass
