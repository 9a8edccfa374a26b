"""Reading ``.astro/config.yaml``, which the Astro CLI writes.

The file is a nested mapping of plain values, written by a machine. That little of YAML is read here, so that no YAML
library is needed to find out a project's name. What is written goes through `yaml_edits`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from astro_magic.errors import InvalidContentError
from astro_magic.project.yaml.edits import YamlEdit
from astro_magic.project.yaml.text import MappingNode, ScalarNode, YamlText
from astro_magic.project.yaml.values import Scalar, is_null
from astro_magic.system import files

__all__ = [
    "CONFIG_NAME",
    "SOURCES_NAME",
    "Config",
    "home_folder",
    "parse_config",
    "with_project_name",
    "with_values",
]

#: The file that makes a folder an Astro project, relative to the folder.
CONFIG_NAME = ".astro/config.yaml"
#: The file that says where private packages come from; `recipes.sources` reads it.
SOURCES_NAME = ".astro/private-packages.yaml"

_LINE = re.compile(r"^(?P<indent> *)(?P<key>[^\s:#'\"][^:#]*|\"[^\"]*\"|'[^']*')\s*:(?:\s+(?P<value>.*))?$")
_NO_VALUE = {"", "null", "~", '""', "''"}


def parse_config(text: str) -> dict[str, str]:
    """Read the values of a configuration file.

    Parameters
    ----------
    text : str
        Its content.

    Returns
    -------
    dict of str to str
        Values by dotted lower-case key, such as ``project.name``. Empty ones and what is no nested mapping of plain
        values are left out.
    """
    values: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in text.removeprefix("\ufeff").splitlines():
        match = _LINE.match(line.rstrip())
        if match is None:
            continue
        indent = len(match["indent"])
        while path and path[-1][0] >= indent:
            path.pop()
        path.append((indent, match["key"].strip().strip("\"'").lower()))
        value = _plain(match["value"] or "")
        if value:
            values[".".join(key for _, key in path)] = value
    return values


def _plain(value: str) -> str:
    value = value.strip()
    quoted = re.match(r"\"(?P<double>(?:[^\"\\]|\\.)*)\"|'(?P<single>(?:[^']|'')*)'", value)
    if quoted:
        double, single = quoted["double"], quoted["single"]
        return re.sub(r"\\(.)", r"\1", double) if double is not None else single.replace("''", "'")
    value = re.split(r"(?:^|\s)#", value, maxsplit=1)[0].strip()
    return "" if value in _NO_VALUE else value


def with_values(text: str, values: Mapping[str, Scalar | None]) -> str:
    """Set and remove values in the text of a configuration file and leave all other lines as they are.

    Parameters
    ----------
    text : str
        The content; may be empty.
    values : Mapping of str to Scalar or None
        By dotted key, such as ``project.name`` or ``verbosity``; None removes the key, and with its last one a section.

    Returns
    -------
    str
        The new content.

    Raises
    ------
    InvalidContentError
        When the content is no YAML, or cannot be edited in that place.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    document = YamlText(text.removeprefix(mark), CONFIG_NAME)
    edit = YamlEdit(document, step=4)
    top: dict[str, Scalar | dict[str, Scalar] | None] = {}
    sections: dict[str, dict[str, Scalar | None]] = {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        if section:
            sections.setdefault(section, {})[name] = value
        elif value is not None or (document.root is not None and document.root.find_any(name)):
            top[_written(document.root, name)] = value
    for section, inner in sections.items():
        found = document.root.find_any(section) if document.root is not None else None
        node = found[1] if found is not None else None
        if isinstance(node, MappingNode):
            changed = {
                _written(node, name): value for name, value in inner.items() if value is not None or node.find_any(name)
            }
            if changed and not any(changed.values()) and all(key.text in changed for key, _ in node.pairs):
                top[_written(document.root, section)] = None
            else:
                edit.put(node, changed)
        elif new := {name: value for name, value in inner.items() if value is not None}:
            if node is not None and not (isinstance(node, ScalarNode) and is_null(node.value)):
                document.refuse(
                    f"has a value for {section}, which is a section",
                    node.start,
                    hint="Remove the value, then run this again.",
                )
            top[_written(document.root, section)] = new
    if top:
        edit.put(document.root, top)
    return mark + edit.result()


def _written(mapping: MappingNode | None, key: str) -> str:
    """Give a key as a mapping has it, which the Astro CLI reads without regard to case."""
    found = mapping.find_any(key) if mapping is not None else None
    return key if found is None else found[0].text


def with_project_name(text: str, name: str) -> str:
    """Set ``project.name`` in the text of a configuration file and leave all other lines as they are.

    Parameters
    ----------
    text : str
        The content; may be empty.
    name : str
        The new name.

    Returns
    -------
    str
        The new content.

    Raises
    ------
    InvalidContentError
        When the content is no YAML, or cannot be edited in that place.
    """
    return with_values(text, {"project.name": Scalar(name)})


@dataclass(frozen=True)
class Config:
    """The configuration of a project: its own file over the one in the home folder.

    Attributes
    ----------
    project : Mapping of str to str
        Values of the project's file, by dotted key.
    home : Mapping of str to str
        Values of the home folder's file, by dotted key.
    """

    project: Mapping[str, str] = field(default_factory=dict)
    home: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path) -> Config:
        """Read the configuration of the project in a folder.

        Raises
        ------
        FileAccessError
            When a file is there and cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        folder = home_folder()
        return cls(project=_load(root / CONFIG_NAME), home=_load(folder / CONFIG_NAME) if folder else {})

    def get(self, key: str) -> str | None:
        """Look up a dotted key, first in the project's file, then in the home folder's."""
        return self.project.get(key, self.home.get(key))

    @property
    def name(self) -> str:
        """The project's name; empty when none is set."""
        return self.get("project.name") or ""

    @property
    def api_server_port(self) -> int:
        """The port of the Airflow 3 API server; 8080 unless set."""
        return self._port("api-server.port")

    @property
    def webserver_port(self) -> int:
        """The port of the Airflow 2 webserver; 8080 unless set."""
        return self._port("webserver.port")

    def _port(self, key: str) -> int:
        text = self.get(key) or "8080"
        if not text.isdecimal() or not 0 < int(text) < 65536:
            raise InvalidContentError(
                f"{CONFIG_NAME} sets {key} to {text!r}, which is no port.",
                hint="Set it to a whole number from 1 to 65535.",
            )
        return int(text)


def home_folder() -> Path | None:
    """Give the folder whose ``.astro`` holds the user's own configuration, which is no project; None when unknown."""
    chosen = os.environ.get("ASTRO_HOME")
    if chosen:
        return Path(chosen)
    try:
        return Path.home()
    except RuntimeError:
        return None


def _load(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        return parse_config(files.read_bytes(path).decode())
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 text."
        raise InvalidContentError(message, hint="Save it in UTF-8 with an editor.") from error
