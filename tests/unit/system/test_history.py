from __future__ import annotations

import os
import stat
from datetime import UTC, datetime

import pytest

from astro_magic.errors import FileAccessError
from astro_magic.system.history import History, HistoryEntry, HistoryFile


def entry(title, before=b"old"):
    return HistoryEntry(title, (HistoryFile("a.txt", before, b"new"),), datetime(2026, 11, 20, 10, 42, tzinfo=UTC))


def test_gives_back_what_was_recorded(tmp_path):
    history = History(tmp_path / "history")
    assert history.last() is None
    assert history.pop() is None
    history.record(entry("one", None))
    history.record(entry("two", bytes(range(256))))
    assert [found.title for found in history.entries()] == ["two", "one"]
    assert history.pop() == entry("two", bytes(range(256)))
    assert history.last() == entry("one", None)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_is_closed_to_other_users(tmp_path):
    history = History(tmp_path / "history")
    history.record(entry("one"))
    assert stat.S_IMODE(history.folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in history.folder.iterdir()] == [0o600]


def test_is_bounded_in_number_and_size(tmp_path):
    few = History(tmp_path / "few", entries=3)
    small = History(tmp_path / "small", size=20_000)
    for number in range(6):
        few.record(entry(str(number)))
        small.record(entry(str(number), os.urandom(7_000)))
    assert [found.title for found in few.entries()] == ["5", "4", "3"]
    assert [found.title for found in small.entries()] == ["5", "4"]
    small.record(entry("large", os.urandom(50_000)))
    assert [found.title for found in small.entries()] == ["large"]


def test_a_broken_entry_is_passed_over(tmp_path):
    history = History(tmp_path)
    history.record(entry("one"))
    (tmp_path / "00000002.entry").write_text('{"title": ')
    assert history.last() == entry("one")
    assert history.pop() == entry("one")
    assert list(tmp_path.iterdir()) == []


def test_knows_what_a_file_last_contained(tmp_path):
    history = History(tmp_path)
    assert history.last_content("a.txt") is None
    history.record(HistoryEntry("one", (HistoryFile("a.txt", None, b"1"), HistoryFile("b.txt", b"", b"2"))))
    history.record(HistoryEntry("two", (HistoryFile("b.txt", b"2", None),)))
    (tmp_path / "00000003.entry").write_text("[")
    assert history.last_content("a.txt") == b"1"
    assert history.last_content("b.txt") is None


def test_a_failed_write_adds_no_entry(tmp_path, monkeypatch):
    history = History(tmp_path)
    history.record(entry("one"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(FileAccessError):
            history.record(entry("two"))
    assert [found.title for found in history.entries()] == ["one"]


def test_contents_are_not_in_the_representation():
    assert "s3cret" not in repr(entry("x", b"s3cret"))
