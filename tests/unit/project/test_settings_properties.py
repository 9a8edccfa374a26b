"""Rows set in files of many layouts: what PyYAML reads afterwards is what was set."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.settings.settings import Settings

NAME = st.sampled_from(["a", "b", "no", "1.5"])
TEXT = st.sampled_from(["x", "no", "1.10", "", "a: b", "l1\nl2\n", "é😀", " # ", "0123"])
FIELDS = st.dictionaries(
    st.sampled_from(["conn_host", "conn_login", "conn_password"]), st.one_of(st.none(), TEXT), max_size=3
)


def _given(row):
    return {key: value for key, value in row.items() if value is not None}


@given(
    st.lists(st.tuples(NAME, FIELDS), max_size=3, unique_by=lambda item: item[0]),
    st.sampled_from(["- ", "  - ", "    - ", "flow"]),
    st.sampled_from(["\n", "\r\n"]),
    NAME,
    FIELDS,
)
def test_setting_is_setting_what_pyyaml_reads(connections, layout, end, name, fields):
    rows = [{"conn_id": row, "conn_type": "t", **values} for row, values in connections]
    lines = ["# top", "airflow:", "  pools: []  # none", "  connections:", ""]
    for row in rows:
        if layout == "flow":
            lines.append(
                "  - " + yaml.safe_dump(row, default_flow_style=True, width=10_000, allow_unicode=True).strip()
            )
        else:
            dumped = yaml.safe_dump(row, allow_unicode=True, default_style='"').replace("!!null ", "")
            first, *rest = dumped.strip("\n").split("\n")
            pad = " " * (len(layout) + 2)
            lines += [
                "  # above",
                f"  {layout}{first}",
                *(f"{pad}{line}" if line else "" for line in rest),
                "",
                "# below",
            ]
    text = end.join(lines)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(Project(Path(folder)), "airflow_settings.yaml")
        settings.path.write_bytes(text.encode())
        before = yaml.safe_load(text)["airflow"]["connections"] or []
        try:
            after = settings.plan_set("connection", name, {"conn_type": "t", **fields}).files[0].after
        except InvalidContentError:
            # What is removed from between braces with a # could be a comment, so nothing is written.
            assert layout == "flow"
            assert "#" in text
            return
        expected = {row["conn_id"]: dict(row) for row in before}
        expected[name] = expected.get(name, {"conn_id": name}) | {"conn_type": "t"} | fields
        read = yaml.safe_load(after)["airflow"]
        found = {row["conn_id"]: row for row in read["connections"]}
        assert {key: _given(row) for key, row in found.items()} == {key: _given(row) for key, row in expected.items()}
        assert not [key for key, value in fields.items() if value is None and key in found[name]]
        assert read["pools"] == []
        settings.path.write_bytes(after)
        assert not settings.plan_set("connection", name, {"conn_type": "t", **fields}).changed
