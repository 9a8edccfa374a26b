"""Complete the options and values of Astro Magic's magics."""

from __future__ import annotations

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from astro_magic.errors import AstroMagicError
from astro_magic.magics.arguments import Arguments, options_of, positionals_of, words
from astro_magic.magics.files import walk
from astro_magic.magics.session import AstroMagics

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult

    from astro_magic.magics.session import Session
    from astro_magic.project.project import Project
    from astro_magic.project.settings.objects import KindName

__all__ = ["MagicCompletion"]

_MAGIC = re.compile(r"^\s*(?:[\w.]+\s*=\s*)?(?P<percent>%{1,2})(?P<name>\w+)\s+(?P<line>.*)$", re.DOTALL)
_COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
_COMPONENTS_OF_AIRFLOW_2 = ("webserver", "scheduler", "triggerer")
#: By the name of their magic, and of their kind in ``%astro_objects export``.
_KINDS: Mapping[str, KindName] = {"connections": "connection", "variables": "variable", "pools": "pool"}
_MOST_FILES = 200
#: Seconds for which DAG ids are taken as they were: each key press asks again.
_FRESH = 10.0


class MagicCompletion:
    """What the shell's completer asks.

    Parameters
    ----------
    session : Session
        The project in use is where values come from.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._values: dict[str, Callable[[Arguments, str], Iterator[str]]] = {
            "dag": self._dags,
            "components": self._components,
            "path": self._files,
            "paths": self._files,
            "words": self._file_words,
            "values": self._entries,
            "action": self._actions,
            "names": self._ids,
            "kinds": self._sections,
        }
        self._option_values: dict[str, Callable[[Arguments], Iterator[str]]] = {
            "block": self._blocks,
            "file": self._environment_files,
            "template": self._templates,
            "tree": self._installed,
            "sort": self._columns,
            "task": lambda given: self._dags(given, given.magic),
            "uri_from_env": self._kernel_variables,
            "password_from_env": self._kernel_variables,
            "value_from_env": self._kernel_variables,
            "database_from_env": self._kernel_variables,
        }
        self._known_dags: tuple[float, str, tuple[str, ...]] = (-_FRESH, "", ())
        self._known_ids: tuple[float, str, tuple[str, ...]] = (-_FRESH, "", ())

    @context_matcher(identifier="astro_magic")  # type: ignore[untyped-decorator,unused-ignore]
    def match(self, context: CompletionContext) -> SimpleMatcherResult:
        """Complete the word before the cursor, when it is an argument of one of our magics."""
        try:
            fragment, found = self._complete(context.text_until_cursor)
        except Exception:  # noqa: BLE001 - a completer that raises spoils every key press
            fragment, found = "", []
        return {
            "completions": [SimpleCompletion(text, type="param") for text in found],
            "matched_fragment": fragment,
            "suppress": bool(found),
        }

    def _complete(self, text: str) -> tuple[str, list[str]]:
        match = _MAGIC.match(text.rpartition("\n")[2])
        magic = match and self._magic(match["name"], match["percent"])
        if match is None or magic is None:
            return "", []
        parser = magic.parser
        before, fragment = _last_word(match["line"])
        tokens = words(before)
        option = options_of(parser).get(tokens[-1]) if tokens else None
        if option is not None and option.nargs is None:
            named = self._option_values.get(option.dest)
            given = Arguments(project=None, magic=match["name"])
            return fragment, _beginning(fragment, option.choices or (named(given) if named else ()))
        if fragment.startswith("-"):
            return fragment, _beginning(fragment, _unused_options(parser, tokens))
        action, arguments = _position(parser, tokens)
        arguments.cell = match["percent"] == "%%"
        if action is None and match["name"] in ("dockerfile", "astro_dockerfile") and not arguments.cell:
            return fragment, _beginning(fragment, self._dockerfile(arguments))
        if action is None:
            return fragment, []
        values = self._values.get(action.dest)
        offered = action.choices or (values(arguments, match["name"]) if values is not None else ())
        return fragment, _beginning(fragment, offered)

    def _magic(self, name: str, percent: str) -> Any:
        magics = self._session.shell.magics_manager.magics
        magic = magics["cell" if percent == "%%" else "line"].get(name)
        return magic if isinstance(getattr(magic, "__self__", None), AstroMagics) else None

    def _dags(self, arguments: Arguments, magic: str) -> Iterator[str]:  # noqa: ARG002 - one signature for all values
        project = self._session.project(arguments)
        at, root, known = self._known_dags
        if time.monotonic() - at > _FRESH or root != str(project.root):
            known = tuple(self._session.environment(arguments).dag_ids())
            self._known_dags = (time.monotonic(), str(project.root), known)
        yield from known

    def _components(self, arguments: Arguments, magic: str) -> Iterator[str]:  # noqa: ARG002 - as above
        old = self._session.project(arguments).runtime.airflow_major == 2
        yield from _COMPONENTS_OF_AIRFLOW_2 if old else _COMPONENTS

    def _files(self, arguments: Arguments, magic: str) -> Iterator[str]:
        root = self._session.project(arguments).root
        dags = magic.endswith("dag")
        base = root / "dags" if dags else root
        for number, path in enumerate(walk(base)):
            if number >= _MOST_FILES:
                return
            if not dags or path.suffix == ".py":
                yield path.relative_to(base).as_posix()

    def _file_words(self, arguments: Arguments, magic: str) -> Iterator[str]:
        match arguments.cell, arguments.free:
            case (True, ()) | (False, ("remove",)):
                yield from self._files(arguments, magic)
            case False, ():
                yield from ("list", "add", "remove")
            case False, ("list",):
                folders = {name.rpartition("/")[0] for name in self._files(arguments, magic)}
                yield from sorted(folders - {""})

    def _entries(self, arguments: Arguments, magic: str) -> Iterator[str]:
        project = self._session.project(arguments)
        match magic.removeprefix("astro_"), arguments.action:
            case "requirements", "remove":
                yield from project.requirements.names()
            case "packages", "remove":
                yield from project.os_packages.names()
            case (("env" | "dotenv"), ("set" | "remove")):
                name = getattr(arguments, "file", None)
                yield from (project.dotenv if name is None else project.dotenv.file(name)).variables()
            case "settings", ("add" | "set" | "remove"):
                yield from self._objects(arguments)
            case "airflowignore", "remove":
                yield from (entry.pattern for entry in project.airflowignore.entries() if entry.pattern)
            case "config", "remove":
                yield from project.config_file.values()
            case "config", ("add" | "set"):
                from astro_magic.project.config_file import KEYS

                yield from (f"{key}=" for key in KEYS)

    def _objects(self, arguments: Arguments) -> Iterator[str]:
        """Give the names of objects, and behind one that is set, what can be set of it."""
        from astro_magic.project.settings.objects import kind_of

        if arguments.action == "remove" or not arguments.free:
            project = self._session.project(arguments)
            yield from (entry.name for entry in project.settings.entries(arguments.kind))
        else:
            kind = kind_of(arguments.kind)
            yield from (f"{field}=" for field in kind.fields if field != kind.id)

    def _actions(self, arguments: Arguments, magic: str) -> Iterator[str]:  # noqa: ARG002 - as above
        if _kind(magic) is not None:
            yield from ("list", "add", "set", "remove")
        if _kind(magic) == "connection":
            yield "test"

    def _ids(self, arguments: Arguments, magic: str) -> Iterator[str]:
        """Give the ids of what can be edited or tested; values, and so the keyring, are not looked at."""
        kind = _kind(magic)
        several = arguments.action == "remove"
        if (
            kind is None
            or arguments.action not in {"list", "set", "remove", "test"}
            or (arguments.free and not several)
        ):
            return
        project = self._session.project(arguments)
        at, key, known = self._known_ids
        if time.monotonic() - at > _FRESH or key != f"{kind} {project.root}":
            known = tuple(sorted({*_ids_in_files(project, kind), *self._ids_in_airflow(arguments, kind)}))
            self._known_ids = (time.monotonic(), f"{kind} {project.root}", known)
        yield from (name for name in known if name not in arguments.free)

    def _ids_in_airflow(self, arguments: Arguments, kind: KindName) -> Iterator[str]:
        from astro_magic.airflow.objects import read_objects

        with suppress(AstroMagicError), self._session.environment(arguments).engine.api().client() as client:
            yield from (item.name for item in read_objects(client, [kind]))

    def _sections(self, arguments: Arguments, magic: str) -> Iterator[str]:  # noqa: ARG002 - as above
        if arguments.action == "export":
            yield from (section for section in _KINDS if section not in arguments.free)

    @staticmethod
    def _columns(arguments: Arguments) -> Iterator[str]:
        from astro_magic.objects.table import ObjectsTable

        kind = _kind(arguments.magic)
        if kind is not None:
            yield from ObjectsTable(kind, ()).frame().columns

    @staticmethod
    def _kernel_variables(arguments: Arguments) -> Iterator[str]:  # noqa: ARG004 - one signature for all values
        yield from sorted(os.environ)

    def _dockerfile(self, arguments: Arguments) -> Iterator[str]:
        """Give what can stand next in the line form, of which the parser knows only the options."""
        from astro_magic.project.dockerfile.lines import assignments

        entries = self._session.project(arguments).dockerfile.entries()
        match arguments.free:
            case ():
                yield from ("list", "add", "set", "remove")
            case ("set",):
                yield from ("FROM", "ENV", "LABEL", "ARG")
            case ("remove",):
                yield from sorted({entry.keyword for entry in entries} - {"", "FROM"})
            case (("set" | "remove") as action, ("ENV" | "LABEL" | "ARG") as keyword, *_):
                keys = (found.key for entry in entries if entry.keyword == keyword for found in assignments(entry))
                yield from (f"{key}=" if action == "set" else key for key in dict.fromkeys(keys))

    def _blocks(self, arguments: Arguments) -> Iterator[str]:
        yield from self._session.project(arguments).dockerfile.blocks()

    def _environment_files(self, arguments: Arguments) -> Iterator[str]:
        for file in self._session.project(arguments).dotenv.files():
            if "/" in file.name:
                yield file.path.name

    def _installed(self, arguments: Arguments) -> Iterator[str]:
        yield from (package.name for package in self._session.environment(arguments).packages())

    @staticmethod
    def _templates(arguments: Arguments) -> Iterator[str]:  # noqa: ARG004 - one signature for all values
        from astro_magic.sources.templates import BUILT_IN

        yield from BUILT_IN


def _kind(magic: str) -> KindName | None:
    return _KINDS.get(magic.removeprefix("astro_"))


def _ids_in_files(project: Project, kind: KindName) -> Iterator[str]:
    from astro_magic.project.settings.environment import read_environment

    yield from (entry.name for entry in project.settings.entries(kind) if entry.name)
    yield from (item.name for item in read_environment(project).objects if item.kind == kind)


def _last_word(line: str) -> tuple[str, str]:
    """Split a line into what is complete and the word that is being written."""
    word = re.search(r"\S*$", line)
    start = word.start() if word else len(line)
    return line[:start], line[start:]


def _beginning(fragment: str, offered: Any) -> list[str]:
    return [str(word) for word in offered if str(word).startswith(fragment)]


def _unused_options(parser: argparse.ArgumentParser, tokens: list[str]) -> list[str]:
    used = {action.dest for token in tokens if (action := options_of(parser).get(token))}
    return [name for name, action in options_of(parser).items() if name.startswith("--") and action.dest not in used]


def _position(parser: argparse.ArgumentParser, tokens: list[str]) -> tuple[argparse.Action | None, Arguments]:
    """Find out which positional argument comes next."""
    free: list[str] = []
    given: dict[str, Any] = {"project": None, "action": None, "kind": None}
    skip = ""
    for token in tokens:
        option = options_of(parser).get(token)
        if skip:
            given[skip] = token.strip("\"'")
            skip = ""
        elif option is not None:
            skip = option.dest if option.nargs is None else ""
        else:
            free.append(token)
    positional = positionals_of(parser)
    for action in positional:
        if action.nargs == "*" or not free:
            return action, Arguments(**given, free=tuple(free))
        given[action.dest] = free.pop(0)
    return None, Arguments(**given, free=tuple(free))
