"""Magics that build, start, change and stop the environment."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.magic import magics_class

from astro_magic.errors import ApiError
from astro_magic.magics.arguments import Arguments, argument, command
from astro_magic.magics.building import BUILD_ARGUMENTS, build_options
from astro_magic.magics.metadata_database import DATABASE_ARGUMENTS, database_options
from astro_magic.magics.session import AstroMagics
from astro_magic.views import BuildView, OpenView, RestartView, ScriptView, StartView, StatusView, StopView

if TYPE_CHECKING:
    from astro_magic.engines.options import StartOptions
    from astro_magic.environment import Environment

__all__ = ["EnvironmentMagics"]

_ENGINE = argument("--engine", metavar="NAME", help="Where Airflow is to run: auto, docker, local.")
_TIMEOUT = argument(
    "--timeout", type=float, metavar="S", help="Seconds until a start that does not get healthy is given up."
)
_IMAGE = argument(
    "-i",
    "--image-name",
    default="",
    metavar="IMAGE",
    help="Run this prepared image, now and at later starts, until astro_kill; none is built meanwhile.",
)


@magics_class
class EnvironmentMagics(AstroMagics):
    """Magics of the environment as a whole."""

    @command(
        argument("--elsewhere", action="store_true", help="Show the commands that build it in CI; build nothing."),
        *BUILD_ARGUMENTS,
        _ENGINE,
    )
    def astro_build(self, arguments: Arguments) -> BuildView | ScriptView:
        """Build the image, or the environment of local processes. What runs is not touched."""
        if arguments.elsewhere:
            from astro_magic.private.elsewhere import build_commands

            return ScriptView(build_commands(self.session.project(arguments)))
        environment = self.session.environment(arguments)
        name = environment.project.name
        with self.session.progress(arguments, f"Building {name}") as progress:
            preparation = environment.prepare(build_options(arguments), listener=progress)
        return BuildView(name, preparation, progress.steps, seconds=progress.seconds)

    @command(
        argument("--port", type=int, help="Port of the Airflow UI; default: the remembered, or a free one."),
        _TIMEOUT,
        _ENGINE,
        _IMAGE,
        *DATABASE_ARGUMENTS,
        *BUILD_ARGUMENTS,
    )
    def astro_start(self, arguments: Arguments) -> StartView:
        """Start Airflow, and wait until every component is healthy."""
        environment = self.session.environment(arguments)
        name = environment.project.name
        options = replace(self._start_options(arguments, port=arguments.port), database=database_options(arguments))
        with self.session.progress(arguments, f"Starting {name} on {environment.engine.title}") as progress:
            start = environment.start(options, listener=progress)
        return StartView(name, start, progress.steps)

    @command()
    def astro_open(self, arguments: Arguments) -> OpenView:
        """Open the Airflow UI in the browser; local processes let you in without a password."""
        environment = self.session.environment(arguments)
        return OpenView(environment.project.name, environment.open_ui())

    @command()
    def astro_stop(self, arguments: Arguments) -> StopView:
        """Stop Airflow. Data and environment are kept."""
        environment = self.session.environment(arguments)
        name = environment.project.name
        self.session.rest(arguments)
        with self.session.progress(arguments, f"Stopping {name}") as progress:
            stop = environment.stop(listener=progress)
        return StopView(name, stop, seconds=progress.seconds)

    @command(
        argument("--force", action="store_true", help="Also when nothing is pending, such as after a plugin changed."),
        _TIMEOUT,
        _IMAGE,
        *BUILD_ARGUMENTS,
    )
    def astro_restart(self, arguments: Arguments) -> RestartView:
        """Apply what is pending, by the least that applies all of it."""
        environment = self.session.environment(arguments)
        name = environment.project.name
        with self.session.progress(arguments, f"Restarting {name}") as progress:
            options = self._start_options(arguments)
            restart = environment.restart(options, force=arguments.force, listener=progress)
        if restart.objects is not None and not restart.objects.complete:
            # Whatever else was applied: what the file says is not what Airflow has.
            raise ApiError(
                f"Not everything in airflow_settings.yaml could be imported: {restart.objects.described}.",
                hint="Correct it there, then run %astro_restart again.",
                detail="\n".join(restart.objects.failures) or None,
            )
        return RestartView(name, restart, progress.steps)

    @command(
        argument("--yes", action="store_true", help="Do not ask."),
        argument("--images", action="store_true", help="Remove the images of the project, too."),
    )
    def astro_kill(self, arguments: Arguments) -> StopView | None:
        """End Airflow at once, and remove its data and environment. The project's files are kept."""
        environment = self.session.environment(arguments)
        name = environment.project.name
        if not arguments.yes and not self._confirmed(
            f"Remove the database, its backups and the environment of {name}?"
        ):
            return None
        self.session.rest(arguments)
        with self.session.progress(arguments, f"Removing the environment of {name}") as progress:
            stop = environment.kill(images=arguments.images, listener=progress)
        self.session.rest(arguments)
        return StopView(name, stop, seconds=progress.seconds, killed=True)

    @command(argument("-f", "--follow", action="store_true", help="Go on showing it as it changes, until interrupted."))
    def astro_status(self, arguments: Arguments) -> StatusView:
        """Show what runs, how it does, and what is pending."""
        environment = self.session.environment(arguments)
        view = StatusView(environment.project.name, environment.status(), environment.pending())
        return self._follow(arguments, environment, view) if arguments.follow else view

    def _start_options(self, arguments: Arguments, *, port: int | None = None) -> StartOptions:
        from astro_magic.engines.options import StartOptions

        timeout = arguments.timeout or self.session.settings.timeout
        return StartOptions(port, timeout, build_options(arguments), arguments.image_name)

    def _follow(self, arguments: Arguments, environment: Environment, view: StatusView) -> StatusView:
        """Show the status in one place as it changes; to interrupt is how that ends."""
        name = environment.project.name
        show = self.session.live(arguments)
        try:
            for status in environment.watch():
                view = StatusView(name, status, view.pending)
                show(view)
        except KeyboardInterrupt:
            pass
        show(None)
        return view

    def _confirmed(self, question: str) -> bool:
        answer = self.session.confirm(question)
        if answer is None:
            raise UsageError("Nobody can be asked here: %astro_kill --yes removes the environment without asking.")
        return answer
