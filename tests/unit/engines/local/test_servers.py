from __future__ import annotations

import pytest

from astro_magic.engines.local.inside.servers import refusal

PROXIED = "shop.localhost:6563"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"host": "localhost:8080"}),
        ("GET", {"host": "127.0.0.1:8080", "origin": "https://evil.example"}),
        ("POST", {"host": "127.0.0.1:8080"}),
        ("POST", {"host": "[::1]:8080", "origin": "http://[::1]:8080"}),
        ("PATCH", {"host": "localhost:8080", "origin": "http://localhost:8080"}),
        ("POST", {"host": PROXIED, "origin": f"http://{PROXIED}"}),
        (
            "POST",
            {
                "host": "127.0.0.1:8080",
                "origin": "http://shop.localhost:6563",
                "x-forwarded-host": "shop.localhost:6563",
            },
        ),
        ("DELETE", {"host": "hub.example", "origin": "https://hub.example"}),
    ],
)
def test_what_comes_from_here(method, headers, monkeypatch):
    monkeypatch.setenv("ASTRO_MAGIC_ALLOWED_HOSTS", "hub.example, other.example")
    assert refusal(method, headers) == ""


@pytest.mark.parametrize(
    ("method", "headers", "why"),
    [
        ("GET", {}, "not known as a host without"),
        ("GET", {"host": ""}, "not known as a host without"),
        ("GET", {"host": "evil.example"}, "not known as evil.example"),
        ("GET", {"host": "localhost.evil.example:8080"}, "not known as localhost.evil.example"),
        ("GET", {"host": "evil.example/@localhost"}, "not known as a host without"),
        ("GET", {"host": "hub.example"}, "ASTRO_MAGIC_ALLOWED_HOSTS"),
        ("POST", {"host": "localhost:8080", "origin": "http://localhost:3000"}, "another site"),
        ("POST", {"host": "localhost:8080", "origin": "https://evil.example"}, "another site"),
        ("DELETE", {"host": "127.0.0.1:8080", "origin": "null"}, "another site"),
        ("PUT", {"host": "127.0.0.1:8080", "origin": "http://localhost:8080"}, "another site"),
    ],
)
def test_what_comes_from_elsewhere(method, headers, why):
    assert why in refusal(method, headers)
