"""Magics of the DAG loop: write, run, trigger."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import AstroMagicError, DagImportError, DagRunFailedError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.editing import MERGE, OVERWRITE, edited
from astro_magic.magics.session import AstroMagics
from astro_magic.views import ParseView, RunView, TriggerView
from astro_magic.views.dags import failure_lines, written
from astro_magic.views.words import duration

if TYPE_CHECKING:
    from astro_magic.dags.results import ParseResult
    from astro_magic.environment import Environment
    from astro_magic.project.changes import Change

__all__ = ["DagMagics", "dag_file_name"]

#: The line of the magic itself stands above the file's first line.
_LINES_ABOVE = 1

_CONF = argument("--conf", metavar="JSON", help="The run's conf: a JSON object, or the name of a variable that is one.")
_DAG = argument("dag", metavar="DAG", help="The DAG's id.")


@magics_class
class DagMagics(AstroMagics):
    """Magics of the DAG loop."""

    @command(
        argument("path", nargs="?", metavar="PATH", help="The file below dags/; default: the DAG's id and .py."),
        argument("--no-parse", action="store_true", help="Only write the file."),
        MERGE,
        OVERWRITE,
        kind="cell",
        expand=False,
        output=True,
        dry_run=True,
    )
    def astro_dag(self, arguments: Arguments, cell: str) -> ParseView:
        """Write the cell to a DAG file, and show what Airflow finds in it.

        A file that does not import is written as well, and is an error. One that was edited elsewhere since a cell
        wrote it is not overwritten unless that is asked for.
        """
        from astro_magic.project.changes import Change

        project = self.session.project(arguments)
        document = project.dag(_path(arguments, cell))
        how = edited(arguments)
        change = project.edit(
            lambda: Change(f"write {document.name}", (document.plan_rewrite(cell, edited=how),)),
            dry_run=arguments.dry_run,
        )
        if arguments.no_parse or arguments.dry_run:
            return ParseView(None, change)
        environment = self.session.environment(arguments)
        with self.session.progress(arguments, f"Parsing {document.name}") as progress:
            parse = environment.parse(document.name, listener=progress)
        if parse.failure is not None:
            raise _import_error(change, parse, environment)
        return ParseView(parse, change)

    @command(_DAG, _CONF, expand=False)
    def astro_run(self, arguments: Arguments) -> RunView:
        """Run a DAG once in one process, with no scheduler, and show what each task returned.

        A run that fails is an error.
        """
        environment = self.session.environment(arguments)
        conf = self._conf(arguments.conf)
        with self.session.progress(arguments, f"Running {arguments.dag}") as progress:
            run = environment.test_dag(arguments.dag, conf=conf, listener=progress)
        view = RunView(run)
        if run.state != "success":
            self.session.show(arguments, view)
            failed = [f"{task.task_id}: {task.error or task.state}" for task in run.tasks if task.state == "failed"]
            raise DagRunFailedError(f"The run of {run.dag_id} failed.", detail="\n".join(failed) or None)
        return view

    @command(
        _DAG,
        _CONF,
        argument("--wait", action="store_true", help="Wait for the end of the run; a run that fails is then an error."),
        argument("--timeout", type=float, default=600.0, metavar="S", help="How many seconds to wait; default: 600."),
        expand=False,
    )
    def astro_trigger(self, arguments: Arguments) -> TriggerView:
        """Trigger a run of a DAG in the running Airflow."""
        environment = self.session.environment(arguments)
        conf = self._conf(arguments.conf)
        with self.session.progress(arguments, f"Triggering {arguments.dag}") as progress:
            run = environment.trigger(
                arguments.dag, conf=conf, wait=arguments.wait, timeout=arguments.timeout, listener=progress
            )
        view = TriggerView(run)
        if arguments.wait and run.state != "success":
            self.session.show(arguments, view)
            said = "failed" if run.state == "failed" else f"is still {run.state} after {duration(arguments.timeout)}"
            raise DagRunFailedError(f"The run {run.run_id} of {run.dag_id} {said}.", hint=run.url or None)
        return view

    def _conf(self, text: str | None) -> Mapping[str, Any] | None:
        if text is None:
            return None
        if text.isidentifier():
            value = self.session.shell.user_ns.get(text)
        else:
            try:
                value = json.loads(text)
            except ValueError as error:
                raise UsageError(f"--conf: not JSON: {error}.") from error
        if not isinstance(value, Mapping):
            # Only a name is told: JSON may hold a password.
            named = f" {text}" if text.isidentifier() else ""
            raise UsageError(f"--conf{named}: neither a JSON object nor a variable that is a dict.")
        return value


def _import_error(change: Change, parse: ParseResult, environment: Environment) -> DagImportError:
    """Make the error of a cell whose file does not import."""
    from astro_magic.project.fingerprint import Action

    failure = parse.failure
    lines = failure_lines(failure, lines_above=_LINES_ABOVE) if failure is not None else []
    try:
        running = environment.status().running
        rebuild = environment.pending().action is Action.REBUILD
    except AstroMagicError:
        running = rebuild = False
    hints = ["The file is saved."]
    if running:
        hints.append("The running Airflow keeps the last version that parsed.")
    if failure is not None and failure.kind == "ModuleNotFoundError":
        hints.append(
            "A change of requirements.txt is not applied yet: %astro_restart does it."
            if rebuild
            else "If it is a package, %%requirements adds it."
        )
    return DagImportError(
        "\n".join([f"{written(change)} · import failed in {duration(parse.seconds)}", *lines]),
        hint=" ".join(hints),
        detail=failure.traceback.rstrip() if failure is not None and failure.line is None else None,
    )


def _path(arguments: Arguments, cell: str) -> str:
    path: str | None = arguments.path or dag_file_name(cell)
    if path is None:
        raise UsageError("Name the file, as in %%astro_dag orders.py: the cell does not tell the DAG's id.")
    return path if path.endswith(".py") or "." in path.rpartition("/")[2] else f"{path}.py"


def dag_file_name(cell: str) -> str | None:
    """Give the file name that a cell's first DAG stands for; None when its id is not written out."""
    try:
        tree = ast.parse(cell)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) in {"DAG", "dag"}:
            written_id = next((word.value for word in node.keywords if word.arg == "dag_id"), None)
            first = written_id or next(iter(node.args), None)
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                return f"{first.value}.py"
        if isinstance(node, ast.FunctionDef) and any(_decorates(item) for item in node.decorator_list):
            return f"{node.name}.py"
    return None


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _decorates(decorator: ast.expr) -> bool:
    """Tell whether it is ``@dag`` or ``@dag(...)`` without an id, so that the function's name is the DAG's id."""
    if not isinstance(decorator, ast.Call):
        return _called(decorator) == "dag"
    named = decorator.args or any(word.arg == "dag_id" for word in decorator.keywords)
    return _called(decorator.func) == "dag" and not named
