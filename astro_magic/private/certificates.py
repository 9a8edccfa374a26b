"""The certificates of a company's own authorities, which are to get into an image."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from astro_magic.errors import InvalidContentError
from astro_magic.system import files

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["Certificate", "read_authorities"]

_BLOCK = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.DOTALL
)
_BEGIN = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_ASK = "Ask whoever runs the network or the server for the certificate of the authority, in PEM form."
#: What other forms of files with certificates are converted with, by the ending of their names.
_CONVERSIONS = {
    ".p7b": "openssl pkcs7 -print_certs",
    ".p7c": "openssl pkcs7 -print_certs",
    ".p12": "openssl pkcs12 -cacerts -nokeys",
    ".pfx": "openssl pkcs12 -cacerts -nokeys",
}


@dataclass(frozen=True)
class Certificate:
    """A certificate of an authority.

    Attributes
    ----------
    subject, issuer : str
        Whose it is and who signed it, as RFC 4514 writes names: ``CN=Example Root,O=Example Corp``.
    not_before, not_after : datetime
        From when to when it is valid, with time zone.
    is_ca : bool
        Whether it may sign others.
    fingerprint : str
        The SHA-256 of the certificate, in hexadecimal with colons, as OpenSSL shows it.
    pem : bytes
        The certificate in PEM form, with a line feed at its end.
    """

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    is_ca: bool
    fingerprint: str
    pem: bytes = field(repr=False)


def read_authorities(path: Path, *, now: datetime | None = None) -> tuple[Certificate, ...]:
    """Read a file with certificates of authorities, in PEM or in DER form.

    Parameters
    ----------
    path : Path
        The file. In PEM form it may have several certificates, and text around them.
    now : datetime, optional
        The time, with time zone, at which they have to be valid; now by default.

    Returns
    -------
    tuple of Certificate
        At least one; each certificate once, in the order of the file.

    Raises
    ------
    FileAccessError
        When the file does not exist or cannot be read.
    InvalidContentError
        When it holds no certificate, one that cannot be read, one that is no authority's, has expired or is not valid
        yet; or a private key, which would get into the image.
    """
    with contextlib.suppress(RuntimeError):
        path = path.expanduser()
    data = files.read_bytes(path)
    if _PRIVATE.search(data):
        hint = "Name a file that has only the certificates; what gets into an image can be read by all who have it."
        raise InvalidContentError(f"{path} holds a private key, which would get into the image.", hint=hint)
    now = now or datetime.now(tz=UTC)
    found: dict[str, Certificate] = {}
    for place, certificate in _read(path, data):
        _judge(place, certificate, now)
        found.setdefault(certificate.fingerprint, certificate)
    return tuple(found.values())


def _read(path: Path, data: bytes) -> Iterator[tuple[str, Certificate]]:
    """Give the certificates of a file, each with the place where it stands."""
    from cryptography import x509

    blocks = list(_BLOCK.finditer(data))
    if len(blocks) != len(_BEGIN.findall(data)):
        raise InvalidContentError(f"{path} has a certificate without an end: it was cut off.", hint=_ASK)
    if not blocks:
        try:
            yield str(path), _certificate(x509.load_der_x509_certificate, data)
        except ValueError as problem:
            tool = _CONVERSIONS.get(path.suffix.lower())
            hint = f"Convert it with: {tool} -in {path.name} -out {path.stem}.pem" if tool else _ASK
            raise InvalidContentError(f"{path} holds no certificate.", hint=hint) from problem
    for number, block in enumerate(blocks, start=1):
        line = data.count(b"\n", 0, block.start()) + 1
        place = f"{path}, line {line}" if len(blocks) == 1 else f"{path}, certificate {number} (line {line})"
        try:
            yield place, _certificate(x509.load_pem_x509_certificate, block[0])
        except ValueError as problem:
            raise InvalidContentError(f"{place}: the certificate is damaged.", hint=_ASK) from problem


def _certificate(load: Callable[[bytes], x509.Certificate], data: bytes) -> Certificate:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    with warnings.catch_warnings():
        # Of old forms that are about to be given up; old authorities have them.
        warnings.simplefilter("ignore")
        read = load(data)
        return Certificate(
            subject=read.subject.rfc4514_string() or "a certificate without a name",
            issuer=read.issuer.rfc4514_string() or "an authority without a name",
            not_before=read.not_valid_before_utc,
            not_after=read.not_valid_after_utc,
            is_ca=_is_authority(read),
            fingerprint=read.fingerprint(SHA256()).hex(":").upper(),
            pem=read.public_bytes(Encoding.PEM),
        )


def _is_authority(read: x509.Certificate) -> bool:
    """Tell whether a certificate may sign others; one of the first version, without extensions, if it signed itself."""
    from cryptography import x509

    try:
        if not read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return read.version == x509.Version.v1 and read.subject == read.issuer
    try:
        return read.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _judge(place: str, certificate: Certificate, now: datetime) -> None:
    if not certificate.is_ca:
        message = f"{place}: {certificate.subject} is no certificate of an authority, so nothing can be trusted by it."
        hint = f"Ask for the certificate of the authority that signed it, {certificate.issuer}."
        if certificate.issuer == certificate.subject:
            hint = "It signed itself; ask for one that an authority signed, and for the certificate of that authority."
        raise InvalidContentError(message, hint=hint)
    if now > certificate.not_after:
        message = f"{place}: {certificate.subject} expired on {certificate.not_after:%Y-%m-%d}."
        raise InvalidContentError(message, hint=_ASK)
    if now < certificate.not_before:
        message = f"{place}: {certificate.subject} is valid only from {certificate.not_before:%Y-%m-%d} on."
        raise InvalidContentError(message, hint="Check the clock of this machine, or ask for the certificate in use.")
