"""What applications write beside us: rows of Jobs, users, top-ups. All of one job or user by one thread, in its order."""

from __future__ import annotations

import queue
import threading
import uuid
import zlib
from collections import Counter, deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Self

from attrs import Factory, define
from botocore.exceptions import BotoCoreError, ClientError

from engine.ledger.dynamodb.attributes import encode_item
from engine.ledger.store import Tables
from tests.soak.stories import Row, Telling, Writing

ATTEMPTS_MAX = 200
LANES = 4

type Lane = queue.Queue[Callable[[], None] | None]


@define(eq=False)
class Application:
    """Writes what it is told to, again and again until it is written."""

    client: Any
    tables: Tables
    granted: dict[str, Fraction] = Factory(dict)
    """What it has given each user."""
    lanes: list[Lane] = Factory(lambda: [queue.Queue() for _ in range(LANES)])
    ready: deque[Telling] = Factory(deque)
    """Events whose row is there now."""
    count: Counter[str] = Factory(Counter)
    problem: str = ""
    threads: list[threading.Thread] = Factory(list)

    def __enter__(self) -> Self:
        self.threads = [threading.Thread(target=self._work, args=(lane,), daemon=True) for lane in self.lanes]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for lane, thread in zip(self.lanes, self.threads, strict=True):
            lane.put(None)
            thread.join()

    @property
    def waiting(self) -> int:
        """How much is still to be written."""
        return sum(lane.unfinished_tasks for lane in self.lanes)

    def finish(self) -> None:
        """Wait until all is written."""
        for lane in self.lanes:
            lane.join()

    def _later(self, key: str, write: Callable[[], None]) -> None:
        self.lanes[zlib.crc32(key.encode()) % LANES].put(write)

    def write(self, writing: Writing) -> None:
        """Put a whole row of Jobs."""
        item = encode_item(writing.row)
        self._later(writing.row["jobId"], lambda: self._put(item, writing.then))

    def user(self, user: str, given: str) -> None:
        """Make a user's row."""
        item: Row = {"userId": {"S": user}, "remaining": {"N": given}, "plan": {"S": "pro"}}
        only_once = {"ConditionExpression": "attribute_not_exists(userId)"}
        self.granted[user] = self.granted.get(user, Fraction(0)) + Fraction(given)
        request = {"TableName": self.tables.credits, "Item": item, **only_once}
        self._later(user, lambda: self._until_done(self.client.put_item, **request))

    def top_up(self, user: str, given: str) -> None:
        """Give credits to a user, by a token so that a lost answer gives them once."""
        update = {
            "TableName": self.tables.credits,
            "Key": {"userId": {"S": user}},
            "UpdateExpression": "ADD remaining :more",
            "ExpressionAttributeValues": {":more": {"N": given}},
        }
        self.granted[user] = self.granted.get(user, Fraction(0)) + Fraction(given)
        request = {"TransactItems": [{"Update": update}], "ClientRequestToken": uuid.uuid4().hex}
        self._later(user, lambda: self._until_done(self.client.transact_write_items, **request))

    def _put(self, item: Row, then: Telling | None) -> None:
        self._until_done(self.client.put_item, TableName=self.tables.jobs, Item=item)
        if then is not None:
            self.ready.append(then)

    def _until_done(self, send: Callable[..., Any], **request: Any) -> None:
        for _ in range(ATTEMPTS_MAX):
            try:
                send(**request)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code == "ConditionalCheckFailedException":
                    return  # it was written, and the answer was lost
                self.count[code] += 1
            except BotoCoreError as error:
                self.count[type(error).__name__] += 1
            else:
                return
        raise RuntimeError(f"an application could not write in {ATTEMPTS_MAX} attempts: {dict(self.count)}")

    def _work(self, lane: Lane) -> None:
        while (write := lane.get()) is not None:
            try:
                write()
            except Exception as error:  # noqa: BLE001  the soak has to tell it
                self.problem = self.problem or f"{type(error).__name__}: {error}"
            finally:
                lane.task_done()
        lane.task_done()
