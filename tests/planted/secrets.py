"""Secrets that no output may hold, and the forms in which they would be found there."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus

__all__ = ["SECRETS", "forms_of", "found_in"]

#: By where each is planted. Random, so that none of them is in anything by chance.
SECRETS: Mapping[str, str] = {
    ".env: password": "Rk7vQz1LmXw9",
    ".env: password with signs": "p@9S:k/%2wQ&z\"x'T\\ü1",
    ".env: token": "tq_8Zr4NcUe6HsYb0",
    ".env: connection, URI": "Wm3/xG@u:5Ky%Lq7",
    ".env: connection, URI, extra": "Vn6jDs2Fp8Ct",
    ".env: connection, JSON": "Hb\"4yR'e\\9oAi#2k",
    ".env: connection, JSON, extra": "Jd5uTf0Gx3Mz",
    ".env: variable": "Qy8cLw1Bn7Ek",
    ".env: variable, JSON": "Xs2rPv9Ah4Uj",
    "settings: password": "Nz7&hW@3gD:x'0Rv",
    "settings: URI": "Cf6sKo8Ym1Tq",
    "settings: extra": "Bu3wEj5Zi9Lp",
    "settings: private key": "MIIEvQr8XcTb2NwYk6HfLs0Ga4Vd",
    "settings: variable": 'Gt1x"Mh7Oe4Sn',
    "settings: variable, JSON": "Ua9dIr2Pk6Wz",
    "settings: extra of a provider": "Yp5mCv8Qj3Xb",
    "requirements: login": "Ev4nHy7Ft0Ro",
    "Dockerfile: ARG": "Lk2bSg6Wu9Zd",
    "Dockerfile: ENV": "Oi8fTj1Mx5Ac",
    "config: password": "Dw7qNe3Kh0Vy",
    "keyring": "Sr6z:Ul@2Bp/9Gt",
    "backend: connection": "Ix4oJc8Ef1Hm",
    "backend: variable": "Zt0aYn5Rs7Dk",
    "kernel: variable": "Fb9lPq4Ow2Ju",
    "typed": "Ke1hGv6Xr8Ti",
}


def found_in(text: str, secrets: Mapping[str, str] = SECRETS) -> list[str]:
    """Name the secrets that a text holds, in whatever form, with what stands around each.

    Parameters
    ----------
    text : str
        What came out.
    secrets : Mapping of str to str, optional
        The secrets by what they are called here.
    """
    found = []
    for name, secret in secrets.items():
        match = re.search("|".join(map(re.escape, forms_of(secret))), text)
        if match is not None:
            found.append(f"{name}: …{text[max(0, match.start() - 120) : match.end() + 40]}…")
    return found


def forms_of(secret: str) -> tuple[str, ...]:
    """Give a secret as it is, within a URL, in JSON, quoted by Python, in HTML, and in base64 wherever that begins."""
    return tuple(dict.fromkeys(form for form in _forms(secret) if form))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    for encoded in (quote(secret), quote(secret, safe=""), quote_plus(secret)):
        yield from (encoded, re.sub("%..", lambda sign: sign[0].lower(), encoded))
    yield from (json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (repr(secret)[1:-1], repr(secret.encode())[2:-1], repr([secret, "'"])[2:-6])
    yield from (html.escape(secret), html.escape(secret, quote=False))
    for shift in range(3):
        yield from _encoded(secret.encode(), shift)


def _encoded(secret: bytes, shift: int) -> Iterable[str]:
    """Give the signs of base64 that depend on the secret alone when `shift` other bytes stand before it."""
    whole = base64.b64encode(b"\0" * shift + secret).decode()
    core = whole[(0, 2, 3)[shift] : (shift + len(secret)) // 3 * 4]
    return core, core.replace("+", "-").replace("/", "_")
