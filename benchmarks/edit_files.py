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


def _contents(project: Project) -> dict[str, str]:
    """Give about 1,000 lines for each file."""
    variables = "".join(f"    - variable_name: name_{n}\n      variable_value: {n}\n" for n in range(_LINES // 2))
    dockerfile = (project.root / "Dockerfile").read_text()
    return {
        "requirements.txt": "".join(f"package-{n}==1.{n}\n" for n in range(_LINES)),
        "packages.txt": "".join(f"package-{n}=1.{n}\n" for n in range(_LINES)),
        ".env": "".join(f"VARIABLE_{n}=value {n}\n" for n in range(_LINES)),
        "Dockerfile": dockerfile + "".join(f"ENV VARIABLE_{n}=value-{n}\n" for n in range(_LINES)),
        "airflow_settings.yaml": f"airflow:\n  variables:\n{variables}",
        "dags/.airflowignore": "".join(f"folder_{n}/\n" for n in range(_LINES)),
        "include/query.sql": "".join(f"select {n};\n" for n in range(_LINES)),
    }


def _edits(project: Project) -> dict[str, tuple[str, Callable[[int], str], str]]:
    """Give for each magic its file, a cell that makes an edit which was not there before, and the like with sed.

    Sed works on a copy of the project, so that neither meets the other's edits.
    """
    query = "".join(f"select {n};\n" for n in range(_LINES))
    requirements, root = "%%astro_requirements --no-check", project.root.with_name("copy")
    return {
        "%%requirements": (
            "requirements.txt",
            lambda n: f"{requirements}\npackage-500==2.{n}\n",
            f"sed -i s/package-500==.*/package-500==3/ {root}/requirements.txt",
        ),
        "%%packages": (
            "packages.txt",
            lambda n: f"%%astro_packages\npackage-500=2.{n}\n",
            f"sed -i s/package-500=.*/package-500=3/ {root}/packages.txt",
        ),
        "%%dotenv": (
            ".env",
            lambda n: f"%%astro_env\nVARIABLE_500=other {n}\n",
            f"sed -i s/VARIABLE_500=.*/VARIABLE_500=3/ {root}/.env",
        ),
        "%%dockerfile": (
            "Dockerfile",
            lambda n: f"%%astro_dockerfile\nENV VARIABLE_500=other-{n}\n",
            f"sed -i 's/ENV VARIABLE_500=.*/ENV VARIABLE_500=3/' {root}/Dockerfile",
        ),
        "%astro_settings set": (
            "airflow_settings.yaml",
            lambda n: f"%astro_settings set variable name_300=v{n}",
            f"sed -i 's/variable_value: 300$/variable_value: 300/' {root}/airflow_settings.yaml",
        ),
        "%%astro_airflowignore": (
            "dags/.airflowignore",
            lambda n: f"%%astro_airflowignore\nmore_{n}/\n",
            f"echo more/ >> {root}/dags/.airflowignore",
        ),
        "%%astro_file": (
            "include/query.sql",
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
    rows, firsts = [], {}
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "shop").project
        copy = project.root.with_name("copy")
        with timed_kernel(project.root) as kernel:
            kernel.run("%astro_use .")
            empty = kernel.run("pass")
            for name, (file, cell, shell) in _edits(project).items():
                before = (project.root / file).read_bytes() if (project.root / file).exists() else None
                (project.root / file).write_text(_contents(project)[file])
                shutil.copytree(project.root, copy)
                row, firsts[name] = _row(kernel, name, cell, shell)
                rows.append(row)
                # Only one file at a time is long.
                shutil.rmtree(copy)
                if before is None:
                    (project.root / file).unlink()
                else:
                    (project.root / file).write_bytes(before)
    show(rows)
    print(f"\nfirst edit of a session: {', '.join(f'{name} {first:.0f} ms' for name, first in firsts.items())}")
    print(f"otherwise: sed from a cell · an empty cell takes {empty:.1f} ms")


if __name__ == "__main__":
    main()
