"""Reading ``.astro/config.yaml``, which the Astro CLI writes.

The file is a nested mapping of plain values, written by a machine. That little of YAML is read here, so that no YAML
library is needed to find out a project's name. Only the name is ever written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from astro_magic.errors import InvalidContentError
from astro_magic.project.document import split_lines
from astro_magic.system import files

__all__ = ["CONFIG_NAME", "Config", "home_folder", "parse_config", "with_project_name"]

#: The file that makes a folder an Astro project, relative to the folder.
CONFIG_NAME = ".astro/config.yaml"

_LINE = re.compile(r"^(?P<indent> *)(?P<key>[^\s:#'\"][^:#]*|\"[^\"]*\"|'[^']*')\s*:(?:\s+(?P<value>.*))?$")
_NO_VALUE = {"", "null", "~", '""', "''"}
# Any other name could be read as a number or a truth value, and so come back as something else.
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_YAML_WORDS = {"false", "no", "null", "off", "on", "true", "yes"}


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
    """
    if not _PLAIN_NAME.fullmatch(name) or name.lower() in _YAML_WORDS:
        name = f'"{name}"'
    lines = split_lines(text)
    end = "\r\n" if "\r\n" in text else "\n"
    inside = False
    section: int | None = None
    for number, line in enumerate(lines):
        match = _LINE.match(line.rstrip())
        if match is None:
            continue
        key = match["key"].strip().strip("\"'").lower()
        if not match["indent"]:
            inside = key == "project"
            if inside:
                section = number
        elif inside and key == "name":
            lines[number] = f"{match['indent']}name: {name}{end}"
            return "".join(lines)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += end
    if section is not None:
        lines.insert(section + 1, f"    name: {name}{end}")
    else:
        lines += [f"project:{end}", f"    name: {name}{end}"]
    return "".join(lines)


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
