"""Import modules in an environment that has just been built, and say what became of each.

Standard input is a JSON object: ``imports``, pairs of a distribution and its modules, ``also``, folders of packages
beside the environment's own, and ``seconds``, after which the process ends itself. Standard output is a line of JSON
when a distribution is begun and one when it is done; whatever the modules print goes nowhere.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import signal
import sys
import traceback


def main() -> None:
    """Import what standard input names."""
    request = json.load(sys.stdin)
    sys.path += request["also"]
    tell = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nothing, descriptor)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(request["seconds"])

    def say(**about: object) -> None:
        print(json.dumps(about), file=tell, flush=True)

    try:
        version = importlib.metadata.version("apache-airflow")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    say(airflow=version)
    for name, modules in request["imports"]:
        say(begun=name)
        say(done=name, error=_first_error(modules))
    say(finished=True)
    # Threads and exit handlers of what was imported are nobody's business here.
    os._exit(0)


def _first_error(modules: list[str]) -> str:
    """Import modules until one fails; give the last line of its error, or nothing."""
    for module in modules:
        try:
            importlib.import_module(module)
        except BaseException as error:
            return traceback.format_exception_only(type(error), error)[-1].strip()
    return ""


if __name__ == "__main__":
    main()
