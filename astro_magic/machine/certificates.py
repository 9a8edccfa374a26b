"""Whether the certificate files that environment variables name can be used."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from astro_magic.machine.result import CheckResult

__all__ = ["Bundle", "check_certificates", "read_bundle"]

_NAME = "certificates"
_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO")
_FOLDERS = "SSL_CERT_DIR"
#: These may name a folder as well as a file.
_EITHER = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", _FOLDERS)
#: A system's own bundle may keep an old root that nothing is signed with any more; a file of one's own should not.
_OWN_BUNDLE = 20
_HINT = "Point it to certificates in PEM form, or unset it."
_ENDINGS = {".0", ".cer", ".crt", ".pem"}


@dataclass(frozen=True)
class Bundle:
    """What a file of certificates holds.

    Attributes
    ----------
    certificates : int
        How many there are.
    expired : tuple of str
        The names of those that have expired.
    """

    certificates: int
    expired: tuple[str, ...] = ()


def check_certificates(environment: Mapping[str, str] | None = None) -> Iterator[CheckResult]:
    """Read each certificate file that is set; without one, tools use the system's or their own.

    Parameters
    ----------
    environment : mapping, optional
        The environment variables; this process's by default.
    """
    environment = os.environ if environment is None else environment
    # Variables that name the same place have the same thing wrong with them, and it is said once.
    places: dict[str, list[str]] = {}
    for name in (*_FILES, _FOLDERS):
        if environment.get(name):
            places.setdefault(environment[name], []).append(name)
    good = []
    for place, variables in places.items():
        result = _look(", ".join(variables), place, variables)
        if result.state == "good":
            good.append(result.detail)
        else:
            yield result
    if good or not places:
        yield CheckResult(_NAME, "good", "; ".join(good) or "no variable names any; the system's own are used")


def read_bundle(file: Path) -> Bundle:
    """Read a file of certificates in PEM form.

    Parameters
    ----------
    file : Path
        The file.

    Raises
    ------
    ssl.SSLError
        When it holds no certificate, or one that cannot be read.
    OSError
        When it cannot be opened.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cafile=os.fspath(file))
    now = time.time()
    expired = tuple(
        _subject(certificate)
        for certificate in context.get_ca_certs()
        if ssl.cert_time_to_seconds(str(certificate["notAfter"])) < now
    )
    return Bundle(context.cert_store_stats()["x509"], expired)


def _look(who: str, place: str, variables: Sequence[str]) -> CheckResult:
    """Judge one value."""
    folders = [Path(folder) for folder in place.split(os.pathsep)]
    if variables == [_FOLDERS] or (folders[0].is_dir() and all(name in _EITHER for name in variables)):
        return _look_at_folders(who, folders)
    try:
        bundle = read_bundle(Path(place))
    except ssl.SSLError:
        return CheckResult(_NAME, "bad", f"{who}: {place} holds no certificates in PEM form that can be read", _HINT)
    except OSError as problem:
        return CheckResult(_NAME, "bad", f"{who}: {place} cannot be read: {problem.strerror}", _HINT)
    whole = f"{bundle.certificates} certificate{'' if bundle.certificates == 1 else 's'}"
    useless = len(bundle.expired) == bundle.certificates
    if bundle.expired and (useless or bundle.certificates <= _OWN_BUNDLE):
        detail = f"{who}: {len(bundle.expired)} of {whole} in {place} expired: {', '.join(bundle.expired[:3])}"
        hint = "Ask whoever runs the network for the new certificate, and replace the file."
        return CheckResult(_NAME, "bad" if useless else "warning", detail, hint)
    return CheckResult(_NAME, "good", f"{who}: {whole}")


def _look_at_folders(who: str, folders: Sequence[Path]) -> CheckResult:
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        return CheckResult(_NAME, "bad", f"{who}: there is no folder {missing[0]}", _HINT)
    named = os.pathsep.join(str(folder) for folder in folders)
    if not any(entry.suffix in _ENDINGS for folder in folders for entry in folder.iterdir()):
        return CheckResult(_NAME, "bad", f"{who}: {named} has no certificates in it", _HINT)
    return CheckResult(_NAME, "good", f"{who}: {named}")


def _subject(certificate: Mapping[str, object]) -> str:
    """Give the name that a certificate is for, its common name if it has one."""
    subject = certificate.get("subject")
    parts = [pair for group in subject for pair in group] if isinstance(subject, tuple) else []
    names = dict(parts)
    return str(names.get("commonName") or names.get("organizationName") or "a certificate without a name")
