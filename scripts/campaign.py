"""Look for tests that fail now and then.

Runs the tests in several rounds. Each round takes the test files in another order, seeds the property tests anew, and
lets them try many more examples than a usual run does. Ends with a table of the tests that failed in any round.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import parse

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build" / "campaign"


def failed_tests(report: Path) -> list[str]:
    """Give the names of the tests that a JUnit report says failed."""
    if not report.is_file():
        return ["(no report: pytest itself failed)"]
    # The report was written a moment ago, by pytest.
    cases = parse(report).iter("testcase")  # noqa: S314
    return [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


def run_round(files: list[Path], seed: int, report: Path) -> int:
    """Run the tests once, in the order that `seed` gives; return pytest's exit code."""
    shuffled = [str(path.relative_to(ROOT)) for path in files]
    random.Random(seed).shuffle(shuffled)  # noqa: S311
    command = [sys.executable, "-m", "pytest", "--quiet", "--durations=0", "--durations-min=30", f"--junitxml={report}"]
    command += ["--hypothesis-profile=campaign", f"--hypothesis-seed={seed}", *shuffled]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def main() -> int:
    """Run the campaign; give the exit code."""
    parser = argparse.ArgumentParser(description="Run the tests again and again, in other orders, on more examples.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seed", type=int, default=None, help="seed of the first round; the next ones count up from it"
    )
    arguments = parser.parse_args()
    first = arguments.seed if arguments.seed is not None else random.randrange(1_000_000)  # noqa: S311

    files = sorted((ROOT / "tests").rglob("test_*.py"))
    REPORTS.mkdir(parents=True, exist_ok=True)
    failures: Counter[str] = Counter()
    broken = False
    for number, seed in enumerate(range(first, first + arguments.rounds), start=1):
        print(f"\n==> round {number} of {arguments.rounds} · seed {seed}", flush=True)
        begin = time.monotonic()
        report = REPORTS / f"round-{seed}.xml"
        report.unlink(missing_ok=True)
        if run_round(files, seed, report):
            broken = True
            failures.update(failed_tests(report))
        print(f"({time.monotonic() - begin:.0f} s)", flush=True)

    print(f"\n{arguments.rounds} rounds from seed {first}")
    for name, count in failures.most_common():
        print(f"  failed {count} of {arguments.rounds}   {name}")
    if not broken:
        print("  no test failed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
