"""The archive of the deployed stack: what is posted comes into the bucket by the Ledger's stream, and stays there."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from engine.ledger.archive.chain import EMPTY, PREFIX, ArchiveObject, follow
from engine.ledger.archive.s3 import S3Bucket
from engine.ledger.dynamodb.heads import DynamoHeads
from engine.ledger.dynamodb.seals import digest_of
from engine.ledger.dynamodb.stream import Record, Told
from engine.runtime.clock import Clock
from tests.support.stack import entries, failed, give, rendered
from tools.deployment import Deployment, wait_until

MINUTE = 60


@pytest.fixture
def bucket(deployed: Deployment) -> Iterator[S3Bucket]:
    """Return the archive, as somebody sees it who may do everything."""
    client = deployed.aws.client("s3")
    yield S3Bucket(client, deployed.outputs["ArchiveBucketName"])
    client.close()


def archived(stack: Deployment, bucket: S3Bucket, reference: str) -> list[Record]:
    """Return what is archived of a log, each record once; the chain is whole up to its head."""
    deadline = Clock().deadline(MINUTE)
    head = DynamoHeads(stack.dynamodb, stack.outputs["SealsTableName"]).head(deadline)
    found = list(follow(bucket, EMPTY, head, deadline))
    objects = [each for each in found if isinstance(each, ArchiveObject)]
    assert objects == found
    records = [Record.read(line) for each in objects for line in each.lines]
    return list({record.text(): record for record in records if record.key[0] == reference}.values())


def test_what_is_posted_changed_and_removed_is_archived_within_a_minute(deployed: Deployment, bucket: S3Bucket) -> None:
    """By the stream, the mapping and the function, with the rights of its role; explanations come in between."""
    job = f"j-{uuid.uuid4().hex[:12]}"
    user, reference, ledger = f"u-{job}", f"job#{job}", deployed.ledger_table
    give(deployed, user, "100")
    deployed.invoke(rendered(user, job))
    deployed.invoke(failed(user, job))
    first, last = ({name: value for name, value in each.items() if name != "explanation"} for each in entries(deployed, job))
    damaged = {**last, "amount": {"N": "900"}}
    deployed.dynamodb.put_item(TableName=ledger, Item=damaged)
    deployed.dynamodb.delete_item(TableName=ledger, Key={name: last[name] for name in ("reference", "sequence")})

    def told(kind: Told) -> list[Record]:
        return [record for record in archived(deployed, bucket, reference) if record.told is kind]

    wait_until(lambda: bool(told(Told.REMOVE)), "the damage is archived", MINUTE)
    assert [first, last] == [record.item for record in told(Told.INSERT)]
    assert digest_of(damaged) in [record.digest for record in told(Told.MODIFY)]
    assert [(reference, 2)] == [record.key for record in told(Told.REMOVE)]
    deployed.dynamodb.put_item(TableName=ledger, Item=last)


def test_what_is_archived_cannot_be_removed(deployed: Deployment, bucket: S3Bucket) -> None:
    """By the account's owner neither, unless the lock is gone round; a delete marker hides nothing."""
    client: Any = bucket.client
    deadline = Clock().deadline(MINUTE)
    wait_until(lambda: any(bucket.keys(PREFIX, "", deadline)), "something is archived", MINUTE)
    key = next(iter(bucket.keys(PREFIX, "", deadline)))
    body = bucket.get(key, deadline)
    (version,) = client.list_object_versions(Bucket=bucket.name, Prefix=key)["Versions"]

    with pytest.raises(ClientError, match="AccessDenied"):
        client.delete_object(Bucket=bucket.name, Key=key, VersionId=version["VersionId"])
    client.delete_object(Bucket=bucket.name, Key=key)
    assert body
    assert (True, body) == (key in bucket.keys(PREFIX, "", deadline), bucket.get(key, deadline))
