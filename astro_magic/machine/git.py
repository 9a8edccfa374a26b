"""Whether git is there."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

from astro_magic.machine.result import CheckResult
from astro_magic.system import processes

__all__ = ["check_git"]

_NAME = "git"
_WITHOUT = "%astro_diff cannot compare with a commit, and templates cannot come from a repository"


def check_git() -> Iterator[CheckResult]:
    """Ask git for its version."""
    if shutil.which("git") is None:
        yield CheckResult(_NAME, "unknown", f"not there; {_WITHOUT}")
        return
    asked = processes.run(["git", "--version"], timeout=3)
    version = re.search(r"\d+(?:\.\d+)+", asked.output)
    if asked.code == 0 and version:
        yield CheckResult(_NAME, "good", version[0])
    else:
        # On macOS the command is there before git is: it offers to install the developer tools.
        yield CheckResult(_NAME, "warning", f"the command does not work; {_WITHOUT}", "Install git.")
