"""Read what BuildKit writes while it builds, in its plain form, and what podman writes in its own."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["BuildOutput", "BuildStep", "worth_showing"]

_LINE = re.compile(r"#(?P<number>\d+) (?P<rest>.*)", re.DOTALL)
_TIMED = re.compile(r"(?P<seconds>\d+\.\d+) ?(?P<text>.*)", re.DOTALL)
_DONE = re.compile(r"DONE (?P<seconds>[\d.]+)s")
_PLACE = re.compile(
    # From ten steps on, the numbers of the first nine are filled up with a blank.
    r"\[ *(?:(?P<platform>[a-z0-9]+/[a-z0-9/]+)[ >-]+)?(?:(?P<stage>\S+) +)?(?P<index>\d+)/(?P<total>\d+)\] "
    r"(?:ONBUILD )?(?P<text>.*)",
    re.DOTALL,
)
_PODMAN_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP (?P<index>\d+)/(?P<total>\d+): (?P<text>.*)", re.DOTALL)
_SOURCE = re.compile(r"(?:\S*/)?Dockerfile:(?P<line>\d+)")
_FINAL = re.compile(
    r"(?:ERROR: |Error: |error: |failed to |executor failed|error during connect|rpc error|unable to |could not |"
    r"Cannot connect|invalid |unknown flag)"
)
_PREFIX = re.compile(
    r"^(?:ERROR|Error|error): |^failed to (?:build|solve): |^rpc error: code = \w+ desc = |"
    r"^failed to solve with frontend [\w.]+: |^failed to create LLB definition: "
)
#: How much of a step's output is kept: enough to find the cause and its last words, however long it goes on.
_LINES_KEPT = 400
_NOISE = re.compile(
    r"[━╸╺─]{4,}|\d+%\s*[\[|(]|^\s*(?:Get|Hit|Ign):\d|^(?:Reading package lists|Building dependency tree|"
    r"Reading state information)|^\(Reading database|^debconf: |^Selecting previously|^Preparing to unpack|"
    r"^\[notice\]|^\s*DEPRECATION: |^WARNING: Running pip as|^\s*hint: See above|^\s*note: This (?:error|is an issue)|"
    r"^\s+(?:Downloading|Using cached) \S+ |^\s*\[end of output\]|^\s*[╰│×]?\s*$|"
    # What podman calls what it made.
    r"^--> |^COMMIT |^Successfully tagged |^[0-9a-f]{64}$"
)


@dataclass
class BuildStep:
    """One step of a build.

    Attributes
    ----------
    number : int
        Its number in the output.
    name : str
        As the builder names it: ``[2/5] RUN make``, ``[internal] load build context``.
    state : {"running", "done", "cached", "failed", "canceled"}
        Where it stands.
    seconds : float or None
        How long it took; None while it runs.
    lines : deque of str
        The last lines that it wrote.
    error : str
        Why it failed.
    """

    number: int
    name: str
    state: Literal["running", "done", "cached", "failed", "canceled"] = "running"
    seconds: float | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT), repr=False)
    error: str = ""

    def __post_init__(self) -> None:
        match = _PLACE.fullmatch(self.name)
        self._place = match.groupdict() if match else {}

    @property
    def instruction(self) -> str:
        """The instruction of the Dockerfile that it is; empty for what the builder does by itself."""
        return self._place.get("text") or ""

    @property
    def stage(self) -> str:
        """The stage that it belongs to: its name, or ``stage-`` and its number; empty where there is one only."""
        return self._place.get("stage") or ""

    @property
    def index(self) -> int:
        """Which step of its stage it is, where the ``FROM`` is 1; 0 when it is no instruction."""
        return int(self._place.get("index") or 0)

    @property
    def total(self) -> int:
        """How many steps its stage has. Some versions do not count those that the base image adds."""
        return int(self._place.get("total") or 0)

    @property
    def title(self) -> str:
        """The instruction with its place, on one line: ``[3/9] RUN pip install``."""
        text = " ".join((self.instruction or self.name).split())
        return f"[{self.index}/{self.total}] {text}" if 0 < self.index <= self.total else text

    def words(self, most: int = 12) -> tuple[str, ...]:
        """Give the last lines that it wrote, without progress and other noise."""
        return tuple(line for line in self.lines if worth_showing(line))[-most:]


class BuildOutput:
    """What a build has said so far.

    Attributes
    ----------
    steps : dict of int to BuildStep
        By number, in the order in which they began.
    source_line : int or None
        The line of the Dockerfile at which the builder says that it failed; not every version does.
    errors : list of str
        What the builder itself said at the end.
    """

    def __init__(self) -> None:
        self.steps: dict[int, BuildStep] = {}
        self.source_line: int | None = None
        self.errors: list[str] = []
        self._summary = False
        self._podman = 0

    @classmethod
    def of(cls, lines: Iterable[str]) -> BuildOutput:
        """Read the whole output of a build."""
        output = cls()
        for line in lines:
            output.feed(line)
        return output

    def feed(self, line: str) -> tuple[BuildStep, str | None] | None:
        """Read one line.

        Returns
        -------
        tuple of (BuildStep, str or None), or None
            The step that the line is about, and the text if the step wrote it; None for other lines.
        """
        match = _LINE.fullmatch(line)
        if match is not None:
            return self._about(int(match["number"]), match["rest"])
        if (match := _PODMAN_STEP.fullmatch(line)) is not None:
            return self._begin_podman(match)
        if line.startswith("------"):
            # From here on, the failing step's output is said again.
            self._summary = True
        elif source := _SOURCE.fullmatch(line):
            self.source_line = int(source["line"])
            self._summary = True
        elif _FINAL.match(line) and (self._summary or not self._podman or line.startswith("Error: ")):
            self.errors.append(line)
        elif self._podman:
            return self._wrote(self.steps[self._podman], line)
        return None

    @property
    def failed(self) -> BuildStep | None:
        """The step that failed; None when there is none, or the builder failed without one."""
        return next((step for step in self.steps.values() if step.state == "failed"), None)

    @property
    def error(self) -> str:
        """Why the build failed, in the builder's own words without their wrapping; empty when it said nothing."""
        text = self.errors[-1] if self.errors else ""
        while (shorter := _PREFIX.sub("", text)) != text:
            text = shorter
        return text or (self.failed.error if self.failed else "")

    @property
    def instructions(self) -> tuple[BuildStep, ...]:
        """The steps that are instructions of the Dockerfile, or of the base image's ``ONBUILD``."""
        return tuple(step for step in self.steps.values() if step.instruction)

    @property
    def ran(self) -> tuple[BuildStep, ...]:
        """Those of `instructions` that changed something: neither taken from the cache nor a ``FROM``."""
        return tuple(
            step for step in self.instructions if step.state == "done" and not step.instruction.startswith("FROM ")
        )

    def finish(self, *, succeeded: bool) -> None:
        """Settle the steps whose end nothing tells: podman says when one begins, not when it is over."""
        for step in self.steps.values():
            if self._podman and step.state == "running":
                step.state = "done" if succeeded or step.number != self._podman else "failed"

    def _about(self, number: int, rest: str) -> tuple[BuildStep, str | None] | None:
        step = self.steps.get(number)
        if step is None:
            if number == 0 or rest.startswith("sha256:"):
                return None
            step = self.steps[number] = BuildStep(number, rest)
            return step, None
        done = _DONE.fullmatch(rest)
        timed = _TIMED.fullmatch(rest)
        if done:
            step.state, step.seconds = ("done" if step.state == "running" else step.state), float(done["seconds"])
        elif rest == "CACHED":
            step.state = "cached"
        elif rest == "CANCELED":
            step.state = "canceled"
        elif rest.startswith("ERROR: "):
            step.state, step.error = "failed", rest.removeprefix("ERROR: ")
        elif timed:
            return self._wrote(step, timed["text"])
        return step, None

    def _begin_podman(self, match: re.Match[str]) -> tuple[BuildStep, str | None]:
        before = self.steps.get(self._podman)
        if before is not None and before.state == "running":
            before.state = "done"
        self._podman = len(self.steps) + 1
        step = BuildStep(self._podman, f"[{match['index']}/{match['total']}] {match['text']}")
        self.steps[self._podman] = step
        return step, None

    @staticmethod
    def _wrote(step: BuildStep, text: str) -> tuple[BuildStep, str | None]:
        if step.number and text.startswith("--> Using cache"):
            step.state = "cached"
            return step, None
        # What a carriage return has overwritten is not there for a reader.
        text = text.rstrip("\r").rpartition("\r")[2].rstrip()
        step.lines.append(text)
        return step, text


def worth_showing(line: str) -> bool:
    """Whether a line of output says something: no bar of a download, no list being read, not blank."""
    return bool(line.strip()) and _NOISE.search(line) is None
