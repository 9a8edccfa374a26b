"""The fingerprints of SSH keys, as OpenSSH shows them."""

from __future__ import annotations

import base64
import binascii
import hashlib

__all__ = ["fingerprint_of"]


def fingerprint_of(key: str) -> str:
    """Give the fingerprint of a public key: ``SHA256:`` and the digest in base64 without padding.

    Parameters
    ----------
    key : str
        The key in base64, as it stands in files of OpenSSH.

    Raises
    ------
    ValueError
        When it is no base64.
    """
    try:
        blob = base64.b64decode(key, validate=True)
    except binascii.Error as problem:
        raise ValueError(str(problem)) from problem
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"
