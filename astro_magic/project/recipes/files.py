"""The files that recipes write beside the Dockerfile: private repositories, keys of hosts, certificates."""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import FileChange
from astro_magic.project.document import Document
from astro_magic.project.recipes.repository import Repository, parse_repository
from astro_magic.project.requirements.lines import RequirementLine
from astro_magic.project.requirements.requirements import Requirements

if TYPE_CHECKING:
    from astro_magic.project.project import Project

__all__ = [
    "AUTHORITIES",
    "KNOWN_HOSTS",
    "PRIVATE_REQUIREMENTS",
    "SSH_CONFIG",
    "KnownHosts",
    "PrivateRequirements",
    "key_of",
    "plan_authorities",
]

PRIVATE_REQUIREMENTS = "private-requirements.txt"
KNOWN_HOSTS = "private-known-hosts"
SSH_CONFIG = "private-ssh-config"
#: The folder of the certificate authorities that the project trusts.
AUTHORITIES = "certificates"

_COMPANY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ENDS = "\r\n"


class PrivateRequirements(Requirements):
    """The packages of private git repositories, in ``private-requirements.txt``.

    Parameters
    ----------
    project : Project
        The project.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project, PRIVATE_REQUIREMENTS)

    def repositories(self) -> tuple[Repository, ...]:
        """Read which repositories the file names; other lines are passed over.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return tuple(found for entry in self.entries() if (found := _repository(entry)) is not None)

    def has_others(self) -> bool:
        """Tell whether the file names packages in other ways, too, such as with a marker.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return any(each.kind not in {"blank", "comment"} and _repository(each) is None for each in self.entries())

    def plan_repositories(
        self, repositories: Sequence[Repository], hosts: Mapping[str, str] = MappingProxyType({})
    ) -> FileChange:
        """Plan that the file names these repositories; one that it names already gets its line changed.

        Parameters
        ----------
        repositories : sequence of Repository
            The repositories.
        hosts : Mapping of str to str, optional
            Hosts by the aliases that stand for them.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        before = self.read()
        content = self._content(before)
        lines = list(content.lines)
        missing = {key_of(repository, hosts): repository for repository in repositories}
        for entry in reversed(self.entries()):
            there = _repository(entry)
            wanted = missing.pop(key_of(there, hosts), None) if there is not None else None
            if there is None or wanted is None:
                continue
            if not wanted.name:
                wanted = replace(wanted, name=there.name, extras=there.extras)
            if wanted != there:
                start, end = entry.line - 1, entry.line - 1 + entry.length
                last = lines[end - 1]
                lines[start:end] = [f"{wanted.requirement}{entry.comment}{last[len(last.rstrip(_ENDS)) :]}"]
        new = [repository.requirement for repository in missing.values()]
        return self._plan_lines(before, content, _with_lines(lines, new, content.line_end))

    def plan_without(self, gone: Collection[Repository], hosts: Mapping[str, str] = MappingProxyType({})) -> FileChange:
        """Plan that the file names these repositories no more; when it says nothing else, it is removed.

        Parameters
        ----------
        gone : collection of Repository
            The repositories, whatever their reference.
        hosts : Mapping of str to str, optional
            Hosts by the aliases that stand for them.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text, or names one of them not.
        """
        before = self.read()
        content = self._content(before)
        lines = list(content.lines)
        keys = {key_of(repository, hosts): repository for repository in gone}
        found = set()
        for entry in reversed(self.entries()):
            there = _repository(entry)
            if there is not None and key_of(there, hosts) in keys:
                found.add(key_of(there, hosts))
                del lines[entry.line - 1 : entry.line - 1 + entry.length]
        for key in keys.keys() - found:
            known = ", ".join(each.shown for each in self.repositories())
            raise InvalidContentError(
                f"{self.name} does not name {keys[key].shown}.", hint=f"It names: {known or 'nothing'}."
            )
        if keys and not any(line.strip() for line in lines):
            return self.plan_delete()
        return self._plan_lines(before, content, lines)


class KnownHosts(Document):
    """The keys by which hosts are known, in the format of OpenSSH (``sshd(8)``, "SSH_KNOWN_HOSTS FILE FORMAT").

    Parameters
    ----------
    project : Project
        The project.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(project, KNOWN_HOSTS)

    def plan_keys(self, keys: Sequence[str]) -> FileChange:
        """Plan that the file has these lines; those that it has of the same hosts go.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        before = self.read()
        content = self._content(before)
        wanted = dict.fromkeys(line.strip() for line in keys if line.strip())
        hosts = {_host(line) for line in wanted}
        if wanted.keys() == {line.strip() for line in content.lines if _host(line) in hosts}:
            return self._plan_lines(before, content, content.lines)
        kept = [line for line in content.lines if _host(line) not in hosts]
        return self._plan_lines(before, content, _with_lines(kept, wanted, content.line_end))

    def plan_without(self, hosts: Collection[str]) -> FileChange:
        """Plan that the file has the keys of some hosts no more; when it says nothing else, it is removed.

        Parameters
        ----------
        hosts : collection of str
            Each as `SshAccess.known_as` names it.

        Raises
        ------
        FileAccessError
            When the file cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        before = self.read()
        content = self._content(before)
        kept = [line for line in content.lines if _host(line) not in hosts]
        if len(kept) < len(content.lines) and not any(line.strip() for line in kept):
            return self.plan_delete()
        return self._plan_lines(before, content, kept)


def key_of(repository: Repository, hosts: Mapping[str, str]) -> str:
    """Tell what makes two repositories the same, with the hosts that aliases stand for."""
    return replace(repository, host=hosts.get(repository.host, repository.host)).key


def plan_authorities(project: Project, company: str, files: Mapping[str, bytes]) -> tuple[FileChange, ...]:
    """Plan that the project has certificates of a company, each in a file of its own.

    Parameters
    ----------
    project : Project
        The project.
    company : str
        The name of their folder: letters, digits, ``-`` and ``_``.
    files : Mapping of str to bytes
        By the name of the file, without an ending: the certificate, in PEM form. A name has letters, digits, ``-``,
        ``_`` and dots.

    Raises
    ------
    FileAccessError
        When a file cannot be read.
    InvalidContentError
        When the company's name cannot be the name of a folder, or that of a file not one.
    """
    if not _COMPANY.fullmatch(company):
        raise InvalidContentError(
            f"{company[:60]!r} cannot be the name of a folder of certificates.",
            hint="Use letters, digits, - and _, as in --company acme.",
        )
    for name in files:
        if not _FILE.fullmatch(name):
            raise InvalidContentError(
                f"{name[:60]!r} cannot be the name of a certificate's file.", hint="Use letters, digits, -, _ and dots."
            )
    return tuple(
        project.file(posixpath.join(AUTHORITIES, company, f"{name}.crt")).plan_bytes(pem) for name, pem in files.items()
    )


def _repository(entry: RequirementLine) -> Repository | None:
    if entry.kind in {"requirement", "location"}:
        with contextlib.suppress(InvalidContentError):
            return parse_repository(entry.text)
    return None


def _host(line: str) -> str:
    return next(iter(line.split()), "")


def _with_lines(lines: Sequence[str], new: Iterable[str], line_end: str) -> list[str]:
    """Give lines with others behind them, each of which gets its end."""
    added = [f"{line}{line_end}" for line in new]
    if added and lines and not lines[-1].endswith("\n"):
        return [*lines[:-1], f"{lines[-1]}{line_end}", *added]
    return [*lines, *added]
