"""A certificate authority of the tests' own, what it signed, and what a person may take for it by mistake."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

__all__ = ["Authority", "Certificate"]

_LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_NOT_SO_LONG_AGO = dt.datetime(2021, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Certificate:
    """What a server shows that it is.

    Attributes
    ----------
    chain : Path
        Its certificate, as PEM.
    key : Path
        The private key of that.
    """

    chain: Path
    key: Path


class Authority:
    """A certificate authority that only tests trust.

    Parameters
    ----------
    folder : Path
        Where its files are.

    Attributes
    ----------
    pem : Path
        Its certificate: whoever trusts this file trusts the servers.
    der : Path
        The same in binary form, which most programs do not take.
    expired : Path
        The certificate that it had before, with the same name and key; its time is over.
    stranger : Path
        The certificate of another authority, which signed none of the servers.
    no_authority : Path
        The certificate of a server: it may sign nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA(organization_name="Acme Tests")
        self.pem = self._write("authority.pem", self._authority.cert_pem.bytes())
        self.der = self._write("authority.der", ssl.PEM_cert_to_DER_cert(self.pem.read_text()))
        self.expired = self._write("expired-authority.pem", self._before())
        self.stranger = self._write("stranger.pem", trustme.CA().cert_pem.bytes())
        self.no_authority = self.certificate("no-authority.test").chain

    def certificate(self, *names: str) -> Certificate:
        """Sign a certificate for a server.

        Parameters
        ----------
        *names : str
            Its names and addresses.
        """
        return self._keep(self._authority.issue_cert(*names), "-".join(names))

    def expired_certificate(self, *names: str) -> Certificate:
        """Sign a certificate whose time is over."""
        signed = self._authority.issue_cert(*names, not_before=_LONG_AGO, not_after=_NOT_SO_LONG_AGO)
        return self._keep(signed, "-".join(("expired", *names)))

    def _keep(self, signed: trustme.LeafCert, name: str) -> Certificate:
        chain = b"".join(part.bytes() for part in signed.cert_chain_pems)
        return Certificate(
            self._write(f"{name}.pem", chain), self._write(f"{name}.key", signed.private_key_pem.bytes())
        )

    def _before(self) -> bytes:
        now = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())
        before = (
            x509.CertificateBuilder()
            .subject_name(now.subject)
            .issuer_name(now.issuer)
            .public_key(now.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_LONG_AGO)
            .not_valid_after(_NOT_SO_LONG_AGO)
        )
        for extension in now.extensions:
            before = before.add_extension(extension.value, extension.critical)
        key = load_pem_private_key(self._authority.private_key_pem.bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return before.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path
