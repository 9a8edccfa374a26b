"""Builds that fail on a real engine: which line of which file is to blame, and what to do about it."""

import pytest

from astro_magic.errors import BuildFailedError, InvalidContentError
from tests.docker.workshop import RUNTIME, SMALL

pytestmark = pytest.mark.docker


@pytest.mark.parametrize(
    ("requirements", "message", "hint"),
    [
        (
            "# ours\ntinycss2==9.9.0\n",
            "Build failed at requirements.txt line 2: there is no tinycss2==9.9.0 for the image's Python.",
            "The newest ones are ",
        ),
        (
            "\n\nno-such-package-of-anyone\n",
            "requirements.txt line 3: there is no package no-such-package-of-anyone on the package index",
            "Check its spelling",
        ),
        (
            "tinycss2==1.3.0\nwebencodings<0.4\n",
            "lines 1 and 2: these packages cannot be installed together: webencodings<0.4 but tinycss2 1.",
            "Loosen or remove one of them.",
        ),
        (
            "# ours\npyodbc==4.0.30\n",
            "line 2: pyodbc 4.0.30 has no wheel for this platform, and its source needs x86_64-linux-gnu-g++",
            "%packages add build-essential",
        ),
        (
            "apache-airflow==3.3.2\n",
            "requirements.txt line 1: Airflow's version comes from the base image, and cannot be set here.",
            "%requirements remove apache-airflow",
        ),
        (
            "# ours\nfoo bar\n",
            "Build failed at requirements.txt line 2: 'foo bar' is no requirement that pip can read.",
            "NAME==VERSION",
        ),
    ],
    ids=["version", "name", "conflict", "source", "airflow", "syntax"],
)
def test_a_requirement_that_cannot_be_installed(workshop, requirements, message, hint):
    error = workshop.write(Dockerfile=RUNTIME, requirements=requirements).failure()
    assert message in error.message
    assert hint in error.hint
    assert workshop.steps()["build"].state == "failed"
    assert any(step.state == "failed" for step in workshop.steps().values() if step.key != "build")


def test_a_package_of_the_operating_system_that_is_not_there(workshop):
    error = workshop.write(Dockerfile=RUNTIME, packages="# ours\nno-such-debian-package\n").failure()
    assert error.message == (
        "Build failed at packages.txt line 2: the operating system of the image has no package no-such-debian-package."
    )
    assert error.hint == "Check its spelling, or remove it: %packages remove no-such-debian-package."
    assert "E: Unable to locate package no-such-debian-package" in error.detail


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        (f"{SMALL}\nRUNN x\n", "Dockerfile line 3: the line cannot be read: unknown instruction: RUNN"),
        (f"# ours\n{SMALL}COPY nix.txt /\n", "Dockerfile line 3: nix.txt is not in the project."),
        (f"{SMALL}COPY dags/hidden /\n", "Dockerfile line 2: dags/hidden is left out of the build by .dockerignore."),
        (f"{SMALL}ENV A=1\nRUN echo a && \\\n  exit 3\n", "Dockerfile line 3: the command ended with code 3."),
        (
            f"{SMALL}RUN true\nRUN no-such-command\n",
            "Dockerfile line 3: the command no-such-command is not in the image.",
        ),
        (f"{SMALL}RUN sh -c 'kill -9 $$'; exit $?\n", "Dockerfile line 2: the command was killed (code 137)."),
        (
            f"{SMALL}RUN dd if=/dev/zero of=/dev/full\n",
            "Dockerfile line 2: there is no room left on the engine's disk.",
        ),
        (
            "FROM registry.invalid/shop/base:1\n",
            "line 1: the image registry.invalid/shop/base:1 is not on this engine, and its registry cannot",
        ),
        (
            f"# syntax=registry.invalid/docker/dockerfile:1\n{SMALL}",
            "Dockerfile line 1: its # syntax= line needs the image registry.invalid/docker/dockerfile:1, but",
        ),
        (
            f"{SMALL}RUN --mount=type=secret,id=$NOT,required=true true\n",
            "it needs the build secret $NOT, which is not given.",
        ),
    ],
    ids=["syntax", "copy", "ignored", "run", "command", "killed", "disk", "base", "frontend", "secret"],
)
def test_each_kind_of_step(workshop, dockerfile, message):
    (workshop.root / "dags" / "hidden").touch()
    workshop.write(Dockerfile=dockerfile, **{".dockerignore": "dags/hidden\n"})
    assert message in workshop.failure().message


def test_no_way_out_of_the_build(workshop):
    dockerfile = f"{SMALL}RUN apt-get -o Acquire::http::Proxy=http://127.0.0.1:9 update --error-on=any\n"
    error = workshop.write(Dockerfile=dockerfile).failure()
    assert "Dockerfile line 2: the operating system's packages could not be fetched." in error.message


def test_no_dockerfile(workshop):
    (workshop.root / "Dockerfile").unlink()
    with pytest.raises(InvalidContentError, match="no Dockerfile"):
        workshop.build()


def test_the_old_image_keeps_its_name_when_a_build_fails(workshop):
    image = workshop.write(Dockerfile=f"{SMALL}RUN touch /one\n").build()
    with pytest.raises(BuildFailedError):
        workshop.write(Dockerfile=f"{SMALL}RUN exit 3\n").build()
    assert workshop.connection.api.inspect_image(workshop.tag)["Id"] == image
