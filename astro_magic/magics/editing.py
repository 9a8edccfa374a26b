"""What the magics that edit files have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from IPython.core.error import UsageError

from astro_magic.magics.arguments import Arguments, argument, unquoted
from astro_magic.magics.session import AstroMagics
from astro_magic.views import ChangeView

if TYPE_CHECKING:
    from astro_magic.project.changes import Change
    from astro_magic.project.project import Project
    from astro_magic.resolve.resolver import Resolution

__all__ = ["MERGE", "OVERWRITE", "REPLACE", "EditingMagics", "action_of", "edited", "names_in", "one_of", "verbs"]

REPLACE = argument("--replace", action="store_true", help="Make the file exactly the cell; default: merge.")
MERGE = argument("--merge", action="store_true", help="Keep what was edited elsewhere, where the two do not touch.")
OVERWRITE = argument("--overwrite", action="store_true", help="Give up what was edited elsewhere.")


def verbs(*names: str) -> argument:
    """Make the argument that says in the line form what is to be done."""
    return argument("action", nargs="?", type=one_of(*names), choices=names, help="In the line form: what to do.")


def one_of(*names: str) -> Callable[[str], str]:
    """Give a check for a word that has to be one of these; what stands there instead may be a secret, and is not told.

    A semicolon behind the word only silences the output.
    """

    def check(word: str) -> str:
        if word.removesuffix(";") not in names:
            raise argparse.ArgumentTypeError(f"expected {', '.join(names[:-1])} or {names[-1]}")
        return word.removesuffix(";")

    return check


def action_of(arguments: Arguments, cell: str | None, values: Sequence[str] | None = None) -> str:
    """Give what a magic with sub-commands is to do; the cell form has none, and is a merge."""
    values = arguments.values if values is None else values
    if cell is not None:
        if arguments.action is not None:
            raise UsageError(f"A cell is brought into the file as it is; {arguments.action} is for the line form.")
        return "merge"
    action: str = arguments.action or "list"
    if action == "list" and values:
        raise UsageError("list takes no more arguments.")
    if action != "list" and not values:
        raise UsageError(f"{action}: name at least one.")
    if getattr(arguments, "replace", False):
        raise UsageError("--replace is for the cell form.")
    return action


def names_in(values: Sequence[str]) -> Sequence[str]:
    """Give the names of what is to be removed; a value behind one may be secret, and is not told."""
    for value in values:
        name, equals, _ = value.partition("=")
        if equals:
            raise UsageError(f"To remove {name}, write its name alone.")
    return values


def edited(arguments: Arguments) -> Literal["refuse", "merge", "overwrite"]:
    """Give what is to be done about edits that were made elsewhere."""
    if arguments.merge and arguments.overwrite:
        raise UsageError("--merge and --overwrite exclude each other.")
    return "merge" if arguments.merge else "overwrite" if arguments.overwrite else "refuse"


class EditingMagics(AstroMagics):
    """Base of the magics that edit files."""

    def edit(self, arguments: Arguments, project: Project, plan: Callable[[], Change]) -> ChangeView:
        """Plan a change and write it, unless the arguments ask for a dry run."""
        return self.show_change(arguments, project.edit(plan, dry_run=arguments.dry_run))

    def show_change(
        self,
        arguments: Arguments,
        change: Change,
        *,
        resolution: Resolution | None = None,
        notes: Sequence[str] = (),
    ) -> ChangeView:
        """Show a change, and what it makes pending."""
        pending, running = (None, False) if arguments.dry_run else self.session.pending(arguments)
        return ChangeView(change, pending=pending, running=running, resolution=resolution, notes=notes)

    def assignments(self, values: Sequence[str], *, file: str) -> dict[str, str]:
        """Read ``NAME=VALUE`` words; for a name alone, the value is asked for."""
        assignments = {}
        for assignment in values:
            name, equals, value = assignment.partition("=")
            given = unquoted(value) if equals else self.session.ask_secret(name)
            if given is None:
                raise UsageError(f"Nobody can be asked for the value of {name} here: write it into {file} instead.")
            assignments[name] = given
        return assignments
