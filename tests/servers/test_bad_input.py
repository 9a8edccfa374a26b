"""What can be wrong with a private repository, an index or a certificate: told before anything is written."""

from __future__ import annotations

import pytest

from astro_magic.errors import AstroMagicError
from astro_magic.private.adding import check_private_index, check_repositories, choose_access, choose_host_keys
from astro_magic.private.certificates import read_authorities
from astro_magic.private.hosts import read_known_hosts
from astro_magic.project.project import Project
from astro_magic.project.recipes.repository import parse_repository
from astro_magic.system.events import run
from tests.servers.using import PASSWORD_VARIABLE, USER_VARIABLE, add_repository, fingerprint_of, index_of, trust

#: Of no key: it has the form of one.
OTHER = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def project(tmp_path):
    """A project in which nothing is written."""
    made = Project.create(tmp_path / "shop").project
    before = {path: path.read_bytes() for path in made.root.rglob("*") if path.is_file()}
    yield made
    ours = {path for path in made.root.rglob("*") if path.is_file() and made.state_dir not in path.parents}
    assert {path: path.read_bytes() for path in ours} == before


def check(project, server, name, *, key, reference="v1.0.0"):
    """Read a repository with a key, as the magic does before it writes."""
    repository = parse_repository(f"{server.url(name)}@{reference}")
    access = choose_access(project, [repository], key=str(key.path))
    host_keys = read_known_hosts(server.known_hosts.read_text())
    run(check_repositories(project, [repository], access, host_keys), lambda _: None)


def refusal(project, server, name, **how):
    with pytest.raises(AstroMagicError) as error:
        check(project, server, name, **how)
    return str(error.value)


def test_a_key_with_a_passphrase(project, git_server):
    said = refusal(project, git_server, "shop-metrics", key=git_server.protected)
    assert "passphrase" in said
    assert "ssh-add" in said


def test_the_wrong_key(project, git_server):
    assert "refuses" in refusal(project, git_server, "shop-metrics", key=git_server.stranger)


def test_a_key_that_may_not_read_it(project, git_server):
    said = refusal(project, git_server, "shop-tools", key=git_server.deploy, reference="v2.0.0")
    assert "may not read it" in said


def test_a_host_with_another_key_than_was_given(project, git_server):
    repository = parse_repository(git_server.url("shop-metrics"))
    access = choose_access(project, [repository], key=str(git_server.developer.path))
    with pytest.raises(AstroMagicError) as error:
        choose_host_keys(project, access, wanted=OTHER)
    assert OTHER in str(error.value)
    assert fingerprint_of(git_server) in str(error.value)


def test_a_host_whose_key_has_changed(project, git_server):
    expected = fingerprint_of(git_server)
    with git_server.other_host_key():
        said = refusal(project, git_server, "shop-metrics", key=git_server.developer)
    assert expected in said
    assert said.count("SHA256:") == 2


def test_a_host_that_is_not_there(project, git_server):
    with git_server.stopped():
        assert "refuses connections" in refusal(project, git_server, "shop-metrics", key=git_server.developer)


def test_single_sign_on(project, git_server):
    with git_server.refusing():
        said = refusal(project, git_server, "shop-metrics", key=git_server.developer)
    assert "SAML SSO" in said


def test_no_package_and_no_such_tag(project, git_server):
    assert "has no package" in refusal(project, git_server, "shop-notes", key=git_server.developer, reference="main")
    said = refusal(project, git_server, "shop-metrics", key=git_server.developer, reference="v9")
    assert "has no branch and no tag 'v9'" in said


def index_refusal(project, index) -> str:
    with pytest.raises(AstroMagicError) as error:
        run(check_private_index(project, index), lambda _: None)
    return str(error.value)


@pytest.fixture
def login(private_index, monkeypatch):
    """Let the variables have the login of the index."""
    monkeypatch.setenv(USER_VARIABLE, private_index.user)
    monkeypatch.setenv(PASSWORD_VARIABLE, private_index.password)


def test_an_index(tmp_path, private_index, authority, login, monkeypatch):
    project = Project.create(tmp_path / "shop").project
    index = index_of(private_index)
    assert "%astro_ca_cert" in index_refusal(project, index)
    trust(project, authority)
    assert run(check_private_index(project, index), lambda _: None).on_both == ()
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-4711")
    for status in (401, 403):
        with private_index.answering_wrong_logins(status):
            said = index_refusal(project, index)
        assert "login" in said
        assert "wrong-4711" not in said
    with private_index.stopped():
        assert "reached" in index_refusal(project, index)
    monkeypatch.delenv(PASSWORD_VARIABLE)
    assert f"{PASSWORD_VARIABLE}, which is not set" in index_refusal(project, index)


@pytest.mark.parametrize(("kind", "why"), [("expired", "expired"), ("no_authority", "no authority")])
def test_certificates(authority, kind, why):
    with pytest.raises(AstroMagicError) as error:
        read_authorities(getattr(authority, kind))
    assert why in str(error.value) or "authority" in str(error.value)


def test_a_name_that_is_on_both_indexes(tmp_path, private_index, authority, login):
    project = Project.create(tmp_path / "shop").project
    trust(project, authority)
    project.requirements.add("humanize", "shop-pricing")
    wheel = private_index.add_wheel("humanize", "99.0")
    try:
        found = run(check_private_index(project, index_of(private_index)), lambda _: None)
        only = run(check_private_index(project, index_of(private_index, only=("humanize",))), lambda _: None)
    finally:
        # The index is for all tests.
        wheel.unlink()
    assert found.on_both == ("humanize",)
    assert only.on_both == ()


def test_a_repository_in_a_project_with_windows_line_ends(tmp_path, git_server):
    project = Project.create(tmp_path / "shop").project
    dockerfile = project.root / "Dockerfile"
    dockerfile.write_bytes(dockerfile.read_bytes().replace(b"\n", b"\r\n"))
    (project.root / "packages.txt").unlink()

    add_repository(project, git_server, "shop-metrics", reference="v1.0.0", key=git_server.developer)

    content = dockerfile.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert project.os_packages.names().keys() == {"openssh-client", "git"}
    assert project.undo().changed
    assert not (project.root / "packages.txt").exists()
