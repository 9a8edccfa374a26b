"""Connections, variables and pools of all shapes, and settings files in which they stand in all spellings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

__all__ = [
    "CONNECTION_VALUES",
    "NAMED_SHAPES",
    "Row",
    "drawn_connections",
    "drawn_rows",
    "rows_for_airflow_2",
    "settings_text",
]

T = TypeVar("T")

LARGE = "0123456789abcdef" * 65_536
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ "

#: What is easily taken for something else, by YAML, JSON, Jinja, a URL or a shell.
ODD = [
    "",
    "no",
    "Yes",
    "null",
    "~",
    "true",
    "0123",
    "1.10",
    "1e3",
    "0x10",
    "1_000",
    "12:30",
    "2026-01-01",
    "-1",
    '{"Key": true}',
    '{"n":1.10, "n2": 1e400}',
    "[1, 2.50]",
    '"quoted"',
    "{{ var.value.other }}",
    "{% raw %}",
    "${HOME} $HOME `pwd`",
    "keyring",
    "a: b # c",
    "- a",
    "***",
    "a ***",
    " padded ",
    "tab\there",
    "line\nbreak\n",
    "\n\n  indented\n\n",
    "carriage\r\nreturn",
    "größe 😀 \u2028 \x85",
    "\x1b[0m",
    "100%",
    "%2F",
    "a/b",
    "'",
    '"',
    "\\",
    SIGNS,
]


class Plain(str):
    """A text that stands in a file without quotes."""

    __slots__ = ()


@dataclass(frozen=True)
class Row:
    """A row of a settings file."""

    kind: str
    name: str
    fields: dict[str, Any]

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.name}"


# -- what values may be ----------------------------------------------------------------------------------------------

# What no JSON has, and what PostgreSQL stores in no text.
_signs = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_text = st.one_of(st.sampled_from(ODD), st.text(_signs, max_size=30), st.text(SIGNS, min_size=1, max_size=30))
_plain = st.sampled_from(["no", "Yes", "0123", "1.10", "12:30", "2026-01-01", "0x10", "5", "1e3", "True"]).map(Plain)
_value = st.one_of(_text, _plain)
_leaf = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.sampled_from([0.5, 1.10, 1e22, -3.0]), _text, _plain
)
_tree = st.recursive(
    _leaf,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_text, inner, max_size=3)),
    max_leaves=6,
)
_mapping = st.dictionaries(_text, _tree, max_size=4)
_json = st.builds(
    lambda tree, ascii_only, gap: json.dumps(tree, ensure_ascii=ascii_only, indent=gap),
    st.dictionaries(_text, _tree, max_size=4),
    st.booleans(),
    st.sampled_from([None, 2]),
)
_extra = st.one_of(_mapping, _json, st.sampled_from(["", "{}", '{"Key":1.10, "b": [true, null]}']))
_slots = st.one_of(st.just(-1), st.integers(1, 1000))

# -- what names may be -----------------------------------------------------------------------------------------------

_names = st.one_of(
    st.sampled_from(
        [
            "a/b",
            "a//b",
            "/a",
            "a/",
            ".",
            "..",
            "a/../b",
            "%",
            "%2F",
            "a b",
            " a ",
            "ä",
            "😀",
            "a?b",
            "a#b",
            "a&b=c",
            "no",
        ]
    ),
    st.text(_signs, min_size=1, max_size=20),
    st.text(SIGNS, min_size=1, max_size=20),
).filter(lambda name: name.strip() and not name.startswith("keyring:"))
# What the API of each Airflow takes; the ids that Airflow 3 refuses are told with their places.
_ids = st.one_of(
    st.sampled_from(["A", "a", "ä", "no", "1.10", ".x", "..x", "-", "_", "0123", "a-b.C_d"]),
    st.text("abcXYZ0189_-.äßŒ日本", min_size=3, max_size=30),
)


def _fields(required: dict[str, st.SearchStrategy], optional: dict[str, st.SearchStrategy]) -> st.SearchStrategy:
    return st.fixed_dictionaries(required, optional=optional)


_rows: st.SearchStrategy[Row] = st.one_of(
    st.builds(
        Row,
        st.just("connection"),
        _ids,
        _fields(
            {"conn_type": st.sampled_from(["postgres", "http", "google_cloud_platform", "aws", "generic", "my-type"])},
            {
                "conn_host": _value,
                "conn_schema": _value,
                "conn_login": _value,
                "conn_password": _value,
                "conn_port": st.integers(0, 65535),
                "conn_extra": _extra,
                "conn_description": _value,
            },
        ),
    ),
    st.builds(
        Row,
        st.just("variable"),
        _names,
        _fields({"variable_value": st.one_of(_value, _mapping, _json)}, {"variable_description": _value}),
    ),
    st.builds(
        Row,
        st.just("pool"),
        _names,
        _fields({"pool_slot": _slots}, {"pool_description": _value, "pool_include_deferred": st.booleans()}),
    ),
)

#: What each run has, whatever is drawn.
NAMED_SHAPES = (
    Row("variable", "large", {"variable_value": LARGE}),
    Row("variable", "empty", {"variable_value": ""}),
    Row("variable", "Octal", {"variable_value": Plain("0123")}),
    Row("variable", "octal", {"variable_value": Plain("1.10")}),
    Row("variable", "api_key", {"variable_value": '{"Key": true}', "variable_description": "for 'it' {{ ds }}"}),
    Row("connection", "all_signs", {"conn_type": "http", "conn_password": SIGNS, "conn_login": SIGNS}),
    Row("connection", "nested", {"conn_type": "aws", "conn_extra": {"Key": {"n": 1.10, "b": [True, None, "ü"]}}}),
    Row("connection", "only_uri", {"conn_uri": "my-sql://me:p%2Fw%20%C3%BC@Host:1/db?a=1&B=x%3Dy"}),
    Row("variable", "..", {"variable_value": "is no folder"}),
    Row("pool", ".", {"pool_slot": 1}),
    Row("pool", "all of them 100% ü", {"pool_slot": -1, "pool_include_deferred": True}),
)

#: Connections as Airflow's API has them.
CONNECTION_VALUES = st.fixed_dictionaries(
    {"conn_type": st.sampled_from(["postgres", "http", "google_cloud_platform", "aws", "generic"])},
    optional={
        **dict.fromkeys(("host", "schema", "login", "password", "description"), _text),
        "port": st.integers(1, 65535),
        "extra": st.one_of(_json, st.just("")),
    },
)


def drawn_rows(count: int, *, anew: bool = False) -> list[Row]:
    """Draw objects, each with a name of its own.

    Parameters
    ----------
    count : int
        How many.
    anew : bool, optional
        Draw others each time; else always the same.
    """
    found = {row.key: row for row in NAMED_SHAPES}

    for row in _drawn(_rows, count, anew=anew):
        named = replace(row, name=f"{row.name}{len(found)}") if row.key in found else row
        if len(found) < count:
            found.setdefault(named.key, named)
    assert len(found) == count
    return list(found.values())


def drawn_connections(count: int, *, anew: bool = False) -> list[dict[str, Any]]:
    """Draw connections as Airflow's API has them, as `drawn_rows` does."""
    return _drawn(CONNECTION_VALUES, count, anew=anew)


def _drawn(strategy: st.SearchStrategy[T], count: int, *, anew: bool) -> list[T]:
    drawn: list[T] = []

    @settings(
        database=None,
        deadline=None,
        derandomize=not anew,
        max_examples=count,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def draw(value: T) -> None:
        drawn.append(value)

    draw()
    return drawn


def rows_for_airflow_2(rows: Iterable[Row]) -> list[Row]:
    """Give the rows that the API of Airflow 2 takes: some names it cannot find, and a megabyte is too much."""
    taken = []
    for row in rows:
        refused = {
            "connection": not row.name.isascii(),
            "variable": "//" in f"/{row.name}" or "\n" in row.name,
            "pool": "/" in row.name,
        }
        if not refused[row.kind]:
            shorter = row.fields.get("variable_value") == LARGE
            taken.append(replace(row, fields={"variable_value": LARGE[:900_000]}) if shorter else row)
    return taken


# -- files -----------------------------------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Writes a text without quotes where it is to have none."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _plainly(dumper: _Dumper, text: Plain) -> yaml.ScalarNode:
    return yaml.ScalarNode(dumper.resolve(yaml.ScalarNode, str(text), (True, False)), str(text))


def _in_any_style(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    # YAML knows other ends of lines as well, at which the file is not taken apart.
    if set(text) & set("\r\x85\u2028\u2029"):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    as_block = "\n" in text and len(text) % 2
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if as_block else None)


_Dumper.add_representer(Plain, _plainly)
_Dumper.add_representer(str, _in_any_style)

_SECTIONS = {
    "connection": ("connections", "conn_id"),
    "pool": ("pools", "pool_name"),
    "variable": ("variables", "variable_name"),
}


def settings_text(rows: Iterable[Row]) -> str:
    """Write a settings file that has comments, and all ways to write a row."""
    chosen = list(rows)
    lines = ["# what this project has", "airflow:"]
    for kind, (section, key) in _SECTIONS.items():
        lines.append(f"  {section}: # all {section}")
        of_kind = [row for row in chosen if row.kind == kind]
        for index, row in enumerate(of_kind):
            lines.append(f"    # number {index}")
            written = yaml.dump(
                {key: row.name, **row.fields},
                Dumper=_Dumper,
                allow_unicode=bool(index % 2),
                default_flow_style=index % 3 == 0,
                width=(40, 10**9)[index % 5 > 0],
                sort_keys=False,
            )
            first, *rest = written.removesuffix("\n").split("\n")
            lines += [f"    - {first}", *(f"      {line}" if line else line for line in rest)]
    return "\n".join(lines) + "\n"
