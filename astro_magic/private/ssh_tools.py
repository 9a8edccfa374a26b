"""Call the tools of OpenSSH."""

from __future__ import annotations

import os
from collections.abc import Sequence

from astro_magic.errors import CommandFailedError
from astro_magic.system import processes

__all__ = ["INSTALL", "run_tool"]

INSTALL = "Install OpenSSH's client (on Debian: apt-get install openssh-client)."


def run_tool(argv: Sequence[str | os.PathLike[str]], *, timeout: float) -> processes.Completed:
    """Run a tool of OpenSSH to its end; it speaks English and asks nobody.

    Parameters
    ----------
    argv : sequence of str
        The tool and its arguments.
    timeout : float
        Seconds until it is ended.

    Raises
    ------
    CommandFailedError
        When it is not installed, or does not end. An exit code is no failure here.
    """
    environment = os.environ | {"LC_ALL": "C.UTF-8", "LANGUAGE": "", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        return processes.run(argv, env=environment, timeout=timeout)
    except CommandFailedError as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            message = f"{os.fspath(argv[0])} is not installed, or not on the PATH."
            raise CommandFailedError(message, hint=INSTALL) from problem
        raise
