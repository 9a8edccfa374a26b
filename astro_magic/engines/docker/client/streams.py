"""Answers of the engine that go on: logs and events, read as they come and ended from any thread."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from astro_magic.engines.docker.client.connection import Connection

__all__ = ["Stream"]

#: Seconds to wait for the beginning of an answer; what follows may be silent for days.
_FIRST_ANSWER = 10.0


class Stream:
    """An answer that is read piece by piece.

    Parameters
    ----------
    connection : Connection
        The engine.
    path : str
        What is asked for: ``/events``.
    params : mapping
        Parameters of the request.

    Raises
    ------
    docker.errors.DockerException, requests.exceptions.RequestException
        When the engine refuses or does not answer.
    """

    def __init__(self, connection: Connection, path: str, params: Mapping[str, Any]) -> None:
        import docker.errors
        import requests.exceptions

        api = connection.api
        self._closed = threading.Event()
        address = f"{api.base_url}/v{api.api_version}{path}"
        self._response = api.get(address, params=params, stream=True, timeout=_FIRST_ANSWER)
        try:
            self._response.raise_for_status()
        except requests.exceptions.HTTPError as problem:
            try:
                docker.errors.create_api_error_from_http_exception(problem)
            finally:
                self._response.close()
        with contextlib.suppress(docker.errors.DockerException):
            api._disable_socket_timeout(api._get_raw_response_socket(self._response))  # noqa: SLF001

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed.is_set()

    def pieces(self) -> Iterator[bytes]:
        """Give what comes, each piece at once; ends with the answer, or when the stream is closed."""
        try:
            yield from self._response.iter_content(chunk_size=None)
        except Exception:
            # Closing from another thread breaks the read; what it breaks with is not worth a look.
            if not self.closed:
                raise
        finally:
            self._response.close()

    def close(self) -> None:
        """End the stream; a thread that waits for its next piece is woken."""
        from docker.types import CancellableStream

        if not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(Exception):
                # It knows how to get at the socket below, of whatever kind, and shuts it down.
                CancellableStream(iter(()), self._response).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self._response.close()
