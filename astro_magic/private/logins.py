"""The logins of private indexes: read from where the project says that they are, and kept nowhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

from astro_magic.errors import EngineError, InvalidContentError
from astro_magic.project.recipes.sources import PackageIndex
from astro_magic.system import keyrings

__all__ = ["Login", "keep_password", "login_of", "netrc_of", "url_with_login"]

_ENVIRONMENT = "env:"
_QUOTED = re.compile(r'(["\\])')


@dataclass(frozen=True)
class Login:
    """A login.

    Attributes
    ----------
    user : str
        The user's name.
    password : str
        The password or token.
    """

    user: str
    password: str = field(repr=False)


def login_of(index: PackageIndex) -> Login | None:
    """Give the login of an index; None when it asks for none.

    Parameters
    ----------
    index : PackageIndex
        The index, which says where its login is.

    Raises
    ------
    InvalidContentError
        When a variable is not set, or the keyring has no such entry or cannot be read.
    """
    if not index.asks:
        return None
    return Login(_value(index, "user", index.user), _value(index, "password", index.password))


def keep_password(index: str, value: str) -> str:
    """Keep a password that was typed: in the keyring, or else in this process alone.

    Parameters
    ----------
    index : str
        The name of its index.
    value : str
        The password.

    Returns
    -------
    str
        What stands for it: ``keyring:NAME`` or ``env:NAME``.
    """
    try:
        return keyrings.keep(f"private-index-{index}", value)
    except EngineError:
        name = f"PRIVATE_INDEX_{re.sub('[^A-Z0-9]', '_', index.upper())}_PASSWORD"
        os.environ[name] = value
        return f"{_ENVIRONMENT}{name}"


def netrc_of(indexes: Iterable[PackageIndex]) -> str:
    """Set the logins of indexes as a netrc file, as Python's ``netrc`` reads it.

    Raises
    ------
    InvalidContentError
        When a login is not there, or has a line break in it; or when two indexes on one host have different ones.
    """
    known: dict[str, Login] = {}
    for index in indexes:
        login = login_of(index)
        if login is None:
            continue
        if known.setdefault(index.host, login) != login:
            raise InvalidContentError(
                f"Two private indexes on {index.host} have different logins, and pip keeps one for each host.",
                hint="Use a login that may read both, or an index that serves the packages of both.",
            )
    return "".join(
        f"machine {host} login {_word(login.user)} password {_word(login.password)}\n" for host, login in known.items()
    )


def url_with_login(index: PackageIndex) -> str:
    """Give the address of an index with its login, as the documented build argument has it.

    Raises
    ------
    InvalidContentError
        When the login is not there.
    """
    login = login_of(index)
    if login is None:
        return index.url
    parts = urlsplit(index.url)
    server = f"{quote(login.user, safe='')}:{quote(login.password, safe='')}@{parts.netloc}"
    return urlunsplit(parts._replace(netloc=server))


def _value(index: PackageIndex, what: str, reference: str) -> str:
    if keyrings.is_kept(reference):
        try:
            return keyrings.kept_value(reference)
        except EngineError as problem:
            raise InvalidContentError(
                f"The {what} of the private index {index.name} is not at hand. {problem.message}", hint=problem.hint
            ) from problem
    if not reference.startswith(_ENVIRONMENT):
        return reference
    name = reference.removeprefix(_ENVIRONMENT)
    value = os.environ.get(name)
    if not value:
        raise InvalidContentError(
            f"The {what} of the private index {index.name} is to come from the environment variable {name}, which is"
            " not set.",
            hint=f"Set it where the notebook is started; or run %astro_private_index {index.url} --password-prompt.",
        )
    return value


def _word(text: str) -> str:
    """Write a word of a netrc file; without quotes where it can be, since Pythons before 3.11 know none there."""
    if any(letter in text for letter in "\r\n\0"):
        raise InvalidContentError("A login with a line break in it cannot be given to pip.", hint="Check its value.")
    if text and not re.search(r'[\s"\\]', text):
        return text
    escaped = _QUOTED.sub(r"\\\1", text)
    return f'"{escaped}"'
