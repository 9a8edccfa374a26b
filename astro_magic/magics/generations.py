"""The magic of the environments that a project has had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.session import AstroMagics
from astro_magic.views import GenerationsView, PruningView, RollbackView

if TYPE_CHECKING:
    from astro_magic.environment import Environment

__all__ = ["GenerationMagics"]

_GIGABYTE = 1_000_000_000


@magics_class
class GenerationMagics(AstroMagics):
    """The magic of the environments that a project has had."""

    @command(
        argument(
            "--rollback",
            nargs="?",
            const="",
            metavar="NUMBER",
            help="Go back to this environment, by number or name; default: the one before the current one.",
        ),
        argument("--prune", action="store_true", help="Remove old ones; never the current or the running one."),
        argument("--keep", type=int, metavar="N", help="With --prune: how many to keep; default: 3."),
        argument("--max-size", type=float, metavar="GB", help="With --prune: what all together may take on disk."),
        output=True,
        dry_run=True,
    )
    def astro_env_history(self, arguments: Arguments) -> GenerationsView | RollbackView | PruningView:
        """List the environments of local processes: when each was made, and how its packages differ.

        With --rollback, the files that one was made from are as they were, which %astro_undo takes back, and it is the
        one that the next start takes; nothing is built. With --dry-run, show what would change in the files.
        """
        _check(arguments)
        environment = self.session.environment(arguments)
        if arguments.prune:
            most = None if arguments.max_size is None else round(arguments.max_size * _GIGABYTE)
            return PruningView(environment.generations.prune(keep=arguments.keep, max_size=most))
        if arguments.rollback is not None:
            return self._roll_back(arguments, environment)
        return GenerationsView(environment.generations.read(), environment.generations.cached())

    def _roll_back(self, arguments: Arguments, environment: Environment) -> RollbackView:
        done = environment.generations.roll_back(arguments.rollback, dry_run=arguments.dry_run)
        if arguments.dry_run:
            return RollbackView(done, dry_run=True)
        pending, running = self.session.pending(arguments)
        return RollbackView(done, dry_run=False, pending=pending, running=running)


def _check(arguments: Arguments) -> None:
    limits = (arguments.keep, arguments.max_size)
    if arguments.prune and (arguments.rollback is not None or arguments.dry_run):
        raise UsageError("--prune stands alone: it takes neither --rollback nor --dry-run.")
    if not arguments.prune and limits != (None, None):
        raise UsageError("--keep and --max-size say what --prune leaves.")
    if any(limit is not None and limit < 0 for limit in limits):
        raise UsageError("Give --keep and --max-size as 0 or more.")
