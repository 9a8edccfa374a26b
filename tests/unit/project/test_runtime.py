from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.project import Runtime
from astro_magic.project.dockerfile.dockerfile import instructions

RUNTIME = "astrocrpublic.azurecr.io/runtime"


@pytest.mark.parametrize(
    ("image", "airflow", "python", "exact"),
    [
        (f"{RUNTIME}:3.3-8", "3.3.2", "3.14", True),
        (f"{RUNTIME}:3.3-99", "3.3", "3.14", False),
        (f"{RUNTIME}:3.1-12-python-3.11", "3.1.7", "3.11", True),
        (f"{RUNTIME}:3.0-99-base", "3.0", "3.12", False),
        (f"{RUNTIME}:3.0-4-python-3.11-base@sha256:{'0' * 64}", "3.0", "3.11", False),
        (f"{RUNTIME}:3.0-4-base-python-3.11", "3.0", "3.11", False),
        # Floating tags, which the Astro CLI takes for Airflow 2.
        (f"{RUNTIME}:3.1", "3.1", "3.12", False),
        (f"{RUNTIME}:3.1-python-3.11", "3.1", "3.11", False),
        (f"{RUNTIME}:3.2-base", "3.2", "3.13", False),
        (f"{RUNTIME}:3", "3", "3.14", False),
        # A line that is not known has the Python of the newest one that is.
        ("localhost:5000/mirror/runtime:3.9-1", "3.9", "3.14", False),
        ("localhost:5000/mirror/own-name:3.1-12", "3.1.7", "3.12", True),
        ("apache/airflow:3.1.8", "3.1.8", "3.12", True),
        ("docker.io/apache/airflow:slim-3.1.8-python3.11", "3.1.8", "3.11", True),
        ("apache/airflow:3.2.0rc1", "3.2.0rc1", "3.12", True),
        ("apache/airflow:2.10.5-python3.9", "2.10.5", "3.9", True),
        ("quay.io/astronomer/astro-runtime:4.2.0", "2.2.4", "3.9", True),
        ("quay.io/astronomer/astro-runtime:11.3.0", "2.9.1", "3.11", True),
        ("astrocrpublic.azurecr.io/astronomer/astro-runtime:13.4.0", "2.11.0", "3.12", True),
        ("quay.io/astronomer/astro-runtime:12.1.0-python-3.10-base", "2.10", "3.10", False),
        ("quay.io/astronomer/astro-runtime:13.0.0", "2.11", "3.12", False),
    ],
)
def test_images(image, airflow, python, exact):
    runtime = Runtime.from_image(image)
    assert (runtime.airflow, runtime.python, runtime.exact) == (airflow, python, exact)
    assert runtime.airflow_major == int(airflow[0])


@pytest.mark.parametrize(
    "image",
    [
        "python:3.12-slim",
        "debian:12.1.0",
        "apache/airflow:latest",
        "apache/airflow",
        f"{RUNTIME}:12.1.0",
        f"{RUNTIME}:3.1-",
        "python:3.12",
        "quay.io/astronomer/astro-runtime:3.1",
        "quay.io/astronomer/astro-runtime:12",
        "a b",
        f"{RUNTIME}@sha256:{'0' * 64}",
        "quay.io/astronomer/astro-runtime:1.2.0",
    ],
)
def test_images_that_do_not_tell_are_named_with_their_line(image):
    with pytest.raises(InvalidContentError, match="Dockerfile line 2: ") as caught:
        Runtime.from_dockerfile(f"# base\nFROM {image}\n")
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "FROM {0}:3.1-2\n",
        "\ufefffrom {0}:3.1-2",
        "# syntax=docker/dockerfile:1\nFROM --platform=linux/amd64 {0}:3.1-2 AS base\nRUN x\n",
        "ARG TAG=3.1-2\nFROM {0}:${{TAG}}\n",
        'ARG IMAGE="{0}" TAG=3.1-2\nARG FULL=$IMAGE:$TAG\nFROM $FULL\n',
        "ARG TAG\nFROM {0}:${{TAG:-3.1-2}}\n",
        "FROM node:22 AS ui\nRUN build\nFROM {0}:3.1-2\nCOPY --from=ui /a /b\n",
        "FROM {0}:3.1-2 AS base\nFROM node:22 AS ui\nFROM base\n",
        "FROM \\\n  # which one\n\n  {0}:3.1-2\n",
        "# escape=`\nFROM `\n{0}:3.1-2\n",
        "FROM {0}:3.1-2\nRUN <<EOF\nFROM python:3.12\nEOF\nCOPY <<-'A' <<B /x\nFROM a\n\tA\nFROM b\nB\n",
        "FROM {0}:3.1-2\r\nRUN a && \\\r\n    FROM\r\n",
    ],
)
def test_the_base_of_the_last_stage_counts(text):
    runtime = Runtime.from_dockerfile(text.format(RUNTIME))
    assert (runtime.image, runtime.tag) == (f"{RUNTIME}:3.1-2", "3.1-2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no FROM"),
        ("RUN x\n", "no FROM"),
        ("FROM", "line 1"),
        ("ARG T\n\nFROM $T\n", "line 3"),
        ("FROM a b", "a b"),
    ],
)
def test_what_is_no_base_is_said(text, words):
    with pytest.raises(InvalidContentError, match=words):
        Runtime.from_dockerfile(text)


def test_instructions_know_their_lines():
    text = "FROM a\n\n# note\nRUN one \\\n    two\nENV A=1\n"
    assert [(found.line, found.keyword, found.arguments) for found in instructions(text)] == [
        (1, "FROM", "a"),
        (4, "RUN", "one     two"),
        (6, "ENV", "A=1"),
    ]


def test_a_project_without_dockerfile(project):
    assert project.runtime.tag == "3.3-8"
    (project.root / "Dockerfile").unlink()
    with pytest.raises(InvalidContentError, match="no Dockerfile"):
        _ = project.runtime


def test_the_images_before_the_runtime_name_airflow_itself():
    found = Runtime.from_image("quay.io/astronomer/ap-airflow:2.2.5-onbuild")
    assert (found.airflow, found.exact) == ("2.2.5", True)
    with pytest.raises(InvalidContentError):
        Runtime.from_image("quay.io/astronomer/ap-airflow:latest")


@pytest.mark.parametrize(
    ("image", "onbuild", "python"),
    [
        ("astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12", True, "3.12"),
        ("quay.io/astronomer/astro-runtime:12.1.0-base", False, "3.12"),
        # Their tags leave open which Python it is.
        ("apache/airflow:2.8.1", False, ""),
        ("apache/airflow:3.1.8-python3.11", False, "3.11"),
    ],
)
def test_what_an_image_does_and_has_for_certain(image, onbuild, python):
    runtime = Runtime.from_image(image)
    assert (runtime.onbuild, runtime.known_python) == (onbuild, python)
