"""What ``airflow_settings.yaml`` holds: connections, pools and variables, and what may be said of each.

The fields are those that the Astro CLI 1.45 reads (``settings/types.go``), and what Airflow's REST API knows beyond
them; the CLI ignores all others without a word.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from astro_magic.errors import InvalidContentError
from astro_magic.project.yaml.values import Scalar, Tree, is_null, settled

__all__ = [
    "EXAMPLE_EXTRA",
    "KINDS",
    "FieldType",
    "Kind",
    "KindName",
    "SettingsEntry",
    "check_field",
    "kind_of",
    "suggest_field",
    "unknown_field",
]

KindName = Literal["connection", "pool", "variable"]
FieldType = Literal["text", "port", "slots", "extra", "flag"]

#: What stands in ``conn_extra`` of a new project, in Astro Magic's template as in the Astro CLI's.
EXAMPLE_EXTRA: Tree = {"example_extra_field": Scalar("example-value")}

#: Airflow's own rule for the id of a connection (``airflow.models.connection.sanitize_conn_id``).
_CONN_ID = re.compile(r"[\w#!()\-.:/\\]{1,250}")
#: What to do about a list or a mapping in a field.
_HINTS: Mapping[FieldType, str] = {
    "text": "Write it as one text, in quotes; JSON is text as well.",
    "port": "Write a whole number.",
    "slots": "Write a whole number.",
    "extra": "Write a mapping, or a JSON object in quotes.",
    "flag": "Write true or false.",
}
_INTEGER = re.compile(r"-?[0-9]+")


@dataclass(frozen=True)
class Kind:
    """A kind of objects.

    Attributes
    ----------
    name : {"connection", "pool", "variable"}
        The kind.
    section : str
        The key of their list under ``airflow``.
    id : str
        The field that names one.
    fields : Mapping of str to {"text", "port", "slots", "extra", "flag"}
        All fields, and what each holds.
    own : tuple of str
        Of these, those that only Astro Magic reads.
    required : tuple of str
        Of these, one has to have a value in a new one.
    synonyms : Mapping of str to str
        What fields are called elsewhere.
    """

    name: KindName
    section: str
    id: str
    fields: Mapping[str, FieldType]
    own: tuple[str, ...]
    required: tuple[str, ...]
    synonyms: Mapping[str, str]


_KINDS = (
    Kind(
        name="connection",
        section="connections",
        id="conn_id",
        fields={
            "conn_id": "text",
            "conn_type": "text",
            "conn_host": "text",
            "conn_schema": "text",
            "conn_login": "text",
            "conn_password": "text",
            "conn_port": "port",
            "conn_uri": "text",
            "conn_extra": "extra",
            "conn_description": "text",
            "conn_team": "text",
        },
        own=("conn_description", "conn_team"),
        required=("conn_type", "conn_uri"),
        synonyms={
            "connection_id": "conn_id",
            "database": "conn_schema",
            "team_name": "conn_team",
            "db": "conn_schema",
            "extras": "conn_extra",
            "name": "conn_id",
            "pass": "conn_password",
            "url": "conn_uri",
            "user": "conn_login",
            "username": "conn_login",
        },
    ),
    Kind(
        name="pool",
        section="pools",
        id="pool_name",
        fields={
            "pool_name": "text",
            "pool_slot": "slots",
            "pool_description": "text",
            "pool_include_deferred": "flag",
            "pool_team": "text",
        },
        own=("pool_include_deferred", "pool_team"),
        required=("pool_slot",),
        synonyms={
            "id": "pool_name",
            "pool": "pool_name",
            "pool_slots": "pool_slot",
            "slots": "pool_slot",
            "team_name": "pool_team",
        },
    ),
    Kind(
        name="variable",
        section="variables",
        id="variable_name",
        fields={
            "variable_name": "text",
            "variable_value": "text",
            "variable_description": "text",
            "variable_team": "text",
        },
        own=("variable_description", "variable_team"),
        required=("variable_value",),
        synonyms={
            "id": "variable_name",
            "key": "variable_name",
            "team_name": "variable_team",
            "val": "variable_value",
        },
    ),
)

#: The kinds by name.
KINDS: Mapping[KindName, Kind] = {kind.name: kind for kind in _KINDS}


@dataclass(frozen=True)
class SettingsEntry:
    """An object of ``airflow_settings.yaml``.

    Attributes
    ----------
    kind : {"connection", "pool", "variable"}
        Its kind.
    name : str
        Its id; empty when it has none, which the Astro CLI skips.
    line : int
        The line where it begins, counted from 1.
    values : Mapping of str to Any
        Its fields that have a value, by name, the id included. Each is the text that is written; ``conn_extra`` as a
        mapping is decoded, with its keys as they are written.
    """

    kind: KindName
    name: str
    line: int
    values: Mapping[str, Any] = field(repr=False)


def kind_of(name: str) -> Kind:
    """Give a kind by its name.

    Raises
    ------
    InvalidContentError
        When there is no such kind.
    """
    found = next((kind for kind in _KINDS if name in {kind.name, kind.section}), None)
    if found is None:
        raise InvalidContentError(
            f"{name!r} is no kind of settings.", hint="The kinds are connection, pool and variable."
        )
    return found


def suggest_field(kind: Kind, key: str) -> str | None:
    """Find the field that was probably meant by a key that is none."""
    lower = key.lower().replace("-", "_")
    prefixed = [f"{prefix}_{lower}" for prefix in {field.partition("_")[0] for field in kind.fields}]
    known = next((name for name in (lower, *prefixed) if name in kind.fields), None) or kind.synonyms.get(lower)
    return known or next(iter(difflib.get_close_matches(lower, kind.fields, n=1)), None)


def unknown_field(kind: Kind, key: str, where: str) -> InvalidContentError:
    """Make the error about a key that is no field, with the field that was probably meant.

    Parameters
    ----------
    kind : Kind
        The kind of the object.
    key : str
        The key.
    where : str
        What the error calls the object.
    """
    suggestion = suggest_field(kind, key)
    listed = f"The fields are: {', '.join(kind.fields)}."
    return InvalidContentError(
        f"{where} has the field {key[:40]!r}, which the Astro CLI does not read.",
        hint=f"Did you mean {suggestion}?" if suggestion else listed,
    )


def check_field(kind: Kind, name: str, tree: Tree, where: str) -> Tree:
    """Check the value of a field and give it the form in which it is written.

    Parameters
    ----------
    kind : Kind
        The kind of the object.
    name : str
        The field.
    tree : Tree
        What it says.
    where : str
        What errors call the field, such as ``Line 3: conn_port``. They never tell the value.

    Returns
    -------
    Tree
        Text that is never taken for something else, a whole number, or a mapping.

    Raises
    ------
    InvalidContentError
        When the field cannot have this value.
    """
    holds = kind.fields[name]
    if is_null(tree):
        return tree
    if holds == "extra" and isinstance(tree, dict):
        return settled(tree)
    if not isinstance(tree, Scalar):
        raise InvalidContentError(f"{where} is a list or a mapping.", hint=_HINTS[holds])
    if holds == "flag":
        return _check_flag(tree.text, where)
    if holds == "extra":
        _check_json(tree.text, where)
    elif holds != "text":
        return _check_number(holds, tree.text, where)
    elif name == "conn_id" and not _CONN_ID.fullmatch(tree.text):
        raise InvalidContentError(
            f"{where} is {tree.text[:60]!r}, which Airflow refuses as the id of a connection.",
            hint="Use up to 250 letters, digits and signs of _ - . : / \\ # ! ( ), without spaces.",
        )
    return Scalar(tree.text)


def _check_number(holds: FieldType, text: str, where: str) -> Scalar:
    # Python refuses to convert thousands of digits, and no port or pool has that many.
    number = int(text) if _INTEGER.fullmatch(text) and len(text) < 10 else None
    if holds == "port":
        if number is None or not 0 <= number <= 65535:
            raise InvalidContentError(f"{where} is no port.", hint="Write a whole number from 0 to 65535.")
    elif number is None or (number < 1 and number != -1):
        raise InvalidContentError(
            f"{where} is no number of slots.",
            hint="Write a whole number from 1 on, or -1 for as many as are asked for.",
        )
    return Scalar(str(number), typed=True)


def _check_flag(text: str, where: str) -> Scalar:
    if text.lower() not in {"true", "false"}:
        raise InvalidContentError(f"{where} is no truth value.", hint="Write true or false.")
    return Scalar(text.lower(), typed=True)


def _check_json(text: str, where: str) -> None:
    if not text.strip():
        return
    hint = "Write a mapping, or a JSON object in quotes."
    try:
        decoded = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidContentError(
            f"{where} is no JSON: {error.msg} at character {error.pos + 1} of it.", hint=hint
        ) from None
    except (ValueError, RecursionError):
        raise InvalidContentError(f"{where} is JSON with a number or a depth that cannot be read.", hint=hint) from None
    if not isinstance(decoded, dict):
        raise InvalidContentError(f"{where} is no JSON object.", hint=hint)
