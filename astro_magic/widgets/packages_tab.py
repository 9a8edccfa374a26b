"""The tab of what is installed: searched, only what is requested, and with newer versions."""

from __future__ import annotations

from typing import Any

import ipywidgets

from astro_magic.dependencies.dependencies import Dependencies
from astro_magic.dependencies.packages import Package
from astro_magic.views import PackagesView, Progress
from astro_magic.views.html import set_html
from astro_magic.views.report import Line, Report, Span, line
from astro_magic.views.words import count
from astro_magic.widgets.model import LiveModel
from astro_magic.widgets.style import PANEL
from astro_magic.widgets.tabs import PanelTab

__all__ = ["PackagesTab"]

#: More rows than that are counted and not shown.
_MOST_ROWS = 200


class PackagesTab(PanelTab):
    """The packages of the environment.

    Parameters
    ----------
    model : LiveModel
        Whose.

    Attributes
    ----------
    dependencies : Reading of Dependencies
        What was read last.
    errand : Errand
        The look for newer versions.
    """

    title = "Packages"

    def __init__(self, model: LiveModel) -> None:
        environment = model.environment
        self.dependencies = model.reading("The packages", environment.dependencies)
        self.errand = model.errand()
        self._model = model
        self._painted: object = None
        self._search = ipywidgets.Text(description="Search", placeholder="in all columns", layout={"width": "260px"})
        self._requested = ipywidgets.Checkbox(description="Only requested", indent=False, layout={"width": "auto"})
        self._outdated = ipywidgets.Checkbox(
            description="Only with a newer version", indent=False, layout={"width": "auto"}, disabled=True
        )
        self._look = ipywidgets.Button(
            description="Look for newer versions",
            tooltip="Ask the package index for newer versions of all packages",
            disabled=True,
        )
        self._look.on_click(self._clicked)
        self._said, self._table, self._foot = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        controls = ipywidgets.HBox([self._search, self._requested, self._outdated, self._look])
        controls.add_class(f"{PANEL}-controls")
        scroller = ipywidgets.Box([self._table], tabbable=True)
        scroller.add_class(f"{PANEL}-rows")
        self.widget = ipywidgets.VBox([controls, self._said, scroller, self._foot])
        for control in (self._search, self._requested, self._outdated):
            control.observe(self._asked, "value")

    def refresh(self) -> None:
        """Bring the table up to date."""
        # What newer versions there are is known until something else is installed.
        status = self._model.sight.status
        pending = self._model.sight.pending
        self.dependencies.want((status.state, pending, tuple(each.since for each in status.components)))
        report = self.errand.report()
        self._said.value = set_html(report) if report is not None else ""
        self._said.layout.display = None if report is not None else "none"
        known = self.dependencies.content
        self._look.disabled = known is None or self.errand.going_on or self.dependencies.going_on
        asked_index = known is not None and any(each.newest for each in known.packages)
        self._outdated.disabled = not asked_index
        trouble = self.dependencies.trouble
        asked = (id(known), trouble, self._search.value, self._requested.value, self._outdated.value)
        if asked == self._painted:
            return
        rows = self._rows(known) if known is not None else []
        if known is not None:
            missing, note = known.missing, known.note
            view = PackagesView(rows[:_MOST_ROWS], outdated=asked_index, missing=missing, note=note)
            self._table.value = set_html(Report.of(view.blocks()))
        self._foot.value = set_html(Report((self._foot_line(known, len(rows)),)))
        self._painted = asked

    def _rows(self, known: Dependencies) -> list[Package]:
        text = str(self._search.value).strip().casefold()
        return [
            each
            for each in known.packages
            if (not text or text in _shown_text(each).casefold())
            and (each.requested or not self._requested.value)
            and (each.outdated or not self._outdated.value or self._outdated.disabled)
        ]

    def _foot_line(self, known: Dependencies | None, found: int) -> Line:
        if self.dependencies.trouble:
            return line(Span("Trouble", "bad"), f": {self.dependencies.trouble}")
        if known is None:
            return line(Span("Reading…", "muted"))
        total = count(len(known.packages), "package")
        words = f"{found:,} of {total}" if found != len(known.packages) else total
        more = found - _MOST_ROWS
        hidden = f" · {more:,} more are not shown, a longer search text finds them" if more > 0 else ""
        return line(Span(f"{words}{hidden}", "muted"))

    def _asked(self, _: object) -> None:
        self._model.repaint.ask()

    def _clicked(self, _: object) -> None:
        self.errand.begin("Looking for newer versions", self._read_newest, failed="Not found out")

    def _read_newest(self, told: Progress) -> Report:
        """Ask the index; on a thread."""
        known: Dependencies = self._model.environment.dependencies(newest="", listener=told)
        self.dependencies.take(known)
        outdated = sum(each.outdated for each in known.packages)
        verb = "has" if outdated == 1 else "have"
        return Report((line(f"{outdated:,} of {count(len(known.packages), 'package')} {verb} a newer version."),))


def _shown_text(package: Package) -> str:
    told: tuple[Any, ...] = (package.name, package.version, package.origin, package.requested, package.file)
    return "\n".join(map(str, (*told, *package.imported_by)))
