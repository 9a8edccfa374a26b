"""An Astro project on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from astro_magic.errors import InvalidContentError, InvalidPathError
from astro_magic.project.changes import Change, FileChange
from astro_magic.project.config import Config
from astro_magic.project.document import Document
from astro_magic.project.dotenv.dotenv import Dotenv
from astro_magic.project.journal import Journal
from astro_magic.project.location import (
    absolute,
    find_root,
    project_file_name,
    unique_project_name,
)
from astro_magic.project.requirements.requirements import Requirements
from astro_magic.project.runtime.runtime import Runtime
from astro_magic.project.scaffold import Scaffold, Template, TemplateFile, check_place
from astro_magic.system import files
from astro_magic.system.history import HistoryEntry

if TYPE_CHECKING:
    from astro_magic.project.config_file import ConfigFile
    from astro_magic.project.dags.airflowignore import AirflowIgnore
    from astro_magic.project.dockerfile.dockerfile import Dockerfile
    from astro_magic.project.os_packages import OsPackages
    from astro_magic.project.recipes.files import PrivateRequirements
    from astro_magic.project.settings.settings import Settings

__all__ = ["Creation", "Project"]


@dataclass(frozen=True)
class Creation:
    """What making a project did.

    Attributes
    ----------
    project : Project
        The project.
    created : tuple of str
        The files that were made, as POSIX paths relative to the project; empty folders end with a slash.
    kept : tuple of str
        The files that were there and were left alone.
    notes : tuple of str
        What the user should know.
    replaced : tuple of str
        The files that a template's took the place of. That can be taken back.
    """

    project: Project
    created: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """An Astro project on disk.

    Attributes
    ----------
    root : Path
        Its folder, as an absolute path.
    """

    root: Path

    @classmethod
    def find(cls, path: str | Path = ".") -> Project:
        """Find the project that a folder or file is in.

        Parameters
        ----------
        path : str or Path, optional
            Where to begin; the search goes up from there.

        Raises
        ------
        ProjectNotFoundError
            When neither the folder nor one above it has a ``.astro/config.yaml``.
        """
        return cls(find_root(path))

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        name: str | None = None,
        runtime: str | None = None,
        airflow: str | None = None,
        python: str | None = None,
        template: Template | None = None,
        force: bool = False,
    ) -> Creation:
        """Make a project, or complete one. Files that exist are kept as they are. Needs no network.

        Parameters
        ----------
        path : str or Path
            Its folder.
        name : str, optional
            Its name. Default: the one it has, else one derived from the folder.
        runtime, airflow, python : str, optional
            What is asked of the runtime image, for a Dockerfile that is not there yet: its tag (``3.3-8``), an Airflow
            version or the beginning of one (``3.1``), a Python version. See `astro_magic.project.runtime.table.choose`.
        template : Template, optional
            Files to begin with, in place of the example DAG. See `astro_magic.sources.templates.find_template`.
        force : bool, optional
            Make it inside another project's folder, and let the template's files take the place of those that are
            there (`undo` takes that back). Those in ``.astro`` are kept all the same.

        Raises
        ------
        InvalidPathError
            When the path is the home folder or a file, or in another project; or the name is none.
        InvalidContentError
            When no runtime suits what is asked for.
        FileAccessError
            When a file or folder cannot be written. Calling this again then does what is missing.
        """
        root = absolute(path)
        check_place(root, force=force)
        scaffold = Scaffold(root, name=name, runtime=runtime, airflow=airflow, python=python, template=template)
        written = scaffold.write()
        project = cls(root)
        replaced: set[str] = set()
        if force and template is not None:
            there = [file for file in scaffold.from_template() if file.name in written.kept]
            change = project.edit(lambda: project._plan_template(template.name, there))
            replaced = {file.name for file in change.files if file.kind != "unchanged"}
        kept = tuple(file for file in written.kept if file not in replaced)
        return Creation(project, written.created, kept, scaffold.notes, tuple(sorted(replaced)))

    @property
    def config(self) -> Config:
        """What ``.astro/config.yaml`` says now."""
        return Config.load(self.root)

    @property
    def name(self) -> str:
        """The project's name; that of its folder when none is configured."""
        return self.config.name or self.root.name

    @property
    def unique_name(self) -> str:
        """The name by which the Astro CLI tells projects apart, such as ``shop_fca137``."""
        return unique_project_name(self.config.name, str(self.root))

    @property
    def state_dir(self) -> Path:
        """Where Astro Magic keeps what it knows about the project. `make_state_dir` makes it."""
        return self.root / ".astro" / "magic"

    @property
    def standalone_dir(self) -> Path:
        """Where the Astro CLI keeps the state of an Airflow without Docker."""
        return self.root / ".astro" / "standalone"

    def make_state_dir(self) -> Path:
        """Make `state_dir`, closed to other users and ignored by git, and give it back.

        Raises
        ------
        FileAccessError
            When it cannot be made.
        """
        files.make_folder(self.state_dir, mode=0o700)
        ignore = self.state_dir / ".gitignore"
        if not ignore.exists():
            # It may have been made by the way, as the parent of another folder, and be open to everybody.
            with files.guard(self.state_dir, "change the permissions of"):
                self.state_dir.chmod(0o700)
            files.write_atomic(ignore, b"*\n")
        return self.state_dir

    @property
    def runtime(self) -> Runtime:
        """What the image in the Dockerfile stands for.

        Raises
        ------
        FileAccessError
            When the Dockerfile cannot be read.
        InvalidContentError
            When it does not tell.
        """
        dockerfile = Document(self, "Dockerfile")
        if dockerfile.read() is None:
            raise InvalidContentError(
                "The project has no Dockerfile, which names the image and so the Airflow version.",
                hint="%astro_init . adds what is missing of the project.",
            )
        return Runtime.from_dockerfile(dockerfile.text())

    @property
    def requirements(self) -> Requirements:
        """The Python packages, in ``requirements.txt``."""
        return Requirements(self, "requirements.txt")

    @property
    def private_requirements(self) -> PrivateRequirements:
        """The Python packages of private git repositories, in ``private-requirements.txt``."""
        from astro_magic.project.recipes.files import PrivateRequirements

        return PrivateRequirements(self)

    def requirement_files(self, *, constraints: bool = True) -> tuple[Requirements, ...]:
        """Give the files that say which Python packages there are to be, and those that they include.

        Parameters
        ----------
        constraints : bool, optional
            Whether files that are included with ``-c`` are among them, which request nothing.

        Raises
        ------
        FileAccessError
            When a file cannot be read.
        InvalidContentError
            When one is no UTF-8 text.
        """
        roots = (self.requirements, self.private_requirements)
        found = [each for root in roots for each in (root, *root.included(constraints=constraints))]
        return tuple({each.name: each for each in found}.values())

    def requested(self) -> dict[str, str]:
        """Read which Python packages the project requests by name: the requirement by normalised name.

        Raises
        ------
        FileAccessError
            When a file cannot be read.
        InvalidContentError
            When one is no UTF-8 text.
        """
        files = (self.private_requirements, self.requirements)
        return {name: text for file in files for name, (_, text) in file.names().items()}

    @property
    def dotenv(self) -> Dotenv:
        """The environment variables: the file ``.env``, or the files of a folder of that name."""
        return Dotenv(self, ".env")

    @property
    def os_packages(self) -> OsPackages:
        """The operating system's packages of the image, in ``packages.txt``."""
        from astro_magic.project.os_packages import OsPackages

        return OsPackages(self, "packages.txt")

    @property
    def dockerfile(self) -> Dockerfile:
        """What the image is made from."""
        from astro_magic.project.dockerfile.dockerfile import Dockerfile

        return Dockerfile(self, "Dockerfile")

    @property
    def settings(self) -> Settings:
        """The connections, pools and variables, in ``airflow_settings.yaml``."""
        from astro_magic.project.settings.settings import Settings

        return Settings(self, "airflow_settings.yaml")

    @property
    def airflowignore(self) -> AirflowIgnore:
        """The patterns of what Airflow passes over, in ``dags/.airflowignore``."""
        from astro_magic.project.dags.airflowignore import AirflowIgnore

        return AirflowIgnore(self, "dags/.airflowignore")

    @property
    def config_file(self) -> ConfigFile:
        """The project's configuration, ``.astro/config.yaml``, to be edited; `config` reads it."""
        from astro_magic.project.config_file import ConfigFile

        return ConfigFile(self)

    def variables(self) -> dict[str, str]:
        """Read the environment variables of ``.env``.

        Raises
        ------
        FileAccessError
            When it cannot be read.
        InvalidContentError
            When it is no UTF-8 text.
        """
        return self.dotenv.variables()

    def file(self, relative: str | Path) -> Document:
        """Give a file of the project, which need not exist yet.

        Parameters
        ----------
        relative : str or Path
            Its path relative to the project, such as ``include/query.sql``.

        Raises
        ------
        InvalidPathError
            When the path leaves the project, or is in ``.astro`` or ``.git``.
        """
        return Document(self, project_file_name(self.root, relative))

    def dag(self, relative: str | Path) -> Document:
        """Give a Python file under ``dags/``, which need not exist yet.

        Parameters
        ----------
        relative : str or Path
            Its path relative to ``dags/``; a leading ``dags/`` may be written.

        Raises
        ------
        InvalidPathError
            When the path leaves ``dags/`` or does not end in ``.py``.
        """
        text = str(relative)
        document = self.file(text if PurePosixPath(text).parts[:1] in {("dags",), ("/",)} else f"dags/{text}")
        if not document.name.endswith(".py"):
            raise InvalidPathError(
                f"{document.name} is no name of a DAG file, which ends in .py.",
                hint="Give it that ending, or use %%astro_file for other files.",
            )
        return document

    def apply(self, change: Change, *, dry_run: bool = False) -> Change:
        """Write a planned change: all of its files, or none.

        Parameters
        ----------
        change : Change
            The plan.
        dry_run : bool, optional
            Write nothing.

        Returns
        -------
        Change
            The same change; ``applied`` tells whether something was written.

        Raises
        ------
        FileConflictError
            When a file is no longer what it was when the change was planned.
        FileAccessError
            When a file cannot be written; those written before are then set back.
        ProjectBusyError
            When another process is writing and does not finish.
        """
        return change if dry_run else self._journal.apply(change)

    def edit(self, plan: Callable[[], Change], *, dry_run: bool = False) -> Change:
        """Plan a change and write it, with no other process of ours in between.

        Parameters
        ----------
        plan : callable
            Gives the change; it reads the files it is about.
        dry_run : bool, optional
            Write nothing.

        Raises
        ------
        ProjectError, ProjectBusyError
            What the plan raises, and as `apply`.
        """
        if dry_run:
            return plan()
        with self._journal.hold("edit"):
            return self.apply(plan())

    def undo(self, steps: int = 1, *, merge: bool = False, dry_run: bool = False) -> Change:
        """Take the last changes back.

        Parameters
        ----------
        steps : int, optional
            How many of them.
        merge : bool, optional
            Where a file was edited since, keep that edit, if it does not touch what is taken back.
        dry_run : bool, optional
            Only tell what would be taken back.

        Returns
        -------
        Change
            What taking them back changes.

        Raises
        ------
        NothingToUndoError
            When there are not that many changes that could be taken back; none of them is then.
        FileConflictError
            When a file was changed since. It says whether `merge` would help.
        FileAccessError
            When a file cannot be written; those written before are then set back.
        ProjectBusyError
            When another process is writing and does not finish.
        """
        return self._journal.undo(steps, merge=merge, dry_run=dry_run)

    def history(self) -> tuple[HistoryEntry, ...]:
        """Give the changes that can be taken back, newest first. Their number is limited."""
        return self._journal.entries()

    def last_written(self, name: str) -> bytes | None:
        """Give what the newest change that is kept made of a file.

        Parameters
        ----------
        name : str
            The file, as a POSIX path relative to the project.

        Returns
        -------
        bytes or None
            None when no change to it is kept, or when that change removed it.
        """
        return self._journal.last_written(name)

    def _plan_template(self, title: str, there: Sequence[TemplateFile]) -> Change:
        """Plan that the files of a template take the place of those that are there, but for those in ``.astro``."""
        changes = []
        for file in there:
            if not file.name.startswith(".astro/"):
                document = self.file(file.name)
                changes.append(FileChange(document.path, document.name, document.read(), file.content))
        return Change(f"template {title}", tuple(changes))

    @property
    def _journal(self) -> Journal:
        return Journal(self.root, self.state_dir, self.make_state_dir)
