from __future__ import annotations

import codecs
import contextlib
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.checks.dockerfile_secrets import check_secrets
from astro_magic.project.checks.dockerfile_steps import check_steps
from astro_magic.project.checks.dockerfile_user import check_user
from astro_magic.project.dockerfile.dockerfile import Dockerfile, instructions
from astro_magic.project.dockerfile.images import stage_images
from astro_magic.project.dockerfile.lines import assignments, parse
from astro_magic.project.dockerfile.stages import Stages
from astro_magic.project.dockerfile.words import KEYWORDS, plain
from astro_magic.project.recipes.documented import find_documented

BASE = "FROM astrocrpublic.azurecr.io/runtime:3.1-1\n"
CERTIFICATE = "USER root\nCOPY ca.crt /usr/local/share/ca-certificates/x/\nRUN update-ca-certificates\nUSER astro\n"


@pytest.fixture
def dockerfile(project):
    return Dockerfile(project, "Dockerfile")


LINE = st.one_of(
    st.sampled_from(
        [
            "",
            "  ",
            "# note",
            "# >>> a",
            "# <<< a",
            "# escape=`",
            "RUN x",
            "RUN a \\",
            "  b",
            "ENV A=1 B='2 3' \\",
            "  C=4",
            "ENV D e f",
            "RUN <<E",
            "E",
            "\tE",
            "USER root",
            "FROM z AS y",
            "FROM y",
            "ARG T=1",
            "LABEL a.b=c",
            "nonsense",
            "COPY <<-E <<F /x",
            "F",
            "ENV PATH=/x:$PATH",
            "\x0c",
            "ENV 🚀=\u202e",
            "RUN a\rb",
            "\\",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=10),
)
STEP = st.one_of(
    LINE,
    st.sampled_from(
        [
            "FROM apache/airflow:3.1.8-python3.12 AS y",
            "FROM ${T}",
            "RUN --mount=type=ssh,id=a pip install -r a.txt",
            "RUN pip install -i https://a:b@c/d git+ssh://git@e/f",
            "RUN rm -rf /usr/local/lib/python3.9/site-packages",
            'RUN ["pip", "install"',
            "RUN bash -c",
            "RUN --mount=",
            "COPY id_rsa /usr/local/share/ca-certificates/",
            "COPY --from=7 /usr/local/lib/python3.9 /x",
            "COPY [",
            "ADD",
            "ARG PIP_INDEX_URL",
            "ENV UV_INDEX='https://$A:$B@c",
            "pip install x",
        ]
    ),
)
FILE = st.builds(
    lambda mark, lines, end, final: (
        (codecs.BOM_UTF8 if mark else b"") + (end.join(lines) + (end if final else "")).encode()
    ),
    st.booleans(),
    st.lists(LINE, max_size=12),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
CELL = st.lists(
    st.sampled_from(
        [
            "RUN x",
            "RUN new",
            "USER root",
            "USER astro",
            "# note",
            "# other",
            "ENV A=9",
            "ENV C='8 7' Q=1",
            "ENV D=5",
            "ENV D 6 7",
            "ARG T=2",
            "ARG U",
            "LABEL a.b=d",
            "ENV PATH=/y:$PATH",
            "RUN <<G\nh\nG",
            "",
            "COPY a b",
            "RUN p \\\n  q",
        ]
    ),
    max_size=5,
    unique=True,
).map("\n".join)


def changed(content, plan):
    """Give what a plan makes of a file, or None when it refuses; and see that planning it again changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        dockerfile = Dockerfile(Project(Path(folder)), "Dockerfile")
        dockerfile.path.write_bytes(content)
        try:
            after = plan(dockerfile).files[0].after
        except InvalidContentError:
            return None
        dockerfile.path.write_bytes(after)
        assert not plan(dockerfile).changed
        return after


@given(st.lists(LINE, max_size=15))
def test_entries_cover_the_file(lines):
    assert [line for entry in parse(lines) for line in entry.raw.split("\n")] == lines


@given(st.lists(STEP, max_size=15))
def test_no_check_fails_on_any_file(lines):
    entries = parse(lines)
    find_documented(entries)
    stages = Stages(entries)
    found = [*check_secrets(entries, stages), *check_user(entries, stages)]
    with contextlib.suppress(InvalidContentError):
        found += check_steps(entries, stages, stage_images(entries))
    places = {entry.line for entry in entries if entry.kind == "instruction"}
    assert {finding.line for finding in found} <= places


@given(FILE)
def test_an_edit_that_changes_nothing_keeps_every_byte(content):
    assert changed(content, lambda file: file.plan_merge("")) == content
    assert changed(content, lambda file: file.plan_remove("RUN")) == content


@given(FILE, CELL)
def test_merging_touches_only_its_own_lines(content, cell):
    content = (
        codecs.BOM_UTF8 * content.startswith(codecs.BOM_UTF8) + b"FROM a:1\n" + content.removeprefix(codecs.BOM_UTF8)
    )
    after = changed(content, lambda file: file.plan_merge(cell))
    if after is None:
        return
    before_entries, entries = instructions(content.decode()), instructions(after.decode())
    # Of what the cell is not about, all is there in its order; of what it is about, all is there.
    kept = [entry.raw for entry in before_entries if entry.keyword not in {"ENV", "ARG", "LABEL"}]
    left = iter(entry.raw for entry in entries)
    assert all(any(raw == found for found in left) for raw in kept)
    meanings = {entry.meaning for entry in entries}
    values = {(entry.keyword, one.key) for entry in entries for one in assignments(entry)}
    for entry in instructions(cell):
        if entry.keyword == "USER":
            # Written only where it does not hold already.
            continue
        keys = {(entry.keyword, one.key) for one in assignments(entry)}
        assert keys <= values if keys else entry.meaning in meanings


@given(
    FILE, st.dictionaries(st.sampled_from(["A", "C", "D", "NEW"]), st.text(st.sampled_from("ab'\"# =\\`"), max_size=6))
)
def test_what_is_set_is_read_back(content, values):
    content = b"FROM a:1\n" + content.removeprefix(codecs.BOM_UTF8)
    after = changed(content, lambda file: file.plan_set("ENV", values))
    if after is None:
        return
    last = instructions(after.decode())[-1].stage
    entries = [entry for entry in instructions(after.decode()) if entry.stage == last]
    found = {
        one.key: plain(one.value, entry.escape)
        for entry in entries
        if entry.keyword == "ENV"
        for one in assignments(entry)
    }
    assert {key: found[key] for key in values} == values


@given(FILE, st.sampled_from(["RUN x", CERTIFICATE]))
def test_a_block_that_is_made_and_removed_leaves_the_file(content, text):
    content = b"FROM a:1\n" + content.removeprefix(codecs.BOM_UTF8)
    after = changed(content, lambda file: file.plan_block("zz", text))
    if after is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        dockerfile = Dockerfile(Project(Path(folder)), "Dockerfile")
        dockerfile.path.write_bytes(after)
        assert dockerfile.blocks()["zz"].text == text.rstrip()
        restored = dockerfile.plan_remove_block("zz").files[0].after
    assert restored.rstrip(b"\r\n") == content.rstrip(b"\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"RUN x" + b" \\\n  a" * 1_000_000,
        b"RUN " + b"<<E $(( '\"" * 1_000_000,
        b"RUN " + b"\\" * 5_000_000,
        b"ENV A='" + b"b " * 5_000_000,
        b"# >>> a" + b" " * 10_000_000 + b"b",
    ],
    ids=["continued", "here-documents", "backslashes", "quote", "comment"],
)
def test_a_file_of_ten_megabytes_is_read_in_linear_time(dockerfile, data):
    dockerfile.path.write_bytes(BASE.encode() + data)
    begin = time.process_time()
    assert dockerfile.entries()
    assert time.process_time() - begin < 20


def test_all_keywords_are_known():
    assert len(set(KEYWORDS)) == 18
