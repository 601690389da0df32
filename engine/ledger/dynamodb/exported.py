"""A table as DynamoDB exports it to S3: a folder with manifests and packed files of items, copied from its bucket.

Sources: Amazon DynamoDB Developer Guide, "DynamoDB table export output format".
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from engine.ledger.dynamodb.attributes import decode_item
from engine.ledger.exports import ExportProblem

type Manifest = Mapping[str, Any]

UNREADABLE = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)


@frozen
class ExportedTable:
    """A full export of a table: beside the summary stand the other manifest, and the files of items in ``data``.

    It is a ``ledger.exports.TableExport``.
    """

    path: Path
    """The summary."""
    summary: Manifest

    @classmethod
    def open(cls, path: Path) -> ExportedTable:
        """Return the export of a summary. Raises ExportProblem for one of changes, or in another form."""
        summary, folder = _object(path, path.read_bytes()), path.parent
        if summary.get("outputFormat") != "DYNAMODB_JSON":
            said = summary.get("outputFormat")
            raise ExportProblem(f"{folder}: is an export in the form {said}; export the table as DYNAMODB_JSON")
        if summary.get("exportType", "FULL_EXPORT") != "FULL_EXPORT":
            raise ExportProblem(f"{folder}: is an export of changes; a full export of the table is needed")
        return cls(path, summary)

    @property
    def folder(self) -> Path:
        """Where it stands."""
        return self.path.parent

    @property
    def table(self) -> str:
        """The name of the table."""
        return str(self.summary.get("tableArn", "")).rpartition("/")[2] or str(self.folder)

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield the items, decoded. Raises ExportProblem where something is missing or was changed."""
        count = 0
        for manifest in self._files():
            for item in self._items_of(manifest):
                count += 1
                yield item
        if count != self.summary.get("itemCount"):
            said = f"{self.path.name} says {self.summary.get('itemCount')}"
            raise ExportProblem(f"{self.folder}: has {count} items, and {said}: copy all of the export again")

    def _files(self) -> list[Manifest]:
        """Return what the manifest says of each file of items."""
        name = Path(str(self.summary.get("manifestFilesS3Key"))).name
        lines = _read(self.folder / name, self.folder).splitlines()
        return [_object(self.folder / name, line) for line in lines if line.strip()]

    def _items_of(self, manifest: Manifest) -> Iterator[dict[str, Any]]:
        path = self.folder / "data" / Path(str(manifest.get("dataFileS3Key"))).name
        _check_digest(path, self.folder, str(manifest.get("md5Checksum")))
        count = 0
        for line in _lines(path):
            count += 1
            yield _item(path, count, line)
        if count != manifest.get("itemCount"):
            said = f"its manifest says {manifest.get('itemCount')}"
            raise ExportProblem(f"{path}: has {count} items, and {said}: copy all of the export again")


def _check_digest(path: Path, folder: Path, said: str) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise _missing(path, folder) from error
    if base64.b64encode(digest.digest()).decode() != said:
        raise ExportProblem(f"{path}: is not what was exported (its MD5 is another than the manifest's): copy it again")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise ExportProblem(f"{path}: cannot be unpacked: {error}") from error


def _item(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        return decode_item(json.loads(line)["Item"])
    except UNREADABLE as error:
        raise ExportProblem(f'{path}: line {number} is no item of an export, like {{"Item": {{...}}}}') from error


def _read(path: Path, folder: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _missing(path, folder) from error


def _missing(path: Path, folder: Path) -> ExportProblem:
    return ExportProblem(f"{path}: is not there, and the manifest of {folder} names it: copy all of the export")


def _object(path: Path, text: bytes) -> Manifest:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ExportProblem(f"{path}: is no manifest of an export")
    return found
