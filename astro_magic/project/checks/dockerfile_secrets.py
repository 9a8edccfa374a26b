"""Checks of the Dockerfile for secrets that would stay in the image: values, logins of URLs, private keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from astro_magic.project.checks.finding import Finding
from astro_magic.project.dockerfile.commands import installs
from astro_magic.project.dockerfile.copies import copied
from astro_magic.project.dockerfile.lines import Assignment, DockerfileEntry, assignments
from astro_magic.project.dockerfile.stages import Stages
from astro_magic.project.dockerfile.words import plain
from astro_magic.project.recipes.documented import INDEX_VARIABLES
from astro_magic.system.secrets import is_reference, is_secret_name, logins_in_urls

__all__ = ["check_secrets"]

_FILE = "Dockerfile"
_INDEX_HINT = "%astro_private_index URL mounts the login while it is needed."
_VALUE_HINT = "Set it in .env, or give it to the build with RUN --mount=type=secret."
_MOUNT_HINT = "Give it to the step with RUN --mount=type=secret."
#: The password of an index that uv knows by its name.
_INDEX_PASSWORD = re.compile(r"UV_INDEX_\w+_PASSWORD")
#: A name without a password in front of a host is a token only when it is long.
_TOKEN_LENGTH = 16
_SSH_KEY = re.compile(r"id_(?:rsa|dsa|ecdsa|ed25519)(?!.*\.pub$).*", re.DOTALL)
#: What a file of the kind .pem is called that holds a key: a word of its name, or the end of one.
_KEY_WORDS = re.compile(r"(?:private|priv|ssh|rsa|deploy|host|server|client|tls|ssl)?key")


def check_secrets(entries: Sequence[DockerfileEntry], stages: Stages) -> Iterator[Finding]:
    """Check a Dockerfile for secrets that would stay in the image.

    Parameters
    ----------
    entries : sequence of DockerfileEntry
        The Dockerfile.
    stages : Stages
        How its stages build on each other.
    """
    told: set[tuple[int | None, str]] = set()
    for entry in entries:
        for found in assignments(entry) if entry.keyword in {"ENV", "ARG"} else ():
            for finding in _value(entry, found, entries, stages):
                # An ENV mostly passes on what the ARG above it was given.
                if finding.check != "index-login-in-image" or (entry.stage, found.key) not in told:
                    told.add((entry.stage, found.key))
                    yield finding
        if entry.keyword == "RUN":
            yield from _run(entry, stages)
        yield from _keys(entry, stages)


def _value(
    entry: DockerfileEntry, found: Assignment, entries: Sequence[DockerfileEntry], stages: Stages
) -> Iterator[Finding]:
    value = plain(found.value or "", entry.escape)
    # A number or a switch is no secret, such as that of SSH_KEY_BITS; nor is the class of a BACKEND.
    harmless = not value or is_reference(value) or value.isdigit() or value.lower() in {"true", "false"}
    if is_secret_name(found.key) and not harmless and not found.key.endswith("_BACKEND"):
        message = f"{found.key} looks like a secret, and all who have the image can read its value."
        yield Finding("secret-in-image", "warning", message, _VALUE_HINT, _FILE, entry.line)
        return
    # Above the first FROM it is for the FROMs alone, unless a stage asks for it by its name.
    if entry.stage is None and not _asked_for(found.key, entries):
        return
    written = _has_login(value)
    if found.key in INDEX_VARIABLES or _INDEX_PASSWORD.fullmatch(found.key):
        if written or (entry.stage is not None and _is_given(entry, value)):
            what = f"The login in {found.key}" if written else f"What is given to {found.key}"
            message = f"{what} {_where(entry, stages)}."
            yield Finding("index-login-in-image", "warning", message, _INDEX_HINT, _FILE, entry.line)
    elif written:
        message = f"{found.key} has a URL with a login, and all who have the image can read it."
        yield Finding("secret-in-image", "warning", message, _VALUE_HINT, _FILE, entry.line)


def _asked_for(key: str, entries: Sequence[DockerfileEntry]) -> bool:
    return any(
        found.key == key and found.value is None
        for entry in entries
        if entry.keyword == "ARG" and entry.stage is not None
        for found in assignments(entry)
    )


def _is_given(entry: DockerfileEntry, value: str) -> bool:
    """Tell whether the build gives a variable its value, or the login in it."""
    if not value:
        return entry.keyword == "ARG"
    logins = (re.split(r"[/\s]", rest, maxsplit=1)[0].rpartition("@")[0] for rest in value.split("://")[1:])
    return value.startswith("$") or any("$" in login for login in logins)


def _has_login(text: str) -> bool:
    """Tell whether a text has a URL with a password or a token in it, written out."""
    for scheme, name, password in logins_in_urls(text) if "@" in text else ():
        token = not password and scheme.endswith(("http", "https")) and len(name) >= _TOKEN_LENGTH
        secret = password or (name if token else "")
        if secret and "$" not in secret and not secret.startswith("<"):
            return True
    return False


def _where(entry: DockerfileEntry, stages: Stages) -> str:
    if entry.stage is None or entry.stage in stages.final:
        return "stays in the image's history, where all who have the image can read it"
    return "stays in the builder's cache, in the history of this stage"


def _run(entry: DockerfileEntry, stages: Stages) -> Iterator[Finding]:
    if not _has_login(entry.arguments):
        return
    found = installs(entry)
    # With the documented steps, the login of a git repository is none of an index.
    index = any(_has_login(word) and "git+" not in word for install in found for word in install.arguments)
    message = f"The login in a URL of this RUN {_where(entry, stages)}."
    if index:
        yield Finding("index-login-in-image", "warning", message, _INDEX_HINT, _FILE, entry.line)
    else:
        yield Finding("secret-in-image", "warning", message, _MOUNT_HINT, _FILE, entry.line)


def _keys(entry: DockerfileEntry, stages: Stages) -> Iterator[Finding]:
    copy = copied(entry)
    if copy is None:
        return
    named = [source for source in copy.sources if _is_key(source) or _is_folder_of_keys(source)]
    named += [copy.target] if _is_key(copy.target) else []
    if not named:
        return
    message = f"{entry.keyword} brings {named[0]}, which looks like a private key, into "
    hint = "Mount it while it is needed: RUN --mount=type=ssh, or RUN --mount=type=secret,id=NAME."
    if entry.stage in stages.final:
        message += "the image; it stays in a layer even when it is removed later."
        yield Finding("ssh-key-copied", "error", message, hint, _FILE, entry.line)
    else:
        message += "a stage, which the builder keeps in its cache."
        yield Finding("ssh-key-copied", "warning", message, hint, _FILE, entry.line)


def _is_key(path: str) -> bool:
    name = PurePosixPath(path).name
    if _SSH_KEY.fullmatch(name):
        return True
    words = re.split(r"[-_.*\d]+", name.lower())
    return words[-1] == "pem" and "pub" not in name.lower() and any(_KEY_WORDS.fullmatch(word) for word in words)


def _is_folder_of_keys(path: str) -> bool:
    return PurePosixPath(path).name == ".ssh" or path.rstrip("/").endswith(".ssh/*")
