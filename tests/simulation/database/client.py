"""The database as the ledger's client: the calls of botocore's client, in this process, with the product's own errors."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from tests.simulation.database.database import Database
from tests.simulation.database.errors import Refused


@frozen(eq=False)
class Client:
    """Sends requests to a database in this process. It is a ``ledger.dynamodb.calls.DynamoDB``, and serves other calls too."""

    database: Database

    def __getattr__(self, name: str) -> Any:
        operation = "".join(part.capitalize() for part in name.split("_"))

        def send(**request: Any) -> Any:
            try:
                return self.database.call(operation, request)
            except Refused as refused:
                raise refused.as_service_error() from refused

        return send

    def close(self) -> None:
        """There is no connection to close."""
