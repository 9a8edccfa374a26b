"""Keep secrets out of everything that is shown, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["MASK", "is_reference", "is_secret_name", "mask", "mask_credentials", "mask_url_credentials"]

#: Stands for a hidden value, whatever its length.
MASK = "••••••"

_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?P<credentials>[^\s/:@\"']*(?::[^\s/\"']*|:[^\s@\"']*)?)@"
)
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL|AIRFLOW_CONN_|SQL_ALCHEMY_CONN", re.IGNORECASE)
_SECRET_ASSIGNMENT = re.compile(
    r"(?P<name>\b\w*(?:password|passwd|secret|token|api_?key|private_?key|access_?key|credential|_key\b)\w*)"
    r"(?P<equals>[\"']?\s*(?:=(?!=)|:)\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"',;]+)",
    re.IGNORECASE,
)


def mask_url_credentials(text: str) -> str:
    """Hide user names and passwords in URLs; references to environment variables (``${TOKEN}``) stay."""
    return _URL_CREDENTIALS.sub(
        lambda match: (
            match[0]
            if is_reference(match["credentials"]) or match["credentials"] == "git"
            else f"{match['scheme']}{MASK}@"
        ),
        text,
    )


def mask_credentials(text: str) -> str:
    """Hide the logins of URLs, and values given to a name that says they are secret; references stay."""
    return _SECRET_ASSIGNMENT.sub(
        lambda match: match[0] if is_reference(match["value"]) else f"{match['name']}{match['equals']}{MASK}",
        mask_url_credentials(text),
    )


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide known secrets, and the logins of URLs.

    Parameters
    ----------
    text : str
        What is about to be shown.
    secrets : iterable of str
        Values to hide; those under four characters are left, since they would tear words apart.
    """
    for secret in sorted({value for value in secrets if len(value) > 3}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return mask_url_credentials(text)


def is_secret_name(name: str) -> bool:
    """Tell whether a variable's name says that its value is secret."""
    return _SECRET_NAME.search(name) is not None


def is_reference(value: str) -> bool:
    """Tell whether a value only refers to environment variables, as in ``${USER}:${TOKEN}``."""
    return re.fullmatch(r"(?:\$\{\w+\}|\$\w+|:|[\"'])+", value) is not None
