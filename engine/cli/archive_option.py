"""Where the archive of entries is: a bucket of S3, or a folder that is a copy of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.options import IN_S3, archive_if_named, archive_named
from engine.cli.output import complain
from engine.cli.place import Place
from engine.cli.status import MISUSED
from engine.ledger.archive.bucket import Bucket

ArchivePlace = Annotated[
    str,
    typer.Option(
        "--archive",
        envvar="ARCHIVE_BUCKET",
        metavar="s3://BUCKET|FOLDER",
        help="The archive of entries: its bucket, or a copy of it.",
        callback=archive_named,
    ),
]

ArchivePlaceIfNamed = Annotated[
    str,
    typer.Option(
        "--archive",
        envvar="ARCHIVE_BUCKET",
        metavar="s3://BUCKET|FOLDER",
        help="The archive of entries: the ledger is held to it, and repaired by it; '' for none.",
        callback=archive_if_named,
    ),
]


def open_archive(name: str, place: Place) -> Bucket:
    """Return the archive. Exits where a folder is not there, and for the name of no bucket."""
    from engine.reconcile.wiring import build_bucket  # noqa: PLC0415  heavy, and not needed for help

    if not name.startswith(IN_S3) and not Path(name).is_dir():
        complain(f"{name}: there is no such folder; name a bucket like s3://BUCKET, or the folder of a copy")
        raise typer.Exit(MISUSED)
    try:
        return build_bucket(name, place.endpoint, place.profile, place.region)
    except ValueError as error:
        complain(str(error))
        raise typer.Exit(MISUSED) from error
