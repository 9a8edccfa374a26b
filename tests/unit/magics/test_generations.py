"""``%astro_env_history``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from IPython.core.error import UsageError

from astro_magic.engines.generations import Cached, Generation, Generations, Pruning, Rollback

MADE = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
FIRST = Generation(
    1, "0a1b2c", MADE, "3.3.1", "3.12.7", {"apache-airflow": "3.3.1"}, size=300_000_000, shared=280_000_000
)
SECOND = replace(
    FIRST,
    number=2,
    name="3d4e5f",
    airflow_version="3.3.2",
    packages={"apache-airflow": "3.3.2", "humanize": "4.9.0"},
    changes=("changes apache-airflow 3.3.1 → 3.3.2", "adds humanize 4.9.0", "adds a 1", "adds b 1"),
    current=True,
    running=True,
)


class FakeGenerations(Generations):
    def __init__(self, project):
        self.project = project
        self.known = (SECOND, FIRST)
        self.asked = []
        self.ready = True

    def read(self):
        return self.known

    def cached(self):
        return Cached(1, 70_000_000) if self.known else Cached(0, 0)

    def roll_back(self, wanted="", *, dry_run=False):
        self.asked.append(wanted)
        change = self.project.requirements.add("humanize==4.9.0", dry_run=dry_run)
        return Rollback(FIRST, change, self.ready)

    def prune(self, *, keep=None, max_size=None):
        self.asked.append((keep, max_size))
        return Pruning((FIRST,), (SECOND,), 20_000_000) if keep == 1 else Pruning((), self.known, 0)


@pytest.fixture
def generations(project, running):
    running.generations = FakeGenerations(project)
    return running.generations


def test_the_table(shell, generations):
    lines = [" ".join(line.split()) for line in repr(shell.cell("%astro_env_history")).splitlines()]
    changes = "changes apache-airflow 3.3.1 → 3.3.2, adds humanize 4.9.0, adds a 1"
    assert lines == [
        "2 environments, 40 MB of their own on disk",
        "made Airflow Python packages changes size",
        f"2 2026-11-20 09:30 3.3.2 3.12.7 2 {changes}, 1 more 300 MB, of which 280 MB shared current, running",
        "1 2026-11-20 09:30 3.3.1 3.12.7 1 300 MB, of which 280 MB shared",
        "kept for other projects: 1 environment, 70 MB of their own on disk",
        "shared: with a cache or another environment, so that it takes no room twice · .df is the DataFrame",
    ]


def test_the_data_frame(shell, generations):
    view = shell.cell("%astro_env_history -o kept")
    assert list(view) == list(generations.known)
    assert len(view) == 2
    assert shell.user_ns["kept"] is view
    frame = view.df.set_index("number")
    assert frame.loc[2, "packages"] == 2
    assert len(frame.loc[2, "changes"]) == 4
    assert list(frame.columns)[-2:] == ["current", "running"]


def test_before_there_is_one(shell, generations):
    generations.known = ()
    assert repr(shell.cell("%astro_env_history")) == "There is no environment yet. %astro_start makes it."


def test_going_back(shell, generations, project):
    text = repr(shell.cell("%astro_env_history --rollback --dry-run"))
    assert text.splitlines()[0].startswith("Would go back to environment 1: Airflow 3.3.1, 1 package, made 2026-11-20")
    assert "+ humanize==4.9.0" in text
    assert "Dry run: nothing was written." in text
    assert "humanize" not in project.requirements.text()
    text = repr(shell.cell("%astro_env_history --rollback 1"))
    assert text.startswith("Back to environment 1: ")
    assert "requirements.txt  +1" in text
    assert "damaged" not in text
    assert generations.asked == ["", "1"]
    generations.ready = False
    text = repr(shell.cell("%astro_env_history --rollback 0a1b"))
    assert "The files say so already." in text
    assert "It was damaged since, so the next start builds it again." in text


def test_removing(shell, generations):
    text = repr(shell.cell("%astro_env_history --prune --keep 1"))
    assert text.splitlines() == [
        "Removed 1 environment, which frees 20 MB; 1 left.",
        "  environment 1, Airflow 3.3.1, made 2026-11-20 09:30",
    ]
    assert (
        repr(shell.cell("%astro_env_history --prune --max-size 1.5")) == "Nothing to remove: 2 environments are kept."
    )
    assert generations.asked == [(1, None), (None, 1_500_000_000)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--prune --rollback", "stands alone"),
        ("--prune --dry-run", "stands alone"),
        ("--keep 2", "what --prune leaves"),
        ("--prune --keep -1", "0 or more"),
    ],
)
def test_wrong_use(shell, generations, line, told):
    with pytest.raises(UsageError, match=told):
        shell.cell(f"%astro_env_history {line}")
    assert generations.asked == []
