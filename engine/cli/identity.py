"""Who runs the command: AWS says it (STS), or, against an endpoint that is not AWS's own, the machine or ``--by``.

Two people are told apart by what AWS calls unique (``UserId``) and by the name of the person in the ARN: a user's, or that of
the session of a role. Source: "Unique identifiers" and "sts:RoleSessionName", AWS Identity and Access Management User Guide.
"""

from __future__ import annotations

import functools
import getpass
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import typer
from attrs import evolve

from engine.cli.output import complain
from engine.cli.place import Place
from engine.cli.status import MISUSED
from engine.domain.adjustment import Identity
from engine.domain.errors import LedgerError

NAME_CHARACTERS_MAX = 256


def identity(place: Place, by: str | None) -> Identity:
    """Return who runs the command. Exits where ``--by`` is given and AWS knows better. Raises LedgerError, or botocore's own.

    Against an endpoint that is not AWS's own it is ``by``, or else the name of the machine's user.
    """
    endpoint = place.client("dynamodb").meta.endpoint_url
    if not is_of_aws(endpoint):
        return named(by if by is not None else _of_the_machine())
    if by is not None:
        complain(f"--by: AWS itself says who calls {endpoint}; leave it out")
        raise typer.Exit(MISUSED)
    return _caller(place)


def _of_the_machine() -> str:
    """Return the name of the machine's user, or nothing where it has none: a container may be run by a mere number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


def named(name: str) -> Identity:
    """Return a person of a name. Exits for a name that says nothing.

    Case, blanks and how a letter is put together make no other person: nobody who reads the name would see one.
    """
    name = " ".join(unicodedata.normalize("NFKC", name).split())
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        complain(f"--by: a name has 1 to {NAME_CHARACTERS_MAX} characters that can be read")
        raise typer.Exit(MISUSED)
    person = unicodedata.normalize("NFKC", name.casefold())
    return Identity(name, person, person)


def _caller(place: Place) -> Identity:
    from botocore.exceptions import ClientError  # noqa: PLC0415  heavy: whoever comes here has it already

    sts = evolve(place, endpoint=None).client("sts")  # the endpoint that is named is DynamoDB's
    if not is_of_aws(sts.meta.endpoint_url):
        raise LedgerError(f"{sts.meta.endpoint_url} is not AWS's own; nobody else says who calls AWS")
    try:
        return identity_of(sts.get_caller_identity())
    except ClientError as error:
        raise LedgerError(f"AWS does not say who calls: {error}") from error


def identity_of(answer: Mapping[str, Any]) -> Identity:
    """Return who an answer of ``GetCallerIdentity`` names."""
    arn: str = answer["Arn"]
    return Identity(arn, answer["UserId"], arn.rpartition("/")[2].casefold())


def is_of_aws(endpoint: str) -> bool:
    """Say whether an endpoint is AWS's own: its host ends as those of one of AWS's partitions do."""
    host = (urlsplit(endpoint).hostname or "").casefold()
    return any(host.endswith(f".{suffix}") for suffix in _suffixes())


@functools.cache
def _suffixes() -> frozenset[str]:
    """Return what the hosts of AWS end with, by the list of partitions that botocore brings along."""
    from botocore.loaders import create_loader  # noqa: PLC0415  the same

    outputs = (partition["outputs"] for partition in create_loader().load_data("partitions")["partitions"])
    return frozenset(each[name].casefold() for each in outputs for name in ("dnsSuffix", "dualStackDnsSuffix"))
