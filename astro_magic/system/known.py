"""Hide known secrets in every text, in all the forms that programs write them in."""

from __future__ import annotations

import base64
import contextlib
import functools
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

from astro_magic.errors import AstroMagicError
from astro_magic.system.secrets import MASK, SHORT, mask_url_credentials

__all__ = ["Masking", "mask", "masking"]

#: Passwords that are no secret, and words that are no password.
_KNOWN_TO_ALL = frozenset(
    {"admin", "airflow", "changeme", "false", "none", "null", "password", "postgres", "root", "true"}
)
#: Shorter values are left: they would tear words apart.
_SHORTEST = 4
#: Seconds that reading the secrets of a project may take to be done every second.
_QUICK = 0.02


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide known secrets, and the logins of URLs: see `masking`."""
    return masking(secrets)(text)


def masking(secrets: Iterable[str]) -> Callable[[str], str]:
    """Give a function that hides known secrets, in all the forms that programs write them in, and the logins of URLs.

    Its time grows with the length of a text, and hardly with the number of secrets.

    Parameters
    ----------
    secrets : iterable of str
        Values to hide. Those under four characters, and those that everybody knows, are left, since they would tear
        words apart; a short word is hidden only where it stands alone.
    """
    by_beginning: dict[str, set[str]] = {}
    words: set[str] = set()
    for secret in {value for value in secrets if len(value) >= _SHORTEST and value.lower() not in _KNOWN_TO_ALL}:
        if len(secret) < SHORT and secret.isalnum():
            words.add(secret)
            continue
        for form in _forms(secret):
            by_beginning.setdefault(form[:_SHORTEST], set()).add(form)
    alone = {word: re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in words}

    def masked(text: str) -> str:
        places = range(len(text) - _SHORTEST + 1) if by_beginning else ()
        begun = {beginning for place in places if (beginning := text[place : place + _SHORTEST]) in by_beginning}
        for form in sorted((form for each in begun for form in by_beginning[each]), key=len, reverse=True):
            text = text.replace(form, MASK)
        for word, pattern in alone.items():
            if word in text:
                text = pattern.sub(MASK, text)
        return mask_url_credentials(text)

    return masked


class Masking:
    """Hides secrets in one text after the other, also those that turn up meanwhile.

    A log is followed, and a start goes on, while keys are made and somebody writes a password into a file. What was
    secret once stays so: older lines still hold it.

    Parameters
    ----------
    read : callable
        Gives the secrets as they are now.
    lifetime : float, optional
        Seconds until they are read again; longer where reading them takes long.

    Raises
    ------
    AstroMagicError
        When they cannot be read the first time; later on, those that are known are hidden.
    """

    def __init__(self, read: Callable[[], Iterable[str]], *, lifetime: float = 1.0) -> None:
        self._read = read
        self._lifetime = lifetime
        begun = time.monotonic()
        self._known = frozenset(read())
        self._hide = masking(self._known)
        self._until = self._next(begun)

    def __call__(self, text: str) -> str:
        """Give a text without its secrets."""
        if time.monotonic() >= self._until:
            self._renew()
        return self._hide(text)

    def _next(self, begun: float) -> float:
        """Give when to read again: where it is slow, no more than a twentieth of the time is for that."""
        now = time.monotonic()
        took = now - begun
        return now + (self._lifetime if took < _QUICK else max(self._lifetime, 20 * took))

    def _renew(self) -> None:
        begun = time.monotonic()
        with contextlib.suppress(AstroMagicError):
            known = self._known | frozenset(self._read())
            if known != self._known:
                self._known = known
                self._hide = masking(known)
        self._until = self._next(begun)


@functools.lru_cache(maxsize=4096)
def _forms(secret: str) -> frozenset[str]:
    return frozenset(form for form in _all_forms(secret) if len(form) >= _SHORTEST)


def _all_forms(secret: str) -> Iterator[str]:
    """Give a secret as it may stand in an output: as it is, in a URL, in JSON, in Python, and in base64."""
    yield secret
    for encoded in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield from (encoded, re.sub("%..", lambda sign: sign[0].lower(), encoded))
    texts = (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    # A text in a text, as JSON in a log line, is quoted twice.
    yield from texts
    for text in texts:
        yield from (repr(text)[1:-1], repr(text.encode())[2:-1], json.dumps(text)[1:-1])
        # Python quotes both kinds of quotes where both are there.
        yield from (repr(f"{text}\"'")[1:-4], repr(f"{text}\"'".encode())[2:-4])
    for shift in range(3):
        # The signs that depend on the secret alone, wherever in the encoded text it begins.
        whole = base64.b64encode(b"\0" * shift + secret.encode()).decode()
        core = whole[(0, 2, 3)[shift] : (shift + len(secret.encode())) // 3 * 4]
        if len(core) >= SHORT:
            yield from (core, core.replace("+", "-").replace("/", "_"))
