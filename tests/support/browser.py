"""A Chromium of this machine, and what checks pages in it. Both are skipped with their reason where they are not there."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define

from tools.environments import BROWSER, fill
from tools.language_server import LanguageServerMissingError, installed

NAMES = ("chromium", "chromium-browser", "google-chrome")

DRAWN = "[...document.querySelectorAll('figure')].every((figure) => figure.querySelector('.drawing svg'))"
"""Whether each chart is there."""


def chromium() -> Path:
    """Return the browser; the test is skipped where there is none."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip(f"there is no browser: none of {', '.join(NAMES)} is on this machine (apt-get install chromium)")
    return Path(found)


def axe() -> str:
    """Return the script that checks accessibility; the test is skipped where npm cannot fetch it."""
    try:
        return Path(installed("axe-core", "axe.min.js")[1]).read_text()
    except LanguageServerMissingError as error:
        pytest.skip(f"axe-core is not there: {error}")


@contextlib.contextmanager
def running_browser() -> Iterator[Any]:
    """Run the browser, headless."""
    path = chromium()
    try:
        fill(BROWSER)
    except subprocess.CalledProcessError:
        pytest.skip("playwright is not there, and cannot be installed")
    sys.path.append(str(BROWSER.packages))
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  an environment of its own

    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@define
class Watched:
    """A page that is open, and what it has said and asked for."""

    page: Any
    said: list[str] = Factory(list)
    asked: list[str] = Factory(list)

    def focus(self, what: str, turns_max: int = 60) -> None:
        """Press the tabulator until the focus is on what a selector names."""
        for _ in range(turns_max):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(what) => document.activeElement.matches(what)", what):
                return
        raise AssertionError(f"{turns_max} presses of the tabulator do not lead to {what}")


@contextlib.contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[Watched]:
    """Open a page in a window of its own; with its script its charts are there."""
    context = browser.new_context(**options)
    watched = Watched(context.new_page())
    watched.page.on("console", lambda message: watched.said.append(message.text))
    watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
    watched.page.on("dialog", lambda dialog: (watched.said.append(dialog.message), dialog.dismiss()))
    watched.page.on("request", lambda request: watched.asked.append(request.url))
    watched.page.goto(path.as_uri())
    if options.get("java_script_enabled", True):
        watched.page.wait_for_function(DRAWN)
    yield watched
    context.close()
