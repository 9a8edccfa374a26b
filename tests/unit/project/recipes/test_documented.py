from __future__ import annotations

import re

import pytest

from astro_magic.project.dockerfile.dockerfile import instructions
from astro_magic.project.recipes.documented import (
    Documented,
    DocumentedCertificate,
    DocumentedGit,
    DocumentedIndex,
    find_documented,
)

BASE = "FROM astrocrpublic.azurecr.io/runtime:3.3-8\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
# As the documentation has them.
GIT = f"""\
USER root
RUN mkdir -p -m 0700 ~/.ssh && \\
    echo "git.example.com {KEY}" >> ~/.ssh/known_hosts

COPY private-requirements.txt .
RUN --mount=type=ssh,id=github pip install --no-cache-dir --requirement private-requirements.txt
USER astro

ENV PATH="/home/astro/.local/bin:$PATH"
"""
INDEX = """\
LABEL maintainer="Shop <data@example.com>"
ARG BUILD_NUMBER=-1
LABEL io.astronomer.docker=true
COPY packages.txt .
USER root
RUN apt-get update && cat packages.txt | xargs apt-get install -y
USER astro

FROM stage1 AS stage2
# Install Python packages
ARG PIP_EXTRA_INDEX_URL
ENV PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL}
COPY requirements.txt .
USER root
RUN pip install --no-cache-dir -q -r requirements.txt
USER astro

FROM stage1 AS stage3
USER root
RUN rm -rf /usr/local/lib/python3.9/site-packages/
COPY --from=stage2 /usr/local/lib/python3.9/site-packages /usr/local/lib/python3.9/site-packages
USER astro
COPY --from=stage2 /usr/local/bin /home/astro/.local/bin
ENV PATH="/home/astro/.local/bin:$PATH"

COPY . .
"""
CERTIFICATE = """\
USER root
COPY internal-ca.crt /usr/local/share/ca-certificates/shop/
RUN update-ca-certificates
USER astro
"""
NONE = Documented()


def find(text):
    return find_documented(instructions(text))


def without_lines(found):
    return re.sub(r"line=\d+", "line", repr(found))


def test_the_documented_git_step():
    found = find(BASE + GIT)
    assert found == Documented(git=DocumentedGit(7, ("github",), ("git.example.com",), "private-requirements.txt"))


def test_the_documented_index_step():
    found = find(f"FROM astrocrpublic.azurecr.io/runtime:3.3-8-base AS stage1\n{INDEX}")
    assert found == Documented(index=DocumentedIndex(12, "PIP_EXTRA_INDEX_URL", "3.9", 21))


def test_the_documented_certificate_step():
    assert find(BASE + CERTIFICATE) == Documented(certificate=DocumentedCertificate(3, ("internal-ca.crt",)))


def test_all_of_them_in_one_file():
    found = find(f"FROM debian AS stage1\n{CERTIFICATE}{INDEX}{GIT}")
    assert found.git is not None
    assert found.index is not None
    assert found.certificate is not None


@pytest.mark.parametrize("step", [GIT, INDEX, CERTIFICATE])
def test_spelling_does_not_matter(step):
    plain = find(f"FROM a AS stage1\n{step}")
    assert plain != NONE
    assert find(f"FROM a AS stage1\n{step}".replace("\n", "\r\n")) == plain
    lower = [line.replace(word, word.lower()) for line in step.split("\n") for word in [line.partition(" ")[0]]]
    assert find("\n".join(["from a as stage1", *lower])) == plain
    # Comments and blank lines between, and in the middle of an instruction.
    commented = step.replace("\n", "\n\n# why\n").replace("\\\n", "\\\n  # why\n")
    assert without_lines(find(f"FROM a AS stage1\n{commented}")) == without_lines(plain)


@pytest.mark.parametrize("step", [GIT, INDEX, CERTIFICATE])
def test_a_managed_block_is_no_documented_step(step):
    assert find(f"FROM a AS stage1\n# >>> ours\n{step}# <<< ours\n") == NONE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment",
        BASE,
        # Neither mounts SSH and installs a requirements file.
        f"{BASE}RUN --mount=type=ssh git clone git@git.example.com:shop/a.git\n",
        f"{BASE}RUN --mount=type=secret,id=a pip install -r private-requirements.txt\n",
        f"{BASE}RUN --mount=type=ssh pip install git+ssh://git@git.example.com/shop/a.git\n",
        f"{BASE}RUN --mount=type=ssh echo pip install -r a.txt\n",
        f"{BASE}ONBUILD RUN --mount=type=ssh pip install -r a.txt\n",
        f"{BASE}# RUN --mount=type=ssh pip install -r a.txt\n",
        f"{BASE}RUN --mount=type=ssh cat <<E > /a\npip install -r a.txt\nE\n",
        # Above FROM an ARG is for the FROM alone.
        f"ARG PIP_EXTRA_INDEX_URL\n{BASE}",
        f"{BASE}ENV PIP_INDEX_URL=https://pypi.example.com/simple\n",
        f"{BASE}RUN <<E\nARG PIP_EXTRA_INDEX_URL\nE\n",
        # Only half of it.
        f"{BASE}COPY a.crt /usr/local/share/ca-certificates/\n",
        f"{BASE}RUN update-ca-certificates\nCOPY a.crt /usr/local/share/ca-certificates/\n",
        f"{BASE}COPY a.crt /etc/shop/\nRUN update-ca-certificates\n",
        f"{BASE}COPY a.crt /usr/local/share/ca-certificates/\n{BASE}RUN update-ca-certificates\n",
    ],
)
def test_none(text):
    assert find(text) == NONE


@pytest.mark.parametrize(
    ("step", "ids", "hosts", "requirements"),
    [
        ("RUN --mount=type=ssh pip install -r a.txt", ("default",), (), "a.txt"),
        ("RUN --mount=type=ssh,id=a --mount=id=b,type=ssh pip3 install -ra.txt", ("a", "b"), (), "a.txt"),
        ('RUN --mount=type=ssh,id="a" uv pip install --requirement=a.txt', ("a",), (), "a.txt"),
        ('RUN --mount=type=ssh ["pip", "install", "-r", "a.txt"]', ("default",), (), "a.txt"),
        ('RUN --mount=type=ssh ["/bin/sh", "-c", "pip install -r a.txt"]', ("default",), (), "a.txt"),
        ("RUN --mount=type=ssh <<E\n# why\npip install \\\n  -r 'a.txt'\nE", ("default",), (), "a.txt"),
        ("RUN --mount=type=ssh if true; then python -m pip install -q -r a.txt; fi", ("default",), (), "a.txt"),
        (
            "RUN --mount=type=ssh,id=a pip install -r a.txt\nRUN --mount=type=ssh,id=b pip install -r b.txt",
            ("a", "b"),
            (),
            "a.txt",
        ),
        (
            "RUN --mount=type=ssh ssh-keyscan -t rsa -p 2222 git.example.com >> ~/.ssh/known_hosts && pip install -r a",
            ("default",),
            ("[git.example.com]:2222",),
            "a",
        ),
        (
            f"RUN echo 'a.example,b.example {KEY}' > ~/.ssh/known_hosts\nRUN --mount=type=ssh pip install -r a.txt",
            ("default",),
            ("a.example", "b.example"),
            "a.txt",
        ),
        (
            f"COPY <<E /root/.ssh/known_hosts\ngit.example.com {KEY}\nE\nRUN --mount=type=ssh pip install -r a.txt",
            ("default",),
            ("git.example.com",),
            "a.txt",
        ),
    ],
)
def test_forms_of_the_git_step(step, ids, hosts, requirements):
    found = find(BASE + step).git
    assert found == DocumentedGit(found.line, ids, hosts, requirements)


def test_hosts_are_those_of_the_stages_that_it_builds_on():
    known = "RUN ssh-keyscan {} >> ~/.ssh/known_hosts\n"
    text = (
        f"FROM a AS one\n{known.format('one.example.com')}FROM b AS two\n{known.format('two.example.com')}"
        f"FROM ONE\n{known.format('three.example.com')}RUN --mount=type=ssh pip install -r a.txt\n"
        f"{known.format('late.example.com')}"
    )
    assert find(text).git.hosts == ("one.example.com", "three.example.com")


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("ARG A PIP_INDEX_URL=https://pypi.example.com/simple", DocumentedIndex(2, "PIP_INDEX_URL", "", 0)),
        ("ENV A=1\narg 'UV_DEFAULT_INDEX'", DocumentedIndex(3, "UV_DEFAULT_INDEX", "", 0)),
        (
            "ARG UV_INDEX\nRUN rm -rf \\\n  /usr/local/lib/python3.12/site-packages",
            DocumentedIndex(2, "UV_INDEX", "3.12", 3),
        ),
    ],
)
def test_forms_of_the_index_step(step, expected):
    assert find(BASE + step).index == expected


def test_certificates_of_other_stages_are_no_files_of_the_project():
    text = (
        "FROM a AS one\nFROM b\nCOPY --from=one /ca.crt /usr/local/share/ca-certificates/\n"
        'COPY ["a b.crt", "c.crt", "/usr/local/share/ca-certificates/"]\nRUN a; update-ca-certificates -f\n'
    )
    assert find(text).certificate == DocumentedCertificate(4, ("a b.crt", "c.crt"))
