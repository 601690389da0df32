"""What the pages point at is there: links, headings, files of the project, commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.app import COMMANDS
from tools.environments import ROOT
from tools.template import load, resources

TOP = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")]
PAGES = [*TOP, *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FILE = re.compile(r"`((?:engine|tools|tests|benchmarks|policies|requirements)/[\w./-]*|handler\.py|template\.yaml)`")
COMMAND = re.compile(r"\breconciler ([a-z]+(?:-[a-z]+)*)(?= +[A-Z\[]|`| --| [a-z]+`)")
ELSEWHERE = ("http://", "https://", "../../compare/", "../../releases/")
"""Pages of the web; the last two are GitHub's own, beside the repository's files."""


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """Yield where each link of a page leads: a file, and a heading in it or nothing."""
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        if not target.startswith(ELSEWHERE):
            path, _, heading = target.partition("#")
            yield (page.parent / path).resolve() if path else page, heading


def headings(page: Path) -> set[str]:
    """Return the headings of a page as GitHub names them in addresses."""
    found = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    """A reader who clicks arrives."""
    dead = [
        f"{path}#{heading}"
        for path, heading in links(page)
        if not path.exists() or (heading and heading not in headings(path))
    ]

    assert [] == dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_is_named_is_there(page: Path) -> None:
    """From the project's folder. The changelog may name what is gone."""
    named = set() if page.name == "CHANGELOG.md" else set(FILE.findall(page.read_text()))

    assert set() == {name for name in named if not (ROOT / name).exists()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_is_there(page: Path) -> None:
    """``reconciler`` and a word are a command."""
    assert set() == set(COMMAND.findall(page.read_text())) - COMMANDS.keys()


def test_every_page_is_linked_from_another() -> None:
    """Somebody who begins at the README finds all of them, by one way or another."""
    reached, new = {ROOT / "README.md"}, {ROOT / "README.md"}
    while new:
        new = {path for page in new for path, _ in links(page) if path.suffix == ".md" and path.exists()} - reached
        reached |= new

    pages = {page for page in PAGES if page.parent.name != "decisions"}
    assert set() == pages - reached


def test_the_runbook_lists_every_alarm_before_its_sections() -> None:
    """Whoever is called finds there, at a glance, what happened and what that means for balances."""
    table, *_sections = (ROOT / "docs" / "runbook.md").read_text().split("\n## ")
    alarms = {
        alarm["Properties"]["AlarmName"]["Fn::Sub"].rsplit("${Environment}-", 1)[1]
        for alarm in resources(load(), "AWS::CloudWatch::Alarm").values()
    }

    assert alarms == set(re.findall(r"(?:\| |, )\[([a-z-]+)\]\(#\1\)", table))
