"""What attrs writes is compiled once, and again where it writes something else."""

from __future__ import annotations

import builtins
import linecache
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import make_class

from engine.cli.kept_methods import kept_methods

POLICY = (
    "import sys\n"
    "from engine.cli.kept_methods import kept_methods\n"
    "with kept_methods(sys.argv[1]) as new:\n"
    "    from engine.policy import load_policy\n"
    "    policy = load_policy('policies/video.yaml')\n"
    "print(len(new), policy == load_policy('policies/video.yaml'), hash(policy.rules[0].name) == hash('debit-rendered'))\n"
)


@pytest.fixture(autouse=True)
def bytecode_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def point(*fields: str) -> Any:
    """Return a class with these fields, as a new process would make it: under one name, whatever there was before."""
    linecache.clearcache()
    return make_class("Point", fields, frozen=True)


def compiled(file: Path, *fields: str) -> list[str]:
    """Make the class, look whether it is what it should be, and return what had to be compiled for it."""
    with kept_methods(str(file)) as new:
        made = point(*fields)
    values = range(len(fields))
    assert f"Point({', '.join(f'{name}={value}' for name, value in zip(fields, values, strict=True))})" == repr(made(*values))
    assert 2 == len({made(*values), made(*values), made(*values[1:], 9)})
    return list(new)


def test_what_attrs_writes_is_compiled_once_and_again_after_an_edit(tmp_path: Path) -> None:
    """A field more, a field less, another name: no class ever gets the methods of its former self."""
    file = tmp_path / "methods"

    ways = [("x", "y"), ("x", "y"), ("x", "y", "z"), ("x", "y", "z"), ("y", "x"), ("y", "x"), ("x", "y")]
    assert [1, 0, 1, 0, 1, 0, 1] == [len(compiled(file, *fields)) for fields in ways]


def test_another_process_compiles_none_whatever_its_hashes_are(tmp_path: Path) -> None:
    """The text of a `__hash__` has a number in it that is another one in each process."""
    told = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", POLICY, str(tmp_path / "methods")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(done.stdout.split())

    (first, *rights), second = told
    assert (True, ["True", "True"]) == (int(first) > 50, rights)
    assert ["0", "True", "True"] == second


@pytest.mark.parametrize("broken", [b"", b"\x00", b"{", b"[", b"\xe9\x01"], ids=repr)
def test_a_file_that_is_not_whole_is_none_and_is_mended(tmp_path: Path, broken: bytes) -> None:
    """A disk that was full, say."""
    file = tmp_path / "methods"
    file.write_bytes(broken)

    assert [1, 0] == [len(compiled(file, "x")), len(compiled(file, "x"))]


def test_where_nothing_can_be_kept_all_is_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such folder; or Python keeps no bytecode either."""
    assert [1, 1] == [len(compiled(tmp_path / "none" / "methods", "x")) for _ in range(2)]
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert [1, 1] == [len(compiled(tmp_path / "methods", "x")) for _ in range(2)]
    assert [] == list(tmp_path.iterdir())


def test_what_others_compile_is_theirs_and_in_the_end_so_is_compile(tmp_path: Path) -> None:
    """Also after an error; what was compiled before it is not kept."""
    real, file = builtins.compile, tmp_path / "methods"

    def interrupted() -> None:
        with kept_methods(str(file)) as new:
            point("x")
            assert (1, 2) == (len(new), eval(compile("1 + 1", "<a sum>", "eval")))  # noqa: S307  our own text
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert (real, False) == (builtins.compile, file.exists())
