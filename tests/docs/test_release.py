"""A release is one number in three places, and the changelog says for whom it changes what."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise

import engine
from tools.environments import ROOT

CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", re.MULTILINE)
LINKED = re.compile(r"^\[([^]]+)\]: \S+$", re.MULTILINE)


def test_the_version_is_one_number() -> None:
    """Of the package that is installed, of the engine that runs, and of the newest section of the changelog."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest, _date = RELEASE.findall(CHANGELOG)[0]

    assert (newest, newest) == (project["version"], engine.__version__)


def test_releases_stand_newest_first_each_with_its_date_and_link() -> None:
    """Every heading of the second level is "Unreleased" or a release."""
    headings = re.findall(r"^## (.+)$", CHANGELOG, re.MULTILINE)
    releases = RELEASE.findall(CHANGELOG)

    assert ["[Unreleased]", *(f"[{version}] - {date}" for version, date in releases)] == headings
    assert ["Unreleased", *(version for version, _ in releases)] == LINKED.findall(CHANGELOG)
    assert all(parts(newer) > parts(older) for (newer, _), (older, _) in pairwise(releases))


def parts(version: str) -> list[int]:
    """Return a version as numbers, which compare as versions do."""
    return [int(part) for part in version.split(".")]
