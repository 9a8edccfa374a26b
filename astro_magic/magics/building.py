"""The options of magics that build an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_magic.magics.arguments import Arguments, argument

if TYPE_CHECKING:
    from astro_magic.engines.options import BuildOptions

__all__ = ["BUILD_ARGUMENTS", "build_options"]

_repeatable: dict[str, Any] = {"action": "append", "default": None}

BUILD_ARGUMENTS: tuple[argument, ...] = (
    argument("--no-cache", action="store_true", help="Run every step of the image's build again."),
    argument("--pull", action="store_true", help="Look for a newer base image in its registry."),
    argument(
        "--build-secret",
        **_repeatable,
        metavar="SPEC",
        help="id=NAME,src=FILE or id=NAME,env=VARIABLE; for RUN --mount=type=secret. Can be repeated.",
    ),
    argument("--build-arg", **_repeatable, metavar="KEY=VALUE", help="For ARG; stays visible in the image's history."),
    argument("--ssh", **_repeatable, metavar="SPEC", help="default, or NAME=KEYFILE; for RUN --mount=type=ssh."),
    argument("--platform", metavar="OS/ARCH", help="Such as linux/amd64; default: the engine's."),
)


def build_options(arguments: Arguments) -> BuildOptions | None:
    """Give what the arguments say about the build; None when they say nothing, and the last options hold."""
    from astro_magic.engines.options import BuildOptions

    options = BuildOptions(
        secrets=tuple(arguments.build_secret or ()),
        args=tuple(arguments.build_arg or ()),
        ssh=tuple(arguments.ssh or ()),
        platform=arguments.platform,
        no_cache=arguments.no_cache,
        pull=arguments.pull,
    )
    return None if options == BuildOptions() else options
