"""Keep secrets out of everything that is shown, logged or stored."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["MASK", "mask", "mask_url_credentials"]

#: What stands where a secret was.
MASK = "••••••"

_CREDENTIALS = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)(?P<user>[^\s/@:]*)(?P<password>:[^\s/@]*)?@")
_KEEP = {"git"}


def mask_url_credentials(text: str) -> str:
    """Replace the login of each URL in `text` by a mask; the ``git`` user of SSH addresses is no secret."""

    def replace(found: re.Match[str]) -> str:
        if found["user"] in _KEEP and not found["password"]:
            return found[0]
        return f"{found['scheme']}{MASK}@"

    return _CREDENTIALS.sub(replace, text)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """Replace known secrets and the logins of URLs in `text` by a mask.

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
