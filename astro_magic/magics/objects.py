"""Magics of connections, variables and pools, in the project's files and in its running Airflow."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import AirflowError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.editing import one_of
from astro_magic.magics.object_editors import ObjectEditors
from astro_magic.magics.session import AstroMagics, Session
from astro_magic.views import (
    ConnectionTestView,
    ObjectDifferencesView,
    ObjectEditView,
    ObjectsExportView,
    ObjectsImportView,
    ObjectsView,
    View,
)

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from astro_magic.environment import Environment
    from astro_magic.objects.table import ObjectRow, ObjectsTable
    from astro_magic.project.settings.objects import KindName
    from astro_magic.widgets.object_editor import ObjectEditor

__all__ = ["ObjectMagics"]

_SECTIONS: Mapping[str, KindName] = {"connections": "connection", "variables": "variable", "pools": "pool"}
_TARGETS = ("settings", "env", "airflow")
_VERBS = ("list", "add", "set", "remove", "edit")
_TO = argument("--to", choices=_TARGETS, help="Where: airflow_settings.yaml, .env, or the running Airflow alone.")
_SORT = argument("--sort", metavar="COLUMN", help="Sort by this column of the DataFrame.")
_DIFFERING = argument("--differing", action="store_true", help="Only what is not as in the running Airflow.")
_REVEAL = argument("--reveal", action="store_true", help="Show secrets, in a notebook for a minute; asks before.")
_DESCRIPTION = argument("--description", metavar="TEXT", help="What it is for.")
_TEAM = argument("--team", metavar="NAME", help="The team that it belongs to (Airflow 3 with multi_team).")

#: What the magics of all kinds take.
_OF_ALL_KINDS = (_DESCRIPTION, _TEAM, _TO, _SORT, _DIFFERING)


def _what(verbs: Sequence[str]) -> argument:
    return argument("action", nargs="?", default="", metavar="ACTION", help=f"{', '.join(verbs)}, or a pattern.")


@magics_class
class ObjectMagics(AstroMagics):
    """Magics of connections, variables and pools."""

    def __init__(self, shell: InteractiveShell, session: Session) -> None:
        super().__init__(shell, session)
        self._editors = ObjectEditors(session)

    def unloaded(self) -> None:
        """End all editors."""
        self._editors.close()

    @command(
        _what((*_VERBS, "test")),
        argument("names", nargs="*", metavar="ID", help="Which connections."),
        argument("--type", metavar="TYPE", help="Type, such as postgres or http."),
        argument("--host", help="Host."),
        argument("--port", help="Port."),
        argument("--schema", help="Schema, or database."),
        argument("--login", help="User."),
        argument("--extra", metavar="JSON", help="Extra, a JSON object."),
        argument("--uri", help="All of it as a URI, without a password."),
        argument("--uri-from-env", metavar="VAR", help="The URI, or JSON, from this variable of the kernel."),
        argument("--password-from-env", metavar="VAR", help="The password from this variable of the kernel."),
        argument("--password-prompt", action="store_true", help="Ask for the password."),
        argument("--password-keyring", metavar="NAME", help="Keep the password in the keyring; the file names it."),
        *_OF_ALL_KINDS,
        _REVEAL,
        expand=False,
        output=True,
        dry_run=True,
        semicolon=True,
    )
    def astro_connections(self, arguments: Arguments) -> View | ObjectEditor | None:
        """Show and edit the connections of the project and of its running Airflow.

        Without more, all of them: what they are, where that is said, and whether Airflow has the same. Secrets are
        hidden. add ID and set ID write to airflow_settings.yaml, or where --to says; the running Airflow has it at
        once. remove ID takes it away; test ID tries it from where Airflow runs; edit shows a form for each. A password
        is asked for, or taken from a variable: in a cell it would stay.
        """
        return self._objects(arguments, "connection", _connection_values)

    @command(
        _what(_VERBS),
        argument("names", nargs="*", metavar="NAME [VALUE]", help="Which variables; for one, its value."),
        argument("--value-from-env", metavar="VAR", help="The value from this variable of the kernel."),
        argument("--value-prompt", action="store_true", help="Ask for the value."),
        argument("--value-keyring", metavar="NAME", help="Keep the value in the keyring; the file names it."),
        argument("--file", metavar="PATH", help="The value is what this file holds."),
        argument("--json", action="store_true", help="Check that the value is JSON."),
        *_OF_ALL_KINDS,
        _REVEAL,
        expand=False,
        output=True,
        dry_run=True,
        semicolon=True,
    )
    def astro_variables(self, arguments: Arguments) -> View | ObjectEditor | None:
        """Show and edit the variables of the project and of its running Airflow.

        Without more, all of them. Values whose names say that they are secret are hidden. set NAME VALUE writes to
        airflow_settings.yaml, or where --to says; the running Airflow has it at once. edit shows a form for each.
        """
        return self._objects(arguments, "variable", _variable_values)

    @command(
        _what(_VERBS),
        argument("names", nargs="*", metavar="NAME", help="Which pools."),
        argument("--slots", help="Number of slots; -1 for as many as are asked for."),
        argument("--include-deferred", choices=("yes", "no"), help="Whether deferred tasks take slots."),
        *_OF_ALL_KINDS,
        output=True,
        dry_run=True,
    )
    def astro_pools(self, arguments: Arguments) -> View | ObjectEditor | None:
        """Show and edit the pools of the project and of its running Airflow, with the slots that are in use.

        edit shows a form for each.
        """
        return self._objects(arguments, "pool", _pool_values)

    @command(
        argument("action", choices=("diff", "import", "export"), help="What to do."),
        argument("kinds", nargs="*", type=one_of(*_SECTIONS), metavar="KIND", help="export: only these kinds."),
        argument("--prune", action="store_true", help="import: remove what an import made, and the file has no more."),
        argument("--to", choices=("settings", "env"), help="export: where; default: airflow_settings.yaml."),
        output=True,
        dry_run=True,
    )
    def astro_objects(self, arguments: Arguments) -> View:
        """Compare the connections, variables and pools of the files with those of Airflow, or bring one to the other.

        diff shows on what they do not agree. import brings airflow_settings.yaml into the running Airflow: only what
        differs, all rows even if one fails; raises if one does. export brings what Airflow's database holds, secrets
        included, into airflow_settings.yaml or .env; what is there already in its own way stays as it is.
        """
        action = arguments.action
        for option, meant in (("prune", "import"), ("to", "export"), ("dry_run", "export")):
            if getattr(arguments, option) and action != meant:
                raise UsageError(f"--{option.replace('_', '-')} is for {meant}.")
        if arguments.kinds and action != "export":
            raise UsageError("Kinds are for export: %astro_objects export pools, for instance.")
        objects = self.session.environment(arguments).objects
        begun = time.monotonic()
        if action == "diff":
            return ObjectDifferencesView(objects.tables())
        if action == "export":
            kinds = [_SECTIONS[kind] for kind in arguments.kinds or _SECTIONS]
            with self.session.progress(arguments, "Reading Airflow's database") as progress:
                plan = objects.export(kinds, to_env=arguments.to == "env", dry_run=arguments.dry_run, listener=progress)
            return ObjectsExportView(plan)
        with self.session.progress(arguments, "Importing airflow_settings.yaml") as progress:
            result = objects.import_settings(prune=arguments.prune, listener=progress)
        view = ObjectsImportView(result, seconds=time.monotonic() - begun)
        if result is not None and not result.complete:
            self.session.show(arguments, view)
            what = result.failure or "Some objects could not be imported; the others were."
            raise AirflowError(what, hint="The table above says which, and why.")
        return view

    def _objects(self, arguments: Arguments, kind: KindName, read: _Reader) -> View | ObjectEditor | None:
        """Show the objects of a kind, or edit one."""
        action = arguments.action.removesuffix(";") or "list"
        environment = self.session.environment(arguments)
        match action:
            case "add" | "set":
                if not arguments.names:
                    raise UsageError(f"{action}: name the {kind}.")
                name, *rest = arguments.names
                values = read(self, arguments, name, rest)
                if not values:
                    raise UsageError(f"{action} {name}: say what of it is to be set; --help lists the options.")
                edits = [
                    environment.objects.set(
                        kind, name, values, to=arguments.to, new=action == "add", dry_run=arguments.dry_run
                    )
                ]
            case "test" if kind == "connection":
                return self._test(arguments, environment)
            case "edit":
                _refuse_options(arguments, "edit", read(self, arguments, "", ()))
                return self._editors.edited(arguments, environment, kind)
            case "remove":
                names = [name.removesuffix(";") for name in arguments.names]
                if not names:
                    raise UsageError("remove: name at least one.")
                _refuse_options(arguments, "remove", read(self, arguments, names[0], ()))
                edits = list(environment.objects.remove(kind, names, to=arguments.to, dry_run=arguments.dry_run))
            case _:
                return self._shown(arguments, environment, kind, read)
        pending, running = (None, False) if arguments.dry_run else self.session.pending(arguments)
        view = ObjectEditView(edits, pending=pending, running=running)
        failed = [result for edit in edits for result in edit.results if result.why]
        if failed:
            self.session.show(arguments, view)
            raise AirflowError(f"Airflow did not take the {kind} {failed[0].name}: {failed[0].why}")
        return view

    def _shown(self, arguments: Arguments, environment: Environment, kind: KindName, read: _Reader) -> View | None:
        """Show the objects of a kind, all of them or those that fit a pattern."""
        action = arguments.action.removesuffix(";") or "list"
        _refuse_options(arguments, "list", read(self, arguments, "", ()))
        if arguments.to or arguments.dry_run or len(arguments.names) > (action == "list"):
            raise UsageError(
                f"No action stands there: write {', '.join(_VERBS)}; or a pattern, with no --to or --dry-run."
            )
        pattern = (arguments.names or [""])[0] if action == "list" else action
        if getattr(arguments, "reveal", False):
            return self._reveal(arguments, environment, kind, pattern)
        return _listed(environment.objects.table(kind), pattern, arguments)

    def _reveal(self, arguments: Arguments, environment: Environment, kind: KindName, pattern: str) -> View | None:
        """Show secrets to a person who asks for them; what stays is the view without them."""
        if not self.session.confirm(f"Show the secrets of these {kind}s here for a minute?"):
            raise UsageError("Secrets are shown only to a person who says yes.")
        table = environment.objects.table(kind, secrets=True)
        rows = _listed(table, pattern, arguments).rows
        masked = _listed(environment.objects.table(kind), pattern, arguments)
        if arguments.output:
            self.session.finish(arguments, masked)
        self.session.show_for_now(ObjectsView(table, rows, reveal=True), masked)
        return None

    def _test(self, arguments: Arguments, environment: Environment) -> ConnectionTestView:
        if len(arguments.names) != 1:
            raise UsageError("test: name one connection.")
        name = arguments.names[0].removesuffix(";")
        with self.session.progress(arguments, f"Testing {name}") as progress:
            found = environment.objects.test(name, listener=progress)
        view = ConnectionTestView(name, found)
        if found.outcome != "passed":
            self.session.show(arguments, view)
            raise AirflowError(f"The test of {name} did not pass.", hint="The lines above say why.")
        return view

    def given_secret(self, arguments: Arguments, what: str, title: str) -> str | None:
        """Give a value from where the options say: a variable of the kernel, a person, or the keyring."""
        sources = [name for name in ("from_env", "prompt", "keyring") if getattr(arguments, f"{what}_{name}", None)]
        if len(sources) > 1:
            raise UsageError(f"--{what}-{sources[0].replace('_', '-')} and --{what}-{sources[1]} exclude each other.")
        if not sources:
            return None
        given = getattr(arguments, f"{what}_{sources[0]}")
        if sources[0] == "from_env":
            return _variable(given)
        if sources[0] == "keyring":
            return self._kept(given, title)
        return self._asked(title)

    def _asked(self, title: str) -> str:
        value = self.session.ask_secret(title)
        if value is None:
            raise UsageError(f"Nobody can be asked for the {title} here: take it from a variable, with --...-from-env.")
        return value

    def _kept(self, name: str, title: str) -> str:
        """Give the reference to an entry of the keyring, which is made when it is not there."""
        from astro_magic.system import keyrings

        if keyrings.has(name):
            return keyrings.reference(name)
        return keyrings.keep(name, self._asked(title))


_Reader = Callable[[ObjectMagics, Arguments, str, Sequence[str]], dict[str, Any]]
_SHARED = {"description": "description", "team": "team_name"}


def _fields(arguments: Arguments, options: Mapping[str, str]) -> dict[str, Any]:
    """Give the options that were given, by the field of Airflow's API; an empty one empties the field."""
    given = {field: getattr(arguments, option) for option, field in {**options, **_SHARED}.items()}
    return {field: value or None for field, value in given.items() if value is not None}


def _connection_values(magics: ObjectMagics, arguments: Arguments, name: str, rest: Sequence[str]) -> dict[str, Any]:
    from astro_magic.project.settings.environment import read_connection

    if rest:
        # It may be a password.
        raise UsageError(f"Behind {name} stand options alone: write --host db.example.com, for instance.")
    if arguments.uri and arguments.uri_from_env:
        raise UsageError("--uri and --uri-from-env exclude each other.")
    values: dict[str, Any] = {}
    if arguments.uri_from_env:
        values = read_connection(_variable(arguments.uri_from_env), f"The variable {arguments.uri_from_env}")
    elif arguments.uri:
        values = read_connection(arguments.uri, "--uri")
        if "password" in values:
            raise UsageError("--uri has a password, which would stay in the notebook: use --uri-from-env.")
    values |= _fields(
        arguments,
        {"type": "conn_type", "host": "host", "schema": "schema", "login": "login", "port": "port", "extra": "extra"},
    )
    password = magics.given_secret(arguments, "password", f"password of {name}")
    if password is not None:
        values["password"] = password
    if isinstance(values.get("port"), str):
        values["port"] = _whole("--port", values["port"])
    return values


def _variable_values(magics: ObjectMagics, arguments: Arguments, name: str, rest: Sequence[str]) -> dict[str, Any]:
    values = _fields(arguments, {})
    secret = magics.given_secret(arguments, "value", f"value of {name}")
    texts = [text for text in (" ".join(rest) if rest else None, secret, _content(arguments.file)) if text is not None]
    if len(texts) > 1:
        raise UsageError("Give one value: behind the name, from a variable, from the keyring or from a file.")
    if texts:
        values["value"] = texts[0]
    if arguments.json and texts:
        try:
            json.loads(texts[0])
        except ValueError as problem:
            raise UsageError(f"The value is no JSON: {str(problem).partition(':')[0]}.") from None
    return values


def _pool_values(magics: ObjectMagics, arguments: Arguments, name: str, rest: Sequence[str]) -> dict[str, Any]:  # noqa: ARG001 - one signature for all kinds
    if rest:
        raise UsageError(f"{rest[0]} is no option: write --slots {rest[0]}, for instance.")
    values = _fields(arguments, {"slots": "slots"})
    if "slots" in values:
        values["slots"] = _whole("--slots", values["slots"])
    if arguments.include_deferred:
        values["include_deferred"] = arguments.include_deferred == "yes"
    return values


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise UsageError(f"The kernel has no environment variable {name}: set it where the notebook is started.")
    return value


def _whole(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{option}: write a whole number.") from None


def _content(file: str | None) -> str | None:
    if file is None:
        return None
    try:
        return Path(file).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else "it is no UTF-8 text"
        raise UsageError(f"{file} cannot be read: {why}.") from None


def _refuse_options(arguments: Arguments, action: str, values: Mapping[str, Any]) -> None:
    if values or getattr(arguments, "json", False):
        raise UsageError(f"{action} takes none of the options that set a value.")


def _listed(table: ObjectsTable, pattern: str, arguments: Arguments) -> ObjectsView:
    sought = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    kept = table.differing if arguments.differing else table.rows
    rows = [row for row in kept if fnmatch(row.name.lower(), sought.lower())]
    if arguments.sort:
        rows = _sorted(table, rows, arguments.sort)
    return ObjectsView(table, rows)


def _sorted(table: ObjectsTable, rows: Sequence[ObjectRow], column: str) -> list[ObjectRow]:
    frame = table.frame()
    if column not in frame.columns:
        raise UsageError(f"There is no column {column}: {', '.join(frame.columns)}.")
    order = {name: place for place, name in enumerate(frame.sort_values(column, kind="stable")[table.kind])}
    return sorted(rows, key=lambda row: order[row.name])
