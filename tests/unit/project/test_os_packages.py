from __future__ import annotations

import codecs
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.os_packages import OsPackages, parse_packages


@pytest.fixture
def packages(project):
    return OsPackages(project, "packages.txt")


@pytest.mark.parametrize(
    ("before", "cell", "after"),
    [
        ("", "libpq-dev", "libpq-dev\n"),
        ("# top\ngit\n\ncurl", "git=1:2.39.2-1.1\nopenssh-client", "# top\ngit=1:2.39.2-1.1\n\ncurl\nopenssh-client\n"),
        ("git\r\ncurl", "vim", "git\r\ncurl\r\nvim\r\n"),
        ("\ufeffgit\n", "\ufeffgit=1\r\n\r\n", "\ufeffgit=1\n"),
        ("git  # why\n", "git=1", "git=1  # why\n"),
        ("git  # why\n", "git=1 # because", "git=1 # because\n"),
        ("git  # why\n", "git", None),
        ("\tgit \n", "git", None),
        ("git\n", "# note\ngit/stable\n# end", "# note\ngit/stable\n# end\n"),
        ("git curl\n", "curl=8.*\ng++", "git curl=8.*\ng++\n"),
        ("libc6\n", "libc6:arm64", "libc6\nlibc6:arm64\n"),
        ("$(x)\ngit\n", "", None),
        ("git\n", "git\ngit\nvim\nvim", "git\nvim\n"),
    ],
)
def test_merge(packages, before, cell, after):
    packages.path.write_bytes(before.encode())
    expected = (before if after is None else after).encode()
    assert packages.plan_merge(cell).files[0].after == expected
    packages.path.write_bytes(expected)
    assert not packages.plan_merge(cell).changed


@pytest.mark.parametrize(
    ("cell", "message", "hint"),
    [
        ("git\ncurl vim", "Line 2 names 2 packages", "line of its own"),
        ("sudo apt-get install -y git curl", "Line 1 is a command", "git, curl"),
        ("apt install", "Line 1", ""),
        ("$(rm x)", "Line 1 is no package", "libpq-dev"),
        ("git; rm", "Line 1 is no package", "one package a line"),
        ("Git", "Line 1 is no package", "lower case: git"),
        ("a", "Line 1 is no package", ""),
        ("-y", "Line 1 is no package", ""),
        ("git=", "Line 1 is no package", ""),
        ("git==1", "Line 1 is no package", ""),
        ("git\ngit=1", "Line 2 names git again", "Keep one"),
        ("git\x0cvim", "names 2 packages", ""),
        ("gí", "Line 1 is no package", ""),
    ],
)
def test_bad_lines_are_refused(packages, cell, message, hint):
    with pytest.raises(InvalidContentError, match=message) as caught:
        packages.plan_merge(cell)
    assert hint in caught.value.hint


def test_names_and_removing(packages):
    packages.path.write_bytes(b"# x\r\ngit=1 curl  # y\r\nlibc6:arm64\r\nBad\r\ngit")
    assert packages.names() == {"git": (2, "git=1"), "curl": (2, "curl"), "libc6:arm64": (3, "libc6:arm64")}
    assert packages.plan_remove("git").files[0].after == b"# x\r\ncurl  # y\r\nlibc6:arm64\r\nBad\r\n"
    assert packages.plan_remove("git", "curl").files[0].after == b"# x\r\nlibc6:arm64\r\nBad\r\n"
    with pytest.raises(InvalidContentError, match="does not name gitt") as caught:
        packages.plan_remove("gitt")
    assert "Did you mean git?" in caught.value.hint


def test_replace_add_and_remove(project, packages):
    assert packages.plan_merge("git\n\n# x\n", replace=True).files[0].after == b"git\n\n# x\n"
    assert packages.add("git", "curl=8").applied
    assert not packages.add("git").changed
    assert packages.remove("git").applied
    assert list(packages.names()) == ["curl"]
    project.undo()
    assert list(packages.names()) == ["git", "curl"]
    packages.path.unlink()
    assert packages.entries() == ()
    assert not packages.plan_merge("").changed


@pytest.mark.parametrize("data", [b"git\0", b"\xe9"])
def test_what_is_no_text_is_refused(packages, data):
    packages.path.write_bytes(data)
    with pytest.raises(InvalidContentError):
        packages.plan_merge("git")


LINE = st.one_of(
    st.sampled_from(
        ["", "  ", "# note", "git", "git=1  # x", "curl vim", "libc6:arm64", "apt-get install x", "\x0c", "🚀 \u202e"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), max_size=8),
)
FILE = st.builds(
    lambda mark, lines, end, final: (
        (codecs.BOM_UTF8 if mark else b"") + (end.join(lines) + (end if final else "")).encode()
    ),
    st.booleans(),
    st.lists(LINE, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
CELL = st.lists(
    st.sampled_from(["git=2", "vim", "zsh", "# note", "# new", "", "libc6:arm64=1  # y"]), max_size=5, unique=True
)


@given(st.lists(LINE, max_size=10))
def test_entries_cover_the_file(lines):
    assert [entry.raw for entry in parse_packages(lines)] == lines


@given(FILE, CELL)
def test_merging_touches_only_its_own_lines(content, cell):
    with tempfile.TemporaryDirectory() as folder:
        packages = OsPackages(Project(Path(folder)), "packages.txt")
        packages.path.write_bytes(content)
        assert not packages.plan_merge("").changed
        wanted = {name for entry in parse_packages(cell) for name in entry.names}
        others = [entry.raw for entry in packages.entries() if not wanted & set(entry.names)]
        after = packages.plan_merge("\n".join(cell)).files[0].after or b""
        packages.path.write_bytes(after)
        assert not packages.plan_merge("\n".join(cell)).changed
        left = iter(entry.raw for entry in packages.entries())
        assert all(any(raw == found for found in left) for raw in others)
        for entry in parse_packages(cell):
            for name in entry.names:
                assert packages.names()[name][1] == entry.text


def test_a_file_of_ten_megabytes_is_read_in_linear_time(packages):
    packages.path.write_bytes(b"git # x\n" * 600_000 + b"a" * 2_500_000 + b" " * 2_500_000 + b"b")
    begin = time.process_time()
    assert packages.plan_merge("vim").changed
    assert time.process_time() - begin < 20
