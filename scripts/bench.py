"""Run the benchmarks, one after the other; each is a script in ``benchmarks/`` that prints a table."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run all benchmarks, or those whose names are given; give the exit code."""
    wanted = sys.argv[1:]
    scripts = sorted(path for path in (ROOT / "benchmarks").glob("*.py") if not path.name.startswith("_"))
    chosen = [path for path in scripts if not wanted or path.stem in wanted]
    if not chosen:
        print(f"No such benchmark. There are: {', '.join(path.stem for path in scripts) or 'none'}", file=sys.stderr)
        return 1
    failed = []
    for script in chosen:
        print(f"\n==> {script.stem}", flush=True)
        begin = time.monotonic()
        if subprocess.run([sys.executable, "-m", f"benchmarks.{script.stem}"], cwd=ROOT, check=False).returncode:
            failed.append(script.stem)
        print(f"({time.monotonic() - begin:.1f} s)", flush=True)
    if failed:
        print(f"\nFailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
