"""Which client reaches DynamoDB: the wire where it serves all that the user has configured, else botocore's."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from engine.ledger.dynamodb.signing import Credentials
from engine.ledger.dynamodb.wire import Endpoint

ASKS_FOR_BOTOCORE = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_DATA_PATH",
    "AWS_ACCOUNT_ID_ENDPOINT_MODE",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_DEFAULTS_MODE",
    "AWS_RETRY_MODE",
    "AWS_MAX_ATTEMPTS",
    "AWS_ENDPOINT_DISCOVERY_ENABLED",
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
)
"""Settings that botocore knows and the wire does not. What SnapStart restores has container credentials, which change."""

NOTHING = (None, "", "/dev/null")

SWITCHES = ("AWS_CSM_ENABLED", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")

AREAS = frozenset({"af", "ap", "ca", "eu", "il", "me", "mx", "sa", "us"})
"""What Regions begin with whose endpoints end in amazonaws.com, if they have three parts, or are those of GovCloud."""

NO_HOST = frozenset("@?#[]\\ \t")
"""What a URL may have before its path, and a plain host has not."""


@frozen(eq=False, repr=False)
class Wire:
    """All that the wire client needs to know."""

    endpoint: Endpoint
    region: str
    credentials: Credentials


def choose_wire(environment: Mapping[str, str]) -> Wire | None:
    """Return how the wire client reaches DynamoDB from within Lambda, or None where botocore's client must."""
    get = environment.get
    region, access_key, secret_key = get("AWS_REGION"), get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")
    if not (get("AWS_LAMBDA_FUNCTION_NAME") and region and access_key and secret_key):
        return None
    is_set = any(get(name) not in NOTHING for name in ASKS_FOR_BOTOCORE)
    asks_for_more = is_set or any(get(name, "").lower() == "true" for name in SWITCHES)
    endpoint = _endpoint(environment, region)
    if asks_for_more or endpoint is None:
        return None
    token = get("AWS_SECURITY_TOKEN") or get("AWS_SESSION_TOKEN") or None  # the old name counts first, as with botocore
    return Wire(endpoint, region, Credentials(access_key, secret_key, token))


def _is_plain(region: str) -> bool:
    area, *rest = region.split("-")
    return area in AREAS and (len(rest) == 2 or rest[:1] == ["gov"])  # noqa: PLR2004  eu-central-1


def _endpoint(environment: Mapping[str, str], region: str) -> Endpoint | None:
    bundle = environment.get("AWS_CA_BUNDLE") or environment.get("REQUESTS_CA_BUNDLE") or None
    url = environment.get("AWS_ENDPOINT_URL_DYNAMODB") or environment.get("AWS_ENDPOINT_URL")
    if not url:
        return Endpoint(f"dynamodb.{region}.amazonaws.com", 443, bundle=bundle) if _is_plain(region) else None
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    host, _, port = authority.partition(":")
    if scheme not in {"http", "https"} or path or not host or NO_HOST & set(authority) or not (port or "0").isdigit():
        return None
    is_tls = scheme == "https"
    return Endpoint(host, int(port) if port else (443 if is_tls else 80), is_tls, bundle)
