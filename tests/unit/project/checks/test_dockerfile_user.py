from __future__ import annotations

import pytest

APACHE = "FROM apache/airflow:3.1.8"
RUNTIME = "FROM astrocrpublic.azurecr.io/runtime:3.3-8"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{APACHE}\nUSER root\nRUN x\n", [2]),
        (f"{APACHE}\nuser 'root'\r\nRUN x\r\n", [2]),
        (f"{APACHE}\nUSER root\n# USER airflow\n", [2]),
        (f"{APACHE}\nUSER root\nRUN <<E\nUSER airflow\nE\n", [2]),
        (f"{APACHE} AS a\nUSER 0:0\nFROM a AS b\nRUN x\nFROM B\n", [2]),
        (f"ARG STAGE=a\n{APACHE} AS a\nUSER root\nFROM ${{STAGE}}\n", [3]),
        (f"{APACHE} AS a\nUSER root\nFROM a\nUSER airflow\n", []),
        (f"{APACHE} AS a\nUSER root\n{APACHE}\nCOPY --from=a /a /a\n", []),
        (f"{APACHE}\nONBUILD USER root\n", []),
        (f"{APACHE}\nUSER root\nRUN x\nUSER ${{AIRFLOW_UID}}\n", []),
    ],
)
def test_user_root(found, text, lines):
    places, findings = found(text, "user-root")
    assert places == [("warning", line) for line in lines]
    assert all("USER airflow" in finding.hint for finding in findings)


def test_a_user_that_is_inherited_is_told_as_that(found):
    _, (finding,) = found(f"{APACHE} AS a\nUSER root\nFROM a\n", "user-root")
    assert finding.message.startswith("The last stage builds on one that ends as user root")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{APACHE}\nUSER root\nRUN pip install a\nUSER airflow\n", [3]),
        (f"{APACHE}\nUSER root\r\nrun apt-get update && \\\r\n  pip install a\r\nUSER airflow\r\n", [3]),
        (f'{APACHE}\nUSER 0\nRUN ["pip", "install", "a"]\nUSER airflow\n', [3]),
        (f"{APACHE}\nUSER root\nRUN <<E\napt-get update\npip install a\nE\nUSER airflow\n", [3]),
        (f"{APACHE}\nUSER root\nRUN uv pip install a\nRUN python -m pip install b\nUSER airflow\n", [3, 4]),
        ("ARG T=3.1.8\nFROM apache/airflow:$T AS a\nUSER root\nFROM a\nRUN pip install b\nUSER airflow\n", [5]),
        ("FROM images.example.com/apache/airflow:latest\nUSER root\nRUN pip install a\n", [3]),
        # Not as root.
        (f"{APACHE}\nRUN pip install a\n", []),
        (f"{APACHE}\nUSER root\nRUN x\nUSER airflow\nRUN pip install a\n", []),
        (f"{APACHE} AS a\nUSER root\nFROM a\nUSER airflow\nRUN pip install a\n", []),
        (f"{APACHE} AS a\nUSER root\n{APACHE}\nRUN pip install a\n", []),
        # No install, or not into the packages of the image.
        (f"{APACHE}\nUSER root\n# RUN pip install a\nRUN echo pip install a && pip --version\n", []),
        (f"{APACHE}\nUSER root\nRUN cat <<E > x\npip install a\nE\n", []),
        (f"{APACHE}\nUSER root\nRUN su airflow -c 'pip install a'\n", []),
        (f"{APACHE}\nUSER root\nRUN python -m venv /v && /v/bin/pip install a\n", []),
        (f"{APACHE}\nUSER root\nRUN . /v/bin/activate && pip install a\n", []),
        (f"{APACHE}\nUSER root\nRUN uv pip install --python=/v/bin/python a\n", []),
        (f"{APACHE}\nUSER root\nONBUILD RUN pip install a\n", []),
        # What the documentation does, and other images.
        (f"{RUNTIME}\nUSER root\nRUN pip install a\nUSER astro\n", []),
        (f"FROM python:3.12 AS a\nUSER root\nRUN pip install a\n{APACHE}\nCOPY --from=a /a /a\n", []),
    ],
)
def test_pip_as_root(found, text, lines):
    places, findings = found(text, "pip-as-root")
    assert places == [("warning", line) for line in lines]
    assert all(finding.hint == "Write USER airflow before it." for finding in findings)


def test_what_refuses_root_is_pip_alone(found):
    text = f"{APACHE}\nUSER root\nRUN pip install a\nRUN uv pip install a\n"
    pip, uv = [finding.message for finding in found(text, "pip-as-root")[1]]
    assert pip.startswith("pip runs as root here (USER in line 2), which that of apache/airflow images refuses")
    assert uv.startswith("uv pip installs as root here (USER in line 2), and the packages of apache/airflow images")
