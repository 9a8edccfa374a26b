"""Import Airflow once, in stages, in the process that everything else is forked from.

No stage may leave a thread behind: a thread does not survive a fork, and what it held stays locked for ever.
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astro_magic.engines.inside import loading
else:
    from . import loading

__all__ = ["STAGES"]

_CORE = (
    "airflow.cli.cli_parser",
    "airflow.dag_processing.manager",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.cli.commands.scheduler_command",
    "airflow.cli.commands.triggerer_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.executors.local_executor",
)
_API = {
    2: ("airflow.www.app", "airflow.www.extensions.init_views", "airflow.www.views", "gunicorn.app.base"),
    3: ("airflow.cli.commands.api_server_command", "airflow.api_fastapi.main"),
}


def core() -> None:
    """Import what the scheduler, the DAG processor, the triggerer and a parse need."""
    loading.load_parsing()
    loading.load_modules(_CORE)
    _settle()


def api() -> None:
    """Build the API server's application; of Airflow 2, where that reads the database, only import it."""
    os.environ["AIRFLOW_API_APPS"] = "all"
    loading.load_modules(_API.get(loading.generation(), ()))
    _settle()


def execution() -> None:
    """Import what a test run needs."""
    loading.load_test_run()
    _settle()


def _settle() -> None:
    """Close what was opened, and keep the collector off what was loaded: its pages stay shared after a fork."""
    from airflow import settings

    settings.dispose_orm()
    settings.configure_orm()
    gc.collect()
    gc.freeze()


#: In the order in which they are loaded when nothing asks for one; each needs the core.
STAGES = {"core": core, "api": api, "execution": execution}
