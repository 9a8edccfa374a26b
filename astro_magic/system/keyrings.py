"""Values that the operating system's keyring keeps: ``keyring:NAME`` in a file of the project stands for one."""

from __future__ import annotations

from types import ModuleType

from astro_magic.errors import EngineError

__all__ = ["PREFIX", "has", "is_kept", "keep", "kept_value", "reference"]

#: What a value begins with that stands in the keyring; the name of its entry follows.
PREFIX = "keyring:"
#: The service under which keyrings list the entries.
_SERVICE = "astro-magic"


def is_kept(value: object) -> bool:
    """Tell whether a value stands for one in the keyring."""
    return isinstance(value, str) and value.startswith(PREFIX) and len(value) > len(PREFIX)


def reference(name: str) -> str:
    """Give what stands for an entry of the keyring in a file."""
    return f"{PREFIX}{name}"


def has(name: str) -> bool:
    """Tell whether the keyring has an entry.

    Raises
    ------
    EngineError
        When it cannot be read.
    """
    return _read(name) is not None


def keep(name: str, value: str) -> str:
    """Put a value into the keyring; gives what stands for it in a file.

    Parameters
    ----------
    name : str
        The name of the entry; another value that it had is replaced.
    value : str
        The value.

    Raises
    ------
    EngineError
        When there is no keyring that takes it.
    """
    keyring = _library(f"{name} cannot be kept in the keyring")
    try:
        keyring.set_password(_SERVICE, name, value)
    except keyring.errors.KeyringError as problem:
        raise _unusable(problem) from problem
    return reference(name)


def kept_value(value: str) -> str:
    """Give what a reference stands for.

    Raises
    ------
    EngineError
        When the keyring has no such entry, or cannot be read.
    """
    name = value.removeprefix(PREFIX)
    found = _read(name)
    if found is None:
        raise EngineError(
            f"The keyring has no entry {name} of the service {_SERVICE}.",
            hint=f"Make it: python -m keyring set {_SERVICE} {name}",
        )
    return found


def _read(name: str) -> str | None:
    keyring = _library(f"The value keyring:{name} cannot be read")
    try:
        value: str | None = keyring.get_password(_SERVICE, name)
    except keyring.errors.KeyringError as problem:
        raise _unusable(problem) from problem
    return value


def _library(problem: str) -> ModuleType:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise EngineError(
            f"{problem}: the package keyring is not installed.",
            hint="Install it beside Astro Magic: pip install keyring",
        ) from None
    return keyring


def _unusable(problem: Exception) -> EngineError:
    return EngineError(
        f"The keyring cannot be used: {str(problem).splitlines()[0] if str(problem) else type(problem).__name__}",
        hint="keyring needs a desktop's keyring, or another backend that is set with PYTHON_KEYRING_BACKEND.",
    )
