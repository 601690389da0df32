"""The wire client: the same answers, errors and tables as botocore's client, and trouble on real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import astuple, frozen
from botocore.exceptions import ClientError
from botocore.session import get_session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.domain.errors import LedgerRefused, LedgerUnavailable
from engine.domain.job_row import Mark
from engine.ledger.dynamodb.choice import choose_wire
from engine.ledger.dynamodb.connection import Connection
from engine.ledger.dynamodb.signing import Credentials, Signer
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import Endpoint, NoAnswerError, ServiceError, WireClient, roots_of
from engine.ledger.store import Tables
from engine.runtime.clock import Clock
from tests.support.events import failed, rendered
from tests.support.policies import example
from tests.support.world import World

OF_LAMBDA = {
    "AWS_LAMBDA_FUNCTION_NAME": "f",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKID",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_SESSION_TOKEN": "token",
}


def client_of(host: str, port: int, *, is_tls: bool = False, bundle: str | None = None, read_seconds: float = 5) -> WireClient:
    """Return a client of an endpoint."""
    signer = Signer(Credentials("test", "test"), "us-east-1")
    client = WireClient(Endpoint(host, port, is_tls, bundle), signer, Clock().now, 1, read_seconds)
    OPENED.append(client.close)
    return client


OPENED: list[Callable[[], None]] = []


@pytest.fixture(autouse=True)
def all_is_closed() -> Iterator[None]:
    """Close the sockets that a test has opened."""
    yield
    while OPENED:
        OPENED.pop()()


@pytest.fixture
def wire(local_aws: str) -> WireClient:
    """Return a client of the local AWS."""
    url = urlsplit(local_aws)
    return client_of(url.hostname or "", url.port or 80)


# --- the same as botocore's client ------------------------------------------------------------------------------------


class _Both:
    """The wire for what the ledger does, botocore for what tests look at."""

    def __init__(self, wire: WireClient, botocore: Any) -> None:
        self.wire, self.botocore = wire, botocore

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wire if name != "get_paginator" else self.botocore, name)


COURSE = [
    *(rendered(f"j-{number}", seconds=number + 1, user=f"u-{number % 2}") for number in range(8)),
    rendered("j-1", seconds=2, user="u-1"),
    failed("j-1", user="u-1"),
    rendered("j-5", seconds=900, user="u-1", at="12:00"),
    failed("j-never", user="u-0"),
    rendered("j-norow", user="u-0"),
]
"""First debits, a duplicate, refunds, an overdraft, a void, a job without a row."""


def run_course(world: World) -> list[str]:
    """Deliver the course to tables with two users and some rows, scan twice, and return the outcomes."""
    world.user("u-0", "1000").user("u-1", "20")
    for number in range(6):
        world.job(f"j-{number}", userId=f"u-{number % 2}")
    world.job("j-late", userId="u-0")
    outcomes = [report.outcome.value for report in world.deliver(*COURSE)]
    return [*outcomes, json.dumps(world.scan().answer()), json.dumps(world.scan().answer())]


NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_the_wire_leaves_what_botocore_leaves(wire: WireClient, dynamodb: Any, new_tables: Callable[[], Tables]) -> None:
    """Outcomes, scans and every byte of all tables, down to the instants of posting."""
    policy, clock = example(), Clock(now=lambda: NOON)
    by_wire = World(_Both(wire, dynamodb), new_tables(), policy=policy, clock=clock)
    by_botocore = World(dynamodb, new_tables(), policy=policy, clock=clock)

    assert run_course(by_botocore) == run_course(by_wire)
    assert stored(dynamodb, by_botocore.tables) == stored(dynamodb, by_wire.tables)


def stored(dynamodb: Any, tables: Tables) -> list[list[str]]:
    """Return the rows of each table as DynamoDB has them, undecoded."""
    pages = [dynamodb.scan(TableName=name, ConsistentRead=True) for name in astuple(tables)]
    return [sorted(json.dumps(item, sort_keys=True) for item in page["Items"]) for page in pages]


def test_a_cancellation_has_the_same_reasons(wire: WireClient, dynamodb: Any, tables: Tables) -> None:
    """What stands there already comes along (``ALL_OLD``), and is how a duplicate and an overdraft are told apart."""
    World(dynamodb, tables).user().deliver(rendered())
    put = {"TableName": tables.ledger, "Item": {"reference": {"S": "job#j-1"}, "sequence": {"N": "1"}}}
    is_free = {"ConditionExpression": "attribute_not_exists(userId)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    new = {"Put": {"TableName": tables.credits, "Item": {"userId": {"S": "u-2"}}}}

    with pytest.raises(ServiceError) as of_wire:
        wire.transact_write_items(TransactItems=[{"Put": put | is_free}, new])
    with pytest.raises(ClientError) as of_botocore:
        dynamodb.transact_write_items(TransactItems=[{"Put": put | is_free}, new])

    said = of_botocore.value.response
    assert said["CancellationReasons"] == of_wire.value.reasons
    assert "-0.8" == of_wire.value.reasons[0]["Item"]["amount"]["N"]
    assert ("TransactionCanceledException", 400) == (of_wire.value.code, of_wire.value.status)


def test_a_single_write_whose_condition_fails_says_so(wire: WireClient, tables: Tables) -> None:
    """A mark on a job whose row is gone."""
    ledger = DynamoStore(wire, tables, Clock())

    assert False is ledger.mark("j-gone", Mark(status="completed", settled=True), Clock().deadline(5))


def test_pages_and_entries_are_read_to_their_end(wire: WireClient, dynamodb: Any, tables: Tables) -> None:
    """``LastEvaluatedKey`` goes out again as it came."""
    world = World(_Both(wire, dynamodb), tables).user()
    for number in range(12):
        world.job(f"j-{number:02}", prompt="x" * 200_000)

    assert 12 == world.scan(segments=1).rows
    ledger = DynamoStore(wire, tables, world.clock)
    assert ["job#j-07"] == [entry.reference for entry in ledger.entries_of("job#j-07", world.deadline())]


def test_a_missing_table_is_refused_and_not_tried_again(wire: WireClient) -> None:
    """Somebody has to look."""
    ledger = DynamoStore(wire, Tables(ledger="NoSuchTable"), Clock())

    with pytest.raises(LedgerRefused, match="ResourceNotFoundException"):
        ledger.read("job#j-1", Clock().deadline(5))


def test_sixteen_threads_share_a_client(wire: WireClient, dynamodb: Any, tables: Tables) -> None:
    """Each request has a connection to itself; what is idle is used again."""
    world = World(_Both(wire, dynamodb), tables).user()

    with ThreadPoolExecutor(16) as pool:
        reports = list(pool.map(lambda n: world.deliver(rendered(f"j-{n % 100}"))[0], range(200)))

    assert 100 == sum(report.outcome == "debited" for report in reports)
    assert Decimal(-80) == (world.user_row() or {})["posted"]
    assert 1 <= len(wire._idle) <= 16  # noqa: SLF001  how many connections there are is the point


# --- trouble on real sockets ------------------------------------------------------------------------------------------

HALF = b'HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{"Item": '
FINE = b'{"Item": {"id": {"S": "x"}}}'


def answer(status: int, body: bytes, **headers: str) -> bytes:
    """Return an answer as it goes over the wire."""
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-length: {len(body)}",
        *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@frozen
class Last:
    """The last bytes of a connection: it is closed behind them, over TLS with or without a word (``close_notify``)."""

    data: bytes = b""
    is_told: bool = False


SILENCE = b""
"""The request is read, and the connection stays open."""


class Server:
    """Answers each request with the next of its answers: bytes, after which the connection stays open, or ``Last`` bytes.

    Each connection has a thread of its own, and is counted in ``connections``; ``closed`` says that one was closed.
    """

    def __init__(self, answers: list[bytes | Last], context: ssl.SSLContext | None = None) -> None:
        self.answers, self.context, self.connections = iter(answers), context, 0
        self.closed = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        OPENED.append(self._stop)
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._serve, daemon=True)]
        self.threads[0].start()

    def _stop(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(5)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                self.threads.append(threading.Thread(target=self._talk, args=(connection,), daemon=True))
                self.threads[-1].start()

    def _talk(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, StopIteration):
            connection = self.context.wrap_socket(plain, server_side=True) if self.context else plain
            with connection, connection.makefile("rb") as reader:
                while reader.readline():
                    self._read_rest(reader)
                    following = next(self.answers)
                    if isinstance(following, Last):
                        self._close(connection, following)
                        break
                    connection.sendall(following)
        self.closed.set()

    def _read_rest(self, reader: Any) -> None:
        """Read the headers that are left, and the body."""
        length = 0
        while line := reader.readline().strip().lower():
            length = int(line.split(b":")[1]) if line.startswith(b"content-length:") else length
        reader.read(length)

    def _close(self, connection: Any, last: Last) -> None:
        connection.sendall(last.data)
        if last.is_told:
            connection.settimeout(0.05)  # its peer need not answer
            with contextlib.suppress(OSError):
                connection.unwrap()


def asked(*answers: bytes | Last, read_seconds: float = 5, times: int = 1) -> tuple[list[Any], Server]:
    """Ask a server so many times, and return what came of each: an answer or an error."""
    server = Server(list(answers))
    client = client_of("127.0.0.1", server.port, read_seconds=read_seconds)
    results: list[Any] = []
    for _ in range(times):
        try:
            results.append(client.get_item(Key={}))
        except (ServiceError, NoAnswerError) as error:
            results.append(error)
    return results, server


def test_a_connection_is_kept() -> None:
    """Three requests, one connection."""
    results, server = asked(answer(200, FINE), answer(200, FINE), answer(200, FINE), times=3)

    assert [json.loads(FINE)] * 3 == results
    assert 1 == server.connections


def test_a_request_leaves_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head and body by themselves would be two packets, and over TLS two records."""
    sent: list[bytes] = []
    exchange = Connection.exchange
    monkeypatch.setattr(Connection, "exchange", lambda self, data: (sent.append(data), exchange(self, data))[1])

    asked(answer(200, FINE), answer(200, FINE), times=2)

    assert [b"POST / HTTP/1.1", b"POST / HTTP/1.1"] == [piece.split(b"\r\n")[0] for piece in sent]
    assert [b'{"Key":{}}', b'{"Key":{}}'] == [piece.split(b"\r\n\r\n")[1] for piece in sent]


def test_a_kept_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    """Before the second request came, while it was idle: it goes again at once, and the caller never knows."""
    server = Server([Last(answer(200, FINE)), answer(200, FINE)])
    client = client_of("127.0.0.1", server.port)

    first = client.get_item(Key={})
    assert server.closed.wait(5)
    second = client.get_item(Key={})

    assert [json.loads(FINE)] * 2 == [first, second]
    assert 2 == server.connections


def test_a_kept_connection_that_is_closed_at_a_request_is_made_anew() -> None:
    """The server may even have carried it out: the token, or the nature of the request, makes that harmless."""
    results, server = asked(answer(200, FINE), Last(), answer(200, FINE), times=2)

    assert [json.loads(FINE)] * 2 == results
    assert 2 == server.connections


def test_a_new_connection_that_is_closed_is_no_answer() -> None:
    """It was not idle; whoever closes it will close the next as well."""
    results, server = asked(answer(200, FINE), Last(), Last(), times=2)

    assert [dict, NoAnswerError] == [type(result) for result in results]
    assert 2 == server.connections


def test_all_that_lay_idle_with_it_is_closed() -> None:
    """What was used longer ago was closed by the server too: no request is lost to each of them in turn."""
    server = Server([Last(), answer(200, FINE)])
    client = client_of("127.0.0.1", server.port)
    client._idle[:] = [client._connected(), client._connected()]  # noqa: SLF001  as two threads leave them

    assert json.loads(FINE) == client.get_item(Key={})
    assert (3, 1) == (server.connections, len(client._idle))  # noqa: SLF001  the same


@pytest.mark.parametrize(
    ("trouble", "read_seconds"),
    [(b"garbage\r\n\r\n", 5.0), (Last(HALF), 5.0), (SILENCE, 0.2)],
    ids=["no HTTP", "half an answer", "no answer in time"],
)
def test_once_an_answer_has_begun_or_is_late_a_kept_connection_is_as_any(trouble: bytes | Last, read_seconds: float) -> None:
    """Only the ledger's loop sends it again: it knows the deadline, and waits."""
    results, server = asked(answer(200, FINE), trouble, read_seconds=read_seconds, times=2)

    assert [dict, NoAnswerError] == [type(result) for result in results]
    assert 1 == server.connections


def test_an_answer_that_asks_to_close_closes() -> None:
    """The next request begins with a connection of its own."""
    results, server = asked(answer(200, FINE, connection="close"), answer(200, FINE), times=2)

    assert [json.loads(FINE)] * 2 == results
    assert 2 == server.connections


@pytest.mark.parametrize(
    "broken",
    [
        Last(),
        Last(HALF),
        b"garbage\r\n\r\n",
        answer(200, b"<html>"),
        answer(200, b"[]"),
        answer(200, FINE, x_amz_crc32="1"),
        answer(200, FINE, x_amz_crc32="none"),
        answer(500, b'{"__type": "x#InternalServerError"}', x_amz_crc32="1"),
    ],
    ids=["no answer", "half an answer", "no HTTP", "no JSON", "no object", "a wrong checksum", "no number", "an error's"],
)
def test_what_is_no_whole_answer_is_none(broken: Any) -> None:
    """The request may have been carried out: it is for the caller to send it again, with its token."""
    (result,), _ = asked(broken)

    assert isinstance(result, NoAnswerError)


def test_a_checksum_that_is_right_is_fine() -> None:
    """DynamoDB sends one with every answer."""
    (result,), _ = asked(answer(200, FINE, x_amz_crc32=str(zlib.crc32(FINE))))

    assert json.loads(FINE) == result


def test_a_server_that_is_silent_is_left_after_a_while() -> None:
    """Two seconds in production; a tenth here."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = client_of("127.0.0.1", listener.getsockname()[1], read_seconds=0.1)

        with pytest.raises(NoAnswerError, match="TimeoutError"):
            client.get_item(Key={})


def test_nobody_there_is_no_answer() -> None:
    """The port is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    with pytest.raises(NoAnswerError, match="ConnectionRefusedError"):
        client_of("127.0.0.1", port).get_item(Key={})


THROTTLED = answer(400, b'{"__type": "com.amazon.coral.availability#ThrottlingException", "message": "slow down"}')
CONFLICT = answer(
    400,
    json.dumps({"__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                "Message": "cancelled", "CancellationReasons": [{"Code": "TransactionConflict"}]}).encode(),
)  # fmt: skip


@pytest.mark.parametrize("trouble", [THROTTLED, CONFLICT, answer(500, b"oops"), answer(503, b"{}"), answer(200, b"<html>")])
def test_passing_trouble_is_met_by_sending_again(trouble: bytes) -> None:
    """As with botocore's errors: until the deadline, and no longer."""
    server = Server([trouble, trouble, answer(200, FINE)])
    ledger = DynamoStore(client_of("127.0.0.1", server.port), Tables(), Clock(wait=lambda _: None))

    assert {"id": "x"} == ledger.balance("u-1", Clock().deadline(10))


def test_trouble_that_does_not_pass_ends_at_the_deadline() -> None:
    """Nothing is half done, and the event comes again."""
    server = Server([THROTTLED] * 1000)
    ledger = DynamoStore(client_of("127.0.0.1", server.port), Tables(), Clock())

    with pytest.raises(LedgerUnavailable, match="slow down"):
        ledger.balance("u-1", Clock().deadline(0.3))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"__type": "x#AccessDeniedException", "Message": "not authorized"}', "AccessDeniedException: not authorized"),
        (b"", "HTTP 400: "),
        (b"[]", "HTTP 400: "),
    ],
)
def test_a_refusal_says_what_dynamodb_said(body: bytes, said: str) -> None:
    """And is not sent again."""
    server = Server([answer(400, body)])
    ledger = DynamoStore(client_of("127.0.0.1", server.port), Tables(), Clock())

    with pytest.raises(LedgerRefused, match=said):
        ledger.balance("u-1", Clock().deadline(5))


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with a certificate for localhost that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(serialization.Encoding.PEM, *plain))
    return file


def served(certificate: Path, *answers: bytes | Last) -> Server:
    """Return a server that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return Server(list(answers), context)


def test_amazons_roots_vouch_for_aws_alone(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    """An endpoint of one's own may have a certificate from anybody whom the system trusts."""
    monkeypatch.setattr("engine.ledger.dynamodb.wire.ROOTS", certificate)

    assert str(certificate) == roots_of(Endpoint("dynamodb.eu-central-1.amazonaws.com", 443))
    assert str(certificate) == roots_of(Endpoint("vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com", 443))
    assert None is roots_of(Endpoint("amazonaws.com.example.org", 443))
    assert "/etc/own.pem" == roots_of(Endpoint("dynamodb.eu-central-1.amazonaws.com", 443, bundle="/etc/own.pem"))


@pytest.mark.parametrize("bundle", ["/no/such.pem", __file__], ids=["missing", "no roots"])
def test_roots_that_cannot_be_read_are_no_answer(bundle: str) -> None:
    """Nobody is trusted instead, and the error says what is wrong."""
    with pytest.raises(NoAnswerError, match="the trusted roots cannot be read"):
        client_of("localhost", 9, is_tls=True, bundle=bundle).get_item(Key={})


@pytest.mark.parametrize("is_told", [True, False], ids=["with a close_notify", "without a word"])
def test_a_kept_tls_connection_that_was_closed_meanwhile_is_made_anew(certificate: Path, is_told: bool) -> None:  # noqa: FBT001
    """TLS has words of its own for it."""
    server = served(certificate, Last(answer(200, FINE), is_told=is_told), answer(200, FINE))
    client = client_of("localhost", server.port, is_tls=True, bundle=str(certificate))

    first = client.get_item(Key={})
    assert server.closed.wait(5)
    second = client.get_item(Key={})

    assert [json.loads(FINE)] * 2 == [first, second]
    assert 2 == server.connections


def test_tls_is_verified_against_the_users_roots(certificate: Path) -> None:
    """``AWS_CA_BUNDLE``, as every AWS tool has it."""
    server = served(certificate, answer(200, FINE))

    assert json.loads(FINE) == client_of("localhost", server.port, is_tls=True, bundle=str(certificate)).get_item(Key={})


@pytest.mark.parametrize(("host", "trusted"), [("localhost", False), ("127.0.0.1", True)])
def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path, host: str, trusted: bool) -> None:  # noqa: FBT001
    """An unknown root, or another name than the one that was asked for."""
    server = served(certificate, answer(200, FINE))
    client = client_of(host, server.port, is_tls=True, bundle=str(certificate) if trusted else None)

    with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get_item(Key={})


# --- which client -----------------------------------------------------------------------------------------------------


def test_within_lambda_the_wire_is_chosen() -> None:
    """With the role's static credentials, at the Region's own endpoint."""
    wire = choose_wire(OF_LAMBDA)

    assert wire is not None
    assert Endpoint("dynamodb.eu-central-1.amazonaws.com", 443) == wire.endpoint
    assert ("eu-central-1", Credentials("AKID", "secret", "token")) == (wire.region, wire.credentials)
    assert "dynamodb.eu-central-1.amazonaws.com" == wire.endpoint.authority


@pytest.mark.parametrize(
    ("more", "authority"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "127.0.0.1:4566"),
        ({"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_DYNAMODB": "https://b"}, "b"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "https://b:8443/"}, "b:8443"),
        ({"AWS_REGION": "us-gov-west-1"}, "dynamodb.us-gov-west-1.amazonaws.com"),
        ({"AWS_USE_FIPS_ENDPOINT": "false", "AWS_CONFIG_FILE": "/dev/null"}, "dynamodb.eu-central-1.amazonaws.com"),
    ],
)
def test_an_endpoint_is_taken_as_botocore_reads_it(more: dict[str, str], authority: str) -> None:
    """The service's own variable before the general one."""
    wire = choose_wire(OF_LAMBDA | more)

    assert wire is not None
    assert authority == wire.endpoint.authority


def test_every_region_has_the_endpoint_that_botocore_gives_it() -> None:
    """Or none, in the partitions whose names end otherwise."""
    session = get_session()
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("dynamodb", partition):
            wire = choose_wire(OF_LAMBDA | {"AWS_REGION": region})
            botocores = session.create_client("dynamodb", region, aws_access_key_id="AKID", aws_secret_access_key="s")  # noqa: S106
            expected = botocores.meta.endpoint_url if partition in {"aws", "aws-us-gov"} else None
            assert expected == (f"https://{wire.endpoint.authority}" if wire else None)


def test_roots_and_token_have_the_names_that_botocore_reads() -> None:
    """Also the older ones."""
    wire = choose_wire(OF_LAMBDA | {"REQUESTS_CA_BUNDLE": "/etc/own.pem", "AWS_SECURITY_TOKEN": "first"})

    assert wire is not None
    assert ("/etc/own.pem", "first") == (wire.endpoint.bundle, wire.credentials.token)


@pytest.mark.parametrize(
    "more",
    [
        {"AWS_LAMBDA_FUNCTION_NAME": ""},
        {"AWS_ACCESS_KEY_ID": ""},
        {"AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_REGION": ""},
        {"AWS_REGION": "cn-north-1"},
        {"AWS_REGION": "us-iso-east-1"},
        {"AWS_PROFILE": "p"},
        {"AWS_DEFAULT_PROFILE": "p"},
        {"AWS_CONFIG_FILE": "/etc/aws"},
        {"AWS_DATA_PATH": "/etc/models"},
        {"AWS_ACCOUNT_ID_ENDPOINT_MODE": "required"},
        {"AWS_CREDENTIAL_EXPIRATION": "2026-01-05T12:00:00Z"},
        {"AWS_CSM_ENABLED": "true"},
        {"AWS_REGION": "local"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.169.254/x"},
        {"AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "True"},
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"https_proxy": "http://proxy:3128"},
        {"AWS_ENDPOINT_URL": "http://host/path"},
        {"AWS_ENDPOINT_URL": "http://[::1]:4566"},
        {"AWS_ENDPOINT_URL": "http://user@host"},
        {"AWS_ENDPOINT_URL": "http://host?query"},
        {"AWS_ENDPOINT_URL": "ftp://host"},
    ],
    ids=str,
)
def test_whatever_the_wire_does_not_know_is_botocores(more: dict[str, str]) -> None:
    """Users' settings count as with every AWS tool; they only cost the faster start."""
    assert choose_wire(OF_LAMBDA | more) is None
