"""Where a command works: which AWS it reaches, which tables are meant there, and who named them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, Self

import typer
from attrs import frozen

from engine.cli.output import complain
from engine.cli.status import MISUSED
from engine.domain.errors import LedgerError

SERVER_ERROR, NOT_IMPLEMENTED = 500, 501


class WrongEndpointError(LedgerError):
    """What answers at an endpoint is no service of AWS."""


class TableName(str):
    """The name of a table. ``said`` shows it with who named it; ``is_default`` where nobody did."""

    __slots__ = ("is_default", "said")

    said: str
    is_default: bool

    def __new__(cls, name: str, said: str, *, is_default: bool = False) -> Self:
        """Return the name."""
        made = super().__new__(cls, name)
        made.said, made.is_default = said, is_default
        return made


@frozen
class Place:
    """An AWS, as the command line says it; what it does not say is found as every AWS tool finds it."""

    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    stack: str | None = None
    """The stack that names tables and queues where no option does."""

    def client(self, service: str, connections: int = 10) -> Any:
        """Return a client of a service. Exits where the endpoint is no URL; raises botocore's errors for the rest."""
        from engine.reconcile.wiring import build_client  # noqa: PLC0415  heavy: what reads no table needs none

        try:
            client = build_client(self.region, self.endpoint, connections, service, self.profile)
        except ValueError as error:  # botocore's word for a URL that is none
            complain(f"{self.endpoint_of(service)}: {error}; an endpoint is a URL, like http://localhost:8000")
            raise typer.Exit(MISUSED) from error
        client.meta.events.register("before-parse.*", partial(_refuse_pages, client.meta.endpoint_url))
        return client

    def endpoint_of(self, service: str) -> str | None:
        """Return the endpoint that is asked for, by the command line or by the environment."""
        named = (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL")
        return self.endpoint or next((os.environ[name] for name in named if os.environ.get(name)), None)


def _refuse_pages(endpoint: str, *, response_dict: Mapping[str, Any], **_: Any) -> None:
    """Raise WrongEndpointError for a page for people: botocore would take it for an empty answer.

    A service that is overloaded may let such a page say so, and is asked again.
    """
    kind = str(response_dict.get("headers", {}).get("content-type", ""))
    status = int(response_dict.get("status_code", 0))
    is_page = kind.startswith("text/") and not kind.startswith("text/xml")
    if is_page and (status < SERVER_ERROR or status == NOT_IMPLEMENTED):
        raise WrongEndpointError(f"{endpoint}: a web server answers there (status {status}, {kind}), and no AWS")
