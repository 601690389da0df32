"""The page of a plan in a browser: it draws, sorts and searches by keys alone, asks for nothing, and nobody is left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from engine.cli.app import app
from tests.support.browser import axe, opened, running_browser
from tests.support.events import rendered
from tests.support.policies import example_text

pytestmark = pytest.mark.proof

NASTY = "</script><img src=x onerror=alert(1)>"
USERS = 30
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WINDOWS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": WIDE},
    "dark": {"color_scheme": "dark", "viewport": WIDE},
    "a phone, dark": {"color_scheme": "dark", "viewport": NARROW},
}
A4 = {"width": 680, "height": 960}
"""What paper leaves between its margins, in pixels of a page."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a browser that runs."""
    with running_browser() as running:
        yield running


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page: user ``u-7`` renders 7 seconds, and so on, for 0.01 a second more; half by a model of a bad name."""
    folder = tmp_path_factory.mktemp("page")
    events = [
        rendered(f"j-{n}", user=f"u-{n}", seconds=n, model=NASTY if n % 2 else "veo-3", at=f"2026-01-{n % 9 + 1:02}T10:00:00Z")
        for n in range(1, USERS + 1)
    ]
    (folder / "events.jsonl").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    (folder / "policy.yaml").write_text(example_text())
    (folder / "edited.yaml").write_text(
        example_text(('{default: "0.10"', '{default: "0.11"'), ("percent: 100", "percent: 50"))
    )
    files = ("edited.yaml", "--policy", "policy.yaml", "--events", "events.jsonl", "--html", "page.html")
    command = ["plan", *(str(folder / each) if "." in each else each for each in files)]
    assert 0 == CliRunner().invoke(app, command).exit_code
    return folder / "page.html"


@pytest.mark.parametrize("window", WINDOWS)
def test_every_chart_is_drawn_and_nothing_is_asked_for(browser: Any, written: Path, window: str):
    """No word on the console, no request but the file's own, nothing wider than the window, and names are text."""
    with opened(browser, written, **WINDOWS[window]) as it:
        bars = [it.page.locator(f"figure[data-table={name}] svg rect").count() for name in ("by-day", "by-0", "by-difference")]
        wider = it.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        images = it.page.evaluate("document.images.length")

    assert [18, 4] == bars[:2]
    assert bars[2] >= 3
    assert (0, 0) == (wider, images)
    assert ([], [written.as_uri()]) == (it.said, [url for url in it.asked if not url.startswith("data:")])


def test_dark_is_dark_and_its_charts_are_too(browser: Any, written: Path):
    """Colours of a chart are the page's own."""
    looks = []
    for window in ("light", "dark"):
        with opened(browser, written, **WINDOWS[window]) as it:
            looks.append(
                it.page.evaluate(
                    "() => [document.querySelector('main'), document.querySelector('figure svg text')]"
                    ".map((part, at) => getComputedStyle(part)[at ? 'fill' : 'backgroundColor'])"
                )
            )

    assert [["rgb(255, 255, 255)", "rgb(27, 31, 36)"], ["rgb(22, 27, 34)", "rgb(230, 237, 243)"]] == looks


def shown(it: Any, column: int) -> list[str]:
    """Return a column of the users that are shown."""
    rows = it.page.locator("#users tbody tr:visible")
    return [rows.nth(n).locator("th, td").nth(column).inner_text() for n in range(min(rows.count(), 3))]


def test_users_are_searched_and_sorted_by_keys_alone(browser: Any, written: Path):
    """The tabulator leads there; how many are shown is said aloud, and so is the order."""
    with opened(browser, written) as it:
        it.focus("#users-search")
        it.page.keyboard.type("u-3")
        found = (it.page.locator(".search output").inner_text(), shown(it, 0))
        it.page.keyboard.press("ControlOrMeta+A")
        it.page.keyboard.press("Delete")
        orders = []
        for key in ("Enter", "Space"):
            it.focus("#users th:nth-child(6) button", 8) if not orders else None
            it.page.keyboard.press(key)
            orders.append(it.page.locator("#users th:nth-child(6)").get_attribute("aria-sort"))
        it.page.keyboard.press("Shift+Tab")
        it.page.keyboard.press("Shift+Tab")
        it.page.keyboard.press("Shift+Tab")
        it.page.keyboard.press("Shift+Tab")
        it.page.keyboard.press("Enter")
        largest = shown(it, 0)
        it.page.keyboard.press("Enter")
        smallest = shown(it, 1)

    assert ("2 of 30 shown", ["u-30", "u-3"]) == found
    assert ["descending", "ascending"] == orders
    assert ["u-30", "u-29", "u-28"] == largest
    assert ["+0.0100", "+0.0200", "+0.0300"] == smallest


def test_the_table_behind_a_chart_opens_by_a_key(browser: Any, written: Path):
    """And has the figures."""
    with opened(browser, written) as it:
        it.focus("figure[data-table=by-0] summary")
        it.page.keyboard.press("Enter")

        assert it.page.locator("#by-0 tbody tr").count() == 2
        assert it.page.locator("#by-0").is_visible()


def violations(it: Any, script: str) -> list[tuple[str, str]]:
    """Return what axe-core finds, with everything opened that can be."""
    it.page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    it.page.add_script_tag(content=script)
    found = it.page.evaluate("axe.run()")
    return [(each["id"], node["html"][:100]) for each in found["violations"] for node in each["nodes"]]


@pytest.mark.parametrize("window", WINDOWS)
def test_axe_finds_nothing(browser: Any, written: Path, window: str):
    """Nobody is left out, by what a machine can tell of that."""
    script = axe()
    with opened(browser, written, bypass_csp=True, **WINDOWS[window]) as it:
        assert [] == violations(it, script)


def test_axe_finds_what_is_planted(browser: Any, written: Path):
    """A field without its label, and a text that is hardly to be seen: the check checks."""
    script = axe()
    with opened(browser, written, bypass_csp=True) as it:
        it.page.evaluate("document.querySelector('.search label').remove()")
        it.page.evaluate("document.querySelector('.effect').style.color = '#ccc'")

        assert {"label", "color-contrast"} == {name for name, _ in violations(it, script)}


CUT_OFF = """() => [...document.querySelectorAll('main *')]
    .filter((part) => !part.closest('svg') && !part.closest('.search'))
    .filter((part) => {
        const {overflowX, overflowY} = getComputedStyle(part);
        const hides = [overflowX, overflowY].some((how) => how !== 'visible');
        return hides && (part.scrollWidth > part.clientWidth + 1 || part.scrollHeight > part.clientHeight + 1);
    })
    .map((part) => part.outerHTML.slice(0, 80))"""
"""What has more in it than it shows."""

INVISIBLE = "() => [...document.querySelectorAll('table')].filter((each) => !each.checkVisibility()).length"


def test_on_paper_nothing_is_cut_off_and_every_table_is_there(browser: Any, written: Path, tmp_path: Path):
    """Also of those that were closed on the screen; in dark it is printed dark on white."""
    with opened(browser, written, color_scheme="dark", viewport=A4) as it:
        on_screen = it.page.evaluate(INVISIBLE), len(it.page.evaluate(CUT_OFF))
        it.page.emulate_media(media="print", color_scheme="dark")
        it.page.wait_for_timeout(100)  # the charts are drawn again, for another width
        cut_off, invisible = it.page.evaluate(CUT_OFF), it.page.evaluate(INVISIBLE)
        wider = it.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        colour = it.page.evaluate("getComputedStyle(document.body).color")
        it.page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)

    assert on_screen[0] > 3
    assert on_screen[1] >= 1
    assert ([], 0, 0, "rgb(0, 0, 0)") == (cut_off, invisible, wider, colour)
    assert 1 <= (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n") <= 8


def test_without_its_script_the_page_says_the_same(browser: Any, written: Path):
    """Tables, and neither a field nor a button that would do nothing."""
    with opened(browser, written, java_script_enabled=False) as it:
        counted = [it.page.locator(what).count() for what in ("#users tbody tr", "button", "input", "svg")]

    assert [USERS, 0, 0, 0] == counted
