"""SSH keys: whether one can be used by a process that can ask nobody, and which ones an agent has."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import stat
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from astro_magic.errors import CommandFailedError, FileAccessError, InvalidContentError
from astro_magic.private.fingerprints import fingerprint_of
from astro_magic.private.ssh_tools import run_tool
from astro_magic.system import files
from astro_magic.system.secrets import mask_credentials

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

__all__ = ["SshKey", "agent_keys", "default_key", "read_key"]

_DEFAULT_NAMES = ("id_ed25519", "id_ecdsa", "id_rsa")
_MAKE = "Make a key with: ssh-keygen -t ed25519"
#: No key is longer; what is, is a file of another kind.
_MOST_BYTES = 100_000
_PUBLIC = re.compile(
    rb"\s*(?:ssh-|ecdsa-sha2-|sk-(?:ssh|ecdsa)-|---- BEGIN SSH2 PUBLIC KEY|-----BEGIN [A-Z ]*PUBLIC KEY)"
)
_PRIVATE = re.compile(rb"-----BEGIN (?P<form>[A-Z ]*)PRIVATE KEY-----")
_PUTTY = re.compile(rb"\s*PuTTY-User-Key-File-")
_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
_END = b"\n-----END OPENSSH PRIVATE KEY-----\n"
#: The curves that SSH has, see RFC 5656.
_CURVES = ("nistp256", "nistp384", "nistp521")


@dataclass(frozen=True)
class SshKey:
    """A private key that ssh can log in with.

    Attributes
    ----------
    path : Path
        Its file.
    kind : str
        As SSH names it: ``ssh-ed25519``, ``ecdsa-sha2-nistp256``, ``ssh-rsa``.
    fingerprint : str
        Of its public half, as OpenSSH shows it: ``SHA256:...``.
    """

    path: Path
    kind: str
    fingerprint: str


def read_key(path: Path) -> SshKey:
    """Check that a file is a private key that ssh can use without asking anybody.

    The forms that ssh reads are OpenSSH's own, and for RSA and ECDSA also PEM and PKCS #8. OpenSSH's form is held to
    what OpenSSH itself asks of it, which is stricter than the library that reads it here.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    FileAccessError
        When it does not exist, is no file, cannot be read, or when others may read it, which ssh refuses.
    InvalidContentError
        When it is no private key, one of another program, one that ssh cannot read, or one with a passphrase.
    """
    with contextlib.suppress(RuntimeError):
        path = path.expanduser()
    with files.guard(path, "read"):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise FileAccessError(f"Cannot read {path}: it is no file.", hint="Name the file of a private key.")
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise InvalidContentError(f"{path} is no private key: it is too long for one.", hint=_MAKE)
    data = files.read_bytes(path)
    _check_form(path, data)
    _check_mode(path)
    key = _load(path, data)
    kind, blob = _public(path, key)
    return SshKey(path, kind, fingerprint_of(blob))


def default_key(home: Path | None = None) -> Path | None:
    """Give the first of the keys that exists which ssh takes by itself; None when there is none.

    Parameters
    ----------
    home : Path, optional
        The home folder; this user's by default.
    """
    folder = (Path.home() if home is None else home) / ".ssh"
    return next((folder / name for name in _DEFAULT_NAMES if (folder / name).is_file()), None)


def agent_keys() -> tuple[str, ...]:
    """Ask the agent that ``SSH_AUTH_SOCK`` names which keys it has, by ``ssh-add -l``.

    Returns
    -------
    tuple of str
        Their fingerprints, as ``SHA256:...``; at least one.

    Raises
    ------
    CommandFailedError
        When ssh-add is not installed, no agent answers, or it has no key.
    """
    start = (
        'Start one with: eval "$(ssh-agent)"; then add a key with ssh-add, in the shell that Jupyter is started from.'
    )
    if not os.environ.get("SSH_AUTH_SOCK") and sys.platform != "win32":
        raise CommandFailedError("There is no SSH agent: SSH_AUTH_SOCK is not set.", hint=start)
    done = run_tool(["ssh-add", "-l", "-E", "sha256"], timeout=15.0)
    found = tuple(re.findall(r"^\d+ (SHA256:\S+)", done.output, re.MULTILINE))
    if found:
        return found
    said = mask_credentials((done.errors or done.output).strip())
    if done.code == 1:
        raise CommandFailedError("The SSH agent has no keys.", hint="Add one with: ssh-add FILE", detail=said)
    raise CommandFailedError("The SSH agent that SSH_AUTH_SOCK names does not answer.", hint=start, detail=said)


def _check_form(path: Path, data: bytes) -> None:
    if _PUTTY.match(data):
        other = path.with_name(f"{path.stem}_openssh")
        hint = f"Convert it with: puttygen {_quoted(path)} -O private-openssh -o {_quoted(other)}"
        raise InvalidContentError(f"{path} is a key in PuTTY's form, which ssh does not read.", hint=hint)
    private = _PRIVATE.search(data)
    if private is None and _PUBLIC.match(data):
        private_one = str(path.with_suffix("")) if path.suffix == ".pub" else "a file beside it, without .pub"
        hint = f"Name the private one: {private_one}"
        raise InvalidContentError(f"{path} is a public key; what logs in is the private one.", hint=hint)
    if private is None:
        raise InvalidContentError(f"{path} holds no private key.", hint=_MAKE)
    if private["form"] == b"OPENSSH " and (not data.startswith(_BEGIN) or _END not in data or b"\r" in data):
        why = "its lines end as on Windows" if b"\r" in data else "something is missing or too much around its lines"
        hint = "Between the lines BEGIN and END, both included, nothing may change; the last one ends with a line feed."
        raise InvalidContentError(f"ssh cannot read the key {path}: {why}.", hint=hint)


def _check_mode(path: Path) -> None:
    """Refuse what ssh refuses: a key of one's own that others may read."""
    if sys.platform == "win32":
        return
    with files.guard(path, "read"):
        status = path.stat()
    if status.st_uid == os.getuid() and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        reason = f"Others may read the key {path} (mode {stat.S_IMODE(status.st_mode):04o}), which ssh refuses."
        raise FileAccessError(reason, hint=f"chmod 600 {_quoted(path)}")


def _load(path: Path, data: bytes) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    load = load_ssh_private_key if data.startswith(_BEGIN) else load_pem_private_key
    try:
        with warnings.catch_warnings():
            # Of a kind that is about to be given up; what ssh makes of it is judged below.
            warnings.simplefilter("ignore")
            return load(data, None)
    except UnsupportedAlgorithm:
        _refuse_kind(path, "of a kind that cannot be used here, such as one that needs a device")
    except (TypeError, ValueError) as problem:
        # Of what is damaged, some versions say that a password might be wrong.
        if isinstance(problem, TypeError) or "password-protected" in str(problem):
            hint = f"Unlock it for an agent with: ssh-add {_quoted(path)}; then use --agent."
            message = f"The key {path} is protected by a passphrase, and nobody can be asked for it."
            raise InvalidContentError(message, hint=hint) from None
        # Without the library's words, which may quote what it read.
        raise InvalidContentError(f"{path} is a private key that cannot be read: it is damaged.", hint=_MAKE) from None


def _public(path: Path, key: PrivateKeyTypes) -> tuple[str, str]:
    """Give the kind and the public half of a key, as they stand in a file of OpenSSH."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey)):
        _refuse_kind(path, "of a kind that ssh does not log in with")
    try:
        kind, blob = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode().split()[:2]
    except ValueError:
        _refuse_kind(path, f"on a curve that ssh does not have; it has {', '.join(_CURVES)}")
    if kind == "ssh-ed25519" and _BEGIN not in files.read_bytes(path):
        _refuse_kind(path, "of the kind Ed25519 in the form PKCS #8, which ssh reads only since OpenSSH 9.6")
    return kind, blob


def _refuse_kind(path: Path, what: str) -> NoReturn:
    raise InvalidContentError(f"The key {path} is {what}.", hint=_MAKE)


def _quoted(path: Path) -> str:
    return shlex.quote(os.fspath(path))
