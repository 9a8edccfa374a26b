"""Import Airflow once, in stages, in the process that everything else is forked from.

No stage may leave a thread behind: a thread does not survive a fork, and what it held stays locked for ever.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from astro_magic.engines.inside import loading
else:
    from . import loading

__all__ = ["STAGES", "load"]

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
#: Airflow 3.3 reads its table of metrics when the first one is counted; those before have none, or read it here.
_METRICS = ("airflow._shared.observability.metrics.stats", "airflow.sdk._shared.observability.metrics.stats")
_API = {
    2: ("airflow.www.app", "airflow.www.extensions.init_views", "airflow.www.views", "gunicorn.app.base"),
    3: ("airflow.cli.commands.api_server_command", "airflow.api_fastapi.main"),
}


def core() -> None:
    """Import what the scheduler, the DAG processor, the triggerer and a parse need, and do what each would begin with.

    To configure its models is half the work of a component's start, the table of metrics is a quarter, the command line
    a tenth. A task begins with that table, too.
    """
    loading.load_parsing()
    loading.load_modules(_CORE)
    from airflow.cli import cli_parser
    from sqlalchemy.orm import configure_mappers

    configure_mappers()
    cli_parser.get_parser()
    for name in loading.load_modules(_METRICS):
        read = getattr(sys.modules[name], "_get_registry", None)
        if read is not None:
            read()


def api() -> None:
    """Build the API server's application; of Airflow 2, where that reads the database, only import it."""
    os.environ["AIRFLOW_API_APPS"] = "all"
    loading.load_modules(_API.get(loading.generation(), ()))


def execution() -> None:
    """Import what a test run needs."""
    loading.load_test_run()


def tasks() -> None:
    """Generate the routes by which tasks talk to the API server, which keeps its first task waiting for seconds."""
    if loading.generation() >= 3:
        from airflow.api_fastapi.main import app

        for mount in app.routes:
            if getattr(mount, "path", None) == "/execution":
                loading.request_once(mount.app, ("GET", "/health"))


#: In the order in which they are loaded when nothing asks for one; each needs the core, and what tasks need the API.
STAGES = {"core": core, "api": api, "execution": execution, "tasks": tasks}
#: An import makes many objects and drops few: to look for those as often as usual takes a tenth of its time.
_RARELY = 100_000


def load(stage: str) -> None:
    """Load a stage; what was opened is closed, and the collector kept off: pages stay shared after a fork."""
    usual = gc.get_threshold()
    gc.set_threshold(_RARELY)
    try:
        STAGES[stage]()
    finally:
        gc.set_threshold(*usual)
    from airflow import settings

    settings.dispose_orm()
    settings.configure_orm()
    gc.collect()
    gc.freeze()
