"""Recipes as changes: made once, taken back as one, and nothing else touched."""

from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.project.recipes.blocks import BLOCKS
from astro_magic.project.recipes.recipes import (
    plan_commands,
    plan_git,
    plan_index,
    plan_without_certificates,
    plan_without_commands,
    plan_without_git,
    plan_without_index,
)
from astro_magic.project.recipes.sources import PackageIndex
from tests.unit.project.recipe_cases import (
    ACME,
    APACHE,
    ASTRO_RUNTIME,
    GITHUB,
    GITHUB_KEY,
    OPEN,
    RECIPES,
    RUNTIME,
    SHOP,
    applied,
    contents,
    dockerfile_of,
    write,
)

#: What stands in Dockerfiles: of each, all has to stay but for the tag of the image.
DOCKERFILES = {
    "plain": f"FROM {RUNTIME}\n",
    "no end": f"FROM {RUNTIME}",
    "windows": f"FROM {RUNTIME}\r\n\r\n# mine\r\nRUN a \\\r\n  b\r\n",
    "mark": f"\ufeffFROM {ASTRO_RUNTIME}-base\n",
    "argument": f"ARG TAG=3.3-8\nFROM {RUNTIME.partition(':')[0]}:${{TAG}}\nARG TAG\n",
    "directives": f"# syntax=docker/dockerfile:1\n# escape=`\nFROM {APACHE}\nRUN a `\n  b\n",
    "here-document": f"FROM {RUNTIME}-base\nRUN <<EOF\nUSER root\n# >>> no\nEOF\nCOPY <<a <<b /c\n1\na\n2\nb\n# end",
    "stages": (
        f"FROM {RUNTIME}-base AS one\nUSER root\nRUN a\n\n\nFROM debian AS two\nUSER x\n\n"
        "FROM one\nCOPY --from=two . .\n"
    ),
    "blocks": (
        f"FROM {RUNTIME}\n# >>> mine\nUSER root\nRUN a\nUSER astro\n# <<< mine\n\n# >>> other\nENV A=1\n# <<< other"
    ),
    "block around FROM": f"# >>> mine\nFROM {APACHE}\nRUN a\n# <<< mine\nRUN b\n",
    "company": "FROM acme/data:1\n  user acme:0\nrun a\n",
}
UNDONE = {
    "git": lambda project: plan_without_git(project, [SHOP]),
    "index": lambda project: plan_without_index(project, "acme"),
    "certificate": lambda project: plan_without_certificates(project, ["certificates/acme/root.crt"]),
    "commands": lambda project: plan_without_commands(project, ["ls"]),
}


def outside_blocks(text):
    """Give the lines that are in no block of ours, without those that set blocks apart."""
    found, inside = [], False
    for line in text.splitlines(keepends=True):
        name = line.strip().removeprefix("# >>> ").removeprefix("# <<< ")
        if name in BLOCKS:
            inside = line.startswith("# >>>")
        elif not inside and line.strip():
            found.append(line.replace("-base", ""))
    return found


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("before", DOCKERFILES.values(), ids=DOCKERFILES)
def test_a_recipe_is_one_change(project, before, recipe):
    write(
        project,
        Dockerfile=before,
        packages_txt="\ufefflibpq-dev\r\ngit=1:2.39 # pinned\r\nopenssh-client",
        requirements_txt="\ufeff# ours\r\npandas==2.2.3\r\n-r more.txt\r\nacme-core",
        more_txt="polars",
    )
    there = contents(project)
    history = len(project.history())
    change = applied(project, RECIPES[recipe])
    after = contents(project)
    for name in ("packages.txt", "requirements.txt", "more.txt"):
        assert after[name] == there[name]
    text = dockerfile_of(project)
    ours, theirs = outside_blocks(text), outside_blocks(before)
    assert [line.rstrip("\r\n") for line in ours] == [line.rstrip("\r\n") for line in theirs]
    assert ours[:-1] == theirs[:-1]
    assert text.startswith("\ufeff") == before.startswith("\ufeff")
    assert ("\r\n" in before) == ("\r\n" in text)
    assert len(project.history()) == history + 1
    assert {file.name for file in change.files if file.kind != "unchanged"} == {
        name for name in {*there, *after} if there.get(name) != after.get(name)
    }
    project.undo()
    assert contents(project) == there


@pytest.mark.parametrize("before", DOCKERFILES.values(), ids=DOCKERFILES)
def test_recipes_that_are_taken_out_leave_the_file(project, before):
    write(project, Dockerfile=before)
    (project.root / "packages.txt").unlink()
    there = contents(project)
    for recipe in ("certificate", "commands", "git"):
        applied(project, RECIPES[recipe])
    assert {"ca-certificate", "private-packages", "run-on-build"} <= {*project.dockerfile.blocks()}
    for recipe in ("git", "commands", "certificate"):
        project.edit(lambda name=recipe: UNDONE[name](project))
    left = {*project.dockerfile.blocks()} - {"mine", "other"}
    # Others may need packages.txt by now, and nothing else installs it there.
    assert left <= {"os-packages"}
    assert {*contents(project)} == {*there, "packages.txt"}
    if left:
        project.edit(lambda: project.dockerfile.plan_remove_block("os-packages"))
    # Only the last line may have got an end.
    assert dockerfile_of(project).rstrip("\r\n") == before.rstrip("\r\n")


def test_an_index_that_is_taken_out(project):
    applied(project, RECIPES["index"])
    project.edit(lambda: plan_without_index(project, "acme"))
    after = dockerfile_of(project)
    assert "-base\n" in after
    assert "# Installs requirements.txt, which this image does not do by itself.\n" in after
    assert "acme" not in after
    assert "--mount" not in after
    with pytest.raises(InvalidContentError, match="There is no private index 'acme'"):
        plan_without_index(project, "acme")


def test_several_indexes(project):
    write(project, requirements_txt="acme-core==1\n-r dev/more.txt\n-c limits.txt\n", limits_txt="acme-core<2\n")
    (project.root / "dev").mkdir()
    (project.root / "dev/more.txt").write_text("acme.data\n")
    only = PackageIndex("only", "https://only.acme.com/simple/?a=b&c=d", only=("acme-core", "acme-data"))
    for index in (OPEN, ACME, only):
        applied(project, lambda found, index=index: plan_index(found, index))
    assert project.dockerfile.blocks()["python-packages"].text == (
        "# Installs requirements.txt, with the private indexes open, acme, only.\n"
        "# Logins are mounted while that runs, and stay out of the image.\n"
        "USER root\n"
        "COPY requirements.txt ./\n"
        "COPY dev/more.txt ./dev/\n"
        "COPY limits.txt ./\n"
        "RUN --mount=type=secret,id=netrc,target=/run/secrets/netrc,required=true \\\n"
        "    { grep -hiE '^ *(acme[-_.]+core|acme[-_.]+data)([^a-z0-9._-]|$)' requirements.txt dev/more.txt"
        " || true; } > /tmp/only.txt \\\n"
        "    && pip install --no-cache-dir --no-deps --requirement /tmp/only.txt \\\n"
        "        --index-url 'https://only.acme.com/simple/?a=b&c=d' \\\n"
        "    && rm /tmp/only.txt \\\n"
        "    && NETRC=/run/secrets/netrc pip install --no-cache-dir --requirement requirements.txt \\\n"
        "        --extra-index-url https://open.acme.com/simple/ \\\n"
        "        --extra-index-url https://pypi.acme.com/simple/ \\\n"
        "        --extra-index-url 'https://only.acme.com/simple/?a=b&c=d'\n"
        "USER astro\n"
        "COPY --chown=astro:0 . ."
    )
    for index in (OPEN, ACME):
        project.edit(lambda index=index: plan_without_index(project, index.name))
    assert "NETRC" not in dockerfile_of(project)


def test_without_files_of_packages(project):
    for name in ("requirements.txt", "packages.txt"):
        (project.root / name).unlink()
    there = contents(project)
    applied(project, RECIPES["index"])
    # A file that is not there could not be copied.
    assert (project.root / "requirements.txt").read_bytes() == b""
    assert not (project.root / "packages.txt").exists()
    assert [*project.dockerfile.blocks()] == ["python-packages"]
    project.undo()
    assert contents(project) == there


def test_a_file_of_packages_that_came_and_went(project):
    applied(project, RECIPES["index"])
    write(project, packages_txt="")
    applied(project, RECIPES["index"])
    assert "os-packages" in project.dockerfile.blocks()
    (project.root / "packages.txt").unlink()
    applied(project, RECIPES["index"])
    assert [*project.dockerfile.blocks()] == ["python-packages"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_without_a_dockerfile(project, recipe):
    (project.root / "Dockerfile").unlink()
    with pytest.raises(InvalidContentError, match=r"The project has no Dockerfile") as refused:
        RECIPES[recipe](project)
    assert refused.value.hint == "%astro_init . adds what is missing of the project."
    write(project, Dockerfile="RUN a\n")
    with pytest.raises(InvalidContentError, match=r"has no FROM, so it builds on no image"):
        RECIPES[recipe](project)


# ----------------------------------------------------------------------------------------------------- steps of others


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("RUN pip install -r requirements.txt", True),
        ("RUN pip install -rrequirements.txt", True),
        ("RUN --mount=type=cache,target=/x uv pip sync ./requirements.txt", True),
        ("RUN pip install -r /usr/local/airflow/requirements.txt", True),
        ("RUN <<EOF\npip install --requirement=requirements.txt\nEOF", True),
        ("RUN /usr/local/bin/install-python-dependencies", True),
        ("RUN pip install -r dev/requirements.txt", False),
        ("RUN pip install -r old-requirements.txt", False),
        ("RUN pip install -r requirements.txt.in", False),
        ("RUN cat requirements.txt", False),
        ("RUN install-system-packages", False),
        ("COPY requirements.txt .", False),
    ],
)
def test_steps_that_install_already(project, line, there):
    write(project, Dockerfile=f"FROM {APACHE}\n{line}\n")
    if not there:
        applied(project, RECIPES["index"])
        return
    with pytest.raises(InvalidContentError, match=r"Dockerfile line 2 installs these packages already\.") as refused:
        RECIPES["index"](project)
    assert refused.value.hint == (
        "Remove that step, or let it use the index: RUN --mount=type=secret,id=netrc NETRC=/run/secrets/netrc"
        " pip install -r requirements.txt --extra-index-url https://pypi.acme.com/simple/."
    )
    with pytest.raises(InvalidContentError) as refused:
        plan_index(project, OPEN)
    assert "netrc" not in refused.value.hint


def test_a_step_that_installs_private_packages_already(project):
    write(project, Dockerfile=f"FROM {RUNTIME}\nRUN pip install -r private-requirements.txt\n")
    with pytest.raises(InvalidContentError, match=r"line 2 installs these packages already\.") as refused:
        RECIPES["git"](project)
    assert refused.value.hint == "Remove that step, and what it needs; then run this again."


@pytest.mark.parametrize(
    "line", ["RUN apt-get update && xargs apt-get install -y < packages.txt", "RUN install-system-packages"]
)
def test_a_step_that_installs_packages_of_the_system_already(project, line):
    write(project, Dockerfile=f"FROM {APACHE}\n{line}\n")
    applied(project, RECIPES["git"])
    assert [*project.dockerfile.blocks()] == ["private-packages"]


@pytest.mark.parametrize(
    ("line", "copied"),
    [
        ("COPY . .", True),
        ("COPY --chown=airflow:0 ./ /opt/airflow", True),
        ("ADD . /opt/airflow/", True),
        ('COPY [".", "/opt/air flow"]', True),
        ("COPY dags .", False),
        ("COPY --from=one . .", False),
        ("COPY [x .", False),
    ],
)
def test_steps_that_copy_the_project_already(project, line, copied):
    write(project, Dockerfile=f"FROM debian AS one\nCOPY . .\nFROM {APACHE}\n{line}\n")
    applied(project, RECIPES["index"])
    assert project.dockerfile.blocks()["python-packages"].text.endswith("COPY --chown=airflow:0 . .") != copied


# ------------------------------------------------------------------------------------------------------------ commands


def test_commands(project):
    write(project, Dockerfile=f"FROM {RUNTIME}\n")
    applied(project, lambda found: plan_commands(found, ["ls", " pip list "]))
    applied(project, lambda found: plan_commands(found, ["apt-get update"], root=True))
    applied(project, lambda found: plan_commands(found, ["ls", "id"]))
    block = ["RUN ls", "RUN pip list", "USER root", "RUN apt-get update", "USER astro", "RUN id"]
    assert project.dockerfile.blocks()["run-on-build"].text.splitlines() == block
    project.edit(lambda: plan_without_commands(project, ["apt-get update"]))
    block = ["RUN ls", "RUN pip list", "RUN id"]
    assert project.dockerfile.blocks()["run-on-build"].text.splitlines() == block
    project.edit(lambda: plan_without_commands(project, []))
    assert dockerfile_of(project) == f"FROM {RUNTIME}\n"


def test_comments_among_commands_stay(project):
    write(
        project, Dockerfile=f"FROM {RUNTIME}\n# >>> run-on-build\n# why\nRUN a\n\nRUN  b\nENV A=1\n# <<< run-on-build\n"
    )
    project.edit(lambda: plan_without_commands(project, ["b"]))
    assert project.dockerfile.blocks()["run-on-build"].text == "# why\nRUN a\n\nENV A=1"


def test_the_same_command_as_root_and_not(project):
    write(project, Dockerfile=f"FROM {RUNTIME}\n")
    applied(project, lambda found: plan_commands(found, ["ls"]))
    applied(project, lambda found: plan_commands(found, ["ls"], root=True))
    project.edit(lambda: plan_without_commands(project, ["ls"]))
    assert dockerfile_of(project) == f"FROM {RUNTIME}\n"


def test_a_command_for_root_among_others_of_root(project):
    write(project, Dockerfile=f"FROM {RUNTIME}\n")
    for command in ("a", "b"):
        applied(project, lambda found, command=command: plan_commands(found, [command], root=True))
    project.edit(lambda: plan_without_commands(project, ["a"]))
    assert project.dockerfile.blocks()["run-on-build"].text == "USER root\nRUN b\nUSER astro"


@pytest.mark.parametrize("command", ["", "  ", "a\nb", "a\r\nUSER root", "a\x0bb", "a \\", "cat <<EOF"])
def test_commands_that_are_no_line(project, command):
    with pytest.raises(InvalidContentError) as refused:
        plan_commands(project, [command])
    assert refused.value.hint


def test_a_command_that_is_not_there(project):
    with pytest.raises(InvalidContentError, match="'ls' is not run on build") as refused:
        plan_without_commands(project, ["ls"])
    assert refused.value.hint == "Nothing is."
    applied(project, lambda found: plan_commands(found, ["curl https://joe:hunter2@h/"]))
    with pytest.raises(InvalidContentError) as refused:
        plan_without_commands(project, ["curl https://joe:hunter3@h/"])
    assert "hunter" not in f"{refused.value} {refused.value.hint}"


# ------------------------------------------------------------------------------------------------------- .dockerignore


@pytest.mark.parametrize(
    ("recipe", "rules", "added"),
    [
        ("git", "private-*\n", "!private-requirements.txt\n!private-known-hosts\n"),
        ("git", "*.md\n*.txt", "\n!private-requirements.txt\n"),
        ("git", "private-*\n!private-known-hosts\n", "!private-requirements.txt\n"),
        ("git", "private\n", ""),
        ("index", "\ufeff*\r\n!requirements.txt\r\n", "!more.txt\r\n!packages.txt\r\n"),
        ("index", "more.txt\n", "!more.txt\n"),
        ("certificate", "certificates\n", "!certificates\n"),
        ("certificate", "**/*.crt\n", "!certificates\n"),
        ("commands", "*\n", ""),
    ],
)
def test_files_that_a_build_would_not_get(project, recipe, rules, added):
    write(
        project,
        Dockerfile=f"FROM {RUNTIME}" + ("\n" if recipe != "git" else "-base\n"),
        requirements_txt="-r more.txt\n",
        more_txt="",
    )
    name = ".dockerignore"
    packages = "!packages.txt\n" if recipe == "git" and "*.txt" in rules else ""
    (project.root / name).write_bytes(rules.encode())
    applied(project, RECIPES[recipe])
    after = (project.root / name).read_bytes().decode()
    assert after == rules + added + packages
    project.undo()
    assert (project.root / name).read_bytes().decode() == rules


def test_the_ignore_file_of_the_dockerfile_counts_alone(project):
    (project.root / ".dockerignore").write_text("*\n")
    (project.root / "Dockerfile.dockerignore").write_text("certificates/*\n")
    applied(project, RECIPES["certificate"])
    assert (project.root / ".dockerignore").read_text() == "*\n"
    assert (project.root / "Dockerfile.dockerignore").read_text() == "certificates/*\n!certificates\n"


def test_the_file_of_several_keys_gets_into_the_build(project):
    (project.root / ".dockerignore").write_text("private-ssh*\n")
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    assert (project.root / ".dockerignore").read_text() == "private-ssh*\n"
    access = type(GITHUB)("other", "github.com", alias="github-other")
    applied(project, lambda found: plan_git(found, [SHOP], access, [GITHUB_KEY]))
    assert (project.root / ".dockerignore").read_text() == "private-ssh*\n!private-ssh-config\n"
