"""The secrets that a project knows, wherever they stand, so that they can be hidden wherever they turn up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from astro_magic.errors import AstroMagicError
from astro_magic.project.dockerfile.lines import assignments
from astro_magic.project.project import Project
from astro_magic.project.settings.environment import read_environment
from astro_magic.system.keyrings import is_kept, kept_value
from astro_magic.system.secrets import is_reference, is_secret_name, leaves, named_secrets, passwords_in_urls

__all__ = ["secrets_of"]

_BACKEND = "AIRFLOW__SECRETS__BACKEND_KWARGS"
#: A longer file is none of connections and variables that a person wrote.
_LONGEST = 1_000_000
#: Called so, all of a value is taken to be secret.
_BROKEN = "secret"


def secrets_of(project: Project) -> frozenset[str]:
    """Give all values in a project's files, in the keyring and in the kernel's environment that are secret.

    A file that cannot be read has none: whoever reads it says what is wrong with it.

    Parameters
    ----------
    project : Project
        The project.
    """
    sources: Iterable[Callable[[Project], Iterable[str]]] = (
        _of_environment,
        _of_connections,
        _of_settings,
        _of_backend,
        _of_dockerfile,
        _of_configuration,
        _of_kernel,
    )
    found: set[str] = set()
    for source in sources:
        with suppress(AstroMagicError, OSError):
            found.update(source(project))
    return frozenset(value for value in found if value and not is_reference(value))


def _of_environment(project: Project) -> Iterator[str]:
    for name, value in project.variables().items():
        yield from named_secrets(value, name)


def _of_connections(project: Project) -> Iterator[str]:
    """Give what stands within the connections of ``.env``, where it is encoded."""
    for item in read_environment(project).objects:
        if item.kind == "connection":
            yield from leaves(item.values.get("password"))
            yield from named_secrets(item.values.get("extra"))


def _of_settings(project: Project) -> Iterator[str]:
    # By the rows, since one that makes no object has its secrets all the same.
    for entry in project.settings.entries():
        for name, value in entry.values.items():
            if is_kept(value):
                with suppress(AstroMagicError):
                    yield from leaves(kept_value(value))
            else:
                called = entry.name if name == "variable_value" else name
                yield from named_secrets(value, _BROKEN if name == "conn_extra" and _is_broken(value) else called)
    for item in project.settings.objects().objects:
        if item.kind == "connection":
            yield from leaves(item.values.get("password"))
            yield from named_secrets(item.values.get("extra"))


def _is_broken(extra: object) -> bool:
    """Tell whether an extra is a text in which nothing can be told apart."""
    return isinstance(extra, str) and not extra.lstrip().startswith("{")


def _of_backend(project: Project) -> Iterator[str]:
    """Give what is in the files that Airflow's own secrets backend reads."""
    try:
        settings = json.loads(project.variables().get(_BACKEND, ""))
    except (ValueError, RecursionError):
        return
    for option in ("connections_file_path", "variables_file_path"):
        name = settings.get(option) if isinstance(settings, dict) else None
        file = project.root / Path(name) if isinstance(name, str) else None
        if file is None or not file.is_file() or file.stat().st_size > _LONGEST:
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines() if file.suffix == ".env" else ():
            name, _, value = line.partition("=")
            yield from named_secrets(value, name.strip())
        if file.suffix != ".env":
            yield from named_secrets(_loaded(text))


def _loaded(text: str) -> Any:
    import yaml

    try:
        # JSON is YAML as well.
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _of_dockerfile(project: Project) -> Iterator[str]:
    for entry in project.dockerfile.entries():
        yield from passwords_in_urls(entry.raw)
        for found in assignments(entry):
            if found.value and is_secret_name(found.key):
                yield found.value.strip("\"'")
    yield from passwords_in_urls(project.requirements.text())


def _of_configuration(project: Project) -> Iterator[str]:
    for key, (_, value) in project.config_file.values().items():
        yield from named_secrets(value, key)


def _of_kernel(project: Project) -> Iterator[str]:  # noqa: ARG001 - one signature for all sources
    """Give what whatever is started here is given, too."""
    for name, value in os.environ.items():
        if len(value) > 7 and is_secret_name(name) and not Path(value).is_absolute():
            yield value
