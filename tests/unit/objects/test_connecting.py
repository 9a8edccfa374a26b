"""How the test of a connection reads an address, and hides secrets in what a provider says."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote_plus

import pytest

from astro_magic.objects.inside.connecting import _address, _masked


@pytest.mark.parametrize(
    ("host", "port", "kind", "found"),
    [
        ("db", None, "postgres", ("db", 5432)),
        ("db", 6000, "postgres", ("db", 6000)),
        ("db:6001", None, "postgres", ("db", 6001)),
        ("db:6001", 6000, "postgres", ("db", 6000)),
        ("https://shop.example/api?x=1", None, "http", ("shop.example", 443)),
        ("http://me:pa:ss@shop.example:8080/", None, "http", ("shop.example", 8080)),
        ("one:1,two:2", None, "mongo", ("one", 1)),
        ("::1", None, "redis", ("::1", 6379)),
        ("[::1]:7000", None, "redis", ("::1", 7000)),
        ("db", None, "nobody_knows", ("db", None)),
        ("/var/run/db.sock", None, "postgres", ("", 5432)),
        ("", None, "postgres", ("", 5432)),
    ],
)
def test_addresses(host, port, kind, found):
    assert _address(host, port, kind) == found


SECRET = "p@ss/wörd +1"
FORMS = [
    SECRET,
    "p%40ss%2Fw%C3%B6rd%20%2B1",
    "p%40ss%2fw%c3%b6rd%20%2b1",
    "p%40ss/w%C3%B6rd%20%2B1",
    quote_plus(SECRET),
    json.dumps(SECRET),
    base64.b64encode(SECRET.encode()).decode(),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "values",
    [
        {"password": SECRET},
        {"extra": json.dumps({"token": SECRET})},
        {"extra": {"token": [SECRET]}},
        {"extra": json.dumps({"key": json.dumps({"inner": SECRET})})},
        {"extra": SECRET},
    ],
)
def test_a_secret_is_hidden_in_each_form(values, form):
    assert _masked(f"no: <{form.strip(chr(34))}>.", values) == "no: <••••••>."


def test_the_header_of_a_login_is_hidden():
    header = base64.b64encode(f"me:{SECRET}".encode()).decode()
    assert header not in _masked(f"Authorization: Basic {header}", {"login": "me", "password": SECRET})


def test_a_line_of_a_key_is_hidden():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQ\n-----END KEY-----"
    told = _masked("bad line MIIEvQIBADANBgkq in key", {"extra": json.dumps({"private_key": key})})
    assert told == "bad line •••••• in key"


def test_short_ones_tear_no_words_apart():
    values = {"password": "re", "extra": json.dumps({"mode": "require", "pin": 4711, "on": True, "path": "/data"})}
    told = _masked("required: 're' or require, pin 4711, port 47110, True, /data", values)
    assert told == "required: '••••••' or ••••••, pin ••••••, port 47110, True, /data"


def test_what_is_no_secret_stays():
    assert _masked("no route to db", {"password": None, "extra": None}) == "no route to db"
    assert _masked("at http://me:word@db", {}) == "at http://••••••@db"
