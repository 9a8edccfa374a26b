"""Tickets: who can make one is let in by the server without typing a password, once and within a minute.

Whoever can read the project's secrets can make them; no other process has to be asked.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time

__all__ = ["ENTRANCE_PATH", "REFUSED", "Gate", "key_of", "make_ticket"]

ENTRANCE_PATH = "/astro-magic/open"
#: What the server answers to a ticket that it does not take.
REFUSED = "This ticket was used already, or is more than a minute old. %astro_open opens another way in.\n"
_VALID_SECONDS = 60.0


def key_of(identity: bytes, password: str) -> bytes:
    """Give the key of an instance's tickets: another one than that of its proofs, which anybody can ask for."""
    return hmac.new(password.encode(), b"entrance" + identity, hashlib.sha256).digest()


def make_ticket(key: bytes) -> str:
    """Make a ticket, which is valid from now on for a minute."""
    body = f"{time.time()}_{secrets.token_hex(16)}"
    return f"{body}_{_signed(key, body)}"


class Gate:
    """Takes each ticket once.

    It belongs to one process: what was made before that process was there may have been taken by the one before it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._opened = time.time()
        self._taken: dict[str, float] = {}
        self._lock = threading.Lock()

    def admits(self, ticket: str) -> bool:
        """Take a ticket; gives whether it is a good one."""
        body, _, signature = ticket.rpartition("_")
        if not hmac.compare_digest(_signed(self._key, body).encode(), signature.encode()):
            return False
        made, now = float(body.partition("_")[0]), time.time()
        if not max(self._opened, now - _VALID_SECONDS) <= made <= now:
            return False
        with self._lock:
            self._taken = {body: until for body, until in self._taken.items() if until > now}
            if body in self._taken:
                return False
            self._taken[body] = made + _VALID_SECONDS
            return True


def _signed(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
