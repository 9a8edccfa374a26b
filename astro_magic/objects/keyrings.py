"""Objects whose values the operating system's keyring keeps: ``keyring:NAME`` in ``airflow_settings.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from astro_magic.project.settings.values import SettingsObject
from astro_magic.system.keyrings import is_kept, kept_value

__all__ = ["resolved"]


def resolved(item: SettingsObject) -> SettingsObject:
    """Give an object with the values that its references stand for.

    Parameters
    ----------
    item : SettingsObject
        As the file has it.

    Raises
    ------
    EngineError
        When the keyring has no such entry, or cannot be read.
    """
    if not any(map(is_kept, item.values.values())):
        return item
    values: Mapping[str, Any] = {
        name: kept_value(value) if is_kept(value) else value for name, value in item.values.items()
    }
    return SettingsObject(item.kind, item.name, values, item.place)
