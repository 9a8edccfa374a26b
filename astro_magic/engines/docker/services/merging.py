"""Docker Compose's rules for putting one service over another, both in the long syntax."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from astro_magic.engines.docker.names import ANY_ADDRESS

__all__ = ["merge_service"]

#: What replaces what was there as a whole.
_REPLACED = {"command", "entrypoint"}


def _port_key(port: dict[str, Any]) -> tuple[Any, ...]:
    # Another published port of the same target is one more, not another in its place.
    return port["host_ip"] or ANY_ADDRESS, str(port["published"]), port["target"], port["protocol"]


def _target(entry: dict[str, Any]) -> str:
    return str(entry["target"]).rstrip("/")


def _first_word(separator: str) -> Callable[[str], str]:
    return lambda line: line.partition(separator)[0]


#: By what an entry of a list is the same as another, whose place it then takes.
_KEYS: dict[str, Callable[[Any], Any]] = {
    "devices": _target,
    "ports": _port_key,
    "tmpfs": _first_word(":"),
    "volumes": _target,
}


def merge_service(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Put a service over another: mappings are merged, lists are put together, and single values are replaced.

    Of the entries of a list, one that is about the same thing takes the place of an earlier one: volumes and devices
    with the same target; ports where address, both ports and protocol are the same. A command, an entry point and a
    health check's test are replaced as a whole, as are the options of another logging driver.

    Parameters
    ----------
    base : dict
        What was there. It is not changed.
    over : dict
        What is put over it.
    """
    merged = copy.deepcopy(base)
    for key, value in over.items():
        there = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif there is None or key in _REPLACED or (key == "logging" and _other_driver(there, value)):
            merged[key] = copy.deepcopy(value)
        elif key == "healthcheck":
            merged[key] = {**there, **value}
        else:
            merged[key] = _merged(there, value, _KEYS.get(key))
    return merged


def _other_driver(base: dict[str, Any], over: dict[str, Any]) -> bool:
    return len({base.get("driver"), over.get("driver")} - {None}) > 1


def _merged(base: Any, over: Any, key: Callable[[Any], Any] | None) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        found = dict(base)
        for name, value in over.items():
            found[name] = _merged(base[name], value, None) if name in base else copy.deepcopy(value)
        return found
    if isinstance(base, list) and isinstance(over, list):
        same = key or repr
        return list({same(entry): entry for entry in [*base, *copy.deepcopy(over)]}.values())
    return copy.deepcopy(over)
