from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.dockerfile import Dockerfile, base_image, instructions
from astro_magic.project.dockerfile.lines import assignments
from astro_magic.project.dockerfile.words import plain

RUNTIME = "astrocrpublic.azurecr.io/runtime"
BASE = f"FROM {RUNTIME}:3.1-1\n"
CERTIFICATE = "USER root\nCOPY ca.crt /usr/local/share/ca-certificates/x/\nRUN update-ca-certificates\nUSER astro\n"
PRIVATE_INDEX = """\
LABEL maintainer="Astronomer <humans@astronomer.io>"
ARG BUILD_NUMBER=-1
LABEL io.astronomer.docker.build.number=$BUILD_NUMBER
# Install OS-Level packages
COPY packages.txt .
USER root
RUN apt-get update && cat packages.txt | xargs apt-get install -y
USER astro

FROM stage1 AS stage2
ARG PIP_EXTRA_INDEX_URL
ENV PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL}
COPY requirements.txt .
RUN pip install --no-cache-dir -q -r requirements.txt

FROM stage1 AS stage3
COPY --from=stage2 /usr/local/bin /home/astro/.local/bin
ENV PATH="/home/astro/.local/bin:$PATH"

COPY . .
"""


@pytest.fixture
def dockerfile(project):
    return Dockerfile(project, "Dockerfile")


def planned(dockerfile, before, plan):
    """Give the content after a plan, and see that the same plan then changes nothing."""
    dockerfile.path.write_bytes(before.encode())
    after = plan(dockerfile).files[0].after
    dockerfile.path.write_bytes(after)
    assert not plan(dockerfile).changed
    return after.decode()


# ------------------------------------------------------------------------------------------------------- merging


@pytest.mark.parametrize(
    ("before", "cell", "after"),
    [
        # Appended below the last instruction, in the order of the cell.
        (BASE, "RUN ls", f"{BASE}RUN ls\n"),
        (BASE, CERTIFICATE, BASE + CERTIFICATE),
        (f"{BASE}\n# end\n", "# why\nRUN a\nCOPY b c", f"{BASE}# why\nRUN a\nCOPY b c\n\n# end\n"),
        (
            f"{BASE}RUN x".replace("\n", "\r\n"),
            "RUN y\nENV A=1",
            f"{BASE}RUN x\nRUN y\nENV A=1\n".replace("\n", "\r\n"),
        ),
        (f"\ufeff{BASE}", "\ufeffRUN x\r\n\r\n", f"\ufeff{BASE}RUN x\n"),
        ("", f"# new\n{BASE}RUN x", f"# new\n{BASE}RUN x\n"),
        (BASE, "RUN <<E\na\nE", f"{BASE}RUN <<E\na\nE\n"),
        # What is there already, in another spelling, changes nothing.
        (f"{BASE}run  pip   install \\\n  x\n", "RUN pip install x", None),
        (f"{BASE}RUN x\n", "# why\nRUN x\n# end", f"{BASE}# why\nRUN x\n# end\n"),
        (BASE, "", None),
        (BASE, "\n\n", None),
        # An instruction counts with the user that it needs.
        (f"{BASE}USER root\nRUN x\nUSER astro\n", CERTIFICATE, f"{BASE}USER root\nRUN x\nUSER astro\n{CERTIFICATE}"),
        (f"{BASE}USER root\nRUN x\nUSER astro\n", "USER root\nRUN x", None),
        (f"{BASE}RUN x\n", "USER root\nRUN x\nUSER astro", f"{BASE}RUN x\nUSER root\nRUN x\nUSER astro\n"),
        (f"{BASE}USER root\n", "USER root\nRUN x", f"{BASE}USER root\nRUN x\n"),
        (f"{BASE}USER root\n", "USER astro", f"{BASE}USER root\nUSER astro\n"),
        (f"{BASE}CMD a\nCMD b\n", "CMD a", f"{BASE}CMD a\nCMD b\nCMD a\n"),
        # Keys take the place of their last value.
        (f"{BASE}ENV A=1  B=2 \\\n  C=3\n", "ENV B=9", f"{BASE}ENV A=1  B=9 \\\n  C=3\n"),
        (f"{BASE}ENV A=1 B=2 \\\n  C=3\n", 'ENV C="x y" D=4', f'{BASE}ENV A=1 B=2 \\\n  C="x y"\nENV D=4\n'),
        (f"{BASE}ENV A=1\nRUN x\nENV A=2\n", "ENV A=3", f"{BASE}ENV A=1\nRUN x\nENV A=3\n"),
        (f"{BASE}ENV A 1 2\n", "ENV A=3", f"{BASE}ENV A=3\n"),
        (f"{BASE}ENV A 1 2\n", "ENV A 3 4", f"{BASE}ENV A 3 4\n"),
        (f"{BASE}ENV A=1 B=2\n", "ENV A 3 4", f'{BASE}ENV A="3 4" B=2\n'),
        (f"{BASE}ENV A='1'\n", 'ENV A="1"', None),
        (f"{BASE}ENV A='$B'\n", "ENV A=$B", f"{BASE}ENV A=$B\n"),
        (f"{BASE}LABEL a.b=c\n", "# who\nLABEL a.b=d", f"{BASE}# who\nLABEL a.b=d\n"),
        ("FROM x AS a\nENV A=1\nFROM y\n", "ENV A=2", "FROM x AS a\nENV A=1\nFROM y\nENV A=2\n"),
        # A value that is made longer adds to the others.
        (f"{BASE}ENV PATH=/a:$PATH\n", "ENV PATH=/b:$PATH", f"{BASE}ENV PATH=/a:$PATH\nENV PATH=/b:$PATH\n"),
        (f"{BASE}ENV PATH=/a:$PATH\nENV PATH=/b:$PATH\n", 'ENV PATH="/a:$PATH"', None),
        # An ARG of the FROM.
        ("ARG T=1\nFROM a:$T\n", "ARG T=2", "ARG T=2\nFROM a:$T\n"),
        ("ARG T=1\nFROM a:$T\nARG T\n", "ARG T=2", "ARG T=2\nFROM a:$T\nARG T\n"),
        ("ARG T=1\nFROM a:$T\nARG T=3\n", "ARG T=2", "ARG T=1\nFROM a:$T\nARG T=2\n"),
        ("FROM a:1\n", "ARG T=2\nFROM b:$T", "ARG T=2\nFROM b:$T\n"),
        # The image.
        ("FROM a:1\n", "FROM b:2", "FROM b:2\n"),
        ("FROM a:1\n", "# new\nFROM b:2\nRUN x", "# new\nFROM b:2\nRUN x\n"),
        (
            "from --platform=linux/amd64 a:1 as base\nRUN x\n",
            "FROM b:2",
            "from --platform=linux/amd64 b:2 as base\nRUN x\n",
        ),
        ("FROM a:1 AS x\nFROM x\n", "FROM --platform=p b:2", "FROM --platform=p b:2 AS x\nFROM x\n"),
        ("FROM a:1\n", "FROM a:1 AS x", "FROM a:1 AS x\n"),
        # Blocks that the cell writes out.
        (f"{BASE}# >>> b\nRUN x\n# <<< b\n", "# >>> b\nRUN y\n# <<< b", f"{BASE}# >>> b\nRUN y\n# <<< b\n"),
        (
            f"# syntax=docker/dockerfile:1\n{BASE}",
            "# syntax = docker/dockerfile:1\nRUN x",
            f"# syntax=docker/dockerfile:1\n{BASE}RUN x\n",
        ),
    ],
)
def test_merge(dockerfile, before, cell, after):
    found = planned(dockerfile, before, lambda file: file.plan_merge(cell))
    assert found == (before if after is None else after)


@pytest.mark.parametrize(
    ("before", "image", "after"),
    [
        ("FROM a:1\n", "b:2", "FROM b:2\n"),
        ("ARG T=1\nFROM a:${T}\n", "a:2", "ARG T=2\nFROM a:${T}\n"),
        ("ARG T=1\nFROM a:${T}\n", "b:2", "ARG T=1\nFROM b:2\n"),
        ("ARG R=a T='1'\nARG I=$R:$T\nFROM $I AS x\n", "a:2", "ARG R=a T=2\nARG I=$R:$T\nFROM $I AS x\n"),
        ("ARG R=a T=1\nFROM $R:$T\n", "b:1", "ARG R=b T=1\nFROM $R:$T\n"),
        ("FROM a:1 AS x\nFROM n AS y\nFROM x\n", "b:1@sha256:00", "FROM b:1@sha256:00 AS x\nFROM n AS y\nFROM x\n"),
        ("FROM \\\n # c\n a:1\n", "a:2", "FROM \\\n # c\n a:2\n"),
    ],
)
def test_set_base(dockerfile, before, image, after):
    assert planned(dockerfile, before, lambda file: file.plan_set_base(image)) == after
    assert base_image(after).image == image


def test_set(dockerfile):
    values = {"A": 'a "b" \\ c', "B": "", "C": "$A/x"}
    after = planned(dockerfile, f"{BASE}ENV B=1\n", lambda file: file.plan_set("env", values))
    assert after == f'{BASE}ENV B=""\nENV A="a \\"b\\" \\\\ c"\nENV C=$A/x\n'
    found = {one.key: plain(one.value, "\\") for entry in instructions(after) for one in assignments(entry)}
    assert found == values
    for keyword, chosen in (("ENV", {"a b": "1"}), ("ENV", {"A": "1\n2"}), ("RUN", {"A": "1"}), ("ARG", {"A.B": "1"})):
        with pytest.raises(InvalidContentError):
            dockerfile.plan_set(keyword, chosen)


@pytest.mark.parametrize(
    ("before", "keyword", "keys", "after"),
    [
        (f"{BASE}ENV A=1\nENV B=2\n", "ENV", ["A"], f"{BASE}ENV B=2\n"),
        (f"{BASE}ENV A=1 B=2 C=3\n", "env", ["B"], f"{BASE}ENV A=1 C=3\n"),
        (f"{BASE}ENV A=1 \\\n  # c\n  B=2 \\\n  C=3\n", "ENV", ["B"], f"{BASE}ENV A=1 \\\n  # c\n  C=3\n"),
        (f"{BASE}ENV A=1 \\\n  # c\n  B=2 \\\n  C=3\n", "ENV", ["C"], f"{BASE}ENV A=1 \\\n  # c\n  B=2\n"),
        (f"{BASE}ENV A=1 \\\n  # c\n  B=2\nRUN x\n", "ENV", ["B"], f"{BASE}ENV A=1\n  # c\nRUN x\n"),
        (f"{BASE}ENV A=1 \\\n  B=2 C=3 \\\n  D=4\n", "ENV", ["B", "A"], f"{BASE}ENV \\\n  C=3 \\\n  D=4\n"),
        (f"{BASE}LABEL a=1 b=2\nLABEL a=3\n", "LABEL", ["a"], f"{BASE}LABEL b=2\n"),
        (f"{BASE}# why\nRUN  pip install \\\n x\nRUN y\n", "RUN", ["pip install x"], f"{BASE}# why\nRUN y\n"),
        (BASE, "RUN", [], BASE),
    ],
)
def test_remove(dockerfile, before, keyword, keys, after):
    dockerfile.path.write_text(before)
    assert dockerfile.plan_remove(keyword, *keys).files[0].after == after.encode()


def test_removing_what_is_not_there_names_what_is(dockerfile):
    dockerfile.path.write_text(f"{BASE}ENV GREETING=1\nRUN pip install x\n")
    for keyword, key, hint in (
        ("ENV", "GRETING", "GREETING"),
        ("RUN", "pip install y", "pip install x"),
        ("USER", "a", "none"),
    ):
        with pytest.raises(InvalidContentError, match="has no") as caught:
            dockerfile.plan_remove(keyword, key)
        assert hint in caught.value.hint
    with pytest.raises(InvalidContentError, match="FROM cannot be removed"):
        dockerfile.plan_remove("FROM", f"{RUNTIME}:3.1-1")


# -------------------------------------------------------------------------------------------------------- blocks


def test_blocks_are_made_changed_found_and_removed(dockerfile):
    before = f"{BASE}RUN x\n\n# end"
    after = planned(dockerfile, before, lambda file: file.plan_block("ca", CERTIFICATE))
    assert after == f"{BASE}RUN x\n\n# >>> ca\n{CERTIFICATE}# <<< ca\n\n# end"
    block = dockerfile.blocks()["ca"]
    assert (block.line, block.length, block.text) == (4, 6, CERTIFICATE.rstrip())
    changed = planned(dockerfile, after, lambda file: file.plan_block("ca", "\nRUN y\n\n"))
    assert changed == f"{BASE}RUN x\n\n# >>> ca\nRUN y\n# <<< ca\n\n# end"
    added = planned(dockerfile, changed, lambda file: file.plan_add("RUN z", "ENV A=1", block="ca"))
    assert added == f"{BASE}RUN x\n\n# >>> ca\nRUN y\nRUN z\nENV A=1\n# <<< ca\n\n# end"
    merged = planned(dockerfile, added, lambda file: file.plan_merge("ENV A=2", block="ca"))
    assert "RUN z\nENV A=2\n# <<< ca" in merged
    replaced = planned(dockerfile, merged, lambda file: file.plan_merge("RUN w", block="ca", replace=True))
    assert replaced == f"{BASE}RUN x\n\n# >>> ca\nRUN w\n# <<< ca\n\n# end"
    assert dockerfile.plan_remove_block("ca").files[0].after == before.encode()
    assert not dockerfile.plan_block("ca", " \n").changed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"{BASE}# >>> a\nRUN x\n", "line 2: block a is not closed"),
        (f"{BASE}# >>> a\n# <<< a\n# >>> a\n# <<< a\n", "line 4: block a is there already, in line 2"),
        (f"{BASE}# <<< a\n", "line 2: block a ends, and did not begin"),
        (f"{BASE}# >>> a\n# >>> b\n# <<< b\n# <<< a\n", "line 3: block b begins inside block a"),
    ],
)
def test_broken_blocks_are_named(dockerfile, text, words):
    dockerfile.path.write_text(text)
    for plan in (
        dockerfile.blocks,
        lambda: dockerfile.plan_block("c", "RUN z"),
        lambda: dockerfile.plan_remove_block("a"),
    ):
        with pytest.raises(InvalidContentError, match=words):
            plan()


@pytest.mark.parametrize("cell", ["FROM x", "# >>> a\nRUN x\n# <<< a", "RUM x", "RUN x \\", "RUN <<E"])
def test_what_cannot_stand_in_a_block(dockerfile, cell):
    for plan in (dockerfile.plan_block, lambda name, text: dockerfile.plan_merge(text, block=name)):
        with pytest.raises(InvalidContentError):
            plan("b", cell)
    with pytest.raises(InvalidContentError, match="no name of a block"):
        dockerfile.plan_block("a b", "RUN x")
    with pytest.raises(InvalidContentError, match="has no block a"):
        dockerfile.plan_remove_block("a")


# ------------------------------------------------------------------------------------------------------ refusing


@pytest.mark.parametrize(
    ("cell", "message", "hint"),
    [
        ("RUN x\nRUM y", "Line 2 begins with RUM", "Did you mean RUN?"),
        ("pip install TOKEN=hunter2", "Line 1 begins with PIP", "RUN pip"),
        ("TOKEN=hunter2", "Line 1 begins with TOKEN,", ""),
        ("RUN a \\", "Line 1 cannot be read: it goes on", ""),
        ("RUN <<E\nx", "not closed by a line E", ""),
        ("USER", "nothing behind USER", ""),
        ("ENV A", "Line 1 is no ENV", "ENV KEY=VALUE"),
        ("ENV A=1 B", "Line 1 is no ENV", "ENV KEY=VALUE"),
        ("ONBUILD RUM x", "begins with RUM", "RUN"),
        ("FROM a b", "no FROM that can be read", ""),
        ("FROM a\nFROM b", "has 2 FROM lines", "--replace"),
        ("# escape=`\nRUN x", "escape directive", ""),
        ("# >>> x\nRUN y", "block x is not closed", ""),
    ],
)
def test_bad_cells_are_refused(dockerfile, cell, message, hint):
    dockerfile.path.write_text(BASE)
    with pytest.raises(InvalidContentError, match=message) as caught:
        dockerfile.plan_merge(cell)
    assert hint in caught.value.hint
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "cell", "message"),
    [
        (f"{BASE}RUN x \\\n", "RUN y", "line 2 cannot be read"),
        (f"{BASE}RUN <<E\nx\n", "RUN y", "line 2 cannot be read"),
        ("", "RUN y", "no FROM"),
        ("RUN x\n", "FROM y", "no FROM"),
        ("FROM a AS b\nFROM c\n", "FROM b", "is a stage"),
        ("FROM a AS x\nFROM x\n", "FROM b AS y", "line 2 uses the stage x"),
        ("FROM n AS u\nFROM a AS x\nCOPY --from=X b c\n", "FROM b AS y", "line 3 uses the stage x"),
        (f"{BASE}FROM $X\n", "FROM a", "names no image"),
    ],
)
def test_files_that_cannot_be_edited_are_said(dockerfile, before, cell, message):
    dockerfile.path.write_text(before)
    with pytest.raises(InvalidContentError, match=message):
        dockerfile.plan_merge(cell)


@pytest.mark.parametrize("data", [b"FROM a\0", b"FROM \xe9"])
def test_what_is_no_text_is_refused(dockerfile, data):
    dockerfile.path.write_bytes(data)
    for plan in (dockerfile.entries, dockerfile.blocks, lambda: dockerfile.plan_merge("RUN x")):
        with pytest.raises(InvalidContentError):
            plan()


def test_replace(dockerfile):
    cell = f"FROM {RUNTIME}:3.1-1-base AS stage1\n{PRIVATE_INDEX}"
    assert planned(dockerfile, BASE, lambda file: file.plan_merge(cell, replace=True)) == cell
    assert base_image(cell).image == f"{RUNTIME}:3.1-1-base"
    assert dockerfile.plan_merge("\n", replace=True).files[0].after == b""
    for text in ("RUN x", "RUN x\nFROM y", "# only"):
        with pytest.raises(InvalidContentError, match="no whole Dockerfile"):
            dockerfile.plan_merge(text, replace=True)


def test_edits_are_applied_and_taken_back(project, dockerfile):
    before = dockerfile.read()
    assert dockerfile.add("RUN ls").applied
    assert not dockerfile.add("RUN ls").changed
    assert dockerfile.set("ENV", {"A": "1"}).applied
    assert dockerfile.set_base("apache/airflow:3.1.8").applied
    assert dockerfile.remove("ENV", "A").applied
    assert [entry.keyword for entry in dockerfile.entries()] == ["FROM", "RUN"]
    assert not dockerfile.remove("RUN", "ls", dry_run=True).applied
    for _ in range(4):
        project.undo()
    assert dockerfile.read() == before
    with pytest.raises(InvalidContentError, match="is no image"):
        dockerfile.set_base("a b")


@pytest.mark.parametrize(
    "text",
    [
        "FROM a AS b\nFROM b\nRUN x\n",
        "FROM a AS b\nFROM b AS c\nENV A=1\nRUN x\nENV A=2\n",
        "FROM a AS b\nFROM $B AS c\n",
        "ARG I\nFROM $I\nRUN x\n",
        "FROM a\nENV HOME /root\nRUN x\nENV HOME /home/git\n",
    ],
)
def test_the_last_stage_as_it_is_changes_nothing(dockerfile, text):
    dockerfile.path.write_text(text)
    stage = text[text.rindex("FROM") :]
    assert dockerfile.plan_merge(stage).files[0].kind == "unchanged"


def test_another_frontend_may_know_other_instructions(dockerfile):
    text = "# syntax=quay.io/astronomer/airflow-extensions:v1\nFROM a\n"
    dockerfile.path.write_text(text)
    assert dockerfile.plan_merge("PYENV 3.8 b").files[0].after.decode() == f"{text}PYENV 3.8 b\n"
    assert dockerfile.plan_merge(f"{text}PYENV 3.9 c\n", replace=True).files[0].after.decode().endswith("PYENV 3.9 c\n")
    dockerfile.path.write_text("# syntax=docker/dockerfile:1\nFROM a\n")
    with pytest.raises(InvalidContentError, match="begins with PYENV"):
        dockerfile.plan_merge("PYENV 3.8 b")


def test_a_cell_that_sets_a_key_twice_is_refused(project):
    with pytest.raises(InvalidContentError, match="Line 3 sets ENV A, as line 1") as caught:
        project.dockerfile.plan_merge("ENV A=1\nRUN build\nENV A=2\n")
    assert "--block" in caught.value.hint
    assert project.dockerfile.plan_merge("ENV PATH=/a:$PATH\nENV PATH=/b:$PATH\n").changed
