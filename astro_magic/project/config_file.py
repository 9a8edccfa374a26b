"""Editing ``.astro/config.yaml``: the settings of the Astro CLI for one project."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import Change, split_lines
from astro_magic.project.config import CONFIG_NAME, with_values
from astro_magic.project.document import Document
from astro_magic.project.scaffold import check_name
from astro_magic.project.yaml.text import MappingNode, ScalarNode, YamlText, read_yaml
from astro_magic.project.yaml.values import Scalar, changes_in_go, is_null

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["KEYS", "ConfigFile"]

#: The keys that the Astro CLI 1.45 knows (``config/config.go``), and what each holds: words to choose from, or a type.
KEYS: Mapping[str, Literal["text", "name", "port", "count", "truth"] | tuple[str, ...]] = {
    "airflow.expose_port": "truth",
    "api-server.port": "port",
    "container.binary": "text",
    "cosmos_boost.pre_deploy": "truth",
    "deploy.git_metadata": "truth",
    "dev.build_secrets": "text",
    "dev.mode": ("docker", "standalone"),
    "disable_astro_run": "truth",
    "duplicate_volumes": "truth",
    "machine.cpu": "count",
    "machine.memory": "count",
    "postgres.host": "text",
    "postgres.password": "text",
    "postgres.port": "port",
    "postgres.repository": "text",
    "postgres.tag": "text",
    "postgres.user": "text",
    "project.deployment": "text",
    "project.name": "name",
    "project.workspace": "text",
    "proxy.port": "port",
    "remote.base_image_registry": "text",
    "remote.client_registry": "text",
    "ruff.image": "text",
    "sha_as_tag": "truth",
    "show_warnings": "truth",
    "skip_parse": "truth",
    "telemetry.enabled": "truth",
    "verbosity": ("trace", "debug", "info", "warning", "warn", "error", "fatal", "panic"),
    "webserver.port": "port",
}


class ConfigFile(Document):
    """The configuration file of a project. What an edit is not about stays byte for byte what it was.

    Parameters
    ----------
    project : Project
        The project.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project, CONFIG_NAME)

    def values(self) -> dict[str, tuple[int, str]]:
        """Read what the file sets.

        Returns
        -------
        dict of str to (int, str)
            By dotted lower-case key, such as ``project.name``: the line, counted from 1, and the text. What has no
            value is left out.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text or no YAML.
        """
        document = read_yaml("".join(self._content(self.read()).lines), self.name)
        return {key: (line, scalar.text) for key, line, scalar in _scalars(document, document.root, "")}

    def plan_set(self, values: Mapping[str, str]) -> Change:
        """Plan to set values.

        Parameters
        ----------
        values : Mapping of str to str
            By dotted key, such as ``webserver.port``.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When the Astro CLI does not know a key, a key cannot have that value, or the file cannot be read or edited.
        InvalidPathError
            When a project name is none.
        """
        return self._plan({key.lower(): _scalar(key.lower(), value) for key, value in values.items()})

    def plan_remove(self, *keys: str) -> Change:
        """Plan to remove values, so that those of the home folder or the Astro CLI's own count again.

        Parameters
        ----------
        *keys : str
            Dotted keys.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When the file does not set one of them, or cannot be read or edited.
        """
        known = self.values()
        for key in keys:
            if key.lower() not in known:
                raise InvalidContentError(f"{self.name} does not set {key[:60]!r}.", hint=_did_you_mean(key, known))
        return self._plan(dict.fromkeys(key.lower() for key in keys))

    def set(self, values: Mapping[str, str], *, dry_run: bool = False) -> Change:
        """Set values: `plan_set` and `Project.edit` in one.

        Parameters
        ----------
        values : Mapping of str to str
            By dotted key.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_set` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_set(values), dry_run=dry_run)

    def remove(self, *keys: str, dry_run: bool = False) -> Change:
        """Remove values: `plan_remove` and `Project.edit` in one.

        Parameters
        ----------
        *keys : str
            Dotted keys.
        dry_run : bool, optional
            Only plan it.

        Raises
        ------
        ProjectError
            As `plan_remove` and `Project.edit`.
        """
        return self.project.edit(lambda: self.plan_remove(*keys), dry_run=dry_run)

    def _plan(self, values: Mapping[str, Scalar | None]) -> Change:
        before = self.read()
        content = self._content(before)
        document = read_yaml("".join(content.lines), self.name)
        there = {key: scalar for key, _, scalar in _scalars(document, document.root, "")}
        wanted = {key: value for key, value in values.items() if value is None or not _same(there.get(key), value)}
        text = with_values("".join(content.lines), wanted)
        title = f"{'set' if any(values.values()) else 'remove'} in {self.name}"
        return Change(title, (self._plan_lines(before, content, split_lines(text)),))


def _scalars(document: YamlText, mapping: MappingNode | None, prefix: str) -> Iterator[tuple[str, int, Scalar]]:
    for key, node in mapping.pairs if mapping is not None else []:
        name = f"{prefix}{key.text.lower()}"
        if isinstance(node, MappingNode):
            yield from _scalars(document, node, f"{name}.")
        elif isinstance(node, ScalarNode) and not is_null(node.value):
            yield name, document.line(key.start), node.value


def _same(old: Scalar | None, new: Scalar) -> bool:
    """Tell whether a value is there already; the Astro CLI reads a number in quotes as one without them."""
    return old is not None and old.text == new.text and (new.typed or not changes_in_go(old))


def _scalar(key: str, value: str) -> Scalar:
    """Check a value and give it the form in which it is written."""
    holds = KEYS.get(key)
    if holds is None:
        raise InvalidContentError(f"The Astro CLI has no setting {key[:60]!r}.", hint=_did_you_mean(key, KEYS))
    if holds == "text":
        return Scalar(value)
    if holds == "name":
        return Scalar(check_name(value))
    if holds == "truth":
        holds = ("true", "false")
    if isinstance(holds, tuple):
        if value not in holds:
            raise InvalidContentError(f"{key} cannot be {value[:60]!r}.", hint=f"It is one of: {', '.join(holds)}.")
        return Scalar(value, typed=value in {"true", "false"})
    highest = 65535 if holds == "port" else 10**9
    if not (value.isascii() and value.isdecimal() and len(value) < 10 and 1 <= int(value) <= highest):
        raise InvalidContentError(
            f"{key} cannot be {value[:60]!r}.",
            hint=f"It is a whole number from 1{' to 65535' if holds == 'port' else ' on'}.",
        )
    return Scalar(str(int(value)), typed=True)


def _did_you_mean(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key.lower(), known, n=1) or [
        name for name in known if key.lower() in name.split(".")
    ]
    return f"Did you mean {close[0]}?" if close else f"There are: {', '.join(sorted(known)) or 'none'}."
