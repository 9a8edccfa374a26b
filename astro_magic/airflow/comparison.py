"""Compare what an object is to be with what the REST API tells of it, which hides and reformats some of it."""

from __future__ import annotations

import hmac
import json
import os
from collections.abc import Iterable, Mapping
from enum import IntEnum
from hashlib import blake2b
from typing import Any

__all__ = ["MASKED", "Agreement", "compare", "is_masked", "make_record", "record_fields", "record_matches", "same_json"]

#: What Airflow writes in place of a secret.
MASKED = "***"


class Agreement(IntEnum):
    """How two values stand to each other; of several, the largest says how the objects do."""

    SAME = 0
    #: They may be the same: the API hides a part.
    UNSEEN = 1
    DIFFERENT = 2


def compare(wanted: Mapping[str, Any], seen: Mapping[str, Any]) -> Agreement:
    """Compare the fields that an object is to have.

    Parameters
    ----------
    wanted : Mapping of str to Any
        By field: the value that it is to have.
    seen : Mapping of str to Any
        The object as the API tells it. A field that is missing is one that it never tells.
    """
    found = [_field(name, value, seen[name]) if name in seen else Agreement.UNSEEN for name, value in wanted.items()]
    return max(found, default=Agreement.SAME)


def is_masked(value: Any) -> bool:
    """Tell whether a value that was read hides something."""
    return isinstance(value, str) and MASKED in value


def _field(name: str, wanted: Any, seen: Any) -> Agreement:
    if wanted in (None, "") or seen in (None, ""):
        if name == "value" and is_masked(seen):
            # Of a variable that is called like a secret, Airflow hides that it is empty as well.
            return Agreement.UNSEEN
        empty: tuple[Any, ...] = (None, "", "{}") if name == "extra" else (None, "")
        return Agreement.SAME if (wanted in empty) == (seen in empty) else Agreement.DIFFERENT
    if wanted == seen and not is_masked(seen):
        return Agreement.SAME
    if isinstance(wanted, str) and isinstance(seen, str) and name in {"extra", "value"}:
        return _texts(wanted, seen)
    return Agreement.UNSEEN if is_masked(seen) else Agreement.DIFFERENT


def _texts(wanted: str, seen: str) -> Agreement:
    """Compare texts that may be JSON: Airflow 3 tells such a one as it would write it, ``1.10`` as ``1.1``."""
    try:
        one, other = json.loads(wanted), json.loads(seen)
    except (ValueError, RecursionError):
        return Agreement.UNSEEN if is_masked(seen) else Agreement.DIFFERENT
    found = _trees(one, other)
    # What it wrote otherwise may stand there as it is wanted, or not; only in lists and mappings is that the same.
    return found if isinstance(one, dict | list) else max(found, Agreement.UNSEEN)


def _trees(wanted: Any, seen: Any) -> Agreement:
    if is_masked(seen):
        return Agreement.UNSEEN
    if isinstance(wanted, dict) and isinstance(seen, dict) and wanted.keys() == seen.keys():
        return max((_trees(value, seen[key]) for key, value in wanted.items()), default=Agreement.SAME)
    if isinstance(wanted, list) and isinstance(seen, list) and len(wanted) == len(seen):
        return max((_trees(*pair) for pair in zip(wanted, seen, strict=True)), default=Agreement.SAME)
    # For Python, true is 1.
    same = type(wanted) is type(seen) and wanted == seen
    return Agreement.SAME if same else Agreement.DIFFERENT


def same_json(one: str, other: str) -> bool:
    """Tell whether two texts are the same JSON, whatever the order and the blanks; or else the same text."""
    try:
        trees = json.loads(one), json.loads(other)
    except (ValueError, RecursionError):
        return one == other
    # For Python, true is 1; and 1 is 1.0.
    return json.dumps(trees[0], sort_keys=True) == json.dumps(trees[1], sort_keys=True)


def make_record(values: Mapping[str, Any]) -> str:
    """Note what is written: the names of the fields, and a salted digest of their values.

    Parameters
    ----------
    values : Mapping of str to Any
        By field: the value.

    Returns
    -------
    str
        One line that tells nothing of the values.
    """
    salt = os.urandom(16)
    return f"{','.join(sorted(values))} {salt.hex()} {_digest(values, salt)}"


def record_fields(record: str) -> Iterable[str]:
    """Give the names of the fields that were written."""
    return [name for name in record.partition(" ")[0].split(",") if name]


def record_matches(record: str, values: Mapping[str, Any]) -> bool:
    """Tell whether just these values were written; a record that cannot be read matches nothing."""
    try:
        _, salt, digest = record.split(" ")
        return hmac.compare_digest(_digest(values, bytes.fromhex(salt)), digest)
    except (ValueError, TypeError):
        return False


def _digest(values: Mapping[str, Any], salt: bytes) -> str:
    return blake2b(json.dumps(dict(values), sort_keys=True).encode(), key=salt, digest_size=32).hexdigest()
