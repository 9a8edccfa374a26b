"""Builds of images on a real engine: what they do, what they tell, and how they end."""

import shutil
import socket
import stat
import subprocess
import tempfile
import threading
import uuid
from pathlib import Path

import pytest

from astro_magic.engines.docker.client.connection import connect
from astro_magic.engines.docker.image.facts import image_facts
from astro_magic.errors import EngineUnavailableError
from astro_magic.system.events import OutputLine, Step, run
from tests.docker.small import until
from tests.docker.workshop import RUNTIME, SMALL

pytestmark = pytest.mark.docker

AWKWARD = 'it\'s a + & "shop" ü'


class Cable:
    """A socket behind which the engine is, until it is cut."""

    def __init__(self, path):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._path = path
        self._ends = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.cut()

    def cut(self):
        for end in (self._listener, *self._ends):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                end.close()
        Path(self._path).unlink(missing_ok=True)

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect("/var/run/docker.sock")
            self._ends += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def contents(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and ".astro/magic" not in str(path)}


@pytest.mark.parametrize("name", ["shop", AWKWARD])
def test_a_requirement_is_in_the_image_and_nothing_is_done_twice(make_workshop, name):
    # What an earlier run has built would be taken from the cache.
    requirements = f"# {uuid.uuid4().hex}\r\ntinycss2==1.3.0\r\n"
    workshop = make_workshop(name).write(Dockerfile=RUNTIME + "ENV OWN=1\n", requirements=requirements)
    before = contents(workshop.root)
    image = workshop.build(labels={"one": "1"})
    assert image_facts(workshop.connection, image).packages["tinycss2"] == "1.3.0"
    described = workshop.connection.api.inspect_image(workshop.tag)
    assert described["Id"] == image
    assert described["Config"]["Labels"]["one"] == "1"
    assert workshop.events[0] == Step("build", "build", detail="reading the project")
    last = workshop.events[-1]
    assert (last.key, last.state) == ("build", "done")
    assert " steps run, image " in last.detail
    assert any("Successfully installed" in line for line in workshop.output())
    installing = next(step for step in workshop.steps().values() if "install-python-dependencies" in step.detail)
    assert installing.key.startswith("build:#")
    assert installing.state == "done"
    assert installing.seconds > 0

    assert workshop.build(labels={"one": "1"}) == image
    assert workshop.events[-1].detail == "nothing changed"
    assert [step for step in workshop.steps().values() if step.key != "build"] == []
    assert contents(workshop.root) == before
    assert list((workshop.project.state_dir / "build").iterdir()) == []
    assert stat.S_IMODE(workshop.log.stat().st_mode) == 0o600
    assert "[internal] load build context" in workshop.log.read_text()

    workshop.build(labels={"one": "1"}, no_cache=True)
    assert workshop.events[-1].detail != "nothing changed"


def test_windows_line_ends(workshop):
    workshop.write(Dockerfile=f"{SMALL}RUN echo a \\\n && touch /made\n".replace("\n", "\r\n"))
    workshop.write(**{".dockerignore": "dags\r\n!.env\r\n"})
    workshop.build()
    assert workshop.shell("ls /made") == ["/made"]
    workshop.write(Dockerfile=f"{SMALL}RUN true\nRUN exit 3\n".replace("\n", "\r\n"))
    workshop.connection.api.remove_image(workshop.tag)
    assert "Dockerfile line 3: the command ended with code 3." in workshop.failure().message


def running(mark):
    """Tell whether a command with this mark runs inside a build."""
    return subprocess.run(["pgrep", "-f", f"^sleep {mark}$"], capture_output=True, check=False).stdout != b""


def test_closing_the_operation_ends_the_build_on_the_engine(workshop):
    mark = f"{70_000 + uuid.uuid4().int % 10_000}.5"
    workshop.write(Dockerfile=f"{SMALL}RUN echo begun; sleep {mark}\n")
    operation = workshop.start()
    for event in operation:
        if isinstance(event, OutputLine) and event.text == "begun":
            break
    until(lambda: running(mark))
    operation.close()
    until(lambda: not running(mark))
    assert list((workshop.project.state_dir / "build").iterdir()) == []
    assert workshop.connection.api.images(name=workshop.tag) == []


def test_an_engine_that_goes_away_in_the_middle(workshop, monkeypatch):
    folder = tempfile.mkdtemp()
    with Cable(f"{folder}/s") as cable:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/s")
        connection = connect()
        workshop.write(Dockerfile=f"{SMALL}RUN echo begun; sleep 60\n")

        def cut(event):
            if isinstance(event, OutputLine) and event.text == "begun":
                cable.cut()

        with pytest.raises(EngineUnavailableError) as caught:
            run(workshop.start(connection=connection), cut)
        assert "engine" in caught.value.message
        assert caught.value.hint
    shutil.rmtree(folder)


def test_ten_thousand_lines_do_not_flood(workshop):
    workshop.write(Dockerfile=f"{SMALL}RUN seq 10000\n").build(no_cache=True)
    assert len(workshop.events) < 200
    assert workshop.log.read_text().count("\n") > 10_000
