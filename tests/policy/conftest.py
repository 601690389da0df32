"""An editor for the tests of what it shows of a policy."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.language_server import Editor, running_editor
from tests.support.typed_policy import POLICIES
from tools.language_server import LanguageServerMissingError, language_server


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    """Return an editor with the folder of policies open."""
    try:
        command = language_server()
    except LanguageServerMissingError as missing:
        pytest.skip(str(missing))
    with running_editor(command, POLICIES) as running:
        yield running


@pytest.fixture
def draft() -> Path:
    """Return a file beside the shipped policies that nobody has saved yet."""
    return POLICIES / f"draft-{uuid.uuid4().hex}.yaml"
