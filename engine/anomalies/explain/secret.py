"""The model's key: cached for minutes, so that a rotation needs no deployment; read again at once where it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable

from attrs import define, field

from engine.runtime.clock import Clock

CACHED_SECONDS = 300.0
RETRY_SECONDS = 30.0
"""After how long a secret is asked for again that could not be read, or that holds no key yet."""

MEMBER = "api_key"


@define
class ModelKey:
    """A key behind ``read``, which returns the secret's text or raises. It is never shown, not even in a traceback's repr.

    ``tell`` is told why the secret could not be read.
    """

    read: Callable[[], str | None] = field(repr=False)
    clock: Clock
    tell: Callable[[str], None] = lambda _problem: None
    _known: str | None = field(default=None, repr=False)
    _asked_at: float | None = None

    def now(self) -> str | None:
        """Return the key, or None where there is none. A secret that cannot be read now leaves the key known before."""
        age = None if self._asked_at is None else self.clock.steady() - self._asked_at
        if age is None or age >= (CACHED_SECONDS if self._known else RETRY_SECONDS):
            self.renew()
        return self._known

    def renew(self) -> bool:
        """Read the secret again, and say whether there is another key than before."""
        before = self._known
        self._asked_at = self.clock.steady()
        try:
            self._known = key_of(self.read())
        except Exception as error:  # noqa: BLE001  whatever it is, an explanation without a model is better than none
            self.tell(
                f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else "the secret is no JSON object"
            )
            return False
        return self._known is not None and self._known != before


def key_of(secret: str | None) -> str | None:
    """Return the key in a secret: the text itself, or the member ``api_key`` of a JSON object."""
    text = (secret or "").strip()
    if text.startswith("{"):
        value = json.loads(text).get(MEMBER)
        text = value.strip() if isinstance(value, str) else ""
    return text if text.isascii() and text.isprintable() and text else None
