"""What attrs writes is compiled once, by the build."""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.runtime import precompiled

NAME = f"{precompiled.WRITTEN_BY_ATTRS}methods engine.domain.entry.Entry>"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return an artifact's folder, and let ``compile`` compile again afterwards."""
    (tmp_path / "engine").mkdir()
    yield tmp_path
    precompiled.forget()


def test_what_was_noted_is_not_compiled_again(folder: Path) -> None:
    """It is found by the name of its text; all else is compiled."""
    noted = compile("answer = 'noted'", NAME, "exec")
    Path(precompiled.file_of(str(folder))).write_bytes(marshal.dumps({NAME: noted}))

    precompiled.recall(str(folder))

    assert {"answer": "noted"} == run("answer = 'compiled'", NAME)
    assert {"answer": "compiled"} == run("answer = 'compiled'", "<another>")
    assert 3 == eval(compile("1 + 2", "<expression>", "eval"))  # noqa: S307  our own text


def test_it_ends_with_init(folder: Path) -> None:
    """What is made later is compiled as ever."""
    Path(precompiled.file_of(str(folder))).write_bytes(marshal.dumps({NAME: compile("answer = 'noted'", NAME, "exec")}))

    precompiled.recall(str(folder))
    precompiled.forget()

    assert {"answer": "compiled"} == run("answer = 'compiled'", NAME)


def test_a_folder_without_a_note_changes_nothing(folder: Path) -> None:
    """A laptop, or another version of Python."""
    precompiled.recall(str(folder))

    assert compile is precompiled.COMPILE


def test_the_build_fails_where_nothing_was_noted(folder: Path) -> None:
    """Here the handler has been imported before, so that no class is made."""
    import handler  # noqa: F401, PLC0415  that is the point

    assert 0 == precompiled.note(str(folder))
    assert compile is precompiled.COMPILE


def run(text: str, name: str) -> dict[str, str]:
    """Return the names that a text defines."""
    names: dict[str, str] = {}
    exec(compile(text, name, "exec"), {}, names)  # noqa: S102  our own text
    return names
