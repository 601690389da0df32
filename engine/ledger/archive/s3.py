"""Objects in S3, read as they were first written.

A key of a bucket with versioning can be written over and can be hidden by a delete marker; neither takes a version away,
and Object Lock lets nobody take one away before its time. So keys come from ListObjectVersions, where markers hide nothing,
and of a key the oldest version is the object.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from hashlib import sha256
from typing import Any, Protocol

from attrs import define, field

from engine.domain.errors import LedgerError, LedgerRefused, LedgerUnavailable
from engine.runtime.clock import Deadline

Response = dict[str, Any]


class S3(Protocol):
    """The calls of botocore's S3 client that the archive makes, and no other."""

    def put_object(self, **request: Any) -> Response: ...
    def get_object(self, **request: Any) -> Response: ...
    def list_object_versions(self, **request: Any) -> Response: ...


GONE = frozenset({"NoSuchKey", "NoSuchVersion"})

TRANSIENT = frozenset(
    {
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)
"""Error codes that the same request may not meet again."""

SERVER_ERROR = 500

VERSIONS_KNOWN_MAX = 10_000
"""Of so many keys that were listed last and not read yet their first version is known, which spares a request for each."""


class _Gone(Exception):
    """There is no such object, or no such version of it."""


class _Kept(Exception):
    """An object is kept under the key already."""


@define
class S3Bucket:
    """A bucket of S3. It is an ``archive.bucket.Bucket``."""

    client: S3
    name: str
    _first_versions: dict[str, str] = field(factory=dict, init=False, repr=False)
    """The oldest version of keys that were listed."""

    def put(self, key: str, body: bytes, deadline: Deadline) -> None:
        """Keep an object, unless one is kept under its key. S3 refuses bytes that are not the ones that were sent."""
        checksum = {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": b64encode(sha256(body).digest()).decode()}
        request = {"Bucket": self.name, "Key": key, "Body": body, "IfNoneMatch": "*", **checksum}
        with suppress(_Kept):
            self._call(partial(self.client.put_object, **request), key, deadline)

    def get(self, key: str, deadline: Deadline) -> bytes | None:
        """Return an object as it was first kept under its key; None where there is none."""
        listed = self._first_versions.pop(key, None)
        version = listed or self._first_version(key, deadline)
        if version is None:
            return None
        found = self._version(key, version, deadline)
        if found is None and listed is not None:  # whoever may has removed it since; what is the oldest now?
            return self.get(key, deadline)
        return found

    def keys(self, prefix: str, after: str, deadline: Deadline) -> Iterator[str]:
        """Yield the keys that begin with ``prefix`` and come ``after`` another, in the order of their bytes."""
        for key, version in self._first_versions_of(prefix, after, deadline):
            self._remember(key, version)
            yield key

    def _remember(self, key: str, version: str) -> None:
        if len(self._first_versions) >= VERSIONS_KNOWN_MAX:
            del self._first_versions[next(iter(self._first_versions))]
        self._first_versions[key] = version

    def _first_version(self, key: str, deadline: Deadline) -> str | None:
        first = next(self._first_versions_of(key, "", deadline), None)
        return first[1] if first is not None and first[0] == key else None

    def _first_versions_of(self, prefix: str, after: str, deadline: Deadline) -> Iterator[tuple[str, str]]:
        """Yield keys in order, each with its oldest version. S3 lists the versions of a key together, the oldest last."""
        last: tuple[str, str] | None = None
        for page in self._pages(prefix, after, deadline):
            for version in page.get("Versions", ()):
                found = version["Key"], version["VersionId"]
                if last is not None and last[0] != found[0]:
                    yield last
                last = found if found[0] > after else None
        if last is not None:
            yield last

    def _pages(self, prefix: str, after: str, deadline: Deadline) -> Iterator[Response]:
        request = {"Bucket": self.name, "Prefix": prefix, **({"KeyMarker": after} if after else {})}
        while True:
            page = self._call(partial(self.client.list_object_versions, **request), prefix, deadline)
            yield page
            if not page.get("IsTruncated"):
                return
            request = {**request, "KeyMarker": page["NextKeyMarker"]}
            request |= {"VersionIdMarker": page["NextVersionIdMarker"]} if page.get("NextVersionIdMarker") else {}

    def _version(self, key: str, version: str, deadline: Deadline) -> bytes | None:
        def read() -> bytes:
            body: bytes = self.client.get_object(Bucket=self.name, Key=key, VersionId=version)["Body"].read()
            return body

        try:
            return self._call(read, key, deadline)
        except _Gone:
            return None

    def _call[Answer](self, ask: Callable[[], Answer], key: str, deadline: Deadline) -> Answer:
        """Ask until there is an answer. Raises LedgerUnavailable when the deadline passes first, LedgerRefused for no."""
        last: Exception | None = None
        for _ in deadline.attempts():
            try:
                return ask()
            except Exception as error:
                if (meant := self._meaning(error, key)) is None:
                    raise
                if not isinstance(meant, LedgerUnavailable):
                    raise meant from error
                last = error
        raise LedgerUnavailable(f"{self._place(key)}: S3 gave no answer in time; the last one was: {last}") from last

    def _meaning(self, error: Exception, key: str) -> LedgerError | _Gone | _Kept | None:
        """Return what an error of the client means; LedgerUnavailable where the same request may yet be answered."""
        from botocore import exceptions  # noqa: PLC0415  whoever has a client has it

        if isinstance(error, exceptions.ClientError):
            return self._answered(error.response, error, key)
        unanswered = (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,
            exceptions.IncompleteReadError,
            exceptions.FlexibleChecksumError,
        )
        if isinstance(error, unanswered):
            return LedgerUnavailable(str(error))
        return LedgerRefused(f"{self._place(key)}: {error}") if isinstance(error, exceptions.BotoCoreError) else None

    def _answered(self, answer: Mapping[str, Any], error: Exception, key: str) -> LedgerError | _Gone | _Kept:
        code = str(answer.get("Error", {}).get("Code", ""))
        if code == "PreconditionFailed":
            return _Kept()
        if code in GONE:
            return _Gone()
        status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in TRANSIENT or status >= SERVER_ERROR:
            return LedgerUnavailable(str(error))
        return LedgerRefused(f"{self._place(key)}: {error}")

    def _place(self, key: str) -> str:
        return f"s3://{self.name}/{key}"
