from __future__ import annotations

import hashlib
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.project.checks.git import check_git
from astro_magic.project.checks.git_work_tree import find_work_tree, tracked_names
from astro_magic.project.dockerignore import is_excluded


def index_of(*names, version=2, hash_bytes=20):
    """Write an index as git does (gitformat-index)."""
    body = b""
    previous = b""
    for name in sorted(name.encode() for name in names):
        extended = version >= 3 and len(name) % 2 == 0
        flags = min(len(name), 0xFFF) | (0x4000 if extended else 0)
        entry = bytes(40 + hash_bytes) + struct.pack(">H", flags) + (b"\0\0" if extended else b"")
        if version == 4:
            common = 0
            while common < min(len(name), len(previous)) and name[common] == previous[common]:
                common += 1
            entry += varint(len(previous) - common) + name[common:] + b"\0"
            previous = name
        else:
            entry += name
            entry += bytes(8 - len(entry) % 8)
        body += entry
    data = b"DIRC" + struct.pack(">II", version, len(names)) + body
    return data + hashlib.sha1(data).digest()


def varint(value):
    """Write a number as in pack files: seven bits a byte, the highest first."""
    found = [value & 0x7F]
    value >>= 7
    while value:
        value -= 1
        found.append(0x80 | value & 0x7F)
        value >>= 7
    return bytes(reversed(found))


def make_repository(root):
    (root / ".git" / "info").mkdir(parents=True)
    (root / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (root / ".git" / "config").write_text("[core]\n\tbare = false\n")


@pytest.fixture
def repository(project):
    make_repository(project.root)
    return project


def found(project, check):
    return [finding for finding in check_git(project) if finding.check == check]


def test_a_new_project_is_in_order(project, repository):
    assert list(check_git(project)) == []


def test_outside_of_git_nothing_is_asked_of_it(project):
    (project.root / ".gitignore").write_text("")
    assert list(check_git(project)) == []


def test_files_of_secrets_that_git_does_not_ignore(repository):
    root = repository.root
    (root / ".gitignore").write_text("")
    (root / "include" / "id_rsa").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    (root / "include" / "server.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    (root / "company-ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (root / "pip.conf").write_text("[global]\nindex-url = https://me:hunter2@host/simple\n")
    (root / "private-requirements.txt").write_text("--index-url https://${USER}:${TOKEN}@host/simple\n")
    (root / "dev.env").write_text("")
    (root / ".env.example").write_text("TOKEN=\n")
    (root / ".netrc").write_text("machine host login me password hunter2\n")
    unignored = found(repository, "unignored-secrets")
    assert [finding.file for finding in unignored] == [
        ".env",
        ".netrc",
        "airflow_settings.yaml",
        "dev.env",
        "pip.conf",
        "include/id_rsa",
        "include/server.pem",
    ]
    assert all(finding.severity == "warning" for finding in unignored)
    assert unignored[0].hint == "Add the line .env to .gitignore."
    (root / ".gitignore").write_text("".join(f"{finding.hint.split()[3]}\n" for finding in unignored))
    assert found(repository, "unignored-secrets") == []


@pytest.mark.parametrize("version", [2, 3, 4])
def test_tracked_files_of_secrets(repository, version):
    (repository.root / ".git" / "index").write_bytes(
        index_of("README.md", ".env", "airflow_settings.yaml", "dags/a.py", version=version)
    )
    repository.dotenv.path.write_text("API_TOKEN=hunter2\n")
    findings = found(repository, "tracked-secrets")
    # Errors where there is a secret; that git would ignore the files does not help.
    assert [(finding.file, finding.severity) for finding in findings] == [
        (".env", "error"),
        ("airflow_settings.yaml", "warning"),
    ]
    assert "git rm --cached .env" in findings[0].hint
    assert "hunter2" not in repr(findings)


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("A=1", False),
        ("API_TOKEN=", False),
        ("API_TOKEN=''", False),
        ("# API_TOKEN=x", False),
        ("export API_TOKEN=x", True),
        ("A=https://me:pw@host", True),
        ("AIRFLOW_CONN_DB=postgresql://host", True),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions on Windows")
def test_what_counts_as_a_secret_in_env(project, line, secret):
    project.dotenv.path.write_text(f"B=2\n{line}\n")
    project.dotenv.path.chmod(0o644)
    findings = found(project, "readable-secrets")
    assert [finding.hint for finding in findings] == (["Run chmod 600 .env."] if secret else [])
    project.dotenv.path.chmod(0o600)
    assert found(project, "readable-secrets") == []


@pytest.mark.parametrize(
    ("lines", "secret"),
    [
        ("    - conn_id: db\n      conn_host: db\n      conn_password:\n", False),
        ("    - conn_id: db\n      conn_password: ''\n", False),
        ("    - conn_id: db\n      conn_password: # here\n", False),
        ("    - conn_id: db\n      conn_password: x\n", True),
        ("    - conn_uri: postgresql://host\n", True),
        ("      conn_extra:\n        secret_key: x\n", True),
        ("      conn_extra:\n        region: x\n", False),
        ("    - variable_name: greeting\n      variable_value: hello\n", False),
        ("    - variable_name: api_token\n      variable_value: hello\n", True),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions on Windows")
def test_what_counts_as_a_secret_in_the_settings(project, lines, secret):
    path = project.root / "airflow_settings.yaml"
    path.write_text(f"airflow:\n  connections:\n{lines}")
    path.chmod(0o640)
    assert len(found(project, "readable-secrets")) == secret


def test_a_folder_of_variables(repository):
    repository.dotenv.path.unlink()
    (repository.root / ".env").mkdir()
    (repository.root / ".env" / "dev.env").write_text("A=1\n")
    assert found(repository, "unignored-secrets") == []
    (repository.root / ".gitignore").write_text("airflow_settings.yaml\n")
    (finding,) = found(repository, "unignored-secrets")
    assert (finding.file, finding.hint) == (".env/dev.env", "Add the line .env to .gitignore.")


@pytest.mark.parametrize(
    ("top", "inner", "exclude", "ignored"),
    [
        ("", "", "", False),
        (".env\n", "", "", True),
        ("*.env", "", "", True),
        (".env/\n", "", "", False),
        ("/.env\n", "", "", False),
        ("/team/shop/.env\n", "", "", True),
        ("shop/\n", "!.env\n", "", True),
        ("shop/*\n", "!.env\n", "", False),
        (".env\n!.env\n", "", "", False),
        ("!.env\n.env\n", "", "", True),
        ("", "/.env\r\n", "", True),
        ("", "\ufeff.env\n", "", True),
        ("", "[z-a]\n[[x]\n!\n.env\n", "", True),
        ("", "", ".env\n", True),
        ("!.env\n", "", ".env\n", False),
        ("# .env\n\\#.env\n", "", "", False),
        ("**/.env   \n", "", "", True),
    ],
)
def test_gitignore(tmp_path, top, inner, exclude, ignored):
    make_repository(tmp_path)
    (tmp_path / "team" / "shop").mkdir(parents=True)
    (tmp_path / ".gitignore").write_text(top, newline="")
    (tmp_path / "team" / "shop" / ".gitignore").write_text(inner, newline="")
    (tmp_path / ".git" / "info" / "exclude").write_text(exclude)
    tree = find_work_tree(tmp_path / "team" / "shop")
    assert tree.root == tmp_path
    assert tree.ignored("team/shop/.env") is ignored


def test_the_patterns_of_the_user_count(tmp_path, monkeypatch):
    make_repository(tmp_path / "repository")
    tree = find_work_tree(tmp_path / "repository")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    (tmp_path / "settings" / "git").mkdir(parents=True)
    (tmp_path / "settings" / "git" / "ignore").write_text(".env\n")
    assert tree.ignored(".env")
    (tmp_path / "mine").write_text("*.pem\n")
    (tree.git / "config").write_text(f"[core]\n\texcludesFile = {tmp_path / 'mine'}\n")
    assert tree.ignored("a.pem")
    assert not tree.ignored(".env")


def test_work_trees_and_submodules(tmp_path):
    main = tmp_path / "main"
    make_repository(main)
    state = main / ".git" / "worktrees" / "other"
    state.mkdir(parents=True)
    (state / "HEAD").write_text("ref: x\n")
    (state / "commondir").write_text("../..\n")
    (state / "index").write_bytes(index_of(".env"))
    (main / ".git" / "info" / "exclude").write_text("secret\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / ".git").write_text(f"gitdir: {state}\n")
    tree = find_work_tree(other)
    assert tree.tracked([".env", "x"]) == {".env"}
    assert tree.ignored("secret")
    module = main / ".git" / "modules" / "sub"
    module.mkdir(parents=True)
    (module / "HEAD").write_text("ref: x\n")
    (module / "index").write_bytes(index_of("a"))
    (main / "sub").mkdir()
    (main / "sub" / ".git").write_text("gitdir: ../.git/modules/sub\n")
    assert find_work_tree(main / "sub").root == main / "sub"
    assert find_work_tree(main / "sub").tracked(["a"]) == {"a"}
    (main / "sub" / ".git").write_text("nonsense")
    assert find_work_tree(main / "sub") is None


def test_an_index_of_long_hashes(tmp_path):
    make_repository(tmp_path)
    (tmp_path / ".git" / "config").write_text("[extensions]\n\tobjectformat = sha256\n")
    (tmp_path / ".git" / "index").write_bytes(index_of("a", ".env", "b/c", hash_bytes=32))
    assert find_work_tree(tmp_path).tracked([".env", "c"]) == {".env"}


names = st.lists(st.text("ab/.", min_size=1, max_size=12), unique=True, max_size=12)


@given(names=names, version=st.sampled_from([2, 3, 4]), long=st.booleans())
def test_every_name_of_an_index_is_found_and_no_other(names, version, long):
    hash_bytes = 32 if long else 20
    index = index_of(*names, version=version, hash_bytes=hash_bytes)
    asked = {*names, "a", "ab", "b/a", "absent"}
    assert tracked_names(index, asked, hash_bytes=hash_bytes) == set(names)


@given(data=st.binary(max_size=120), version=st.sampled_from([2, 3, 4, 5]))
def test_a_damaged_index_has_no_names(data, version):
    tracked_names(data, ["a"])
    tracked_names(b"DIRC" + struct.pack(">II", version, 9) + data, ["a", ""])


def test_a_long_name_in_version_4(tmp_path):
    long = "a" * 300 + "/.env"
    assert tracked_names(index_of(long, "b", version=4), ["b", long]) == {"b", long}


@pytest.mark.parametrize(
    ("lines", "name", "excluded"),
    [
        ([], ".env", False),
        ([".env"], ".env", True),
        ([" /.env "], ".env", True),
        ([".env/"], ".env", True),
        (["./.env"], ".env", True),
        (["*"], ".astro/standalone", True),
        (["*", "!.env"], ".env", False),
        ([".env", "!*.env", ".env"], ".env", True),
        ([".astro"], ".astro/standalone", True),
        ([".astro/*"], ".astro/standalone", True),
        ([".astro/", "!.astro/standalone"], ".astro/standalone", False),
        (["**/standalone"], ".astro/standalone", True),
        (["**/.env"], ".env", True),
        (["*.env"], ".env", True),
        (["?env", "# x"], ".env", True),
        (["[.x]env"], ".env", True),
        (["standalone"], ".astro/standalone", False),
        (["# .env"], ".env", False),
        (["\\.env"], ".env", True),
        (["a**"], "a/b", True),
        (["(env"], ".env", False),
        (["[^a]env"], ".env", True),
        (["[z-a]", ".env"], ".env", True),
    ],
)
def test_dockerignore(lines, name, excluded):
    assert is_excluded(lines, name) is excluded


def test_what_gets_into_the_image(project):
    (project.root / ".astro" / "standalone").mkdir()
    ignore = project.root / ".dockerignore"
    ignore.write_text("\ufeff.env\r\nairflow_settings.yaml\r\n")
    (finding,) = found(project, "secrets-in-image")
    assert finding.hint == "Add the line .astro/standalone to .dockerignore."
    ignore.unlink()
    assert len(found(project, "secrets-in-image")) == 3
    (project.root / "Dockerfile.dockerignore").write_text("*\n")
    assert found(project, "secrets-in-image") == []
