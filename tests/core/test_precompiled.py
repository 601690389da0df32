"""Modules and what attrs writes are compiled once, by the build, and taken from one file."""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterator
from importlib import import_module
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
    Path(precompiled.file_of(str(folder))).write_bytes(marshal.dumps(({}, {NAME: noted})))

    precompiled.recall(str(folder))

    assert {"answer": "noted"} == run("answer = 'compiled'", NAME)
    assert {"answer": "compiled"} == run("answer = 'compiled'", "<another>")
    assert 3 == eval(compile("1 + 2", "<expression>", "eval"))  # noqa: S307  our own text


def test_it_ends_with_init(folder: Path) -> None:
    """What is made later is compiled as ever."""
    Path(precompiled.file_of(str(folder))).write_bytes(marshal.dumps(({}, {NAME: compile("answer = 'noted'", NAME, "exec")})))

    precompiled.recall(str(folder))
    precompiled.forget()

    assert {"answer": "compiled"} == run("answer = 'compiled'", NAME)


MODULES = {
    "noted_package": (
        compile("answer = 'noted'", "/var/task/noted_package/__init__.py", "exec"),
        "noted_package/__init__.py",
        True,
    ),
    "noted_package.part": (
        compile("from noted_package import answer", "/var/task/noted_package/part.py", "exec"),
        "noted_package/part.py",
        False,
    ),
}
"""A package and a module of it that stand in no file."""


@pytest.fixture
def noted_modules(folder: Path) -> Iterator[Path]:
    """Return an artifact's folder with these modules noted; afterwards they were never imported."""
    Path(precompiled.file_of(str(folder))).write_bytes(marshal.dumps((MODULES, {})))
    yield folder
    for name in MODULES:
        sys.modules.pop(name, None)


def test_a_noted_module_is_imported_from_the_note(noted_modules: Path) -> None:
    """With its package, and with a file that what lies beside it is found by."""
    precompiled.recall(str(noted_modules))

    part = import_module("noted_package.part")

    assert ("noted", f"{noted_modules}/noted_package/part.py") == (part.answer, part.__file__)
    assert [f"{noted_modules}/noted_package"] == list(import_module("noted_package").__path__)
    assert "noted_package" == part.__package__


def test_a_module_that_was_not_noted_is_found_as_ever(noted_modules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of a package that was, as what is imported late."""
    (noted_modules / "noted_package").mkdir()
    (noted_modules / "noted_package" / "late.py").write_text("answer = 'found'\n")
    precompiled.recall(str(noted_modules))

    late = import_module("noted_package.late")

    assert "found" == late.answer
    sys.modules.pop("noted_package.late")


def test_no_module_comes_from_the_note_after_init(noted_modules: Path) -> None:
    """The importer goes with the patch."""
    before = list(sys.meta_path)
    precompiled.recall(str(noted_modules))
    precompiled.forget()

    assert before == sys.meta_path
    with pytest.raises(ModuleNotFoundError):
        import_module("noted_package")


def test_what_was_imported_from_the_artifact_is_noted_as_where_it_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing that came from elsewhere. A traceback then names the file as Lambda has it."""
    (folder / "just_built.py").write_text("def where():\n    return where.__code__.co_filename\n")
    monkeypatch.syspath_prepend(folder)
    import_module("just_built")

    found = precompiled.modules_in(str(folder))
    sys.modules.pop("just_built")

    assert {"just_built"} == found.keys()
    code, file, is_package = found["just_built"]
    assert ("/var/task/just_built.py", "just_built.py", False) == (code.co_filename, file, is_package)


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
