"""Pools without a limit in Airflow 2, whose API takes them, but fails to tell of them.

The open slots of a pool with -1 slots are infinite, which version 1 of the API, as it checks its own answers, takes for
no whole number. So it answers with an error where it has done what it was asked, and lists no pool at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from astro_magic.airflow.client import AirflowClient, RefusedError

__all__ = ["UNLIMITED", "is_about_unlimited", "list_limited", "unlimited_among"]

#: The slots of a pool that has as many as are asked for.
UNLIMITED = -1

_PATH = "/pools"


def is_about_unlimited(refusal: RefusedError) -> bool:
    """Tell whether Airflow 2 did what it was asked, and failed to tell of a pool without a limit."""
    return refusal.status == 500 and (refusal.detail or "").startswith("inf is not of type")


def list_limited(client: AirflowClient) -> tuple[list[dict[str, Any]], int]:
    """Give the pools that Airflow 2 can tell of, one by one where it has to be, and the number of the others.

    Raises
    ------
    ApiError
        When the API refuses for another reason, or does not answer.
    """
    try:
        return list(client.rows(_PATH, "pools")), 0
    except RefusedError as refusal:
        if not is_about_unlimited(refusal):
            raise
    client.prepare_for_many()
    rows: list[dict[str, Any]] = []
    hidden = 0
    for offset in itertools.count():
        try:
            page = client.get(_PATH, params={"limit": 1, "offset": offset})
        except RefusedError as refusal:
            if not is_about_unlimited(refusal):
                raise
            hidden += 1
            continue
        if not page or not page.get("pools"):
            break
        rows += page["pools"]
    return rows, hidden


def unlimited_among(client: AirflowClient, paths: Iterable[tuple[str, str]]) -> list[str]:
    """Tell which of some pools, given by name and path, are there without a limit.

    Raises
    ------
    ApiError
        When the API refuses for another reason, or does not answer.
    """
    found = []
    for name, path in paths:
        try:
            client.get(path)
        except RefusedError as refusal:
            if not is_about_unlimited(refusal):
                raise
            found.append(name)
    return found
