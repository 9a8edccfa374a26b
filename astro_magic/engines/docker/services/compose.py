"""The services of a project as a file that ``docker compose`` runs, and docker-compose 1.29 as well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any, Literal

from astro_magic.engines.docker.services.stack import EXTENSION, POSTGRES, Model
from astro_magic.errors import FileAccessError, InvalidContentError
from astro_magic.project.dotenv.dialects import read_compose
from astro_magic.system import files

__all__ = ["export_compose"]

_HEADER = """\
# Made by %astro_compose_export of Astro Magic: the services that %astro_start runs. In the project's folder, run
#
#     docker compose -p {name} -f THIS_FILE up
#
# The name behind -p makes them the same containers; docker-compose 1.29 knows no place for it in the file.
# Airflow's image is {image}.
"""
# A scalar of several lines is written as such when every YAML reader takes that for the same text.
_BLOCK = re.compile(r"(?![\s#])[\x20-\x7e\t\xa1-\u2027\u2030-\ud7ff\ue000-\ufdff\n]*[^\s]\n?")
_ESCAPED = re.compile("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}


def export_compose(model: Model, *, secrets: Literal["inline", "env-file"]) -> str:
    """Write the services as a Compose file.

    Parameters
    ----------
    model : Model
        The services.
    secrets : str
        Where the values of ``.env`` go. ``env-file`` has them read from there, but for those that Docker Compose would
        read otherwise than this package; ``inline`` writes all of them into the file.

    Returns
    -------
    str
        The file. Paths in it are relative to the project.
    """
    extension = model.get(EXTENSION, {})
    found = _as_compose_reads(extension) if secrets == "env-file" else None
    read = found or {}
    names = [] if found is None else list(extension.get("env_files", ()))
    written = extension.get("written", {})
    services = {}
    for name, content in model["services"].items():
        own = set(written.get(name, ()))
        airflow = name in extension.get("airflow", ())
        left = {key: value for key, value in read.items() if airflow and key not in own}
        services[name] = _service(content, extension.get("working_dir") or "", left, names if airflow else [])
    document = {"services": services, "networks": model["networks"], "volumes": model["volumes"]}
    image = next((content["image"] for name, content in model["services"].items() if name != POSTGRES), "")
    header = _HEADER.format(name=model["name"], image=image)
    if found is None and extension.get("variables"):
        header += "# The values of .env stand in this file; it is as secret as they are.\n"
    return header + "\n" + "\n".join(_lines({key: value for key, value in document.items() if value})) + "\n"


def _as_compose_reads(extension: Mapping[str, Any]) -> dict[str, str] | None:
    """Give the variables of the environment files by the rules of Docker Compose; None when it refuses one."""
    root = Path(extension.get("working_dir") or "")
    found: dict[str, str] = {}
    try:
        for name in extension.get("env_files", ()):
            found |= read_compose(files.read_bytes(root / name).decode(), {})
    except (FileAccessError, InvalidContentError, UnicodeDecodeError):
        return None
    return found


def _service(content: Mapping[str, Any], root: str, read: Mapping[str, str], env_files: list[str]) -> dict[str, Any]:
    service = dict(content)
    environment = content.get("environment", {})
    # What one of the two programs might read otherwise stays in the file.
    left = {key for key, value in environment.items() if read.get(key) == value and not {"$", "\\"} & set(value)}
    service["environment"] = {key: value for key, value in environment.items() if key not in left}
    if env_files:
        service["env_file"] = env_files[0] if len(env_files) == 1 else env_files
    if "ports" in content:
        service["ports"] = [_port(port) for port in content["ports"]]
    if "volumes" in content:
        service["volumes"] = [_volume(volume, root) for volume in content["volumes"]]
    if "devices" in content:
        service["devices"] = [
            f"{device['source']}:{device['target']}:{device['permissions']}" for device in content["devices"]
        ]
    return {key: value for key, value in service.items() if value not in ({}, []) or key in {"command", "entrypoint"}}


def _port(port: Mapping[str, Any]) -> str:
    host = port.get("host_ip") or ""
    host = f"[{host}]" if ":" in host else host
    published = "" if port.get("published") is None else str(port["published"])
    front = f"{host}:{published}:" if host else f"{published}:" if published else ""
    protocol = "" if port["protocol"] == "tcp" else f"/{port['protocol']}"
    return f"{front}{port['target']}{protocol}"


def _volume(volume: Mapping[str, Any], root: str) -> str | dict[str, Any]:
    source, target = _relative(volume, root), volume["target"]
    # docker-compose 1.29 makes the path absolute first, and then looks for colons.
    plain = volume["type"] != "tmpfs" and source and ":" not in str(volume["source"]) + target
    bind = volume.get("bind", {})
    if not plain or set(bind) - {"selinux"} or "volume" in volume:
        # The long syntax of docker-compose 1.29 has no word for SELinux.
        kept = {key: value for key, value in volume.items() if key not in {"bind", "source"}}
        options = {key: value for key, value in bind.items() if key != "selinux"}
        return {**kept, **({"source": source} if source else {}), **({"bind": options} if options else {})}
    flags = [*["ro"] * bool(volume.get("read_only")), *([bind["selinux"]] if "selinux" in bind else [])]
    return ":".join([source, target, *([",".join(flags)] if flags else [])])


def _relative(volume: Mapping[str, Any], root: str) -> str:
    source = str(volume.get("source") or "")
    if volume["type"] != "bind" or not root or not PurePath(source).is_relative_to(root):
        return source
    inside = PurePath(source).relative_to(root).as_posix()
    return "." if inside == "." else f"./{inside}"


def _lines(value: Mapping[str, Any] | list[Any], depth: int = 0) -> Iterator[str]:
    margin = "  " * depth
    pairs = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for key, item in pairs:
        front = f"{margin}-" if key is None else f"{margin}{_key(key)}:"
        if isinstance(item, Mapping | list) and item:
            inner = list(_lines(item, depth + 1))
            if key is None:
                # The first line of what is in a list stands behind the dash.
                yield f"{front} {inner[0].lstrip()}"
                yield from inner[1:]
            else:
                yield front
                yield from inner
        elif isinstance(item, str) and item.count("\n") > 1 and _BLOCK.fullmatch(item):
            yield f"{front} |{'' if item.endswith(chr(10)) else '-'}"
            for line in item.replace("$", "$$").removesuffix("\n").split("\n"):
                yield f"{margin}  {line}" if line else ""
        else:
            yield f"{front} {_scalar(item)}"


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS else _quoted(key)


def _scalar(value: Any) -> str:
    # Compose puts variables into every text, so that a dollar sign has to be doubled.
    return _quoted(value.replace("$", "$$")) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """Write a text in double quotes, in which it means the same to every reader of YAML."""
    return _ESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))
