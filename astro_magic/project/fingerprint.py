"""What a project's files said when its environment was started, and what is pending since.

A fingerprint is stored, so it holds no secret: values are kept as salted digests, and lines with their credentials
hidden. Comments, blank lines and spelling do not count.
"""

from __future__ import annotations

import difflib
import enum
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.dockerfile import instructions
from astro_magic.project.document import Document
from astro_magic.project.masking import mask_lines
from astro_magic.project.os_packages import OsPackages
from astro_magic.project.recipes.files import AUTHORITIES, KNOWN_HOSTS, PRIVATE_REQUIREMENTS
from astro_magic.system.files import read_bytes, write_atomic
from astro_magic.system.secrets import MASK

if TYPE_CHECKING:
    from astro_magic.project.project import Project
    from astro_magic.project.requirements.requirements import Requirements

__all__ = ["Action", "Fingerprint", "Pending", "Reason"]

_LONGEST_LINE = 100


class Action(enum.IntEnum):
    """What applies a change, from the least to the most."""

    NONE = 0
    IMPORT_OBJECTS = 1
    RECREATE = 2
    REBUILD = 3


@dataclass(frozen=True)
class Reason:
    """One change since the environment was started.

    Attributes
    ----------
    file : str
        The project file.
    detail : str
        What changed in it: ``line 3: pandas==2.2.3 → pandas==2.3.1``, ``+ duckdb==1.4.0``. Of environment variables
        only the names are told.
    action : Action
        What applies it.
    """

    file: str
    detail: str
    action: Action


@dataclass(frozen=True)
class Pending:
    """All changes since the environment was started."""

    reasons: tuple[Reason, ...] = ()

    @property
    def action(self) -> Action:
        """The least that applies all of them."""
        return max((reason.action for reason in self.reasons), default=Action.NONE)


@dataclass(frozen=True)
class _Item:
    """One thing that a file says.

    `key` tells what it is about, `shown` is fit for display, `digest` stands for all of it. `secret` is what the
    digest was made from; it is never stored, and missing in a stored fingerprint.
    """

    key: str
    line: int
    shown: str
    digest: str
    secret: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Fingerprint:
    """What the files of a project say.

    Attributes
    ----------
    salt : str
        What the digests are made with.
    items : Mapping of str to tuple
        What each file says, by the name of the file.
    """

    salt: str
    items: Mapping[str, tuple[_Item, ...]]

    @classmethod
    def take(cls, project: Project) -> Fingerprint:
        """Read what the files of a project say now.

        Raises
        ------
        FileAccessError
            When a file cannot be read.
        InvalidContentError
            When one is no UTF-8 text.
        """
        salt = secrets.token_hex(16)
        return cls(salt, {name: tuple(reader(project, salt)) for name, (reader, _, _) in _FILES.items()})

    def to_dict(self) -> dict[str, Any]:
        """Give the fingerprint as JSON-able data that holds no secret."""
        return {
            "salt": self.salt,
            "files": {
                name: [[item.key, item.line, item.shown, item.digest] for item in items]
                for name, items in self.items.items()
            },
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fingerprint:
        """Read a fingerprint from what `to_dict` gave.

        Raises
        ------
        InvalidContentError
            When the data has another form.
        """
        try:
            items = {
                str(name): tuple(_Item(str(key), int(line), str(shown), str(value)) for key, line, shown, value in rows)
                for name, rows in data["files"].items()
            }
            return cls(str(data["salt"]), items)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidContentError(
                f"The stored state of the project's files cannot be read: {error}.",
                hint="Restart the environment; that writes it anew.",
            ) from error

    @classmethod
    def stored(cls, project: Project) -> Fingerprint | None:
        """Give the fingerprint of what a project's environment was started with; None when there is none to be read."""
        try:
            return cls.from_dict(json.loads(_file(project).read_text(encoding="utf-8")))
        except (OSError, ValueError, InvalidContentError):
            return None

    def store(self, project: Project) -> None:
        """Keep the fingerprint as that of what runs.

        Raises
        ------
        FileAccessError
            When it cannot be written.
        """
        write_atomic(_file(project), json.dumps(self.to_dict()).encode(), mode=0o600)

    @staticmethod
    def forget(project: Project) -> None:
        """Remove what was kept."""
        _file(project).unlink(missing_ok=True)

    def pending(self, now: Fingerprint) -> Pending:
        """Tell what changed from this fingerprint to a newer one.

        Parameters
        ----------
        now : Fingerprint
            Just taken, or stored with the same salt.

        Returns
        -------
        Pending
            The changes, file by file.
        """
        reasons = []
        for name, (_, action, ordered) in _FILES.items():
            before = self.items.get(name, ())
            after = [self._salted(item, now.salt) for item in now.items.get(name, ())]
            details = _ordered_details(before, after) if ordered else _details(before, after)
            reasons += [Reason(name, detail, action) for detail in details]
        return Pending(tuple(reasons))

    def updated(self, now: Fingerprint, file: str) -> Fingerprint:
        """Give this fingerprint with what one file says now.

        Parameters
        ----------
        now : Fingerprint
            Just taken.
        file : str
            The file.
        """
        items = tuple(self._salted(item, now.salt) for item in now.items.get(file, ()))
        return Fingerprint(self.salt, {**self.items, file: items})

    def _salted(self, item: _Item, salt: str) -> _Item:
        """Give an item of another fingerprint with the digest that it has under this one's salt."""
        if salt == self.salt or item.secret is None:
            return item
        return _Item(item.key, item.line, item.shown, _digest(self.salt, item.secret), item.secret)


def _file(project: Project) -> Path:
    return project.state_dir / "started-with.json"


def _digest(salt: str, text: str) -> str:
    return hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()


def _item(salt: str, *, key: str, line: int, shown: str, secret: str) -> _Item:
    flat = " ".join(shown.split())
    short = flat if len(flat) <= _LONGEST_LINE else f"{flat[: _LONGEST_LINE - 1]}…"
    return _Item(key, line, short, _digest(salt, secret), secret)


def _read_requirements(project: Project, salt: str) -> Iterator[_Item]:
    return _read_requirement_files(project.requirements, salt)


def _read_private_requirements(project: Project, salt: str) -> Iterator[_Item]:
    return _read_requirement_files(project.private_requirements, salt)


def _read_requirement_files(root: Requirements, salt: str) -> Iterator[_Item]:
    for document in (root, *root.included()):
        place = "" if document.name == root.name else f"{document.name}: "
        for entry in document.entries():
            if entry.kind in {"blank", "comment"}:
                continue
            # The text itself may hold credentials, which the key must not.
            shown = place + mask_lines(document.name, [entry.text])[0]
            named = f"{entry.name} {entry.marker}".strip() if entry.name else ""
            key = place + (named or mask_lines(document.name, [entry.meaning])[0])
            yield _item(salt, key=key, line=entry.line, shown=shown, secret=entry.meaning)


def _read_known_hosts(project: Project, salt: str) -> Iterator[_Item]:
    for number, line in enumerate(Document(project, KNOWN_HOSTS).lines(), start=1):
        host, *key = line.split() or [""]
        if key:
            yield _item(salt, key=f"{host} {key[0]}", line=number, shown=f"{host} {key[0]}", secret=line)


def _read_authorities(project: Project, salt: str) -> Iterator[_Item]:
    for path in sorted((project.root / AUTHORITIES).rglob("*.crt")):
        name = path.relative_to(project.root).as_posix()
        yield _item(salt, key=name, line=0, shown=name, secret=read_bytes(path).decode(errors="replace"))


def _read_packages(project: Project, salt: str) -> Iterator[_Item]:
    for entry in OsPackages(project, "packages.txt").entries():
        if entry.text:
            key = " ".join(entry.names) or entry.text
            yield _item(salt, key=key, line=entry.line, shown=entry.text, secret=entry.text)


def _read_dockerfile(project: Project, salt: str) -> Iterator[_Item]:
    for instruction in instructions(Document(project, "Dockerfile").text()):
        text = f"{instruction.keyword} {instruction.arguments}"
        shown = " ".join(mask_lines("Dockerfile", text.split("\n")))
        yield _item(salt, key=instruction.keyword, line=instruction.line, shown=shown, secret=text)


def _read_dotenv(project: Project, salt: str) -> Iterator[_Item]:
    for key, value in project.dotenv.variables().items():
        yield _item(salt, key=key, line=0, shown=key, secret=value)


def _read_override(project: Project, salt: str) -> Iterator[_Item]:
    content = _without_comments(Document(project, "docker-compose.override.yml").lines())
    if content:
        yield _item(salt, key="services", line=0, shown="services", secret=content)


def _without_comments(lines: Iterable[str]) -> str:
    kept = [line.rstrip() for line in lines]
    return "\n".join(line for line in kept if line and not line.lstrip().startswith("#"))


def _read_settings(project: Project, salt: str) -> Iterator[_Item]:
    content = _without_comments(Document(project, "airflow_settings.yaml").lines())
    if content:
        yield _item(salt, key="objects", line=0, shown="objects", secret=content)


#: By file: how it is read, what applies a change to it, and whether the order of its lines counts.
_FILES = {
    "requirements.txt": (_read_requirements, Action.REBUILD, False),
    PRIVATE_REQUIREMENTS: (_read_private_requirements, Action.REBUILD, False),
    KNOWN_HOSTS: (_read_known_hosts, Action.REBUILD, False),
    AUTHORITIES: (_read_authorities, Action.REBUILD, False),
    "packages.txt": (_read_packages, Action.REBUILD, False),
    "Dockerfile": (_read_dockerfile, Action.REBUILD, True),
    ".env": (_read_dotenv, Action.RECREATE, False),
    "docker-compose.override.yml": (_read_override, Action.RECREATE, False),
    "airflow_settings.yaml": (_read_settings, Action.IMPORT_OBJECTS, False),
}


def _details(before: Iterable[_Item], after: Iterable[_Item]) -> Iterator[str]:
    """Tell the differences of two files whose order does not count."""
    old = _by_key(before)
    new = _by_key(after)
    for key, item in new.items():
        earlier = old.pop(key, None)
        if earlier is None:
            yield f"+ {item.shown}"
        elif earlier.digest != item.digest:
            yield _changed(earlier, item)
    for item in old.values():
        yield f"- {item.shown}"


def _by_key(items: Iterable[_Item]) -> dict[tuple[str, int], _Item]:
    found: dict[tuple[str, int], _Item] = {}
    for item in items:
        # The same key may stand there several times; the first is compared with the first, and so on.
        count = 0
        while (item.key, count) in found:
            count += 1
        found[item.key, count] = item
    return found


def _ordered_details(before: Sequence[_Item], after: Sequence[_Item]) -> Iterator[str]:
    """Tell the differences of two files whose order counts."""
    old, new = [item.digest for item in before], [item.digest for item in after]
    for tag, start, end, new_start, new_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        paired = min(end - start, new_end - new_start)
        for offset in range(paired):
            yield _changed(before[start + offset], after[new_start + offset])
        for item in before[start + paired : end]:
            yield f"- {item.shown}"
        for item in after[new_start + paired : new_end]:
            yield f"+ {item.shown}"


def _changed(before: _Item, after: _Item) -> str:
    if before.shown != after.shown:
        return f"line {after.line}: {before.shown} → {after.shown}"
    if MASK in after.shown:
        return f"line {after.line}: {after.shown} with another credential"
    return f"line {after.line}: {after.shown} changed" if after.line else f"changed {after.shown}"
