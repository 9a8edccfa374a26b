"""Fetch a small text of the web, which may be wanting: nothing here raises for that."""

from __future__ import annotations

import time

__all__ = ["fetch"]

_MOST_REDIRECTS = 3


def fetch(url: str, *, timeout: float, most_bytes: int) -> bytes | None:
    """Read an answer of limited size in limited time.

    Parameters
    ----------
    url : str
        Where it is. What is asked for over an encrypted connection is not taken from a plain one.
    timeout : float
        Seconds after which the answer is given up.
    most_bytes : int
        The size from which it is not taken.

    Returns
    -------
    bytes or None
        What was read; None when there is no such answer.
    """
    import httpx

    deadline = time.monotonic() + timeout
    content = b""
    try:
        with (
            httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=_MOST_REDIRECTS) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != 200 or answer.url.scheme != httpx.URL(url).scheme:
                return None
            for part in answer.iter_bytes():
                content += part
                if len(content) > most_bytes or time.monotonic() > deadline:
                    return None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError):
        return None
    return content
