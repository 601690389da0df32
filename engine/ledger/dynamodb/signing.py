"""AWS Signature Version 4, for requests to DynamoDB and no others.

Source: "Create a signed AWS API request", AWS Identity and Access Management User Guide. A test compares every signature with
botocore's own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from attrs import define, field, frozen

SERVICE = "dynamodb"
ALGORITHM = "AWS4-HMAC-SHA256"
CONTENT_TYPE = "application/x-amz-json-1.0"


@frozen
class Credentials:
    """An access key, and the token of a role's session where there is one. The secret is never shown."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@define(eq=False, repr=False)
class Signer:
    """Signs requests with one set of credentials. The key derived from them holds for a day."""

    credentials: Credentials
    region: str
    _derived: tuple[str, bytes] = field(default=("", b""), repr=False)

    def headers(self, host: str, target: str, body: bytes, now: datetime) -> dict[str, str]:
        """Return the headers of a ``POST /``; ``host`` has its port where that is not the scheme's own, ``now`` is in UTC."""
        instant = now.strftime("%Y%m%dT%H%M%SZ")
        headers = {"content-type": CONTENT_TYPE, "host": host, "x-amz-date": instant}
        if self.credentials.token is not None:
            headers["x-amz-security-token"] = self.credentials.token
        headers["x-amz-target"] = target
        headers["authorization"] = self._authorization(headers, body, instant)
        return headers

    def _authorization(self, headers: Mapping[str, str], body: bytes, instant: str) -> str:
        """The headers stand in the order of their names already."""
        signed = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        canonical = f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{instant[:8]}/{self.region}/{SERVICE}/aws4_request"
        to_sign = f"{ALGORITHM}\n{instant}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(self._key_of(instant[:8]), to_sign.encode(), "sha256").hex()
        return f"{ALGORITHM} Credential={self.credentials.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"

    def _key_of(self, day: str) -> bytes:
        """Day and key change in one step, so that no thread ever sees the key of another day."""
        known_day, key = self._derived
        if day != known_day:
            key = derive_key(self.credentials.secret_key, day, self.region, SERVICE)
            self._derived = (day, key)
        return key


def derive_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """Return the key that signs the requests of a day (``YYYYMMDD``, in UTC) to a Region's service."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
