"""Run the benchmarks, one after the other; each is a script in ``benchmarks/`` that prints a table."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def use_local_processes(home: Path) -> None:
    """Make local processes what a project is run with, also where a Docker Engine answers."""
    config = home / ".astro" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("dev:\n    mode: standalone\n", encoding="utf-8")


def main() -> int:
    """Run all benchmarks, or those whose names are given; give the exit code."""
    wanted = sys.argv[1:]
    scripts = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if not path.name.startswith("_"))
    chosen = [path for path in scripts if not wanted or path.stem in wanted]
    if not chosen:
        print(f"No such benchmark. There are: {', '.join(path.stem for path in scripts) or 'none'}", file=sys.stderr)
        return 1
    failed = []
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # `airflow standalone` ends at an interrupt alone; who runs this in the background hands down to ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "ASTRO_HOME": home}
        use_local_processes(Path(home))
        for script in chosen:
            print(f"\n==> {script.stem}", flush=True)
            begin = time.monotonic()
            command = [sys.executable, "-m", f"benchmarks.{script.stem}"]
            if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
                failed.append(script.stem)
            print(f"({time.monotonic() - begin:.1f} s)", flush=True)
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
