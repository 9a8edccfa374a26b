"""Magics that edit values: environment variables, Airflow objects, and the project's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.magics.arguments import Arguments, argument, command, unquoted
from astro_magic.magics.editing import REPLACE, EditingMagics, action_of, names_in, one_of, verbs
from astro_magic.system.secrets import MASK, is_secret_name, mask_credentials
from astro_magic.views import ChangeView, EntriesView

if TYPE_CHECKING:
    from astro_magic.airflow.configuration import ConfigOption
    from astro_magic.project.dotenv.dotenv import Dotenv
    from astro_magic.project.settings.objects import SettingsEntry

__all__ = ["ValueMagics"]

_KINDS = ("connection", "pool", "variable")


@magics_class
class ValueMagics(EditingMagics):
    """Magics that edit values."""

    @command(
        verbs("list", "add", "set", "remove", "move"),
        argument("values", nargs="*", metavar="NAME[=VALUE]", help="Variables; set NAME asks for the value."),
        argument("--file", metavar="NAME", help="One of the files of the folder .env, such as dev.env."),
        REPLACE,
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
        semicolon=True,
    )
    def astro_env(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Edit the environment variables in .env, or in a file of the folder .env.

        As a cell magic, bring the cell's NAME=VALUE lines into the file. As a line magic, list, set or remove
        variables; move NAME makes .env a folder, with what it holds now as the file NAME in it. Values are never
        shown. What is written in a cell stays in the notebook, so for a secret use the line form with the name alone,
        which asks for the value.
        """
        project = self.session.project(arguments)
        document = project.dotenv if arguments.file is None else project.dotenv.file(arguments.file)
        match action_of(arguments, cell):
            case "list":
                return _variables(document)
            case "set" | "add":
                values = self.assignments(arguments.values, file=document.name)
                view = self.edit(arguments, project, lambda: document.plan_set(values))
            case "remove":
                names = names_in(arguments.values)
                return self.edit(arguments, project, lambda: document.plan_remove(*names))
            case "move":
                if len(arguments.values) != 1:
                    raise UsageError("Name one file, as in %astro_env move dev.env.")
                return self.edit(arguments, project, lambda: project.dotenv.plan_folder(arguments.values[0]))
            case _:
                view = self.edit(arguments, project, lambda: document.plan_merge(cell or "", replace=arguments.replace))
        view.notes = _read_otherwise(document, view)
        return view

    @command(
        verbs("list", "add", "set", "remove"),
        argument("kind", nargs="?", type=one_of(*_KINDS), choices=_KINDS, help="What it is about."),
        argument("values", nargs="*", metavar="NAME [KEY=VALUE]", help="Its name, and values; KEY alone asks for one."),
        REPLACE,
        kind="line_cell",
        expand=False,
        output=True,
        dry_run=True,
        semicolon=True,
    )
    def astro_settings(self, arguments: Arguments, cell: str | None) -> ChangeView | EntriesView:
        """Edit the connections, pools and variables in airflow_settings.yaml.

        As a cell magic, bring the cell's YAML into the file: an object that is there already gets the values that the
        cell names, others are appended. As a line magic: list; set connection NAME conn_type=postgres conn_password
        (asks for the password); set pool NAME pool_slot=4; set variable NAME=VALUE; remove connection NAME.
        Values that may be secret are never shown.
        """
        project = self.session.project(arguments)
        document = project.settings
        given = [*([arguments.kind] if arguments.kind else []), *arguments.values]
        match action_of(arguments, cell, given if arguments.action != "list" else arguments.values):
            case "list":
                rows = [_object_row(entry) for entry in document.entries(arguments.kind)]
                return EntriesView("airflow_settings.yaml", ("kind", "name", "values", "line"), rows, "object")
            case "merge":
                return self.edit(arguments, project, lambda: document.plan_merge(cell or "", replace=arguments.replace))
            case action:
                if not arguments.kind or not arguments.values:
                    raise UsageError(f"Write {action} connection|pool|variable NAME.")
                if action == "remove":
                    names = names_in(arguments.values)
                    return self.edit(arguments, project, lambda: document.plan_remove(arguments.kind, *names))
                name, values = self._object(arguments.kind, arguments.values)
                return self.edit(arguments, project, lambda: document.plan_set(arguments.kind, name, values))

    @command(
        verbs("list", "add", "set", "remove", "airflow"),
        argument("values", nargs="*", metavar="KEY[=VALUE]", help="Keys, such as api-server.port=8081."),
        expand=False,
        dry_run=True,
    )
    def astro_config(self, arguments: Arguments) -> ChangeView | EntriesView:
        """Edit the project's configuration, .astro/config.yaml, which the Astro CLI reads as well.

        The verb airflow shows what Airflow itself is configured with (its effective airflow.cfg), or the sections
        and keys of it that are named; secrets are hidden.
        """
        if arguments.action == "airflow":
            return self._airflow_configuration(arguments)
        project = self.session.project(arguments)
        document = project.config_file
        match action_of(arguments, None):
            case "list":
                rows = [
                    (key, MASK if is_secret_name(key) else mask_credentials(value), str(number))
                    for key, (number, value) in document.values().items()
                ]
                return EntriesView(document.name, ("key", "value", "line"), rows, "value")
            case "remove":
                names = names_in(arguments.values)
                return self.edit(arguments, project, lambda: document.plan_remove(*names))
            case _:
                for word in arguments.values:
                    if "=" not in word and not is_secret_name(word):
                        raise UsageError(f"Write {word}=VALUE; only the value of a secret is asked for.")
                values = self.assignments(arguments.values, file=document.name)
                return self.edit(arguments, project, lambda: document.plan_set(values))

    def _airflow_configuration(self, arguments: Arguments) -> EntriesView:
        with self.session.progress(arguments, "Reading Airflow's configuration") as progress:
            options = self.session.environment(arguments).airflow_configuration(listener=progress)
        return EntriesView("airflow.cfg", ("section", "key", "value"), _chosen(options, arguments.values), "option")

    def _object(self, kind: str, given: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Read the name and the values of an object; a variable may be written ``NAME=VALUE``."""
        from astro_magic.project.settings.objects import kind_of

        name, equals, value = given[0].partition("=")
        if kind == "variable" and len(given) == 1:
            if equals:
                return name, {"variable_value": unquoted(value)}
            return name, {"variable_value": self.assignments([name], file="airflow_settings.yaml")[name]}
        if equals or len(given) == 1:
            raise UsageError(f"Write the name of the {kind}, then its values, as in {_EXAMPLES[kind]}.")
        if not all("=" in word or word in kind_of(kind).fields for word in given[1:]):
            # It may be a value that was to be set.
            raise UsageError(f"Behind {name} stand fields alone, as in {_EXAMPLES[kind]}.")
        return unquoted(given[0]), self.assignments(given[1:], file="airflow_settings.yaml")


_EXAMPLES = {
    "connection": "set connection warehouse conn_type=postgres conn_host=db.example.com",
    "pool": "set pool heavy pool_slot=2",
    "variable": "set variable region=eu",
}
#: Of a connection, what may be shown; the rest may be secret, as may a variable's value.
_SHOWN_FIELDS = ("conn_type", "conn_host", "conn_port", "conn_schema", "conn_login", "pool_slot", "pool_description")
_ID = {"connection": "conn_id", "pool": "pool_name", "variable": "variable_name"}
_MOST_NOTES = 5


def _chosen(options: Sequence[ConfigOption], names: Sequence[str]) -> list[tuple[str, str, str]]:
    """Give the options of the sections and keys that are named, ``core`` or ``core.parallelism``; all without names."""
    rows = [(option.section, option.key, option.value) for option in options]
    if not names:
        return rows
    chosen = [row for row in rows if row[0] in names or f"{row[0]}.{row[1]}" in names]
    known = {row[0] for row in rows} | {f"{row[0]}.{row[1]}" for row in rows}
    for name in names:
        if name not in known:
            sections = ", ".join(sorted({row[0] for row in rows}))
            raise UsageError(f"Airflow has no section or key {name}. Sections: {sections}.")
    return chosen


def _variables(document: Dotenv) -> EntriesView:
    values = document.variables()
    rows = [
        (entry.key, MASK if values[entry.key] else "(empty)", entry.file, str(entry.line))
        for entry in document.entries()
    ]
    return EntriesView(document.name, ("variable", "value", "file", "line"), rows, "variable")


def _object_row(entry: SettingsEntry) -> tuple[str, str, str, str]:
    shown = [
        f"{key}={mask_credentials(value)}" for key in _SHOWN_FIELDS if isinstance(value := entry.values.get(key), str)
    ]
    hidden = [key for key, value in entry.values.items() if key not in (*_SHOWN_FIELDS, _ID[entry.kind]) and value]
    shown += [f"{key}={MASK}" for key in hidden]
    return entry.kind, entry.name, "  ".join(shown), str(entry.line)


def _read_otherwise(document: Dotenv, view: ChangeView) -> Sequence[str]:
    """Tell of the lines that a change brought which ones the Astro CLI reads otherwise."""
    from astro_magic.project.changes import split_lines
    from astro_magic.project.differences import differences as changed_lines
    from astro_magic.project.dotenv.dialects import TOOLS, differences

    file = next((file for file in view.change.files if file.name == document.name and file.after is not None), None)
    if file is None or file.kind == "unchanged":
        return ()
    before, after = (split_lines((content or b"").decode("utf-8", "replace")) for content in (file.before, file.after))
    places = [place for hunk in changed_lines(before, after) for place in range(hunk.new_start, hunk.new_end)]
    notes = [
        f"Line {places[difference.line - 1] + 1} ({difference.key or 'no variable'}): {TOOLS[tool]} {how}."
        for difference in differences("".join(after[place] for place in places))
        for tool, how in difference.readings
    ]
    more = len(notes) - _MOST_NOTES
    return (*notes[:_MOST_NOTES], f"{more} more; %astro_doctor shows them.") if more > 0 else notes
