"""End the components of an instance: at once what has nothing to finish, and with patience the tasks that run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import psutil

from . import components

if TYPE_CHECKING:
    from astro_magic.engines.inside import processes
else:
    from . import processes

__all__ = ["end_components", "end_orphans"]

#: What has nothing to finish has this long to go. Airflow's triggerer sometimes misses the end of its own child.
_SHORT_GRACE = 1.0
#: A task that is about to be done may be so; then it is asked to end, as one is that a person marks as failed.
_TASK_PATIENCE = 0.4
#: So long it may clean up; one that heeds no signal is killed. Its worker may take several seconds to notice that, and
#: is not waited for as long as one whose task has ended by itself.
_TASK_GRACE = 1.0
_KILLED_GRACE = 0.5


def end_components(
    known: Mapping[str, components.Component], others: Callable[[], list[Any]], grace: float
) -> tuple[int, int]:
    """End components and whatever else `others` gives; give how many processes ended, and how many were killed.

    The scheduler ends when its tasks have. The server stays until then, since they report to it. That the others
    were too slow is no news, so it is not counted.
    """
    total = len(others())
    forced = 0
    if grace > 0:
        short = min(_SHORT_GRACE, grace)
        first = {name: _process_of(each) for name, each in known.items() if name not in components.SERVERS}
        scheduler = first.pop("scheduler", [])
        tasks = _Tasks(scheduler)
        idle = [process for found in first.values() for process in found]
        processes.ask_to_end([*scheduler, *idle])
        forced += tasks.end(patience=min(_TASK_PATIENCE, grace), grace=grace)
        servers = [process for name in components.SERVERS if name in known for process in _process_of(known[name])]
        processes.ask_to_end(servers)
        processes.end_late(idle, grace=max(short - tasks.seconds, 0.0))
        processes.end_late(servers, grace=short)
    forced += processes.end(others(), grace=0)[1]
    return total, forced


def end_orphans(parent: int, known: Collection[int]) -> None:
    """Kill what a component that died has left: workers that nobody gives work to any more, and what these run.

    As it would go with its container. They are children of `parent` by then, beside the `known` ones.
    """
    found: list[psutil.Process] = []
    for child in psutil.Process(parent).children():
        if child.pid not in known:
            with contextlib.suppress(psutil.Error):
                found += [child, *child.children(recursive=True)]
    processes.end(found, grace=0)


class _Tasks:
    """The tasks that a scheduler runs: each is a child of one of its workers."""

    def __init__(self, scheduler: list[psutil.Process]) -> None:
        self._scheduler = scheduler
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long this has taken."""
        return time.monotonic() - self._begun

    def end(self, *, patience: float, grace: float) -> int:
        """Wait for the scheduler, which waits for them, and end them when that takes long.

        Gives how many processes were killed.
        """
        late = processes.await_end(self._scheduler, timeout=patience)
        if not late:
            return 0
        killed = processes.end(self._running(), grace=min(_TASK_GRACE, grace))[1]
        left = max(grace - self.seconds, 0.0)
        return killed + processes.end_late(late, grace=min(_KILLED_GRACE, left) if killed else left)

    def _running(self) -> list[psutil.Process]:
        found = []
        for scheduler in self._scheduler:
            with contextlib.suppress(psutil.Error):
                for worker in scheduler.children():
                    with contextlib.suppress(psutil.Error):
                        found += worker.children()
        return found


def _process_of(component: components.Component) -> list[Any]:
    if component.pid is not None:
        with contextlib.suppress(psutil.Error):
            return [psutil.Process(component.pid)]
    return []
