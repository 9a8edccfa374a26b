"""The files that recipes write beside the Dockerfile."""

from __future__ import annotations

import pytest

from astro_magic.errors import InvalidContentError
from astro_magic.project.recipes.files import KnownHosts, PrivateRequirements
from astro_magic.project.recipes.recipes import (
    plan_certificates,
    plan_git,
    plan_index,
    plan_without_certificates,
    plan_without_git,
)
from astro_magic.project.recipes.repository import parse_repository
from astro_magic.project.recipes.sources import SourcesFile, SshAccess
from tests.unit.project.recipe_cases import (
    ACME,
    GITHUB,
    GITHUB_KEY,
    GITLAB,
    GITLAB_KEY,
    PEM,
    SHOP,
    WORK,
    applied,
    contents,
    dockerfile_of,
    write,
)

DATA = parse_repository("git@github.com:acme/data.git")
TOOLS = parse_repository("ssh://git@git.acme.com:2222/team/tools.git")


def read(project, name):
    return (project.root / name).read_text()


def requirements(project, *repositories, hosts=None):
    """Give the file of repositories after a plan, and see that the plan then changes nothing."""
    document = PrivateRequirements(project)
    after = document.plan_repositories(repositories, hosts or {}).after
    document.path.write_bytes(after)
    assert document.plan_repositories(repositories, hosts or {}).kind == "unchanged"
    return after.decode()


# ------------------------------------------------------------------------------------------------------ repositories


@pytest.mark.parametrize(
    ("before", "address", "after"),
    [
        ("", "git@github.com:acme/shop.git", "git+ssh://git@github.com/acme/shop.git\n"),
        # Another reference, in place, with the comment.
        (
            "# ours\ngit+ssh://git@github.com/acme/shop.git@v1  # pinned\nother==1\n",
            "git@github.com:acme/shop.git@v2",
            "# ours\ngit+ssh://git@github.com/acme/shop.git@v2  # pinned\nother==1\n",
        ),
        (
            "git+ssh://git@github.com/acme/shop.git@v1\n",
            "git@github.com:acme/shop.git",
            "git+ssh://git@github.com/acme/shop.git\n",
        ),
        # With line ends of Windows, a byte order mark and no end of the last line.
        (
            "\ufeffother==1\r\ngit+ssh://git@github.com/acme/shop.git@v1",
            "git@github.com:acme/shop.git@v2",
            "\ufeffother==1\r\ngit+ssh://git@github.com/acme/shop.git@v2",
        ),
        ("a==1\r\nb==2", "git@h.com:x.git", "a==1\r\nb==2\r\ngit+ssh://git@h.com/x.git\r\n"),
        ("a==1\nb==2\r\nc==3\n", "git@h.com:x.git", "a==1\nb==2\r\nc==3\ngit+ssh://git@h.com/x.git\n"),
        # The name that the file has stays when no other is given; one that is given takes its place.
        (
            "shop[sql] @ git+ssh://git@github.com/acme/shop.git@v1\n",
            "git@github.com:acme/shop.git@v2",
            "shop[sql] @ git+ssh://git@github.com/acme/shop.git@v2\n",
        ),
        (
            "shop @ git+ssh://git@github.com/acme/shop.git\n",
            "acme-shop @ git@github.com:acme/shop",
            "acme-shop @ git+ssh://git@github.com/acme/shop\n",
        ),
        # The same repository in another spelling.
        ("git+ssh://git@GitHub.com/acme/shop.git#egg=shop\n", "git@github.com:acme/shop.git", None),
        # Another package of the same repository.
        (
            "git+ssh://git@h.com/x.git#subdirectory=a\n",
            "git+ssh://git@h.com/x.git#subdirectory=b",
            "git+ssh://git@h.com/x.git#subdirectory=a\ngit+ssh://git@h.com/x.git#subdirectory=b\n",
        ),
    ],
)
def test_repositories(project, before, address, after):
    write(project, private_requirements_txt=before)
    assert requirements(project, parse_repository(address)) == (before if after is None else after)


def test_the_same_repository_by_another_alias(project):
    write(project, private_requirements_txt="git+ssh://git@github.com/acme/shop.git@v1  # mine\n")
    applied(project, lambda found: plan_git(found, [SHOP], WORK, [GITHUB_KEY]))
    assert read(project, "private-requirements.txt") == "git+ssh://git@github-work/acme/shop.git  # mine\n"
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    assert read(project, "private-requirements.txt") == "git+ssh://git@github.com/acme/shop.git  # mine\n"
    # It can be removed by the host's own name.
    applied(project, lambda found: plan_git(found, [SHOP], WORK, [GITHUB_KEY]))
    project.edit(lambda: plan_without_git(project, [SHOP]))
    assert not (project.root / "private-requirements.txt").exists()


def test_one_key_for_several_repositories(project):
    applied(project, lambda found: plan_git(found, [SHOP, DATA], GITHUB, [GITHUB_KEY]))
    assert SourcesFile(project).sources().keys == (GITHUB,)
    assert dockerfile_of(project).count("type=ssh,id=github") == 1
    project.edit(lambda: plan_without_git(project, [SHOP]))
    assert read(project, "private-requirements.txt") == f"{DATA.requirement}\n"
    assert SourcesFile(project).sources().keys == (GITHUB,)
    assert read(project, "private-known-hosts") == f"{GITHUB_KEY}\n"


def test_what_is_not_there_cannot_be_removed(project):
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    with pytest.raises(InvalidContentError, match=r"does not name git\.acme\.com:2222/team/tools\.git\.") as refused:
        plan_without_git(project, [TOOLS])
    assert refused.value.hint == "It names: github.com/acme/shop.git."
    assert not plan_without_git(project, []).changed


def test_packages_that_are_named_otherwise_still_need_the_steps(project):
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    write(
        project,
        private_requirements_txt=f'{SHOP.requirement}\ndata @ {DATA.requirement} ; python_version > "3.9"\n',
    )
    project.edit(lambda: plan_without_git(project, [SHOP]))
    assert "type=ssh,id=github" in dockerfile_of(project)
    assert read(project, "private-known-hosts") == f"{GITHUB_KEY}\n"


# --------------------------------------------------------------------------------------------------------------- keys


def test_two_hosts(project):
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    applied(project, lambda found: plan_git(found, [TOOLS], GITLAB, [GITLAB_KEY]))
    assert read(project, "private-known-hosts") == f"{GITHUB_KEY}\n{GITLAB_KEY}\n"
    assert read(project, "private-ssh-config") == (
        "# Which key SSH takes for which host while the image is built; made from .astro/private-packages.yaml.\n"
        "Host github.com\n"
        "    IdentityAgent /run/ssh/github\n"
        "Host git.acme.com\n"
        "    IdentityAgent /run/ssh/gitlab\n"
    )
    assert (
        "RUN --mount=type=ssh,id=github,target=/run/ssh/github,required=true \\\n"
        "    --mount=type=ssh,id=gitlab,target=/run/ssh/gitlab,required=true \\\n"
        "    --mount=type=bind,source=private-known-hosts,target=/etc/ssh/ssh_known_hosts \\\n"
        "    --mount=type=bind,source=private-ssh-config,target=/etc/ssh/ssh_config.d/private.conf \\\n"
        "    pip install"
    ) in dockerfile_of(project)


def test_back_to_one_key(project):
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    before = contents(project)
    applied(project, lambda found: plan_git(found, [TOOLS], GITLAB, [GITLAB_KEY]))
    project.edit(lambda: plan_without_git(project, [TOOLS]))
    assert contents(project) == before


def test_two_keys_for_one_host(project):
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    applied(project, lambda found: plan_git(found, [DATA], WORK, [GITHUB_KEY]))
    assert read(project, "private-requirements.txt") == (
        "git+ssh://git@github.com/acme/shop.git\ngit+ssh://git@github-work/acme/data.git\n"
    )
    assert read(project, "private-known-hosts") == f"{GITHUB_KEY}\n"
    assert read(project, "private-ssh-config").partition("\n")[2] == (
        "Host github.com\n"
        "    IdentityAgent /run/ssh/github\n"
        "Host github-work\n"
        "    HostName github.com\n"
        "    HostKeyAlias github.com\n"
        "    IdentityAgent /run/ssh/work\n"
    )
    # The host is known as long as one of the keys is for it.
    project.edit(lambda: plan_without_git(project, [SHOP]))
    assert read(project, "private-known-hosts") == f"{GITHUB_KEY}\n"
    assert "Host github.com\n" not in read(project, "private-ssh-config")


def test_an_alias_with_a_port(project):
    access = SshAccess("other", "git.acme.com", port=2222, alias="acme-other")
    applied(project, lambda found: plan_git(found, [TOOLS], access, [GITLAB_KEY]))
    assert read(project, "private-requirements.txt") == "git+ssh://git@acme-other:2222/team/tools.git\n"
    assert read(project, "private-ssh-config").partition("\n")[2] == (
        "Host acme-other\n"
        "    HostName git.acme.com\n"
        "    HostKeyAlias [git.acme.com]:2222\n"
        "    Port 2222\n"
        "    IdentityAgent /run/ssh/other\n"
    )


def test_a_second_key_needs_an_alias(project):
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    with pytest.raises(InvalidContentError, match=r"For github\.com there is the key github already\.") as refused:
        plan_git(project, [DATA], SshAccess("other", "github.com"), [GITHUB_KEY])
    assert "give other an alias" in refused.value.hint


def test_a_key_that_changes_keeps_its_place(project):
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    applied(project, lambda found: plan_git(found, [TOOLS], GITLAB, [GITLAB_KEY]))
    before = dockerfile_of(project)
    other = SshAccess("github", "github.com", key="agent")
    applied(project, lambda found: plan_git(found, [SHOP], other, [GITHUB_KEY]))
    assert dockerfile_of(project) == before
    assert [key.key for key in SourcesFile(project).sources().keys] == ["agent", "agent"]
    # A recipe of another kind finds the keys in the same order.
    applied(project, lambda found: plan_index(found, ACME))
    assert dockerfile_of(project).index("id=github,") < dockerfile_of(project).index("id=gitlab,")


def test_a_key_that_repositories_themselves_need_stays(project):
    applied(project, lambda found: plan_git(found, [SHOP], GITHUB, [GITHUB_KEY]))
    applied(project, lambda found: plan_git(found, [], GITLAB, [GITLAB_KEY]))
    applied(project, lambda found: plan_git(found, [DATA], WORK, [GITHUB_KEY]))
    project.edit(lambda: plan_without_git(project, [DATA]))
    assert SourcesFile(project).sources().keys == (GITHUB, GITLAB)
    project.edit(lambda: plan_without_git(project, [SHOP]))
    assert SourcesFile(project).sources().keys == ()
    assert not (project.root / "private-known-hosts").exists()


# -------------------------------------------------------------------------------------------------------- known hosts


@pytest.mark.parametrize(
    ("before", "keys", "after"),
    [
        ("", [GITHUB_KEY, "", GITHUB_KEY], f"{GITHUB_KEY}\n"),
        (
            f"# mine\n\n{GITLAB_KEY}\r\n@revoked *",
            [GITHUB_KEY],
            f"# mine\n\n{GITLAB_KEY}\r\n@revoked *\n{GITHUB_KEY}\n",
        ),
        (f"github.com ssh-rsa OLD\n{GITLAB_KEY}\n", [GITHUB_KEY], f"{GITLAB_KEY}\n{GITHUB_KEY}\n"),
        (f"  {GITHUB_KEY}", [GITHUB_KEY], None),
        (f"a b c\r\n{GITHUB_KEY}\r\n", [GITLAB_KEY], f"a b c\r\n{GITHUB_KEY}\r\n{GITLAB_KEY}\r\n"),
    ],
)
def test_known_hosts(project, before, keys, after):
    document = KnownHosts(project)
    document.path.write_bytes(before.encode())
    found = document.plan_keys(keys).after
    assert found.decode() == (before if after is None else after)
    document.path.write_bytes(found)
    assert document.plan_keys(keys).kind == "unchanged"


def test_hosts_of_others_stay_known(project):
    mine = "# mine\n|1|hashed= ssh-rsa A\ngithub.com,10.0.0.1 ssh-rsa B\n@cert-authority *.acme.com ssh-rsa C"
    document = KnownHosts(project)
    document.path.write_bytes(f"{GITHUB_KEY}\n{mine}".encode())
    assert document.plan_without({"github.com"}).after.decode() == mine
    assert document.plan_without({"gitlab.com"}).kind == "unchanged"
    document.path.write_bytes(f"{GITHUB_KEY}\n\n".encode())
    assert document.plan_without({"github.com"}).kind == "removed"


# ------------------------------------------------------------------------------------------------------- certificates


def test_certificates(project):
    applied(project, lambda found: plan_certificates(found, "acme", {"root": PEM, "issuing-2.b": PEM}))
    assert (project.root / "certificates/acme/root.crt").read_bytes() == PEM
    with pytest.raises(InvalidContentError, match=r"has no certificate 'certificates/acme/x\.crt'") as refused:
        plan_without_certificates(project, ["certificates/acme/x.crt"])
    assert refused.value.hint == "There is: certificates/acme/issuing-2.b.crt, certificates/acme/root.crt."
    project.edit(lambda: plan_without_certificates(project, ["certificates/acme/root.crt"]))
    assert "ca-certificate" in project.dockerfile.blocks()
    project.edit(lambda: plan_without_certificates(project, ["certificates/acme/issuing-2.b.crt"]))
    assert "ca-certificate" not in project.dockerfile.blocks()


@pytest.mark.parametrize("company", ["", "a/b", "../x", "-a", "a b", "a\n", "a.b"])
def test_names_of_companies(project, company):
    with pytest.raises(InvalidContentError, match="cannot be the name of a folder of certificates") as refused:
        plan_certificates(project, company, {"root": PEM})
    assert refused.value.hint == "Use letters, digits, - and _, as in --company acme."


@pytest.mark.parametrize("name", ["", "a/b", "../x", "-a", "a b"])
def test_names_of_certificates(project, name):
    with pytest.raises(InvalidContentError, match="cannot be the name of a certificate's file"):
        plan_certificates(project, "acme", {name: PEM})
