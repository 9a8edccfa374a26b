"""One log of all components, written for the Astro CLI and read from it."""

from __future__ import annotations

import stat
from datetime import UTC, datetime

from astro_magic.engines.local.inside.combined import CombinedLog
from astro_magic.engines.local.logs import read_combined
from astro_magic.engines.options import LogQuery


def test_what_is_written_from_now_on_is_copied_in_whole_lines(tmp_path):
    combined, scheduler, processor = (tmp_path / name for name in ("airflow.log", "scheduler.log", "dag-processor.log"))
    combined.write_text("of an earlier run\n")
    scheduler.write_text("old\n")
    log = CombinedLog(combined, {"scheduler": scheduler, "dag processor": processor})
    log.copy()
    assert combined.read_text() == ""
    with scheduler.open("a") as stream:
        stream.write("one\n\ntw")
    processor.write_text("eins\n")
    log.copy()
    with scheduler.open("a") as stream:
        stream.write("o\n")
    log.copy()
    log.copy()
    lines = ["scheduler  | one", "scheduler  | ", "dag-processor | eins", "scheduler  | two"]
    assert combined.read_text().splitlines() == lines
    # A log that was begun anew.
    scheduler.write_text("x\n")
    log.copy()
    assert combined.read_text().splitlines() == [*lines, "scheduler  | x"]


def test_a_new_file_is_its_owners_alone(tmp_path):
    CombinedLog(tmp_path / "airflow.log", {})
    assert stat.S_IMODE((tmp_path / "airflow.log").stat().st_mode) == 0o600


def test_lines_are_read_with_their_components(tmp_path):
    file = tmp_path / "airflow.log"
    file.write_text(
        "no component\n"
        "\x1b[34mscheduler \x1b[0m | 2026-11-22T10:00:00.000000Z [info] a | b\n"
        "scheduler  | goes on\n"
        "dag-processor | 2026-11-22T11:00:00.000000Z [info] parsed\n"
    )

    def read(**asked):
        return [(line.source, line.text[-8:]) for line in read_combined(file, LogQuery(**asked))]

    assert [source for source, _ in read()] == ["standalone", "scheduler", "scheduler", "dag processor"]
    assert read(components=("scheduler",), tail=1) == [("scheduler", " goes on"[1:])]
    assert read(since=datetime(2026, 11, 22, 10, 30, tzinfo=UTC)) == [("dag processor", "o] parsed"[1:])]
    assert read(grep="a . b") == [("scheduler", "o] a | b")]
