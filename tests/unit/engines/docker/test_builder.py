"""Which command builds. What the commands say is what the real ones of those versions say."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from astro_magic.engines.docker.image.builder import find_builder
from astro_magic.errors import EngineUnavailableError

OLD = 'case "$1" in --version) echo "Docker version 20.10.24+dfsg1, build 297e128";; *) exit 1;; esac'
NEW = 'case "$1" in --version) echo "Docker version 28.2.2, build e6534b4";; *) exit 1;; esac'
WITH_PLUGIN = (
    'case "$1" in --version) echo "Docker version 28.2.2, build e6534b4";; '
    'buildx) echo "github.com/docker/buildx v0.30.1 9e66234";; *) exit 1;; esac'
)
PODMAN = 'case "$1" in --version) echo "podman version 4.3.1";; buildx) echo "buildah 1.28.2";; esac'
BROKEN = "exit 3"


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Give a function that puts commands on PATH, each in a folder of its own, and nothing else."""

    def put(*scripts):
        folders = []
        for number, (name, script) in enumerate(scripts):
            folder = tmp_path / f"bin {number}"
            folder.mkdir()
            command = folder / name
            command.write_text(f"#!/bin/sh\n{script}\n")
            command.chmod(0o755)
            folders.append(str(folder))
        monkeypatch.setenv("PATH", ":".join([*folders, str(tmp_path / "not there")]))
        return folders

    monkeypatch.delenv("BUILDX_BUILDER", raising=False)
    return put


def engine(title="Docker"):
    return SimpleNamespace(host="unix:///x.sock", title=title, environment=lambda: {"DOCKER_HOST": "unix:///x.sock"})


def test_the_plugin(commands):
    (folder,) = commands(("docker", WITH_PLUGIN))
    builder = find_builder(engine())
    assert builder.kind == "buildx"
    assert builder.argv == (f"{folder}/docker", "buildx", "build", "--builder", "default", "--load")
    assert builder.environment["DOCKER_HOST"] == "unix:///x.sock"
    assert builder.environment["BUILDKIT_PROGRESS"] == "plain"


def test_a_builder_that_the_user_names_is_taken(commands, monkeypatch):
    commands(("docker", WITH_PLUGIN))
    monkeypatch.setenv("BUILDX_BUILDER", "mine")
    assert "--builder" not in find_builder(engine()).argv


def test_an_old_client_behind_a_new_one_without_the_plugin(commands):
    folders = commands(("docker", BROKEN), ("docker", NEW), ("docker", OLD))
    builder = find_builder(engine())
    assert builder.kind == "buildkit"
    assert builder.argv == (f"{folders[2]}/docker", "build")
    assert builder.environment["DOCKER_BUILDKIT"] == "1"


def test_a_new_client_alone_lacks_the_plugin(commands):
    (folder,) = commands(("docker", NEW))
    with pytest.raises(EngineUnavailableError) as caught:
        find_builder(engine())
    assert (
        caught.value.message == f"BuildKit, which builds the image, is missing: {folder}/docker has no buildx plugin."
    )
    assert "docker-buildx-plugin" in caught.value.hint


def test_no_command(commands):
    commands()
    with pytest.raises(EngineUnavailableError, match="no docker command on PATH"):
        find_builder(engine())


def test_podman_under_dockers_name_is_of_no_use_for_docker(commands):
    commands(("docker", PODMAN))
    with pytest.raises(EngineUnavailableError, match="BuildKit"):
        find_builder(engine())


def test_podman(commands):
    folders = commands(("docker", WITH_PLUGIN), ("podman", PODMAN))
    builder = find_builder(engine("Podman"))
    assert builder.kind == "podman"
    assert builder.argv == (f"{folders[1]}/podman", "build", "--format", "docker")
    assert builder.environment["CONTAINER_HOST"] == "unix:///x.sock"


def test_podman_as_the_engine_without_its_command(commands):
    commands(("docker", WITH_PLUGIN))
    with pytest.raises(EngineUnavailableError, match="no podman command on PATH"):
        find_builder(engine("Podman"))


def test_what_was_found_is_kept_while_path_stays_the_same(commands, monkeypatch):
    (folder,) = commands(("docker", f"echo asked >> {'$0'}.log; {WITH_PLUGIN}"))
    assert find_builder(engine()) is find_builder(engine())
    assert Path(folder, "docker.log").read_text().count("asked") == 2
    monkeypatch.setenv("PATH", f"{folder}/none")
    with pytest.raises(EngineUnavailableError):
        find_builder(engine())
