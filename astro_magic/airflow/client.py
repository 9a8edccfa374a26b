"""A client of Airflow's REST API: version 2 (Airflow 3) and version 1 (Airflow 2)."""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from astro_magic.errors import ApiError
from astro_magic.system.known import mask

__all__ = ["AirflowClient", "LateError", "RefusedError", "open_http"]

_TIMEOUT = 30.0
#: Seconds before each further try while a server restarts; 1.5 s in all.
_PAUSES = (0.1, 0.2, 0.4, 0.8)
#: Airflow cuts a page to its own maximum (``maximum_page_limit``), so this may give fewer.
_PAGE = 1000
_CSRF = re.compile(r'name="csrf_token"[^>]*value="(?P<token>[^"]+)"')


class LateError(ApiError):
    """The API is there, and has not answered in time."""


class RefusedError(ApiError):
    """The API answered, and refused.

    Attributes
    ----------
    status : int
        The HTTP status.
    problems : tuple of (tuple of (str or int), str)
        What is wrong with which part of the body, where the API says that: the path to the part, and the reason.
    """

    def __init__(self, message: str, *, status: int, reason: str, problems: tuple[_Problem, ...] = ()) -> None:
        super().__init__(message, detail=reason or None)
        self.status = status
        self.problems = problems


_Problem = tuple[tuple[str | int, ...], str]


class AirflowClient:
    """A session with one Airflow, logged in as one user. It can be used from several threads.

    While the server restarts, a request that was not taken (connection refused) is sent again, and one that only
    reads also when the connection broke; for 1.5 s at most.

    Parameters
    ----------
    base_url : str
        Address of the API server, or of the webserver of Airflow 2.
    username, password : str
        Who logs in. The password is sent to the server alone and shown nowhere.
    airflow_major : int, optional
        3, whose API is version 2 and wants a token, or 2, whose API is version 1 and takes the password itself.
    timeout : float, optional
        Seconds that one request may take.
    """

    def __init__(
        self, base_url: str, username: str, password: str, *, airflow_major: int = 3, timeout: float = _TIMEOUT
    ) -> None:
        self.airflow_major = airflow_major
        self._base_url = base_url
        self._login = {"username": username, "password": password}
        self._root = "/api/v2" if airflow_major >= 3 else "/api/v1"
        self._http = open_http(base_url, timeout=timeout)
        # Airflow 2 gives logs as text to who takes anything.
        self._http.headers["Accept"] = "application/json"
        self._token = ""
        self._session = False
        self._login_lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, *, params: Mapping[str, Any] | None = None) -> Any:
        """Read a resource; gives None when there is none.

        Raises
        ------
        ApiError
            When the API refuses, or does not answer.
        """
        return self._request("GET", path, params=params, missing_is_none=True)

    def rows(self, path: str, key: str, *, params: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Read a whole listing, page by page.

        Parameters
        ----------
        path : str
            The listing.
        key : str
            The field of the answer that holds the rows.
        params : mapping, optional
            Further parameters of the query.

        Yields
        ------
        dict
            A row.

        Raises
        ------
        ApiError
            When the API refuses, has no such listing, or does not answer.
        """
        offset = 0
        while True:
            page = self._request("GET", path, params={**(params or {}), "limit": _PAGE, "offset": offset})
            try:
                rows, total = list(page[key]), int(page["total_entries"])
            except (KeyError, TypeError, ValueError):
                raise self.misunderstood("GET", path) from None
            if not all(isinstance(row, dict) for row in rows):
                raise self.misunderstood("GET", path)
            yield from rows
            offset += len(rows)
            if not rows or offset >= total:
                return

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, params: Mapping[str, Any] | None = None
    ) -> Any:
        """Change a resource.

        Raises
        ------
        ApiError
            When the API refuses (`RefusedError`), or does not answer.
        """
        return self._request(method, path, json=body, params=params)

    def misunderstood(self, method: str, path: str) -> ApiError:
        """Make the error about an answer that is none of Airflow's API."""
        msg = f"{self._base_url} gave an answer to {method} {self._root}{path} that is none of Airflow's API."
        return ApiError(msg, hint="%astro_status shows what runs.")

    def prepare_for_many(self) -> None:
        """Make many requests to Airflow 2 cheap, which else checks the password in each, for 100 to 200 ms.

        That takes one login by the form of its UI, and ``airflow.api.auth.backend.session`` among its
        ``AUTH_BACKENDS``. Where there is no such form or backend, everything stays as it was.
        """
        if self.airflow_major >= 3 or self._session:
            return
        with contextlib.suppress(httpx.HTTPError):
            form = _CSRF.search(self._http.get("/login/").text)
            if form:
                self._http.post("/login/", data={**self._login, "csrf_token": form["token"]})
                alone = self._http.get(f"{self._root}/variables", params={"limit": 1})
                self._session = alone.status_code not in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}

    def _request(self, method: str, path: str, *, missing_is_none: bool = False, **more: Any) -> Any:
        try:
            response = self._call(method, f"{self._root}{path}", accept_missing=missing_is_none, **more, **self._auth())
        except RefusedError as refusal:
            if refusal.status != httpx.codes.UNAUTHORIZED or not (self._token or self._session):
                raise
            # A token or a session ends with its time, or with the server that made it.
            self._session = False
            response = self._call(
                method, f"{self._root}{path}", accept_missing=missing_is_none, **more, **self._auth(stale=self._token)
            )
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        try:
            return response.json() if response.content else None
        except ValueError:
            raise self.misunderstood(method, path) from None

    def _auth(self, *, stale: str = "") -> dict[str, Any]:
        """Give what identifies the user in a request; a stale token is not used again."""
        if self._session:
            # With a password beside it, that would be checked all the same.
            return {}
        if self.airflow_major < 3:
            # As bytes, since the names and passwords of Airflow 2 are UTF-8 and httpx takes text for Latin-1 or UTF-8.
            return {"auth": tuple(part.encode() for part in self._login.values())}
        with self._login_lock:
            if self._token == stale:
                answer = self._call("POST", "/auth/token", json=self._login)
                try:
                    self._token = str(answer.json()["access_token"])
                except (ValueError, KeyError, TypeError):
                    msg = f"{self._base_url} gave no token for the login, as Airflow's API does."
                    raise ApiError(msg, hint="%astro_status shows what runs.") from None
            return {"headers": {"Authorization": f"Bearer {self._token}"}}

    def _call(self, method: str, url: str, *, accept_missing: bool = False, **more: Any) -> httpx.Response:
        try:
            response = self._attempt(method, url, **more)
        except httpx.HTTPError as problem:
            msg = f"Airflow's API at {self._base_url} does not answer ({type(problem).__name__})."
            kind = LateError if isinstance(problem, httpx.ReadTimeout) else ApiError
            raise kind(msg, hint="%astro_status shows what runs.") from problem
        if response.is_success or (accept_missing and response.status_code == httpx.codes.NOT_FOUND):
            return response
        problems = _problems(response)
        secrets = [self._login["password"], self._token]
        raise RefusedError(
            f"Airflow's API refused {method} {url} with status {response.status_code}.",
            status=response.status_code,
            reason=mask(_reason(response, problems), secrets),
            problems=problems,
        )

    def _attempt(self, method: str, url: str, **more: Any) -> httpx.Response:
        again: tuple[type[httpx.HTTPError], ...] = (httpx.ConnectError,)
        if method == "GET":
            again = (httpx.NetworkError, httpx.RemoteProtocolError)
        for pause in _PAUSES:
            try:
                return self._http.request(method, url, **more)
            except again:
                time.sleep(pause)
        return self._http.request(method, url, **more)


def open_http(base_url: str, *, timeout: float) -> httpx.Client:
    """Open a connection pool to a server of this machine; proxies of the environment have no part in it.

    Parameters
    ----------
    base_url : str
        Address of the server.
    timeout : float
        Seconds that one request may take.
    """
    verify = True if base_url.startswith("https:") else _no_certificates()
    return httpx.Client(base_url=base_url, timeout=timeout, trust_env=False, verify=verify)


@functools.cache
def _no_certificates() -> ssl.SSLContext:
    """Make a context that trusts nobody: reading all certificates takes longer than a request without TLS."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _problems(response: httpx.Response) -> tuple[_Problem, ...]:
    """Read what version 2 says of a body; its ``input`` is left out, since that may be a password."""
    try:
        detail = response.json()["detail"]
        # Each is told twice when a body is checked against the kinds of actions.
        return tuple(dict.fromkeys((tuple(part["loc"]), str(part["msg"])) for part in detail))
    except (ValueError, KeyError, TypeError):
        return ()


def _reason(response: httpx.Response, problems: tuple[_Problem, ...]) -> str:
    if problems:
        return "; ".join(f"{'.'.join(map(str, place[1:]))}: {reason}" for place, reason in problems)
    try:
        answer = response.json()
        reason = answer["detail"] or answer["title"]
    except (ValueError, KeyError, TypeError):
        # A page for people says no more than the status.
        reason = "" if response.text.lstrip().startswith("<") else response.text
    # What follows the first line quotes the body.
    return str(reason).strip().partition("\n")[0][:2000]
