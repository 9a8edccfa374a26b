"""Call git, so that it asks nobody and runs nothing that an address or a configuration may name."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from astro_magic.errors import CommandFailedError
from astro_magic.system import processes
from astro_magic.system.secrets import mask_credentials

__all__ = ["LOOK_SECONDS", "NO_LOGIN", "NO_REFERENCE", "NO_REPOSITORY", "PROTOCOLS", "run_git", "words"]

#: Only protocols that move files are allowed; of the others, some run commands.
PROTOCOLS = ("file", "git", "http", "https", "ssh")
#: Seconds in which git answers a question, also one that goes to a server.
LOOK_SECONDS = 60.0

NO_REPOSITORY = re.compile(r"not found|does not exist|not a git repository|does not appear to be", re.IGNORECASE)
NO_REFERENCE = re.compile(r"couldn't find remote ref|not our ref|unadvertised object", re.IGNORECASE)
NO_LOGIN = re.compile(
    r"could not read (Username|Password)|Authentication failed|Permission denied|terminal prompts disabled|"
    r"Host key verification failed|access denied",
    re.IGNORECASE,
)

# Where a process of git started us, as a hook does, its own repository stands in these.
_OTHER_REPOSITORY = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
)


def run_git(
    arguments: Sequence[str],
    *,
    cwd: Path,
    timeout: float = LOOK_SECONDS,
    extra: Mapping[str, str] | None = None,
    instead: str = "",
) -> processes.Completed:
    """Call git in a folder; it never asks for a password, since nobody could answer.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``git``.
    cwd : Path
        The folder.
    timeout : float
        Seconds until it is ended.
    extra : mapping of str to str, optional
        More variables than this process has.
    instead : str, optional
        What a person can do who has no git, to follow "Install git".

    Raises
    ------
    CommandFailedError
        When git is not installed, or does not end. An exit code is no failure here.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
    environment |= {
        "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
        # Empty rather than missing: then no window asks either.
        "GIT_ASKPASS": "",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        "SSH_ASKPASS_REQUIRE": "never",
    }
    try:
        return processes.run(["git", *arguments], env=environment | dict(extra or {}), cwd=cwd, timeout=timeout)
    except CommandFailedError as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            hint = f"Install git{instead}."
            raise CommandFailedError("git is not installed, or not on the PATH.", hint=hint) from problem
        raise


def words(errors: str) -> str:
    """Give the last of what git said, without any login."""
    return mask_credentials("\n".join(errors.strip().splitlines()[-8:]))
