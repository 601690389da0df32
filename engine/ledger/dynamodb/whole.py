"""Whether an answer that botocore has received is the one that DynamoDB has sent.

botocore reads an answer that was torn or altered on its way as an empty one: no row, no entries, the last page. It compares
the checksum only where it sends requests again itself, which is ours (``calls.py``). The wire compares by itself.
Source: "DynamoDB low-level API" (``x-amz-crc32``), Amazon DynamoDB Developer Guide.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

AFTER_RECEIVING = "before-parse.dynamodb"
"""The event of botocore's at which ``refuse_damaged`` belongs: the answer is there, and was not read."""


def refuse_damaged(response_dict: Mapping[str, Any], **_told: Any) -> None:
    """Raise botocore's error of an answer that did not come whole: so the request is sent again."""
    body, checksum = response_dict["body"], response_dict["headers"].get("x-amz-crc32")
    is_whole = body[:1] == b"{" and body[-1:] == b"}"
    if is_whole and checksum in {None, str(zlib.crc32(body))}:
        return
    from botocore.exceptions import ResponseStreamingError  # noqa: PLC0415  whoever calls this has botocore

    raise ResponseStreamingError(error=f"the answer of {len(body)} bytes is not the one that was sent")
