"""The built artifact: what Lambda gets, and what it must find when it can write nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import Any

import pytest

from engine.ledger import Tables
from engine.policy.compiled import load_compiled
from tests.support.events import rendered
from tests.support.world import World
from tools.artifact import DATA_KEPT, KEPT_TO_EXPLAIN
from tools.deployment import build
from tools.environments import DEV
from tools.local_aws import tables_environment
from tools.roots import amazon_roots
from tools.template import load

MEGABYTES_MAX = 12

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


@pytest.mark.parametrize("function", ["ReconcilerFunction", "CatchUpFunction", "ExplainFunction"])
def test_every_module_comes_with_bytecode_that_is_used_without_a_look_at_its_source(built: Path, function: str) -> None:
    """/var/task cannot be written and has new time stamps: anything else is compiled again on each cold start."""
    for source in (built / function).rglob("*.py"):
        bytecode = Path(cache_from_source(str(source)))
        assert bytecode.exists(), source
        assert MAGIC_NUMBER + UNCHECKED_HASH == bytecode.read_bytes()[:8], source


def test_it_holds_the_product_and_what_that_needs(artifact: Path) -> None:
    """No tests, no tools, no command line, nothing for the laptop only."""
    names = {path.name for path in artifact.iterdir()}

    assert {"handler.py", "engine", "policies", "botocore", "attrs", "jmespath"} <= names
    assert names.isdisjoint({"tests", "tools", "benchmarks", "bin", "openai", "typer", "rich", "pytest", "moto"})
    assert names.isdisjoint({"boto3", "s3transfer", "yaml"})
    assert not (artifact / "engine" / "cli").exists()
    assert {path.name for path in (artifact / "botocore" / "data").iterdir()} == set(DATA_KEPT)
    assert sum(path.stat().st_size for path in artifact.rglob("*") if path.is_file()) < MEGABYTES_MAX * 2**20


@pytest.fixture
def explains(built: Path) -> Path:
    """Return the folder of the function that explains."""
    return built / "ExplainFunction"


def test_only_the_function_that_explains_has_what_that_needs(artifact: Path, explains: Path) -> None:
    """The model's client, two services more, and the part of the engine that knows a model."""
    assert not (artifact / "engine" / "explain").exists()
    assert {"openai", "pydantic", "httpx2"} <= {path.name for path in explains.iterdir()}
    assert (explains / "engine" / "explain" / "function.py").exists()
    assert {*DATA_KEPT, *KEPT_TO_EXPLAIN} == {path.name for path in (explains / "botocore" / "data").iterdir()}
    assert not {"boto3", "yaml", "typer", "pytest"} & {path.name for path in explains.iterdir()}


EXPLAIN_WITHOUT_ANYTHING = """
import os, sys

compiled = []
sys.addaudithook(lambda event, arguments: compiled.append(str(arguments[1])) if event == "compile" else None)
sys.path.insert(0, ".")
os.environ["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:1"
import handler

texts = [name for name in compiled if name.endswith(".py") and "/anyio/" not in name]  # that one reads its own
print(handler.explain_handler({"Records": []}), "openai" in sys.modules, texts)
"""


def test_what_explains_starts_with_nothing_installed_and_imports_the_client_in_its_init(explains: Path) -> None:
    """Before the first batch, from bytecode: without it the import takes two and a half times as long."""
    environment = {
        "PATH": os.defpath, "_HANDLER": "handler.explain_handler", "EVENT_BUS": "default", "OPENAI_API_KEY": "sk-x",
        "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_LAMBDA_FUNCTION_NAME": "explain",
    }  # fmt: skip
    command = [str(DEV.python), "-S", "-c", EXPLAIN_WITHOUT_ANYTHING]
    done = subprocess.run(command, cwd=explains, env=environment, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert "{'batchItemFailures': []} True []" == done.stdout.splitlines()[-1]


def test_every_policy_comes_compiled(artifact: Path) -> None:
    """And its text stays beside it."""
    texts = sorted((artifact / "policies").glob("*.yaml"))

    assert texts
    assert all(load_compiled(text) is not None for text in texts)


def test_it_trusts_amazons_roots(artifact: Path) -> None:
    """Five certificates, taken from botocore's bundle by their fingerprints."""
    roots = (artifact / "engine" / "ledger" / "amazon-roots.pem").read_text()

    assert roots == amazon_roots((artifact / "botocore" / "cacert.pem").read_text())
    assert 5 == roots.count("BEGIN CERTIFICATE")


def test_a_bundle_without_one_of_them_breaks_the_build() -> None:
    """Rather than a function that cannot reach its database."""
    with pytest.raises(ValueError, match="the bundle has no Amazon Root CA 1"):
        amazon_roots("")


def test_two_builds_are_equal(artifact: Path, tmp_path: Path) -> None:
    """Byte for byte, so that a deployment shows whether anything has changed."""
    again = build(tmp_path / "build") / "ReconcilerFunction"

    assert contents(artifact) == contents(again)


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file with its digest."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest() for path in files}


def test_botocore_still_reaches_the_database_with_what_was_left_of_it(
    artifact: Path, local_aws: str, dynamodb: Any, tables: Tables
) -> None:
    """With credentials that only it can serve: an upgrade that needs more of its data is noticed here."""
    world = World(dynamodb, tables).user()
    environment = {
        **tables_environment(tables),
        "PATH": os.defpath,
        "AWS_ENDPOINT_URL": local_aws,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    code = (
        "import json, sys; sys.path.insert(0, '.'); import handler\n"
        "print(handler.lambda_handler(json.loads(sys.argv[1]))['outcome'], 'botocore' in sys.modules)"
    )
    command = [str(DEV.python), "-S", "-c", code, json.dumps(rendered())]
    done = subprocess.run(command, cwd=artifact, env=environment, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert "debited True" == done.stdout.splitlines()[-1]
    assert 1 == len(world.entries())


WHAT_ATTRS_COMPILES_IN_A_COLD_START = """
import sys
from engine import precompiled

precompiled.recall(".")
compiled = []
sys.addaudithook(lambda event, arguments: compiled.append(str(arguments[1])) if event == "compile" else None)
import handler

print([name for name in compiled if name.startswith(precompiled.WRITTEN_BY_ATTRS)])
"""


def test_the_methods_that_attrs_writes_come_compiled(artifact: Path) -> None:
    """All of them: an upgrade of attrs that names its texts otherwise is noticed here."""
    command = [str(DEV.python), "-S", "-c", WHAT_ATTRS_COMPILES_IN_A_COLD_START]
    done = subprocess.run(command, cwd=artifact, env={"PATH": os.defpath}, capture_output=True, text=True, check=False)

    assert "[]\n" == done.stdout, done.stderr


@pytest.mark.parametrize("function", ["ReconcilerFunction", "ExplainFunction"])
def test_it_is_built_for_the_processor_that_the_template_asks_for(built: Path, function: str) -> None:
    """A library for another processor would be ignored in silence, or fail at the first import."""
    (architecture,) = load()["Globals"]["Function"]["Architectures"]
    machine = {"x86_64": "x86_64", "arm64": "aarch64"}[architecture]
    libraries = [path.name for path in (built / function).rglob("*.so")]  # none but those of the model's client

    assert [] == [name for name in libraries if f"-{machine}-linux-gnu" not in name]


def test_it_starts_with_nothing_installed_and_compiles_nothing(artifact: Path) -> None:
    """All it imports is in it, and comes from bytecode."""
    before = sorted(artifact.rglob("*"))
    command = [str(DEV.python), "-S", "-c", IMPORT_AND_TELL_WHAT_WAS_COMPILED]
    done = subprocess.run(command, cwd=artifact, env={"PATH": os.defpath}, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stderr
    assert [] == json.loads(done.stdout)
    assert before == sorted(artifact.rglob("*"))
