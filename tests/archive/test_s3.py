"""Objects in S3: kept once, listed and read as they were first written, whatever is done to their keys later."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define, frozen
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from moto import mock_aws

from engine.domain.errors import LedgerRefused, LedgerUnavailable
from engine.ledger.archive import s3
from engine.ledger.archive.bucket import FolderBucket
from engine.ledger.archive.chain import EMPTY, append, follow
from engine.ledger.archive.s3 import S3Bucket
from engine.reconcile.wiring import build_bucket, build_client
from engine.runtime.clock import Clock
from tests.archive.test_chain import NOON, Heads, told
from tests.support.clock import ManualClock
from tools.local_aws import REGION, LocalAws

DEADLINE = Clock().deadline(3600)
LOCKED = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}}


def new_bucket(client: Any) -> str:
    """Make a bucket as template.yaml describes it, and return its name."""
    name = f"archive-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=LOCKED)
    return name


@pytest.fixture(params=[pytest.param("the local AWS", marks=pytest.mark.local_aws), "moto"])
def bucket(request: pytest.FixtureRequest) -> Iterator[S3Bucket]:
    """Return a bucket with versions and Object Lock, and the product's own client: on the local AWS, and on moto."""
    if request.param == "moto":
        with mock_aws():
            client = build_client(REGION, service="s3")
            yield S3Bucket(client, new_bucket(client))
    else:
        running: LocalAws = request.getfixturevalue("aws")
        found = build_bucket(f"s3://{new_bucket(running.client('s3'))}", running.endpoint)
        assert isinstance(found, S3Bucket)
        yield found


@frozen
class Pages:
    """A client whose lists have at most two versions a page."""

    client: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def list_object_versions(self, **request: Any) -> Any:
        return self.client.list_object_versions(**request, MaxKeys=2)


def test_an_object_is_kept_once(bucket: S3Bucket) -> None:
    """Whoever keeps it again leaves what is there, and no second version."""
    for body in (b"first", b"first", b"another"):
        bucket.put("plans/1", body, DEADLINE)

    assert bucket.get("plans/1", DEADLINE) == b"first"
    assert bucket.get("plans", DEADLINE) is None
    assert bucket.get("plans/2", DEADLINE) is None
    (version,) = bucket.client.list_object_versions(Bucket=bucket.name)["Versions"]  # type: ignore[attr-defined]
    assert version["Key"] == "plans/1"


def test_what_is_done_to_a_key_later_changes_nothing(bucket: S3Bucket) -> None:
    """It is written over, hidden by a delete marker, and written again: the oldest version counts, listed or not."""
    client: Any = bucket.client
    for key in ("entries/a", "entries/b", "entries/c"):
        bucket.put(key, f"first of {key}".encode(), DEADLINE)
    client.put_object(Bucket=bucket.name, Key="entries/a", Body=b"forged")
    client.delete_object(Bucket=bucket.name, Key="entries/b")
    client.delete_object(Bucket=bucket.name, Key="entries/c")
    bucket.put("entries/c", b"again", DEADLINE)

    for listed in (False, True):
        if listed:
            assert list(bucket.keys("entries/", "", DEADLINE)) == ["entries/a", "entries/b", "entries/c"]
        for key in ("entries/a", "entries/b", "entries/c"):
            assert bucket.get(key, DEADLINE) == f"first of {key}".encode()


def test_keys_come_in_order_from_any_of_them_over_many_pages(bucket: S3Bucket) -> None:
    """Each once, however many versions it has and wherever a page ends; a hidden one too, and no other prefix."""
    client: Any = bucket.client
    keys = [f"entries/day={day}/{number}" for day in ("2026-11-28", "2026-11-29") for number in ("1-a", "1-b", "2")]
    for versions, key in enumerate((*keys, "plans/1", "a")):
        for body in range(1 + versions % 4):
            client.put_object(Bucket=bucket.name, Key=key, Body=str(body).encode())
    client.delete_object(Bucket=bucket.name, Key=keys[1])
    paged = S3Bucket(Pages(client), bucket.name)

    for place, after in enumerate(["", *keys]):
        assert list(paged.keys("entries/", after, DEADLINE)) == keys[place:]
        assert [paged.get(key, DEADLINE) for key in keys[place:]] == [b"0"] * len(keys[place:])
    assert list(paged.keys("entries/day=2026-11-29", "entries/day=2026-11-28/9", DEADLINE)) == keys[3:]
    assert list(paged.keys("none", "", DEADLINE)) == []


def test_a_chain_in_a_bucket_is_read_as_it_was_appended(bucket: S3Bucket) -> None:
    """Forged objects and markers that hide do not break it."""
    heads, client = Heads(), bucket.client
    for number in range(1, 6):
        append(bucket, heads, [f"line {number}"], NOON + timedelta(days=number // 3), DEADLINE)
    for key in list(bucket.keys("entries/", "", DEADLINE)):
        client.put_object(Bucket=bucket.name, Key=key, Body=b"")
    client.delete_object(Bucket=bucket.name, Key=heads.now.key)  # type: ignore[attr-defined]

    assert list(told(follow(bucket, EMPTY, heads.now, DEADLINE))) == [f"line {number}" for number in range(1, 6)]


def test_nobody_removes_what_is_locked(aws: LocalAws) -> None:
    """On the local AWS as on AWS: a version cannot be removed before its time, by whomever."""
    client: Any = aws.client("s3")
    bucket = S3Bucket(client, new_bucket(client))
    bucket.put("entries/a", b"first", DEADLINE)
    (version,) = client.list_object_versions(Bucket=bucket.name)["Versions"]

    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=bucket.name, Key="entries/a", VersionId=version["VersionId"])
    assert bucket.get("entries/a", DEADLINE) == b"first"


def answered(code: str, status: int) -> ClientError:
    """Return an error as botocore raises it for an answer."""
    return ClientError(
        {"Error": {"Code": code, "Message": "why"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject"
    )  # type: ignore[typeddict-item]


@define
class Answers:
    """A client that answers with each of the given errors first, then well; an error in ``bodies`` comes while one reads."""

    errors: list[Exception] = Factory(list)
    bodies: list[Any] = Factory(list)
    asked: list[str] = Factory(list)
    versions: tuple[str, ...] = ("v1",)

    def _answer(self, name: str, answer: Any) -> Any:
        self.asked.append(name)
        if self.errors:
            raise self.errors.pop(0)
        return answer

    def put_object(self, **_request: Any) -> Any:
        return self._answer("put", {})

    def get_object(self, **request: Any) -> Any:
        body = self.bodies.pop(0) if self.bodies else BytesIO(b"body of " + request["VersionId"].encode())
        return self._answer("get", {"Body": body})

    def list_object_versions(self, **_request: Any) -> Any:
        return self._answer("list", {"Versions": [{"Key": "k", "VersionId": version} for version in self.versions]})


class Cut:
    """A body of which the connection breaks off."""

    def read(self) -> bytes:
        """Break off."""
        raise ResponseStreamingError(error="reset by peer")


AGAIN = [
    answered("SlowDown", 503),
    answered("InternalError", 500),
    answered("ConditionalRequestConflict", 409),
    answered("RequestTimeout", 400),
    answered("", 502),
    ReadTimeoutError(endpoint_url="s3"),
    EndpointConnectionError(endpoint_url="s3"),
]
NEVER = [answered("AccessDenied", 403), answered("NoSuchBucket", 404), answered("InvalidRequest", 400), NoCredentialsError()]


def named(error: Exception) -> str:
    """Return the code of an error."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


@pytest.mark.parametrize("error", AGAIN, ids=named)
def test_what_may_go_better_is_asked_again_until_the_deadline(error: Exception) -> None:
    """Whatever is asked; then the error says of which bucket and key, and that the time was used up."""
    clock = ManualClock().clock()
    client = Answers([error] * 3)
    bucket = S3Bucket(client, "archive")

    bucket.put("k", b"", clock.deadline(60))
    assert client.asked == ["put"] * 4
    client.errors = [error] * 1000
    for ask in (lambda: bucket.put("k", b"", clock.deadline(5)), lambda: bucket.get("k", clock.deadline(5))):
        with pytest.raises(LedgerUnavailable, match=r"^s3://archive/k: S3 gave no answer in time; the last one was: "):
            ask()
    assert client.errors


@pytest.mark.parametrize("error", NEVER, ids=named)
def test_what_s3_refuses_is_asked_once(error: Exception) -> None:
    """A person has to look, and is told where."""
    asks: tuple[Callable[[S3Bucket], Any], ...] = (
        lambda bucket: bucket.put("k", b"", DEADLINE),
        lambda bucket: bucket.get("k", DEADLINE),
        lambda bucket: list(bucket.keys("k", "", DEADLINE)),
    )
    for ask in asks:
        client = Answers([error])
        with pytest.raises(LedgerRefused, match="^s3://archive/k: "):
            ask(S3Bucket(client, "archive"))
        assert len(client.asked) == 1


def test_a_body_that_breaks_off_is_read_again() -> None:
    """What comes after the head of an answer can be lost as well."""
    client = Answers(bodies=[Cut(), Cut()])

    assert S3Bucket(client, "archive").get("k", Clock().deadline(60)) == b"body of v1"
    assert client.asked == ["list", "get", "get", "get"]


def test_what_was_listed_is_read_by_one_request() -> None:
    """Its oldest version is known. Where that is gone meanwhile, what is the oldest now is asked for."""
    client = Answers(versions=("v2", "v1"))
    bucket = S3Bucket(client, "archive")

    assert list(bucket.keys("", "", DEADLINE)) == ["k"]
    assert bucket.get("k", DEADLINE) == b"body of v1"
    assert client.asked == ["list", "get"]
    assert list(bucket.keys("", "", DEADLINE)) == ["k"]
    client.versions, client.errors = ("v3", "v2"), [answered("NoSuchVersion", 404)]
    assert bucket.get("k", DEADLINE) == b"body of v2"


def test_of_the_keys_that_were_listed_last_the_versions_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has a bound; of what is beyond it the version is asked for."""
    monkeypatch.setattr(s3, "VERSIONS_KNOWN_MAX", 2)
    bucket = S3Bucket(Answers(), "archive")
    for name in "abc":
        bucket._remember(name, name)  # noqa: SLF001  three lists would take as many buckets

    assert bucket._first_versions == {"b": "b", "c": "c"}  # noqa: SLF001  the same


def test_where_nobody_listens_the_deadline_is_kept() -> None:
    """A real client, and no server."""
    bucket = build_bucket("s3://archive", "http://127.0.0.1:1")

    with pytest.raises(LedgerUnavailable, match="s3://archive/k: S3 gave no answer in time"):
        bucket.put("k", b"", Clock().deadline(0.2))


def test_an_archive_is_a_bucket_or_a_folder(tmp_path: Path) -> None:
    """Whoever names a part of a bucket is told what is needed. A file that a dead writer left is no object."""
    assert build_bucket(str(tmp_path)) == FolderBucket(tmp_path)
    with pytest.raises(ValueError, match="s3://b/c is no bucket"):
        build_bucket("s3://b/c")
    with pytest.raises(ValueError, match="s3:// is no bucket"):
        build_bucket("s3://")
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / ".new-1").write_bytes(b"half")
    build_bucket(str(tmp_path)).put("plans/1", b"whole", DEADLINE)
    assert list(FolderBucket(tmp_path).keys("", "", DEADLINE)) == ["plans/1"]
