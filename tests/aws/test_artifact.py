"""The built artifact: what Lambda gets, and what it must find when it can write nothing."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

from tools.environments import DEV
from tools.template import load

UNCHECKED_HASH = (0b01).to_bytes(4, "little")
"""The flags of bytecode that is taken as it is, without a look at its source (PEP 552)."""

IMPORT_AND_TELL_WHAT_WAS_COMPILED = """
import json, sys

compiled = []
sys.addaudithook(lambda event, arguments: compiled.append(str(arguments[1])) if event == "compile" else None)
sys.path.insert(0, ".")

import handler
import botocore.session

print(json.dumps([name for name in compiled if name.endswith(".py")]))
"""


def test_every_module_comes_with_bytecode_that_is_used_without_a_look_at_its_source(artifact: Path) -> None:
    """/var/task cannot be written and has new time stamps: anything else is compiled again on each cold start."""
    for source in artifact.rglob("*.py"):
        bytecode = Path(cache_from_source(str(source)))
        assert bytecode.exists(), source
        assert MAGIC_NUMBER + UNCHECKED_HASH == bytecode.read_bytes()[:8], source


def test_it_holds_the_product_and_what_that_needs(artifact: Path) -> None:
    """No tests, no tools, no command line, nothing for the laptop only."""
    names = {path.name for path in artifact.iterdir()}

    assert {"handler.py", "engine", "policies", "boto3", "botocore", "attrs", "yaml", "jmespath"} <= names
    assert names.isdisjoint({"tests", "tools", "benchmarks", "bin", "openai", "typer", "rich", "pytest", "moto"})
    assert not (artifact / "engine" / "cli").exists()


def test_it_is_built_for_the_processor_that_the_template_asks_for(artifact: Path) -> None:
    """A library for another processor would be ignored in silence, or fail at the first import."""
    (architecture,) = load()["Resources"]["ReconcilerFunction"]["Properties"]["Architectures"]
    machine = {"x86_64": "x86_64", "arm64": "aarch64"}[architecture]
    libraries = [path.name for path in artifact.rglob("*.so")]

    assert libraries
    assert [] == [name for name in libraries if f"-{machine}-linux-gnu" not in name]


def test_it_starts_with_nothing_installed_and_compiles_nothing(artifact: Path) -> None:
    """All it imports is in it, and comes from bytecode."""
    before = sorted(artifact.rglob("*"))
    command = [str(DEV.python), "-S", "-c", IMPORT_AND_TELL_WHAT_WAS_COMPILED]
    done = subprocess.run(command, cwd=artifact, env={"PATH": os.defpath}, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert [] == json.loads(done.stdout)
    assert before == sorted(artifact.rglob("*"))
