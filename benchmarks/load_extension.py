"""How much ``%load_ext astro_magic`` adds to the start of IPython."""

from __future__ import annotations

import subprocess
import sys

from benchmarks._measure import Row, alternate, show, timed

_ROUNDS = 9
_BARE = "from IPython.core.interactiveshell import InteractiveShell; shell = InteractiveShell.instance()"
_LOADED = f"{_BARE}; shell.run_line_magic('load_ext', 'astro_magic')"


def _start(code: str) -> float:
    return 1000 * timed(lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True))


def main() -> None:
    """Measure and print."""
    _start(_LOADED)
    ours, bare = alternate(_ROUNDS, lambda: _start(_LOADED), lambda: _start(_BARE))
    show([Row("IPython with the extension", ours, bare, "ms", "under 100 ms more")])
    print(f"\nadded: {sorted(ours)[_ROUNDS // 2] - sorted(bare)[_ROUNDS // 2]:.0f} ms")


if __name__ == "__main__":
    main()
