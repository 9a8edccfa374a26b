"""The magics of private packages, certificates and build steps, with a small environment."""

import re

import pytest
from IPython.core.error import UsageError

from astro_magic.errors import InvalidContentError
from astro_magic.private.hosts import HostKey, HostKeyChoice
from astro_magic.project.recipes.sources import SourcesFile
from tests.servers.authority import Authority
from tests.servers.keys import make_key

INDEX = "https://packages.example.com/simple"


@pytest.fixture
def key(tmp_path):
    (tmp_path / "keys").mkdir()
    return make_key(tmp_path / "keys", "shop").path


def test_repositories_are_written_listed_and_taken_out(shell, environment, project, key):
    cell = f"%astro_private_git git@github.com:acme/shop.git@v1 --key {key} --no-check"

    view = shell.cell(cell)

    assert [each.name for each in view.change.files if each.kind != "unchanged"] == [
        "private-requirements.txt",
        "private-known-hosts",
        "packages.txt",
        ".astro/private-packages.yaml",
        "Dockerfile",
    ]
    assert "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU, the one that it publishes" in repr(view)
    assert not shell.cell(cell).change.changed
    assert "github.com/acme/shop.git@v1" in repr(shell.cell("%astro_private_git"))
    assert project.dockerfile.blocks().keys() == {"private-packages"}
    shell.cell("%astro_private_git --remove git@github.com:acme/shop.git")
    assert project.dockerfile.blocks() == {}
    shell.cell("%astro_undo 2")
    assert not (project.root / "private-requirements.txt").exists()


def test_a_dry_run_writes_nothing(shell, environment, project, key):
    view = shell.cell(f"%astro_private_git git@github.com:acme/shop.git --key {key} --no-check --dry-run")
    assert "Dry run: nothing was written." in repr(view)
    assert not (project.root / "private-requirements.txt").exists()


@pytest.mark.parametrize("answer", [True, False, None])
def test_an_unknown_host_is_asked_about(shell, environment, project, key, monkeypatch, answer):
    known = HostKey(
        "git.example.com", 22, "ssh-ed25519", "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    )
    monkeypatch.setattr("astro_magic.private.hosts.choose", lambda *_, **__: HostKeyChoice((known,), "scanned"))
    asked = []

    def confirm(text):
        asked.append(text)
        return answer

    monkeypatch.setattr("astro_magic.magics.session.Session.confirm", staticmethod(confirm))
    cell = f"%astro_private_git git@git.example.com:acme/shop.git --key {key} --no-check"
    if answer:
        assert "confirmed" in repr(shell.cell(cell))
    else:
        with pytest.raises(InvalidContentError, match=re.escape(f"--host-key {known.fingerprint}")):
            shell.cell(cell)
        assert not (project.root / "private-known-hosts").exists()
    assert known.fingerprint in asked[0]


def test_an_index_is_written_listed_and_taken_out(shell, environment, project):
    cell = f"%astro_private_index {INDEX}/ --user ana --password-from-env SHOP_PASSWORD --no-check"

    view = shell.cell(cell)

    assert "3.3-8-base now" in repr(view)
    (index,) = SourcesFile(project).sources().indexes
    assert (index.name, index.url, index.user, index.password) == ("example", INDEX, "ana", "env:SHOP_PASSWORD")
    assert not shell.cell(cell).change.changed
    shell.cell(f"%astro_private_index {INDEX} --only Shop_Metrics --no-check")
    (index,) = SourcesFile(project).sources().indexes
    assert (index.user, index.only) == ("ana", ("shop-metrics",))
    assert "env:SHOP_PASSWORD" in repr(shell.cell("%astro_private_index"))
    script = shell.cell("%astro_build --elsewhere").script
    assert """'machine %s login %s password %s\\n' packages.example.com ana "$SHOP_PASSWORD" >> "$logins\"""" in script
    # A login in the project's folder would be copied into the image with it.
    assert "logins=$(mktemp)" in script
    shell.cell("%astro_private_index --remove example")
    assert not SourcesFile(project).sources()


def test_a_password_that_was_asked_for_is_kept(shell, environment, project, monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setattr("astro_magic.private.logins.keyrings.keep", lambda name, _: f"keyring:{name}")
    monkeypatch.setattr("astro_magic.magics.session.Session.ask_secret", staticmethod(lambda _: "sesame-4711"))
    view = shell.cell(f"%astro_private_index {INDEX} --user ana --password-prompt --no-check")
    assert SourcesFile(project).sources().indexes[0].password == "keyring:private-index-example"
    assert "sesame" not in f"{view!r}{view._repr_mimebundle_()}"


def test_certificates_are_copied_listed_and_taken_out(shell, environment, project, tmp_path):
    (tmp_path / "authority").mkdir()
    authority = Authority(tmp_path / "authority")

    view = shell.cell(f"%astro_ca_cert {authority.pem} --company acme")

    (name,) = [each.name for each in view.change.files if each.name.endswith(".crt")]
    assert "BEGIN CERTIFICATE" not in repr(view)
    assert name in repr(shell.cell("%astro_ca_cert"))
    shell.cell(f"%astro_ca_cert --remove {name}")
    assert project.dockerfile.blocks() == {}


def test_commands_are_added_listed_and_taken_out(shell, environment, project):
    shell.cell("%astro_run_on_build ls -l 'a b'")
    shell.cell("%%astro_run_on_build --root\n# what it needs\napt-get update\n\nwhoami\n")
    block = project.dockerfile.blocks()["run-on-build"].text
    assert block.splitlines() == [
        "RUN ls -l 'a b'",
        "USER root",
        "RUN apt-get update",
        "RUN whoami",
        "USER astro",
    ]
    assert "whoami" in repr(shell.cell("%astro_run_on_build"))
    shell.cell("%astro_run_on_build --remove ls -l 'a b'")
    shell.cell("%astro_run_on_build --remove")
    assert project.dockerfile.blocks() == {}


@pytest.mark.parametrize(
    "cell",
    [
        "%astro_private_git --remove",
        "%astro_private_git git@github.com:acme/shop.git --key a --agent",
        f"%astro_private_index {INDEX} --user a --user-from-env B",
        f"%astro_private_index {INDEX} --user a --password-from-env B --password-prompt",
        f"%astro_private_index {INDEX} --password-from-env B",
        "%astro_private_index --remove",
        "%astro_ca_cert --remove",
        "%%astro_run_on_build ls\nls",
    ],
)
def test_wrong_uses(shell, environment, project, cell):
    with pytest.raises(UsageError):
        shell.cell(cell)
