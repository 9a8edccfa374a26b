"""The files of a new project: the same ones as the Astro CLI makes, and those of a template laid over them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from astro_magic.errors import InvalidContentError, InvalidPathError, ProjectNotFoundError
from astro_magic.project.config import CONFIG_NAME, parse_config, with_project_name
from astro_magic.project.location import find_root, is_home
from astro_magic.project.runtime.runtime import Runtime
from astro_magic.project.runtime.table import choose
from astro_magic.project.runtime.tag import Tag
from astro_magic.system import files

__all__ = [
    "EMPTY_FOLDERS",
    "FILES",
    "FOLDERS",
    "Scaffold",
    "Template",
    "TemplateFile",
    "Written",
    "check_name",
    "check_place",
    "name_from_folder",
]

#: The folders of a new project.
FOLDERS = (".astro", "dags", "include", "plugins", "tests/dags")
#: Those of them that begin empty.
EMPTY_FOLDERS = ("include", "plugins")

_EXAMPLE = "dags/exampledag.py"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*[a-z0-9]", re.IGNORECASE)
# A word ends before a capital that follows a small letter, before the last capital of a row of them, and between
# letters and digits.
_WORD_BORDER = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
#: What the Astro CLI starts, by the major version of Airflow.
_CONTAINERS = {
    2: "four containers: Postgres, scheduler, triggerer and webserver",
    3: "five containers: Postgres, scheduler, DAG processor, triggerer and API server",
}
_DECORATORS = {2: "airflow.decorators", 3: "airflow.sdk"}


@dataclass(frozen=True)
class TemplateFile:
    """A file of a template.

    Attributes
    ----------
    name : str
        Its place in the project, as a POSIX path.
    content : bytes
        What is in it.
    mode : int or None
        Its permissions; None leaves them to the umask.
    """

    name: str
    content: bytes = field(repr=False)
    mode: int | None = None


@dataclass(frozen=True)
class Template:
    """Files that a new project begins with, in place of the example DAG.

    Attributes
    ----------
    name : str
        What it is called, with no login in it.
    files : tuple of TemplateFile
        The files.
    rendered : bool
        Whether ``{{name}}`` and such stand for something in them. In files of a user, braces are Jinja's.
    """

    name: str
    files: tuple[TemplateFile, ...]
    rendered: bool = False


@dataclass(frozen=True)
class Written:
    """What writing a scaffold did.

    Attributes
    ----------
    created : tuple of str
        Files that were made, as POSIX paths; empty folders end with a slash.
    kept : tuple of str
        Files that were there and were left alone.
    """

    created: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class _Source:
    """A file of the scaffold: what it is made from (None: it is empty) and its permissions."""

    template: str | None
    mode: int | None = None


_SOURCES = {
    ".astro/dag_integrity_exceptions.txt": _Source("dag_integrity_exceptions.txt"),
    ".astro/test_dag_integrity_default.py": _Source("test_dag_integrity_default.py"),
    ".dockerignore": _Source("dockerignore"),
    ".env": _Source(None, mode=0o600),
    ".gitignore": _Source("gitignore"),
    "Dockerfile": _Source("Dockerfile"),
    "README.md": _Source("README.md"),
    "airflow_settings.yaml": _Source("airflow_settings.yaml", mode=0o600),
    "dags/.airflowignore": _Source(None),
    _EXAMPLE: _Source("exampledag.py"),
    "packages.txt": _Source(None),
    "requirements.txt": _Source("requirements.txt"),
    "tests/dags/test_dag_example.py": _Source("test_dag_example.py"),
}

#: The files of a new project, as POSIX paths.
FILES = (CONFIG_NAME, *_SOURCES)


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
    """Derive a project name from the name of its folder, as the Astro CLI does: ``MyProj2`` gives ``my-proj-2``.

    Raises
    ------
    InvalidPathError
        When too few of its characters are letters from A to Z and digits.
    """
    # Letters lose their accents rather than being left out.
    plain = unicodedata.normalize("NFKD", folder).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "-", _WORD_BORDER.sub("-", plain)).strip("-").lower()
    if _NAME.fullmatch(name):
        return name
    raise InvalidPathError(
        f"No project name can be made from the folder's name, {folder!r}.",
        hint="Give a name with --name; it has two or more letters, digits, '-' and '_'.",
    )


def check_place(root: Path, *, force: bool) -> None:
    """Check that a project can be made in a folder.

    Parameters
    ----------
    root : Path
        The folder, which need not exist.
    force : bool
        Allow it inside another project's folder.

    Raises
    ------
    InvalidPathError
        When it is the home folder, a file, or in another project.
    """
    if is_home(root):
        raise InvalidPathError(
            f"{root} is the home folder, which the Astro CLI never takes for a project.",
            hint="Name a folder in it, such as ~/shop.",
        )
    if root.exists() and not root.is_dir():
        raise InvalidPathError(f"{root} is a file.", hint="Name a folder.")
    outer = None if force else _enclosing_project(root)
    if outer is not None:
        raise InvalidPathError(
            f"{root} is in another project, {outer}.",
            hint="Choose a folder outside of it, or give --force to make a project there all the same.",
        )


def _enclosing_project(root: Path) -> Path | None:
    """Give the project that a folder is in, unless it is one itself; None when there is none."""
    if (root / CONFIG_NAME).exists():
        return None
    try:
        return find_root(root.parent)
    except ProjectNotFoundError:
        return None


class Scaffold:
    """What a project is to have, planned; nothing is written before `write`.

    Parameters
    ----------
    root : Path
        The project's folder. It need not exist.
    name : str or None
        The project's name; None keeps the one that is set, or derives it from the folder.
    runtime, airflow, python : str or None
        What is asked of the runtime image; see `astro_magic.project.runtime.table.choose`. A Dockerfile that is there,
        or that the template brings, is kept; `notes` then says how to change it.
    template : Template or None
        Files that go before those of the scaffold, in place of the example DAG.

    Raises
    ------
    FileAccessError
        When a file that is there cannot be read.
    InvalidPathError
        When the name is none.
    InvalidContentError
        When no runtime suits what is asked for, or the configuration is no UTF-8 text.
    """

    def __init__(
        self,
        root: Path,
        *,
        name: str | None = None,
        runtime: str | None = None,
        airflow: str | None = None,
        python: str | None = None,
        template: Template | None = None,
    ) -> None:
        self.root = root
        self._template = {file.name: file for file in template.files} if template is not None else {}
        self._rendered = template is not None and template.rendered
        config = root / CONFIG_NAME
        self._config = files.read_bytes(config) if config.exists() else None
        given = self._template.pop(CONFIG_NAME, None)
        content = self._config if self._config is not None else given.content if given is not None else b""
        try:
            self._config_text = content.decode()
        except UnicodeDecodeError as error:
            raise InvalidContentError(
                f"{config} is not UTF-8 text.", hint="Save it in UTF-8 with an editor."
            ) from error
        self._config_name = parse_config(self._config_text).get("project.name") if self._config is not None else None
        self.name = check_name(name) if name is not None else self._config_name or name_from_folder(root.name)

        # A project that has other DAGs has no use for an example any more.
        others = self._config is not None and not (root / _EXAMPLE).exists() and any((root / "dags").rglob("*.py"))
        self._example = template is None and not others
        dockerfile = self._dockerfile()
        present = _runtime(dockerfile)
        wanted = runtime
        if runtime is None and airflow is None and present is not None:
            # Only the Python is to be another one, or nothing is asked for.
            tag = Tag.parse(present.tag)
            wanted = tag.base if tag is not None else None
        self._choice = choose(airflow, wanted, python)
        self._major = (present or self._choice).airflow_major
        self.notes: tuple[str, ...] = ()
        if dockerfile is None:
            self.notes = self._choice.notes
        elif not self._suits(present, runtime, airflow, python):
            base = present.image if present else "another image"
            change = f"To change that: %astro_dockerfile set FROM {self._choice.image}"
            self.notes = (f"The Dockerfile was kept; it builds on {base}. {change}",)

    def from_template(self) -> list[TemplateFile]:
        """Give the template's files but the configuration, made for this project."""
        return [TemplateFile(file.name, self._content(file), file.mode) for file in self._template.values()]

    def planned(self) -> list[TemplateFile]:
        """Give all files of the project but its configuration, made for this one."""
        plan = self.from_template()
        for name, source in _SOURCES.items():
            if name in self._template or (name == _EXAMPLE and not self._example):
                continue
            content = b"" if source.template is None else self._render(_shipped(source.template, self._major))
            plan.append(TemplateFile(name, content, source.mode))
        return sorted(plan, key=lambda file: file.name)

    def write(self) -> Written:
        """Write what is missing; what is there is left alone. When it stops in the middle, it can be called again.

        Raises
        ------
        FileAccessError
            When a file or folder cannot be written.
        """
        plan = self.planned()
        created: list[str] = []
        kept: list[str] = []
        for folder in FOLDERS:
            if folder in EMPTY_FOLDERS and not (self.root / folder).exists():
                created.append(f"{folder}/")
            # As the Astro CLI makes it, so that a group may work on the project.
            files.make_folder(self.root / folder, mode=0o775 if folder == ".astro" else 0o777)
        if self._config is None or self.name != self._config_name:
            text = with_project_name(self._config_text, self.name)
            files.write_atomic(self.root / CONFIG_NAME, text.encode(), mode=0o600)
        (created if self._config is None else kept).append(CONFIG_NAME)
        for file in plan:
            path = self.root / file.name
            # A dangling link or a folder (.env may be one) is something that the user put there.
            if path.exists() or path.is_symlink():
                kept.append(file.name)
                continue
            files.make_folder(path.parent)
            files.write_atomic(path, file.content, mode=file.mode)
            created.append(file.name)
        filled = {f"{name.partition('/')[0]}/" for name in created if "/" in name and not name.endswith("/")}
        return Written(tuple(name for name in created if name not in filled), tuple(kept))

    def _dockerfile(self) -> bytes | None:
        """Give the Dockerfile that is there or that the template brings; None when the scaffold's is to be made."""
        path = self.root / "Dockerfile"
        if path.is_file():
            return files.read_bytes(path)
        if path.exists() or path.is_symlink():
            return b""
        given = self._template.get("Dockerfile")
        return given.content if given is not None else None

    def _suits(self, present: Runtime | None, runtime: str | None, airflow: str | None, python: str | None) -> bool:
        """Tell whether the runtime of a Dockerfile that is kept is what was asked for."""
        if present is None:
            return (runtime, airflow, python) == (None, None, None)
        if runtime is not None:
            return present.tag == self._choice.tag
        fits = airflow is None or f"{present.airflow}.".startswith(f"{airflow}.")
        return fits and python in {None, present.python}

    def _content(self, file: TemplateFile) -> bytes:
        return self._render(file.content.decode()) if self._rendered else file.content

    def _render(self, text: str) -> bytes:
        values = {
            "name": self.name,
            "image": self._choice.image,
            "containers": _CONTAINERS[self._major],
            "decorators": _DECORATORS[self._major],
        }
        for key, value in values.items():
            text = text.replace(f"{{{{{key}}}}}", value)
        return text.encode()


def _runtime(dockerfile: bytes | None) -> Runtime | None:
    """Read the runtime of a Dockerfile; None when there is none, or it does not tell."""
    if dockerfile is None:
        return None
    try:
        return Runtime.from_dockerfile(dockerfile.decode())
    except (InvalidContentError, UnicodeDecodeError):
        return None


def _shipped(name: str, major: int) -> str:
    """Read a file of the scaffold; one that is made for this Airflow goes before the one for all."""
    folder = resources.files("astro_magic.project") / "templates"
    special = folder / f"airflow_{major}" / f"{name}.template"
    return (special if special.is_file() else folder / f"{name}.template").read_text("utf-8")
