"""What a build is given, checked before it begins."""

from itertools import pairwise

import pytest

from astro_magic.engines.docker.image.inputs import prepare_inputs
from astro_magic.engines.options import BuildOptions
from astro_magic.errors import InvalidContentError
from astro_magic.project.dockerfile.dockerfile import instructions
from astro_magic.project.dockerfile.stages import needed_stages
from astro_magic.project.project import Project

PLAIN = "FROM debian\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("ASTRO_HOME", str(home))
    monkeypatch.delenv("BUILD_SECRET_INPUT", raising=False)
    return Project.create(tmp_path / "shop").project


def prepare(project, dockerfile=PLAIN, **options):
    return prepare_inputs(project, BuildOptions(**options), instructions(dockerfile))


def secrets(project, **options):
    arguments = prepare(project, **options).arguments
    return [value for name, value in pairwise(arguments) if name == "--secret"]


def refused(project, dockerfile=PLAIN, **options):
    with pytest.raises(InvalidContentError) as caught:
        prepare(project, dockerfile, **options)
    return caught.value


def configure(folder, text):
    (folder / ".astro").mkdir(exist_ok=True)
    with (folder / ".astro" / "config.yaml").open("a", encoding="utf-8") as file:
        file.write(text)


def test_nothing(project):
    inputs = prepare(project)
    assert inputs.arguments == ()
    assert inputs.environment == {}


def test_switches(project):
    inputs = prepare(project, platform="linux/amd64", no_cache=True, pull=True)
    assert inputs.arguments == ("--platform", "linux/amd64", "--no-cache", "--pull")


def test_secrets_of_files_and_variables(project, monkeypatch, tmp_path):
    monkeypatch.setenv("TOKEN", "hunter22")
    monkeypatch.setenv("HOME", str(tmp_path))
    (project.root / "pip.conf").write_text("[global]\nindex-url = x\n")
    (tmp_path / "key").write_text("geheim99\n")
    options = {"secrets": ("id=a,env=TOKEN", "id=b,src=pip.conf", "type=file,id=c,source=~/key", "id=TOKEN")}
    inputs = prepare(project, **options)
    expected = ["id=a,env=TOKEN", f"id=b,src={project.root}/pip.conf", f"id=c,src={tmp_path}/key", "id=TOKEN,env=TOKEN"]
    assert secrets(project, **options) == expected
    assert inputs.hidden == ("hunter22", "geheim99", "hunter22")
    assert "hunter22" not in repr(inputs)


def test_a_comma_in_a_path_is_quoted_again(project):
    (project.root / "a,b").write_text("x")
    assert secrets(project, secrets=('id=a,"src=a,b"',)) == [f'id=a,"src={project.root}/a,b"']


def test_the_first_place_that_names_secrets_counts(project, monkeypatch, tmp_path):
    monkeypatch.setenv("T", "1")
    monkeypatch.setenv("BUILD_SECRET_INPUT", "id=environment,env=T\n\n id=second,env=T \n")
    assert secrets(project) == ["id=environment,env=T", "id=second,env=T"]
    configure(tmp_path / "home", "dev:\n    build_secrets: id=home,env=T\n")
    assert secrets(project) == ["id=home,env=T"]
    configure(project.root, "dev:\n    build_secrets: |-\n        id=project,env=T\n        id=other,env=T\n")
    assert secrets(project) == ["id=project,env=T", "id=other,env=T"]
    assert secrets(project, secrets=("id=flag,env=T",)) == ["id=flag,env=T"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("id=a,env=NOT_SET_ANYWHERE", "environment variable NOT_SET_ANYWHERE, which is not set"),
        ("id=a,src=nowhere.txt", "nowhere.txt, which is no file"),
        ("id=a", "/a, which is no file"),
        ("src=x", "has no id"),
        ("hunter22", "cannot be read"),
        ("id=a,value=hunter22", "cannot be read"),
        ("", "has no id"),
    ],
)
def test_secrets_that_cannot_be_used(project, spec, message):
    error = refused(project, secrets=(spec,))
    assert message in error.message
    assert "hunter22" not in str(error)


def test_build_arguments_stay_out_of_the_command_line(project, monkeypatch):
    monkeypatch.setenv("FROM_HERE", "1")
    inputs = prepare(project, args=("INDEX_TOKEN=hunter22", "EMPTY=", "A=b=c", "FROM_HERE"))
    names = ("INDEX_TOKEN", "EMPTY", "A", "FROM_HERE")
    assert inputs.arguments == tuple(part for name in names for part in ("--build-arg", name))
    assert inputs.environment == {"INDEX_TOKEN": "hunter22", "EMPTY": "", "A": "b=c"}
    assert inputs.hidden == ("hunter22",)
    assert "hunter22" not in repr(inputs)


def test_build_arguments_do_not_change_what_the_command_lives_by(project):
    inputs = prepare(project, args=("PATH=/x", "DOCKER_HOST=tcp://y"))
    assert inputs.environment == {}
    assert inputs.arguments == ("--build-arg", "PATH=/x", "--build-arg", "DOCKER_HOST=tcp://y")


def test_a_build_argument_that_would_take_a_secrets_place(project, monkeypatch):
    monkeypatch.setenv("TOKEN", "one")
    error = refused(project, secrets=("id=a,env=TOKEN",), args=("TOKEN=hunter22",))
    assert "build argument TOKEN" in error.message
    assert "hunter22" not in str(error)


@pytest.mark.parametrize("text", ["", "=x", "a b=c", "1A=2"])
def test_no_build_argument(project, text):
    assert "no name" in refused(project, args=(text,)).message


def test_ssh(project, monkeypatch, tmp_path):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert "SSH_AUTH_SOCK is empty" in refused(project, ssh=("default",)).message
    assert "which is not there" in refused(project, ssh=("github=nowhere",)).message
    key = tmp_path / "key"
    key.touch()
    monkeypatch.setenv("SSH_AUTH_SOCK", str(key))
    inputs = prepare(project, ssh=("default", "github=$SSH_AUTH_SOCK"))
    assert inputs.arguments == ("--ssh", "default", "--ssh", f"github={key}")


@pytest.mark.parametrize(
    ("mount", "message", "hint"),
    [
        ("type=secret,id=pip", "line 2 mounts the build secret pip, which is not given", "--build-secret id=pip,src="),
        ("id=pip,type=secret,target=/x,required=true", "build secret pip", "required=false"),
        ("type=secret,target=/etc/pip.conf", "build secret pip.conf", "id=pip.conf"),
        ("type=ssh", "SSH key or agent default", "--ssh default"),
        ("type=ssh,id=github", "SSH key or agent github", "--ssh github=KEY-FILE"),
    ],
)
def test_a_mount_of_what_is_not_given(project, mount, message, hint):
    error = refused(project, f"FROM debian\nRUN --network=none --mount={mount} \\\n    pip install x\n")
    assert message in error.message
    assert hint in error.hint


def test_mounts_that_need_nothing(project, monkeypatch):
    monkeypatch.setenv("T", "1")
    dockerfile = """\
FROM debian AS unused
RUN --mount=type=secret,id=never cat x
FROM debian
RUN --mount=type=secret,id=pip,required=false --mount=type=cache,target=/c --mount=type=secret,id=given pip install x
RUN echo --mount=type=secret,id=word
RUN --mount=type=secret,id=$NAME cat x
"""
    assert secrets(project, secrets=("id=given,env=T",)) == ["id=given,env=T"]
    assert prepare(project, dockerfile, secrets=("id=given,env=T",)).arguments


@pytest.mark.parametrize(
    ("dockerfile", "stages"),
    [
        ("", set()),
        ("FROM a\n", {0}),
        ("FROM a AS one\nFROM b\n", {1}),
        ("FROM a AS one\nFROM b AS Two\nFROM c AS x\nFROM one\nCOPY --from=two /x /x\n", {0, 1, 3}),
        ("FROM a\nFROM b\nCOPY --from=0 /x /x\n", {0, 1}),
        ("FROM a AS one\nFROM b\nRUN --mount=type=bind,from=one,target=/x ls\n", {0, 1}),
        ("FROM a AS one\nFROM b\nCOPY --from=nginx:1 /x /x\n", {1}),
    ],
)
def test_needed_stages(dockerfile, stages):
    assert needed_stages(instructions(dockerfile)) == stages
