"""The tab of connections, variables or pools as a widget of its own."""

from __future__ import annotations

from datetime import UTC, datetime

from astro_magic.environment import Environment
from astro_magic.objects.table import ObjectsTable
from astro_magic.project.settings.objects import KindName
from astro_magic.views import Display, ObjectsView
from astro_magic.views.report import Report
from astro_magic.widgets.kept import KeptView
from astro_magic.widgets.live import LiveWidget
from astro_magic.widgets.model import LiveModel
from astro_magic.widgets.object_tab import ObjectTab

__all__ = ["ObjectEditor"]


class ObjectEditor(LiveWidget):
    """An editor of a project's connections, variables or pools.

    Parameters
    ----------
    environment : Environment
        Whose.
    kind : {"connection", "pool", "variable"}
        Which.
    display : Display
        Shows an object in the notebook.
    name : str, optional
        The id of the one whose form is opened at once.

    Raises
    ------
    AstroMagicError
        When the engine cannot be asked, or a file cannot be read.

    Attributes
    ----------
    tab : ObjectTab
        What it shows.
    """

    def __init__(self, environment: Environment, kind: KindName, *, display: Display, name: str = "") -> None:
        # What the notebook keeps has to be known before anything is shown.
        table = environment.objects.table(kind)
        self._told: tuple[ObjectsTable, object] = (ObjectsTable(kind, ()), None)
        model = LiveModel(environment, self.paint)
        self.tab = ObjectTab(kind, model, table)
        super().__init__(model, display, [self.tab.widget])
        self.paint()
        if name:
            self.tab.edit(name)

    def kept(self, key: str = "") -> KeptView:
        """Give the table as the notebook keeps it."""
        view = ObjectsView(self._table)
        return KeptView(Report.of(view.headline(), view.blocks()), datetime.now(UTC), "editor", key)

    def gist(self) -> object:
        """Give what is shown of the objects; how many slots of a pool are in use is only measured."""
        table = self._table
        if table is not self._told[0]:
            # Asked for at each painting, and many rows take a while.
            rows = [(row.name, tuple(row.shown().items()), row.state) for row in table]
            self._told = (table, (rows, table.problems, table.note))
        return self._told[1]

    def refresh(self) -> None:
        """Bring the tab up to date."""
        self.tab.refresh()

    @property
    def _table(self) -> ObjectsTable:
        content = self.tab.objects.content
        return content if content is not None else ObjectsTable(self.tab.kind, ())
