"""Every magic over a project full of secrets, with a real Airflow: none of them comes out."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

import astro_magic
from astro_magic.environment import open_environment
from astro_magic.magics.session import AstroMagics
from astro_magic.project.project import Project
from astro_magic.system.browser import ELSEWHERE
from astro_magic.views.progress import Progress
from tests.browsers import choose_browser
from tests.engine.conftest import copy_of
from tests.engine.living import processes_of
from tests.planted.cells import CELLS, IN_A_NOTEBOOK, KERNEL_VARIABLE
from tests.planted.project import plant
from tests.planted.secrets import SECRETS, found_in
from tests.surfaces.headless import run_with_nbclient
from tests.surfaces.isolation import isolated_environment
from tests.surfaces.notebooks import code_cell, write_notebook

pytestmark = pytest.mark.airflow

#: What may hold secrets below `.astro/magic`, each its owner's alone: Airflow's own keys and password; both sides of
#: each change of a file, to undo it; what is to be installed, with the logins of its indexes; and what a user's own
#: code prints, as it prints it. It is shown with all secrets hidden.
HOLDING = re.compile(
    r"(?:secrets|passwords)\.json|history/\w+\.entry|locks/\w+\.txt|environments/[\w-]+/astro-magic(?:\.lock|-generation\.json)"
    r"|logs/(?:calls|dag-processor|scheduler)\.log"
)

#: A browser that shows nothing, for a kernel whose user sits here.
WITH_A_BROWSER = {**dict.fromkeys(ELSEWHERE, ""), "BROWSER": "true %s"}


class PlantedShell(InteractiveShell):
    """A shell that the other tests do not share."""


@dataclass
class Planted:
    """A project full of secrets, a shell in it, and what came out of its cells."""

    project: Project
    shell: InteractiveShell
    keyring: str
    events: list[object] = field(default_factory=list)

    def run(self, source: str) -> str:
        """Run a cell; give all that it shows, keeps and raises, in both forms of errors."""
        with capture_output() as captured:
            result = self.shell.run_cell(source, store_history=True)
        parts = [captured.stdout, captured.stderr, *(json.dumps(each.data) for each in captured.outputs)]
        parts += [text for each in captured.outputs for text in each.data.values()]
        parts += list(_described(result.result))
        # What IPython keeps beside the cell as it was written.
        parts += [entry for entry in self.shell.history_manager.input_hist_raw[-1:] if entry != source.strip()]
        error = result.error_in_exec or result.error_before_exec
        if error is not None:
            parts += [str(error), repr(error), repr(vars(error))]
            parts += list(_rendered(error))
        parts += [repr(self.events)]
        self.events.clear()
        return "\n".join(parts)


def _described(result: object) -> Iterator[str]:
    """Give what a result shows in any way: itself, its DataFrame, and what its parts are to a debugger."""
    yield repr(result)
    if hasattr(result, "_repr_mimebundle_"):
        yield from result._repr_mimebundle_().values()
        yield repr(vars(result))
    frame = getattr(result, "df", None)
    if frame is not None:
        yield frame.to_csv()
        yield repr(frame.to_dict())


def _texts(tree: object) -> Iterator[str]:
    """Give the texts in decoded JSON as they are, and lines that belong together as one."""
    if isinstance(tree, dict):
        for value in tree.values():
            yield from _texts(value)
    elif isinstance(tree, list):
        yield "".join(value for value in tree if isinstance(value, str))
        for value in tree:
            yield from _texts(value)
    elif isinstance(tree, str):
        yield tree


def _rendered(error: BaseException) -> Iterator[str]:
    for verbose in (False, True):
        if isinstance(error, astro_magic.errors.AstroMagicError):
            error.verbose = verbose
            yield "\n".join(error._render_traceback_())


@pytest.fixture(scope="module")
def planted(prepared: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("planted")
    project = copy_of(prepared, folder / "shop")
    plant(project)
    with pytest.MonkeyPatch.context() as patch:
        shell = _shell(folder, patch)
        made = Planted(project, shell, str(folder / "keyring.cfg"))
        patch.chdir(project.root)
        _commit(project)
        take = Progress.__call__

        def noting(progress, event):
            made.events.append(event)
            take(progress, event)

        patch.setattr(Progress, "__call__", noting)
        made.run("%config AstroMagic.engine = 'local'")
        made.run("%config AstroMagic.verbose_errors = True")
        yield made
        open_environment(project, engine="local").stop()
        astro_magic.unload_ipython_extension(shell)
        PlantedShell.clear_instance()
    assert processes_of(project) == []


def _shell(folder: Path, patch: pytest.MonkeyPatch) -> InteractiveShell:
    import keyring
    from keyrings.alt.file import PlaintextKeyring

    backend = PlaintextKeyring()
    backend.file_path = str(folder / "keyring.cfg")
    patch.setattr(keyring.core, "_keyring_backend", backend)
    keyring.set_password("astro-magic", "kept-entry", SECRETS["keyring"])
    patch.setenv("IPYTHONDIR", str(folder / "ipython"))
    patch.setenv("UV_HTTP_RETRIES", "0")
    choose_browser(patch, WITH_A_BROWSER["BROWSER"])
    patch.setenv(KERNEL_VARIABLE, SECRETS["kernel: variable"])
    patch.setattr("getpass.getpass", lambda prompt: SECRETS["typed"])
    patch.setattr("astro_magic.sources.runtimes.refresh", lambda: False)
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    InteractiveShell.clear_instance()
    shell = PlantedShell.instance(config=config)
    astro_magic.load_ipython_extension(shell)
    return shell


def _commit(project: Project) -> None:
    for words in (["init", "-q"], ["add", "Dockerfile", "dags"], ["commit", "-qm", "x", "--no-gpg-sign"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *who, *words], cwd=project.root, check=True)


def test_a_saved_notebook_holds_no_secret(planted, tmp_path) -> None:
    cells = [cell for name in IN_A_NOTEBOOK for cell in CELLS[name]]
    # The state of the panel's widgets, its log among them, is saved as well.
    cells += ["%connections", "%connections test crm", "%astro_panel", "%astro_logs -n 5000"]
    settings = ["%load_ext astro_magic", "%config AstroMagic.engine = 'local'", f"%astro_use {planted.project.root}"]
    environment = isolated_environment(tmp_path) | {
        **WITH_A_BROWSER,
        "PYTHON_KEYRING_BACKEND": "keyrings.alt.file.PlaintextKeyring",
        "KEYRING_PROPERTY_FILE_PATH": planted.keyring,
    }
    started = [code_cell(cell, tags=["raises-exception"]) for cell in cells]
    notebook = write_notebook(tmp_path / "planted.ipynb", *settings, *started)
    run = run_with_nbclient(notebook, environment=environment, timeout=120)
    assert run.exit_code == 0, run.output
    assert "Airflow is up" in str(run.notebook)
    assert "widgets" in run.notebook.metadata

    saved = json.loads(run.path.read_text())
    for cell in saved["cells"]:
        # What a person wrote into a cell stays there.
        del cell["source"]
    shown = json.dumps(saved) + json.dumps(saved, ensure_ascii=False) + "\n".join(_texts(saved))
    generated = _generated(planted.project)
    assert found_in(shown, {**SECRETS, **generated}) == []
    assert found_in(run.output, {**SECRETS, **generated}) == []
    # The page that the browser was given has let nobody in, and is in no output.
    ticket = re.findall(r'value="(.+?)"', (planted.project.state_dir / "run" / "open.html").read_text())
    assert len(ticket) == 1
    assert ticket[0] not in shown + run.output


def test_every_magic_is_tried(planted) -> None:
    registered = {
        magic.__name__
        for magics in planted.shell.magics_manager.magics.values()
        for magic in magics.values()
        if isinstance(getattr(magic, "__self__", None), AstroMagics)
    }
    assert registered == set(CELLS)


@pytest.mark.parametrize("magic", CELLS)
def test_no_secret_comes_out(planted, magic) -> None:
    generated = _generated(planted.project)
    leaks = {}
    for cell in CELLS[magic]:
        out = planted.run(cell)
        # The last cell takes away what was generated, the first one that starts makes it.
        generated |= _generated(planted.project)
        if found := found_in(out, {**SECRETS, **generated}):
            leaks[cell] = found
    assert leaks == {}
    assert _leaking_files(planted.project) == {}


def _generated(project: Project) -> dict[str, str]:
    try:
        return dict(json.loads((project.state_dir / "secrets.json").read_text()))
    except FileNotFoundError:
        return {}


def _leaking_files(project: Project) -> dict[str, object]:
    """Give the files of ours that hold secrets, or let others read them."""
    leaking: dict[str, object] = {}
    for file in project.state_dir.rglob("*"):
        name = file.relative_to(project.state_dir).as_posix()
        if not file.is_file() or "/lib/" in f"/{name}":
            continue
        if HOLDING.fullmatch(name):
            if file.stat().st_mode & 0o077:
                leaking[name] = oct(file.stat().st_mode)
        elif found := found_in(file.read_text(errors="replace")):
            leaking[name] = found
    return leaking
