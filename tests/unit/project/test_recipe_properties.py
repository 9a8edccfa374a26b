"""Recipes in any order, on any Dockerfile: what is not theirs stays, and what is theirs has its place."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.dockerfile.dockerfile import Dockerfile
from astro_magic.project.recipes.blocks import BLOCKS, OS_PACKAGES, PYTHON_PACKAGES
from astro_magic.project.recipes.recipes import (
    plan_git,
    plan_index,
    plan_without_certificates,
    plan_without_commands,
    plan_without_git,
    plan_without_index,
)
from astro_magic.project.recipes.repository import parse_repository
from tests.unit.project.recipe_cases import (
    APACHE,
    ASTRO_RUNTIME,
    GITLAB,
    GITLAB_KEY,
    OPEN,
    RECIPES,
    RUNTIME,
    SHOP,
)

TOOLS = parse_repository("ssh://git@git.acme.com:2222/team/tools.git")
TAKEN_OUT = {
    "git": lambda project: plan_without_git(project, [SHOP]),
    "tools": lambda project: plan_without_git(project, [TOOLS]),
    "index": lambda project: plan_without_index(project, "acme"),
    "open": lambda project: plan_without_index(project, "open"),
    "certificate": lambda project: plan_without_certificates(project, ["certificates/acme/root.crt"]),
    "commands": lambda project: plan_without_commands(project, []),
}
PUT_IN = {
    **RECIPES,
    "tools": lambda project: plan_git(project, [TOOLS], GITLAB, [GITLAB_KEY]),
    "open": lambda project: plan_index(project, OPEN),
}
INSTRUCTIONS = st.lists(
    st.sampled_from(
        [
            "",
            "# note",
            "RUN a",
            "RUN a \\\n  # note\n  b",
            "RUN <<EOF\n# >>> x\nUSER root\nEOF",
            "USER root",
            "USER astro",
            "USER airflow",
            "ENV A=1",
            "WORKDIR /x",
            "COPY dags dags",
            "COPY . .",
            "RUN pip install -r dev/requirements.txt",
            "RUN pip install -r requirements.txt",
            "RUN apt-get install $(cat packages.txt)",
        ]
    ),
    max_size=5,
).map("\n".join)
IMAGE = st.sampled_from([RUNTIME, f"{RUNTIME}-base", ASTRO_RUNTIME, f"{APACHE}", "acme/data:1", f"{RUNTIME}@sha256:00"])
STAGES = st.one_of(
    st.builds("FROM {}\n{}".format, IMAGE, INSTRUCTIONS),
    st.builds("FROM {} AS one\n{}\nFROM debian AS two\nRUN b\nFROM one\n{}".format, IMAGE, INSTRUCTIONS, INSTRUCTIONS),
    st.builds("ARG I={}\n# note\nFROM --platform=linux/amd64 $I\n{}".format, IMAGE, INSTRUCTIONS),
    st.builds("FROM {}\n{}\n# >>> mine\nENV B=1\nRUN c\n# <<< mine\n{}".format, IMAGE, INSTRUCTIONS, INSTRUCTIONS),
)
FILE = st.builds(
    lambda mark, directive, text, end, last: mark + (directive + text + last).replace("\n", end),
    st.sampled_from(["", "\ufeff"]),
    st.sampled_from(["", "# syntax=docker/dockerfile:1\n"]),
    STAGES,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n", "\n\n# end\n"]),
)


def theirs(project):
    """Give the lines of a Dockerfile that are in no block of ours, with the image as if it were the default one."""
    lines = project.dockerfile.read().decode().splitlines(keepends=True)
    ours = {
        number
        for entry in project.dockerfile.entries()
        if entry.block in BLOCKS
        for number in range(entry.line, entry.line + entry.length)
    }
    left = [line for number, line in enumerate(lines, start=1) if number not in ours and line.strip()]
    # A blank line sets a block apart, and the last line may get an end.
    return [*(line.replace("-base", "") for line in left[:-1]), *(line.rstrip("\r\n") for line in left[-1:])]


def shape(project):
    """Give our blocks in the order of the file."""
    return [name for name in project.dockerfile.blocks() if name in BLOCKS]


@given(FILE, st.lists(st.tuples(st.booleans(), st.sampled_from([*PUT_IN])), max_size=7))
def test_recipes_in_any_order(before, steps):
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder).resolve())
        (project.root / ".astro").mkdir()
        Dockerfile(project, "Dockerfile").path.write_bytes(before.encode())
        project.requirements.path.write_bytes(b"pandas\n")
        kept = [line.replace("-base", "") for line in theirs(project)]
        there: set[str] = set()
        for put_in, name in steps:
            plan = PUT_IN[name] if put_in else TAKEN_OUT[name]
            try:
                change = project.edit(partial(plan, project))
            except InvalidContentError:
                assert [line.replace("-base", "") for line in theirs(project)] == kept
                continue
            assert change.changed or (name in there) == put_in
            there = there | {name} if put_in else there - {name}
            assert [line.replace("-base", "") for line in theirs(project)] == kept
            assert shape(project) == [block for block in BLOCKS if block in shape(project)]
            assert not put_in or not plan(project).changed
        for name in sorted(there):
            project.edit(partial(TAKEN_OUT[name], project))
        assert set(shape(project)) <= {OS_PACKAGES, PYTHON_PACKAGES}
        assert [line.replace("-base", "") for line in theirs(project)] == kept
        names = {path.name for path in project.root.iterdir()}
        assert names <= {".astro", "Dockerfile", "requirements.txt", "packages.txt", "certificates"}
        assert not (project.root / ".astro/private-packages.yaml").exists()
