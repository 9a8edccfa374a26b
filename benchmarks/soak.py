"""One warm process through many restarts, with parses, runs and triggers in between: whether it keeps its size.

``--rounds N`` restarts (200), then work without restarts until ``--minutes M`` are over (60). Ends with exit code 1
when something leaks: see `leaks`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psutil

from astro_magic.engines.local.supervision import Supervisor
from astro_magic.environment import Environment
from benchmarks._instance import await_warm, memory_of, supervisor_of
from benchmarks._measure import timed
from benchmarks._project import DAG, measured_project

__all__ = ["Sample", "leaks", "soak"]

_EVERY = 20
#: What is imported and cached by use is so by then.
_SETTLED = 20
#: What it holds is the same in each round; what it shares depends on what its forks did lately.
_MOST_GROWTH = {"rss": 0.02, "pss": 0.10}
_MOST_FILES = 3


@dataclass(frozen=True)
class Sample:
    """The process as it was after a round.

    Attributes
    ----------
    number : int
        Which round.
    rss, pss : float
        Its memory in MB: all that it holds, and its part of that, since it shares it with its forks. What is its
        alone is no measure: a page becomes so whenever a fork writes to its copy.
    files, threads, children, zombies : int
        What it has open, and whom it has not let go of.
    seconds : float
        How long the round's restart took; 0 without one.
    """

    number: int
    rss: float
    pss: float
    files: int
    threads: int
    children: int
    zombies: int
    seconds: float


def soak(
    environment: Environment, rounds: int, *, seconds: float = 0.0, say: Callable[[Sample], None] | None = None
) -> list[Sample]:
    """Start, then restart and work in each round; give a sample of each.

    Parameters
    ----------
    environment : Environment
        Of a project with the DAG ``orders``.
    rounds : int
        How many restarts.
    seconds : float
        How long to go on; after the last restart without any.
    say : callable, optional
        Called with each sample.

    Raises
    ------
    RuntimeError
        When a round fails, or Airflow is not forked from the same process any more.
    """
    begun = time.monotonic()
    environment.start()
    # What it imports in a quiet moment is no growth, whenever that moment comes.
    await_warm(environment)
    first = supervisor_of(environment)
    samples: list[Sample] = []
    while len(samples) < rounds or time.monotonic() - begun < seconds:
        restarting = len(samples) < rounds
        took = timed(lambda: environment.restart(force=True)) if restarting else 0.0
        _work(environment)
        if supervisor_of(environment) != first:
            raise RuntimeError(f"round {len(samples) + 1}: another process took its place")
        samples.append(_look(first, len(samples) + 1, took))
        if say is not None:
            say(samples[-1])
    return samples


def _work(environment: Environment) -> None:
    """Parse, run and trigger, as a person does between two restarts."""
    file = environment.project.root / "dags" / f"{DAG}.py"
    if environment.parse(file.name).failure is not None:
        raise RuntimeError("the DAG file does not parse any more")
    if environment.test_dag(DAG).state != "success":
        raise RuntimeError("the test run failed")
    run = environment.trigger(DAG, wait=True, timeout=300)
    if run.state != "success":
        raise RuntimeError(f"the triggered run is {run.state}")


def _look(supervisor: Supervisor, number: int, seconds: float) -> Sample:
    process = psutil.Process(supervisor.pid)
    children = process.children()
    return Sample(
        number,
        memory_of([process], "rss"),
        memory_of([process], "pss"),
        process.num_fds(),
        process.num_threads(),
        len(children),
        sum(child.status() == psutil.STATUS_ZOMBIE for child in children),
        seconds,
    )


def leaks(samples: Sequence[Sample]) -> list[str]:
    """Say what grew: memory since round 20, by more than it varies, or files, threads or children at all.

    Of fewer rounds, the first third is taken to settle.
    """
    settled = samples[min(_SETTLED, len(samples) // 3)]
    last = samples[-1]
    found = []
    for name, most in _MOST_GROWTH.items():
        before, now = getattr(settled, name), getattr(last, name)
        if now > before * (1 + most):
            found.append(f"{name} grew from {before:.0f} MB in round {settled.number} to {now:.0f} MB")
    if last.files > settled.files + _MOST_FILES:
        found.append(f"open files grew from {settled.files} to {last.files}")
    if last.threads > 1:
        found.append(f"{last.threads} threads, where only one survives a fork")
    if last.children > settled.children or last.zombies > 1:
        found.append(f"{last.children} children ({last.zombies} have ended), where there were {settled.children}")
    return found


def main() -> int:
    """Soak and print; give the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=60)
    asked = parser.parse_args()
    print(f"{'round':>6}{'RSS':>9}{'PSS':>9}{'files':>7}{'threads':>9}{'children':>10}{'zombies':>9}{'restart':>10}")

    def say(each: Sample) -> None:
        if each.number == 1 or each.number % _EVERY == 0 or each.number == asked.rounds:
            memory = f"{each.rss:6.0f} MB{each.pss:6.0f} MB"
            counts = f"{each.files:7}{each.threads:9}{each.children:10}{each.zombies:9}"
            print(f"{each.number:6}{memory}{counts}{each.seconds:8.2f} s", flush=True)

    with measured_project() as environment:
        samples = soak(environment, asked.rounds, seconds=60 * asked.minutes, say=say)
        supervisor = supervisor_of(environment)
        environment.stop()
        left = [process.pid for process in supervisor.members()]
    times = [each.seconds for each in samples if each.seconds]
    print(
        f"\n{len(samples)} rounds; a restart took {statistics.median(times):.2f} s (median), {max(times):.2f} s at most"
    )
    found = [*leaks(samples), *([f"{len(left)} processes are left"] if left else [])]
    print("\n".join(found) or "Nothing leaks.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
