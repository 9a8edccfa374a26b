"""The tab of connections, variables or pools: a table to search and to sort, and a form to edit what is in it."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets

from astro_magic.errors import ApiError, AstroMagicError
from astro_magic.objects.drafts import Draft
from astro_magic.objects.editing import ObjectEdit, Target
from astro_magic.objects.records import records_file
from astro_magic.objects.table import ObjectRow, ObjectsTable
from astro_magic.project.settings.objects import KindName
from astro_magic.views import ConnectionTestView, ObjectEditView, ObjectsView, Progress
from astro_magic.views.html import set_html
from astro_magic.views.report import Line, Report, Span, line
from astro_magic.widgets.errand import failure_report
from astro_magic.widgets.model import LiveModel
from astro_magic.widgets.object_form import FormContent, ObjectForm
from astro_magic.widgets.object_rows import chosen_rows, sort_columns
from astro_magic.widgets.question import Question
from astro_magic.widgets.style import PANEL
from astro_magic.widgets.tabs import PanelTab

__all__ = ["ObjectTab"]

#: More rows than that are counted and not shown.
_MOST_ROWS = 200
#: What most people connect to; beside what the installed providers know, where that can be asked.
_USUAL_TYPES = ("aws", "fs", "ftp", "generic", "google_cloud_platform", "http", "mysql", "postgres", "sftp", "sqlite")
_TOOLTIPS = {
    "edit": "Edit the chosen {kind} in a form",
    "new": "Make a new {kind} in a form",
    "remove": "Remove the chosen {kind}; asks before",
    "test": "Try the chosen {kind} from where Airflow runs",
    "refresh": "Read the {kind}s again, from the files and from Airflow",
}


class ObjectTab(PanelTab):
    """The objects of one kind.

    Parameters
    ----------
    kind : {"connection", "pool", "variable"}
        Which.
    model : LiveModel
        Whose.
    table : ObjectsTable, optional
        What was just read; without it, it is read when the tab is seen.

    Attributes
    ----------
    objects : Reading of ObjectsTable
        What was read last.
    errand : Errand
        What the buttons have done.
    """

    def __init__(self, kind: KindName, model: LiveModel, table: ObjectsTable | None = None) -> None:
        self.title = f"{kind.capitalize()}s"
        self.kind = kind
        environment = model.environment
        self.objects = model.reading(f"The {kind}s", lambda: environment.objects.table(kind))
        self.errand = model.errand()
        self._model = model
        if table is not None:
            self.objects.take(table, self._stamp())
        self._types: tuple[str, ...] = ()
        self._draft: Draft | None = None
        #: What is to be removed when somebody says yes; else empty.
        self._doomed = ""
        self._form: ObjectForm | None = None
        self._question: Question | None = None
        self._painted: object = None
        self._search = ipywidgets.Text(description="Search", placeholder="in all columns", layout={"width": "260px"})
        columns = sort_columns(kind)
        self._column = ipywidgets.Dropdown(options=columns, description="Sort by", layout={"width": "auto"})
        order = [("ascending", False), ("descending", True)]
        self._order = ipywidgets.Dropdown(options=order, description="Order", layout={"width": "auto"})
        self._choice = ipywidgets.Dropdown(options=[], description=kind.capitalize(), layout={"width": "320px"})
        names = ["edit", "new", "remove", *(["test"] if kind == "connection" else []), "refresh"]
        self._buttons = {name: self._button(name) for name in names}
        self._said, self._table, self._foot = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self._place = ipywidgets.VBox([])
        controls = ipywidgets.HBox([self._search, self._column, self._order])
        actions = ipywidgets.HBox([self._choice, *self._buttons.values()])
        for box in (controls, actions):
            box.add_class(f"{PANEL}-controls")
        scroller = ipywidgets.Box([self._table], tabbable=True)
        scroller.add_class(f"{PANEL}-rows")
        self.widget = ipywidgets.VBox([controls, actions, self._said, self._place, scroller, self._foot])
        for control in (self._search, self._column, self._order, self._choice):
            control.observe(self._asked, "value")

    def selected(self) -> None:
        """Have the table read again: Airflow may have something else by now."""
        self.objects.outdate()

    def edit(self, name: str, *, at: Target | None = None) -> None:
        """Open the form for an object that is there, as soon as it is read.

        Parameters
        ----------
        name : str
            Its id.
        at : {"settings", "env", "airflow"}, optional
            In which place.
        """
        self.errand.begin(f"Opening {name}", lambda _: self._open(name, at), failed="Not opened")

    def refresh(self) -> None:
        """Bring table, buttons and form up to date."""
        self.objects.want(self._stamp())
        self._refresh_table()
        self._refresh_form()
        report = self.errand.report()
        self._said.value = set_html(report) if report is not None else ""
        self._said.layout.display = None if report is not None else "none"
        busy, open_form = self.errand.going_on, self._form is not None or self._question is not None
        chosen = self._choice.value is not None
        for name, button in self._buttons.items():
            editing = name in {"edit", "new", "remove"}
            button.disabled = (
                self.objects.going_on
                if name == "refresh"
                else busy or (editing and open_form) or not (chosen or name == "new")
            )

    # -- what is seen --------------------------------------------------------------------------------------------

    def _stamp(self) -> object:
        """Give what the table depends on, as far as it can be told in no time."""
        project = self._model.environment.project
        status = self._model.sight.status
        since = tuple((each.name, each.since) for each in status.components)
        # Of an import, Airflow's components show nothing.
        files = (project.settings.path, project.dotenv.path, records_file(project))
        return status.state, since, *map(_changed_at, files)

    def _refresh_table(self) -> None:
        table = self.objects.content
        asked = (table, self.objects.trouble, self._search.value, self._column.value, self._order.value)
        if asked == self._painted:
            return
        if table is None:
            self._foot.value = set_html(Report((self._trouble(),)))
            return
        column, descending = str(self._column.value), bool(self._order.value)
        rows = chosen_rows(table, text=str(self._search.value), column=column, descending=descending)
        shown = ObjectsView(table, rows[:_MOST_ROWS])
        self._table.value = set_html(Report.of(shown.blocks()))
        self._foot.value = set_html(
            Report.of(self._count(table, rows), self._trouble() if self.objects.trouble else None)
        )
        self._offer([row.name for row in rows])
        self._painted = asked

    def _trouble(self) -> Line:
        trouble = self.objects.trouble
        return line(Span("Trouble", "bad"), f": {trouble}") if trouble else line(Span("Reading…", "muted"))

    def _count(self, table: ObjectsTable, rows: list[ObjectRow]) -> Line:
        words = "".join(span.text for span in ObjectsView(table, rows).headline().spans)
        more = len(rows) - _MOST_ROWS
        hidden = f" · {more:,} more are not shown, a longer search text finds them" if more > 0 else ""
        return line(Span(f"{words}{hidden}", "muted"))

    def _offer(self, names: list[str]) -> None:
        if tuple(names) != tuple(self._choice.options):
            chosen = self._choice.value
            # To be given other options makes it choose one by itself, or none.
            with self._choice.hold_sync():
                self._choice.options = names
                self._choice.value = chosen if chosen in names else names[0] if names else None

    def _refresh_form(self) -> None:
        """Show the form or the question that is wanted, and close the one that is not."""
        draft, doomed = self._draft, self._doomed
        if self._form is not None and self._form.draft is not draft:
            self._form.close()
            self._form = None
        if self._question is not None and not doomed:
            self._question.close()
            self._question = None
        if draft is not None and self._form is None:
            self._form = ObjectForm(
                draft,
                save=self._save,
                cancel=self._cancel,
                move=lambda target: self.edit(draft.name, at=target),
                types=self._types or _USUAL_TYPES,
            )
        if doomed and self._question is None:
            text = f"Remove the {self.kind} {doomed} from where it is defined?"
            self._question = Question(text, f"Remove {doomed}", yes=self._remove, no=self._cancel)
        shown = [part for part in (self._form, self._question) if part is not None]
        for part in shown:
            part.refresh(busy=self.errand.going_on)
        self._place.children = [part.widget for part in shown]

    def _button(self, name: str) -> Any:
        tooltip = _TOOLTIPS[name].format(kind=self.kind)
        button = ipywidgets.Button(description=name.capitalize(), tooltip=tooltip, disabled=True)
        button.on_click(partial(self._clicked, name))
        return button

    # -- what is asked for ---------------------------------------------------------------------------------------

    def _asked(self, _: object) -> None:
        self._model.repaint.ask()

    def _clicked(self, what: str, _: object) -> None:
        chosen = str(self._choice.value or "")
        match what:
            case "refresh":
                self.objects.outdate()
                self._model.repaint.ask()
            case "new":
                self.errand.begin(f"New {self.kind}", lambda _: self._open("", None), failed="Not opened")
            case "edit":
                self.edit(chosen)
            case "remove":
                self._doomed = chosen
                self._model.repaint.ask()
            case "test":
                self.errand.begin(f"Testing {chosen}", lambda told: self._test(chosen, told), failed="Not tested")

    def _open(self, name: str, at: Target | None) -> None:
        """Read what the form shows; on a thread."""
        objects = self._model.environment.objects
        draft = objects.draft(self.kind, name, at=at) if name else Draft(self.kind, "", "settings", {})
        # Where nothing runs, it would take long to ask.
        if self.kind == "connection" and not self._types and self._model.sight.status.running:
            with suppress(AstroMagicError):
                self._types = objects.connection_types()
        self._draft = draft

    def _save(self) -> None:
        form = self._form
        if form is None or self.errand.going_on:
            return
        try:
            content = form.content()
        except AstroMagicError as error:
            self._refused(form, failure_report("Not saved", error.message, error.hint))
            return
        if not content.values and not content.new:
            self._draft = None
            self.errand.say(Report((line("Nothing was changed."),)))
            return
        form.problem = None
        self.errand.begin(
            f"Saving {content.name}",
            lambda _: self._write(form, content),
            failed="Not saved",
            refused=lambda report: self._refused(form, report),
        )

    def _refused(self, form: ObjectForm, report: Report) -> None:
        form.problem = report
        self.errand.say(None)

    def _write(self, form: ObjectForm, content: FormContent) -> Report:
        """Save what a form says; on a thread."""
        objects = self._model.environment.objects
        try:
            with self._model.turn:
                edit = objects.set(self.kind, content.name, content.values, to=content.target, new=content.new)
            _raise_refused(edit)
        except ApiError:
            # The file may be written by now: the next attempt changes what is there.
            form.made = True
            raise
        self._draft = None
        return self._written(content.name, edit)

    def _remove(self) -> None:
        name = self._doomed
        self.errand.begin(f"Removing {name}", lambda _: self._take_away(name), failed="Not removed")

    def _take_away(self, name: str) -> Report:
        """Remove an object; on a thread."""
        self._doomed = ""
        with self._model.turn:
            edits = self._model.environment.objects.remove(self.kind, [name])
        for edit in edits:
            _raise_refused(edit)
        return self._written(name, *edits)

    def _written(self, name: str, *edits: ObjectEdit) -> Report:
        """Say what was changed, and have all that depends on it read again; on a thread."""
        self.objects.outdate()
        self._model.look()
        first, *others = ObjectEditView(edits, running=self._model.sight.status.running).summary().blocks
        told = first.spans if isinstance(first, Line) else ()
        return Report.of(line(Span(name, "strong"), " · ", *told), others)

    def _cancel(self) -> None:
        if not self.errand.going_on:
            self._draft, self._doomed = None, ""
            self._model.repaint.ask()

    def _test(self, name: str, told: Progress) -> Report:
        """Test a connection; on a thread."""
        found = self._model.environment.objects.test(name, listener=told)
        return ConnectionTestView(name, found).report()


def _raise_refused(edit: ObjectEdit) -> None:
    """Raise when Airflow did not take what was edited."""
    for result in edit.results:
        if result.why:
            written = "; the file is written" if edit.change is not None and edit.change.changed else ""
            raise ApiError(f"Airflow did not take it: {result.why.rstrip('.')}{written}.")


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
