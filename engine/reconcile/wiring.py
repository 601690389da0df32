"""Puts the house together from the environment: settings, the DynamoDB client, the reconciler."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from engine.ledger.dynamodb.choice import Wire, choose_wire
from engine.ledger.dynamodb.signing import Signer
from engine.ledger.dynamodb.store import DynamoStore
from engine.ledger.dynamodb.wire import WireClient
from engine.ledger.store import Store, Tables
from engine.policy import load_policy
from engine.policy.compiled import load_compiled
from engine.reconcile.reconciler import Reconciler
from engine.runtime.clock import Clock, Deadline
from engine.runtime.telemetry import Telemetry

if TYPE_CHECKING:
    from pathlib import Path

    from engine.domain.envelope import Document
    from engine.ledger.archive.bucket import Bucket
    from engine.ledger.archive.chain import HeadStore
    from engine.ledger.archive.opened import OpenArchive
    from engine.ledger.archive.writer import Writer
    from engine.ledger.audits import ArchivedRecord
    from engine.ledger.exports import TableExport
    from engine.policy import Policy
    from engine.reconcile.give_up import FailedEvents
    from engine.reconcile.shadow import Shadow

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120  as in policy_path
"""Where ``policies/`` stands: the root of the project, and of the Lambda artifact."""

CONNECT_SECONDS_MAX = 1
READ_SECONDS_MAX = 2
"""DynamoDB answers within milliseconds; whoever waits longer waits for an answer that was lost."""

S3_READ_SECONDS_MAX = 10
"""An object has some megabytes."""

IN_S3 = "s3://"
"""What the name of a bucket begins with, where a folder could be meant."""

GRACE_VARIABLE = "LOST_EVENTS_GRACE_MINUTES"

REGION_OF_A_LOCAL_ENDPOINT = "us-east-1"


@frozen
class Settings:
    """What the environment says. ``endpoint`` is only compared, so that a changed environment gets a client of its own."""

    tables: Tables = field(factory=Tables)
    policy_file: str = "policies/video.yaml"
    log_level: str = "INFO"
    function: str = "local"
    endpoint: str | None = None
    adjustments_max: int | None = None
    scans_at_once: int | None = None
    lost_events_grace: timedelta = timedelta(0)
    failed_events: str | None = None
    """The URL of the queue of failed events. Without it what makes no sense comes back until the queue itself gives it up."""
    archive: str | None = None
    """The archive of entries, as ``build_bucket`` takes it."""
    shadow_policy_file: str | None = None
    """A second policy, which is asked beside the first and moves nothing. None: there is none."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Return the settings that the variables name; a variable that is missing or empty means its default."""
        get = environment.get
        return cls(
            tables=Tables(
                jobs=get("JOBS_TABLE") or "Jobs",
                credits=get("CREDITS_TABLE") or "Credits",
                ledger=get("LEDGER_TABLE") or "Ledger",
                state=get("STATE_TABLE") or "State",
                seals=get("SEALS_TABLE") or "Seals",
            ),
            policy_file=get("POLICY_FILE") or "policies/video.yaml",
            log_level=get("LOG_LEVEL") or "INFO",
            function=get("AWS_LAMBDA_FUNCTION_NAME") or "local",
            endpoint=get("AWS_ENDPOINT_URL_DYNAMODB") or get("AWS_ENDPOINT_URL"),
            adjustments_max=_whole_number(get("ADJUSTMENTS_CAP"), "ADJUSTMENTS_CAP"),
            lost_events_grace=timedelta(minutes=_whole_number(get(GRACE_VARIABLE), GRACE_VARIABLE) or 0),
            scans_at_once=_whole_number(get("SCANS_AT_ONCE"), "SCANS_AT_ONCE"),
            failed_events=get("FAILED_EVENTS_QUEUE_URL") or None,
            archive=archive_named(environment),
            shadow_policy_file=get("SHADOW_POLICY_FILE") or None,
        )

    def policy_path(self) -> str:
        """Return where the policy file stands."""
        return path_of(self.policy_file)


def path_of(file: str) -> str:
    """Return where a policy file stands: as given if it is there, else beside the program."""
    is_given = os.path.isabs(file) or os.path.exists(file)  # noqa: PTH110, PTH117  a cold start does without pathlib
    return file if is_given else f"{HOME}/{file}"


def build_client(
    region: str | None = None,
    endpoint: str | None = None,
    connections: int = 10,
    service: str = "dynamodb",
    profile: str | None = None,
    *,
    read_seconds: int = READ_SECONDS_MAX,
) -> Any:
    """Return botocore's client of a service: credentials, region, profile and endpoint as every AWS tool finds them.

    What is given here counts instead.

    Retries are ours (``ledger.dynamodb.calls``). Raises botocore's own errors for a profile or a region that is not there.
    """
    from botocore.config import Config  # noqa: PLC0415  heavy, and not needed to validate or explain a policy
    from botocore.session import get_session  # noqa: PLC0415  the same

    session = get_session()
    if profile is not None:
        session.set_config_variable("profile", profile)
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS_MAX,
        read_timeout=read_seconds,
        max_pool_connections=connections,
        tcp_keepalive=True,
    )
    client = session.create_client(
        service,
        region_name=region or _region(session, service, endpoint),
        endpoint_url=endpoint,
        config=config,
    )
    if service == "dynamodb":
        from engine.ledger.dynamodb.whole import AFTER_RECEIVING, refuse_damaged  # noqa: PLC0415  the wire needs none

        client.meta.events.register(AFTER_RECEIVING, refuse_damaged)
    return client


def _region(session: Any, service: str, endpoint: str | None) -> str | None:
    """Return AWS_REGION, which botocore does not read, or what it finds itself; an endpoint without any gets one.

    A local endpoint does not care for its region.
    """
    import os  # noqa: PLC0415  the environment enters here and nowhere below

    endpoint = endpoint or os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")
    region: str | None = os.environ.get("AWS_REGION") or session.get_config_variable("region")
    return region or (REGION_OF_A_LOCAL_ENDPOINT if endpoint else None)


def build_ledger(tables: Tables, clock: Clock, connections: int = 10, endpoint: str | None = None) -> Store:
    """Return the ledger on the environment's DynamoDB, or on ``endpoint``."""
    import os  # noqa: PLC0415  the environment enters here and nowhere below

    wire = choose_wire(os.environ) if endpoint is None else None
    client = build_wire_client(wire, clock) if wire else build_client(None, endpoint, connections)
    return store_on(client, tables, clock)


def archive_named(environment: Mapping[str, str]) -> str | None:
    """Return the archive that ARCHIVE_BUCKET names, as ``build_bucket`` takes it: a bucket, or a folder by its path."""
    name = environment.get("ARCHIVE_BUCKET") or None
    return f"{IN_S3}{name}" if name is not None and "/" not in name else name


def build_heads(client: Any, tables: Tables) -> HeadStore:
    """Return where the head of the archive's chain stands, on a client of DynamoDB's that is open already."""
    from engine.ledger.dynamodb.heads import DynamoHeads  # noqa: PLC0415  what serves events moves no head

    return DynamoHeads(client, tables.seals)


def build_writer(name: str, tables: Tables, telemetry: Telemetry, clock: Clock) -> Writer:
    """Return what appends batches of the Ledger's stream to the archive of this name (``build_bucket``)."""
    from engine.ledger.archive.writer import Writer  # noqa: PLC0415  what serves events archives nothing
    from engine.ledger.dynamodb.stream import record_of_stream  # noqa: PLC0415  the same

    heads = build_heads(build_client(), tables)  # botocore's, which S3 needs as well
    return Writer(build_bucket(name), heads, lambda record: record_of_stream(record).text(), telemetry, clock)


def build_bucket(name: str, endpoint: str | None = None, profile: str | None = None, region: str | None = None) -> Bucket:
    """Return where objects of the archive are kept: ``s3://NAME`` is a bucket, anything else a folder, which is a copy of one.

    Raises ValueError for the name of no bucket.
    """
    from engine.ledger.archive import bucket, s3  # noqa: PLC0415  what serves events keeps no objects

    if not name.startswith(IN_S3):
        from pathlib import Path  # noqa: PLC0415  the same

        return bucket.FolderBucket(Path(name))
    plain = name.removeprefix(IN_S3).rstrip("/")
    if not plain or "/" in plain:
        raise ValueError(f"{name} is no bucket; an archive is a whole one: {IN_S3}NAME")
    client = build_client(region, endpoint, service="s3", profile=profile, read_seconds=S3_READ_SECONDS_MAX)
    return s3.S3Bucket(client, plain)


def store_on(client: Any, tables: Tables, clock: Clock) -> Store:
    """Return the store on a client of DynamoDB's that is open already."""
    return DynamoStore(client, tables, clock)


def table_problem(client: Any, kind: str, name: str, deadline: Deadline) -> str | None:
    """Return what is wrong with the table that is to be the one of ``kind``, or None where it can serve as that.

    Raises LedgerRefused where it may not be looked at, and LedgerUnavailable where no answer comes in time.
    """
    from engine.ledger.dynamodb import tables  # noqa: PLC0415  only the command line looks

    return tables.table_problem(client, kind, name, deadline)


def row_of_item(item: Mapping[str, Any]) -> Document:
    """Return a row of Jobs as an event would tell it, from an item as the AWS CLI and an export write it."""
    from engine.domain.documents import as_told  # noqa: PLC0415  only the command line reads items
    from engine.ledger.dynamodb.attributes import decode_item  # noqa: PLC0415  the same

    row: Document = as_told(decode_item(item))
    return row


def exported_table(summary: Path) -> TableExport:
    """Return a table that DynamoDB has exported, by the summary of that. Raises ExportProblem where it cannot be read."""
    from engine.ledger.dynamodb.exported import ExportedTable  # noqa: PLC0415  only the command line reads exports

    return ExportedTable.open(summary)


def attributes_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of an item in DynamoDB's own JSON. Raises ValueError or its kin for what is none."""
    from engine.ledger.dynamodb.attributes import decode_item  # noqa: PLC0415  the same

    return decode_item(item)


def row_of_line(line: str) -> Mapping[str, Any] | None:
    """Return the columns of a line of the archive, None where it has none. Raises ValueError for what is no record."""
    from engine.ledger.dynamodb import columns  # noqa: PLC0415  only the command line asks for columns

    return columns.row_of_line(line)


def build_wire_client(wire: Wire, clock: Clock) -> WireClient:
    """Return the client that needs no botocore."""
    signer = Signer(wire.credentials, wire.region)
    return WireClient(wire.endpoint, signer, clock.now, CONNECT_SECONDS_MAX, READ_SECONDS_MAX)


def build_reconciler(settings: Settings, write: Callable[[str], None], clock: Clock | None = None) -> Reconciler:
    """Return the reconciler that the settings describe. Raises PolicyError for a policy that must not run."""
    clock = clock or Clock()
    dimensions, level = {"FunctionName": settings.function}, log_level(settings.log_level)
    telemetry = Telemetry(write, clock, dimensions, level, grace=settings.lost_events_grace)
    path = settings.policy_path()
    policy, ledger = load_compiled(path) or load_policy(path), build_ledger(settings.tables, clock)
    return Reconciler(
        policy,
        ledger,
        telemetry,
        clock,
        adjustments_max=settings.adjustments_max,
        scans_at_once=settings.scans_at_once,
        failed_events=failed_events(settings.failed_events) if settings.failed_events else None,
        archive=functools.partial(open_archive, settings.archive, settings.tables) if settings.archive else None,
        shadow=_shadow(settings.shadow_policy_file, policy, telemetry, clock) if settings.shadow_policy_file else None,
    )


def _shadow(file: str, now: Policy, telemetry: Telemetry, clock: Clock) -> Shadow:
    from engine.reconcile.shadow import open_shadow  # noqa: PLC0415  most stacks run one policy

    return open_shadow(file, path_of(file), now, telemetry, clock)


def open_archive(name: str, tables: Tables, client: Any = None) -> OpenArchive:
    """Return the archive of a name (``build_bucket``), with the head of its chain in the tables on ``client``."""
    from engine.ledger.archive.opened import OpenArchive  # noqa: PLC0415  what serves events audits nothing

    return OpenArchive(build_bucket(name), build_heads(client or build_client(), tables), record_reader())


def record_reader() -> Callable[[str], ArchivedRecord]:
    """Return what reads a line of the archive. It raises ValueError for what is no record."""
    from engine.ledger.dynamodb.stream import Record  # noqa: PLC0415  the same

    return Record.read


def failed_events(url: str) -> Callable[[], FailedEvents]:
    """Return what opens the queue of failed events, once, when it is needed: most containers never see a senseless event."""

    @functools.cache
    def opened() -> FailedEvents:
        from engine.reconcile.give_up import FailedEvents  # noqa: PLC0415  what serves good events needs none

        return FailedEvents(build_client(service="sqs"), url)

    return opened


def _whole_number(text: str | None, name: str) -> int | None:
    """Return the number that a variable holds, or None where it is missing or empty."""
    if not text:
        return None
    if not text.isdecimal():
        raise ValueError(f"{name} is {text!r}; a whole number is needed, or nothing for no limit")
    return int(text)


def log_level(name: str) -> int:
    """Return the level that ``name`` names; one that is unknown means INFO."""
    return logging.getLevelNamesMapping().get(name.upper(), logging.INFO)
