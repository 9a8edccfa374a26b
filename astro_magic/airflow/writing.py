"""Write connections, variables and pools by the REST API: many at once where it can, else one by one."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from astro_magic.airflow.client import AirflowClient, RefusedError
from astro_magic.airflow.comparison import is_masked
from astro_magic.airflow.unlimited import UNLIMITED, is_about_unlimited
from astro_magic.system.known import mask

__all__ = [
    "DEFAULT_POOL",
    "RESOURCES",
    "KindName",
    "Resource",
    "Write",
    "object_path",
    "remove",
    "texts_in",
    "write",
]

KindName = Literal["connection", "variable", "pool"]

#: The pool that Airflow makes itself; only its slots can be changed.
DEFAULT_POOL = "default_pool"
#: Airflow 2 spends most of a request on checking the password, in one process per worker.
_THREADS = 4
#: With 1.0 MB as the limit, it fails on what begins within the last 64 KB of that.
_LARGEST_2 = 983_040
_CONN_ID_2 = re.compile(r"[A-Za-z0-9_.-]+")
_MANY = 4
#: Airflow 3 prepares the hiding of all passwords it knows anew for each connection that is made with one: the time
#: grows with the square of their number, and is half a second here.
_MANY_PASSWORDS = 200


@dataclass(frozen=True)
class Resource:
    """Where the API has the objects of one kind.

    Attributes
    ----------
    path : str
        Of their listing.
    listing : str
        The field of the listing that holds them.
    id : str
        The field that names one.
    fields : tuple of str
        All other fields.
    """

    path: str
    listing: str
    id: str
    fields: tuple[str, ...]


RESOURCES: Mapping[KindName, Resource] = {
    "connection": Resource(
        "/connections",
        "connections",
        "connection_id",
        ("conn_type", "host", "schema", "login", "password", "port", "extra", "description", "team_name"),
    ),
    "variable": Resource("/variables", "variables", "key", ("value", "description", "team_name")),
    "pool": Resource("/pools", "pools", "name", ("slots", "include_deferred", "description", "team_name")),
}


@dataclass(frozen=True)
class Write:
    """What is to be written of one object.

    Attributes
    ----------
    kind, name : str
        Which object.
    change : Mapping of str to Any
        By field: the new value; None empties it.
    seen : Mapping of str to Any or None
        The object as the API tells it; None when it is not there.
    """

    kind: KindName
    name: str
    change: Mapping[str, Any] = field(repr=False)
    seen: Mapping[str, Any] | None = field(repr=False)

    @property
    def whole(self) -> dict[str, Any]:
        """The object with the change, as far as it can be seen."""
        seen = {name: value for name, value in (self.seen or {}).items() if not is_masked(value)}
        return {RESOURCES[self.kind].id: self.name, **seen, **self.change}

    @property
    def partly_unseen(self) -> bool:
        """Whether it has fields that stay, and cannot be seen."""
        fields = (self.seen or {}).items()
        return any(is_masked(value) and name not in self.change for name, value in fields)

    @property
    def takes_password_away(self) -> bool:
        """Whether a connection is to lose its password, which Airflow does not do to one that is there."""
        return (self.seen is not None and "password" in self.change and not self.change["password"]) and self.seen.get(
            "password", True
        ) is not None

    @property
    def secrets(self) -> Iterator[str]:
        """The texts that no message may hold: a secret may stand in the wrong field."""
        for value in self.change.values():
            yield from texts_in(value)


def write(client: AirflowClient, writes: Sequence[Write]) -> dict[str, str]:
    """Write objects of one kind; each is tried.

    Parameters
    ----------
    client : AirflowClient
        The running Airflow.
    writes : sequence of Write
        The objects, each once.

    Returns
    -------
    dict of str to str
        By name: why it could not be written. It holds no value of the object.

    Raises
    ------
    ApiError
        When Airflow does not answer.
    """
    refused: dict[str, str] = {}
    single = list(writes)
    if client.airflow_major >= 3:
        many = [item for item in writes if not (item.name == DEFAULT_POOL or item.partly_unseen)]
        many = [item for item in many if not item.takes_password_away]
        refused, rest = _write_many(client, many)
        single = [item for item in writes if item not in many] + rest
    if len(single) > _MANY:
        client.prepare_for_many()
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="astro-magic-objects") as threads:
        for item, why in zip(single, threads.map(lambda one: _write_one(client, one), single), strict=True):
            if why:
                refused[item.name] = why
    return refused


def remove(client: AirflowClient, kind: KindName, names: Sequence[str]) -> dict[str, str]:
    """Remove objects of one kind; each is tried, and one that is not there is as it should be.

    Parameters
    ----------
    client : AirflowClient
        The running Airflow.
    kind : {"connection", "pool", "variable"}
        Their kind.
    names : sequence of str
        Their ids.

    Returns
    -------
    dict of str to str
        By name: why it could not be removed.

    Raises
    ------
    ApiError
        When Airflow does not answer.
    """
    left = list(names)
    if client.airflow_major >= 3 and DEFAULT_POOL not in left:
        action = {"action": "delete", "action_on_non_existence": "skip", "entities": left}
        with contextlib.suppress(RefusedError):
            answer = client.send("PATCH", RESOURCES[kind].path, {"actions": [action]})
            if not _part(client, answer, kind, "delete", "errors"):
                return {}
    if len(left) > _MANY:
        client.prepare_for_many()
    refused = {}
    for name in left:
        try:
            client.send("DELETE", object_path(kind, name))
        except RefusedError as refusal:
            limit = _limit_of_airflow_2(kind, name) if client.airflow_major < 3 else ""
            if limit or refusal.status != 404:
                refused[name] = limit or refusal.detail or refusal.message
    return refused


def _write_many(client: AirflowClient, writes: Sequence[Write]) -> tuple[dict[str, str], list[Write]]:
    """Write objects in one request; gives what was refused and why, and what has to be written one by one."""
    refused: dict[str, str] = {}
    left = list(writes)
    while left:
        _make_without_passwords(client, left)
        entities = [item.whole for item in left]
        action = {"action": "create", "action_on_existence": "overwrite", "entities": entities}
        try:
            answer = client.send("PATCH", RESOURCES[left[0].kind].path, {"actions": [action]})
        except RefusedError as refusal:
            bad = _bad(refusal, left)
            if not bad:
                return refused, left
            # One that is wrong keeps the others from being written, so these are sent again.
            refused.update({left[index].name: why for index, why in bad.items()})
            left = [item for index, item in enumerate(left) if index not in bad]
        else:
            written = set(_part(client, answer, left[0].kind, "create", "success"))
            return refused, [item for item in left if item.name not in written]
    return refused, []


def _make_without_passwords(client: AirflowClient, writes: Sequence[Write]) -> None:
    """Make many new connections before their passwords are written: that takes Airflow a tenth of the time.

    What it refuses here, it refuses again when all is written.
    """
    made = [item for item in writes if item.kind == "connection" and item.seen is None and item.change.get("password")]
    if len(made) > _MANY_PASSWORDS:
        entities = [{name: value for name, value in item.whole.items() if name != "password"} for item in made]
        action = {"action": "create", "action_on_existence": "skip", "entities": entities}
        with contextlib.suppress(RefusedError):
            client.send("PATCH", RESOURCES["connection"].path, {"actions": [action]})


def _part(client: AirflowClient, answer: Any, kind: KindName, action: str, name: str) -> list[Any]:
    """Give a list out of the answer to a request with actions."""
    try:
        return list(answer[action][name])
    except (KeyError, TypeError):
        raise client.misunderstood("PATCH", RESOURCES[kind].path) from None


def _bad(refusal: RefusedError, writes: Sequence[Write]) -> dict[int, str]:
    """Tell by position which objects a refusal is about, and why."""
    found: dict[int, list[str]] = {}
    for place, reason in refusal.problems:
        if "entities" not in place:
            continue
        index, *rest = place[place.index("entities") + 1 :]
        if isinstance(index, int) and index < len(writes):
            found.setdefault(index, []).append(": ".join([".".join(map(str, rest)), reason] if rest else [reason]))
    return {index: mask("; ".join(reasons), writes[index].secrets) for index, reasons in found.items()}


def _write_one(client: AirflowClient, item: Write) -> str:
    """Write one object; gives why it was refused, or nothing."""
    try:
        if item.takes_password_away:
            return _make_again(client, item)
        if item.seen is None:
            _create(client, item)
        else:
            _update(client, item)
    except RefusedError as refusal:
        if item.kind == "pool" and item.change.get("slots") == UNLIMITED and is_about_unlimited(refusal):
            return ""
        if client.airflow_major < 3 and (why := _limit_of_airflow_2(item.kind, item.name) or _too_large(item)):
            return why
        return mask(refusal.detail or refusal.message, item.secrets)
    return ""


def _create(client: AirflowClient, item: Write) -> None:
    body = {name: value for name, value in item.whole.items() if value is not None}
    try:
        client.send("POST", RESOURCES[item.kind].path, body)
    except RefusedError as refusal:
        if refusal.status != 409:
            raise
        # Someone else made it since the listing was read.
        _update(client, item)


def _update(client: AirflowClient, item: Write) -> None:
    body = {name: value for name, value in item.whole.items() if value is not None or name in item.change}
    params = {"update_mask": list(item.change)}
    if item.name == DEFAULT_POOL:
        body.pop("description", None)
    if client.airflow_major < 3:
        # Version 1 changes what the body has. Only for its own pool it asks for the fields, which it reads from one
        # text; and it knows no empty description.
        params = {"update_mask": [",".join(item.change)]} if item.name == DEFAULT_POOL else {}
        body = {name: "" if name == "description" and value is None else value for name, value in body.items()}
    client.send("PATCH", object_path(item.kind, item.name), body, params=params)


def _make_again(client: AirflowClient, item: Write) -> str:
    """Remove a connection and make it without its password; gives why that cannot be done, or nothing."""
    there = client.get(object_path(item.kind, item.name)) or {}
    seen = {name: there[name] for name in RESOURCES[item.kind].fields if name in there and name != "password"}
    whole = Write(item.kind, item.name, item.change, seen)
    if whole.partly_unseen:
        return "Airflow takes no password away, and hides the extra that would be lost: set one of both in its UI."
    client.send("DELETE", object_path(item.kind, item.name))
    _create(client, whole)
    return ""


def _limit_of_airflow_2(kind: KindName, name: str) -> str:
    """Say why Airflow 2's API does not take a name, of which it says only a status; empty when it does."""
    if kind == "connection" and not _CONN_ID_2.fullmatch(name):
        return "The API of Airflow 2 takes only ids of letters from A to Z, digits and signs of _ - ."
    if kind == "variable" and "\n" in name:
        return "The API of Airflow 2 finds no variable whose name has a line break."
    if kind != "connection" and "//" in f"/{name}":
        return f"The API of Airflow 2 finds no {kind} whose name has a / at its beginning or two in a row."
    if kind == "pool" and "/" in name:
        return "The API of Airflow 2 makes pools with a / in their names, but does not change or remove them."
    return ""


def _too_large(item: Write) -> str:
    """Say that Airflow 2 takes no request as large as this; empty when it is not that large."""
    if len(json.dumps(item.whole)) <= _LARGEST_2:
        return ""
    return "The API of Airflow 2 takes at most 960 KB at once: allowed_payload_size of its [webserver] says how much."


def object_path(kind: KindName, name: str) -> str:
    """Give the path of one object."""
    # A path of dots alone is taken for a folder, and never sent as it is.
    part = name.replace(".", "%2E") if name in {".", ".."} else quote(name, safe="")
    return f"{RESOURCES[kind].path}/{part}"


def texts_in(value: object) -> Iterator[str]:
    """Give a value and the texts in it, when it is JSON."""
    if isinstance(value, str):
        yield value
        try:
            value = json.loads(value) if value[:1] in {"{", "["} else None
        except (ValueError, RecursionError):
            return
    inner: Iterable[object] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in inner:
        yield from texts_in(part)
