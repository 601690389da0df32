"""The errors that users of this package catch, by their public address."""

from engine.domain.errors import EventError, LedgerError, Mistake, PolicyError

__all__ = ["EventError", "LedgerError", "Mistake", "PolicyError"]
