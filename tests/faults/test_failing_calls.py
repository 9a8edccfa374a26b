"""A writer whose system calls fail: the disk is full, the quota used up, a signal comes, a rename is not possible."""

from __future__ import annotations

import pytest

from tests.faults.tracing import FILES, files_of, make_project, run_writer, version

pytestmark = pytest.mark.strace


def calls(project, name):
    """Give the numbers of an edit's calls of one name, and leave the project as it was."""
    usual = run_writer(project)
    assert usual.code == 0, usual.said
    project.undo()
    return [number for called, number in usual.calls if called == name]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        ("write", "ENOSPC", "the disk is full"),
        ("write", "EDQUOT", "the disk quota is used up"),
        ("fsync", "EIO", "Input/output error"),
        ("openat", "EROFS", "the file system is read-only"),
    ],
)
def test_a_write_that_fails_changes_nothing_and_says_why(tmp_path, call, error, words):
    project = make_project(tmp_path / "shop")
    before = files_of(project)
    numbers = calls(project, call)
    refused = 0
    # From this call on all of them fail: a full disk stays full.
    for first in numbers[:: max(len(numbers) // 4, 1)]:
        run = run_writer(project, f"{call}:error={error}:when={first}+")
        if run.code:
            assert "FileAccessError" in run.said
            assert words in run.said
            refused += 1
        contents = {project.file(name).text() for name in FILES}
        assert contents in ({version(1)}, {version(2)})
        assert (contents == {version(1)}) == bool(run.code)
        if not run.code:
            project.undo()
        assert files_of(project) == before
    assert refused


def test_a_rename_that_fails_sets_the_files_before_it_back(tmp_path):
    project = make_project(tmp_path / "shop")
    before = files_of(project)
    run = run_writer(project, f"rename:error=EACCES:when={calls(project, 'rename')[-1]}")
    assert "FileAccessError" in run.said
    assert {project.file(name).text() for name in FILES} == {version(1)}
    assert files_of(project) == before
    assert [entry.title for entry in project.history()] == [f"write {name}" for name in reversed(FILES)]


def test_what_cannot_be_set_back_is_named_and_can_be_taken_back_later(tmp_path):
    project = make_project(tmp_path / "shop")
    run = run_writer(project, f"rename:error=EACCES:when={calls(project, 'rename')[-1]}+")
    assert f"{FILES[0]} could not be set back" in run.said
    assert [project.file(name).text() for name in FILES] == [version(2), version(1)]
    project.undo()
    assert {project.file(name).text() for name in FILES} == {version(1)}


@pytest.mark.parametrize("call", ["write", "openat", "fsync"])
def test_a_signal_in_the_middle_of_a_call_is_no_failure(tmp_path, call):
    project = make_project(tmp_path / "shop")
    for number in calls(project, call)[:3]:
        run = run_writer(project, f"{call}:error=EINTR:when={number}")
        assert run.code == 0, run.said
        assert {project.file(name).text() for name in FILES} == {version(2)}
        project.undo()


@pytest.mark.parametrize("error", ["EBUSY", "EXDEV", "ENOSYS", "EOPNOTSUPP"])
def test_where_nothing_can_be_renamed_files_are_written_in_place(tmp_path, error):
    project = make_project(tmp_path / "shop")
    before = files_of(project)
    # Those of the history and of the lock's card come first; they make new files, which nothing stands in the way of.
    first = calls(project, "rename")[-len(FILES)]
    inodes = [project.file(name).path.stat().st_ino for name in FILES]
    run = run_writer(project, f"rename:error={error}:when={first}+")
    assert run.code == 0, run.said
    assert {project.file(name).text() for name in FILES} == {version(2)}
    assert [project.file(name).path.stat().st_ino for name in FILES] == inodes
    assert files_of(project) == before
