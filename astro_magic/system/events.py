"""Typed events: the one way in which progress travels from the core to what a person sees.

Long work is an `Operation`: a generator that yields events and returns its result. A view draws the events;
`run` drives an operation to its end for callers that only want the result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

__all__ = ["Event", "Listener", "Operation", "OutputLine", "Step", "TaskUpdate", "change_texts", "run"]

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One step of a longer piece of work, at a moment of its life.

    A step is announced with ``state="running"``, may be reported again with other details, and ends with
    ``"done"``, ``"failed"`` or ``"skipped"``. Events with the same `key` are the same step.

    Attributes
    ----------
    key : str
        Identifies the step within its operation.
    title : str
        What is being done, in the words of the view: ``environment``, ``database``, ``scheduler``.
    state : {"running", "done", "failed", "skipped"}
        Where it stands.
    detail : str
        What is worth knowing now; may be empty.
    seconds : float or None
        How long the step took, in seconds; None while it runs.
    fraction : float or None
        How much of it is done, from 0 to 1, where the total is known.
    """

    key: str
    title: str
    state: Literal["running", "done", "failed", "skipped"] = "running"
    detail: str = ""
    seconds: float | None = None
    fraction: float | None = None


@dataclass(frozen=True)
class OutputLine:
    """One line of output of a component or a command.

    Attributes
    ----------
    source : str
        The component (``scheduler``) or ``stdout``/``stderr`` of a command.
    text : str
        The line, without its end.
    """

    source: str
    text: str


@dataclass(frozen=True)
class TaskUpdate:
    """A task instance of a DAG run has a new state.

    Attributes
    ----------
    task_id : str
        The task; ``map_index`` is appended in brackets for a mapped task.
    state : str
        An Airflow task instance state, such as ``running`` or ``success``.
    try_number : int
        Which try this is, from 1.
    seconds : float or None
        How long the task ran, in seconds; None while it runs.
    result : str
        A short description of what the task returned; may be empty.
    """

    task_id: str
    state: str
    try_number: int = 1
    seconds: float | None = None
    result: str = ""

    @property
    def ended(self) -> bool:
        """Whether it is a state that the task stays in."""
        return self.state in {"success", "failed", "skipped", "upstream_failed", "removed"}


Event: TypeAlias = Step | OutputLine | TaskUpdate
Listener: TypeAlias = Callable[[Event], object]
Operation: TypeAlias = Generator[Event, None, T]


def change_texts(event: Event, change: Callable[[str], str]) -> Event:
    """Give an event with its free text changed: what a person or a program wrote, not keys, titles and states.

    Parameters
    ----------
    event : Event
        The event.
    change : callable
        Gives the new text.
    """
    if isinstance(event, OutputLine):
        return replace(event, text=change(event.text))
    if isinstance(event, TaskUpdate):
        return replace(event, result=change(event.result))
    return replace(event, detail=change(event.detail))


def run(operation: Operation[T], listener: Listener | None = None) -> T:
    """Drive an operation to its end.

    Parameters
    ----------
    operation : Operation
        The work. It is closed, and so can clean up, when this call is interrupted.
    listener : callable, optional
        Called with each event.

    Returns
    -------
    object
        What the operation returns.
    """
    try:
        while True:
            try:
                event = next(operation)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if listener is not None:
                listener(event)
    finally:
        operation.close()
