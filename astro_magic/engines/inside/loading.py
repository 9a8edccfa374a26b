"""Import what work with Airflow needs, before there is any; which modules those are depends on the version."""

from __future__ import annotations

import contextlib
import importlib
import uuid
from collections.abc import Iterable
from typing import Any

__all__ = ["generation", "load_modules", "load_parsing", "load_test_run", "request_once"]

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


def load_modules(names: Iterable[str]) -> list[str]:
    """Import modules, and give which; within a major version, one that is not there is left out."""
    loaded = []
    for name in names:
        try:
            importlib.import_module(name)
            loaded.append(name)
        except ModuleNotFoundError as missing:
            if not f"{name}.".startswith(f"{missing.name}."):
                raise
    return loaded


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
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    application = in_process_api_server().app
    run = f"/task-instances/{uuid.UUID(int=0)}/run"
    request_once(application, ("GET", "/health"), ("PATCH", run), lifespan=application.router.lifespan_context)


def request_once(application: Any, *requests: tuple[str, str], lifespan: Any = contextlib.nullcontext) -> None:
    """Send requests, each a method and a path, to an application that nobody serves yet; what it answers is ignored.

    `lifespan` gives the context in which that is done.
    """
    import asyncio

    import httpx

    # Airflow 3.0 answers some requests with a failure, by which time the routes are there.
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)

    async def send() -> None:
        async with (
            lifespan(application),
            httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client,
        ):
            for method, path in requests:
                await client.request(method, path, json=None if method == "GET" else {})

    asyncio.run(send())
