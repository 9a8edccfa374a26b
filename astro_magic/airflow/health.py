"""Whether the components of a running Airflow are healthy, as the API server or webserver tells without a login."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpx

from astro_magic.airflow.client import open_http

__all__ = ["ComponentHealth", "Health", "HealthReader", "read_health"]


@dataclass(frozen=True)
class ComponentHealth:
    """The health of one component.

    Attributes
    ----------
    status : str
        ``healthy``, ``unhealthy``, or empty where Airflow has none, as of a triggerer that never ran.
    heartbeat : datetime or None
        The latest heartbeat, in UTC. Airflow calls a dead component healthy until this is 30 s old, so after a
        restart it has to be compared with the time of the start.
    """

    status: str
    heartbeat: datetime | None = None

    def healthy_since(self, moment: datetime) -> bool:
        """Whether it is healthy, and by a heartbeat that is not older than a moment (with time zone)."""
        return self.status == "healthy" and self.heartbeat is not None and self.heartbeat >= moment


@dataclass(frozen=True)
class Health:
    """What Airflow says of its components.

    Attributes
    ----------
    components : Mapping of str to ComponentHealth
        By Airflow's names: ``metadatabase``, which has no heartbeat, ``scheduler``, ``triggerer`` and
        ``dag_processor``. The last is missing where it is no component of its own.
    """

    components: Mapping[str, ComponentHealth]


class HealthReader:
    """Reads the health again and again over one connection.

    Parameters
    ----------
    base_url : str
        Address of the API server, or of the webserver of Airflow 2.
    airflow_major : int, optional
        2 or 3.
    timeout : float, optional
        Seconds that one reading may take.
    """

    def __init__(self, base_url: str, *, airflow_major: int = 3, timeout: float = 2.0) -> None:
        self._http = open_http(base_url, timeout=timeout)
        self._path = "/api/v2/monitor/health" if airflow_major >= 3 else "/api/v1/health"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def read(self) -> Health | None:
        """Read the health in one request; gives None when Airflow does not answer, or not with a health."""
        try:
            response = self._http.get(self._path)
            parts: Mapping[str, Mapping[str, Any] | None] = response.json() if response.is_success else {}
            found = {name: _component(part) for name, part in parts.items() if part is not None}
        except (httpx.HTTPError, ValueError, AttributeError):
            # Something else may listen on the port: its answer is no JSON, or another.
            return None
        return Health(found) if "metadatabase" in found else None


def read_health(base_url: str, *, airflow_major: int = 3, timeout: float = 2.0) -> Health | None:
    """Read the health once; gives None when Airflow does not answer.

    Parameters
    ----------
    base_url : str
        Address of the API server, or of the webserver of Airflow 2.
    airflow_major : int, optional
        2 or 3.
    timeout : float, optional
        Seconds that it may take.
    """
    with HealthReader(base_url, airflow_major=airflow_major, timeout=timeout) as reader:
        return reader.read()


def _component(part: Mapping[str, Any]) -> ComponentHealth:
    heartbeat = next((value for key, value in part.items() if key.startswith("latest_") and value), None)
    return ComponentHealth(part.get("status") or "", None if heartbeat is None else _moment(heartbeat))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
