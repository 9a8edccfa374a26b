"""``.astro/private-packages.yaml``: what it says, what it cannot say, and what an edit leaves as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.errors import InvalidContentError
from astro_magic.project import Project
from astro_magic.project.recipes.sources import NAME, PackageIndex, PrivateSources, SourcesFile, SshAccess, index_name
from tests.unit.project.recipe_cases import ACME, GITHUB, GITLAB, OPEN, WORK

FILE = """\
# Ours.
keys:
  # The deploy key.
  github:
    host: github.com  # not the mirror
    key: ~/.ssh/deploy

indexes:
  acme:  # behind the proxy
    url: https://pypi.acme.com/simple/
    user: deploy
    login: env:ACME_PASSWORD
"""


@pytest.fixture
def sources(tmp_path):
    (tmp_path / ".astro").mkdir()
    return SourcesFile(Project(tmp_path))


def planned(document, text, wanted):
    """Give the file after a plan, and see that it then says what was planned, and nothing changes any more."""
    document.path.write_bytes(text.encode())
    (change,) = document.plan(wanted)
    document.path.write_bytes(change.after)
    assert document.sources() == wanted
    assert [each.kind for each in document.plan(wanted)] == ["unchanged"]
    return change.after.decode()


def test_what_is_written_first(sources):
    (change,) = sources.plan(PrivateSources((ACME, OPEN), (GITHUB, WORK, GITLAB)))
    text = change.after.decode()
    assert text.startswith(
        "# Where private packages come from. Logins and keys are named here; none of them stands here."
    )
    assert text.partition("\n")[2] == (
        "indexes:\n"
        "  acme:\n"
        "    url: https://pypi.acme.com/simple/\n"
        "    user: env:ACME_USER\n"
        "    login: env:ACME_PASSWORD\n"
        "  open:\n"
        "    url: https://open.acme.com/simple/\n"
        "keys:\n"
        "  github:\n"
        "    host: github.com\n"
        '    key: "~/.ssh/id_ed25519"\n'
        "  work:\n"
        "    host: github.com\n"
        '    key: "~/.ssh/work"\n'
        "    alias: github-work\n"
        "  gitlab:\n"
        "    host: git.acme.com\n"
        "    port: 2222\n"
        "    key: agent\n"
    )


def test_without_a_source_there_is_no_file(sources):
    assert sources.sources() == PrivateSources()
    assert not PrivateSources()
    assert sources.plan(PrivateSources()) == ()
    sources.path.write_text(FILE)
    assert [each.kind for each in sources.plan(PrivateSources())] == ["removed"]


def test_what_an_edit_is_not_about_stays(sources):
    there = PrivateSources(
        (PackageIndex("acme", "https://pypi.acme.com/simple/", "deploy", "env:ACME_PASSWORD"),),
        (SshAccess("github", "github.com", key="~/.ssh/deploy"),),
    )
    assert planned(sources, FILE, there) == FILE
    other = PackageIndex("acme", "https://pypi.acme.com/simple/", "deploy", "keyring:acme")
    windows = FILE.replace("\n", "\r\n").rstrip()
    after = planned(sources, windows, there.with_index(other))
    assert after == windows.replace("env:ACME_PASSWORD", "keyring:acme")
    after = planned(sources, f"\ufeff{FILE}", there.with_key(WORK))
    assert after == f"\ufeff{FILE}".replace(
        "deploy\n\nindexes",
        'deploy\n  work:\n    host: github.com\n    key: "~/.ssh/work"\n    alias: github-work\n\nindexes',
    )
    # Quotes are left as they are, or as they are not.
    for written in ("port: 2222", 'port: "2222"'):
        text = f"keys:\n  gitlab:\n    host: 'git.acme.com'\n    {written}\n    key: agent\n"
        assert planned(sources, text, PrivateSources(keys=(GITLAB,))) == text
    # A whole section goes; the rest stays.
    assert planned(sources, FILE, PrivateSources(there.indexes)).endswith(FILE[FILE.index("indexes:") :])
    # An empty section is none.
    assert planned(sources, "indexes:\nkeys:\n", PrivateSources((OPEN,))).startswith("indexes:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("index:\n  a: b\n", "says what is not known: index (line 1, column 1)"),
        ("[a]\n", "is no mapping of keys to values (line 1, column 1)"),
        ("keys: text\n", "has something else than names under keys (line 1, column 7)"),
        ("keys: [a]\n", "has something else than names under keys (line 1, column 7)"),
        ("keys:\n  a:\n", "says nothing of a (line 2, column 5)"),
        ("keys:\n  a:\n    - b\n", "says nothing of a (line 3, column 5)"),
        ("keys:\n  a: {host: h, key: k, user: u}\n", "says of a what is not known: user (line 2, column 24)"),
        ("keys:\n  a: {host: h, key: [k]}\n", "has something else than a text as key of a (line 2, column 21)"),
        ("keys:\n  a: {host: h}\n", "does not say where the key a is (line 2, column 6)"),
        ("keys:\n  a: {key: k}\n", "has no host of the key a that can be one (line 2, column 6)"),
        ('keys:\n  a: {key: k, host: "h\\n  ProxyCommand x"}\n', "has no host of the key a that can be one"),
        ("keys:\n  a: {key: k, host: -oProxy}\n", "has no host of the key a that can be one"),
        ("keys:\n  a: {key: k, host: h, alias: a b}\n", "has no alias of the key a that can be one"),
        ("keys:\n  a,b: {key: k, host: h}\n", "has a key whose name cannot be one (line 2, column 8)"),
        ("keys:\n  a: {key: k, host: h, port: 0}\n", "has a port for a that is none"),
        ("keys:\n  a: {key: k, host: h, port: ²}\n", "has a port for a that is none"),
        pytest.param(
            f"keys:\n  a: {{key: k, host: h, port: {'9' * 5000}}}\n", "has a port for a that is none", id="long"
        ),
        ("indexes:\n  A: {url: https://h/}\n", "has an index whose name cannot be one (line 2, column 6)"),
        ("indexes:\n  a: {user: u}\n", "has no address of the index a that can be one"),
        ("indexes:\n  a: {url: ftp://h/}\n", "has no address of the index a that can be one"),
        ("indexes:\n  a: {url: https://}\n", "has no address of the index a that can be one"),
        ("indexes:\n  a: {url: 'https://h:x/'}\n", "has no address of the index a that can be one"),
        ("indexes:\n  a: {url: 'https://[h/'}\n", "has no address of the index a that can be one"),
        ("indexes:\n  a: {url: 'https://h/ && curl x'}\n", "has no address of the index a that can be one"),
        ("indexes:\n  a: {url: https://h/$(x)}\n", "has no address of the index a that can be one"),
        ("indexes:\n  a: {url: https://joe:hunter2@h/}\n", "has no address of the index a that can be one"),
        ("indexes:\n  a: {url: https://h/, login: hunter2}\n", "does not say where the login of a comes from"),
        ('indexes:\n  a: {url: https://h/, user: "u\\nmachine x"}\n', "has a user of a that can be none"),
        ('indexes:\n  a: {url: https://h/, only: "x\'; y"}\n', "names packages of a that can be none"),
        ("indexes:\n\ta: b\n", "is no valid YAML"),
        ("indexes:\n  a: {url: https://h/}\n  a: {url: https://h/}\n", "has the key 'a' twice in one mapping"),
        ("keys: &k\n  a: {host: h, key: k}\nindexes: *k\n", "has something else than names under indexes"),
        ("keys:\n  a: &a {host: h, key: k}\n  b: *a\n", "says nothing of b (line 3, column 6)"),
        ("keys:\n  a: &a {host: h, key: k}\n  b: {<<: *a}\n", "says of b what is not known: <<"),
    ],
)
def test_what_it_cannot_say(sources, text, said):
    sources.path.write_bytes(text.encode())
    for read in (sources.sources, lambda: sources.plan(PrivateSources((OPEN,)))):
        with pytest.raises(InvalidContentError) as refused:
            read()
        assert f"{NAME} {said}" in str(refused.value)
        assert "(line " in str(refused.value)
        assert refused.value.hint
        assert "hunter2" not in f"{refused.value} {refused.value.hint}"


def test_anchors_that_grow(sources):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 30)]
    sources.path.write_text("\n".join([*lines, "keys: *a29"]))
    with pytest.raises(InvalidContentError, match=r"says what is not known: a0 \(line 1"):
        sources.sources()


@pytest.mark.parametrize(
    "wanted",
    [
        PrivateSources((PackageIndex("acme", "https://h/\nRUN x"),)),
        PrivateSources((PackageIndex("Acme", "https://h/"),)),
        PrivateSources((PackageIndex("acme", "https://h/", "u", "hunter2"),)),
        PrivateSources(keys=(SshAccess("a b", "h"),)),
        PrivateSources(keys=(SshAccess("a", "h", port=70000),)),
    ],
)
def test_what_cannot_be_written(sources, wanted):
    with pytest.raises(InvalidContentError) as refused:
        sources.plan(wanted)
    assert "hunter2" not in str(refused.value)


def test_one_login_for_each_host():
    other = PackageIndex("acme-2", "https://pypi.acme.com/other/", "env:OTHER", "env:OTHER")
    there = PrivateSources((ACME,))
    with pytest.raises(
        InvalidContentError, match=r"The index acme is on pypi\.acme\.com, too, with another login"
    ) as found:
        there.with_index(other)
    assert found.value.hint == "Give acme-2 the login of acme, or remove that index."
    same = PackageIndex("acme-2", other.url, ACME.user, ACME.password)
    free = PackageIndex("acme-3", other.url)
    assert there.with_index(same).with_index(free).indexes == (ACME, same, free)
    changed = PackageIndex("acme", ACME.url, "env:OTHER", "env:OTHER")
    assert PrivateSources((ACME, OPEN)).with_index(changed).indexes == (changed, OPEN)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://pypi.acme.com/simple/", "acme"),
        ("https://packages.acme.co.uk:8443/", "acme"),
        ("http://10.0.0.1:8080/simple", "10-0-0-1"),
        ("http://[::1]/simple", "1"),
        ("https://My_Index.local/", "my-index"),
    ],
)
def test_names_of_indexes(url, name):
    assert index_name(url) == name
    PackageIndex(name, url)


NAMES = st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,6}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=8)
HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,6}[a-z0-9])?", fullmatch=True) | st.just("fe80::1")
REFERENCES = st.builds(lambda kind, name: f"{kind}:{name}", st.sampled_from(["env", "keyring"]), TEXTS)
INDEXES = st.builds(
    PackageIndex,
    name=NAMES | st.sampled_from(["no", "null", "1e3", "0x1f"]),
    url=st.sampled_from(["https://h/", "http://10.0.0.1:8080/a#b?c=d&e=%20", "https://[::1]:1/~x"]),
    user=st.just("") | TEXTS | REFERENCES,
    password=st.just("") | REFERENCES,
    only=st.lists(NAMES, max_size=3).map(tuple),
)
KEYS = st.builds(
    SshAccess,
    id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,5}", fullmatch=True) | st.sampled_from(["no", "1.10", "0o17"]),
    host=HOSTS,
    port=st.none() | st.integers(1, 65535),
    key=TEXTS | st.just("~/.ssh/my key"),
    alias=st.just("") | HOSTS,
)
SOURCES = st.builds(
    PrivateSources,
    st.lists(INDEXES, max_size=3, unique_by=lambda each: each.name).map(tuple),
    st.lists(KEYS, max_size=3, unique_by=lambda each: each.id).map(tuple),
)


@given(SOURCES, SOURCES)
def test_what_is_planned_is_read_back(first, second):
    with tempfile.TemporaryDirectory() as folder:
        document = SourcesFile(Project(Path(folder)))
        document.path.parent.mkdir()
        for wanted in (first, second):
            for change in document.plan(wanted):
                if change.after is None:
                    document.path.unlink()
                else:
                    document.path.write_bytes(change.after)
            found = document.sources()
            # In the order of the file: what was there keeps its place.
            assert {each.name: each for each in found.indexes} == {each.name: each for each in wanted.indexes}
            assert {each.id: each for each in found.keys} == {each.id: each for each in wanted.keys}
            assert all(change.kind == "unchanged" for change in document.plan(wanted))
