"""Resolve the requirements of a project with the Airflow that its image stands for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from astro_magic.engines.releases import versions_of_release
from astro_magic.errors import ResolutionError
from astro_magic.private.access import settings_for_uv
from astro_magic.project.project import Project
from astro_magic.resolve.resolver import Resolution, resolve

__all__ = ["resolve_requirements"]


_NONE: Mapping[str, str] = MappingProxyType({})


def resolve_requirements(
    project: Project, text: str, *, python: str, installed: Mapping[str, str] = _NONE
) -> Resolution:
    """Resolve the text of a requirements file with the project's private packages; nothing is installed.

    Parameters
    ----------
    project : Project
        The project, whose image tells the Airflow version.
    text : str
        The requirements.
    python : str
        The Python version that they are for, such as ``3.12``.
    installed : Mapping of str to str, optional
        What the project's image has, by name, where that is known: its Airflow is the one, and its versions are stayed
        with. Else those are stayed with that its Airflow was released with.

    Raises
    ------
    ResolutionError, NetworkError
        See `astro_magic.resolve.resolver.resolve`.
    """
    runtime = project.runtime
    locks = project.state_dir / "locks"
    known = installed.get("apache-airflow", "")
    # The image of before says nothing of a project whose Dockerfile has another Airflow by now.
    fits = known == runtime.airflow if runtime.exact else known.startswith(f"{runtime.airflow}.")
    private = project.private_requirements.text()
    settings = settings_for_uv(project)
    asked = runtime.airflow if runtime.exact else f"{runtime.airflow}.*"
    preferred = installed if fits else versions_of_release(asked, python, settings=settings)

    def resolve_with(airflow: str, requirements: str) -> Resolution:
        return resolve(
            f"{requirements.rstrip()}\n{private}",
            folder=project.root,
            airflow=airflow,
            python=python,
            locks=locks,
            preferred=preferred,
            settings=settings,
        )

    if runtime.exact or fits:
        return resolve_with(known if fits else runtime.airflow, text)
    try:
        return resolve_with(asked, text)
    except ResolutionError:
        # With a whole line of Airflow versions to rule out, the proof is a page long; with one, it is a sentence.
        return resolve_with(resolve_with(asked, "").airflow, text)
