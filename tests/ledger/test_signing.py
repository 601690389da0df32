"""Signature Version 4: every signature is the one that botocore makes."""

from __future__ import annotations

from datetime import UTC, datetime

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ledger.signing import Credentials, Signer

HOSTS = st.sampled_from(["dynamodb.eu-central-1.amazonaws.com", "127.0.0.1:4566", "localhost:8000"])
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(lambda at: at.replace(tzinfo=UTC, microsecond=0))  # noqa: DTZ001

CREDENTIALS = st.builds(Credentials, KEYS, KEYS, st.one_of(st.none(), KEYS))


def botocores(host: str, credentials: Credentials, region: str, headers: dict[str, str], body: bytes) -> str:
    """Return the signature that botocore makes of the same request."""
    request = AWSRequest("POST", f"http://{host}/", data=body)
    for name, value in headers.items():
        if name not in {"authorization", "x-amz-security-token"}:
            request.headers[name] = value
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(
        BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token), "dynamodb", region
    )
    if credentials.token:
        request.headers["x-amz-security-token"] = credentials.token
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    signed = auth.signed_headers(auth.headers_to_sign(request))
    scope = auth.scope(request)
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}"


@settings(max_examples=300, deadline=None)
@given(HOSTS, CREDENTIALS, st.sampled_from(["eu-central-1", "us-gov-west-1"]), st.binary(), INSTANTS)
def test_a_signature_is_the_one_that_botocore_makes(host, credentials, region, body, now):
    """Any body, any key, with and without a session's token, on any host and day."""
    headers = Signer(credentials, region).headers(host, "DynamoDB_20120810.GetItem", body, now)

    assert botocores(host, credentials, region, headers, body) == headers["authorization"]


def test_the_key_of_a_day_is_derived_once_and_the_next_day_has_its_own():
    """A container may live over midnight."""
    signer = Signer(Credentials("AKID", "secret"), "us-east-1")
    days = [datetime(2026, 1, day, 23, 59, tzinfo=UTC) for day in (5, 6, 5)]

    signatures = [signer.headers("h", "t", b"{}", day)["authorization"] for day in days]

    assert signatures[0] == signatures[2] != signatures[1]
    assert signatures == [
        Signer(Credentials("AKID", "secret"), "us-east-1").headers("h", "t", b"{}", d)["authorization"] for d in days
    ]


def test_a_secret_is_never_shown():
    """Not in a log, not in a traceback."""
    credentials = Credentials("AKID", "do-not-show", "nor-this")

    assert "do-not-show" not in repr(Signer(credentials, "us-east-1"))
    assert "nor-this" not in repr(credentials)
