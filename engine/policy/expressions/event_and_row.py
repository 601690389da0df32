"""What expressions see where a policy reads the job's own row: the event, and beside it the row.

Imported only once an event is asked by such a policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from engine.domain.errors import RowNeeded
from engine.policy.expressions import OWN_ROW


class EventAndRow(dict[str, Any]):
    """An event whose job's row is found under ``row``, and only there: ``@`` and ``*`` are the event alone.

    While the row has not been read, whoever looks for it raises RowNeeded. So ``detail.userId || row.userId`` reads a row only
    for an event that does not say its user.
    """

    def __init__(self, event: Mapping[str, Any], row: Mapping[str, Any] | None) -> None:
        super().__init__(event)
        self.row = row

    def get(self, name: str, default: Any = None) -> Any:
        """Return a member of the event, or the row. Raises RowNeeded."""
        if name != OWN_ROW:
            return super().get(name, default)
        if self.row is None:
            raise RowNeeded
        return self.row

    def mapped(self, change: Callable[[Any], Any]) -> EventAndRow:
        """Return the event with each member changed, and the row changed alike."""
        event = {name: change(member) for name, member in self.items()}
        return EventAndRow(event, None if self.row is None else change(self.row))
