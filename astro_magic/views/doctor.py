"""The view of the checks: what is wrong with the project's files and with the machine, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from astro_magic.views.report import Block, Cell, Line, Report, Span, Table, line
from astro_magic.views.view import View
from astro_magic.views.words import count

if TYPE_CHECKING:
    from astro_magic.machine.result import CheckResult
    from astro_magic.project.checks.finding import Finding

__all__ = ["DoctorView", "finding_lines"]

_WORDS = {"error": Span("problem", "bad"), "warning": Span("warning", "strong"), "note": Span("note", "muted")}
_STATES = {
    "good": Span("good", "good"),
    "warning": Span("warning", "strong"),
    "bad": Span("problem", "bad"),
    "unknown": Span("–", "muted"),
}
#: More findings than these are no longer read, and would make the output too large for a notebook.
_MOST = 50
_RANKS = {"error": 0, "warning": 1, "note": 2}


class DoctorView(View):
    """What the checks found.

    Attributes
    ----------
    findings : tuple of Finding
        What is wrong with the project's files.
    machine : tuple of CheckResult
        What each check of the machine says.

    Parameters
    ----------
    findings : sequence of Finding or None
        None when the files were not checked.
    machine : sequence of CheckResult or None
        None when the machine was not checked.
    project_name : str, optional
        The project; empty outside of one.
    """

    def __init__(
        self,
        findings: Sequence[Finding] | None,
        machine: Sequence[CheckResult] | None,
        *,
        project_name: str = "",
    ) -> None:
        self.findings = tuple(findings or ())
        self.machine = tuple(machine or ())
        self.project_name = project_name
        self._files_checked = findings is not None
        self._machine_checked = machine is not None

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings may be there."""
        return not self._problems

    @property
    def _problems(self) -> int:
        return _number(self.findings, "error") + sum(result.state == "bad" for result in self.machine)

    @property
    def _warnings(self) -> int:
        return _number(self.findings, "warning") + sum(result.state == "warning" for result in self.machine)

    def headline(self) -> Line:
        """Say how much was found, or that nothing was."""
        name: list[Cell] = [Span(self.project_name, "strong"), ": "] if self.project_name else []
        notes = _number(self.findings, "note")
        said = _counts(self._problems, self._warnings, notes)
        if said:
            return line(*name, said)
        checked = ["the project's files"] if self._files_checked else []
        if self._machine_checked:
            checked.append(f"{count(len(self.machine), 'check')} of the machine")
        return line(*name, f"{'n' if name else 'N'}othing found in {' and '.join(checked)}")

    def report(self) -> Report:
        """Build the findings by file, and the table of the machine."""
        outside = not self.project_name and self._machine_checked
        shown = _worst_first(self.findings)[:_MOST]
        more = len(self.findings) - len(shown)
        return Report.of(
            self.headline(),
            line(Span("There is no project here, so only the machine was checked.", "muted")) if outside else None,
            [block for file, findings in _by_file(shown) for block in _file_blocks(file, findings)],
            line(Span(f"… {more:,} more left out; .findings has all of them", "muted")) if more else None,
            Table(("machine", "", ""), tuple(self._rows())) if self.machine else None,
        )

    def _rows(self) -> list[tuple[Cell, ...]]:
        rows: list[tuple[Cell, ...]] = []
        for result in self.machine:
            rows.append((result.name, _STATES[result.state], result.detail))
            if result.hint:
                rows.append(("", "", Span(result.hint, "muted")))
        return rows


def finding_lines(findings: Sequence[Finding], *, most: int = 3) -> list[Line]:
    """Say briefly what was found, the worst first, for a view that is about something else.

    Parameters
    ----------
    findings : sequence of Finding
        What the checks found.
    most : int, optional
        How many problems and warnings are told.

    Returns
    -------
    list of Line
        Empty when there is no problem and no warning; notes alone are no reason to speak.
    """
    told = [finding for finding in _worst_first(findings) if finding.severity != "note"]
    if not told:
        return []
    counts = _counts(_number(told, "error"), _number(told, "warning"), 0)
    lines = [
        line(_WORDS[finding.severity], f"  {_place(finding)}{finding.message}", indent=1) for finding in told[:most]
    ]
    ends = " shows them and what to do." if len(told) > 1 else " says what to do."
    return [line(f"{counts}; ", Span("%astro_doctor", "code"), ends), *lines]


def _worst_first(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (_RANKS[finding.severity], finding.file, finding.line or 0))


def _by_file(findings: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Group by file, in the order in which the files come."""
    files: dict[str, list[Finding]] = {}
    for finding in findings:
        files.setdefault(finding.file, []).append(finding)
    return list(files.items())


def _file_blocks(file: str, findings: Sequence[Finding]) -> list[Block]:
    blocks: list[Block] = [line(Span(file or "project", "strong"))]
    for finding in findings:
        place = f"  {_line(finding)}" if finding.line is not None else ""
        blocks.append(line(_WORDS[finding.severity], f"{place}  {finding.message}", indent=1))
        if finding.hint:
            blocks.append(line(Span(finding.hint, "muted"), indent=2))
    return blocks


def _place(finding: Finding) -> str:
    if not finding.file or (finding.line is None and finding.message.startswith(f"{finding.file} ")):
        return ""
    return f"{finding.file} {_line(finding)}: " if finding.line is not None else f"{finding.file}: "


def _line(finding: Finding) -> str:
    return f"line {finding.line}" + (f", column {finding.column}" if finding.column is not None else "")


def _number(findings: Sequence[Finding], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)


def _counts(problems: int, warnings: int, notes: int) -> str:
    parts = [(problems, "problem"), (warnings, "warning"), (notes, "note")]
    return ", ".join(count(number, noun) for number, noun in parts if number)
