"""Run a notebook from nothing, keep it with its outputs, and check that nothing of it goes on running.

The notebook runs in ``build/demo``, which is emptied first, on a kernel of the Python that runs this script. What comes
out of it are the executed notebook and an HTML page of it, both in that folder.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import shutil
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "demo"
MARK = "ASTRO_MAGIC_DEMO"
CELL_TIMEOUT = 900
GRACE_SECONDS = 5.0


def title_of(cell: nbformat.NotebookNode, width: int = 72) -> str:
    """Give the first line of a cell that says something."""
    lines = [line.strip() for line in str(cell.source).splitlines()]
    title = next((line for line in lines if line and not line.startswith("#")), "(empty)")
    return title if len(title) <= width else title[: width - 1] + "…"


@dataclass
class Progress:
    """Print which cell runs, and how long each one took."""

    total: int
    number: int = 0
    started: float = 0.0

    def start(self, cell: nbformat.NotebookNode, **_: Any) -> None:
        """Announce a cell."""
        self.number += 1
        self.started = time.monotonic()
        print(f"[{self.number:2d}/{self.total}] {title_of(cell):<74}", end="", flush=True)

    def complete(self, cell: nbformat.NotebookNode, **_: Any) -> None:
        """Say how long the cell took, and what it raised."""
        raised = next((output.ename for output in cell.outputs if output.output_type == "error"), None)
        expected = "raises-exception" in cell.metadata.get("tags", [])
        remark = f"  {raised}{', as it should' if expected else ': FAILED'}" if raised else ""
        print(f"{time.monotonic() - self.started:7.1f} s{remark}", flush=True)


def install_kernel(folder: Path) -> None:
    """Make ``python3`` the name of a kernel of this very Python, whatever else is installed on this machine."""
    specification = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")


def use_local_processes(home: Path) -> None:
    """Make local processes what a project is run with, also where a Docker Engine answers."""
    config = home / ".astro" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("dev:\n    mode: standalone\n", encoding="utf-8")


def execute(notebook: nbformat.NotebookNode, folder: Path, mark: str) -> str | None:
    """Execute a notebook in place.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook; its outputs are replaced.
    folder : Path
        Where it runs.
    mark : str
        Stands in the environment of the kernel and so of every process that it starts.

    Returns
    -------
    str or None
        What went wrong, or None.
    """
    state = folder.parent / "demo-state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    install_kernel(state)
    use_local_processes(state)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ |= {
        "ASTRO_HOME": str(state),
        "IPYTHONDIR": str(state / "ipython"),
        "JUPYTER_CONFIG_DIR": str(state / "config"),
        "JUPYTER_PATH": str(state),
        "JUPYTER_RUNTIME_DIR": str(state / "runtime"),
        # IPython and uv are found beside this Python, also when the environment is not activated.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        MARK: mark,
    }
    progress = Progress(total=sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells))
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=progress.start,
        on_cell_executed=progress.complete,
    )
    log = state / "kernel.log"
    with log.open("wb") as stream:
        try:
            client.execute(stderr=stream)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return f"{type(error).__name__}: {error}\nThe kernel's own log: {log}"
        except KeyboardInterrupt:
            return "interrupted"
    return None


def left_behind(folder: Path, mark: str, since: float) -> list[psutil.Process]:
    """Give the processes that the notebook started and that still run.

    A process can wipe its environment, and with it the mark; it is then known by working in the folder, or on it, and
    by being younger than the demo (a shell or an editor that looks into the folder is none of ours).
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            marked = process.environ().get(MARK) == mark
            younger = process.create_time() >= since
            inside = Path(process.cwd()).is_relative_to(folder)
            named = any(str(folder) in argument for argument in process.cmdline())
        except (psutil.Error, OSError):
            continue
        if marked or (younger and (inside or named)):
            found.append(process)
    return found


def wait_for_none(folder: Path, mark: str, since: float) -> list[str]:
    """Wait until nothing of the notebook runs; end what still does, and give its description."""
    deadline = time.monotonic() + GRACE_SECONDS
    while (processes := left_behind(folder, mark, since)) and time.monotonic() < deadline:
        time.sleep(0.1)
    descriptions = []
    for process in processes:
        try:
            descriptions.append(f"{process.pid}  {' '.join(process.cmdline())[:100] or process.name()}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    return descriptions


def write_page(notebook: nbformat.NotebookNode, page: Path, title: str) -> None:
    """Write the executed notebook as an HTML page."""
    body, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": html.escape(title)}})
    page.write_text(body, encoding="utf-8")


def main() -> int:
    """Run the demo; give the exit code."""
    parser = argparse.ArgumentParser(description="Run a notebook from nothing, and keep it with its outputs.")
    parser.add_argument("notebook", nargs="?", type=Path, default=ROOT / "notebooks" / "01_quickstart.ipynb")
    source = parser.parse_args().notebook
    if not source.is_file():
        print(f"There is no notebook {source}.", file=sys.stderr)
        return 1

    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)

    notebook = nbformat.read(source, as_version=4)
    begin = time.time()
    mark = uuid.uuid4().hex
    print(f"Running {source.name} in {FOLDER}", flush=True)
    failure = execute(notebook, FOLDER, mark)
    seconds = time.time() - begin
    still_running = wait_for_none(FOLDER, mark, begin - 1)

    executed = FOLDER / source.name
    page = executed.with_suffix(".html")
    nbformat.write(notebook, executed)
    write_page(notebook, page, source.stem)

    if failure:
        print(f"\n{failure}", file=sys.stderr)
    if still_running:
        print(
            "\nStill running when the notebook had ended, and ended now:", *still_running, sep="\n  ", file=sys.stderr
        )
    verdict = "failed" if failure or still_running else "done, and nothing of it is left running"
    print(f"\nDemo {verdict} · {seconds:.1f} s")
    print(f"  {executed}\n  {page}")
    return 1 if failure or still_running else 0


if __name__ == "__main__":
    sys.exit(main())
