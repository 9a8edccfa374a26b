"""Whether the UI answers while something is changed."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import httpx

__all__ = ["UiProbe"]

_INTERVAL = 0.1
#: A new connection each time: one that is kept would not notice that nobody listens any more.
_FRESH = httpx.Limits(max_keepalive_connections=0)


class UiProbe:
    """Asks the UI ten times a second, as long as the context lasts.

    Parameters
    ----------
    url : str
        Address of the API server or webserver.
    patience : float, optional
        Seconds after which what has not answered counts as a failure.
    """

    def __init__(self, url: str, *, patience: float = 10.0) -> None:
        self._patience = patience
        self._url = f"{url}/api/v2/version"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._seen: list[tuple[float, bool]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        # One more answer is awaited, so that the end of a time without answers is seen.
        time.sleep(3 * _INTERVAL)
        self._over.set()
        self._thread.join()

    @property
    def asked(self) -> int:
        """How often it was asked."""
        return len(self._seen)

    @property
    def failed(self) -> int:
        """How often it did not answer."""
        return sum(not answered for _, answered in self._seen)

    @property
    def down(self) -> float:
        """Seconds from the first failure to the first answer after the last one."""
        failures = [index for index, (_, answered) in enumerate(self._seen) if not answered]
        if not failures:
            return 0.0
        end = min(failures[-1] + 1, len(self._seen) - 1)
        return self._seen[end][0] - self._seen[failures[0]][0]

    def _ask(self) -> None:
        with httpx.Client(timeout=self._patience, limits=_FRESH, trust_env=False) as http:
            while not self._over.is_set():
                begun = time.perf_counter()
                try:
                    answered = http.get(self._url).is_success
                except httpx.HTTPError:
                    answered = False
                self._seen.append((begun, answered))
                self._over.wait(max(0.0, _INTERVAL - (time.perf_counter() - begun)))
