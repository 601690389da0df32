"""What applications write beside us: rows of Jobs, users, top-ups. One thread, so that a job's rows come in their order."""

from __future__ import annotations

import queue
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Self

from attrs import Factory, define
from botocore.exceptions import BotoCoreError, ClientError

from engine.ledger.store import Tables
from tests.soak.stories import Row, Telling, Writing

ATTEMPTS_MAX = 200


@define(eq=False)
class Application:
    """Writes what it is told to, again and again until it is written."""

    client: Any
    tables: Tables
    granted: dict[str, Fraction] = Factory(dict)
    """What it has given each user."""
    waiting: queue.Queue[Callable[[], None] | None] = Factory(queue.Queue)
    ready: deque[Telling] = Factory(deque)
    """Events whose row is there now."""
    count: Counter[str] = Factory(Counter)
    problem: str = ""
    thread: threading.Thread = Factory(lambda self: threading.Thread(target=self._work, daemon=True), takes_self=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.waiting.put(None)
        self.thread.join()

    @property
    def is_idle(self) -> bool:
        return not self.waiting.unfinished_tasks

    def write(self, writing: Writing) -> None:
        """Put a whole row of Jobs."""
        item = {name: {"S": value} for name, value in writing.row.items()}
        self.waiting.put(lambda: self._put(item, writing.then))

    def user(self, user: str, given: str) -> None:
        """Make a user's row."""
        item: Row = {"userId": {"S": user}, "remaining": {"N": given}, "plan": {"S": "pro"}}
        only_once = {"ConditionExpression": "attribute_not_exists(userId)"}
        self.granted[user] = self.granted.get(user, Fraction(0)) + Fraction(given)
        self.waiting.put(lambda: self._until_done(self.client.put_item, TableName=self.tables.credits, Item=item, **only_once))

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
        self.waiting.put(lambda: self._until_done(self.client.transact_write_items, **request))

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

    def _work(self) -> None:
        while (write := self.waiting.get()) is not None:
            try:
                write()
            except Exception as error:  # noqa: BLE001  the soak has to tell it
                self.problem = self.problem or f"{type(error).__name__}: {error}"
            finally:
                self.waiting.task_done()
        self.waiting.task_done()
