"""An edit of a file of 1,000 lines with a magic, beside the same edit with ``sed`` from a cell; in a real kernel."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from astro_magic.project.project import Project
from benchmarks._kernel import TimedKernel, timed_kernel
from benchmarks._measure import Row, alternate, show

_ROUNDS = 15
_LINES = 1000
_TARGET = "under 20 ms"


def _write(project: Project) -> None:
    """Fill each file with about 1,000 lines."""
    root = project.root
    (root / "requirements.txt").write_text("".join(f"package-{n}==1.{n}\n" for n in range(_LINES)))
    (root / "packages.txt").write_text("".join(f"package-{n}=1.{n}\n" for n in range(_LINES)))
    (root / ".env").write_text("".join(f"VARIABLE_{n}=value {n}\n" for n in range(_LINES)))
    dockerfile = (root / "Dockerfile").read_text()
    (root / "Dockerfile").write_text(dockerfile + "".join(f"ENV VARIABLE_{n}=value-{n}\n" for n in range(_LINES)))
    variables = "".join(f"    - variable_name: name_{n}\n      variable_value: {n}\n" for n in range(_LINES // 2))
    (root / "airflow_settings.yaml").write_text(f"airflow:\n  variables:\n{variables}")
    (root / "dags" / ".airflowignore").write_text("".join(f"folder_{n}/\n" for n in range(_LINES)))
    (root / "include" / "query.sql").write_text("".join(f"select {n};\n" for n in range(_LINES)))


def _edits(project: Project) -> dict[str, tuple[Callable[[int], str], str]]:
    """Give for each file a cell that makes an edit which was not there before, and one that does the like with sed.

    Sed works on a copy of the project, so that neither meets the other's edits.
    """
    query = "".join(f"select {n};\n" for n in range(_LINES))
    requirements, root = "%%astro_requirements --no-check", project.root.with_name("copy")
    return {
        "%%requirements": (
            lambda n: f"{requirements}\npackage-500==2.{n}\n",
            f"sed -i s/package-500==.*/package-500==3/ {root}/requirements.txt",
        ),
        "%%packages": (
            lambda n: f"%%astro_packages\npackage-500=2.{n}\n",
            f"sed -i s/package-500=.*/package-500=3/ {root}/packages.txt",
        ),
        "%%dotenv": (
            lambda n: f"%%astro_env\nVARIABLE_500=other {n}\n",
            f"sed -i s/VARIABLE_500=.*/VARIABLE_500=3/ {root}/.env",
        ),
        "%%dockerfile": (
            lambda n: f"%%astro_dockerfile\nENV VARIABLE_500=other-{n}\n",
            f"sed -i 's/ENV VARIABLE_500=.*/ENV VARIABLE_500=3/' {root}/Dockerfile",
        ),
        "%astro_settings set": (
            lambda n: f"%astro_settings set variable name_300=v{n}",
            f"sed -i 's/variable_value: 300$/variable_value: 300/' {root}/airflow_settings.yaml",
        ),
        "%%astro_airflowignore": (
            lambda n: f"%%astro_airflowignore\nmore_{n}/\n",
            f"echo more/ >> {root}/dags/.airflowignore",
        ),
        "%%astro_file": (
            lambda n: f"%%astro_file include/query.sql\n{query}select 'last {n}';\n",
            f"sed -i s/500/501/ {root}/include/query.sql",
        ),
    }


def _row(kernel: TimedKernel, name: str, cell: Callable[[int], str], shell: str) -> tuple[Row, float]:
    numbers = iter(range(10_000))
    first = kernel.run(cell(next(numbers)))
    ours, sed = alternate(_ROUNDS, lambda: kernel.run(cell(next(numbers))), lambda: kernel.run(f"!{shell}"))
    return Row(name, ours, sed, "ms", _TARGET), first


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "shop").project
        _write(project)
        shutil.copytree(project.root, project.root.with_name("copy"))
        with timed_kernel(project.root) as kernel:
            kernel.run("%astro_use .")
            empty = kernel.run("pass")
            rows, firsts = [], {}
            for name, (cell, shell) in _edits(project).items():
                row, firsts[name] = _row(kernel, name, cell, shell)
                rows.append(row)
    show(rows)
    print(f"\nfirst edit of a session: {', '.join(f'{name} {first:.0f} ms' for name, first in firsts.items())}")
    print(f"otherwise: sed from a cell · an empty cell takes {empty:.1f} ms")


if __name__ == "__main__":
    main()
