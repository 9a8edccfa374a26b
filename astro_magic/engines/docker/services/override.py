"""A project's ``docker-compose.override.yml``, put over the engine's own services by the rules of Docker Compose."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from astro_magic.engines.docker.services.interpolation import InterpolationError, interpolate
from astro_magic.engines.docker.services.merging import merge_service
from astro_magic.engines.docker.services.normal import WITHOUT_EFFECT, normal_network, normal_service, normal_volume
from astro_magic.engines.docker.services.plain import Place, RefusedError, mapping
from astro_magic.engines.docker.services.stack import EXTENSION, Model
from astro_magic.errors import InvalidContentError
from astro_magic.project.dotenv.dialects import read_docker
from astro_magic.project.dotenv.lines import assignments
from astro_magic.project.yaml.text import AliasNode, MappingNode, Node, SequenceNode, YamlText
from astro_magic.project.yaml.values import to_json
from astro_magic.system import files

__all__ = ["OVERRIDE_NAME", "merge_override", "override_notes"]

#: The only name by which the Astro CLI knows such a file.
OVERRIDE_NAME = "docker-compose.override.yml"

_SECTIONS = {"services": normal_service, "networks": normal_network, "volumes": normal_volume}
_NOT_DONE = ("configs", "include", "models", "secrets")
_TAG = re.compile(r"!(?:reset|override)\b")


def merge_override(model: Model, text: str, *, file: str, environment: Mapping[str, str]) -> Model:
    """Put an override file over the services of a project.

    Parameters
    ----------
    model : Model
        The services. It is not changed.
    text : str
        The content of the file.
    file : str
        Its name, relative to the project.
    environment : Mapping of str to str
        What its variables stand for. Docker Compose and the Astro CLI take the environment of their process, not
        ``.env``.

    Returns
    -------
    Model
        The services as the file has them. `override_notes` tells what of it has no effect.

    Raises
    ------
    InvalidContentError
        When the file is no YAML, a key is unknown or not supported, or a value is not what it has to be. File, line
        and key are named.
    FileAccessError
        When a file that it names cannot be read.
    """
    document, tags = _read(text, file)
    merged = copy.deepcopy(model)
    try:
        _Merge(merged, document, tags, environment).run()
        place = merged.get(EXTENSION, {})
        if "config_files" in place:
            place["config_files"] += f",{place['working_dir']}/{file}"
    except RefusedError as problem:
        line = document.line(_position(document, problem.place))
        where = ".".join(str(part) for part in problem.place) or "the file"
        raise InvalidContentError(f"{file}, line {line}: {where} {problem.problem}.", hint=problem.hint) from problem
    return merged


def override_notes(model: Model) -> tuple[str, ...]:
    """Tell in sentences what an override file says that has no effect, or may not have the one that was meant."""
    return tuple(model.get(EXTENSION, {}).get("notes", ()))


class _Merge:
    def __init__(
        self, model: Model, document: YamlText, tags: Mapping[Place, str], environment: Mapping[str, str]
    ) -> None:
        self._model = model
        self._document = document
        self._tags = tags
        self._environment = environment
        self._unset: set[str] = set()
        self._notes: list[str] = []
        self._own = frozenset(model["services"])
        extension = model.get(EXTENSION, {})
        self._root = Path(extension.get("working_dir") or ".")
        self._engine_variables = frozenset(extension.get("engine_variables", ()))

    def run(self) -> None:
        raw = mapping(self._interpolated(to_json(self._document.tree()), ()), ())
        self._clear(raw)
        for key in raw:
            if key in _NOT_DONE:
                raise RefusedError((key,), "is not supported here", "Give services volumes and variables instead.")
            if key not in {*_SECTIONS, "version", "name"} and not key.startswith("x-"):
                raise RefusedError((key,), "is no key of a Compose file", f"Known are {', '.join(_SECTIONS)}.")
        if "name" in raw and raw["name"] != self._model["name"]:
            self._notes.append("The name in the override file has no effect: it follows from the project's.")
        for section in ("networks", "volumes"):
            for key, value in mapping(raw.get(section) or {}, (section,)).items():
                declared = _SECTIONS[section](value, (section, key))
                self._model[section][key] = {**(self._model[section].get(key) or {}), **declared}
        for name, value in mapping(raw.get("services") or {}, ("services",)).items():
            self._service(name, value or {}, ("services", name))
        for name in sorted(self._unset):
            self._notes.append(f"The override file uses the variable {name}, which is not set: it is taken as empty.")
        if self._notes:
            self._model.setdefault(EXTENSION, {})["notes"] = self._notes

    def _interpolated(self, value: Any, at: Place) -> Any:
        if isinstance(value, dict):
            return {key: self._interpolated(item, (*at, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._interpolated(item, (*at, number)) for number, item in enumerate(value)]
        if not isinstance(value, str) or "$" not in value:
            return value
        try:
            return interpolate(value, self._environment, self._unset)
        except InterpolationError as problem:
            raise RefusedError(at, problem.problem, problem.hint) from problem

    def _clear(self, raw: dict[str, Any]) -> None:
        """Do what tags ask for: ``!reset`` takes away what is there, ``!override`` puts something else in its place."""
        for place, tag in self._tags.items():
            if any(isinstance(part, int) for part in place) or len(place) < 2:
                raise RefusedError(place, f"has the tag {tag}, which stands before the value of a key only", "Move it.")
            if len(place) == 2 and place[0] == "services" and place[1] in self._own:
                raise RefusedError(place, "is a service that the engine needs", f"Remove the tag {tag}.")
            target: Any = self._model
            source: Any = raw
            for part in place[:-1]:
                target = target.get(part) if isinstance(target, dict) else None
                source = source[part]
            if isinstance(target, dict):
                target.pop(place[-1], None)
            if tag == "!reset":
                source.pop(place[-1], None)

    def _service(self, name: str, value: Any, at: Place) -> None:
        if not re.fullmatch(r"[a-zA-Z0-9._-]+", name):
            raise RefusedError(at, "is no name of a service", "Use letters, digits, dots, dashes and underscores.")
        given = normal_service(value, at)
        for key in WITHOUT_EFFECT:
            if given.pop(key, None) is not None:
                self._notes.append(f"In the override file, {key} of {name} has no effect: no image is built or pulled.")
        if name in self._own and given.get("profiles"):
            raise RefusedError((*at, "profiles"), "would leave out a service that the engine needs", "Remove it.")
        if given.get("profiles"):
            self._notes.append(f"The service {name} belongs to a profile, so it is not started.")
        given.pop("scale", None)
        below = self._from_files(given.pop("env_file", []), (*at, "env_file"))
        written = {key: self._looked_up(key, item) for key, item in given.pop("environment", {}).items()}
        for volume in given.get("volumes", []):
            self._resolve(volume, (*at, "volumes"))
        base = self._model["services"].get(name, {})
        protected = self._engine_variables & set(base.get("environment", {}))
        overridden = sorted(set(below) & protected)
        self._notes += [
            f"{key} in the env_file of {name} has no effect: the engine sets it. It can be set in its environment."
            for key in overridden
        ]
        own = sorted({*written, *below})
        if own:
            self._model.setdefault(EXTENSION, {}).setdefault("written", {})[name] = own
        service = merge_service(base, given)
        service["environment"] = {
            **base.get("environment", {}),
            **{key: item for key, item in below.items() if key not in protected},
            **{key: item for key, item in written.items() if item is not None},
        }
        if "image" not in service:
            raise RefusedError(at, "names no image", "Add image: NAME, or correct the name of the service.")
        self._check_networks(service, at)
        self._model["services"][name] = service

    def _looked_up(self, key: str, value: str | None) -> str | None:
        return self._environment.get(key) if value is None else value

    def _from_files(self, entries: list[dict[str, Any]], at: Place) -> dict[str, str]:
        found: dict[str, str] = {}
        for entry in entries:
            path = self._path(entry["path"])
            if not path.is_file():
                if entry["required"]:
                    raise RefusedError(
                        at, f"names {entry['path']}, which is no file", "Make it, or add required: false."
                    )
                continue
            try:
                content = files.read_bytes(path).decode().removeprefix("\ufeff")
            except UnicodeDecodeError as problem:
                raise RefusedError(
                    at, f"names {entry['path']}, which is no UTF-8 text", "Save it in UTF-8."
                ) from problem
            if entry.get("format") == "raw":
                found |= read_docker(content, self._environment)
            else:
                found |= {line.key: line.value for line in assignments(content.splitlines())}
        return found

    def _resolve(self, volume: dict[str, Any], at: Place) -> None:
        source = volume["source"]
        if volume["type"] == "bind":
            volume["source"] = str(self._path(source))
        elif volume["type"] == "volume" and source and source not in self._model["volumes"]:
            raise RefusedError(
                at,
                f"uses the volume {source}, which is not declared",
                f"Add {source} to volumes at the top level, or write ./{source} for a folder of the project.",
            )

    def _path(self, written: str) -> Path:
        if written == "~" or written.startswith("~/"):
            home = self._environment.get("HOME")
            written = f"{home or Path.home()}{written[1:]}"
        # Not resolved: behind a symbolic link, the path that was written is the one that means something.
        return self._root / written

    def _check_networks(self, service: dict[str, Any], at: Place) -> None:
        networks = service.get("networks")
        if "network_mode" in service:
            if networks:
                raise RefusedError(
                    (*at, "network_mode"), "stands beside networks, and only one can hold", "Add networks: !reset []."
                )
            return
        if not networks:
            # What names none is with its like, as in Docker Compose, and not with Airflow.
            service["networks"] = {"default": {}}
            self._model["networks"].setdefault("default", {})
        for key in networks or {}:
            if key not in self._model["networks"] and key != "default":
                raise RefusedError(
                    (*at, "networks"), f"uses the network {key}, which is not declared", "Declare it at the top level."
                )
            self._model["networks"].setdefault(key, {})


def _read(text: str, file: str) -> tuple[YamlText, dict[Place, str]]:
    """Read the document, and Compose's own tags by the place of what they stand before."""
    plain = text.removeprefix("\ufeff")
    if not _TAG.search(plain):
        return YamlText(plain, file), {}
    starts: dict[int, str] = {}
    for start, tag, begins in _tags(plain, file):
        # Other YAML readers know no such tags; so what is read has as many other characters in their place.
        instead = "" if begins is not None else "null"
        plain = plain[:start] + instead.ljust(len(tag)) + plain[start + len(tag) :]
        starts[start if begins is None else begins] = tag
    document = YamlText(plain, file)
    return document, {place: starts[node.start] for place, node in _walk(document.root) if node.start in starts}


def _tags(text: str, file: str) -> list[tuple[int, str, int | None]]:
    """Find the tags: where each begins, its name, and where its value begins; None when none is written."""
    import yaml

    try:
        tokens = list(yaml.scan(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        # It is refused with the line by the reader that all files go through.
        YamlText(text, file)
        raise InvalidContentError(f"{file} is no valid YAML.", hint="Correct it.") from None
    values = (
        yaml.ScalarToken,
        yaml.AnchorToken,
        yaml.FlowSequenceStartToken,
        yaml.FlowMappingStartToken,
        yaml.BlockSequenceStartToken,
        yaml.BlockMappingStartToken,
    )
    found = []
    for number, token in enumerate(tokens):
        if not isinstance(token, yaml.TagToken) or token.value not in {("!", "reset"), ("!", "override")}:
            continue
        behind, before = tokens[number + 1], tokens[number - 1]
        # A list at the indentation of its own key begins with a dash and no token of its own.
        unindented = isinstance(behind, yaml.BlockEntryToken) and isinstance(before, yaml.ValueToken)
        begins = behind.start_mark.index if isinstance(behind, values) or unindented else None
        found.append((token.start_mark.index, f"!{token.value[1]}", begins))
    return found


def _walk(node: Node | None, at: Place = ()) -> Iterator[tuple[Place, Node]]:
    if node is None or isinstance(node, AliasNode):
        return
    if at:
        yield at, node
    if isinstance(node, MappingNode):
        for key, value in node.pairs:
            yield from _walk(value, (*at, key.text))
    elif isinstance(node, SequenceNode):
        for number, item in enumerate(node.items):
            yield from _walk(item, (*at, number))


def _position(document: YamlText, place: Place) -> int:
    """Find where something stands: its key, or the nearest part around it that is written out."""
    node: Any = document.root
    position = node.start if node is not None else 0
    for part in place:
        while isinstance(node, AliasNode):
            node = node.target
        if isinstance(node, MappingNode) and isinstance(part, str) and (found := node.find(part)) is not None:
            position, node = found[0].start, found[1]
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            position = node.start
        else:
            break
    return position
