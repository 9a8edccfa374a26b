"""Import Airflow once, in stages, in the process that everything else is forked from.

No stage may leave a thread behind: a thread does not survive a fork, and what it held stays locked for ever.
"""

from __future__ import annotations

import gc
import importlib
import os

__all__ = ["STAGES"]

_CORE = (
    "airflow.settings",
    "airflow.sdk",
    "airflow.cli.cli_parser",
    "airflow.dag_processing.manager",
    "airflow.dag_processing.dagbag",
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.cli.commands.scheduler_command",
    "airflow.cli.commands.triggerer_command",
    "airflow.cli.commands.dag_processor_command",
    "airflow.executors.local_executor",
    "airflow.serialization.serialized_objects",
)


def core() -> None:
    """Import what the scheduler, the DAG processor, the triggerer and a parse need."""
    for name in _CORE:
        importlib.import_module(name)
    _settle()


def api() -> None:
    """Build the API server's application."""
    os.environ["AIRFLOW_API_APPS"] = "all"
    importlib.import_module("airflow.cli.commands.api_server_command")
    importlib.import_module("airflow.api_fastapi.main")
    _settle()


def execution() -> None:
    """Build the task execution API that a test run talks to within its own process.

    Its routes are generated at the first request, which takes longer than all the rest of a test run; so one
    request is made here. It touches no database.
    """
    import asyncio
    import uuid

    import httpx
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    server = in_process_api_server()

    async def first_request() -> None:
        transport = server.atransport
        async with (
            server.app.router.lifespan_context(server.app),
            httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client,
        ):
            await client.get("/health")
            await client.patch(f"/task-instances/{uuid.UUID(int=0)}/run", json={})

    asyncio.run(first_request())
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
