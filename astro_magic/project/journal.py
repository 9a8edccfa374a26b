"""Writing changes to a project's files, and taking them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

from astro_magic.errors import FileAccessError, FileConflictError, NothingToUndoError
from astro_magic.project.changes import Change, FileChange, merge_contents, named_lines
from astro_magic.project.config import CONFIG_NAME, SOURCES_NAME
from astro_magic.project.location import check_relative
from astro_magic.project.masking import is_private
from astro_magic.system import files, locks
from astro_magic.system.history import History, HistoryEntry, HistoryFile

__all__ = ["Journal"]

_LOCK_SECONDS = 10.0


class Journal:
    """The changes that were made to the files of one project.

    Parameters
    ----------
    root : Path
        The project's folder.
    folder : Path
        Where the lock and the history are kept.
    make_folder : callable
        Makes that folder; called before something is written there.
    """

    def __init__(self, root: Path, folder: Path, make_folder: Callable[[], object]) -> None:
        self._root = root
        self._folder = folder
        self._make_folder = make_folder
        self._history = History(folder / "history")

    def hold(self, purpose: str) -> AbstractContextManager[None]:
        """Keep other processes of ours from writing the project's files.

        Raises
        ------
        ProjectBusyError
            When another process is writing and does not finish.
        FileAccessError
            When the lock file cannot be made.
        """
        self._make_folder()
        return locks.hold(self._folder / "files.lock", purpose=purpose, timeout=_LOCK_SECONDS)

    def apply(self, change: Change) -> Change:
        """Write a planned change: all of its files, or none. See `Project.apply`."""
        pending = [file for file in change.files if file.kind != "unchanged"]
        if not pending:
            return change
        with self.hold(change.title):
            for file in pending:
                current = _current(file.path)
                if current != file.before:
                    raise FileConflictError(
                        f"{file.name} changed after it was read{named_lines(file.before, current)}, "
                        "so the change was not written.",
                        hint="Run the cell again: it then works on what the file contains now.",
                    )
            # Recorded first: a crash in the middle then leaves a change that can be taken back.
            recorded = tuple(HistoryFile(file.name, file.before, file.after) for file in pending)
            self._history.record(HistoryEntry(change.title, recorded))
            _write_all(pending, on_rollback=self._history.pop)
        return replace(change, applied=True)

    def undo(self, steps: int, *, merge: bool, dry_run: bool) -> Change:
        """Take the last changes back. See `Project.undo`."""
        if not self._history.folder.is_dir():
            raise _too_few(0)
        with self.hold("undo"):
            titles: list[str] = []
            state: dict[str, bytes | None] = {}
            before: dict[str, bytes | None] = {}
            passed = 0
            for entry in self._history.entries():
                if len(titles) == steps:
                    break
                passed += 1
                changed = False
                for file in entry.files:
                    if file.name not in state:
                        path = self._root / _checked(file.name)
                        state[file.name] = before[file.name] = _current(path)
                    reverted = _reverted(entry, file, state[file.name], merge=merge)
                    changed |= reverted != state[file.name]
                    state[file.name] = reverted
                # An entry whose files are as before (by a crash, or by hand) is no step.
                if changed:
                    titles.append(entry.title)
            if len(titles) < steps:
                raise _too_few(len(titles))
            pending = tuple(
                FileChange(path=self._root / name, name=name, before=before[name], after=after)
                for name, after in state.items()
                if after != before[name]
            )
            change = Change(f"undo: {'; '.join(titles)}", pending)
            if dry_run:
                return change
            _write_all(pending)
            for _ in range(passed):
                self._history.pop()
        return replace(change, applied=True)

    def entries(self) -> tuple[HistoryEntry, ...]:
        """Give the changes that can be taken back, newest first."""
        return tuple(self._history.entries())

    def last_written(self, name: str) -> bytes | None:
        """Give what the newest change that is kept made of a file; None when there is none, or it removed the file."""
        return self._history.last_content(name)


def _reverted(entry: HistoryEntry, file: HistoryFile, current: bytes | None, *, merge: bool) -> bytes | None:
    """Give what a file contains when one change to it is taken back."""
    if current == file.before:
        return current
    if current == file.after:
        return file.before
    merged = merge_contents(file.after, file.before, current)
    if merge and merged is not None:
        return merged
    where = named_lines(file.after, current)
    raise FileConflictError(
        f"{file.name} changed since {entry.title!r}{where}, so that change cannot simply be taken back.",
        hint="With --merge it is taken back and the later edit is kept: the two do not touch."
        if merged is not None
        else "The two touch. Edit the file by hand, or save your version elsewhere and restore the file first.",
    )


def _checked(name: str) -> str:
    """Check the name of a file in the history, which somebody may have put there."""
    return name if name in {CONFIG_NAME, SOURCES_NAME} else check_relative(name)


def _too_few(steps: int) -> NothingToUndoError:
    if steps:
        return NothingToUndoError(
            f"Only {steps} {'change' if steps == 1 else 'changes'} of this project can be taken back.",
            hint="%astro_undo --list shows them.",
        )
    return NothingToUndoError(
        "There is no change of this project to take back.",
        hint="Changes made with magics are kept here; those made in an editor are not.",
    )


def _write_all(changes: Sequence[FileChange], *, on_rollback: Callable[[], object] | None = None) -> None:
    """Write all files or none.

    All contents are written beside their files before the first takes its place, so that what fails for want of room
    or rights has failed by then. When it fails later all the same, the files before it are set back.
    """
    done: list[FileChange] = []
    try:
        with ExitStack() as stack:
            # What is removed goes first: a folder may take the place of a file, or a file that of a folder.
            ordered = sorted(changes, key=lambda change: change.after is not None)
            commits = [(change, _stage(stack, change.path, change.name, change.after)) for change in ordered]
            for change, commit in commits:
                done.append(change)
                commit()
    except BaseException as error:
        for change in reversed(done):
            try:
                if _current(change.path) != change.before:
                    with ExitStack() as stack:
                        _stage(stack, change.path, change.name, change.before)()
            except FileAccessError as failure:
                error.add_note(f"{change.name} could not be set back: {failure.message}")
                raise error from None
        if on_rollback is not None:
            on_rollback()
        raise


def _current(path: Path) -> bytes | None:
    """Read a file; None when there is none, or a folder in its place."""
    with files.guard(path, "read"):
        folder = path.is_dir() or any(parent.is_file() for parent in path.parents)
    return None if folder else files.read_optional(path)


def _stage(stack: ExitStack, path: Path, name: str, content: bytes | None) -> Callable[[], None]:
    """Prepare what a file is to contain, and give what makes it so."""
    if content is None:
        return lambda: files.remove(path)
    mode = 0o600 if is_private(name) else None
    if path.is_dir() or path.parent.is_file():
        # Its place is free only when what stands there has been removed.
        return lambda: _write_in_free_place(path, content, mode)
    files.make_folder(path.parent)
    files.remove_leftovers(path)
    return stack.enter_context(files.stage(path, content, mode=mode)).commit


def _write_in_free_place(path: Path, content: bytes, mode: int | None) -> None:
    if path.is_dir():
        with files.guard(path, "replace"):
            path.rmdir()
    files.make_folder(path.parent)
    files.write_atomic(path, content, mode=mode)
