"""What users get: the whole Dockerfile after the recipes of the documented procedures, on each kind of image."""

from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError
from tests.unit.project.recipe_cases import (
    APACHE,
    ASTRO_RUNTIME,
    DIGEST,
    RECIPES,
    RUNTIME,
    applied,
    dockerfile_of,
    write,
)

OS_PACKAGES = """\
# >>> os-packages
# Installs packages.txt, which this image does not do by itself.
USER root
COPY packages.txt ./
RUN apt-get update \\
    && tr -d '\\r' < packages.txt | sed 's/#.*//' | xargs -r apt-get install --yes --no-install-recommends \\
    && rm -rf /var/lib/apt/lists/*
USER astro
# <<< os-packages
"""
GIT = """\
# >>> private-packages
# Installs private-requirements.txt over SSH.
# Keys are mounted while that runs, and stay out of the image.
USER root
COPY private-requirements.txt ./
RUN --mount=type=ssh,id=github,required=true \\
    --mount=type=bind,source=private-known-hosts,target=/etc/ssh/ssh_known_hosts \\
    pip install --no-cache-dir --requirement private-requirements.txt
USER astro
# <<< private-packages
"""
INDEX = """\
# >>> python-packages
# Installs requirements.txt, with the private index acme.
# Logins are mounted while that runs, and stay out of the image.
USER root
COPY requirements.txt ./
RUN --mount=type=secret,id=netrc,target=/run/secrets/netrc,required=true \\
    NETRC=/run/secrets/netrc pip install --no-cache-dir --requirement requirements.txt \\
        --extra-index-url https://pypi.acme.com/simple/
USER astro
COPY --chown=astro:0 . .
# <<< python-packages
"""
CERTIFICATE = """\
# >>> ca-certificate
# Trusts the certificate authorities in certificates/, in Python too, which has a list of its own.
USER root
COPY certificates/ /usr/local/share/ca-certificates/
RUN update-ca-certificates
USER astro
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \\
    REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt \\
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt
# <<< ca-certificate
"""
APACHE_GIT = """\
# >>> private-packages
# Installs private-requirements.txt over SSH.
# Keys are mounted while that runs, and stay out of the image.
COPY private-requirements.txt ./
RUN --mount=type=ssh,id=github,mode=0666,required=true \\
    --mount=type=bind,source=private-known-hosts,target=/etc/ssh/ssh_known_hosts \\
    pip install --no-cache-dir --requirement private-requirements.txt
# <<< private-packages
"""
APACHE_INDEX = """\
# >>> python-packages
# Installs requirements.txt, with the private index acme.
# Logins are mounted while that runs, and stay out of the image.
COPY requirements.txt ./
RUN --mount=type=secret,id=netrc,target=/run/secrets/netrc,mode=0444,required=true \\
    NETRC=/run/secrets/netrc pip install --no-cache-dir --requirement requirements.txt \\
        --extra-index-url https://pypi.acme.com/simple/
COPY --chown=airflow:0 . .
# <<< python-packages
"""
COMMANDS = """\
# >>> run-on-build
RUN ls
# <<< run-on-build
"""


def run_as(text, user):
    return text.replace("USER astro", f"USER {user}").replace("astro:0", f"{user}:0")


@pytest.mark.parametrize("image", [RUNTIME, f"{RUNTIME}-python-3.12", ASTRO_RUNTIME])
@pytest.mark.parametrize(
    ("recipe", "after"),
    [
        ("git", f"FROM {{image}}\nRUN ls\n\n{GIT}"),
        # What such an image does before all else is done where it did it.
        ("index", f"FROM {{image}}-base\n\n{OS_PACKAGES}\n{INDEX}RUN ls\n"),
        ("certificate", f"FROM {{image}}\n\n{CERTIFICATE}RUN ls\n"),
        ("commands", f"FROM {{image}}\nRUN ls\n\n{COMMANDS}"),
    ],
)
def test_default_distribution(project, image, recipe, after):
    write(project, Dockerfile=f"FROM {image}\nRUN ls\n")
    applied(project, RECIPES[recipe])
    assert dockerfile_of(project) == after.format(image=image)


@pytest.mark.parametrize("image", [f"{RUNTIME}-base", f"{RUNTIME}-python-3.12-base", f"{ASTRO_RUNTIME}-base"])
@pytest.mark.parametrize(
    ("recipe", "after"),
    [
        ("git", f"FROM {{image}}\nRUN ls\n\n{OS_PACKAGES}\n{GIT}"),
        ("index", f"FROM {{image}}\nRUN ls\n\n{OS_PACKAGES}\n{INDEX}"),
    ],
)
def test_base_distribution(project, image, recipe, after):
    write(project, Dockerfile=f"FROM {image}\nRUN ls\n")
    applied(project, RECIPES[recipe])
    assert dockerfile_of(project) == after.format(image=image)


@pytest.mark.parametrize(
    ("recipe", "after"),
    [
        ("git", f"FROM {APACHE}\nRUN ls\n\n{run_as(OS_PACKAGES, 'airflow')}\n{APACHE_GIT}"),
        ("index", f"FROM {APACHE}\nRUN ls\n\n{run_as(OS_PACKAGES, 'airflow')}\n{APACHE_INDEX}"),
        ("certificate", f"FROM {APACHE}\n\n{run_as(CERTIFICATE, 'airflow')}RUN ls\n"),
    ],
)
def test_image_of_apache(project, recipe, after):
    write(project, Dockerfile=f"FROM {APACHE}\nRUN ls\n")
    applied(project, RECIPES[recipe])
    assert dockerfile_of(project) == after


def test_pip_does_not_run_as_root_in_the_image_of_apache(project):
    write(project, Dockerfile=f"FROM {APACHE}\nUSER root\n")
    applied(project, RECIPES["git"])
    after = dockerfile_of(project)
    assert "USER airflow\nCOPY private-requirements.txt ./\nRUN" in after
    assert "private-requirements.txt\nUSER root\n# <<<" in after
    assert after.count("USER root") == 2


@pytest.mark.parametrize("recipe", RECIPES)
def test_all_recipes_on_one_image(project, recipe):
    for name in (recipe, *RECIPES):
        applied(project, RECIPES[name])
    text = dockerfile_of(project)
    several = GIT.replace(
        "    pip", "    --mount=type=secret,id=netrc,target=/run/secrets/netrc,required=true \\\n    pip"
    )
    several = several.replace("    pip", "    NETRC=/run/secrets/netrc pip").replace(
        "requirements.txt\nUSER", "requirements.txt \\\n        --extra-index-url https://pypi.acme.com/simple/\nUSER"
    )
    parts = [CERTIFICATE, OS_PACKAGES, INDEX, several, COMMANDS]
    assert text.endswith("-base\n\n" + "\n".join(parts))
    assert max(map(len, text.splitlines())) <= 120


# ------------------------------------------------------------------------------------------------ images by a digest


@pytest.mark.parametrize("image", [f"{RUNTIME}@{DIGEST}", f"{RUNTIME.partition(':')[0]}@{DIGEST}"])
def test_a_digest_stands_for_one_image(project, image):
    before = f"FROM {image}\n"
    write(project, Dockerfile=before)
    with pytest.raises(InvalidContentError) as refused:
        RECIPES["index"](project)
    assert str(refused.value).startswith("A private index needs the -base distribution of the image, which is named by")
    assert "(line 1)" in str(refused.value)
    assert "-base there" in refused.value.hint
    assert DIGEST not in str(refused.value)
    applied(project, RECIPES["git"])
    applied(project, RECIPES["certificate"])
    assert dockerfile_of(project).startswith(before)


def test_a_digest_of_a_base_distribution(project):
    write(project, Dockerfile=f"FROM {RUNTIME}-base@{DIGEST}\n")
    applied(project, RECIPES["index"])
    assert dockerfile_of(project) == f"FROM {RUNTIME}-base@{DIGEST}\n\n{OS_PACKAGES}\n{INDEX}"


def test_an_image_without_a_tag(project):
    write(project, Dockerfile="FROM localhost:5000/astronomer/runtime\n")
    with pytest.raises(InvalidContentError, match="named without a tag") as refused:
        RECIPES["index"](project)
    assert refused.value.hint == "Write FROM localhost:5000/astronomer/runtime:TAG-base there; then run this again."


# -------------------------------------------------------------------------------------------------- images of others


def test_who_runs_an_image_that_is_not_known(project):
    write(project, Dockerfile="FROM acme/data:1\nRUN ls\n")
    for recipe in ("git", "index", "certificate"):
        with pytest.raises(InvalidContentError, match=r"Who runs Airflow in acme/data:1 is not known") as refused:
            RECIPES[recipe](project)
        assert refused.value.hint.startswith("Write USER and that user's name into the Dockerfile")
    # What needs no root is possible.
    (project.root / "packages.txt").unlink()
    applied(project, RECIPES["index"])
    applied(project, RECIPES["commands"])
    after = dockerfile_of(project)
    assert "USER" not in after
    assert "\nCOPY . .\n" in after


@pytest.mark.parametrize(
    ("recipe", "after"),
    [
        ("git", f"FROM acme/data:1\nRUN a\nUSER acme\nRUN b\n\n{run_as(OS_PACKAGES, 'acme')}\n{run_as(GIT, 'acme')}"),
        (
            "index",
            f"FROM acme/data:1\nRUN a\nUSER acme\nRUN b\n\n{run_as(OS_PACKAGES, 'acme')}\n{run_as(INDEX, 'acme')}",
        ),
        # Who ran the steps above that line is not known, so nothing can go back to it.
        ("certificate", f"FROM acme/data:1\nRUN a\nUSER acme\n\n{run_as(CERTIFICATE, 'acme')}RUN b\n"),
    ],
)
def test_image_of_a_company(project, recipe, after):
    write(project, Dockerfile="FROM acme/data:1\nRUN a\nUSER acme\nRUN b\n")
    applied(project, RECIPES[recipe])
    assert dockerfile_of(project) == after


@pytest.mark.parametrize("user", ["airflow", "50000", "50000:0"])
def test_image_of_a_company_that_is_built_on_apaches(project, user):
    write(project, Dockerfile=f"FROM acme/data:1\nUSER {user}\n")
    applied(project, RECIPES["git"])
    after = dockerfile_of(project)
    assert after.count("USER root") == 1
    assert after.count(f"USER {user}") == 2
    assert "mode=0666" in after


# ------------------------------------------------------------------------------------------------- stages and places


def test_stages_that_build_on_each_other(project):
    write(
        project, Dockerfile=f"FROM {APACHE} AS one\nRUN a\n\nFROM debian:12 AS other\nRUN b\n\nFROM one AS two\nRUN c\n"
    )
    for recipe in RECIPES:
        applied(project, RECIPES[recipe])
    after = dockerfile_of(project)
    assert after.startswith(
        f"FROM {APACHE} AS one\n\n{run_as(CERTIFICATE, 'airflow')}RUN a\n\nFROM debian:12 AS other\n"
    )
    last = after.partition("FROM one AS two\nRUN c\n\n")[2]
    assert [line for line in last.splitlines() if line.startswith("# >>>")] == [
        "# >>> os-packages",
        "# >>> python-packages",
        "# >>> private-packages",
        "# >>> run-on-build",
    ]


def test_the_image_of_an_earlier_stage_gets_its_base_distribution(project):
    write(project, Dockerfile=f"FROM {RUNTIME} AS one\nRUN a\nFROM one\nRUN b\n")
    applied(project, RECIPES["index"])
    assert dockerfile_of(project) == f"FROM {RUNTIME}-base AS one\nRUN a\nFROM one\n\n{OS_PACKAGES}\n{INDEX}RUN b\n"


def test_an_argument_names_the_tag(project):
    write(project, Dockerfile=f"ARG TAG=3.3-8\nFROM {RUNTIME.partition(':')[0]}:${{TAG}}\n")
    applied(project, RECIPES["index"])
    assert dockerfile_of(project).startswith(
        f"ARG TAG=3.3-8-base\nFROM {RUNTIME.partition(':')[0]}:${{TAG}}\n\n# >>> os"
    )


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        # The user who holds at the place, not the one who holds at the end.
        (f"FROM {RUNTIME}\nUSER root\nRUN a\n", ["USER root", "USER astro", "USER root"]),
        (f"FROM {RUNTIME} AS one\nUSER acme\nFROM one\nRUN a\n", ["USER root", "USER astro", "USER acme"]),
    ],
)
def test_a_certificate_stands_where_the_user_is_that_of_the_image(project, before, expected):
    write(project, Dockerfile=before)
    applied(project, RECIPES["certificate"])
    assert [line for line in dockerfile_of(project).splitlines() if line.startswith("USER")] == expected


def test_steps_go_back_to_the_user_of_an_earlier_stage(project):
    write(project, Dockerfile=f"FROM {RUNTIME} AS one\nUSER acme\nFROM one\n")
    applied(project, RECIPES["git"])
    assert dockerfile_of(project).endswith(run_as(GIT, "acme"))


def test_what_stands_below_a_block_has_no_say_in_it(project):
    write(project, Dockerfile=f"FROM {RUNTIME}\n")
    applied(project, RECIPES["git"])
    write(project, Dockerfile=f"{dockerfile_of(project)}USER root\nRUN a\n")
    assert not RECIPES["git"](project).changed


def test_an_image_that_installs_by_itself_again(project):
    applied(project, RECIPES["index"])
    write(project, Dockerfile=dockerfile_of(project).replace("-base\n", "\n"))
    applied(project, RECIPES["git"])
    # There is an index still, so it has to be the other distribution.
    assert "-base\n" in dockerfile_of(project)
    write(project, Dockerfile=dockerfile_of(project).replace("-base\n", "\n"))
    (project.root / ".astro/private-packages.yaml").unlink()
    applied(project, RECIPES["git"])
    assert [*project.dockerfile.blocks()] == ["private-packages"]


def test_another_sign_for_lines_that_go_on(project):
    write(project, Dockerfile=f"# escape=`\nFROM {APACHE}\nRUN a `\n  b\n")
    for recipe in RECIPES:
        applied(project, RECIPES[recipe])
    after = dockerfile_of(project)
    assert "\\\n" not in after
    assert "RUN apt-get update `\n    && tr -d '\\r'" in after
    assert {each.keyword for each in project.dockerfile.entries()} == {"", "FROM", "RUN", "USER", "COPY", "ENV"}
