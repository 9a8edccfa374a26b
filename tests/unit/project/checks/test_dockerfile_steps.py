from __future__ import annotations

import pytest

from astro_magic.project.checks.dockerfile import check_dockerfile

BASE = "FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12-base"
DEFAULT = "FROM astrocrpublic.azurecr.io/runtime:3.3-8-python-3.12"
PACKAGES = "/usr/local/lib/python3.9/site-packages"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
TRUSTED = "/usr/local/share/ca-certificates"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{BASE}\nRUN rm -rf {PACKAGES}/\n", [2]),
        (f"{BASE}\r\nrun rm -rf \\\r\n  # why\r\n  {PACKAGES}\r\n", [2]),
        (f'{BASE}\nRUN ["rm", "-rf", "{PACKAGES}"]\n', [2]),
        (f"{BASE}\nRUN <<E\nrm -rf {PACKAGES}\nE\n", [2]),
        (f"{BASE} AS a\nFROM a\nCOPY --from=a {PACKAGES} {PACKAGES}\n", [3]),
        (f"{BASE} AS a\nFROM a\nCOPY --from=0 {PACKAGES} /x\n", [3]),
        (f"{BASE}\nCOPY shop {PACKAGES}/shop\n", [2]),
        (f"{BASE}\nENV PYTHONPATH={PACKAGES}:/shop\n", [2]),
        (f"{BASE}\nRUN ls /home/astro/.local/lib/python3.9/site-packages\n", [2]),
        (f"{BASE}\nRUN ls /usr/local/lib/python3.1\n", [2]),
        ("FROM apache/airflow:3.1.8-python3.12\nRUN ls /usr/local/lib/python3.9\n", [2]),
        # The same, or none of the image's.
        (f"{BASE}\nRUN ls /usr/local/lib/python3.12/site-packages /usr/local/lib/python${{V}}/site-packages\n", []),
        (f"{BASE}\nRUN ls /opt/venv/lib/python3.9/site-packages /usr/lib/python3.9\n", []),
        (f"{BASE}\n# RUN rm -rf {PACKAGES}\n", []),
        (f"{BASE}\nRUN cat <<E > x\nrm -rf {PACKAGES}\nE\n", []),
        (f"{BASE}\nONBUILD RUN rm -rf {PACKAGES}\n", []),
        # It is not known which Python the image has.
        (f"FROM images.example.com/shop:1\nRUN rm -rf {PACKAGES}\n", []),
        (f"FROM apache/airflow:2.8.1\nRUN rm -rf {PACKAGES}\n", []),
        (f"FROM debian AS a\nRUN rm -rf {PACKAGES}\n{BASE}\nCOPY --from=a {PACKAGES} /x\n", []),
        # Another Python was brought along.
        (f"{BASE}\nRUN apt-get install python3.9\nRUN ls {PACKAGES}\n", []),
        (f"{BASE}\nCOPY --from=python:3.9 {PACKAGES} {PACKAGES}\nRUN ls {PACKAGES}\n", []),
        (f"FROM debian AS a\nRUN x\n{BASE}\nCOPY --from=a {PACKAGES} {PACKAGES}\nRUN ls {PACKAGES}\n", []),
        (f"# syntax=quay.io/astronomer/airflow-extensions:v1\n{BASE}\nPYENV 3.9 a\nRUN ls {PACKAGES}\n", []),
    ],
)
def test_another_python(found, text, lines):
    assert found(text, "another-python")[0] == [("error", line) for line in lines]


def test_another_python_names_both_and_their_lines(found):
    _, (finding,) = found(
        f"ARG T=12.1.0\nFROM quay.io/astronomer/astro-runtime:$T\nRUN rm -r {PACKAGES}\n", "another-python"
    )
    assert "names /usr/local/lib/python3.9, and the image of line 2 has Python 3.12" in finding.message
    assert finding.hint == "Write python3.12 in line 3, wherever it says python3.9."


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{DEFAULT}\nARG PIP_EXTRA_INDEX_URL\nENV PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL\n", [2]),
        (f"{DEFAULT}\r\nENV A=1 \\\r\n  PIP_INDEX_URL=https://pypi.example.com/simple\r\n", [2]),
        (f"{DEFAULT} AS a\nFROM a\narg UV_INDEX\nRUN pip install -r requirements.txt\n", [3]),
        (f"{DEFAULT}\nARG PIP_INDEX_URL\nRUN pip install -r a.txt\nRUN pip install -r ./requirements.txt\n", [2]),
        (f"{BASE}\nARG PIP_EXTRA_INDEX_URL\n", []),
        ("FROM apache/airflow:3.1.8\nARG PIP_EXTRA_INDEX_URL\n", []),
        ("FROM images.example.com/shop:1\nARG PIP_EXTRA_INDEX_URL\n", []),
        (f"ARG PIP_EXTRA_INDEX_URL\n{DEFAULT}\n", []),
        (f"{DEFAULT}\n# ARG PIP_EXTRA_INDEX_URL\n", []),
        (f"{DEFAULT}\nRUN <<E\nENV PIP_INDEX_URL=x\nE\n", []),
        # It is for other packages.
        (f"{DEFAULT}\nENV PIP_INDEX_URL=x\nRUN pip install -r private-requirements.txt\n", []),
        (f"{DEFAULT} AS a\n{BASE}\nARG PIP_INDEX_URL\n", []),
    ],
)
def test_default_image_installs_first(found, text, lines):
    places, findings = found(text, "default-image-installs-first")
    assert places == [("warning", line) for line in lines]
    assert all(f"{DEFAULT[5:]}-base, as the documentation" in finding.hint for finding in findings)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{BASE}\nRUN --mount=type=ssh pip install -r private-requirements.txt\n", [2]),
        (f"{BASE}\nrun --mount=type=ssh,id=github \\\r\n  <<E\r\npip install -r a.txt\r\nE\r\n", [2]),
        (f"{BASE}\nRUN pip install git+ssh://git@git.example.com/a.git\n", [2]),
        (f"{BASE}\n# known_hosts\nRUN --mount=type=ssh git clone a\nRUN ssh-keyscan a >> ~/.ssh/known_hosts\n", [3]),
        (f"{BASE} AS a\nRUN ssh-keyscan a >> ~/.ssh/known_hosts\n{BASE}\nRUN --mount=type=ssh git clone a\n", [4]),
        (f"{BASE}\nRUN echo 'a {KEY}' >> ~/.ssh/known_hosts\nRUN --mount=type=ssh git clone a\n", []),
        (f"{BASE} AS a\nRUN ssh-keyscan a >> ~/.ssh/known_hosts\nFROM a\nRUN --mount=type=ssh git clone a\n", []),
        (f"{BASE}\nCOPY <<E /root/.ssh/known_hosts\na {KEY}\nE\nRUN --mount=type=ssh git clone a\n", []),
        (f"{BASE}\nCOPY known_hosts /etc/ssh/ssh_known_hosts\nRUN --mount=type=ssh git clone a\n", []),
        (f"{BASE}\nCOPY ssh/ /root/.ssh/\nRUN --mount=type=ssh git clone a\n", []),
        (f"{BASE}\nRUN --mount=type=ssh --mount=type=bind,target=/root/.ssh/known_hosts,source=k git clone a\n", []),
        (f"{BASE}\nENV GIT_SSH_COMMAND='ssh -o StrictHostKeyChecking=no'\nRUN --mount=type=ssh git clone a\n", []),
        (f"{BASE}\nRUN --mount=type=ssh ssh-keyscan a >> ~/.ssh/known_hosts && git clone a\n", []),
        (
            f"{BASE}\n# RUN --mount=type=ssh git clone a\nRUN echo git+ssh://a\nRUN pip install git+https://a/b\n",
            [],
        ),
        (f"{BASE}\nRUN cat <<E > x\npip install git+ssh://git@git.example.com/a.git\nE\n", []),
    ],
)
def test_no_known_host(found, text, lines):
    assert found(text, "no-known-host")[0] == [("warning", line) for line in lines]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{BASE}\nCOPY a.crt {TRUSTED}/shop/\n", [2]),
        (f"{BASE}\r\nRUN update-ca-certificates\r\nadd a.crt \\\r\n  {TRUSTED}/\r\n", [3]),
        (f"{BASE} AS a\nCOPY a.crt {TRUSTED}/\n{BASE}\nRUN update-ca-certificates\n", [2]),
        (f"{BASE}\nCOPY a.crt {TRUSTED}/\n# RUN update-ca-certificates\nRUN echo update-ca-certificates\n", [2]),
        (f"{BASE}\nCOPY a.crt {TRUSTED}/\nCOPY b.crt {TRUSTED}/\nRUN update-ca-certificates\n", []),
        (f'{BASE}\nCOPY ["a.crt", "{TRUSTED}/"]\nRUN ["/usr/sbin/update-ca-certificates", "-f"]\n', []),
        (f"{BASE}\nCOPY a.crt {TRUSTED}/\nRUN <<E\nset -e\nupdate-ca-certificates\nE\n", []),
        (f"{BASE} AS a\nCOPY a.crt {TRUSTED}/\nFROM a\nRUN update-ca-certificates\n", []),
        (f"{BASE}\nCOPY a.crt {TRUSTED}/\nENV REQUESTS_CA_BUNDLE={TRUSTED}/a.crt\n", []),
        (f"{BASE}\nCOPY a.crt /opt/shop/\n", []),
        (f"{BASE}\nONBUILD COPY a.crt {TRUSTED}/\n", []),
    ],
)
def test_certificate_unused(found, text, lines):
    assert found(text, "certificate-unused")[0] == [("warning", line) for line in lines]


def test_the_documented_steps_of_a_certificate_and_of_git_have_no_findings(project):
    (project.root / "Dockerfile").write_text(f"""\
{DEFAULT}
# >>> ca-certificate
USER root
COPY internal-ca.crt {TRUSTED}/shop/
RUN update-ca-certificates
USER astro
# <<< ca-certificate
# >>> private-packages
RUN mkdir -p -m 0700 ~/.ssh && \\
    echo "git.example.com {KEY}" >> ~/.ssh/known_hosts
COPY private-requirements.txt .
RUN --mount=type=ssh,id=github pip install --no-cache-dir --requirement private-requirements.txt
ENV PATH="/home/astro/.local/bin:$PATH"
# <<< private-packages
""")
    assert list(check_dockerfile(project)) == []
