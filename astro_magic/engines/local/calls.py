"""Run a script in a fork of the process that has imported Airflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from astro_magic.engines.local.supervision import Supervisor
from astro_magic.engines.options import Stage
from astro_magic.errors import CommandFailedError
from astro_magic.system.events import Event, Operation

__all__ = ["call_in"]


def call_in(
    supervisor: Supervisor,
    script: Path,
    request: Mapping[str, Any],
    stage: Stage,
    event: Callable[[dict[str, Any]], Event],
) -> Operation[dict[str, Any]]:
    """Run `script` in a fork of this supervisor: see `astro_magic.engines.engine.Engine.call`.

    Raises
    ------
    CommandFailedError
        When it fails; the detail has the last lines of its traceback, and is None when it was killed.
    """
    call = {"do": "call", "script": str(script), "request": dict(request), "stage": stage}
    for answer in supervisor.talk(call):
        if "event" in answer:
            yield event(answer["event"])
        elif "result" in answer:
            result: dict[str, Any] = answer["result"]
            return result
        else:
            detail = "\n".join(str(answer.get("error", "")).strip().splitlines()[-15:])
            raise CommandFailedError(f"{script.stem} failed in Airflow's process.", detail=detail)
    msg = f"{script.stem} ended without a result: its process was killed or ran out of memory."
    raise CommandFailedError(msg, hint="%astro_logs shows what was written last.")
