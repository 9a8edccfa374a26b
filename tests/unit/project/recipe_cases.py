"""What the tests of recipes have in common: images, sources, and the recipes themselves."""

from __future__ import annotations

from astro_magic.project.recipes.recipes import plan_certificates, plan_commands, plan_git, plan_index
from astro_magic.project.recipes.repository import parse_repository
from astro_magic.project.recipes.sources import PackageIndex, SshAccess

RUNTIME = "astrocrpublic.azurecr.io/runtime:3.3-8"
ASTRO_RUNTIME = "quay.io/astronomer/astro-runtime:13.11.0"
APACHE = "apache/airflow:3.3.2"
DIGEST = f"sha256:{'0' * 64}"

SHOP = parse_repository("git@github.com:acme/shop.git")
GITHUB = SshAccess("github", "github.com", key="~/.ssh/id_ed25519")
WORK = SshAccess("work", "github.com", key="~/.ssh/work", alias="github-work")
GITLAB = SshAccess("gitlab", "git.acme.com", port=2222)
GITHUB_KEY = "github.com ssh-ed25519 AAAA"
GITLAB_KEY = "[git.acme.com]:2222 ssh-ed25519 BBBB"
ACME = PackageIndex("acme", "https://pypi.acme.com/simple/", "env:ACME_USER", "env:ACME_PASSWORD")
OPEN = PackageIndex("open", "https://open.acme.com/simple/")
PEM = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

#: Each recipe once.
RECIPES = {
    "git": lambda project: plan_git(project, [SHOP], GITHUB, [GITHUB_KEY]),
    "index": lambda project: plan_index(project, ACME),
    "certificate": lambda project: plan_certificates(project, "acme", {"root": PEM}),
    "commands": lambda project: plan_commands(project, ["ls"]),
}


def applied(project, plan):
    """Apply a plan, and see that it is one that changes nothing when it is made again; gives the change."""
    change = project.edit(lambda: plan(project))
    again = plan(project)
    assert not again.changed, again.diff()
    return change


def contents(project):
    """Give all files of a project, but for what is kept about it."""
    found = (path for path in project.root.rglob("*") if path.is_file())
    names = {path.relative_to(project.root).as_posix(): path.read_bytes() for path in found}
    return {name: data for name, data in names.items() if not name.startswith(".astro/magic/")}


def write(project, **files):
    """Write files of a project, ``Dockerfile`` and such with ``.`` for ``_`` in front of their ending."""
    for name, text in files.items():
        path = project.root / name.replace("_txt", ".txt").replace("_", "-")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def dockerfile_of(project):
    return (project.root / "Dockerfile").read_bytes().decode()
