"""Hide secret values in the lines of project files, for everything that a person gets to see.

Where a file may hold secrets anywhere (``.env``, ``airflow_settings.yaml``), only what is known to be harmless is
shown; elsewhere, what looks like a credential is hidden.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from astro_magic.project.dockerfile.lines import LogicalLine, assignments, parse
from astro_magic.project.dotenv.lines import assignments as assignments_of_variables
from astro_magic.system.secrets import MASK, is_reference, is_secret_name, mask_credentials

__all__ = ["is_environment_file", "is_private", "mask_lines"]

_SAFE_SETTING = re.compile(
    r"^(?P<start>\s*(?:-\s+)*)(?P<key>airflow|connections|pools|variables|conn_id|conn_type|conn_host|conn_schema"
    r"|conn_login|conn_port|conn_team|pool_name|pool_slot|pool_description|pool_include_deferred|pool_team|variable_name"
    r"|variable_team)\s*:(?P<value>\s.*)?$",
)
_INNER_SETTING = re.compile(r"^\s*(?:\[(?!\]\s*(?:#.*)?$)|\{(?!\}\s*(?:#.*)?$))|,\s*[\"']?\w+[\"']?\s*:")
_SETTING = re.compile(r"^(?P<start>\s*(?:-\s+)*)(?P<key>[\w\"'-]+)\s*:(?P<value>.*)$")
_ASSIGNMENT = re.compile(r"^(?P<key>\s*(?:export\s+)?[A-Za-z_][\w.-]*\s*=)(?P<value>.*)$")

#: Longer files are masked anew each time, so that what is kept of them takes no room.
_MOST_KEPT = 20_000


def is_environment_file(name: str) -> bool:
    """Tell whether a project file holds environment variables: ``.env``, or a ``*.env`` file."""
    last = name.rpartition("/")[2]
    return last.endswith(".env") or last.startswith(".env.")


def is_private(name: str) -> bool:
    """Tell whether a project file is there to hold secrets, so that a new one is closed to other users."""
    return is_environment_file(name) or name == "airflow_settings.yaml"


def mask_lines(name: str, lines: Sequence[str]) -> list[str]:
    """Give the lines of a file with its secrets hidden, one for one.

    Parameters
    ----------
    name : str
        The project file, which decides on the rules.
    lines : sequence of str
        All of its lines, from the first on, without line ends.

    Returns
    -------
    list of str
        As many lines.
    """
    masked = _masked if len(lines) < _MOST_KEPT else _masked.__wrapped__
    return list(masked(name, tuple(lines)))


@functools.lru_cache(maxsize=16)
def _masked(name: str, lines: tuple[str, ...]) -> Sequence[str]:
    """Hide the secrets of a file. A difference is shown as text and as HTML, and the next one begins where it ended."""
    if is_environment_file(name):
        shown = [_mask_environment_line(line) for line in lines]
        for found in assignments_of_variables(lines):
            # A line inside of a value may look like anything.
            shown[found.line + 1 : found.line + found.length] = [MASK] * (found.length - 1)
        return shown
    if name == "airflow_settings.yaml":
        return _mask_settings(lines)
    if name.rpartition("/")[2].startswith("Dockerfile"):
        return [_mask_line(line) for line in _mask_dockerfile(lines)]
    return [_mask_line(line) for line in lines]


@functools.lru_cache(maxsize=8192)
def _mask_line(line: str) -> str:
    """Hide what looks like a credential. After an edit, most lines of a file are the same."""
    return mask_credentials(line)


def _mask_environment_line(line: str) -> str:
    stripped = line.strip()
    if not stripped:
        return line
    if stripped.startswith("#"):
        # A comment is shown, unless it is a variable that was commented out.
        before, equals, _ = line.partition("=")
        return f"{before}={MASK}" if equals else line
    match = _ASSIGNMENT.match(line)
    if match is None:
        return MASK
    return f"{match['key']}{MASK}" if match["value"].strip() else line


def _mask_dockerfile(lines: Sequence[str]) -> list[str]:
    """Hide the values of keys whose names say that they are secret, over all the lines that a value stands on."""
    shown = list(lines)
    for entry in parse(lines):
        # From the last to the first, so that what is hidden does not move what is still to be.
        for found in reversed(assignments(entry)):
            if not found.value or not is_secret_name(found.key) or is_reference(found.value):
                continue
            physical = entry.raw.split("\n")
            logical = LogicalLine(physical, entry.escape)
            first, start = logical.position(found.end - len(found.value))
            last, end = logical.position(found.end - 1)
            for line in range(first, last + 1):
                place = entry.line - 1 + line
                before = physical[line][:start] if line == first else ""
                after = shown[place][end + 1 :] if line == last else ""
                shown[place] = f"{before}{MASK}{after}"
    return shown


def _mask_settings(lines: Sequence[str]) -> list[str]:
    shown = []
    secret_indent: int | None = None
    for line in lines:
        stripped = line.strip()
        indent = len(line) - len(line.lstrip())
        if not stripped:
            shown.append(line)
            continue
        if secret_indent is not None and indent > secret_indent:
            shown.append(" " * indent + MASK)
            continue
        secret_indent = None
        if stripped.startswith("#"):
            shown.append(_mask_settings_comment(line))
            continue
        safe = _SAFE_SETTING.match(line)
        # A mapping or list in braces may hold anything, secrets included; so may a line in the middle of one.
        if safe is not None and not _INNER_SETTING.search(safe["value"] or ""):
            shown.append(mask_credentials(line))
            continue
        setting = _SETTING.match(line)
        if setting is None:
            shown.append(" " * indent + MASK)
            continue
        secret_indent = len(setting["start"])
        value = f" {MASK}" if setting["value"].strip() else ""
        shown.append(f"{setting['start']}{setting['key']}:{value}")
    return shown


def _mask_settings_comment(line: str) -> str:
    """Hide the value of a setting that was commented out."""
    before, colon, after = line.partition(":")
    if not after.strip() or _SAFE_SETTING.match(line.lstrip(" #")):
        return mask_credentials(line)
    return f"{before}{colon} {MASK}"
