"""Which newer versions uv finds, in folders of wheels and in a cache that must not answer."""

from __future__ import annotations

import zipfile

import pytest

from astro_magic.errors import NetworkError
from astro_magic.resolve.newest import newest_versions


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No index but those of the test, and an empty cache."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_OFFLINE", "PIP_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


@pytest.fixture
def index(tmp_path):
    """A folder that is an index, as a private one would be."""
    for name, version, python in (
        ("own-tool", "1.0", ""),
        ("own-tool", "1.2", ""),
        ("own-tool", "9.0", ">=4"),
        ("up-to-date", "1.0", ""),
    ):
        file = name.replace("-", "_")
        wheel = tmp_path / "index" / name / f"{file}-{version}-py3-none-any.whl"
        wheel.parent.mkdir(parents=True, exist_ok=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{file}-{version}.dist-info/METADATA", metadata)
        requires = f' data-requires-python="{python.replace(">", "&gt;")}"' if python else ""
        with (wheel.parent / "index.html").open("a") as page:
            page.write(f'<a href="{wheel.name}"{requires}>{wheel.name}</a>\n')
    return (tmp_path / "index").as_uri()


def test_what_an_index_of_the_requirements_has(index, tmp_path, monkeypatch):
    monkeypatch.setenv("FOLDER", index)
    versions = {"Own_Tool": "1.0", "up-to-date": "1.0", "elsewhere": "1.0"}
    options = (("--index-url", "${FOLDER}"), ("--pre", ""))
    found = newest_versions(versions, python="", folder=tmp_path, options=options)
    assert found == {"Own_Tool": "1.2"}


def test_an_index_that_cannot_be_reached(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://ana:planted@127.0.0.1:9/simple")
    with pytest.raises(NetworkError) as caught:
        newest_versions({"cowsay": "6.0"}, python="", folder=tmp_path)
    assert caught.value.message == "The package index could not be reached."
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("name", ["UV_OFFLINE", "UV_NO_INDEX"])
def test_a_cache_does_not_answer(tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, "true")
    with pytest.raises(NetworkError, match=f"{name} is set"):
        newest_versions({"cowsay": "6.0"}, python="", folder=tmp_path)
