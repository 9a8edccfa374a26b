"""A client of Airflow's REST API, version 2 (Airflow 3)."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from astro_magic.errors import ApiError
from astro_magic.system.secrets import mask

__all__ = ["AirflowClient"]

_TIMEOUT = 30.0


class AirflowClient:
    """A session with one Airflow, logged in as one user.

    Parameters
    ----------
    base_url : str
        Address of the API server.
    username, password : str
        Who logs in. The password is sent to the server alone and shown nowhere.
    """

    def __init__(self, base_url: str, username: str, password: str) -> None:
        self._base_url = base_url
        self._login = {"username": username, "password": password}
        self._http = httpx.Client(base_url=base_url, timeout=_TIMEOUT, trust_env=False)
        self._token = ""

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

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Change a resource.

        Raises
        ------
        ApiError
            When the API refuses, or does not answer.
        """
        return self._request(method, path, json=body)

    def _request(self, method: str, path: str, *, missing_is_none: bool = False, **more: Any) -> Any:
        if not self._token:
            self._token = self._call("POST", "/auth/token", json=self._login).json()["access_token"]
        headers = {"Authorization": f"Bearer {self._token}"}
        response = self._call(method, f"/api/v2{path}", headers=headers, accept_missing=missing_is_none, **more)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        return response.json() if response.content else None

    def _call(self, method: str, url: str, *, accept_missing: bool = False, **more: Any) -> httpx.Response:
        try:
            response = self._http.request(method, url, **more)
        except httpx.HTTPError as problem:
            msg = f"Airflow's API at {self._base_url} does not answer ({type(problem).__name__})."
            raise ApiError(msg, hint="%astro_status shows what runs.") from problem
        if response.is_success or (accept_missing and response.status_code == httpx.codes.NOT_FOUND):
            return response
        msg = f"Airflow's API refused {method} {url} with status {response.status_code}."
        raise ApiError(msg, detail=mask(_reason(response), [self._login["password"], self._token]))


def _reason(response: httpx.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text
    return str(detail)[:1000]
