"""What is hidden, and what is left: by names, by the form of tokens, and of known values in all their forms."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from astro_magic.system.known import mask
from astro_magic.system.secrets import MASK, logins_in_urls, mask_named, named_secrets

SECRET = "p@9S:k/%2wQ&z\"x'T\\ü1"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEvQr8\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "name", ["password", "API_TOKEN", "deploy_key", "clientSecret", "AIRFLOW_CONN_X", "credential"]
)
def test_a_name_that_says_it_is_secret_hides_all_of_the_value(name):
    assert mask_named(name, "anything") == MASK
    assert mask_named(name, "") == ""


@pytest.mark.parametrize(
    "token",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0123456789_abcdefghij",
        "glpat-abcdefghij0123456789",
        "xoxb-123456789012-abcdefghij",
        "sk_live_abcdefghij0123456789",
        "sk-abcdefghij0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3In0.dozjgNryP4J3jVmNHl0w5N",
        PEM,
        PEM[:40],
    ],
)
def test_a_token_is_hidden_by_its_form(token):
    assert mask_named("", f"use {token}") == f"use {MASK}"
    assert next(named_secrets(f"use {token}")) in token


@pytest.mark.parametrize(
    "text", ["sk-short", "eyJ is no token", "AKIA", "task_key_1", "a key == b", "eu-west", "a/b c"]
)
def test_what_only_looks_a_little_like_a_token_stays(text):
    assert mask_named("", text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"user": "ana", "password": "x"}', {"user": "ana", "password": MASK}),
        ('{"a": [{"token": "x", "n": 1}], "key": ""}', {"a": [{"token": MASK, "n": 1}], "key": ""}),
        ('{"secret": {"deep": "x"}}', {"secret": MASK}),
        ('{"inner": "{\\"password\\": \\"x\\"}"}', {"inner": f'{{"password": "{MASK}"}}'}),
        ('["http://ana:x@h/"]', [f"http://{MASK}@h/"]),
    ],
)
def test_within_json_only_what_is_secret_is_hidden(text, shown):
    assert json.loads(mask_named("", text)) == shown


@pytest.mark.parametrize(
    "text", ["{'password': 'abc'}", '{"password": "abc"', "password=abc", "see http://ana:abc@h/x"]
)
def test_what_is_no_json_is_hidden_by_its_words(text):
    assert "abc" not in mask_named("", text)
    assert MASK in mask_named("", text)


def test_json_that_is_nested_without_end_is_no_failure():
    assert mask_named("", "[" * 100_000).startswith("[")


def test_a_known_secret_is_hidden_in_every_form():
    encoded = [base64.b64encode(b"abc"[:shift] + SECRET.encode() + b"later").decode() for shift in range(3)]
    forms = [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        json.dumps(SECRET),
        repr(SECRET),
        repr([SECRET, "'"]),
    ]
    forms += [json.dumps(json.dumps(SECRET)), repr(json.dumps(SECRET)), *encoded]
    for form in forms:
        hidden = mask(f"before {form} behind", [SECRET])
        assert MASK in hidden, form
        assert "9S" not in hidden
        assert hidden.startswith("before ")
        assert hidden.endswith(" behind")


def test_short_and_common_words_do_not_tear_others_apart():
    secrets = ["abc", "postgres", "True", "moon"]
    assert mask("abc postgres True moonlight", secrets) == "abc postgres True moonlight"
    assert mask("the moon, moon=moon", secrets) == f"the {MASK}, {MASK}={MASK}"


def test_of_two_secrets_the_longer_one_is_hidden_first():
    assert mask("correct-horse-battery", ["correct-horse", "correct-horse-battery"]) == MASK


def test_a_reference_to_a_variable_is_shown():
    assert mask("https://${USER}:${TOKEN}@host/x") == "https://${USER}:${TOKEN}@host/x"
    assert mask("https://ana:abc@host/x") == f"https://{MASK}@host/x"


def test_what_a_tree_holds_below_secret_names():
    tree = {"user": "ana", "password": "one", "more": [{"token": ["two", "three"]}], "plain": '{"key": "four"}'}
    assert set(named_secrets(tree)) == {"one", "two", "three", "four"}
    assert "ana" not in set(named_secrets(json.dumps(tree), "AIRFLOW_CONN_X"))
    assert set(named_secrets("first line of it\nsecond line of it", "key")) == {
        "first line of it\nsecond line of it",
        "first line of it",
        "second line of it",
    }


def test_logins_in_urls():
    text = "HTTPS://a:b@c git+ssh://git@d https://$A:$B@e https://f@g http://h/i@j"
    assert list(logins_in_urls(text)) == [("https", "a", "b"), ("https", "f", "")]
