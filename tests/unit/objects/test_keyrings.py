"""Values in the operating system's keyring: with a backend, with none, and without the package."""

from __future__ import annotations

import sys

import keyring
import pytest
from keyring.backends.fail import Keyring as NoKeyring
from keyrings.alt.file import PlaintextKeyring

from astro_magic.errors import EngineError
from astro_magic.objects.keyrings import resolved
from astro_magic.project.settings.values import SettingsObject
from astro_magic.system import keyrings


@pytest.fixture
def backend(monkeypatch, tmp_path):
    """Give a keyring in a file."""
    made = PlaintextKeyring()
    made.file_path = str(tmp_path / "keyring.cfg")
    monkeypatch.setattr(keyring.core, "_keyring_backend", made)
    return made


def connection(password):
    return SettingsObject("connection", "c", {"conn_type": "http", "password": password}, "airflow_settings.yaml:3")


@pytest.mark.parametrize("value", ["abc", "p@9S:k/%2wQ&z\"x'T\\ü1", "two\nlines", " "])
def test_what_is_kept_comes_back(backend, value):
    assert not keyrings.has("entry")
    assert keyrings.keep("entry", value) == "keyring:entry"
    assert keyrings.has("entry")
    assert resolved(connection("keyring:entry")).values == {"conn_type": "http", "password": value}
    keyrings.keep("entry", "other")
    assert keyrings.kept_value("keyring:entry") == "other"


@pytest.mark.parametrize(("value", "kept"), [("keyring:a", True), ("keyring:", False), ("a", False), (5, False)])
def test_what_stands_for_an_entry(value, kept):
    assert keyrings.is_kept(value) is kept


def test_without_a_reference_no_keyring_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    plain = connection("abc")
    assert resolved(plain) is plain


def test_an_entry_that_is_missing_is_told_with_how_to_make_it(backend):
    with pytest.raises(EngineError, match=r"no entry gone .*\n.*keyring set astro-magic gone"):
        resolved(connection("keyring:gone"))


def test_no_backend_is_told_with_what_is_needed(monkeypatch):
    monkeypatch.setattr(keyring.core, "_keyring_backend", NoKeyring())
    for use in (lambda: keyrings.has("a"), lambda: keyrings.keep("a", "abc"), lambda: keyrings.kept_value("keyring:a")):
        with pytest.raises(EngineError, match=r"^The keyring cannot be used: .+\n.*PYTHON_KEYRING_BACKEND") as raised:
            use()
        assert "abc" not in str(raised.value)


def test_without_the_package_it_is_told_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(EngineError, match=r"keyring:a cannot be read: .*not installed\.\n.*pip install keyring"):
        resolved(connection("keyring:a"))
    with pytest.raises(EngineError, match=r"a cannot be kept .*not installed"):
        keyrings.keep("a", "abc")
