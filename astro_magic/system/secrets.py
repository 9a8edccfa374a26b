"""Keep secrets out of everything that is shown, logged or stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = [
    "MASK",
    "SHORT",
    "is_reference",
    "is_secret_name",
    "json_tree",
    "leaves",
    "logins_in_urls",
    "mask_credentials",
    "mask_named",
    "mask_url_credentials",
    "named_secrets",
    "passwords_in_urls",
]

#: Stands for a hidden value, whatever its length.
MASK = "••••••"
#: Shorter secrets may be a part of other words by chance, in base64 all the more.
SHORT = 8

#: Lengths are bounded: in a megabyte of letters, each could be the first of a scheme, and each colon that of a login.
_URL_CREDENTIALS = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,30}://)(?P<credentials>[^\s/:@\"']{0,1000}"
    r"(?::[^\s/\"']{0,4000}|:[^\s@\"']{0,4000})?)@"
)
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIAL|AIRFLOW_CONN_|SQL_ALCHEMY_CONN", re.IGNORECASE)
_SECRET_ASSIGNMENT = re.compile(
    r"(?P<name>\b\w{0,200}(?:password|passwd|secret|token|api_?key|private_?key|access_?key|credential|_key\b)\w{0,200})"
    r"(?P<equals>[\"']?\s*(?:=(?!=)|:)\s*)(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"',;]+)",
    re.IGNORECASE,
)
#: Tokens that tell by their form what they are: of AWS, GitHub, GitLab, Slack, Stripe, OpenAI; JWT; private keys.
_TOKEN = re.compile(
    r"\b(?:A[KS]IA[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}"
    r"|[rs]k_(?:live|test)_\w{10,}|sk-[\w-]{16,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----(?:.*?-----END [A-Z ]*PRIVATE KEY-----|.*)",
    re.DOTALL,
)


def mask_url_credentials(text: str) -> str:
    """Hide user names and passwords in URLs; references to environment variables (``${TOKEN}``) stay."""
    return _URL_CREDENTIALS.sub(
        lambda match: (
            match[0]
            if is_reference(match["credentials"]) or match["credentials"] == "git"
            else f"{match['scheme']}{MASK}@"
        ),
        text,
    )


def mask_credentials(text: str) -> str:
    """Hide the logins of URLs, and values given to a name that says they are secret; references stay."""
    return _SECRET_ASSIGNMENT.sub(
        lambda match: match[0] if is_reference(match["value"]) else f"{match['name']}{match['equals']}{MASK}",
        mask_url_credentials(text),
    )


def mask_named(name: str, text: str) -> str:
    """Hide a value by what it is called, and what is secret in it where it is JSON or not.

    Parameters
    ----------
    name : str
        What it is called.
    text : str
        The value.
    """
    if not text:
        return text
    if is_secret_name(name):
        return MASK
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return json.dumps(_mask_tree(json.loads(text)), ensure_ascii=False)
        except (ValueError, RecursionError):
            return _TOKEN.sub(MASK, mask_credentials(text))
    return _TOKEN.sub(MASK, mask_credentials(text))


def _mask_tree(tree: Any, name: str = "") -> Any:
    if name and tree not in (None, "", [], {}) and is_secret_name(name):
        return MASK
    if isinstance(tree, dict):
        return {key: _mask_tree(value, str(key)) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_mask_tree(value) for value in tree]
    return mask_named("", tree) if isinstance(tree, str) else tree


def passwords_in_urls(text: str) -> Iterator[str]:
    """Give the passwords in the logins of URLs, and logins without one, which are tokens; references are left out."""
    for _, login, password in logins_in_urls(text):
        yield password or login


def logins_in_urls(text: str) -> Iterator[tuple[str, str, str]]:
    """Give the logins of URLs, each as the URL's scheme, the name and the password; references are left out."""
    for match in _URL_CREDENTIALS.finditer(text):
        login, _, password = match["credentials"].partition(":")
        if not is_reference(password or login) and match["credentials"] != "git":
            yield match["scheme"].removesuffix("://").lower(), login, password


def named_secrets(tree: Any, name: str = "") -> Iterator[str]:
    """Give the texts in a tree, as JSON has it, that stand below a name that says they are secret.

    Parameters
    ----------
    tree : object
        Mappings, lists and values; a text that is JSON itself is looked into.
    name : str, optional
        What it is called.
    """
    if isinstance(tree, str):
        yield from leaves(tree) if is_secret_name(name) else (found[0] for found in _TOKEN.finditer(tree))
        yield from passwords_in_urls(tree)
        # Of a whole connection in JSON not all is secret.
        yield from named_secrets(json_tree(tree), name if tree.lstrip()[:1] == "[" else "")
    elif name and is_secret_name(name):
        yield from leaves(tree)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from named_secrets(value, str(key))
    elif isinstance(tree, list):
        for value in tree:
            yield from named_secrets(value)


def leaves(tree: Any) -> Iterator[str]:
    """Give all texts in a tree; one of several lines is given line by line as well, since outputs are lines."""
    if isinstance(tree, dict):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from leaves(value)
    elif isinstance(tree, str):
        yield tree
        lines = tree.splitlines()
        yield from (line.strip() for line in lines if len(lines) > 1 and _tells(line))


def _tells(line: str) -> bool:
    """Tell whether a line of a longer secret is one by itself, and not a head that all of its kind have."""
    return len(line.strip()) >= SHORT and not line.strip().startswith("-----")


def json_tree(text: str) -> Any:
    """Give what a text says that is a JSON object or list; None for any other text."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def is_secret_name(name: str) -> bool:
    """Tell whether a variable's name says that its value is secret."""
    return _SECRET_NAME.search(name) is not None


def is_reference(value: str) -> bool:
    """Tell whether a value only refers to environment variables, as in ``${USER}:${TOKEN}``."""
    return re.fullmatch(r"(?:\$\{\w+\}|\$\w+|:|[\"'])+", value) is not None
