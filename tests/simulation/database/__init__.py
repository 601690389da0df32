"""A DynamoDB for tests that is as strict as the service: in this process (``Client``), and over HTTP (``run_server``).

It keeps to what AWS documents, and where AWS is silent to what is harder for its user. What the service would refuse as
senseless is refused, and counted in ``Database.validation_errors``.

    errors       how it says no
    digits       numbers: 38 digits, range, canonical form
    values       attribute values: what may be one, sizes, order
    words        the reserved words
    syntax       tokens, document paths, places
    conditions   grammar of conditions, filters and key conditions
    changes      grammar of updates and projections
    operands     what is refused of an expression before any item is seen
    evaluate     what a condition is of an item
    update       what an update makes of an item; projections
    parameters   a request's expressions with their names and values
    schema       keys and indexes
    tables       items in order, and the versions before them
    staleness    how old an eventually consistent read may be
    ranges       key conditions of a query
    reads        GetItem, BatchGetItem, TransactGetItems, Query, Scan
    writes       one write: condition, change, what it takes
    transactions prepared, then committed; tokens; conflicts
    capacity     consumed units
    shapes       members, kinds and bounds by the service's own model
    database     the operations
    client       as the ledger's client
    server       over HTTP
"""

from tests.simulation.database.client import Client
from tests.simulation.database.database import Database
from tests.simulation.database.errors import Refused
from tests.simulation.database.server import Server, run_server
from tests.simulation.database.staleness import Fresh, Seeded, Staleness
from tests.simulation.database.transactions import Transaction

__all__ = ["Client", "Database", "Fresh", "Refused", "Seeded", "Server", "Staleness", "Transaction", "run_server"]
