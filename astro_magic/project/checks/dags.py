"""Checks of the DAG files: what Airflow would pass over, show only once, or parse for nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath

from astro_magic.errors import InvalidContentError
from astro_magic.project.checks.finding import Finding
from astro_magic.project.dags.files import DagFile, DagFolder, dag_folder
from astro_magic.project.dags.outline import Call
from astro_magic.project.dags.source import mentions_dags, survey
from astro_magic.project.project import Project

__all__ = ["check_dags"]

# Parsing takes most of a millisecond for a file: so many are parsed without a special reason, and all of them in time,
# since what was found about a file is kept until it changes.
_PARSED_AT_ONCE = 20
_LARGE = 1_000_000
_GREW = re.compile(rb"[fFtT][rR]?[\"']|^\s*type\s|\b(?:def|class)\s+\w+\s*\[|^\s*except\b")
_CHECKPOINTS = ".ipynb_checkpoints"


def check_dags(project: Project, *, parsed_at_once: int | None = _PARSED_AT_ONCE) -> Iterator[Finding]:
    """Check the DAG files.

    Parameters
    ----------
    project : Project
        The project.
    parsed_at_once : int or None, optional
        How many files to parse that nothing points to, the ones changed last first, in search of errors of syntax.
        What was parsed before, and did not change since, does not count. None: all files.

    Raises
    ------
    FileAccessError
        When an ignore file, ``.env`` or the Dockerfile cannot be read.
    InvalidContentError
        When one of them is no UTF-8 text, or the syntax of ignore files is none.
    """
    if not (project.root / "dags").is_dir():
        return
    folder = dag_folder(project)
    parsed = _parsed(folder.files, parsed_at_once)
    yield from _ignore_files(folder)
    yield from _hidden(project, folder)
    yield from _syntax(project, parsed)
    yield from _duplicates(folder.files)
    yield from _skipped(project, folder.files)
    yield from _uncalled(folder.files)
    helpers = [file for file in folder.files if _is_helper(file)]
    yield from _helpers(folder.files, helpers)
    yield from _shadowed(project, folder.files, helpers)
    yield from _large(folder.files)


def _parsed(files: Sequence[DagFile], at_once: int | None) -> list[DagFile]:
    """Choose the files that are parsed for errors of syntax."""
    chosen = [file for file in files if not file.missing and (file.odd or file.outlined)]
    rest = [file for file in files if not file.missing and not (file.odd or file.outlined)]
    rest.sort(key=lambda file: file.modified, reverse=True)
    return sorted([*chosen, *rest[:at_once]], key=lambda file: file.name)


def _ignore_files(folder: DagFolder) -> Iterator[Finding]:
    for broken in folder.walk.broken:
        yield Finding(
            check="broken-ignore-pattern",
            severity="error",
            message=f"Airflow cannot read the pattern {broken.pattern!r}: {broken.reason}.",
            hint="Correct it, or remove the line.",
            file=broken.file,
            line=broken.line,
        )
    for name in folder.walk.repeated:
        yield Finding(
            check="repeated-folder",
            severity="error",
            message=f"dags/{name} leads to a folder that is in dags/ already; Airflow then finds no DAG file at all.",
            hint=f"Remove the symbolic link, or add the line {name}/ to dags/.airflowignore.",
            file=f"dags/{name}",
        )


def _hidden(project: Project, folder: DagFolder) -> Iterator[Finding]:
    """Find DAG files that a pattern ignores which does not name them."""
    for ignored in folder.walk.ignored:
        name = PurePosixPath(ignored.file)
        if name.suffix != ".py" or name.name in ignored.pattern.replace("\\", ""):
            continue
        data = _read(project.root / "dags" / ignored.file)
        if data is not None and survey(data, assets=True).defines:
            yield Finding(
                check="ignored-dag",
                severity="note",
                message=f"dags/{ignored.file} defines a DAG, which the pattern {ignored.pattern!r} hides from Airflow.",
                hint=f"If that is not meant, make the pattern in {ignored.ignored_by} narrower.",
                file=ignored.ignored_by,
                line=ignored.line,
            )


def _syntax(project: Project, files: Sequence[DagFile]) -> Iterator[Finding]:
    broken = [(file, *problem) for file in files if (problem := file.outline().problem) is not None]
    theirs = _python(project) if broken else None
    for file, line, reason in broken:
        message = f"{file.name} is no valid Python: {reason}."
        if theirs is not None and _is_newer(theirs) and _may_be_new(file, line):
            ours = ".".join(map(str, sys.version_info[:2]))
            hint = f"Python {ours} read it; if that is new in Python {theirs}, which the image has, all is well."
            yield Finding("dag-syntax", "warning", message, hint, file.name, line)
        else:
            hint = "Correct the line; until then, Airflow can import nothing of the file."
            yield Finding("dag-syntax", "error", message, hint, file.name, line)


def _is_newer(version: str) -> bool:
    """Tell whether a Python is newer than the one that runs here."""
    return tuple(map(int, version.split("."))) > sys.version_info[:2]


def _may_be_new(file: DagFile, line: int) -> bool:
    """Tell whether a line has what a newer Python reads differently: f-strings, type parameters, ``except`` lists."""
    lines = (_read(file.path) or b"").splitlines()[max(line - 2, 0) : line]
    return any(_GREW.search(text) for text in lines)


def _duplicates(files: Sequence[DagFile]) -> Iterator[Finding]:
    suggested: dict[str, dict[str, DagFile]] = {}
    twice = set()
    for file in files:
        for dag in () if file.missing else file.dags:
            known = suggested.setdefault(dag.dag_id, {})
            if known:
                twice.add(dag.dag_id)
            known[file.name] = file
    for dag_id in sorted(twice):
        places = [
            (file.name, dag.line)
            for file in suggested[dag_id].values()
            for dag in file.outline().dags
            if dag.dag_id == dag_id and dag.always
        ]
        if len(places) < 2:
            continue
        where = " and ".join(f"{name} (line {line})" for name, line in places[:3])
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        hint = "Give each DAG an id of its own."
        if any(_CHECKPOINTS in name for name, _ in places):
            hint = f"Add the line {_CHECKPOINTS} to dags/.airflowignore: JupyterLab keeps copies of files there."
        yield Finding(
            check="duplicate-dag",
            severity="error",
            message=f"The DAG id {dag_id!r} is defined in {where}{more}; Airflow shows only one of them.",
            hint=hint,
            file=places[0][0],
            line=places[0][1],
        )


def _skipped(project: Project, files: Sequence[DagFile]) -> Iterator[Finding]:
    """Find files that make DAGs, but lack the words that Airflow's safe mode looks for."""
    for file in files:
        if not file.missing or not (file.odd or file.dags):
            continue
        line = next((call.line for call in file.outline().calls if _makes_dags(project, call)), None)
        if line is None:
            continue
        words = " and ".join(repr(word) for word in file.missing)
        yield Finding(
            check="skipped-dag",
            severity="warning",
            message=f"Airflow passes over {file.name}, which seems to make a DAG, since its text lacks {words}.",
            hint="Add a comment with both words: # airflow dag",
            file=file.name,
            line=line,
        )


def _makes_dags(project: Project, call: Call) -> bool:
    """Tell whether an imported function seems to make DAGs: by its text in the project, else by its name."""
    if call.module.partition(".")[0] in sys.stdlib_module_names:
        return False
    for folder in (".", "dags", "plugins"):
        for end in (".py", "/__init__.py"):
            data = _read(project.root / folder / (call.module.replace(".", "/") + end))
            if data is not None:
                name = re.escape(call.name.rpartition(".")[2].encode())
                definition = re.search(rb"^def " + name + rb"\b(?:.|\n(?!\S))*", data, re.MULTILINE)
                return mentions_dags(definition[0] if definition else data)
    return "dag" in call.name.lower()


def _uncalled(files: Sequence[DagFile]) -> Iterator[Finding]:
    for file in files:
        if file.missing or not file.odd:
            continue
        for name, line in file.outline().uncalled:
            if any(_mentions(other, name) for other in files if other is not file):
                continue
            yield Finding(
                check="uncalled-dag",
                severity="warning",
                message=f"{name} is decorated with @dag but never called, so Airflow does not see that DAG.",
                hint=f"Add the line {name}() at the end of {file.name}.",
                file=file.name,
                line=line,
            )


def _mentions(file: DagFile, name: str) -> bool:
    data = _read(file.path)
    return data is not None and re.search(rb"\b" + re.escape(name.encode()) + rb"\b", data) is not None


def _is_helper(file: DagFile) -> bool:
    """Tell whether a file that Airflow parses plainly makes no DAG."""
    return not file.missing and not file.defines and file.outline().inert


def _helpers(files: Sequence[DagFile], helpers: Sequence[DagFile]) -> Iterator[Finding]:
    """Find files that are parsed for nothing, with one finding for a folder that holds nothing else."""
    if not helpers:
        return
    names = {file.name for file in helpers}
    with_dags = {parent for file in files if file.name not in names for parent in PurePosixPath(file.name).parents}
    groups: dict[str, list[DagFile]] = {}
    for file in helpers:
        free = [parent for parent in PurePosixPath(file.name).parents if parent not in with_dags]
        # The topmost folder without DAGs, below dags/ itself.
        free = [parent for parent in free if parent.as_posix() not in {".", "dags"}]
        groups.setdefault(f"{free[-1]}/" if free else file.name, []).append(file)
    for group, members in groups.items():
        pattern = group.removeprefix("dags/")
        several = len(members) > 1
        subject = f"{len(members)} files in {group} define" if several else f"{members[0].name} defines"
        yield Finding(
            check="parsed-helper",
            severity="note",
            message=f"{subject} no DAG, and Airflow parses {'them' if several else 'it'} again and again.",
            hint=f"Add the line {pattern} to dags/.airflowignore, with %%astro_airflowignore.",
            file=members[0].name,
        )


def _shadowed(project: Project, files: Sequence[DagFile], helpers: Sequence[DagFile]) -> Iterator[Finding]:
    """Find modules in ``dags/`` that cannot be imported, since the folder comes last on Airflow's path."""
    modules = [file for file in files if file.name.count("/") == 1 and (file in helpers or file.missing)]
    if not modules:
        return
    installed = _installed(project)
    for file in modules:
        module = PurePosixPath(file.name).stem
        if module in sys.stdlib_module_names:
            owner = "Python's own module"
        elif module in installed:
            owner = "the installed package"
        else:
            continue
        yield Finding(
            check="shadowed-module",
            severity="warning",
            message=f"import {module} finds {owner}, not {file.name}.",
            hint="Give the file a name of its own.",
            file=file.name,
        )


def _large(files: Sequence[DagFile]) -> Iterator[Finding]:
    for file in files:
        if file.size > _LARGE:
            yield Finding(
                check="large-dag-file",
                severity="note",
                message=f"{file.name} has {file.size / _LARGE:.1f} MB, and Airflow reads all of it at each parse.",
                hint="Move data to include/, and read it in a task.",
                file=file.name,
            )


def _installed(project: Project) -> Collection[str]:
    try:
        names = project.requested()
    except InvalidContentError:
        names = {}
    return {"airflow", "pendulum", *(name.replace("-", "_") for name in names)}


def _python(project: Project) -> str | None:
    try:
        return project.runtime.python
    except InvalidContentError:
        return None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (OSError, ValueError):
        return None
