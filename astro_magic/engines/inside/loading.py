"""Import what work with Airflow needs, before there is any; which modules those are depends on the version."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

__all__ = ["generation", "load_modules", "load_parsing", "load_test_run"]

_PARSING = ("airflow.settings", "airflow.utils.file", "airflow.serialization.serialized_objects")
_PARSING_OF = {
    2: ("airflow.models.dagbag", "airflow.decorators", "airflow.operators.python"),
    3: ("airflow.sdk", "airflow.dag_processing.dagbag"),
}
_TEST_RUN_OF_AIRFLOW_2 = ("airflow.models.xcom", "airflow.utils.db", "airflow.models.taskinstance")


def generation() -> int:
    """Give the major version of Airflow."""
    import airflow

    return int(str(airflow.__version__).partition(".")[0])


def load_modules(names: Iterable[str]) -> None:
    """Import modules; within a major version, some have come and moved, and one that is not there is left out."""
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as missing:
            if not f"{name}.".startswith(f"{missing.name}."):
                raise


def load_parsing() -> None:
    """Import what a parse needs."""
    load_modules([*_PARSING, *_PARSING_OF.get(generation(), ())])


def load_test_run() -> None:
    """Import what a test run needs.

    The execution API that a task of Airflow 3 talks to is in the same process here. Its routes are generated at the
    first request, which takes longer than all the rest of a test run; so one request is made now. It touches no
    database.
    """
    if generation() < 3:
        load_modules(_TEST_RUN_OF_AIRFLOW_2)
        return
    import asyncio
    import uuid

    import httpx
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    application = in_process_api_server().app
    # Airflow 3.0 answers the request with a failure, by which time the routes are there.
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)

    async def first_request() -> None:
        async with (
            application.router.lifespan_context(application),
            httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client,
        ):
            await client.get("/health")
            await client.patch(f"/task-instances/{uuid.UUID(int=0)}/run", json={})

    asyncio.run(first_request())
