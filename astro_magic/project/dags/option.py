"""What a project says about an option of Airflow, without starting Airflow."""

from __future__ import annotations

from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.dockerfile import instructions
from astro_magic.project.dockerfile.lines import assignments
from astro_magic.project.dockerfile.words import plain
from astro_magic.project.document import Document
from astro_magic.project.project import Project

__all__ = ["airflow_major", "airflow_option", "option_variable"]


def option_variable(section: str, key: str) -> str:
    """Give the environment variable that sets an option: ``core``, ``parallelism`` is ``AIRFLOW__CORE__PARALLELISM``.

    The rule is that of ``AirflowConfigParser._env_var_name``.
    """
    return f"AIRFLOW__{section.replace('.', '_').upper()}__{key.upper()}"


def airflow_major(project: Project) -> int:
    """Give the major version of a project's Airflow: 2, or 3, which also counts where the image does not tell.

    Raises
    ------
    FileAccessError
        When the Dockerfile cannot be read.
    """
    try:
        return project.runtime.airflow_major
    except InvalidContentError:
        return 3


def airflow_option(project: Project, section: str, key: str) -> str | None:
    """Look an option of Airflow up where a project can set it.

    Parameters
    ----------
    project : Project
        The project.
    section, key : str
        The option, such as ``core``, ``parallelism``.

    Returns
    -------
    str or None
        What ``.env`` says, else the last ``ENV`` of the Dockerfile that says it; None when neither does.

    Raises
    ------
    FileAccessError
        When one of the files cannot be read.
    InvalidContentError
        When one of them is no UTF-8 text.
    """
    name = option_variable(section, key)
    value = project.variables().get(name)
    if value is not None:
        return value
    text = Document(project, "Dockerfile").text()
    # Taking the Dockerfile apart is not needed for most projects.
    return _image_variables(text).get(name) if name in text else None


def _image_variables(dockerfile: str) -> dict[str, str]:
    return {
        assignment.key: plain(assignment.value or "", entry.escape)
        for entry in instructions(dockerfile)
        if entry.keyword == "ENV"
        for assignment in assignments(entry)
    }
