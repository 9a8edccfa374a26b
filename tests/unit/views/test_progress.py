from __future__ import annotations

import time

import pytest

from astro_magic.system.events import OutputLine, Step, TaskUpdate
from astro_magic.views.progress import Progress


class Screen:
    """Remembers what was shown in one display."""

    def __init__(self):
        self.shown = []

    def __call__(self, content):
        self.shown.append(content._repr_mimebundle_())
        return self

    update = __call__

    def wait_for(self, text):
        end = time.monotonic() + 5
        while not any(text in bundle["text/plain"] for bundle in self.shown):
            assert time.monotonic() < end, self.shown
            time.sleep(0.005)


def test_short_work_shows_nothing():
    screen = Screen()
    printed: list[str] = []
    with Progress("Starting", display=screen) as progress:
        progress(Step("a", "database", "done", seconds=0.1))
    with Progress("Starting", write=printed.append) as progress:
        progress(Step("a", "database", "done", seconds=0.1))
    assert screen.shown == []
    assert printed == []
    assert [step.title for step in progress.steps] == ["database"]


def test_a_notebook_shows_one_display_that_is_empty_at_the_end():
    screen = Screen()
    with Progress("Starting shop", display=screen, delay=0, interval=0.005) as progress:
        progress(Step("a", "environment", fraction=0.5, detail="65 of 131"))
        screen.wait_for("████████░░░░░░░░ 50%  65 of 131")
        progress(Step("a", "environment", "done", "131 packages", 2.6))
        progress(TaskUpdate("clean", "success", 2, 0.9, "list of 3"))
        screen.wait_for("✓   environment   done      131 packages        2.6 s")
    assert screen.shown[-1] == {"text/plain": "", "text/html": ""}
    first = next(bundle for bundle in screen.shown if bundle["text/plain"])
    assert first["text/plain"].startswith("Starting shop · ")


def work_that_raises(progress, screen, error):
    with progress:
        progress(Step("a", "scheduler"))
        screen.wait_for("scheduler")
        raise error


@pytest.mark.parametrize(("error", "said"), [(ValueError("no"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_a_failure_leaves_the_last_state(error, said):
    screen = Screen()
    progress = Progress("Starting", display=screen, delay=0, interval=0.005)
    with pytest.raises(type(error)):
        work_that_raises(progress, screen, error)
    last = screen.shown[-1]["text/plain"]
    assert "✗   scheduler   failed" in last
    assert said in last


def test_a_terminal_gets_a_line_for_each_step_that_ends():
    printed: list[str] = []
    with Progress("Starting shop", write=printed.append, delay=0) as progress:
        progress(Step("a", "database"))
        progress(Step("a", "database", "done", "SQLite", 0.2))
    assert [text.split() for text in printed] == [["Starting", "shop"], ["database", "SQLite", "done", "0.2", "s"]]
    assert progress.steps == ()


def test_output_is_streamed_to_a_terminal_and_kept_as_a_tail_in_a_notebook():
    printed: list[str] = []
    with Progress("bash", write=printed.append, stream=True) as progress:
        progress(OutputLine("stdout", "one"))
    assert printed == ["one"]
    assert progress.streamed
    screen = Screen()
    with Progress("bash", display=screen, tail=2, delay=0, interval=0.005) as progress:
        for word in ("one", "two", "three"):
            progress(OutputLine("stdout", word))
        screen.wait_for("  two\n  three")
    assert [output.text for output in progress.lines] == ["one", "two", "three"]
