"""Signature Version 4: every signature is the one that botocore makes."""

from __future__ import annotations

from datetime import UTC, datetime
from unittest import mock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from engine.ledger.dynamodb.signing import Credentials, Signer, derive_key
from tests.support.examples import tries

HOSTS = st.sampled_from(["dynamodb.eu-central-1.amazonaws.com", "127.0.0.1:4566", "localhost:8000"])
KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(lambda at: at.replace(tzinfo=UTC, microsecond=0))  # noqa: DTZ001

CREDENTIALS = st.builds(Credentials, KEYS, KEYS, st.one_of(st.none(), KEYS))


TARGET = "DynamoDB_20120810.TransactWriteItems"


def botocores(host: str, credentials: Credentials, region: str, body: bytes, now: datetime) -> dict[str, str]:
    """Return the headers that botocore makes of the same request, with everything that it adds to them by itself."""
    own = {"content-type": "application/x-amz-json-1.0", "host": host, "x-amz-target": TARGET}
    request = AWSRequest("POST", f"http://{host}/", headers=own, data=body)
    keys = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.token)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now.replace(tzinfo=None)):
        SigV4Auth(keys, "dynamodb", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@tries(300)
@given(HOSTS, CREDENTIALS, st.sampled_from(["eu-central-1", "us-gov-west-1"]), st.binary(), INSTANTS)
def test_a_signature_is_the_one_that_botocore_makes(host, credentials, region, body, now):
    """Any body, any key, with and without a session's token, on any host and day."""
    headers = Signer(credentials, region).headers(host, TARGET, body, now)

    assert botocores(host, credentials, region, body, now) == headers


def test_the_key_of_a_day_is_the_one_that_aws_publishes():
    """Source: "Examples of how to derive a signing key for Signature Version 4", AWS General Reference."""
    key = derive_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam")

    assert "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d" == key.hex()


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


def test_credentials_show_neither_their_secret_nor_their_token():
    """A traceback that shows what a function was given shows no more than which key it was."""
    assert "Credentials(access_key='AKID')" == repr(Credentials("AKID", "the-secret", "the-token"))
