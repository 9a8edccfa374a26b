"""Try the promises of the edits on real projects.

Takes a folder of Astro projects, and one of loose files by kind, and works on copies of them. Each project is opened
and checked. In each of its files, what is there already is brought in again, something new is brought in, taken back,
and removed; other lines have to stay byte for byte what they were. Ends with figures, and with exit code 1 when a
promise was broken. What a file refuses is told with its reason.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import re
import shutil
import statistics
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from astro_magic.errors import InvalidContentError, ProjectNotFoundError
from astro_magic.project import Project
from astro_magic.project.changes import Change, split_lines
from astro_magic.project.checks import Finding, check_project
from astro_magic.project.config_file import KEYS, ConfigFile
from astro_magic.project.dags.airflowignore import AirflowIgnore
from astro_magic.project.dockerfile.dockerfile import Dockerfile, DockerfileEntry
from astro_magic.project.dockerfile.lines import assignments
from astro_magic.project.document import Document
from astro_magic.project.dotenv.dotenv import Dotenv
from astro_magic.project.dotenv.lines import assignments as variables_of
from astro_magic.project.os_packages import OsPackages
from astro_magic.project.requirements.requirements import Requirements
from astro_magic.project.settings.objects import KINDS, KindName
from astro_magic.project.settings.rows import Rows
from astro_magic.project.settings.settings import Settings
from astro_magic.system.secrets import mask_credentials

__all__ = ["Report", "main", "try_files", "try_projects"]

#: By kind of loose files, under which name a project has such a file.
PLACES = {
    "airflowignore": "dags/.airflowignore",
    "dockerfile": "Dockerfile",
    "env": ".env",
    "packages": "packages.txt",
    "requirements": "requirements.txt",
    "settings": "airflow_settings.yaml",
}
# Of these, the last one of a Dockerfile's stage counts.
_LAST_COUNTS = {"CMD", "ENTRYPOINT", "HEALTHCHECK", "SHELL", "STOPSIGNAL", "USER", "WORKDIR"}
_NEW: dict[KindName, dict[str, object]] = {
    "connection": {"conn_type": "http"},
    "pool": {"pool_slot": 2},
    "variable": {"variable_value": "a: b"},
}
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")

_Plan = Callable[[], Change]


@dataclass
class Report:
    """What was tried, and what came of it."""

    projects: int = 0
    documents: int = 0
    edits: int = 0
    seconds: list[float] = field(default_factory=list)
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    refusals: list[tuple[str, str]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)

    def show(self, *, listed: bool) -> None:
        """Print the figures; with `listed`, each finding and refusal as well."""
        if listed:
            for place, finding in self.findings:
                where = f"{finding.file}:{finding.line or ''}"
                print(f"{finding.check}\t{place}\t{where}\t{mask_credentials(finding.message)}\t{finding.hint}")
            for place, reason in self.refusals:
                print(f"refused\t{place}\t{' '.join(mask_credentials(reason).split())}")
        for place, problem in self.failures:
            print(f"\nFAILED {place}\n{mask_credentials(problem)}")
        found = Counter(f"{finding.severity} {finding.check}" for _, finding in self.findings)
        reasons = Counter(_QUOTED.sub("*", mask_credentials(reason).partition("\n")[0]) for _, reason in self.refusals)
        for title, counts in (("Findings", found), ("Refusals", reasons)):
            print(f"\n{title}: {counts.total()}")
            for name, count in counts.most_common():
                print(f"{count:6} {name}")
        times = sorted(1000 * second for second in self.seconds) or [0.0]
        print(f"\n{self.projects} projects, {self.documents} documents, {self.edits} edits", end="")
        print(f", {len(self.refusals)} refused, {len(self.failures)} failures")
        print(
            f"Opening and checking: median {statistics.median(times):.0f} ms, 90th percentile"
            f" {times[int(0.9 * (len(times) - 1))]:.0f} ms, maximum {times[-1]:.0f} ms, total {sum(times):.0f} ms"
        )


def try_projects(folder: Path, report: Report) -> None:
    """Try all projects in a folder."""
    for source in sorted(path for path in folder.iterdir() if path.is_dir()):
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary) / source.name
            shutil.copytree(source, root, symlinks=True)
            begin = time.perf_counter()
            try:
                try:
                    project = Project.find(root)
                except ProjectNotFoundError:
                    project = Project(root)
                found = check_project(project, thorough=True)
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                report.failures.append((source.name, traceback.format_exc()))
                continue
            report.seconds.append(time.perf_counter() - begin)
            report.projects += 1
            report.findings += [(source.name, finding) for finding in found]
            for document in _documents(project):
                _try_document(source.name, document, report)


def try_files(folder: Path, report: Report) -> None:
    """Try all loose files in the folders of their kinds, each in a new project."""
    for kind, name in PLACES.items():
        for source in sorted(path for path in (folder / kind).glob("*") if path.is_file()):
            place = f"{kind}/{source.name}"
            with tempfile.TemporaryDirectory() as temporary:
                project = Project.create(Path(temporary) / "project").project
                (project.root / name).write_bytes(source.read_bytes())
                try:
                    found = check_project(project, thorough=True)
                except Exception:  # noqa: BLE001 - as above
                    report.failures.append((place, traceback.format_exc()))
                    continue
                report.findings += [(place, finding) for finding in found if finding.file == name]
                for document in _documents(project):
                    if document.name == name:
                        _try_document(place, document, report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try what the command line names; give the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a folder of projects")
    parser.add_argument("--files", type=Path, help="a folder of loose files, in a folder for each kind")
    parser.add_argument("--list", action="store_true", help="show each finding and refusal")
    options = parser.parse_args(arguments)
    report = Report()
    try_projects(options.folder, report)
    if options.files:
        try_files(options.files, report)
    report.show(listed=options.list)
    return 1 if report.failures else 0


def _documents(project: Project) -> Iterator[Document]:
    """Give the files of a project that can be edited line by line, as far as they are there."""
    requirements = project.requirements
    documents: list[Document] = [
        requirements,
        project.os_packages,
        project.dockerfile,
        *project.dotenv.files(),
        project.settings,
        project.airflowignore,
        project.config_file,
    ]
    # Where this fails, the file itself refuses everything, which is counted.
    with contextlib.suppress(InvalidContentError):
        documents[1:1] = requirements.included()
    yield from (document for document in documents if document.path.is_file())


def _try_document(project: str, document: Document, report: Report) -> None:
    place = f"{project}: {document.name}"
    report.documents += 1
    try:
        same = list(_same(document))
        if isinstance(document, Settings):
            _fill(document)
        original = document.path.read_bytes()
        new = _new(document)
    except InvalidContentError as error:
        report.refusals.append((place, f"{document.name}: {error}"))
        return
    except Exception:  # noqa: BLE001 - as above
        report.failures.append((place, traceback.format_exc()))
        return
    trials = [*(_again(document, plan) for plan in same), *(_there_and_back(document, *pair) for pair in new)]
    for trial in trials:
        report.edits += 1
        try:
            problem = next(trial, None)
            if problem:
                report.failures.append((place, problem))
        except InvalidContentError as error:
            untouched = document.path.read_bytes() == original
            (report.refusals if error.hint and untouched else report.failures).append(
                (place, f"{document.name}: {error}")
            )
        except Exception:  # noqa: BLE001 - as above
            report.failures.append((place, traceback.format_exc()))
        document.path.write_bytes(original)


def _fill(settings: Settings) -> None:
    """Give the rows that say nothing something to say, and each section a row.

    A new object takes the place of such a row, and a section that gets empty again stays. Behind this, neither is so.
    """
    original = settings.path.read_bytes()
    steps = 0
    for kind in KINDS.values():
        while not settings.entries(kind.name) or any(
            row.blank for row in Rows(settings.parsed()).rows if row.kind is kind
        ):
            settings.set(kind.name, f"corpus-fill-{steps}", _NEW[kind.name])
            steps += 1
    if steps:
        filled = settings.path.read_bytes()
        settings.project.undo(steps)
        if settings.path.read_bytes() != original:
            raise AssertionError("undo does not give back the settings as they were")
        settings.path.write_bytes(filled)


def _again(document: Document, plan: _Plan) -> Iterator[str]:
    """Bring in what is there already; yield what is wrong with the result."""
    change = document.project.edit(plan)
    if any(file.kind != "unchanged" for file in change.files):
        yield f"bringing in what is there changes the file:\n{change.files[0].diff(context=0)}"


def _there_and_back(document: Document, add: _Plan, remove: _Plan) -> Iterator[str]:
    """Bring in something new, undo it, bring it in again, remove it; yield what is wrong with the results."""
    project, path = document.project, document.path
    original = path.read_bytes()
    change = project.edit(add)
    shown = change.files[0].diff(context=0)
    lines = iter(split_lines(path.read_bytes().decode()))
    for line in split_lines(original.decode()):
        if not any(new == line or (not line.endswith("\n") and new.rstrip("\r\n") == line) for new in lines):
            yield f"bringing in a new entry changes other lines:\n{shown}"
    project.undo()
    if path.read_bytes() != original:
        yield f"undo does not give back the file as it was, after:\n{shown}"
    project.edit(add)
    change = project.edit(remove)
    line_end = b"\r\n" if original.count(b"\r\n") * 2 > original.count(b"\n") else b"\n"
    if path.read_bytes() not in {original, original + line_end}:
        yield f"removing the new entry leaves something, or takes something along:\n{shown}\n{change.files[0].diff()}"
    project.undo(2)
    if path.read_bytes() != original:
        yield f"undo of two steps does not give back the file as it was, after:\n{shown}"


@functools.singledispatch
def _same(document: Document) -> Iterator[_Plan]:
    """Give edits that bring in what a file has already."""
    raise TypeError(document.name)


@_same.register
def _(document: Requirements) -> Iterator[_Plan]:
    for entry in document.entries():
        if entry.kind not in {"blank", "comment"}:
            yield functools.partial(document.plan_merge, entry.raw)


@_same.register
def _(document: OsPackages) -> Iterator[_Plan]:
    for entry in document.entries():
        for word in entry.text.split():
            yield functools.partial(document.plan_merge, word)


@_same.register
def _(document: Dockerfile) -> Iterator[_Plan]:
    entries = document.entries()
    last = [entry for entry in entries if entry.stage == entries[-1].stage]
    yield functools.partial(document.plan_merge, "\n".join(entry.raw for entry in last))
    for entry in _that_count(last):
        yield functools.partial(document.plan_merge, entry.raw)


@_same.register
def _(document: Dotenv) -> Iterator[_Plan]:
    lines = document.lines()
    for found in {found.key: found for found in variables_of(lines)}.values():
        yield functools.partial(document.plan_merge, "\n".join(lines[found.line : found.line + found.length]))


@_same.register
def _(document: Settings) -> Iterator[_Plan]:
    for row in {(row.kind, row.name): row for row in document.entries() if row.name}.values():
        yield functools.partial(document.plan_set, row.kind, row.name, row.values)


@_same.register
def _(document: AirflowIgnore) -> Iterator[_Plan]:
    for entry in document.entries():
        yield functools.partial(document.plan_merge, f"{entry.pattern} {entry.comment}".rstrip())


@_same.register
def _(document: ConfigFile) -> Iterator[_Plan]:
    for key, (_, value) in document.values().items():
        yield functools.partial(document.plan_set, {key: value})


def _that_count(stage: Sequence[DockerfileEntry]) -> list[DockerfileEntry]:
    """Leave out the instructions of a stage that a later one overrides: these are not what the file says."""
    found: list[DockerfileEntry] = []
    later: set[object] = set()
    for entry in reversed(stage):
        if entry.kind != "instruction":
            continue
        keys = [(entry.keyword, assignment.key) for assignment in assignments(entry)]
        names: set[object] = {*keys} or {entry.keyword}
        # Two values of one key in one instruction override each other as well.
        if len(names) == max(len(keys), 1) and not (names & later and (keys or entry.keyword in _LAST_COUNTS)):
            found.append(entry)
        later |= names
    return found


def _new(document: Document) -> list[tuple[_Plan, _Plan]]:
    """Give pairs of edits that bring in something new and remove it."""
    if isinstance(document, Requirements | OsPackages | AirflowIgnore):
        return [(lambda: document.plan_merge("corpus-probe"), lambda: document.plan_remove("corpus-probe"))]
    if isinstance(document, Dotenv):
        return [(lambda: document.plan_set(CORPUS_PROBE="a b"), lambda: document.plan_remove("CORPUS_PROBE"))]
    if isinstance(document, ConfigFile):
        key = next(key for key, holds in KEYS.items() if holds == "truth" and key not in document.values())
        return [(lambda: document.plan_set({key: "true"}), lambda: document.plan_remove(key))]
    if isinstance(document, Settings):
        return [
            (
                functools.partial(document.plan_set, kind, "corpus-probe", values),
                functools.partial(document.plan_remove, kind, "corpus-probe"),
            )
            for kind, values in _NEW.items()
        ]
    if isinstance(document, Dockerfile):
        add = "echo corpus-probe"
        return [
            (lambda: document.plan_set("ENV", {"PROBE": "a b"}), lambda: document.plan_remove("ENV", "PROBE")),
            (lambda: document.plan_add(f"RUN {add}"), lambda: document.plan_remove("RUN", add)),
            (lambda: document.plan_block("probe", f"RUN {add}"), lambda: document.plan_remove_block("probe")),
        ]
    raise TypeError(document.name)


if __name__ == "__main__":
    sys.exit(main())
