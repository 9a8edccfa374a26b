"""Keep secrets out of everything that is shown, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["MASK", "is_reference", "mask", "mask_credentials"]

#: Stands for a hidden value, whatever its length.
MASK = "••••••"

_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<credentials>[^\s/:@\"']*(?::[^\s/\"']*|:[^\s@\"']*)?)@"
)
_SECRET_ASSIGNMENT = re.compile(
    r"(?P<name>\b\w*(?:password|passwd|secret|token|api_?key|private_?key|access_?key|credential|_key\b)\w*)"
    r"(?P<equals>[\"']?\s*(?:=(?!=)|:)\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"',;]+)",
    re.IGNORECASE,
)


def mask_credentials(text: str) -> str:
    """Hide user names and passwords in URLs, and values given to a name that says they are secret.

    References to environment variables (``${TOKEN}``) are no secrets and stay.
    """
    text = _URL_CREDENTIALS.sub(
        lambda match: (
            match[0]
            if is_reference(match["credentials"]) or match["credentials"] == "git"
            else f"{match['scheme']}{MASK}@"
        ),
        text,
    )
    return _SECRET_ASSIGNMENT.sub(
        lambda match: match[0] if is_reference(match["value"]) else f"{match['name']}{match['equals']}{MASK}",
        text,
    )


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide known secrets, and whatever else in `text` looks like a credential.

    Parameters
    ----------
    text : str
        What is about to be shown.
    secrets : iterable of str
        Values to hide; those under four characters are left, since they would tear words apart.
    """
    for secret in sorted({value for value in secrets if len(value) > 3}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return mask_credentials(text)


def is_reference(value: str) -> bool:
    """Tell whether a value only refers to environment variables, as in ``${USER}:${TOKEN}``."""
    return re.fullmatch(r"(?:\$\{\w+\}|\$\w+|:|[\"'])+", value) is not None
