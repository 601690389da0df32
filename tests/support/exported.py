"""Exports as AWS writes them to S3, in a folder: of a table by DynamoDB, of events by a bus.

Sources: Amazon DynamoDB Developer Guide, "DynamoDB table export output format".
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.ledger.dynamodb.attributes import encode_item
from tests.support.kept_plans import Books

EXPORT = "AWSDynamoDB/01767607200000-a1b2c3d4"


def export_table(folder: Path, table: str, rows: Iterable[Mapping[str, Any]], **summary: Any) -> Path:
    """Write a full export of a table's rows, in two files and an empty one; return the folder that has it."""
    items, export = [*rows], folder / EXPORT
    (export / "data").mkdir(parents=True)
    parts = {"aaaa": items[::2], "bbbb": items[1::2], "cccc": []}
    manifest = [_data_file(export / "data" / f"{name}.json.gz", part) for name, part in parts.items()]
    _with_checksum(export / "manifest-files.json", "".join(f"{json.dumps(line)}\n" for line in manifest))
    _with_checksum(export / "manifest-summary.json", json.dumps(_summary(table, len(items)) | summary))
    (export / "_started").touch()
    return folder


def _data_file(path: Path, items: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Write a packed file of items, and return what the manifest says of it."""
    packed = gzip.compress("".join(f"{json.dumps({'Item': encode_item(item)})}\n" for item in items).encode())
    path.write_bytes(packed)
    return {
        "itemCount": len(items),
        "md5Checksum": _md5(packed),
        "etag": "af83d6f217c19b8b0fff8023d8ca4716-1",
        "dataFileS3Key": f"{EXPORT}/data/{path.name}",
    }


def _summary(table: str, count: int) -> dict[str, Any]:
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}"
    return {
        "version": "2020-06-30",
        "exportArn": f"{arn}/export/01767607200000-a1b2c3d4",
        "startTime": "2026-01-05T10:00:00.000Z",
        "endTime": "2026-01-05T10:05:00.000Z",
        "tableArn": arn,
        "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
        "exportTime": "2026-01-05T10:00:00.000Z",
        "s3Bucket": "exports",
        "s3Prefix": None,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{EXPORT}/manifest-files.json",
        "billedSizeBytes": 0,
        "itemCount": count,
        "outputFormat": "DYNAMODB_JSON",
        "exportType": "FULL_EXPORT",
    }


def _with_checksum(path: Path, text: str) -> None:
    path.write_text(text)
    path.with_suffix(".checksum").write_text(_md5(text.encode()))


def _md5(text: bytes) -> str:
    return base64.b64encode(hashlib.md5(text, usedforsecurity=False).digest()).decode()


def export_ledger(folder: Path, books: Books) -> Path:
    """Export the entries of books."""
    return export_table(folder, "Ledger", books.entries())


def export_balances(folder: Path, books: Books) -> Path:
    """Export the balances of books."""
    return export_table(folder, "Credits", books.run.store.credits.values())
