"""What a person sees of changes, of differences and of what could be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from astro_magic.project.changes import Change, FileChange
from astro_magic.project.fingerprint import Pending
from astro_magic.views import ChangeView, EntriesView, RevisionView, UndoView

EVIL = "<script>alert(1)</script>"


def change(*files, applied=True):
    return Change("edit", tuple(FileChange(Path(name), name, before, after) for name, before, after in files), applied)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, b"a\n", "a.txt  created (+1)"),
        (None, b"", "a.txt  created"),
        (b"a\n", None, "a.txt  removed"),
        (b"a\n", b"a\nb\n", "a.txt  +1"),
        (b"a\n", b"", "a.txt  −1"),
        (b"a\n", b"b\n", "a.txt  +1 −1"),
        (b"a\n", b"a\n", "a.txt  unchanged"),
    ],
)
def test_how_much_of_a_file_changed(before, after, said):
    assert repr(ChangeView(change(("a.txt", before, after)))).splitlines()[0] == said


@pytest.mark.parametrize(
    ("name", "running", "said"),
    [
        ("requirements.txt", False, "Applies with %astro_start."),
        (".env/dev.env", False, "Applies with %astro_start."),
        ("requirements.txt.bak", False, None),
        (".env.example", False, None),
        ("Dockerfile.dockerignore", False, None),
        ("dags/a.py", False, None),
        ("dags/a.py", True, "No restart needed."),
        ("airflow_settings.yaml", True, "No restart needed."),
        (".astro/config.yaml", True, None),
    ],
)
def test_what_applies_a_change(name, running, said):
    lines = repr(ChangeView(change((name, None, b"")), pending=Pending(), running=running)).splitlines()
    assert lines[1:] == ([said] if said else [])


def test_what_is_in_the_running_environment_already():
    view = ChangeView(change(("requirements.txt", b"", b"polars\n")), pending=Pending(), running=True)
    view.added_in = 0.64
    assert repr(view).endswith("\nAdded to the running environment in 0.6 s; no restart needed.")


def test_what_did_not_change_applies_with_nothing():
    both = change(("Dockerfile", b"", b""), ("dags/a.py", None, b""))
    assert "Applies" not in repr(ChangeView(both, pending=Pending()))


def test_taking_back_what_cancels_out():
    view = UndoView(Change("undo: add; remove", (), applied=True))
    assert repr(view).splitlines() == ["Took back: add; remove", "Together they had changed nothing."]


def test_differences_from_a_revision():
    view = RevisionView(change(("a", b"x\n", b"y\n"), (".env", None, b"A=planted\n"), applied=False), "main")
    assert repr(view).splitlines() == [
        "Changed since main: 2 files",
        "a  +1 −1",
        "  - x",
        "  + y",
        ".env  created (+1)",
        "  + A=••••••",
    ]
    assert "planted" not in view._repr_mimebundle_()["text/html"]
    assert repr(RevisionView(change(), "HEAD", missing=["b"])).splitlines() == [
        "No difference from HEAD.",
        "There is no b, now or in HEAD.",
    ]


def test_nothing_is_markup():
    views = (
        RevisionView(change((EVIL, None, EVIL.encode())), EVIL, missing=[EVIL]),
        ChangeView(change((EVIL, None, EVIL.encode())), notes=[EVIL]),
        UndoView(Change(EVIL, (), applied=True)),
        EntriesView(EVIL, (EVIL,), [(EVIL,)], "entry"),
    )
    for view in views:
        html = view._repr_mimebundle_()["text/html"]
        assert "<script" not in html
        assert "&lt;script&gt;" in html


@pytest.mark.parametrize(("number", "said"), [(0, "no entries"), (1, "1 entry"), (2, "2 entries")])
def test_entries_are_counted(number, said):
    assert repr(EntriesView("a", ("x",), [("y",)] * number, "entry")).splitlines()[0] == f"a  {said}"
