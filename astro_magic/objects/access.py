"""A project's connections, variables and pools: one door to all that can be done with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from astro_magic.engines.engine import Engine
from astro_magic.objects.drafts import Draft, read_draft
from astro_magic.objects.editing import ObjectEdit, Target, remove_objects, set_object
from astro_magic.objects.importing import ObjectsImport, ObjectsImporter
from astro_magic.objects.keyrings import resolved
from astro_magic.objects.places import read_tables
from astro_magic.objects.records import note_as_imported
from astro_magic.objects.table import ObjectsTable
from astro_magic.project.project import Project
from astro_magic.project.settings.objects import KINDS, KindName
from astro_magic.project.settings.values import SettingsObject
from astro_magic.system.events import Listener, Operation

if TYPE_CHECKING:
    from astro_magic.objects.asking import ConnectionTest
    from astro_magic.objects.exporting import ExportPlan

__all__ = ["ProjectObjects"]

T = TypeVar("T")


class Work(Protocol):
    """Drives an operation."""

    def __call__(self, operation: Operation[T], listener: Listener | None, /) -> T:
        """Drive it to its end, and give its result."""


class ProjectObjects:
    """The connections, variables and pools of a project, in its files and in its running Airflow.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs its Airflow.
    work : callable
        Drives an operation, tells a listener of its events, and keeps secrets out of them.
    """

    def __init__(self, project: Project, engine: Engine, work: Work) -> None:
        self._project = project
        self._engine = engine
        self._work = work

    def table(self, kind: KindName, *, secrets: bool = False) -> ObjectsTable:
        """Give all objects of one kind, as files and Airflow have them.

        Parameters
        ----------
        kind : {"connection", "pool", "variable"}
            Which.
        secrets : bool, optional
            Read the secrets in Airflow's database, too, which its API hides. They are only in the definitions' values.

        Raises
        ------
        FileAccessError, InvalidContentError
            When a file cannot be read. An Airflow that cannot be asked is no error: the table says so.
        """
        return read_tables(self._project, self._engine, [kind], secrets=secrets)[0]

    def tables(self, kinds: Collection[KindName] = tuple(KINDS)) -> tuple[ObjectsTable, ...]:
        """Give the tables of several kinds, as `table` does."""
        return read_tables(self._project, self._engine, kinds)

    def draft(self, kind: KindName, name: str, *, at: Target | None = None) -> Draft:
        """Give an object as it stands in one place, with its secrets, to edit it there: `drafts.read_draft`."""
        return read_draft(self._project, self._engine, kind, name, at=at)

    def connection_types(self, *, listener: Listener | None = None) -> tuple[str, ...]:
        """Name the types of connections that Airflow and the installed providers know.

        Raises
        ------
        EngineError
            When there is no environment to ask, or Airflow fails.
        """
        from astro_magic.objects.asking import connection_types

        return self._work(connection_types(self._engine), listener)

    def set(
        self,
        kind: KindName,
        name: str,
        values: Mapping[str, Any],
        *,
        to: Target | None = None,
        new: bool = False,
        dry_run: bool = False,
    ) -> ObjectEdit:
        """Set fields of one object, which is made when it is not there: `editing.set_object`."""
        return set_object(self._project, self._engine, kind, name, values, to=to, new=new, dry_run=dry_run)

    def remove(
        self, kind: KindName, names: Sequence[str], *, to: Target | None = None, dry_run: bool = False
    ) -> tuple[ObjectEdit, ...]:
        """Remove objects: `editing.remove_objects`."""
        return remove_objects(self._project, self._engine, kind, names, to=to, dry_run=dry_run)

    def import_settings(self, *, prune: bool = False, listener: Listener | None = None) -> ObjectsImport | None:
        """Bring the objects of ``airflow_settings.yaml`` into the running Airflow; each is tried.

        Parameters
        ----------
        prune : bool, optional
            Remove what an import made before, and the file no longer has.
        listener : callable, optional
            Called with each event.

        Returns
        -------
        ObjectsImport or None
            What became of each; None when the file has none.

        Raises
        ------
        NotRunningError
            When Airflow does not run.
        """
        self._engine.api()
        importing = ObjectsImporter(self._project, self._engine, prune=prune, exact=True)
        self._work(importing.now(), listener)
        if importing.result is None or importing.result.complete:
            note_as_imported(self._project)
        return importing.result

    def export(
        self,
        kinds: Collection[KindName] = tuple(KINDS),
        *,
        to_env: bool = False,
        dry_run: bool = False,
        listener: Listener | None = None,
    ) -> ExportPlan:
        """Bring what Airflow's database holds into a file: `exporting.export_objects`."""
        from astro_magic.objects.exporting import export_objects

        operation = export_objects(self._project, self._engine, kinds, to_env=to_env, dry_run=dry_run)
        return self._work(operation, listener)

    def test(self, name: str, *, listener: Listener | None = None) -> ConnectionTest:
        """Test a connection from where Airflow runs, as it finds it there; else as the files have it.

        Parameters
        ----------
        name : str
            Its id.
        listener : callable, optional
            Called with each event.

        Raises
        ------
        EngineError
            When there is no environment to test it in, or Airflow fails.
        """
        from astro_magic.objects.asking import try_connection

        row = self.table("connection").get(name)
        if row is None or row.winner.where != "settings":
            return self._work(try_connection(self._engine, name=name), listener)
        item = resolved(SettingsObject("connection", name, row.winner.values, row.winner.place))
        return self._work(try_connection(self._engine, values=item.values), listener)
