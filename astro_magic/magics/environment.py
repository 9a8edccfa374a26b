"""Magics of the running environment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import CommandFailedError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.session import AstroMagics
from astro_magic.views import CommandView, LogView, RestartView, StartView, StatusView, StopView

if TYPE_CHECKING:
    from astro_magic.engines.engine import LogQuery

__all__ = ["EnvironmentMagics"]

#: As many lines of a followed log or a failed command are kept in sight.
_TAIL = 20


@magics_class
class EnvironmentMagics(AstroMagics):
    """Magics of the running environment."""

    @command(
        argument("--port", type=int, help="Port of the Airflow UI; default: the remembered, or a free one."),
        argument(
            "--timeout", type=float, metavar="S", help="Seconds until a start that does not get healthy is given up."
        ),
        argument("--engine", metavar="NAME", help="Where Airflow is to run: auto, local."),
    )
    def astro_start(self, arguments: Arguments) -> StartView:
        """Start Airflow, and wait until every component is healthy."""
        environment = self.session.environment(arguments)
        name = environment.project.name
        timeout = arguments.timeout or self.session.settings.timeout
        with self.session.progress(arguments, f"Starting {name} on {environment.engine.title}") as progress:
            start = environment.start(port=arguments.port, timeout=timeout, listener=progress)
        return StartView(name, start, progress.steps)

    @command()
    def astro_stop(self, arguments: Arguments) -> StopView:
        """Stop Airflow. Data and environment are kept."""
        environment = self.session.environment(arguments)
        name = environment.project.name
        with self.session.progress(arguments, f"Stopping {name}") as progress:
            stop = environment.stop(listener=progress)
        return StopView(name, stop, seconds=progress.seconds)

    @command()
    def astro_restart(self, arguments: Arguments) -> RestartView:
        """Apply what is pending, by the least that applies all of it."""
        environment = self.session.environment(arguments)
        name = environment.project.name
        with self.session.progress(arguments, f"Restarting {name}") as progress:
            restart = environment.restart(timeout=self.session.settings.timeout, listener=progress)
        return RestartView(name, restart, progress.steps)

    @command(argument("--yes", action="store_true", help="Do not ask."))
    def astro_kill(self, arguments: Arguments) -> StopView | None:
        """End Airflow at once, and remove its data and environment. The project's files are kept."""
        environment = self.session.environment(arguments)
        name = environment.project.name
        if not arguments.yes and not self._confirmed(f"Remove the database and the environment of {name}?"):
            return None
        with self.session.progress(arguments, f"Removing the environment of {name}") as progress:
            stop = environment.kill(listener=progress)
        return StopView(name, stop, seconds=progress.seconds, killed=True)

    @command()
    def astro_status(self, arguments: Arguments) -> StatusView:
        """Show what runs, how it does, and what is pending."""
        environment = self.session.environment(arguments)
        return StatusView(environment.project.name, environment.status(), environment.pending())

    @command(
        argument("components", nargs="*", metavar="COMPONENT", help="scheduler, api-server, ...; default: all."),
        argument(
            "-n", "--tail", type=int, default=100, metavar="N", help="How many lines, from the end; default: 100."
        ),
        argument("--grep", metavar="RE", help="Only lines that this regular expression finds something in."),
        argument("--since", type=float, metavar="MINUTES", help="Only lines of the last so many minutes."),
        argument("-f", "--follow", action="store_true", help="Go on with new lines until interrupted."),
        expand=False,
    )
    def astro_logs(self, arguments: Arguments) -> LogView:
        """Show the components' logs."""
        environment = self.session.environment(arguments)
        query = _log_query(arguments)
        lines = environment.logs(query)
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

    @command(kind="line_cell", expand=False, output=True, rest="command")
    def astro_bash(self, arguments: Arguments, cell: str | None) -> CommandView:
        """Run a command, or a cell of commands, in the environment with bash.

        Options stand before the command. A command that ends with an exit code other than 0 is an error.
        """
        if bool(arguments.command) == (cell is not None):
            raise UsageError("Write one command in the line, or commands in the cell.")
        script = arguments.command if cell is None else cell
        environment = self.session.environment(arguments)
        with self.session.progress(arguments, "bash", tail=_TAIL, stream=True) as progress:
            exit_code = environment.run(["bash", "-c", script], listener=progress)
        view = CommandView(script, exit_code, progress.lines, seconds=progress.seconds, streamed=progress.streamed)
        if exit_code:
            self._fail(arguments, view)
        return view

    def _confirmed(self, question: str) -> bool:
        answer = self.session.confirm(question)
        if answer is None:
            raise UsageError("Nobody can be asked here: %astro_kill --yes removes the environment without asking.")
        return answer

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
    from astro_magic.engines.engine import LogQuery

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
        since=None if arguments.since is None else datetime.now(UTC) - timedelta(minutes=arguments.since),
        grep=arguments.grep,
        follow=arguments.follow,
    )


def _selection(arguments: Arguments) -> str:
    parts = [", ".join(arguments.components)]
    if arguments.grep:
        parts.append(f"matching {arguments.grep}")
    if arguments.since is not None:
        parts.append(f"of the last {arguments.since:g} min")
    return " · ".join(part for part in parts if part)
