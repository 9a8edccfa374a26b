"""Ask Airflow itself about connections, variables and pools: what is stored, what counts, and what can be reached.

The REST API hides secrets, knows nothing of the environment and of secrets backends, and is only there while Airflow
runs. So these are scripts that run where Airflow is imported, with its configuration, its keys and its packages. What
they are asked and what they answer passes through `Engine.call` alone; it stands in no argument list, environment,
file, log or event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from astro_magic.airflow.objects import AirflowObject
from astro_magic.airflow.writing import KindName
from astro_magic.engines.engine import Engine
from astro_magic.errors import EngineError
from astro_magic.objects.inside import connecting, objects
from astro_magic.system.events import Event, Operation, Step
from astro_magic.system.secrets import mask_url_credentials

__all__ = [
    "ConnectionTest",
    "Origin",
    "Origins",
    "StoredObjects",
    "connection_types",
    "look_up",
    "read_database",
    "try_connection",
]


@dataclass(frozen=True)
class StoredObjects:
    """What the metadata database holds.

    Attributes
    ----------
    objects : tuple of AirflowObject
        By kind and name, with all values as they are, secrets too. A value that cannot be decrypted is left out.
    problems : Mapping of str to tuple of str
        By `AirflowObject.key`: what is wrong with an object, a sentence each, without any value.
    """

    objects: tuple[AirflowObject, ...]
    problems: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ConnectionTest:
    """What a test of a connection found out.

    Attributes
    ----------
    outcome : {"passed", "failed", "unknown"}
        ``unknown`` when there is no such connection, or nothing to test it with.
    message : str
        What was found, a few lines at most, without any secret of the connection: the words of its provider, or a
        sentence.
    how : {"provider", "tcp", ""}
        By the provider's own test, or by connecting to host and port, which tries no login; empty when neither was
        done.
    source : str
        Where the connection came from: ``values``, or as `Origin.source`.
    """

    outcome: Literal["passed", "failed", "unknown"]
    message: str
    how: Literal["provider", "tcp", ""]
    source: str


@dataclass(frozen=True)
class Origin:
    """Where Airflow gets an object from.

    Attributes
    ----------
    source : str
        The path of the class of a secrets backend, ``environment`` or ``database``; empty when it is nowhere.
    values : Mapping of str to Any, or None
        By the fields of `AirflowObject`, with all secrets, where a secrets backend has it; else None.
    problems : tuple of str
        What went wrong on the way, such as a backend that failed for this one, without any value.
    """

    source: str
    values: Mapping[str, Any] | None = field(default=None, repr=False)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origins:
    """Where Airflow gets objects of one kind from.

    Attributes
    ----------
    by_name : Mapping of str to Origin
        What was asked for, and what a `LocalFilesystemBackend` defines beside it.
    problems : tuple of str
        Places that could not be asked at all, a sentence each, without any value.
    """

    by_name: Mapping[str, Origin]
    problems: tuple[str, ...] = ()


def read_database(
    engine: Engine, kinds: Iterable[KindName] = ("connection", "variable", "pool")
) -> Operation[StoredObjects]:
    """Read the objects in the metadata database, with their secrets.

    Parameters
    ----------
    engine : Engine
        Where Airflow is. On an engine whose database is a server, that has to run.
    kinds : iterable of str, optional
        Only these.

    Returns
    -------
    StoredObjects
        With the fields of the REST API: an ``extra`` as the text that is stored, and a ``team_name`` where this Airflow
        has teams (``Connection.team_name``, from 3.1).

    Raises
    ------
    EngineError
        When the database does not answer, or Airflow fails otherwise.
    """
    told = yield from _ask(engine, Path(objects.__file__), {"ask": "read", "kinds": list(kinds)})
    if "unreachable" in told:
        why = mask_url_credentials(told["unreachable"])
        msg = f"Airflow's database does not answer: {why}."
        raise EngineError(msg, hint="%astro_start starts it; %astro_status shows what runs.")
    found = [(AirflowObject(each["kind"], each["name"], _frozen(each["values"])), each) for each in told["objects"]]
    return StoredObjects(
        tuple(item for item, _ in found),
        MappingProxyType({item.key: tuple(each["problems"]) for item, each in found if each["problems"]}),
    )


def try_connection(
    engine: Engine, *, name: str | None = None, values: Mapping[str, Any] | None = None, timeout: float = 30.0
) -> Operation[ConnectionTest]:
    """Test a connection from where Airflow runs.

    Where the hook of its type has a test (``Connection.test_connection`` of Airflow), that is run. Else its host and
    port are connected to, for 5 seconds at most.

    Parameters
    ----------
    engine : Engine
        Where Airflow is; it need not be running.
    name : str, optional
        A connection that Airflow finds by this name, in a secrets backend, its environment or its database.
    values : Mapping of str to Any, optional
        A connection by the fields of `AirflowObject`; it is stored nowhere. Either this or `name` is given.
    timeout : float, optional
        After how many seconds the provider's test is given up; and a look-up of `name`, before.

    Raises
    ------
    ValueError
        When both or neither is given.
    EngineError
        When Airflow fails otherwise than by the test.
    """
    if (name is None) == (values is None):
        raise ValueError("Give either the name or the values of a connection.")
    request = {"name": name, "values": dict(values) if values is not None else None, "timeout": timeout}
    told = yield from _ask(engine, Path(connecting.__file__), request)
    return ConnectionTest(told["outcome"], mask_url_credentials(told["message"]), told["how"], told["source"])


def look_up(engine: Engine, kind: KindName, names: Iterable[str], *, timeout: float = 30.0) -> Operation[Origins]:
    """Tell where Airflow gets each object from: the first of a secrets backend, the environment, and the database.

    Where ``[workers] secrets_backend`` is set, as Airflow 3 can have it, it is told what a task gets: that backend and
    the environment are asked first. Pools are nowhere but in the database.

    Parameters
    ----------
    engine : Engine
        Where Airflow is. Where the database does not answer, that is one of the problems.
    kind : {"connection", "pool", "variable"}
        Their kind.
    names : iterable of str
        Their ids. A backend is asked for one after the other.
    timeout : float, optional
        After how many seconds a backend is asked no more.

    Raises
    ------
    EngineError
        When Airflow fails.
    """
    request = {"ask": "look up", "kind": kind, "names": list(names), "timeout": timeout}
    told = yield from _ask(engine, Path(objects.__file__), request)
    by_name = {
        name: Origin(
            origin["source"],
            _frozen(origin["values"]) if origin.get("values") is not None else None,
            tuple(origin["problems"]),
        )
        for name, origin in told["origins"].items()
    }
    return Origins(MappingProxyType(by_name), tuple(mask_url_credentials(each) for each in told["problems"]))


def connection_types(engine: Engine) -> Operation[tuple[str, ...]]:
    """Name the types of connections that the installed providers and Airflow itself know (``ProvidersManager.hooks``).

    Raises
    ------
    EngineError
        When Airflow fails.
    """
    told = yield from _ask(engine, Path(objects.__file__), {"ask": "types"})
    return tuple(told["types"])


def _ask(engine: Engine, script: Path, request: Mapping[str, Any]) -> Operation[dict[str, Any]]:
    """Run a script, which reports nothing on its way."""
    told = yield from engine.call(script, request, stage="core", event=_no_event)
    if "failure" in told:
        raise EngineError("Airflow could not tell what it was asked for.", detail=told["failure"])
    return told


def _no_event(_: dict[str, Any]) -> Event:
    return Step("objects", "objects")


def _frozen(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(values))
