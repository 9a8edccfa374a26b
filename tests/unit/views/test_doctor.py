from __future__ import annotations

import re

import pytest

from astro_magic.machine.result import CheckResult
from astro_magic.project.checks.finding import Finding
from astro_magic.views.doctor import DoctorView, finding_lines
from astro_magic.views.report import Report
from astro_magic.views.text import set_text

EVIL = "<script>alert(1)</script>"

FINDINGS = (
    Finding("git-ignore", "note", "git is not used.", ""),
    Finding("two-files", "warning", "pandas is in two files.", "Remove one.", "requirements.txt", 7),
    Finding("crlf", "warning", "The lines end with CR LF.", "Save it with LF.", "packages.txt"),
    Finding("unknown-key", "error", "conn_hots is no key.", "Write conn_host.", "requirements.txt", 12),
    Finding("no-image", "error", "FROM names no known image.", "Use %astro_init.", "Dockerfile", 1),
)
MACHINE = (
    CheckResult("Docker", "unknown", "not there; local processes are used"),
    CheckResult("memory", "good", "8.0 GB of 16.0 GB available"),
    CheckResult("port 8080", "warning", "held by nginx (process 7)", "Stop it."),
    CheckResult("disk", "bad", "400 MB free for the project", "Free some space."),
)


def test_everything():
    view = DoctorView(FINDINGS, MACHINE, project_name="shop")
    assert repr(view).splitlines() == [
        "shop: 3 problems, 3 warnings, 1 note",
        "Dockerfile",
        "  problem  line 1  FROM names no known image.",
        "    Use %astro_init.",
        "requirements.txt",
        "  problem  line 12  conn_hots is no key.",
        "    Write conn_host.",
        "  warning  line 7  pandas is in two files.",
        "    Remove one.",
        "packages.txt",
        "  warning  The lines end with CR LF.",
        "    Save it with LF.",
        "project",
        "  note  git is not used.",
        "  machine",
        "  Docker      –         not there; local processes are used",
        "  memory      good      8.0 GB of 16.0 GB available",
        "  port 8080   warning   held by nginx (process 7)",
        "                        Stop it.",
        "  disk        problem   400 MB free for the project",
        "                        Free some space.",
    ]
    assert view.findings == FINDINGS
    assert view.machine == MACHINE
    assert not view.ok


def test_in_html_states_have_a_sign():
    html = DoctorView(FINDINGS, MACHINE, project_name="shop")._repr_mimebundle_()["text/html"]
    text = re.sub(r"<[^>]+>", "", html)
    assert "✗ problem" in text
    assert "✓ good" in text


@pytest.mark.parametrize(
    ("findings", "machine", "name", "said"),
    [
        ((), MACHINE[:2], "shop", "shop: nothing found in the project's files and 2 checks of the machine"),
        ((), None, "shop", "shop: nothing found in the project's files"),
        (None, MACHINE[:1], "shop", "shop: nothing found in 1 check of the machine"),
        (None, MACHINE[:2], "", "Nothing found in 2 checks of the machine"),
        (None, MACHINE[3:], "", "1 problem"),
        (FINDINGS[:1], None, "shop", "shop: 1 note"),
    ],
)
def test_headline(findings, machine, name, said):
    view = DoctorView(findings, machine, project_name=name)
    assert repr(view).splitlines()[0] == said
    view.brief = True
    assert repr(view) == said


def test_outside_of_a_project_it_says_so():
    assert "There is no project here" in repr(DoctorView(None, MACHINE))
    assert "There is no project here" not in repr(DoctorView(None, MACHINE, project_name="shop"))


def test_warnings_and_notes_are_ok():
    assert DoctorView(FINDINGS[:3], MACHINE[:3], project_name="shop").ok
    assert not DoctorView(FINDINGS[3:4], (), project_name="shop").ok
    assert not DoctorView((), MACHINE[3:], project_name="shop").ok


def test_nothing_is_markup():
    view = DoctorView(
        (Finding(EVIL, "error", EVIL, EVIL, EVIL, 1),), (CheckResult(EVIL, "bad", EVIL, EVIL),), project_name=EVIL
    )
    html = view._repr_mimebundle_()["text/html"]
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 7


def test_many_findings_fit():
    findings = [Finding("x", "warning", "<" * 80, "&" * 80, f"dags/{number}.py", number) for number in range(5_000)]
    bundle = DoctorView(findings, MACHINE, project_name="shop")._repr_mimebundle_()
    assert all(len(content.encode()) <= 64_000 for content in bundle.values())
    assert "5,001 warnings" in bundle["text/plain"]
    assert "… 4,950 more left out; .findings has all of them" in bundle["text/plain"]
    assert "8.0 GB of 16.0 GB available" in bundle["text/html"]


def brief(findings, **options):
    return set_text(Report(tuple(finding_lines(findings, **options)))).splitlines()


def test_the_worst_in_brief():
    assert brief(FINDINGS) == [
        "2 problems, 2 warnings; %astro_doctor shows them and what to do.",
        "  problem  Dockerfile line 1: FROM names no known image.",
        "  problem  requirements.txt line 12: conn_hots is no key.",
        "  warning  packages.txt: The lines end with CR LF.",
    ]
    assert len(brief(FINDINGS, most=1)) == 2
    assert brief(FINDINGS[1:2])[0] == "1 warning; %astro_doctor says what to do."
    assert brief([Finding("x", "error", "It is odd.", "")])[1] == "  problem  It is odd."


def test_notes_alone_are_no_reason_to_speak():
    assert finding_lines(FINDINGS[:1]) == []
    assert finding_lines(()) == []


def test_a_file_is_named_once():
    named = Finding("a", "warning", ".env is open to others.", "", ".env")
    other = Finding("b", "warning", "The value is empty.", "", ".env")
    placed = Finding("c", "warning", ".env has it twice.", "", ".env", 3)
    assert brief([named, other, placed])[1:] == [
        "  warning  .env is open to others.",
        "  warning  .env: The value is empty.",
        "  warning  .env line 3: .env has it twice.",
    ]
