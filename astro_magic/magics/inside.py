"""Magics that look into the running environment: logs, commands, Airflow's configuration."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import CommandFailedError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.session import AstroMagics
from astro_magic.views import CommandView, LogView

if TYPE_CHECKING:
    from astro_magic.airflow.task_logs import TaskChoice
    from astro_magic.engines.options import LogQuery

__all__ = ["InsideMagics"]

#: As many lines of a followed log or a failed command are kept in sight.
_TAIL = 20
_SINCE = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>s|m|h|d)?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@magics_class
class InsideMagics(AstroMagics):
    """Magics that look into the running environment."""

    @command(
        argument("components", nargs="*", metavar="COMPONENT", help="scheduler, api-server, ...; default: all."),
        argument(
            "-n", "--tail", type=int, default=100, metavar="N", help="How many lines, from the end; default: 100."
        ),
        argument("--grep", metavar="RE", help="Only lines that this regular expression finds something in."),
        argument("--since", metavar="AGE", help="Only lines of the last minutes, or of 30s, 10m, 2h, 1d."),
        argument("-f", "--follow", action="store_true", help="Go on with new lines until interrupted."),
        argument("--task", metavar="DAG[.TASK]", help="The logs of a run's tasks, or of one of them, instead."),
        argument("--run", metavar="RUN_ID", help="With --task: which run; default: the latest."),
        argument("--try", dest="try_number", type=int, metavar="N", help="With --task: which try; default: the last."),
        expand=False,
    )
    def astro_logs(self, arguments: Arguments) -> LogView:
        """Show the logs of components, or of tasks."""
        environment = self.session.environment(arguments)
        query = _log_query(arguments)
        choice = _task_choice(arguments)
        lines = environment.logs(query) if choice is None else environment.task_logs(choice, query)
        with self.session.progress(arguments, "Following the logs", tail=_TAIL, stream=query.follow) as progress:
            try:
                for line in lines:
                    progress(line)
            except KeyboardInterrupt:
                # To interrupt is how following ends; anywhere else it is passed on.
                if not query.follow:
                    raise
        shown = progress.lines[-arguments.tail :] if not progress.streamed else []
        return LogView(shown, as_of=datetime.now(UTC), selection=_selection(arguments))

    @command(
        argument("-c", "--component", default="", metavar="NAME", help="Run it in this component's container."),
        kind="line_cell",
        expand=False,
        output=True,
        rest="command",
    )
    def astro_bash(self, arguments: Arguments, cell: str | None) -> CommandView:
        """Run a command, or a cell of commands, in the environment with bash.

        Options stand before the command. A command that ends with an exit code other than 0 is an error.
        """
        if bool(arguments.command) == (cell is not None):
            raise UsageError("Write one command in the line, or commands in the cell.")
        script = arguments.command if cell is None else cell
        environment = self.session.environment(arguments)
        with self.session.progress(arguments, "bash", tail=_TAIL, stream=True) as progress:
            exit_code = environment.run(["bash", "-c", script], component=arguments.component, listener=progress)
        # A saved notebook has the command once, in its cell.
        view = CommandView(
            environment.masked(script), exit_code, progress.lines, seconds=progress.seconds, streamed=progress.streamed
        )
        if exit_code:
            self._fail(arguments, view)
        return view

    def _fail(self, arguments: Arguments, view: CommandView) -> None:
        """Raise for a command that failed, with its last lines; all of them are shown when there are more."""
        if len(view.lines) > _TAIL and not arguments.quiet:
            self.session.show(arguments, view)
        first = view.command.strip().partition("\n")[0]
        raise CommandFailedError(
            f"The command ended with exit code {view.exit_code}: {first}",
            detail="\n".join(line.text for line in view.lines[-_TAIL:]) or None,
        )


def _log_query(arguments: Arguments) -> LogQuery:
    from astro_magic.engines.options import LogQuery

    if arguments.tail < 1:
        raise UsageError("--tail takes a number from 1.")
    if arguments.grep is not None:
        try:
            re.compile(arguments.grep)
        except re.error as error:
            raise UsageError(f"--grep {arguments.grep}: not a regular expression: {error}.") from error
    return LogQuery(
        components=tuple(re.sub("[-_]", " ", name) for name in arguments.components),
        tail=arguments.tail,
        since=_since(arguments.since),
        grep=arguments.grep,
        follow=arguments.follow,
    )


def _task_choice(arguments: Arguments) -> TaskChoice | None:
    if arguments.task is None:
        if arguments.run is not None or arguments.try_number is not None:
            raise UsageError("--run and --try say which log of --task DAG[.TASK] is meant.")
        return None
    if arguments.components:
        raise UsageError("Name components or --task, not both.")
    if arguments.try_number is not None and arguments.try_number < 1:
        raise UsageError("--try takes a number from 1.")
    from astro_magic.airflow.task_logs import TaskChoice

    return TaskChoice(arguments.task, arguments.run or "", arguments.try_number)


def _since(age: str | None) -> datetime | None:
    if age is None:
        return None
    found = _SINCE.fullmatch(age)
    if found is None:
        raise UsageError(f"--since {age}: write a number of minutes, or 30s, 10m, 2h or 1d.")
    return datetime.now(UTC) - timedelta(seconds=float(found["number"]) * _SECONDS[found["unit"] or "m"])


def _selection(arguments: Arguments) -> str:
    parts = [arguments.task or ", ".join(arguments.components)]
    if arguments.run:
        parts.append(arguments.run)
    if arguments.try_number:
        parts.append(f"try {arguments.try_number}")
    if arguments.grep:
        parts.append(f"matching {arguments.grep}")
    if arguments.since is not None:
        unit = "" if arguments.since[-1].isalpha() else " min"
        parts.append(f"of the last {arguments.since}{unit}")
    return " · ".join(part for part in parts if part)
