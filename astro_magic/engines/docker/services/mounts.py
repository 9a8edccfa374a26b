"""The short syntax of ports, volumes and devices in a Compose file, read to the long one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from astro_magic.engines.docker.services.plain import Place, RefusedError, boolean, choice, integer, mapping, size, text

__all__ = ["device", "port", "volume"]

_PORT = re.compile(
    r"(?:(?P<host>\[[0-9a-fA-F:.%\w]*\]|[^:\[\]/]*):)??"
    r"(?:(?P<published>\d+(?:-\d+)?)?:)?(?P<target>\d+(?:-\d+)?)(?:/(?P<protocol>tcp|udp|sctp))?"
)
_PORT_HINT = "Write [ADDRESS:][PORT:]CONTAINER_PORT[/PROTOCOL], in quotes."
_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_TYPES = choice("bind", "volume", "tmpfs")
_OPTIONS: dict[str, dict[str, Callable[[Any, Place], Any]]] = {
    "bind": {"selinux": choice("z", "Z"), "propagation": choice(*_PROPAGATIONS), "create_host_path": boolean},
    "volume": {"nocopy": boolean},
    "tmpfs": {"size": size, "mode": integer},
}


def port(value: Any, at: Place) -> list[dict[str, Any]]:
    """Read what is published of a container; a range gives several ports."""
    if isinstance(value, dict):
        return [_long_port(value, at)]
    match = _PORT.fullmatch(text(value, at))
    if match is None:
        raise RefusedError(at, "is no port", _PORT_HINT)
    targets = _range(match["target"], at)
    published: list[int | str | None] = [None] * len(targets)
    if match["published"]:
        given = _range(match["published"], at)
        if len(given) == len(targets):
            published = list(given)
        elif len(targets) == 1:
            # The engine takes one of them that is free.
            published = [match["published"]]
        else:
            raise RefusedError(at, "has two ranges of different lengths", _PORT_HINT)
    shared = {"host_ip": (match["host"] or "").strip("[]"), "protocol": match["protocol"] or "tcp"}
    return [{"target": target, "published": host, **shared} for target, host in zip(targets, published, strict=True)]


def _long_port(value: dict[str, Any], at: Place) -> dict[str, Any]:
    # What these say is for other tools: a name for people, the protocol inside of the protocol, a swarm's mode.
    known = {"target", "published", "host_ip", "protocol", "name", "app_protocol", "mode"}
    _check(value, known, at, "a port")
    if "target" not in value:
        raise RefusedError(at, "names no target, the port of the container", "Add target: PORT.")
    published = value.get("published")
    if published is not None:
        given = _range(text(published, (*at, "published")), (*at, "published"))
        published = given[0] if len(given) == 1 else text(published, at)
    return {
        "target": _range(text(value["target"], (*at, "target")), (*at, "target"))[0],
        "published": published,
        "host_ip": text(value.get("host_ip") or "", (*at, "host_ip")).strip("[]"),
        "protocol": choice("tcp", "udp", "sctp")(value.get("protocol") or "tcp", (*at, "protocol")),
    }


def _range(given: str, at: Place) -> list[int]:
    first, _, last = given.partition("-")
    if not first.isdecimal() or (last and not last.isdecimal()):
        raise RefusedError(at, "is no port", _PORT_HINT)
    low, high = int(first), int(last or first)
    if not 0 < low <= high < 65536:
        raise RefusedError(at, "is no port from 1 to 65535", _PORT_HINT)
    return list(range(low, high + 1))


def volume(value: Any, at: Place) -> list[dict[str, Any]]:
    """Read what is mounted into a container."""
    return [_long_volume(value, at) if isinstance(value, dict) else _short_volume(text(value, at), at)]


def _short_volume(spec: str, at: Place) -> dict[str, Any]:
    # The colon of a Windows drive separates nothing.
    drive = spec[:2] if re.match(r"[A-Za-z]:[\\/]", spec) else ""
    parts = spec.removeprefix(drive).split(":")
    parts[0] = drive + parts[0]
    if not all(parts) or len(parts) > 3:
        raise RefusedError(at, "is no volume", "Write SOURCE:TARGET[:ro], or the long syntax with type: bind.")
    if len(parts) == 1:
        return {"type": "volume", "source": "", "target": parts[0]}
    source, target = parts[:2]
    kind = "bind" if re.match(r"[./~\\]|[A-Za-z]:[\\/]", source) else "volume"
    found: dict[str, Any] = {"type": kind, "source": source, "target": target}
    for option in parts[2].split(",") if len(parts) == 3 else ():
        if option == "ro":
            found["read_only"] = True
        elif option in {"z", "Z"}:
            found.setdefault("bind", {})["selinux"] = option
        elif option in _PROPAGATIONS:
            found.setdefault("bind", {})["propagation"] = option
        elif option == "nocopy":
            found["volume"] = {"nocopy": True}
        elif option not in {"rw", "cached", "delegated", "consistent"}:
            raise RefusedError(at, f"has the unknown option {option[:20]!r}", "Known are ro, rw, z, Z and nocopy.")
    return found


def _long_volume(value: dict[str, Any], at: Place) -> dict[str, Any]:
    _check(value, {"type", "source", "target", "read_only", "bind", "volume", "tmpfs", "consistency"}, at, "a volume")
    if not value.get("target"):
        raise RefusedError(at, "names no target, the path in the container", "Add target: PATH.")
    found: dict[str, Any] = {
        "type": _TYPES(value.get("type", "volume"), (*at, "type")),
        "source": text(value.get("source") or "", (*at, "source")),
        "target": text(value["target"], (*at, "target")),
    }
    if found["type"] == "bind" and not found["source"]:
        raise RefusedError(at, "names no source, the path on this machine", "Add source: PATH.")
    found |= {"read_only": boolean(value["read_only"], (*at, "read_only"))} if "read_only" in value else {}
    for part, readers in _OPTIONS.items():
        given = mapping(value.get(part) or {}, (*at, part))
        _check(given, set(readers), (*at, part), f"the options of a {part}")
        if given:
            found[part] = {key: readers[key](item, (*at, part, key)) for key, item in given.items()}
    return found


def device(value: Any, at: Place) -> list[dict[str, Any]]:
    """Read a device of this machine that a container sees."""
    if isinstance(value, dict):
        _check(value, {"source", "target", "permissions"}, at, "a device")
        parts = [text(value.get(key) or "", (*at, key)) for key in ("source", "target", "permissions")]
    else:
        parts = [*text(value, at).split(":"), "", ""]
    if not parts[0] or len([part for part in parts if part]) > 3:
        raise RefusedError(at, "is no device", "Write SOURCE[:TARGET[:PERMISSIONS]].")
    return [{"source": parts[0], "target": parts[1] or parts[0], "permissions": parts[2] or "rwm"}]


def _check(value: dict[str, Any], known: set[str], at: Place, what: str) -> None:
    for key in value:
        if key not in known and not key.startswith("x-"):
            raise RefusedError((*at, key), f"is no key of {what}", f"Known are {', '.join(sorted(known))}.")
