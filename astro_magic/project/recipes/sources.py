"""Where a project's private packages come from: ``.astro/private-packages.yaml``.

The file says which login belongs to which index, and which key to which git host, by the names of environment
variables, entries of the keyring and key files. It holds no secret, and goes into git, so that whoever builds the
project knows what is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import FileChange, split_lines
from astro_magic.project.config import SOURCES_NAME
from astro_magic.project.document import Document
from astro_magic.project.yaml.edits import YamlEdit
from astro_magic.project.yaml.text import MappingNode, Node, ScalarNode, YamlText, read_yaml
from astro_magic.project.yaml.values import Scalar, Value

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = ["AGENT", "NAME", "PackageIndex", "PrivateSources", "SourcesFile", "SshAccess", "index_name"]

#: The file, as a POSIX path relative to the project.
NAME = SOURCES_NAME
#: What stands in the place of a key file when the SSH agent has the key.
AGENT = "agent"

_INDEXES = "indexes"
_KEYS = "keys"
_COMMENT = "# Where private packages come from. Logins and keys are named here; none of them stands here.\n"
_INDEX_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_REFERENCE = re.compile(r"(?:env|keyring):.+")
_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PACKAGE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# What may stand on a line of a shell in quotes; a variable or a login may not.
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]!&()*+,;=%-]+")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*")


@dataclass(frozen=True)
class PackageIndex:
    """A private package index.

    Attributes
    ----------
    name : str
        Lower-case letters, digits and ``-``.
    url : str
        Of its simple API, without a login.
    user : str
        The user's name, or where it comes from: ``env:NAME`` or ``keyring:NAME``; empty when it asks for none.
    password : str
        Where the password comes from: ``env:NAME`` or ``keyring:NAME``; empty when it asks for none.
    only : tuple of str
        Packages that are taken from this index alone, by canonical name.
    """

    name: str
    url: str
    user: str = ""
    password: str = ""
    only: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host that it is on, without a port: what a netrc file names it by."""
        return urlsplit(self.url).hostname or ""

    @property
    def asks(self) -> bool:
        """Whether it asks for a login."""
        return bool(self.password)


@dataclass(frozen=True)
class SshAccess:
    """The key for a git host.

    Attributes
    ----------
    id : str
        The name under which builds get the key.
    host : str
        The host.
    port : int or None
        Its port, where it is not 22.
    key : str
        A file, which may begin with ``~``; ``agent`` when the SSH agent has the key.
    alias : str
        What repositories write for the host, where it is not its name: another key for the same host.
    """

    id: str
    host: str
    port: int | None = None
    key: str = AGENT
    alias: str = ""

    @property
    def known_as(self) -> str:
        """The name of its host in a ``known_hosts`` file."""
        return f"[{self.host}]:{self.port}" if self.port else self.host

    @property
    def written(self) -> str:
        """What repositories write for the host."""
        return self.alias or self.host


@dataclass(frozen=True)
class PrivateSources:
    """All places that private packages come from."""

    indexes: tuple[PackageIndex, ...] = ()
    keys: tuple[SshAccess, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.indexes or self.keys)

    def index(self, name: str) -> PackageIndex | None:
        """Give the index of a name; None when there is none."""
        return next((each for each in self.indexes if each.name == name), None)

    def key(self, name: str) -> SshAccess | None:
        """Give the key of an id; None when there is none."""
        return next((each for each in self.keys if each.id == name), None)

    def with_index(self, index: PackageIndex) -> PrivateSources:
        """Give the sources with an index, in the place of the one of its name if there is one.

        Raises
        ------
        InvalidContentError
            When another index of the same host has another login.
        """
        others = [each for each in self.indexes if each.name != index.name and each.asks and each.host == index.host]
        if index.asks and any((each.user, each.password) != (index.user, index.password) for each in others):
            raise InvalidContentError(
                f"The index {others[0].name} is on {index.host}, too, with another login; pip knows one for each host.",
                hint=f"Give {index.name} the login of {others[0].name}, or remove that index.",
            )
        listed = [index if each.name == index.name else each for each in self.indexes]
        return replace(self, indexes=(*listed, *(() if index in listed else (index,))))

    def with_key(self, access: SshAccess) -> PrivateSources:
        """Give the sources with a key, in the place of the one of its id if there is one.

        Raises
        ------
        InvalidContentError
            When there is another key for the same host.
        """
        for each in self.keys:
            if each.id != access.id and each.written == access.written:
                raise InvalidContentError(
                    f"For {each.written} there is the key {each.id} already.",
                    hint=f"Use that key, or give {access.id} an alias: another name for the host, as for another user.",
                )
        listed = [access if each.id == access.id else each for each in self.keys]
        return replace(self, keys=(*listed, *(() if access in listed else (access,))))


class SourcesFile(Document):
    """The file that says where private packages come from. What an edit is not about stays as it was.

    Parameters
    ----------
    project : Project
        The project.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project, NAME)

    def sources(self) -> PrivateSources:
        """Read the file.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        InvalidContentError
            When it is no YAML, or says something else than it can.
        """
        return _read("".join(self._content(self.read()).lines))

    def plan(self, sources: PrivateSources) -> tuple[FileChange, ...]:
        """Plan that the file says this; without any source, it is removed.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        InvalidContentError
            When what it holds now cannot be read or edited, or it cannot say this.
        """
        before = self.read()
        if not sources:
            return (self.plan_delete(),) if before is not None else ()
        content = self._content(before)
        text = "".join(content.lines) or _COMMENT
        _read(text)
        wanted: Mapping[str, Mapping[str, Mapping[str, str]]] = {
            _INDEXES: {each.name: _fields_of_index(each) for each in sources.indexes},
            _KEYS: {each.id: _fields_of_key(each) for each in sources.keys},
        }
        result = _with_sections(text, wanted)
        _read(result)
        return (self._plan_lines(before, content, split_lines(result)),)


def index_name(url: str) -> str:
    """Give the name of an index that was given none: from its host, ``pypi.acme.com`` is ``acme``.

    Parameters
    ----------
    url : str
        Its address.
    """
    host = urlsplit(url).hostname or ""
    labels = [label for label in host.split(".") if label not in {"pypi", "pip", "python", "packages", "www", "index"}]
    label = host.replace(".", "-").replace(":", "-") if host.replace(".", "").isdigit() or ":" in host else labels[0]
    name = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    return name or "private"


def _fields_of_index(index: PackageIndex) -> dict[str, str]:
    fields = {"url": index.url, "user": index.user, "login": index.password, "only": " ".join(index.only)}
    return {name: value for name, value in fields.items() if value}


def _fields_of_key(key: SshAccess) -> dict[str, str]:
    fields = {"host": key.host, "port": str(key.port or ""), "key": key.key, "alias": key.alias}
    return {name: value for name, value in fields.items() if value}


_WRITE = "%astro_private_git and %astro_private_index write this file."
_LOGIN = "Write env:NAME for an environment variable, or keyring:NAME for an entry of the keyring."


def _read(text: str) -> PrivateSources:
    document = read_yaml(text, NAME)
    for key, _ in document.root.pairs if document.root is not None else ():
        if key.text not in {_INDEXES, _KEYS}:
            _refuse_unknown(document, "", key, (_INDEXES, _KEYS))
    indexes = [_index(document, name, node) for name, node in _section(document, _INDEXES)]
    keys = [_key(document, name, node) for name, node in _section(document, _KEYS)]
    return PrivateSources(tuple(indexes), tuple(keys))


def _index(document: YamlText, name: str, node: Node) -> PackageIndex:
    fields = _fields(document, name, node, ("url", "user", "login", "only"))
    if not _INDEX_NAME.fullmatch(name):
        document.refuse(
            "has an index whose name cannot be one", node.start, hint="Use small letters, digits and -, as in acme."
        )
    url = fields.get("url", "")
    if not _URL.fullmatch(url) or not _has_host(url):
        hint = "Write url: https://pypi.acme.com/simple/, without a login; that goes under user and login."
        document.refuse(f"has no address of the index {name} that can be one", node.start, hint=hint)
    login, user = fields.get("login", ""), fields.get("user", "")
    if not login.isprintable() or (login and not _REFERENCE.fullmatch(login)):
        document.refuse(f"does not say where the login of {name} comes from", node.start, hint=_LOGIN)
    if not user.isprintable() or user != user.strip():
        document.refuse(f"has a user of {name} that can be none", node.start, hint=_LOGIN)
    only = tuple(fields.get("only", "").split())
    if not all(_PACKAGE.fullmatch(each) for each in only):
        hint = "Write their names in small letters, with - and with blanks in between: only: acme-core acme-data."
        document.refuse(f"names packages of {name} that can be none", node.start, hint=hint)
    return PackageIndex(name, url, user, login, only)


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _key(document: YamlText, name: str, node: Node) -> SshAccess:
    fields = _fields(document, name, node, ("host", "port", "key", "alias"))
    if not _KEY_NAME.fullmatch(name):
        document.refuse(
            "has a key whose name cannot be one", node.start, hint="Use letters, digits, -, _ and dots, as in github."
        )
    for field in ("host", "alias"):
        if (field in fields or field == "host") and not _HOST.fullmatch(fields.get(field, "")):
            document.refuse(f"has no {field} of the key {name} that can be one", node.start, hint=_WRITE)
    if not fields.get("key", "").strip() or not fields["key"].isprintable():
        hint = "Write key: and a file such as ~/.ssh/id_ed25519, or key: agent for one that the SSH agent has."
        document.refuse(f"does not say where the key {name} is", node.start, hint=hint)
    port = fields.get("port", "")
    if port and not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536):
        document.refuse(f"has a port for {name} that is none", node.start, hint="A port is a number up to 65535.")
    return SshAccess(name, fields["host"], int(port) if port else None, fields["key"], fields.get("alias", ""))


def _section(document: YamlText, name: str) -> list[tuple[str, Node]]:
    found = document.root.find(name) if document.root is not None else None
    node = found[1] if found is not None else None
    if node is None or _is_empty(node):
        return []
    if not isinstance(node, MappingNode):
        document.refuse(f"has something else than names under {name}", node.start, hint=_WRITE)
    return [(key.text, inner) for key, inner in node.pairs]


def _fields(document: YamlText, name: str, node: Node, known: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(node, MappingNode):
        document.refuse(f"says nothing of {name[:60]}", node.start, hint=f"Write under it: {', '.join(known)}.")
    fields = {}
    for key, value in node.pairs:
        if key.text not in known:
            _refuse_unknown(document, f" of {name[:60]}", key, known)
        if not isinstance(value, ScalarNode):
            document.refuse(
                f"has something else than a text as {key.text} of {name[:60]}",
                value.start,
                hint="Write it on one line.",
            )
        if not _is_empty(value):
            fields[key.text] = value.text
    return fields


def _refuse_unknown(document: YamlText, of: str, key: ScalarNode, known: tuple[str, ...]) -> NoReturn:
    document.refuse(
        f"says{of} what is not known: {key.text[:60]}", key.start, hint=f"There may stand: {', '.join(known)}."
    )


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.text


def _with_sections(text: str, sections: Mapping[str, Mapping[str, Mapping[str, str]]]) -> str:
    """Make the sections of a text hold these entries, each with these fields."""
    document = YamlText(text, NAME)
    edit = YamlEdit(document)
    values: dict[str, Value | None] = {}
    for section, entries in sections.items():
        if entries:
            there = dict(_section(document, section))
            values[section] = {name: _scalars(fields, there.get(name)) for name, fields in entries.items()}
        elif document.root is not None and document.root.find(section) is not None:
            values[section] = None
    edit.put(document.root, values)
    return edit.result()


def _scalars(fields: Mapping[str, str], there: Node | None) -> dict[str, Value]:
    """Give fields as they are written; what is there already stays as it is written, with quotes or without."""
    pairs = there.pairs if isinstance(there, MappingNode) else []
    written = {key.text: value.value for key, value in pairs if isinstance(value, ScalarNode)}
    found: dict[str, Value] = {}
    for name, text in fields.items():
        before = written.get(name)
        found[name] = before if before is not None and before.text == text else Scalar(text, typed=name == "port")
    return found
