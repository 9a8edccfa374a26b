from __future__ import annotations

import pytest

RUNTIME = "FROM astrocrpublic.azurecr.io/runtime:3.3-8-base\n"
INDEX = "index-login-in-image"
SECRET = "secret-in-image"
KEY = "ssh-key-copied"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{RUNTIME}ARG PIP_EXTRA_INDEX_URL\n", [2]),
        (f"{RUNTIME}arg A \\\n  # why\n  UV_INDEX=\n", [2]),
        (f"{RUNTIME}ARG PIP_INDEX_URL\r\nENV PIP_INDEX_URL=${{PIP_INDEX_URL}}\r\n", [2]),
        (f"{RUNTIME}ENV UV_DEFAULT_INDEX=https://${{USER}}:${{TOKEN}}@pypi.example.com/simple\n", [2]),
        (f"{RUNTIME}ENV UV_INDEX 'shop=https://shop:hunter2@pypi.example.com/simple'\n", [2]),
        (f"{RUNTIME}ARG UV_INDEX_SHOP_PASSWORD\n", [2]),
        (f"{RUNTIME}RUN pip install --extra-index-url https://shop:hunter2@pypi.example.com/simple a\n", [2]),
        (f"{RUNTIME}RUN <<E\nuv pip install --index=https://shop:hunter2@pypi.example.com/simple a\nE\n", [2]),
        (f'{RUNTIME}RUN ["pip", "install", "-ihttps://hunter2hunter2hunter2@pypi.example.com", "a"]\n', [2]),
        (f"ARG PIP_INDEX_URL=https://shop:hunter2@pypi.example.com\n{RUNTIME}ARG PIP_INDEX_URL\n", [1, 3]),
    ],
)
def test_the_login_of_an_index(found, text, lines):
    places, findings = found(text, INDEX)
    assert places == [("warning", line) for line in lines]
    assert "stays in the image's history" in findings[0].message
    assert findings[0].hint == "%astro_private_index URL mounts the login while it is needed."
    assert found(text, SECRET)[0] == []


@pytest.mark.parametrize(
    "text",
    [
        # Above FROM it is for the FROM alone.
        f"ARG PIP_EXTRA_INDEX_URL\n{RUNTIME}",
        f"ARG PIP_EXTRA_INDEX_URL=https://shop:hunter2@pypi.example.com\n{RUNTIME}",
        f"{RUNTIME}# ARG PIP_EXTRA_INDEX_URL\n",
        f"{RUNTIME}ENV PIP_EXTRA_INDEX_URL=\n",
        f"{RUNTIME}ENV PIP_INDEX_URL=https://pypi.example.com/simple\n",
        f"{RUNTIME}ARG PIP_INDEX_URL=https://pypi.example.com/simple\n",
        f"{RUNTIME}RUN cat <<E > /x\nARG PIP_EXTRA_INDEX_URL\nE\n",
        f"{RUNTIME}RUN --mount=type=secret,id=pip PIP_INDEX_URL=$(cat /run/secrets/pip) pip install a\n",
        f"{RUNTIME}RUN pip install -i https://shop:$(cat /run/secrets/pip)@pypi.example.com a\n",
        f"{RUNTIME}RUN pip install -i https://${{NAME}}:${{PASSWORD}}@pypi.example.com a\n",
        f"{RUNTIME}RUN pip install git+ssh://git@git.example.com/a.git git+https://shop@git.example.com/b.git\n",
        f"{RUNTIME}RUN pip install git+ssh://somebody-with-a-long-name@git.example.com/a.git\n",
        f"{RUNTIME}ENV PIP_NO_CACHE_DIR=1\n",
    ],
)
def test_no_login_of_an_index(found, text):
    assert found(text, INDEX)[0] == []
    assert found(text, SECRET)[0] == []


def test_a_stage_that_the_image_only_copies_from_is_kept_by_the_builder(found):
    text = f"{RUNTIME[:-1]} AS one\nFROM one AS two\nARG PIP_EXTRA_INDEX_URL\nFROM one\nCOPY --from=two /a /a\n"
    places, (finding,) = found(text, INDEX)
    assert places == [("warning", 3)]
    assert "stays in the builder's cache" in finding.message


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (f"{RUNTIME}ENV SHOP_DB=postgres://shop:hunter2@db/shop\n", [2]),
        (f"{RUNTIME}ARG HTTPS_PROXY=http://shop:hunter2@proxy:3128\n", [2]),
        (f"{RUNTIME}RUN curl https://shop:hunter2@files.example.com/a\n", [2]),
        (f"{RUNTIME}RUN pip install git+https://shop:hunter2@git.example.com/a.git\n", [2]),
        # Told once, though both the name and the value tell.
        (f"{RUNTIME}ENV API_TOKEN=https://shop:hunter2@files.example.com\n", [2]),
        (f"{RUNTIME}ENV SHOP_DB=postgres://shop:${{PASSWORD}}@db/shop\n", []),
        (f"{RUNTIME}ENV SHOP_DB=postgres://shop@db/shop\n", []),
        (f"ARG SHOP=http://shop:hunter2@proxy:3128\n{RUNTIME}", []),
    ],
)
def test_the_login_of_another_url_is_a_secret(found, text, lines):
    assert found(text, SECRET)[0] == [("warning", line) for line in lines]
    assert found(text, INDEX)[0] == []


@pytest.mark.parametrize(
    "copy",
    [
        "COPY id_rsa /root/.ssh/id_rsa",
        "copy keys/id_ed25519 /tmp/",
        "ADD --chmod=600 ./id_ecdsa /k",
        "COPY .ssh /root/.ssh",
        "COPY .ssh/ /root/.ssh/",
        "COPY id_rsa* /root/.ssh/",
        'COPY ["a b/deploy-key.pem", "/k"]',
        "COPY private_key.pem \\\n  # why\n  /k",
        "COPY deploy /root/.ssh/id_rsa",
        "COPY <<E /root/.ssh/id_rsa\nx\nE",
    ],
)
def test_a_private_key(found, copy):
    places, (finding,) = found(f"{RUNTIME}USER root\r\n{copy}\nRUN rm -rf /root/.ssh\nUSER astro\n", KEY)
    assert places == [("error", 3)]
    assert "even when it is removed later" in finding.message


@pytest.mark.parametrize(
    "line",
    [
        "COPY id_rsa.pub /k",
        "COPY .ssh/known_hosts .ssh/config /root/.ssh/",
        "COPY ca.pem monkey.pem public_key.pem /k/",
        "COPY keys /k",
        "COPY . .",
        "# COPY id_rsa /k",
        "RUN --mount=type=bind,source=id_rsa,target=/k ssh-add /k",
        "RUN cat <<E > /x\nCOPY id_rsa /k\nE",
        "ONBUILD COPY id_rsa /k",
    ],
)
def test_no_private_key(found, line):
    assert found(f"{RUNTIME}{line}\n", KEY)[0] == []


def test_a_private_key_in_a_stage_that_the_image_only_copies_from(found):
    places, (finding,) = found(f"FROM debian AS a\nCOPY id_rsa /k\n{RUNTIME}COPY --from=a /x /x\n", KEY)
    assert places == [("warning", 2)]
    assert "the builder keeps in its cache" in finding.message
