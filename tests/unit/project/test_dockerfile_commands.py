from __future__ import annotations

import pytest

from astro_magic.project.dockerfile.commands import commands, installs
from astro_magic.project.dockerfile.copies import Copied, copied
from astro_magic.project.dockerfile.dockerfile import instructions
from astro_magic.project.dockerfile.stages import Stages


def only(text):
    (entry,) = instructions(text)
    return entry


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN a", [("a",)]),
        ("RUN a 'b c'&&d||e;f|g & h", [("a", "b c"), ("d",), ("e",), ("f",), ("g",), ("h",)]),
        ("RUN --mount=type=ssh,id=a --network=none a --b", [("a", "--b")]),
        ("RUN A=1 B='2 3' a C=4", [("a", "C=4")]),
        ("RUN if a; then b; else c; fi", [("a",), ("b",), ("c",), ("fi",)]),
        ("RUN (cd a && b) # && c", [("cd", "a"), ("b",)]),
        ("RUN a git+https://x/y#egg=z", [("a", "git+https://x/y#egg=z")]),
        ("RUN a>>b 2>&1", [("a", ">>", "b", "2>&", "1")]),
        ('RUN a "it\'s $(b)"', [("a", "it's $(b)")]),
        ("RUN bash -lc 'a && b'", [("a",), ("b",)]),
        ('RUN ["a", "b && c"]', [("a", "b && c")]),
        ('RUN ["/bin/sh", "-c", "a && b"]', [("a",), ("b",)]),
        ("RUN []", []),
        ("RUN [ -f a ] && b", [("[", "-f", "a", "]"), ("b",)]),
        ("RUN a \\\n  # why\n  && b", [("a",), ("b",)]),
        ("RUN <<E\na\n# b\nc \\\n  d\nE", [("<<", "E"), ("a",), ("c", "d")]),
        ("RUN bash <<-E\n\ta\n\tE", [("bash", "<<-", "E"), ("a",)]),
        ("RUN <<E\n#!/bin/bash -e\na\nE", [("<<", "E"), ("a",)]),
        ("RUN <<E\n#!/usr/bin/env python3\nimport a\nE", [("<<", "E")]),
        ("RUN cat <<E > x && b\na\nE", [("cat", "<<", "E", ">", "x"), ("b",)]),
        ("ENV A=b", []),
        ("ONBUILD RUN a", []),
    ],
)
def test_commands(text, expected):
    assert list(commands(only(text))) == expected


@pytest.mark.parametrize(
    ("command", "program", "requirements"),
    [
        ("pip install a", "pip", ()),
        ("pip -q install -r a.txt --requirement=b.txt", "pip", ("a.txt", "b.txt")),
        ("pip3.12 install -ra.txt", "pip3.12", ("a.txt",)),
        ("/opt/venv/bin/pip install a", "/opt/venv/bin/pip", ()),
        ("python3 -m pip install -r a.txt", "python3 -m pip", ("a.txt",)),
        ("sudo uv pip install --system a -r", "uv pip", ()),
    ],
)
def test_installs(command, program, requirements):
    (found,) = installs(only(f"RUN {command}"))
    assert (found.program, found.requirements) == (program, requirements)


@pytest.mark.parametrize("command", ["pip", "pip list", "pip uninstall install", "uv sync", "npm install", "echo pip"])
def test_no_installs(command):
    assert installs(only(f"RUN {command}")) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY a 'b c' /d/", Copied(("a", "b c"), "/d/", "")),
        ('ADD --chown=a:b --link ["a b", "c"]', Copied(("a b",), "c", "")),
        ("COPY --from=one /a /b", Copied(("/a",), "/b", "one")),
        ("COPY <<E a /b\nx\nE", Copied(("a",), "/b", "")),
        ("COPY a", None),
        ("RUN cp a b", None),
    ],
)
def test_copied(text, expected):
    assert copied(only(text)) == expected


def test_stages_build_on_each_other():
    text = "ARG B=one\nFROM a AS One\nUSER root\nFROM b AS two\nUSER x\nFROM ${B} AS three\nRUN c\nUSER y\nRUN d\n"
    entries = instructions(text)
    stages = Stages(entries)
    assert (stages.final, stages.line(1), stages.line(None)) == ((2, 0), (1,), ())
    runs = [entry for entry in entries if entry.keyword == "RUN"]
    assert [stages.user(run).arguments for run in runs] == ["root", "y"]
    assert [entry.arguments for entry in stages.before(runs[1])] == ["root", "c", "y"]
    assert [entry.arguments for entry in stages.after(entries[2])] == ["c", "y", "d"]
    assert stages.last_user().arguments == "y"
    assert [stages.source(name) for name in ("ONE", "1", "7", "debian")] == [0, 1, None, None]


def test_a_file_without_stages():
    stages = Stages(instructions("USER root\nRUN a\n"))
    assert (stages.final, stages.last_user()) == ((), None)
