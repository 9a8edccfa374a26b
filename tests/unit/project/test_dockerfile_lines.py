from __future__ import annotations

import pytest

from astro_magic.project.dockerfile.dockerfile import base_image, instructions
from astro_magic.project.dockerfile.lines import assignments, parse
from astro_magic.project.dockerfile.words import plain
from astro_magic.project.masking import mask_lines


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RUN a\n\n# b\n  run c", [(1, "RUN", "a"), (4, "RUN", "c")]),
        ("RUN\ta", [(1, "RUN", "a")]),
        ("RUN a \\\n# b\n\n  c\nRUN d", [(1, "RUN", "a   c"), (5, "RUN", "d")]),
        ("RUN a \\  \t\n b", [(1, "RUN", "a  b")]),
        # Two of them are one that is escaped.
        ("RUN a \\\\\nRUN b", [(1, "RUN", "a \\\\"), (2, "RUN", "b")]),
        ("# escape=`\nRUN a `\n b \\\nRUN c", [(2, "RUN", "a  b \\"), (4, "RUN", "c")]),
        ("# syntax = x\n# Escape = `\nRUN a `\n b", [(3, "RUN", "a  b")]),
        # Below anything else, a directive is a comment.
        ("# x\n# escape=`\nRUN a \\\n b", [(3, "RUN", "a  b")]),
        ("\n# escape=`\nRUN a \\\n b", [(3, "RUN", "a  b")]),
        ("RUN a\x0cb\x85c\rd", [(1, "RUN", "a\x0cb\x85c\rd")]),
        ("\\\nRUN a", [(1, "RUN", "a")]),
        # Here-documents.
        ("RUN <<EOF\nRUN a\n# b\n\nEOF\nRUN c", [(1, "RUN", "<<EOF\nRUN a\n# b\n\nEOF"), (6, "RUN", "c")]),
        ("RUN <<-E\n\tRUN a\n\tE\nRUN c", [(1, "RUN", "<<-E\n\tRUN a\n\tE"), (4, "RUN", "c")]),
        ("RUN <<E\n\tE\nE\nRUN c", [(1, "RUN", "<<E\n\tE\nE"), (4, "RUN", "c")]),
        (
            "COPY <<a.txt <<'b c' /d\n1\na.txt\n2\nb c\nRUN x",
            [(1, "COPY", "<<a.txt <<'b c' /d\n1\na.txt\n2\nb c"), (6, "RUN", "x")],
        ),
        ("RUN 3<<e-x cat\ny\ne-x", [(1, "RUN", "3<<e-x cat\ny\ne-x")]),
        ("RUN <<eo\\'f\nx\neo'f", [(1, "RUN", "<<eo\\'f\nx\neo'f")]),
        ("RUN <<  EOF  > f\nx\nEOF", [(1, "RUN", "<<  EOF  > f\nx\nEOF")]),
        ("RUN a && \\\n <<E\nx\nE", [(1, "RUN", "a &&  <<E\nx\nE")]),
        ("ONBUILD RUN <<E\nRUN x\nE", [(1, "ONBUILD", "RUN <<E\nRUN x\nE")]),
        ("RUN --mount=type=cache,target=/x <<E\nx\nE", [(1, "RUN", "--mount=type=cache,target=/x <<E\nx\nE")]),
        # What only looks like one.
        ("RUN echo $((1<<2))\nRUN b", [(1, "RUN", "echo $((1<<2))"), (2, "RUN", "b")]),
        ("RUN echo $((1 << 2))\nRUN b", [(1, "RUN", "echo $((1 << 2))"), (2, "RUN", "b")]),
        ('RUN "<<E"\nRUN b', [(1, "RUN", '"<<E"'), (2, "RUN", "b")]),
        ("RUN sh -c 'cat <<E'\nRUN b", [(1, "RUN", "sh -c 'cat <<E'"), (2, "RUN", "b")]),
        ("RUN cat <<<x\nRUN b", [(1, "RUN", "cat <<<x"), (2, "RUN", "b")]),
        ('RUN ["a", "<<E"]\nRUN b', [(1, "RUN", '["a", "<<E"]'), (2, "RUN", "b")]),
        ("USER <<E\nRUN b", [(1, "USER", "<<E"), (2, "RUN", "b")]),
        ("RUN it's <<E\nRUN b", [(1, "RUN", "it's <<E"), (2, "RUN", "b")]),
    ],
)
def test_instructions(text, found):
    assert [(entry.line, entry.keyword, entry.arguments) for entry in instructions(text)] == found
    assert [(entry.line, entry.keyword, entry.arguments) for entry in instructions(text.replace("\n", "\r\n"))] == found


def test_entries_tell_their_stage_and_block():
    text = "ARG A\nFROM a AS One\nRUN x\n# >>> ca\nRUN y \\\n  z\n# <<< ca\nFROM b\nRUN w"
    entries = parse(text.split("\n"))
    assert [(entry.line, entry.length, entry.stage, entry.stage_name, entry.block) for entry in entries] == [
        (1, 1, None, "", ""),
        (2, 1, 0, "one", ""),
        (3, 1, 0, "one", ""),
        (4, 1, 0, "one", "ca"),
        (5, 2, 0, "one", "ca"),
        (7, 1, 0, "one", "ca"),
        (8, 1, 1, "", ""),
        (9, 1, 1, "", ""),
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('ENV A=1 B=\'x y\' C="z \\" w" D=a\\ b', [("A", "1"), ("B", "x y"), ("C", 'z " w'), ("D", "a b")]),
        ("ENV A x y", [("A", "x y")]),
        ("ENV A \\\n  x", [("A", "x")]),
        ("env A=1 \\\n # c\n B=2", [("A", "1"), ("B", "2")]),
        ("LABEL com.x='y' \"a b\"=c", [("com.x", "y"), ("a b", "c")]),
        ("ARG A B=2", [("A", None), ("B", "2")]),
        ("ENV A", []),
        ("RUN A=1", []),
    ],
)
def test_assignments(line, found):
    entry = parse(line.split("\n"))[0]
    read = assignments(entry)
    assert [(one.key, None if one.value is None else plain(one.value, "\\")) for one in read] == found


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("FROM a@sha256:00\n", "a@sha256:00"),
        ("FROM --platform=$BUILDPLATFORM a:1 AS x\nFROM X\n", "a:1"),
        ("ARG A='b' C=\nFROM ${A}:${C:-1}\n", "b:1"),
        ("ARG A=b\nFROM x\nARG A=c\nFROM $A\n", "b"),
        ("FROM\ta:1\n", "a:1"),
    ],
)
def test_base_image(text, image):
    assert base_image(text).image == image


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("ENV A=1 API_TOKEN='s3cret v4lue' B=2", "ENV A=1 API_TOKEN=•••••• B=2"),
        ("ENV DB_PASSWORD s3cret v4lue", "ENV DB_PASSWORD ••••••"),
        ("ENV A=1 \\\n  API_TOKEN=s3cret\\ v4lue \\\n  B=2", "ENV A=1 \\\n  API_TOKEN=•••••• \\\n  B=2"),
        ('ENV API_TOKEN="s3cret \\\nv4lue" B=1', "ENV API_TOKEN=••••••\n•••••• B=1"),
        ("ARG API_TOKEN=s3cret,v4lue", "ARG API_TOKEN=••••••"),
        ("ENV AIRFLOW_CONN_DB=s3cret://v4lue", "ENV AIRFLOW_CONN_DB=••••••"),
        ("ENV API_TOKEN=${API_TOKEN}", "ENV API_TOKEN=${API_TOKEN}"),
    ],
)
def test_secrets_are_hidden_in_all_their_lines(text, hidden):
    assert mask_lines("Dockerfile", text.split("\n")) == hidden.split("\n")
