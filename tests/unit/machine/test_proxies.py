from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.machine.proxies import Proxy, check_proxies, parse_proxy

DIRECT = {"NO_PROXY": "localhost,127.0.0.1"}


@pytest.fixture
def proxy():
    """Listen as a proxy does; what comes is taken and closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def closed():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_none_is_set():
    [result] = check_proxies({"NO_PROXY": "example.com", "HTTP_PROXY": ""})
    assert (result.state, result.detail) == ("good", "none is set")


def test_one_that_answers(proxy):
    both = {"HTTPS_PROXY": f"http://ana:pl4nted@{proxy}", "http_proxy": f"http://{proxy}/"}
    [result] = check_proxies({**both, **DIRECT})
    assert (result.state, result.detail) == ("good", f"{proxy} (HTTPS_PROXY, http_proxy) answers")


def test_one_that_does_not_answer(closed):
    [result] = check_proxies({"ALL_PROXY": f"socks5h://ana:pl4nted@{closed}", **DIRECT})
    assert result.state == "bad"
    assert result.detail == f"{closed} (ALL_PROXY) does not answer: Connection refused"


def test_one_whose_name_is_not_known():
    [result] = check_proxies({"HTTP_PROXY": "http://nowhere.invalid:3128", **DIRECT})
    assert result.detail == "nowhere.invalid:3128 (HTTP_PROXY) does not answer: its name is not known"


def test_one_that_is_too_slow(proxy, monkeypatch):
    def late(address, timeout):
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", late)
    [result] = check_proxies({"HTTP_PROXY": f"http://{proxy}", **DIRECT}, timeout=0.5)
    assert result.detail.endswith("does not answer: nothing within 0.5 s")


@pytest.mark.parametrize(
    ("direct", "missing"),
    [
        ({}, "localhost and 127.0.0.1"),
        ({"no_proxy": "localhost"}, "127.0.0.1"),
        ({"no_proxy": "127.0.0.1, .example.com"}, "localhost"),
        ({"NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost"}, "127.0.0.1"),
    ],
)
def test_the_machine_itself_has_to_be_left_out(proxy, direct, missing):
    results = list(check_proxies({"HTTP_PROXY": f"http://{proxy}", **direct}))
    assert results[-1].state == "warning"
    assert results[-1].detail.startswith(f"NO_PROXY does not have {missing}:")


@pytest.mark.parametrize(
    "value", ["*", "LOCALHOST,127.0.0.0/8", ".localhost , 127.0.0.1", "localhost,127.0.0.1/32,::1"]
)
def test_the_ways_to_leave_it_out(proxy, value):
    [result] = check_proxies({"HTTP_PROXY": f"http://{proxy}", "no_proxy": value})
    assert result.state == "good"


def test_two_values_for_one_variable(proxy):
    first, *others = check_proxies(
        {"HTTP_PROXY": f"http://{proxy}", "http_proxy": f"http://ana:pl4nted@{proxy}", **DIRECT}
    )
    assert (first.state, others) == ("warning", [])
    assert first.detail.startswith("HTTP_PROXY and http_proxy differ")


def test_one_without_a_scheme(proxy):
    [result] = check_proxies({"HTTPS_PROXY": f"ana:pl4nted@{proxy}", **DIRECT})
    assert (result.state, result.detail) == ("warning", "HTTPS_PROXY does not begin with http://")
    assert proxy in result.hint
    assert "pl4nted" not in repr(result)


NO_URLS = [
    "http://",
    "http://proxy:99999",
    "http://proxy:port",
    "ftp://proxy:21",
    "http://proxy:3128/path",
    "http://[::1",
    "http://ana:12/pl4nted@proxy:3128",
    "http://ana:12#pl4nted@proxy:3128",
    "http://ana:12?pl4nted@proxy:3128",
    "ana:12/pl4nted@proxy:3128",
    "http://pl4nted with blanks:3128",
]


@pytest.mark.parametrize("value", NO_URLS)
def test_what_is_no_proxy_is_not_shown(value):
    assert parse_proxy(value) is None
    [result] = check_proxies({"HTTPS_PROXY": value, **DIRECT})
    assert (result.state, result.detail) == ("bad", "HTTPS_PROXY is no URL of a proxy")
    assert "pl4nted" not in repr(result)
    assert "%40" in result.hint


@pytest.mark.parametrize(
    ("value", "proxy", "shown"),
    [
        ("http://proxy.example.com:3128", Proxy("proxy.example.com", 3128, "http"), "proxy.example.com:3128"),
        ("https://proxy", Proxy("proxy", 443, "https"), "proxy:443"),
        ("socks5://[::1]", Proxy("::1", 1080, "socks5"), "[::1]:1080"),
        ("proxy", Proxy("proxy", 80), "proxy:80"),
        ("http://ana:p@ss@proxy:1", Proxy("proxy", 1, "http"), "proxy:1"),
    ],
)
def test_parse(value, proxy, shown):
    assert parse_proxy(value) == proxy
    assert str(proxy) == shown


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["http://", "", "socks5://"]))
def test_a_password_is_never_taken_for_a_host(password, scheme):
    found = parse_proxy(f"{scheme}ana:{password}@proxy:3128")
    assert found is None or (found.host, found.port) == ("proxy", 3128)
