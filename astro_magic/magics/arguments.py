"""How magics take their arguments.

`command` makes an IPython magic of a method that is given parsed arguments: it builds the parser, which is also the
help text and what completion reads, and does for each magic what all have in common.
"""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from IPython.core.error import UsageError
from IPython.core.magic import (
    cell_magic,
    line_cell_magic,
    line_magic,
    no_var_expand,
)
from IPython.core.magic_arguments import MagicArgumentParser, argument, magic_arguments

from astro_magic.errors import AstroMagicError

if TYPE_CHECKING:
    from astro_magic.magics.session import AstroMagics

__all__ = [
    "Arguments",
    "argument",
    "command",
    "options_of",
    "parse_line",
    "positionals_of",
    "split_options",
    "unquoted",
    "words",
]

Arguments = argparse.Namespace
Handler = Callable[..., Any]

_KINDS = {"line": line_magic, "cell": cell_magic, "line_cell": line_cell_magic}
#: A word; quotes hold one together also where they begin in its middle, as in ``NAME='a b'``.
_TOKEN = re.compile(r"(?:\"[^\"]*\"|'[^']*'|\S)+")
_END_OF_OPTIONS = "--"
_LEFT_OVER = re.compile(r"\{[^{}]*\}|\$\w+")


def command(
    *options: argument,
    kind: Literal["line", "cell", "line_cell"] = "line",
    expand: bool = True,
    output: bool = False,
    dry_run: bool = False,
    rest: str = "",
    semicolon: bool = False,
) -> Callable[[Handler], Handler]:
    """Make a magic of a method ``(self, arguments)`` or, for a cell magic, ``(self, arguments, cell)``.

    Parameters
    ----------
    *options : argument
        The magic's own arguments. All magics take ``-h``, ``-q`` and ``--project``.
    kind : {"line", "cell", "line_cell"}, optional
        In which form it can be written.
    expand : bool, optional
        Whether IPython replaces ``$name`` and ``{expression}`` in the line. False where a line may hold a secret, a
        template or JSON.
    output : bool, optional
        Whether it takes ``-o NAME``.
    dry_run : bool, optional
        Whether it takes ``--dry-run``.
    rest : str, optional
        The name of the argument that takes what follows the options, as it is written.
    semicolon : bool, optional
        Whether a semicolon at the end belongs to the arguments; else it only silences the output.
    """

    def decorate(handler: Handler) -> Handler:
        decorated = _KINDS[kind](handler)
        for option in reversed((*options, *_shared(output=output, dry_run=dry_run))):
            decorated = option(decorated)
        decorated = magic_arguments()(decorated)
        parser: MagicArgumentParser = decorated.parser
        parser.allow_abbrev = False

        @functools.wraps(decorated)
        def magic(self: AstroMagics, line: str = "", cell: str | None = None) -> Any:
            if expand:
                _refuse_left_over(line)
            if not (semicolon or rest) and cell is None:
                line = line.rstrip().removesuffix(";")
            arguments = parse_line(parser, line, rest=rest)
            if arguments.help:
                self.session.write(parser.format_help())
                return None
            passed = () if kind == "line" else (cell,)
            try:
                result = handler(self, arguments, *passed)
            except AstroMagicError as error:
                error.verbose = self.session.settings.verbose_errors
                raise
            return self.session.finish(arguments, result)

        magic._ipython_magic_output_can_be_silenced = True  # type: ignore[attr-defined]  # noqa: SLF001 - IPython's decorator sets the same, but only IPython 8.13 and later have it
        return magic if expand else no_var_expand(magic)

    return decorate


def _shared(*, output: bool, dry_run: bool) -> list[argument]:
    shared = []
    if dry_run:
        shared.append(argument("--dry-run", action="store_true", help="Show what would change, and write nothing."))
    if output:
        shared.append(argument("-o", "--output", metavar="NAME", help="Keep the result in this variable."))
    return [
        *shared,
        argument("--project", metavar="DIR", help="Work on the project in this folder."),
        argument("-q", "--quiet", action="store_true", help="Show no progress, and only the result's first line."),
        argument("-h", "--help", action="store_true", help="Show this text."),
    ]


def parse_line(parser: MagicArgumentParser, line: str, *, rest: str = "") -> Arguments:
    """Parse the line of a magic.

    Parameters
    ----------
    parser : MagicArgumentParser
        The magic's parser.
    line : str
        What stands behind the magic's name.
    rest : str, optional
        The name of the argument that takes what follows the options, as it is written.

    Raises
    ------
    UsageError
        When the line does not fit.
    """
    line, following = split_options(parser, line) if rest else (line, "")
    tokens = words(line)
    # Before the rest is looked at, so that help is given where a required argument is missing, too.
    if "-h" in tokens or "--help" in tokens:
        return Arguments(help=True)
    _refuse_repeated(parser, tokens)
    arguments, unknown = parser.parse_known_intermixed_args(tokens)
    if unknown:
        # What stands behind an option that there is not may be a password.
        told = next((place for place, word in enumerate(unknown, 1) if word.startswith("-")), len(unknown))
        raise UsageError(f"unrecognized arguments: {' '.join(unknown[:told]).partition('=')[0]}")
    for name, value in vars(arguments).items():
        setattr(arguments, name, [unquoted(item) for item in value] if isinstance(value, list) else unquoted(value))
    if rest:
        setattr(arguments, rest, following)
    output = getattr(arguments, "output", None)
    if output is not None and not output.isidentifier():
        raise UsageError(f"--output {output}: not a name for a variable.")
    return arguments


def words(line: str) -> list[str]:
    """Split a line into words; quotes stay, and so do the backslashes of Windows paths."""
    return _TOKEN.findall(line)


def unquoted(value: Any) -> Any:
    """Take one pair of quotes off a value; IPython leaves them on."""
    if isinstance(value, str) and len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value


def options_of(parser: argparse.ArgumentParser) -> dict[str, argparse.Action]:
    """Give a parser's options by each of their names."""
    return parser._option_string_actions  # noqa: SLF001 - argparse has no public way to ask


def positionals_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Give a parser's positional arguments, in their order."""
    return [action for action in parser._actions if not action.option_strings]  # noqa: SLF001 - as above


def split_options(parser: MagicArgumentParser, line: str) -> tuple[str, str]:
    """Split a line into the options at its beginning and the rest, which is left as it is written."""
    actions = options_of(parser)
    position = 0
    while match := _TOKEN.search(line, position):
        token = match.group()
        if token == _END_OF_OPTIONS:
            return line[: match.start()], line[match.end() :].strip()
        action = actions.get(token.partition("=")[0])
        if action is None:
            break
        position = match.end()
        takes_value = action.nargs is None and "=" not in token
        if takes_value and (value := _TOKEN.search(line, position)):
            position = value.end()
    return line[:position], line[position:].strip()


def _refuse_repeated(parser: MagicArgumentParser, tokens: list[str]) -> None:
    """Refuse an option that is given twice: argparse would take the last one in silence."""
    actions = options_of(parser)
    seen = set()
    for token in tokens:
        if token == _END_OF_OPTIONS:
            return
        action = actions.get(token.partition("=")[0])
        if action is None:
            continue
        if action.dest in seen:
            raise UsageError(f"{token.partition('=')[0]} is given twice.")
        seen.add(action.dest)


def _refuse_left_over(line: str) -> None:
    """Refuse what IPython was to replace and did not: one undefined name leaves the whole line as it is."""
    left_over = _LEFT_OVER.search(line)
    if left_over:
        raise UsageError(f"{left_over.group()} was not replaced: is each name in this line defined?")
