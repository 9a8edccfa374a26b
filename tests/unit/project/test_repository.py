from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from astro_magic.errors import InvalidContentError
from astro_magic.project.recipes.repository import Repository, parse_repository

PLAIN = "git+ssh://git@github.com/org/repo.git"


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        (PLAIN, PLAIN),
        ("ssh://git@github.com/org/repo.git", PLAIN),
        ("ssh://github.com/org/repo.git", PLAIN),
        ("git@github.com:org/repo.git", PLAIN),
        ("git+git@github.com:org/repo.git", PLAIN),
        ("git@github.com:/org/repo.git/", PLAIN),
        ("  SSH://git@GitHub.com:22/org/repo.git ", PLAIN),
        ("git@github.com:org/repo.git@v1", f"{PLAIN}@v1"),
        ("git@github.com:org/repo.git@feature/x#subdirectory=src/a", f"{PLAIN}@feature/x#subdirectory=src/a"),
        ("tools @ git+ssh://git@github.com/org/repo.git@main", f"tools @ {PLAIN}@main"),
        ("tools@git@github.com:org/repo.git", f"tools @ {PLAIN}"),
        ("tools [a, b]@git+ssh://git@github.com/org/repo.git", f"tools[a,b] @ {PLAIN}"),
        ("git+ssh://git@github.com/org/repo.git#egg=tools&subdirectory=x/", f"tools @ {PLAIN}#subdirectory=x"),
        ("git+ssh://git@github.com/org/repo.git#subdirectory=./x&egg=tools[a]", f"tools[a] @ {PLAIN}#subdirectory=x"),
        ("My.Tools @ git+ssh://git@github.com/org/repo.git#egg=my-tools", f"My.Tools @ {PLAIN}"),
        ("ssh://deploy@git.example.com:2222/a/b", "git+ssh://deploy@git.example.com:2222/a/b"),
        ("ssh://git@[2001:DB8::1]:2222/a", "git+ssh://git@[2001:db8::1]:2222/a"),
        ("git@[::1]:a/b.git", "git+ssh://git@[::1]/a/b.git"),
        ("ssh://git@host/a%20b/%40c.git@v1", "git+ssh://git@host/a%20b/%40c.git@v1"),
        ("git@host:a%20b.git", "git+ssh://git@host/a%2520b.git"),
        ("ssh://git@host/~ana/x.git", "git+ssh://git@host/~ana/x.git"),
        ("git@ssh.dev.azure.com:v3/org/project/repo", "git+ssh://git@ssh.dev.azure.com/v3/org/project/repo"),
    ],
)
def test_all_forms_of_an_address_are_read(text, requirement):
    found = parse_repository(text)
    assert found.requirement == requirement
    assert parse_repository(found.requirement) == found


def test_what_a_repository_tells():
    found = parse_repository("tools[a] @ ssh://deploy@Git.Example.com:2222/org/a%20b.git@v1#subdirectory=src")
    assert found == Repository(
        "git.example.com", "org/a b.git", "tools", ("a",), "deploy", 2222, reference="v1", subdirectory="src"
    )
    assert found.url == "ssh://deploy@git.example.com:2222/org/a%20b.git"
    assert found.shown == "git.example.com:2222/org/a b.git@v1"


def test_two_lines_are_the_same_repository_whatever_their_reference():
    same = [
        "git@github.com:org/repo.git@v1",
        "tools @ ssh://git@github.com/org/repo",
        "ssh://me@GitHub.com:22/org/repo",
    ]
    assert len({parse_repository(text).key for text in same}) == 1
    other = ["ssh://git@github.com:2222/org/repo", "git@github.com:org/repo2", "git@github.com:org/repo#subdirectory=a"]
    assert len({parse_repository(text).key for text in (same[0], *other)}) == 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no address"),
        ("tools", "no address of a repository"),
        ("tools==1.0", "no address of a repository"),
        ("./folder", "no address of a repository"),
        ("github.com:org/repo.git", "no address of a repository"),
        ("ext::sh -c touch", "blank"),
        ("ext::sh", "no address of a repository"),
        ("git://github.com/org/repo.git", "an address for git;"),
        ("git+file:///srv/repo.git", "an address for git.file;"),
        ("hg+ssh://hg@host/repo", "an address for hg.ssh;"),
        ("ssh:///repo.git", "no host"),
        ("ssh://git@/repo.git", "no host"),
        ("ssh://git@host", "no repository"),
        ("ssh://git@host/", "no repository"),
        ("ssh://git@host/@v1", "no repository"),
        ("ssh://git@host:0/a", "a host or a port"),
        ("ssh://git@host:99999/a", "a host or a port"),
        ("ssh://git@github.com:org/repo.git", "a host or a port"),
        ("ssh://git@[::1/a", "a host or a port"),
        ("ssh://git@[fe80::1%25eth0]/a", "a host that is none"),
        ("ssh://git@h%2fx/a", "a host that is none"),
        ("ssh://git@bücher.example/a", "a host that is none"),
        ("git@host:2222/org/repo.git", "meant as a port"),
        ("ssh://git@host/a b", "a blank"),
        ("tools @ ssh://git@host/a ; python_version > '3.11'", "a marker"),
        ("ssh://git@host/a\nRUN id", "a control character"),
        ("ssh://git@host/a\u202eb", "a control character"),
        ("ssh://git@host/a%0ab", "a path that is none"),
        ("ssh://git@host/%FF", "a path that is none"),
        ("ssh://git@host/a/../b", "a path that is none"),
        ("ssh://git@host/a?x=y", "a question mark"),
        ("-oProxyCommand=x@host:path", "like an option"),
        ("-e git+ssh://git@host/a", "like an option"),
        ("ssh://-oProxyCommand=x/a", "a host that is none"),
        ("ssh://-oProxyCommand=x@host/a", "a user name that is none"),
        ("-oProxyCommand=x @ git@host:a", "like an option"),
        ("ssh://git@host/-u", "a path that is none"),
        ("ssh://git@host/%2du", "a path that is none"),
        ("ssh://git@host/a@", "a reference"),
        ("ssh://git@host/a@--upload-pack=x", "a reference"),
        ("ssh://git@host/a@b..c", "a reference"),
        ("ssh://git@host/a@x%23y", "a reference"),
        ("ssh://git@host/a@main:main", "a reference"),
        ("ssh://git@host/a#subdirectory=../x", "a folder"),
        ("ssh://git@host/a#subdirectory=/x", "a folder"),
        ("ssh://git@host/a#subdirectory=x/%2e%2e/y", "a folder"),
        ("ssh://git@host/a#subdirectory=", "a folder"),
        ("ssh://git@host/a#egg=-x", "a name"),
        ("ssh://git@host/a#sha256=00", "behind the #"),
        ("ssh://git@host/a#egg=a&egg=b", "behind the #"),
        ("tools @ ssh://git@host/a#egg=others", "two names"),
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text, reason):
    with pytest.raises(InvalidContentError, match=reason) as caught:
        parse_repository(text)
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/org/repo.git@v1",
        "git+https://ana:hunter22@github.com/org/repo.git@v1",
        "tools @ git+http://hunter22@github.com/org/repo.git@v1",
    ],
)
def test_for_a_web_address_the_one_for_ssh_is_given(text):
    with pytest.raises(InvalidContentError, match="read by SSH") as caught:
        parse_repository(text)
    assert f"{PLAIN}@v1" in caught.value.hint
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git:hunter22@host/a",
        "tools @ git+ssh://git:hunter22@host/a@v1",
        "git:hunter22@host:a",
        "git+git:hunter22@host:a",
        "tools @ git:hunter22@host:a",
    ],
)
def test_a_password_is_refused_and_not_told(text):
    with pytest.raises(InvalidContentError) as caught:
        parse_repository(text)
    assert "hunter22" not in str(caught.value)


def test_a_long_text_is_told_in_part():
    with pytest.raises(InvalidContentError) as caught:
        parse_repository("x" * 100_000)
    assert len(str(caught.value)) < 600


LETTERS = string.ascii_letters + string.digits
WORDS = st.text(LETTERS, min_size=1, max_size=8)
SEEN = st.characters(exclude_categories=("C", "Z"), exclude_characters="/\ufffd")
PARTS = st.text(SEEN, min_size=1, max_size=8).filter(lambda part: part not in {".", ".."} and part[0] != "-")
REPOSITORIES = st.builds(
    Repository,
    host=st.one_of(WORDS.map(str.lower), st.ip_addresses(v=6).map(lambda found: found.compressed)),
    path=st.lists(PARTS, min_size=1, max_size=3).map("/".join),
    name=st.one_of(st.just(""), WORDS),
    user=st.text(LETTERS + "._+", min_size=1, max_size=8),
    port=st.one_of(st.none(), st.integers(1, 65535).filter(lambda port: port != 22)),
    reference=st.one_of(st.just(""), st.lists(WORDS, min_size=1, max_size=3).map("/".join)),
    subdirectory=st.one_of(st.just(""), st.lists(WORDS, min_size=1, max_size=3).map("/".join)),
)


@given(REPOSITORIES, st.lists(WORDS, max_size=2).map(tuple))
def test_the_line_says_what_the_repository_is(found, extras):
    found = Repository(**{**vars(found), "extras": extras if found.name else ()})
    assert parse_repository(found.requirement) == found
    if found.name:
        assert Requirement(found.requirement).name == found.name


@given(
    st.text(max_size=60), st.sampled_from(["", "ssh://", "git+ssh://git@", "git@host:", "name @ ", "ssh://git@host/"])
)
def test_any_text_is_read_or_refused(text, front):
    try:
        found = parse_repository(front + text)
    except InvalidContentError:
        return
    assert parse_repository(found.requirement) == found
    assert found.requirement.isprintable()
