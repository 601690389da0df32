"""The lock files: what uv takes, and pip as well, where a private index leaves nothing else."""

from __future__ import annotations

import re
from importlib.metadata import distributions

import pytest
from packaging.requirements import Requirement

from tools.environments import ROOT

LOCKS = [ROOT / "requirements.txt", *sorted((ROOT / "requirements").glob("*.txt"))]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[([^]]*)\])?==\S+", re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_package_is_pinned_with_its_hashes(lock) -> None:
    """And by a line of this form, so that nothing is read past."""
    lines = [line for line in lock.read_text().splitlines() if line and line[0] not in " #"]

    assert lines
    assert all(PINNED.match(line) for line in lines)
    assert len(lines) <= lock.read_text().count("--hash=sha256:")


def test_extras_that_packages_ask_of_each_other_are_pinned_too() -> None:
    """To pip ``coverage[toml]`` is not the ``coverage`` that is pinned, once there is a newer one: it refuses."""
    extras = {name: set(re.split(r",\s*", more)) for name, more in PINNED.findall(LOCKS[0].read_text())}
    asked = [
        (requirement.name, extra)
        for distribution in distributions()
        for requirement in map(Requirement, distribution.requires or [])
        if requirement.name in extras and (requirement.marker is None or requirement.marker.evaluate({"extra": ""}))
        for extra in requirement.extras
    ]

    assert ("coverage", "toml") in asked
    assert [] == [(name, extra) for name, extra in asked if extra not in extras[name]]
