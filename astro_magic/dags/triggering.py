"""Trigger a DAG run in the running Airflow, and follow it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from astro_magic.dags.testrun import last_change
from astro_magic.engines.engine import Engine
from astro_magic.system.events import Operation

if TYPE_CHECKING:
    from astro_magic.airflow.runs import DagRun

__all__ = ["trigger_dag"]

_KNOWN_TIMEOUT = 30.0


def trigger_dag(
    engine: Engine,
    dag_id: str,
    *,
    conf: Mapping[str, Any],
    wait: bool,
    timeout: float,
    ui: str,
) -> Operation[DagRun]:
    """Trigger a DAG run; a paused DAG is unpaused, since its run would wait for ever.

    Parameters
    ----------
    engine : Engine
        What runs the project's Airflow.
    dag_id : str
        Which DAG.
    conf : mapping
        The run's configuration, JSON.
    wait : bool
        Wait until the run has ended.
    timeout : float
        Seconds to wait for that.
    ui : str
        Address of the Airflow UI, for links; empty for that of the API.

    Raises
    ------
    NotRunningError
        When Airflow does not run.
    DagNotFoundError, DagImportError, ApiError
        When the run cannot be created, or has not ended in time.
    """
    from astro_magic.airflow import runs

    access = engine.api()
    pages = ui or access.base_url
    changed = last_change(engine.project, dag_id)
    with access.client() as client:
        paused = yield from runs.wait_for_dag(client, dag_id, changed=changed, timeout=_KNOWN_TIMEOUT)
        if paused:
            runs.unpause(client, dag_id)
        created = runs.trigger(client, dag_id, conf=conf, ui=pages)
        if not wait:
            return created
        return (yield from runs.wait_for_run(client, created, timeout=timeout, ui=pages))
