"""What the benchmarks stand on: the built artifact, the real runtime client, and a local AWS to answer it."""

from __future__ import annotations

import compileall
import gc
import os
import py_compile
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gates
from benchmarks.runtime_api import Sandbox
from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from tools import deployment, environments
from tools.environments import ROOT
from tools.local_aws import LocalAws, create_tables, run_local_aws, tables_environment, tables_named

FLOOR = """\
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    return {}
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--tiny``."""
    parser.addoption("--tiny", action="store_true", help="run every benchmark once or twice, and judge nothing")


def pytest_configure(config: pytest.Config) -> None:
    """Make the benchmarks tiny before they are imported."""
    if config.getoption("--tiny"):
        gates.make_tiny()


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that ``sam build`` makes for Lambda; the one that BUILT names, where that is built already."""
    given = os.environ.get("BUILT")
    built = Path(given) if given else deployment.build(tmp_path_factory.mktemp("sam") / "build")
    return built.resolve() / "ReconcilerFunction"


@pytest.fixture(scope="session")
def floor(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the packages as they are installed, compiled, below a function that only makes a client."""
    assert artifact.is_dir()
    folder = tmp_path_factory.mktemp("floor") / "task"
    installed = ROOT / ".aws-sam" / "packages"
    if not installed.exists():  # another build than one of this folder
        deployment.build(tmp_path_factory.mktemp("sam-floor") / "build")
    (packages,) = (path for path in installed.iterdir() if path.suffix != ".partial")
    shutil.copytree(packages, folder)
    (folder / "floor.py").write_text(FLOOR)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert compileall.compile_dir(folder, quiet=2, invalidation_mode=unchecked)
    return folder


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Return a running local AWS."""
    with run_local_aws(tmp_path_factory.mktemp("local-aws")) as running:
        yield running


@pytest.fixture(scope="session")
def tables(aws: LocalAws) -> Tables:
    """Return tables with one user who has plenty."""
    client = aws.client("dynamodb")
    made = create_tables(client, tables_named(f"bench-{uuid.uuid4().hex[:8]}"))
    client.put_item(TableName=made.credits, Item=encode_item({"userId": "u-1", "remaining": 1_000_000}))
    client.close()
    return made


@pytest.fixture(scope="session")
def environment(aws: LocalAws, tables: Tables) -> dict[str, str]:
    """Return the variables of the function."""
    return {**aws.environment(), **tables_environment(tables)}


@pytest.fixture(scope="session")
def runtime_python() -> Path:
    """Return the Python that has Lambda's runtime client, with bytecode, as in Lambda."""
    environments.fill(environments.RIC)
    compileall.compile_dir(ROOT / environments.RIC.folder / "lib", quiet=2)
    return environments.RIC.python


@pytest.fixture(scope="session")
def sandbox(environment: dict[str, str], runtime_python: Path) -> Callable[..., Sandbox]:
    """Return what starts a fresh execution environment of a folder's handler, with more variables perhaps."""

    def start(folder: Path, handler: str, **variables: str) -> Sandbox:
        return Sandbox(runtime_python, folder, handler, environment | variables)

    return start


@pytest.fixture
def new_event(aws: LocalAws, tables: Tables) -> Iterator[Callable[[], dict[str, Any]]]:
    """Return what makes an event of a job that was never seen; the application has written its row."""
    client = aws.client("dynamodb")

    def make() -> dict[str, Any]:
        job = f"j-{uuid.uuid4().hex}"
        client.put_item(TableName=tables.jobs, Item=encode_item({"jobId": job, "userId": "u-1", "status": "completed"}))
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "video.rendered",
            "source": "video.generation",
            "account": "123456789012",
            "time": "2026-01-05T10:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail": {
                "jobId": job,
                "userId": "u-1",
                "seconds": 8,
                "model": "veo-3",
                "result_url": f"s3://renders/{job}.mp4",
            },
        }

    yield make
    client.close()


@pytest.fixture
def peer(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return boto3's client with its default settings, and let the handler find what it finds in Lambda.

    What the tests have imported is no garbage for the collector to look through, for neither of the two: init in Lambda
    freezes it as well.
    """
    import boto3  # noqa: PLC0415  the floor imports nothing before its time

    for name, value in {**environment, "AWS_LAMBDA_FUNCTION_NAME": f"bench-{uuid.uuid4().hex[:8]}"}.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("dynamodb", endpoint_url=environment["AWS_ENDPOINT_URL"])
    gc.collect()
    gc.freeze()
    yield client
    gc.unfreeze()
    client.close()
