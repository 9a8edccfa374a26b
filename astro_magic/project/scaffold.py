"""The files of a new project, the same ones as the Astro CLI makes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from astro_magic.errors import InvalidContentError, InvalidPathError
from astro_magic.project.config import CONFIG_NAME, parse_config, with_project_name
from astro_magic.project.runtime import Runtime
from astro_magic.system import files

__all__ = ["DEFAULT_TAG", "EMPTY_FOLDERS", "FILES", "FOLDERS", "check_name", "name_from_folder", "write_scaffold"]

#: The runtime of a new project.
DEFAULT_TAG = "3.3-1"

#: The folders of a new project.
FOLDERS = (".astro", "dags", "include", "plugins", "tests/dags")
#: Those of them that begin empty.
EMPTY_FOLDERS = ("include", "plugins")

_REPOSITORIES = {2: "quay.io/astronomer/astro-runtime", 3: "astrocrpublic.azurecr.io/runtime"}
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*[a-z0-9]", re.IGNORECASE)
# A word ends before a capital that follows a small letter, before the last capital of a row of them, and between
# letters and digits.
_WORD_BORDER = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")


@dataclass(frozen=True)
class _File:
    """A file of the scaffold: the template that it is made from (None: it is empty) and its permissions."""

    template: str | None
    mode: int | None = None


_TEMPLATES = {
    ".astro/dag_integrity_exceptions.txt": _File("dag_integrity_exceptions.txt"),
    ".astro/test_dag_integrity_default.py": _File("test_dag_integrity_default.py"),
    ".dockerignore": _File("dockerignore"),
    ".env": _File(None, mode=0o600),
    ".gitignore": _File("gitignore"),
    "Dockerfile": _File("Dockerfile"),
    "README.md": _File("README.md"),
    "airflow_settings.yaml": _File("airflow_settings.yaml"),
    "dags/.airflowignore": _File(None),
    "dags/exampledag.py": _File("exampledag.py"),
    "packages.txt": _File(None),
    "requirements.txt": _File("requirements.txt"),
    "tests/dags/test_dag_example.py": _File("test_dag_example.py"),
}

#: The files of a new project, as POSIX paths.
FILES = (CONFIG_NAME, *_TEMPLATES)


def check_name(name: str) -> str:
    """Give a project name back when it is one.

    Raises
    ------
    InvalidPathError
        When it is not made of letters, digits, ``-`` and ``_``, begins or ends with a sign, or has one character.
    """
    if _NAME.fullmatch(name):
        return name
    raise InvalidPathError(
        f"{name!r} is no name for an Astro project.",
        hint="Use two or more letters, digits, '-' and '_', with a letter or digit first and last.",
    )


def name_from_folder(folder: str) -> str:
    """Derive a project name from the name of its folder, as the Astro CLI does: ``MyProj2`` gives ``my-proj-2``."""
    words = _WORD_BORDER.sub("-", folder)
    return re.sub(r"[^A-Za-z0-9]+", "-", words).strip("-").lower()


def write_scaffold(root: Path, *, name: str | None, tag: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write what is missing of a project; what is there is left alone.

    Parameters
    ----------
    root : Path
        The project's folder. It is made when it does not exist.
    name : str or None
        The project's name; None keeps the one that is set, or derives it from the folder.
    tag : str or None
        The runtime's image tag; None for `DEFAULT_TAG`.

    Returns
    -------
    tuple of (tuple of str, tuple of str)
        The files and empty folders that were created, and the files that were kept.

    Raises
    ------
    FileAccessError
        When a file or folder cannot be written.
    InvalidPathError
        When the name is none.
    InvalidContentError
        When the tag is none.
    """
    runtime = _runtime(tag or DEFAULT_TAG)
    config = root / CONFIG_NAME
    old = files.read_bytes(config) if config.exists() else None
    try:
        text = (old or b"").decode()
    except UnicodeDecodeError as error:
        raise InvalidContentError(f"{config} is not UTF-8 text.", hint="Save it in UTF-8 with an editor.") from error
    existing = parse_config(text).get("project.name")
    name = (existing or check_name(name_from_folder(root.name))) if name is None else check_name(name)
    created: list[str] = []
    kept: list[str] = []
    for folder in FOLDERS:
        if folder in EMPTY_FOLDERS and not (root / folder).exists():
            created.append(f"{folder}/")
        # As the Astro CLI makes it, so that a group may work on the project.
        files.make_folder(root / folder, mode=0o775 if folder == ".astro" else 0o777)
    if old is None or name != existing:
        files.write_atomic(config, with_project_name(text, name).encode(), mode=0o600)
    (created if old is None else kept).append(CONFIG_NAME)
    for target, file in _TEMPLATES.items():
        path = root / target
        # A dangling link or a folder (.env may be one) is something that the user put there.
        if path.exists() or path.is_symlink():
            kept.append(target)
            continue
        files.write_atomic(path, _render(file, name=name, runtime=runtime), mode=file.mode)
        created.append(target)
    return tuple(created), tuple(kept)


def _runtime(tag: str) -> Runtime:
    for repository in _REPOSITORIES.values():
        try:
            runtime = Runtime.from_image(f"{repository}:{tag}")
        except InvalidContentError:
            continue
        if _REPOSITORIES[runtime.airflow_major] == repository:
            return runtime
    raise InvalidContentError(
        f"{tag!r} is no tag of a runtime image.",
        hint=f"Give one such as {DEFAULT_TAG}, or {DEFAULT_TAG}-python-3.12.",
    )


def _render(file: _File, *, name: str, runtime: Runtime) -> bytes:
    if file.template is None:
        return b""
    text = (resources.files("astro_magic.project") / "templates" / f"{file.template}.template").read_text("utf-8")
    if runtime.airflow_major == 2:
        text = text.replace("from airflow.sdk import dag, task", "from airflow.decorators import dag, task")
    return text.replace("{{name}}", name).replace("{{image}}", runtime.image).encode()
