"""Services of a Compose file brought into the long syntax, key by key, and checked on the way."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from astro_magic.engines.docker.services.mounts import device, port, volume
from astro_magic.engines.docker.services.plain import (
    Place,
    RefusedError,
    boolean,
    choice,
    decimal,
    duration,
    integer,
    listing,
    mapping,
    size,
    text,
    texts,
)

__all__ = ["WITHOUT_EFFECT", "normal_network", "normal_service", "normal_volume"]

_Normaliser: TypeAlias = Callable[[Any, Place], Any]


def _words(value: Any, at: Place) -> list[str]:
    """Read a command: a list, or a line that is split as a shell does."""
    if not isinstance(value, str):
        return texts(value, at)
    try:
        return shlex.split(value)
    except ValueError as problem:
        raise RefusedError(at, "has a quote that is not closed", "Close the quote, or write a list.") from problem


def _one_or_more(value: Any, at: Place) -> list[str]:
    return [text(value, at)] if isinstance(value, str | int) else texts(value, at)


def _pairs(value: Any, at: Place, *, separator: str = "=") -> dict[str, str | None]:
    """Read ``KEY=VALUE`` lists and mappings alike; a key without a value gives None."""
    if isinstance(value, Mapping):
        return {key: None if item is None else text(item, (*at, key)) for key, item in value.items()}
    found: dict[str, str | None] = {}
    for number, item in enumerate(listing(value, at)):
        key, equals, behind = text(item, (*at, number)).partition(separator)
        found[key.strip()] = behind if equals else None
    return found


def _labels(value: Any, at: Place) -> dict[str, str]:
    return {key: item or "" for key, item in _pairs(value, at).items()}


def _extra_hosts(value: Any, at: Place) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}:{address}" for name, given in value.items() for address in _one_or_more(given, (*at, name))]
    return [re.sub(r"^([^:=]+)=", r"\1:", line) for line in texts(value, at)]


def _depends_on(value: Any, at: Place) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping):
        return {name: {"condition": "service_started"} for name in texts(value, at)}
    known: dict[str, _Normaliser] = {
        "condition": choice("service_started", "service_healthy", "service_completed_successfully"),
        "restart": boolean,
        "required": boolean,
    }
    found = {name: _known(item, (*at, name), known, "a dependency") for name, item in value.items()}
    return {name: {"condition": "service_started", **item} for name, item in found.items()}


def _networks(value: Any, at: Place) -> dict[str, dict[str, Any]]:
    if not isinstance(value, Mapping):
        return {name: {} for name in texts(value, at)}
    known: dict[str, _Normaliser] = {
        "aliases": texts,
        "ipv4_address": text,
        "ipv6_address": text,
        "priority": integer,
        "driver_opts": _labels,
    }
    return {name: _known(item or {}, (*at, name), known, "a network of a service") for name, item in value.items()}


def _test(value: Any, at: Place) -> list[str]:
    if isinstance(value, str):
        return ["CMD-SHELL", value]
    found = texts(value, at)
    if found[:1] not in (["NONE"], ["CMD"], ["CMD-SHELL"]):
        raise RefusedError(at, "does not begin with NONE, CMD or CMD-SHELL", 'Write ["CMD", "command", "argument"].')
    return found


def _healthcheck(value: Any, at: Place) -> dict[str, Any]:
    known: dict[str, _Normaliser] = {
        "test": _test,
        "interval": duration,
        "timeout": duration,
        "start_period": duration,
        "start_interval": duration,
        "retries": integer,
        "disable": boolean,
    }
    return _known(value, at, known, "a health check")


def _ulimits(value: Any, at: Place) -> dict[str, dict[str, int]]:
    found = {}
    for name, limit in mapping(value, at).items():
        if isinstance(limit, Mapping):
            both = _known(limit, (*at, name), {"soft": integer, "hard": integer}, "a limit")
            if len(both) < 2:
                raise RefusedError((*at, name), "names only one of soft and hard", "Give both.")
            found[name] = both
        else:
            found[name] = dict.fromkeys(("soft", "hard"), integer(limit, (*at, name)))
    return found


def _logging(value: Any, at: Place) -> dict[str, Any]:
    return _known(value, at, {"driver": text, "options": _labels}, "the logging")


def _deploy(value: Any, at: Place) -> dict[str, Any]:
    def one(value: Any, at: Place) -> int:
        if integer(value, at) != 1:
            raise RefusedError(at, "asks for several containers of one service", "Only one is run; remove it.")
        return 1

    def resources(value: Any, at: Place) -> dict[str, Any]:
        limits: dict[str, _Normaliser] = {"cpus": decimal, "memory": size, "pids": integer}
        known: dict[str, _Normaliser] = {
            "limits": lambda value, at: _known(value, at, limits, "the limits"),
            "reservations": lambda value, at: _known(
                value, at, {"memory": size}, "the reservations", refused=("cpus", "devices", "generic_resources")
            ),
        }
        return _known(value, at, known, "the resources")

    swarm = ("endpoint_mode", "labels", "mode", "placement", "restart_policy", "rollback_config", "update_config")
    return _known(value, at, {"resources": resources, "replicas": one}, "the deployment", refused=swarm)


def _one_container(value: Any, at: Place) -> int:
    return int(_deploy({"replicas": value}, at)["replicas"])


def _restart(value: Any, at: Place) -> str:
    # YAML 1.1 takes a bare no for false.
    given = "no" if value is False else text(value, at)
    if not re.fullmatch(r"no|always|unless-stopped|on-failure(:\d+)?", given):
        raise RefusedError(at, "is none of no, always, on-failure and unless-stopped", "Write one of these.")
    return given


def _env_files(value: Any, at: Place) -> list[dict[str, Any]]:
    known: dict[str, _Normaliser] = {"path": text, "required": boolean, "format": choice("raw")}
    found = []
    for number, item in enumerate(listing([value] if isinstance(value, str) else value, at)):
        place = (*at, number)
        entry = _known(item, place, known, "an env_file") if isinstance(item, Mapping) else {"path": text(item, place)}
        if "path" not in entry:
            raise RefusedError(place, "names no path", "Add path: FILE.")
        found.append({"required": True, **entry})
    return found


def _network_mode(value: Any, at: Place) -> str:
    given = text(value, at)
    if not re.fullmatch(r"bridge|host|none|(service|container):.+", given):
        raise RefusedError(at, "is none of bridge, host, none, service:NAME and container:NAME", "Write one of these.")
    return given


def _sequence_of(each: Callable[[Any, Place], Iterable[dict[str, Any]]]) -> _Normaliser:
    def read(value: Any, at: Place) -> list[dict[str, Any]]:
        items = listing(value, at)
        return [entry for number, item in enumerate(items) for entry in each(item, (*at, number))]

    return read


_SERVICE: dict[str, _Normaliser] = {
    "cap_add": texts,
    "cap_drop": texts,
    "cgroup_parent": text,
    "command": _words,
    "container_name": text,
    "cpu_period": integer,
    "cpu_quota": integer,
    "cpu_shares": integer,
    "cpus": decimal,
    "cpuset": text,
    "depends_on": _depends_on,
    "deploy": _deploy,
    "device_cgroup_rules": texts,
    "devices": _sequence_of(device),
    "dns": _one_or_more,
    "dns_opt": texts,
    "dns_search": _one_or_more,
    "domainname": text,
    "entrypoint": _words,
    "env_file": _env_files,
    "environment": _pairs,
    "expose": texts,
    "extra_hosts": _extra_hosts,
    "group_add": texts,
    "healthcheck": _healthcheck,
    "hostname": text,
    "image": text,
    "init": boolean,
    "ipc": text,
    "labels": _labels,
    "logging": _logging,
    "mem_limit": size,
    "mem_reservation": size,
    "mem_swappiness": integer,
    "memswap_limit": size,
    "network_mode": _network_mode,
    "networks": _networks,
    "oom_kill_disable": boolean,
    "oom_score_adj": integer,
    "pid": text,
    "pids_limit": integer,
    "platform": text,
    "ports": _sequence_of(port),
    "privileged": boolean,
    "profiles": texts,
    "read_only": boolean,
    "restart": _restart,
    "runtime": text,
    "scale": _one_container,
    "security_opt": texts,
    "shm_size": size,
    "stdin_open": boolean,
    "stop_grace_period": duration,
    "stop_signal": text,
    "storage_opt": _labels,
    "sysctls": _labels,
    "tmpfs": _one_or_more,
    "tty": boolean,
    "ulimits": _ulimits,
    "user": text,
    "userns_mode": text,
    "uts": text,
    "volumes": _sequence_of(volume),
    "working_dir": text,
}
#: What Compose knows and this engine does not do. To pass over it would run another service than the one described.
_NOT_DONE = (
    *("annotations", "blkio_config", "cgroup", "configs", "cpu_count", "cpu_percent", "cpu_rt_period"),
    *("cpu_rt_runtime", "credential_spec", "extends", "external_links", "gpus", "isolation", "label_file", "links"),
    *("mac_address", "models", "post_start", "pre_stop", "provider", "secrets", "use_api_socket", "volumes_from"),
)
#: What speaks to the docker compose command only, not to what runs.
WITHOUT_EFFECT = ("attach", "build", "develop", "pull_policy")


def normal_service(value: Any, at: Place) -> dict[str, Any]:
    """Bring a service, or a part of one, into the long syntax.

    Parameters
    ----------
    value : object
        What the file says, with variables put in.
    at : tuple
        Where it stands: the keys and positions that lead to it.

    Raises
    ------
    RefusedError
        When a key is unknown or not supported, or a value is not what it has to be.
    """
    known: dict[str, _Normaliser] = {**_SERVICE, **dict.fromkeys(WITHOUT_EFFECT, lambda value, _: value)}
    service = mapping(value, at)
    if "build" in service and "image" not in service:
        raise RefusedError(
            (*at, "build"), "asks for an image to be built", "Build it, and name it with image: NAME beside."
        )
    return _known(service, at, known, "a service", refused=_NOT_DONE)


def normal_network(value: Any, at: Place) -> dict[str, Any]:
    """Bring the declaration of a network into the long syntax; as `normal_service`."""

    def ipam(value: Any, at: Place) -> dict[str, Any]:
        pool: dict[str, _Normaliser] = {"subnet": text, "ip_range": text, "gateway": text, "aux_addresses": _labels}
        known: dict[str, _Normaliser] = {
            "driver": text,
            "options": _labels,
            "config": _sequence_of(lambda value, at: [_known(value, at, pool, "an address pool")]),
        }
        return _known(value, at, known, "the address management")

    flags = dict.fromkeys(("internal", "attachable", "enable_ipv6"), boolean)
    return _declared(value, at, {**flags, "ipam": ipam}, "a network", refused=["enable_ipv4"])


def normal_volume(value: Any, at: Place) -> dict[str, Any]:
    """Bring the declaration of a volume into the long syntax; as `normal_service`."""
    return _declared(value, at, {}, "a volume", refused=[])


def _declared(
    value: Any, at: Place, more: Mapping[str, _Normaliser], what: str, *, refused: Iterable[str]
) -> dict[str, Any]:
    def external(value: Any, at: Place) -> Any:
        return _known(value, at, {"name": text}, "external") if isinstance(value, Mapping) else boolean(value, at)

    known = {"driver": text, "driver_opts": _labels, "external": external, "labels": _labels, "name": text, **more}
    found = _known(value or {}, at, known, what, refused=refused)
    if isinstance(found.get("external"), dict):
        # The syntax of old: external: {name: NAME}.
        found = {**found, **found["external"], "external": True}
    return found


def _known(
    value: Any, at: Place, known: Mapping[str, _Normaliser], what: str, *, refused: Iterable[str] = ()
) -> dict[str, Any]:
    """Read the keys of a mapping, each by its own rule; keys that begin with ``x-`` are the user's own."""
    found = {}
    for key, item in mapping(value, at).items():
        if key.startswith("x-"):
            continue
        place = (*at, key)
        if key not in known:
            if key in refused:
                raise RefusedError(place, "is not supported here", "Remove it, or run that service by other means.")
            close = difflib.get_close_matches(key, [*known, *refused], 1)
            hint = f"Did you mean {close[0]}?" if close else f"Known are {', '.join(sorted(known)[:12])} and others."
            raise RefusedError(place, f"is no key of {what}", hint)
        # Nothing written is no value, except where it says that what stood there before is taken away.
        if item is None and key not in {"command", "entrypoint"}:
            continue
        found[key] = None if item is None else known[key](item, place)
    return found
