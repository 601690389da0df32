"""Ours beside what others would build, in one interleaved run. Not a gate: it says where we stand."""

from __future__ import annotations

import compileall
import json
import py_compile
import random
import shutil
import statistics
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.budgets import COLD_ROUNDS
from benchmarks.runtime_api import Sandbox
from benchmarks.test_matching import ANSWERS, ENGINES, SIZES, microseconds, rules
from benchmarks.throttle import cpu_seconds
from engine.ledger.dynamodb.attributes import decode, encode_item
from engine.ledger.store import Tables
from tools import environments
from tools.local_aws import LocalAws

pytestmark = pytest.mark.peers

PEERS = Path(__file__).with_name("peers")
PRICE = "2"
INVOCATIONS = 20
OUR_DEBIT, PEERS_DEBIT = Decimal("0.8"), Decimal(16)
"""Credits for 8 seconds: at the policy's 0.10 of January, and at the peers' price."""
FLOOR = '"""Only a client."""\nimport boto3\nclient = boto3.client("dynamodb")\ndef handler(event, context):\n    return {}\n'

Event = Callable[[], dict[str, Any]]


@pytest.fixture(scope="session")
def packages() -> Path:
    """Return the folder of the peers' packages; skip where they cannot be had."""
    try:
        environments.fill(environments.PEERS)
    except subprocess.CalledProcessError:
        pytest.skip("the packages of the peers cannot be fetched (requirements/peers.txt)")
    return environments.PEERS.packages


@pytest.fixture(scope="session")
def plain(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the peers with their packages as ``sam build`` ships them by default: without bytecode."""
    folder = tmp_path_factory.mktemp("peers") / "plain"
    shutil.copytree(packages, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for source in PEERS.glob("*.py"):
        shutil.copy(source, folder)
    (folder / "floor.py").write_text(FLOOR)
    return folder


@pytest.fixture(scope="session")
def compiled(plain: Path) -> Path:
    """Return the same with bytecode."""
    folder = plain.with_name("compiled")
    shutil.copytree(plain, folder)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    assert compileall.compile_dir(folder, quiet=2, invalidation_mode=unchecked)  # else they would be slower than they are
    return folder


@pytest.fixture(scope="session")
def ours_plain(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return our artifact without its bytecode."""
    folder = tmp_path_factory.mktemp("ours") / "plain"
    shutil.copytree(artifact, folder, ignore=shutil.ignore_patterns("__pycache__", "precompiled.cpython*"))
    return folder


@pytest.fixture(scope="session")
def variables(aws: LocalAws, environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """Return the functions' environment, with what only the peers need: a table, a parameter."""
    name = f"peers-{uuid.uuid4().hex[:8]}"
    dynamodb, ssm = aws.client("dynamodb"), aws.client("ssm")
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    ssm.put_parameter(Name=name, Value=PRICE, Type="String")
    yield {**environment, "IDEMPOTENCY_TABLE": name, "PRICE_PARAMETER": name}
    dynamodb.close()
    ssm.close()


class Contenders:
    """Functions by their names, each a folder and a handler."""

    def __init__(self, functions: Mapping[str, tuple[Path, str]], variables: Mapping[str, str]) -> None:
        self.functions, self.variables = functions, variables

    def start(self, name: str) -> Sandbox:
        return Sandbox(environments.RIC.python, *self.functions[name], self.variables)

    def shuffled(self) -> list[str]:
        return random.sample(sorted(self.functions), len(self.functions))


@pytest.fixture
def contenders(
    artifact: Path, ours_plain: Path, plain: Path, compiled: Path, variables: dict[str, str], sandbox: object
) -> Contenders:
    """Return all that are compared."""
    assert sandbox  # it has filled the runtime client's environment
    return Contenders(
        {
            "floor": (compiled, "floor.handler"),
            "ours": (artifact, "handler.lambda_handler"),
            "bare": (compiled, "bare_handler.handler"),
            "powertools": (compiled, "powertools_handler.handler"),
            "predecessor": (compiled, "predecessor_handler.handler"),
            "eager": (compiled, "eager_handler.handler"),
            "floor_without_bytecode": (plain, "floor.handler"),
            "ours_without_bytecode": (ours_plain, "handler.lambda_handler"),
            "predecessor_without_bytecode": (plain, "predecessor_handler.handler"),
            "eager_without_bytecode": (plain, "eager_handler.handler"),
        },
        variables,
    )


def test_peers_cold_start(benchmark: Any, contenders: Contenders, new_event: Event, balance: Callable[[], Decimal]) -> None:
    """Process start to the first debit answered, each in a random order of each round. Each has really debited."""
    taken: dict[str, list[float]] = {name: [] for name in contenders.functions}

    def one_round() -> None:
        for name in contenders.shuffled():
            before, event = balance(), new_event()
            with contenders.start(name) as box:
                answer = box.invoke(event)
                taken[name].append(box.milliseconds_to(answer))
            assert answer.body == ({} if is_floor(name) else {**answer.body, "outcome": "debited"}), name
            assert balance() == before - debit(name), name

    one_round()  # fills the page cache
    for values in taken.values():
        values.clear()
    benchmark.pedantic(one_round, rounds=COLD_ROUNDS, iterations=1)

    floor = statistics.median(taken["floor"])
    for name, values in taken.items():
        benchmark.extra_info[f"{name}_to_floor"] = round(statistics.median(values) / floor, 2)
        benchmark.extra_info[f"{name}_milliseconds"] = round(statistics.median(values))
        benchmark.extra_info[f"{name}_milliseconds_p95"] = round(statistics.quantiles(values, n=20)[-1])
    print(f"\ncold starts: {benchmark.extra_info}")
    assert min(taken, key=lambda name: statistics.median(taken[name])) == "ours"


def is_floor(name: str) -> bool:
    """Say whether a function only makes a client."""
    return name.startswith("floor")


def debit(name: str) -> Decimal:
    """Return what a function must take off the balance for one event: once, and no more."""
    if is_floor(name):
        return Decimal(0)
    return OUR_DEBIT if name.startswith("ours") else PEERS_DEBIT


def test_peers_warm_cpu(benchmark: Any, contenders: Contenders, new_event: Event, balance: Callable[[], Decimal]) -> None:
    """Processor time of a warm debit, with all that the runtime client takes for it, in interleaved blocks."""
    names = ("ours", "bare", "powertools", "predecessor")
    taken: dict[str, list[float]] = {name: [] for name in names}
    boxes = {name: contenders.start(name) for name in names}

    def one_round() -> None:
        for name, box in boxes.items():
            events, before = [new_event() for _ in range(INVOCATIONS)], balance()
            began = cpu_seconds(box.process.pid)
            answers = [box.invoke(event) for event in events]
            taken[name].append((cpu_seconds(box.process.pid) - began) / INVOCATIONS)
            assert {answer.body["outcome"] for answer in answers} == {"debited"}, name
            assert balance() == before - INVOCATIONS * debit(name), name

    try:
        for box in boxes.values():
            box.__enter__()
        one_round()
        for values in taken.values():
            values.clear()
        benchmark.pedantic(one_round, rounds=COLD_ROUNDS, iterations=1)
    finally:
        for box in boxes.values():
            box.__exit__()

    medians = {name: statistics.median(values) for name, values in taken.items()}
    for name, median in medians.items():
        benchmark.extra_info[f"{name}_cpu_microseconds"] = round(median * 1e6)
        benchmark.extra_info[f"{name}_to_ours"] = round(median / medians["ours"], 1)
    print(f"\nwarm debits: {benchmark.extra_info}")
    assert min(medians, key=lambda name: medians[name]) == "ours"


def test_peers_matching(benchmark: Any, packages: Path) -> None:
    """zen-engine's decision tables, beside ours by turns; both must give the same answers first."""
    assert packages
    taken: dict[tuple[str, int], list[float]] = {(name, size): [] for name in ("ours", "zen-engine") for size in SIZES}
    engines = {size: ENGINES["ours"](size) for size in SIZES}
    events, expected = [event for event, _ in ANSWERS], [answer for _, answer in ANSWERS]
    assert all([engine(event) for event in events] == expected for engine in engines.values())

    def one_round() -> None:
        for size in SIZES:
            said = ask_zen({"rules": rules(size), "events": events, "calls": 200})
            assert said["answers"] == expected
            taken["zen-engine", size].append(said["microseconds"])
            taken["ours", size].append(microseconds(engines[size], 1000))

    benchmark.pedantic(one_round, rounds=COLD_ROUNDS, iterations=1)
    benchmark.extra_info.update(
        {f"{name} {size}": round(statistics.median(values), 1) for (name, size), values in taken.items()}
    )
    print(f"\nmatching: {benchmark.extra_info}")


def ask_zen(question: dict[str, Any]) -> dict[str, Any]:
    """Return what zen-engine says, from the peers' own Python."""
    command = [environments.PEERS.python, PEERS / "matching.py"]
    done = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def balance(aws: LocalAws, tables: Tables) -> Iterator[Callable[[], Decimal]]:
    """Return what tells the balance of the benchmark's user."""
    client = aws.client("dynamodb")

    def read() -> Decimal:
        row = client.get_item(TableName=tables.credits, Key=encode_item({"userId": "u-1"}), ConsistentRead=True)["Item"]
        return Decimal(decode(row["remaining"]))

    yield read
    client.close()
