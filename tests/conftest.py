"""What every test stands on: no network, no AWS account, and a local AWS for those that ask for one.

``dynamodb`` and ``tables`` serve most tests; ``local_aws`` is the endpoint behind them, ``aws`` the whole local AWS, and
``deployed`` the real template on another one, where the function may do only what its role permits.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import inspect
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.hooks
import botocore.session
import botocore.useragent
import hypothesis
import pytest
from botocore.compat import accepts_kwargs
from pytest_socket import socket_allow_hosts

from engine.ledger.store import Tables
from engine.reconcile.wiring import build_client
from tests.simulation.database import Client, Database, Server, run_server
from tests.support import canaries
from tests.support.examples import IS_PROOF, left_out
from tests.support.model_server import ModelServer, run_model_server
from tests.support.near_database import near
from tools import deployment, environments
from tools.deployment import Deployment
from tools.local_aws import REGION, LocalAws, create_tables, delete_tables, run_local_aws, tables_named

ENDPOINT = os.environ.get("TEST_DYNAMODB_ENDPOINT")
"""Another DynamoDB for the tests that need no more than that; it is reached with the user's own credentials."""

HOSTS = ["127.0.0.1", "::1", "localhost", *([urlsplit(ENDPOINT).hostname or ""] if ENDPOINT else [])]
RESOLVED: dict[str, set[str]] = {}

CONNECTIONS = 32
"""More than any test has threads."""

STRICT = "strict"
"""What ``--database`` may name beside the local AWS: the DynamoDB of ``tests/simulation/database``."""

NEED_MORE = pytest.StashKey[set[Path]]()
"""The files whose tests ask for another service of the local AWS: their tables are there too."""

ON_THE_LOCAL_AWS = {"aws", "docs", "real", "test_corrected", "test_seals"}
"""Folders and files whose tests are of the local AWS itself, show what was printed there, or take its order for theirs."""

ON_BOTH = {"ledger", "handler"}
"""Folders whose tests of a database run on the strict one in ``make test`` and on the local AWS in ``make proof``."""

hypothesis.settings.register_profile("tests", deadline=None)  # a busy machine makes any single example slow
hypothesis.settings.load_profile("tests")

NEEDS_LOCAL_AWS = {"aws", "local_aws", "dynamodb", "tables", "new_tables", "deployed"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests that need no more than a DynamoDB run on the strict one."""
    told = "the DynamoDB of the tests that need no other service: the local AWS, or one that is as strict as AWS itself"
    parser.addoption("--database", choices=["local", STRICT], default="local", help=told)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let workers take units of tests where they are asked to (``--dist loadscope``)."""
    from tests.support.scheduling import Units  # noqa: PLC0415  where there are workers

    return Units(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use, and sort them."""
    need_more = config.stash.setdefault(NEED_MORE, set())
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "aws" in fixtures:
            need_more.add(item.path)
        if fixtures & NEEDS_LOCAL_AWS:
            item.add_marker(pytest.mark.local_aws)
        if "deployed" in fixtures:
            item.add_marker(pytest.mark.e2e)
    for item in items:
        if is_of_both(item, need_more):
            item.add_marker(pytest.mark.both)
    leave_out(config, items)
    items.sort(key=turn)


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what chance does not draw, where it is told (``--hypothesis-seed``)."""
    chance = config.getoption("hypothesis_seed", None)
    if not IS_PROOF or chance is None:
        return
    some = left_out((item.nodeid for item in items if item.get_closest_marker("drawn")), str(chance))
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in some])
    items[:] = [item for item in items if item.nodeid not in some]


def is_of_both(item: pytest.Item, need_more: set[Path]) -> bool:
    """Say whether a test runs on the strict database where it may: on the local AWS it is another proof."""
    return item.path.parent.name in ON_BOTH and item.path not in need_more and bool(item.get_closest_marker("local_aws"))


def turn(item: pytest.Item) -> tuple[int, int]:
    """Return when a test has its turn: the longest first, so that no worker is left alone at the end.

    The stack that most of them share begins, and builds what others need; these others come when that is done.
    """
    fixtures = set(getattr(item, "fixturenames", ()))
    if "deployed" in fixtures:
        return 0, 0
    if not any(item.get_closest_marker(name) for name in ("e2e", "slow")):
        return 3, 0
    return 2 if "built" in fixtures else 1, -seconds_of(item)


def seconds_of(item: pytest.Item) -> int:
    """Return how many seconds a slow test takes of a processor, as far as that is said of it."""
    said: list[int] = [mark.args[0] for mark in item.iter_markers("slow") if mark.args]
    return max(said, default=0)


def pytest_sessionstart() -> None:
    """Let the collector of garbage wait: what collecting makes stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Let it look no more at what will stay: modules, tests, their parameters."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def one_reading_of_what_botocore_knows() -> Iterator[None]:
    """Let all sessions share one reading of botocore's own files: they do not change, and a client takes 80 ms otherwise.

    Nor do the parts of its user agent, which it spells anew, letter by letter, for each call: a sixth of what a call takes;
    nor what its handlers take, which it reads from their signatures.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(botocore.session.create_loader))
        spell = "sanitize_user_agent_string_component"
        patch.setattr(botocore.useragent, spell, functools.cache(getattr(botocore.useragent, spell)))
        patch.setattr(botocore.hooks, "accepts_kwargs", takes_any_name)
        yield


def takes_any_name(function: Any) -> bool:
    """Say whether a function has ``**kwargs``, as botocore asks of some two hundred for each session."""
    code = getattr(function, "__code__", None)
    return accepts_kwargs(function) if code is None else bool(code.co_flags & inspect.CO_VARKEYWORDS)


@pytest.fixture(autouse=True, scope="session")
def no_terminal() -> Iterator[None]:
    """Let no width of the terminal that the tests run in decide what they see. Workers are told one, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(autouse=True)
def no_network() -> None:
    """Let a test reach nothing but this machine."""
    socket_allow_hosts(HOSTS, allow_unix_socket=True, resolution_cache=RESOLVED)


@pytest.fixture(autouse=True, scope="session")
def no_aws_account() -> Iterator[None]:
    """Hide the user's AWS configuration, credentials and API keys from every test, and this product's own settings too."""
    own = (
        "JOBS_TABLE",
        "CREDITS_TABLE",
        "LEDGER_TABLE",
        "STATE_TABLE",
        "SEALS_TABLE",
        "ARCHIVE_BUCKET",
        "FAILED_EVENTS_QUEUE_URL",
        "POLICY_FILE",
        "LLM_MODEL",
        "LOG_LEVEL",
        "OPENAI_",
    )
    hidden = own if ENDPOINT else (*own, "AWS_")
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(hidden)]:
            environment.delenv(name)
        if not ENDPOINT:
            for name, value in nobodys_environment().items():
                environment.setenv(name, value)
        yield


@pytest.fixture(autouse=True, scope="session")
def ears() -> Iterator[None]:
    """Listen to whatever this process tells."""
    with canaries.listening():
        yield


@pytest.fixture(autouse=True)
def nothing_is_told(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test in which a canary is heard: a secret, or a personal detail that no policy reads."""
    canaries.EAR.take()
    yield
    for _when, channel, text in request.node._report_sections:  # noqa: SLF001  what was printed and not looked at
        canaries.listen(channel, text)
    assert [] == canaries.EAR.take()


def nobodys_environment() -> dict[str, str]:
    """Return what an AWS SDK needs to talk to a local AWS, without saying where that is."""
    environment = LocalAws("", Path()).environment()
    del environment["AWS_ENDPOINT_URL"]
    return {**environment, **canaries.ENVIRONMENT}


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """Return a running local AWS, one for each worker."""
    with started(run_local_aws(tmp_path_factory.mktemp("local-aws"))) as running:
        yield running


@pytest.fixture(scope="session")
def strict_server() -> Iterator[Server]:
    """Return a server of the strict DynamoDB, one for each worker."""
    with run_server(Database()) as server, near(server):
        yield server


@pytest.fixture(autouse=True)
def nothing_is_senseless(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that sends the strict DynamoDB what AWS would refuse as senseless, whoever in it sends it."""
    if "local_aws" not in request.fixturenames or not is_strict(request):
        yield
        return
    server: Server = request.getfixturevalue("strict_server")
    before = len(server.database.validation_errors)
    yield
    assert [] == server.database.validation_errors[before:]


def is_strict(request: pytest.FixtureRequest) -> bool:
    """Say whether the tests of a file run on the strict DynamoDB."""
    needs_more = request.path in request.config.stash[NEED_MORE]
    is_of_the_local_aws = not ON_THE_LOCAL_AWS.isdisjoint({request.path.parent.name, request.path.stem})
    return request.config.getoption("--database") == STRICT and not needs_more and not is_of_the_local_aws


@pytest.fixture(scope="module")
def local_aws(request: pytest.FixtureRequest) -> str:
    """Return the endpoint of a DynamoDB."""
    if ENDPOINT:
        return ENDPOINT
    if is_strict(request):
        server: Server = request.getfixturevalue("strict_server")
        return server.endpoint
    running: LocalAws = request.getfixturevalue("aws")
    return running.endpoint


@pytest.fixture(scope="module")
def dynamodb(local_aws: str) -> Iterator[Any]:
    """Return the product's own DynamoDB client, connected to the local AWS."""
    client = build_client(REGION, local_aws, connections=CONNECTIONS)
    yield client
    client.close()


@pytest.fixture
def new_tables(request: pytest.FixtureRequest, dynamodb: Any) -> Iterator[Callable[[], Tables]]:
    """Return a function that makes three fresh tables as template.yaml describes them; all go when the test ends."""
    made: list[Tables] = []
    maker = Client(request.getfixturevalue("strict_server").database) if is_strict(request) else dynamodb

    def make() -> Tables:
        made.append(create_tables(maker, tables_named(f"test-{uuid.uuid4().hex[:12]}")))
        return made[-1]

    yield make
    for tables in made:
        delete_tables(maker, tables)


@pytest.fixture
def tables(new_tables: Callable[[], Tables]) -> Tables:
    """Return three fresh tables."""
    return new_tables()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that ``sam build`` filled: the one that BUILT names, where what was built is to be tested.

    Workers share it, so it is never written to.
    """
    if given := os.environ.get("BUILT"):
        return Path(given).resolve()
    folder = of_all_workers(tmp_path_factory) / "sam"
    with installed(), environments.only_one_process(folder):
        if not (folder / "build" / "template.yaml").exists():
            deployment.build(folder / "build")
    return folder / "build"


def of_all_workers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of this run of the tests that all its workers see."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def checkov() -> Path:
    """Return the command of checkov, which checks templates."""
    with installed():
        environments.fill(environments.CHECKOV)
    return environments.CHECKOV.python.with_name("checkov")


@pytest.fixture(scope="session")
def artifact(built: Path) -> Path:
    """Return the folder that Lambda gets."""
    return built / "ReconcilerFunction"


@pytest.fixture(scope="session")
def model_server() -> Iterator[ModelServer]:
    """Return a server that speaks a language model's protocol; it answers well until a test asks for something else."""
    with run_model_server() as running:
        yield running


@pytest.fixture(scope="session")
def deployed(built: Path, model_server: ModelServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Return the real template, deployed where the function may do only what its role permits. Tests bring their own users."""
    local_aws = run_local_aws(tmp_path_factory.mktemp("deployed"), enforce_iam=True)
    parameters = {"LlmBaseUrl": model_server.url, "Archive": "on"}
    with started(local_aws) as running, deployment.deployed(running, built, parameters) as stack:
        yield stack
        lines = [line for function in functions_of(stack) for line in stack.log_lines(function)]
        canaries.listen("CloudWatch", "\n".join(lines))
        assert lines
        assert [] == canaries.EAR.take()


def functions_of(stack: Deployment) -> tuple[str, ...]:
    """Return the names of a stack's functions, each of which has a log of its own."""
    return stack.function, stack.catch_up_function, stack.explain_function, stack.archive_function


@contextlib.contextmanager
def started(local_aws: contextlib.AbstractContextManager[LocalAws]) -> Iterator[LocalAws]:
    """Enter ``local_aws``; where it cannot be installed, skip what needs it."""
    with contextlib.ExitStack() as stack:
        with installed():
            running = stack.enter_context(local_aws)
        yield running


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Skip what needs a tool that cannot be installed here, but never where the result counts."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"cannot be installed here: {' '.join(map(str, error.cmd))}")
