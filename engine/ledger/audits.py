"""The ledger as audits see it: every entry, damaged or not, what the users' rows say, and where seals are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from attrs import field, frozen

from engine.domain.entry import Entry
from engine.domain.facts import Facts
from engine.domain.money import ZERO
from engine.ledger.balances import BalancePage
from engine.ledger.moved import Moved
from engine.ledger.seals import Seal, SealedEntry
from engine.ledger.stored import EntryKey, Place
from engine.runtime.clock import Clock, Deadline


@frozen
class Line:
    """An entry as an audit reads it: what is missing or of the wrong kind is None (a text that must be there: empty)."""

    reference: str
    sequence: int | Decimal
    """A whole number, unless somebody has put the entry there by hand."""
    user: str | None
    type: str
    amount: Decimal | None
    cost: Decimal | None
    is_correction: bool = False
    held: Decimal | None = ZERO
    """How many credits more are held since it: 0 where it does not say."""
    names_its_user: bool = True
    """Whether the log is its user's by it. A hold that was refused says nothing of whose job it is."""

    @property
    def moved(self) -> Decimal:
        """The amount; what is none moves nothing."""
        return self.amount if self.amount is not None else ZERO

    @property
    def moves(self) -> Moved:
        """The amount, and how many credits more are held; what is no number moves nothing."""
        return Moved(self.moved, self.held if self.held is not None else ZERO)

    @property
    def key(self) -> EntryKey:
        """Where the entry stands."""
        return self.reference, self.sequence


class AuditedEntry(Protocol):
    """An entry with all its attributes, whatever they are. What costs time is worked out when it is asked for."""

    @property
    def line(self) -> Line:
        """What counts."""

    @property
    def posted_at(self) -> str:
        """When it was posted (sortable text; empty where it does not say)."""

    @property
    def anomalies(self) -> Sequence[Mapping[str, Any]]:
        """Why it is flagged."""

    @property
    def problem(self) -> str:
        """What makes it no entry of this system, or hides it from its user's statement; empty where all is well."""

    @property
    def is_explained(self) -> bool:
        """Whether it has an explanation."""

    @property
    def correction_id(self) -> str:
        """The id of the adjustment that a person has told with it; empty where there is none."""

    @property
    def facts(self) -> Facts | None:
        """What it knows of its job; None where it is no entry of this system."""

    @property
    def digest(self) -> str:
        """The SHA-256 of all its attributes but an explanation."""

    @property
    def facts_digest(self) -> str:
        """The digest of what it knows of its job."""

    @property
    def stored(self) -> Mapping[str, Any]:
        """All attributes as JSON-like values by their names. Raises ValueError where they have no such form."""

    @property
    def entry(self) -> Entry | str:
        """It as an entry, or why it is none."""

    @property
    def text(self) -> str:
        """All attributes but an explanation, as the one text that its digest is of: ``AuditStore.entry`` reads it again."""


class ArchivedRecord(Protocol):
    """What a line of the archive tells of the entry at ``key``: that it came, was changed or was removed."""

    @property
    def key(self) -> EntryKey:
        """Where the entry stands."""

    @property
    def at(self) -> str:
        """When it happened, as the stream has it (sortable text)."""

    @property
    def digest(self) -> str:
        """The digest of all attributes but an explanation; empty for what was removed."""

    @property
    def entry(self) -> AuditedEntry | None:
        """All of the entry, without an explanation; None where the record has not all of it."""

    @property
    def words(self) -> object:
        """Its explanation, as JSON-like values; None where it has none."""

    @property
    def is_taken_in(self) -> bool:
        """Whether the entry is older than the archive."""


@frozen
class Credit:
    """A user's row as an audit sees it."""

    user: str
    posted: Decimal | None = ZERO
    """What was posted by it: 0 where the row says nothing, None where it says what is no number."""
    remaining: Decimal | None = field(default=ZERO, eq=False)
    """The balance, in the same way, where it was asked for. An application may move it at any moment."""
    is_there: bool = False
    stored: object = field(default=None, repr=False)
    """``posted`` as the store has it: a correction is written only over what was seen."""
    held: Decimal | None = ZERO
    """How many of the user's credits are held, in the same way."""
    stored_held: object = field(default=None, repr=False)
    """``held`` as the store has it."""

    @property
    def says(self) -> Moved | None:
        """What was posted and is held by it; None where one of them is no number."""
        return Moved(self.posted, self.held) if self.posted is not None and self.held is not None else None


@frozen
class PutBack:
    """An entry that goes back into its place as it was ``posted``, over what is ``found`` there (None: nothing)."""

    posted: AuditedEntry
    found: AuditedEntry | None

    @property
    def place(self) -> Place:
        """Its sequence."""
        return self.posted.line.sequence


class AuditStore(Protocol):
    """The tables of one ledger, read whole. Everything is strongly consistent, but for what is said to be none."""

    @property
    def clock(self) -> Clock:
        """The clock that dates what is appended."""

    # --- entries and balances ---

    def entries(self, deadline: Deadline, segment: tuple[int, int] | None = None) -> Iterator[AuditedEntry]:
        """Yield every entry; of a ``segment`` (its number, of how many) those that belong to it."""

    def log(self, reference: str, deadline: Deadline) -> list[AuditedEntry]:
        """Return the entries of a reference in order of their sequence."""

    def entries_of_user(self, user: str, deadline: Deadline, since: str = "") -> Iterator[AuditedEntry]:
        """Yield the entries of a user, by the index: it trails the table by a moment. ``since``: posted then or later."""

    def entries_at(self, keys: Iterable[EntryKey], deadline: Deadline) -> dict[EntryKey, AuditedEntry]:
        """Return those of the entries that are there."""

    def credit(self, user: str, deadline: Deadline) -> Credit:
        """Return what a user's row says was posted, and is held."""

    def credits(self, deadline: Deadline, *, with_remaining: bool = False) -> Iterator[Credit]:
        """Yield what every user's row says was posted and is held, ``with_remaining`` the balance too: all of one moment."""

    # --- repairs ---

    def append(self, entry: Entry, deadline: Deadline) -> bool:
        """Append an entry that moves no balance. False where its sequence is taken: somebody was faster."""

    def append_with_row(self, entry: Entry, seen: Credit, says: Moved, moved: Decimal, deadline: Deadline) -> bool:
        """Append an entry, and let the user's row say what was posted and is held, its balance ``moved``: both or none.

        False where the row is no longer as it was ``seen``, or the sequence is taken. An application moves the balance at any
        moment, so it may be another by now; but not where it alone is moved, since then it is what was wrong.
        """

    def put_back(self, put_backs: Sequence[PutBack], corrections: Sequence[tuple[Entry, Moved]], deadline: Deadline) -> bool:
        """Put entries of one log back, append corrections to it, and move the row of each one's user by what is beside it.

        All together, but for more put back than a transaction holds: those come first. False where something is no longer as
        it was found, a correction's place is taken, or a user whose balance would move has no row with numbers.
        """

    def entry(self, text: str) -> AuditedEntry:
        """Return the entry of a ``text``. Raises ValueError for what is none."""

    def audited(self, entry: Entry) -> AuditedEntry:
        """Return an entry as audits would see it, were it appended now."""

    # --- seals ---

    def last_seal(self, deadline: Deadline) -> Seal:
        """Return the newest header; the one before the first where there is none."""

    def seals(self, deadline: Deadline) -> Iterator[tuple[Seal, str]]:
        """Yield all headers in order, each with the hash that was stored with it."""

    def keep_part(self, lines: Iterable[str], deadline: Deadline) -> str:
        """Store a part, and return its name. Stored again it is the same."""

    def part(self, name: str, deadline: Deadline) -> list[SealedEntry] | None:
        """Return the entries of a part, None where it is gone or was changed."""

    def keep(self, seal: Seal, deadline: Deadline) -> bool:
        """Store a header. False where its number is taken, by another than itself: somebody was faster."""

    # --- balances that are checked against the ledger ---

    def balance_pages(self, deadline: Deadline) -> Iterator[BalancePage]:
        """Yield the pages of the book of balances, in their order. Raises LedgerRefused for what is none."""

    def keep_balances(self, page: BalancePage, deadline: Deadline) -> bool:
        """Store a page. False where its number is taken, by another than itself: somebody was faster."""
