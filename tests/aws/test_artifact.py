"""The built artifact: what Lambda gets, and what it must find when it can write nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import uuid
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from engine.ledger.store import Tables
from engine.policy.compiled import load_compiled
from tests.support.events import rendered
from tests.support.world import World
from tools import environments
from tools.artifact import DATA_KEPT, KEPT_FOR_EVENTS, KEPT_TO_ARCHIVE, KEPT_TO_EXPLAIN
from tools.environments import DEV, ROOT
from tools.local_aws import REGION, LocalAws, tables_environment
from tools.roots import amazon_roots
from tools.template import load
from tools.tree import tree_digest

MEGABYTES_MAX = 13

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


@pytest.mark.parametrize("function", ["ReconcilerFunction", "CatchUpFunction", "ArchiveFunction", "ExplainFunction"])
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
    assert {path.name for path in (artifact / "botocore" / "data").iterdir()} == {*DATA_KEPT, *KEPT_FOR_EVENTS}
    assert sum(path.stat().st_size for path in artifact.rglob("*") if path.is_file()) < MEGABYTES_MAX * 2**20


def test_what_serves_events_knows_no_s3(built: Path) -> None:
    """Only who writes or reads the archive of entries has botocore's description of it, and nothing else beside."""
    kept = {
        name: {path.name for path in (built / f"{name}Function" / "botocore" / "data").iterdir()}
        for name in ("Reconciler", "CatchUp", "Archive")
    }

    archives = {*DATA_KEPT, *KEPT_TO_ARCHIVE}
    assert {"Reconciler": archives - {"s3"}, "CatchUp": archives, "Archive": archives} == kept


ARCHIVE_WITHOUT_ANYTHING = """
import json, os, sys

compiled = []
sys.addaudithook(lambda event, arguments: compiled.append(str(arguments[1])) if event == "compile" else None)
sys.path.insert(0, ".")
os.environ["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:1"
import handler

print(json.dumps([handler.archive_handler({"Records": [None]}), [name for name in compiled if name.endswith(".py")]]))
"""


def test_what_archives_starts_with_nothing_installed_and_reaches_the_bucket(built: Path, aws: LocalAws) -> None:
    """With what was left of botocore; the record makes no sense, and is put aside."""
    s3, name = aws.client("s3"), f"archive-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    environment = {
        **aws.environment(), "PATH": os.defpath, "_HANDLER": "handler.archive_handler", "ARCHIVE_BUCKET": name,
        "AWS_LAMBDA_FUNCTION_NAME": "archive",
    }  # fmt: skip
    command = [str(DEV.python), "-S", "-c", ARCHIVE_WITHOUT_ANYTHING]
    done = subprocess.run(command, cwd=built / "ArchiveFunction", env=environment, capture_output=True, text=True, check=False)
    (kept,) = s3.list_objects_v2(Bucket=name)["Contents"]
    s3.close()

    assert 0 == done.returncode, done.stderr
    answer, compiled = json.loads(done.stdout.splitlines()[-1])
    assert (0, 1, []) == (answer["records"], len(answer["odd"]), compiled)
    assert kept["Key"].startswith("odd/")


@pytest.fixture
def explains(built: Path) -> Path:
    """Return the folder of the function that explains."""
    return built / "ExplainFunction"


def test_only_the_function_that_explains_has_what_that_needs(artifact: Path, explains: Path) -> None:
    """The model's client, two services of its own, and the part of the engine that knows a model."""
    assert not (artifact / "engine" / "anomalies" / "explain").exists()
    assert {"openai", "pydantic", "httpx2"} <= {path.name for path in explains.iterdir()}
    assert (explains / "engine" / "anomalies" / "explain" / "function.py").exists()
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
    roots = (artifact / "engine" / "ledger" / "dynamodb" / "amazon-roots.pem").read_text()

    assert roots == amazon_roots((artifact / "botocore" / "cacert.pem").read_text())
    assert 5 == roots.count("BEGIN CERTIFICATE")


def test_a_bundle_without_one_of_them_breaks_the_build() -> None:
    """Rather than a function that cannot reach its database."""
    with pytest.raises(ValueError, match="the bundle has no Amazon Root CA 1"):
        amazon_roots("")


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file with its digest."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).digest() for path in files}


def test_botocore_still_reaches_the_database_with_what_was_left_of_it(
    artifact: Path, local_aws: str, dynamodb: Any, tables: Tables
) -> None:
    """With credentials that only it can serve: an upgrade that needs more of its data is noticed here."""
    world = World(dynamodb, tables).user()

    answer, heavy = invoked(artifact, rendered(), {**tables_environment(tables), "AWS_ENDPOINT_URL": local_aws})

    assert ("debited", HEAVY) == (answer["outcome"], heavy)
    assert 1 == len(world.entries())


def test_a_cold_start_and_its_first_debit_import_nothing_heavy(
    artifact: Path, local_aws: str, dynamodb: Any, tables: Tables
) -> None:
    """With the credentials of a function's role: ``http.client`` and the parser of e-mails took a tenth of a cold start."""
    world = World(dynamodb, tables).user()
    of_lambda = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_REGION": REGION}
    environment = {**tables_environment(tables), **of_lambda, "AWS_ENDPOINT_URL_DYNAMODB": local_aws}

    answer, heavy = invoked(artifact, rendered(), environment)

    assert ("debited", []) == (answer["outcome"], heavy)
    assert 1 == len(world.entries())


def test_botocore_still_reaches_the_queue_of_failed_events_with_what_was_left_of_it(
    artifact: Path, aws: LocalAws, tables: Tables
) -> None:
    """The function writes there itself what makes no sense in a batch."""
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName=f"failed-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    environment = {**tables_environment(tables), "AWS_ENDPOINT_URL": aws.endpoint, "FAILED_EVENTS_QUEUE_URL": queue}
    message = {"messageId": "m-1", "eventSource": "aws:sqs", "body": "{", "attributes": {"ApproximateReceiveCount": "3"}}

    answer, _ = invoked(artifact, {"Records": [message]}, environment)

    (letter,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    sqs.close()
    assert (("batchItemFailures", []), "{") == (*answer.items(), letter["Body"])


HEAVY = ["botocore", "email", "http.client"]
"""What a cold start does without."""


def invoked(artifact: Path, event: dict[str, Any], environment: dict[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return what the artifact answers in a process of its own with nothing else installed, and what of HEAVY it imported."""
    code = (
        "import json, sys; sys.path.insert(0, '.'); import handler\n"
        "answer = handler.lambda_handler(json.loads(sys.argv[1]))\n"
        f"print(json.dumps([answer, [name for name in {HEAVY} if name in sys.modules]]))"
    )
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
    whole = {"PATH": os.defpath, "AWS_EC2_METADATA_DISABLED": "true", **credentials, **environment}
    command = [str(DEV.python), "-S", "-c", code, json.dumps(event)]
    done = subprocess.run(command, cwd=artifact, env=whole, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    answer, heavy = json.loads(done.stdout.splitlines()[-1])
    return answer, heavy


WHAT_ATTRS_COMPILES_IN_A_COLD_START = """
import sys
from engine.runtime import precompiled

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


COPIED = ("Makefile", "engine", "handler.py", "policies", "pyproject.toml", "requirements", "template.yaml", "tools")
"""What of the project a build needs; in a container the whole folder is mounted."""


@pytest.mark.proof
@pytest.mark.slow
@pytest.mark.parametrize("functions", [("ReconcilerFunction",), ("CatchUpFunction", "ExplainFunction")])
def test_a_build_with_nothing_beside_it_is_equal(built: Path, tmp_path: Path, functions: tuple[str, ...]) -> None:
    """As in the container of ``sam build --use-container``: Lambda's Python 3.12 and make, and a .venv that leads nowhere.

    The folder is mounted read-only there, so that whatever a build makes is kept elsewhere.
    """
    project, scratch = tmp_path / "project", tmp_path / "scratch"
    project.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, project / name)
    (project / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "pip"):
        (project / ".venv" / "bin" / name).symlink_to("/a/python/that/this/container/has/not")
    clean = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HOME", "TMPDIR"))}
    environment = {**clean, "PATH": os.defpath, "LANG": "en_US.UTF-8"}

    for function in functions:
        (target := tmp_path / function).mkdir()
        command = ["make", f"build-{function}", f"ARTIFACTS_DIR={target}", f"SCRATCH={scratch}", f"PYTHON={real_python()}"]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)

        assert 0 == done.returncode, done.stderr
        assert contents(built / function) == contents(target), function
    assert not (project / ".aws-sam").exists()


def real_python() -> str:
    """Return the Python that .venv was made from, by its own path."""
    return str(DEV.python.resolve())


def test_a_build_with_another_python_is_refused(tmp_path: Path) -> None:
    """Bytecode of another version would be compiled again in each cold start."""
    other = tmp_path / "python"
    other.write_text(
        f"#!/bin/sh\nexec {real_python()} -c 'import sys; sys.version_info = (3, 13, 0); exec(sys.argv[2])' \"$@\"\n"
    )
    other.chmod(0o755)
    command = ["make", "build-python", f"PYTHON={other}", f"SCRATCH={tmp_path / 'scratch'}"]
    done = subprocess.run(command, cwd=ROOT, env={"PATH": os.defpath}, capture_output=True, text=True, check=False)

    assert 0 != done.returncode
    assert "Lambda runs Python 3.12: say where it is with PYTHON=" in done.stderr
    assert not (tmp_path / "scratch").exists()


# --- the bill of materials ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bills(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the bill of each function."""
    return written(built, tmp_path_factory.mktemp("sbom"))


def written(built: Path, folder: Path) -> Path:
    """Write the bills of a build as ``make sbom`` does, and return their folder."""
    environments.fill(environments.SBOM)
    environments.SBOM.run("-m", "tools.sbom", built, folder)
    return folder


def bill(bills: Path, function: str) -> dict[str, Any]:
    """Return the bill of a function."""
    found: dict[str, Any] = json.loads((bills / f"{function}.cdx.json").read_text())
    return found


@pytest.mark.parametrize("function", ["ReconcilerFunction", "CatchUpFunction", "ArchiveFunction", "ExplainFunction"])
def test_the_bill_names_each_package_of_the_artifact_as_it_was_locked(built: Path, bills: Path, function: str) -> None:
    """No more, no less: every module at the top is of a package that it names, or our own."""
    lock = "explain" if function == "ExplainFunction" else "lambda"
    lines = re.findall(r"^[a-z0-9-]+==[^\\\n]+", (ROOT / "requirements" / f"{lock}.txt").read_text(), re.MULTILINE)
    needed = [each for each in map(Requirement, lines) if each.marker is None or each.marker.evaluate()]
    locked = {each.name: str(each.specifier).removeprefix("==") for each in needed}
    components = {part["purl"]: part for part in bill(bills, function)["components"]}
    left_out = {"boto3", "pyyaml", "s3transfer"}

    assert {f"pkg:pypi/{name}@{version}" for name, version in locked.items() if name not in left_out} == set(components)
    modules = {path.name for path in (built / function).glob("*.dist-info")}
    assert len(modules) == len(components)


def test_the_bill_carries_the_digest_of_what_was_built(built: Path, bills: Path) -> None:
    """So that a bill and an artifact can be held against each other, years later."""
    own = bill(bills, "ReconcilerFunction")["metadata"]["component"]

    assert ("ReconcilerFunction", "application") == (own["name"], own["type"])
    assert [{"alg": "SHA-256", "content": tree_digest(built / "ReconcilerFunction")}] == own["hashes"]


def test_two_bills_of_one_build_are_equal(built: Path, bills: Path, tmp_path: Path) -> None:
    """Without an instant and without chance; those of two functions of the same code differ in their names alone."""
    assert contents(bills) == contents(written(built, tmp_path))
    assert bill(bills, "ReconcilerFunction")["components"] == bill(bills, "CatchUpFunction")["components"]


def test_a_package_that_nobody_locked_is_in_the_bill(tmp_path: Path) -> None:
    """The bill tells what is there, not what ought to be: a stowaway is seen by the test above."""
    metadata = tmp_path / "build" / "Function" / "stowaway-1.2.3.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: Stow_Away\nVersion: 1.2.3\n")

    found = bill(written(tmp_path / "build", tmp_path / "sbom"), "Function")

    assert ["pkg:pypi/stow-away@1.2.3"] == [part["purl"] for part in found["components"]]


def test_a_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    """A changed byte, another name, one file more: each is another digest; a time stamp is none."""
    folder = tmp_path / "build"
    folder.mkdir()
    (folder / "a").write_text("1")
    digests = [tree_digest(folder)]
    os.utime(folder / "a", (0, 0))
    assert digests == [tree_digest(folder)]
    (folder / "a").write_text("2")
    digests.append(tree_digest(folder))
    (folder / "a").rename(folder / "b")
    digests.append(tree_digest(folder))
    (folder / "c").write_text("")
    digests.append(tree_digest(folder))

    assert 4 == len(set(digests))
    assert hashlib.sha256(f"{hashlib.sha256(b'1').hexdigest()}  a\n".encode()).hexdigest() == digests[0]


def test_another_build_than_the_one_that_was_tested_is_not_deployed(tmp_path: Path) -> None:
    """Neither without a digest: a variable that is empty allows nothing."""
    (tmp_path / "a").write_text("1")
    check = [str(DEV.python), "-m", "tools.tree", str(tmp_path), "--is"]

    def status(*digest: str) -> int:
        return subprocess.run([*check, *digest], cwd=ROOT, capture_output=True, check=False).returncode

    assert [0, 1, 1, 1] == [status(tree_digest(tmp_path)), status("0" * 64), status(), status("")]
    with pytest.raises(FileNotFoundError, match="nothing is in it"):
        tree_digest(tmp_path / "nowhere")
