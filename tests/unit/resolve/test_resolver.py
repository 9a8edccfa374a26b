"""What a resolution asks an index for, and that an answer from uv's cache is never another one than the index gives."""

from __future__ import annotations

import os
import time
from functools import partial

import pytest

from astro_magic.errors import ResolutionError
from astro_magic.resolve.resolver import resolve
from astro_magic.system.folders import cache_folder
from tests.servers.backend import write_wheel
from tests.servers.plain_index import serve_folder

AIRFLOW = {"apache-airflow": "3.3.2", "pip": "25.0", "pendulum": "3.0", "rich": "14.0"}


class Index:
    """A package index that notes which packages it is asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.requests = []

    @property
    def asked(self):
        """The packages that it was asked for."""
        return {path.strip("/").split("/")[0] for path in self.requests}

    def publish(self, name, version, *requires):
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        write_wheel(self.folder / name, name, version, requires, {f"{name.replace('-', '_')}.py": ""})


@pytest.fixture
def index(tmp_path, monkeypatch):
    made = Index(tmp_path / "index")
    made.publish("apache-airflow", "3.3.2", "pendulum<4", "rich")
    for name, version in (("pip", "25.0"), ("pendulum", "3.0"), ("pendulum", "4.0"), ("rich", "14.0")):
        made.publish(name, version)

    for name in ("UV_INDEX", "UV_FIND_LINKS", "UV_OFFLINE", "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("ASTRO_MAGIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with serve_folder(made.folder, made.requests) as address:
        monkeypatch.setenv("UV_DEFAULT_INDEX", address)
        yield made


@pytest.fixture
def resolving(tmp_path):
    return partial(resolve, folder=tmp_path, airflow="3.3.2", python="3.12", locks=tmp_path / "locks")


@pytest.fixture
def ask(resolving, index):
    """Resolve requirements, and give the versions beside what Airflow needs."""

    def ask(text):
        index.requests.clear()
        found = resolving(text).packages
        assert AIRFLOW.items() <= found.items()
        return {name: version for name, version in found.items() if name not in AIRFLOW}

    return ask


def test_only_what_is_added_is_asked_for(index, ask):
    index.publish("polars", "1.0", "numbers-lib")
    index.publish("numbers-lib", "2.0")
    assert ask("") == {}
    assert index.asked == AIRFLOW.keys()
    assert ask("polars\n") == {"polars": "1.0", "numbers-lib": "2.0"}
    assert index.asked == {"polars", "numbers-lib"}
    # What has come out since is found.
    index.publish("polars", "1.1", "numbers-lib")
    assert ask("polars>=1.0\n") == {"polars": "1.1", "numbers-lib": "2.0"}


def test_what_comes_to_another_version_with_airflow_is_asked_for_as_a_whole(index, ask):
    index.publish("clock", "1.0", "pendulum")
    index.publish("clock", "2.0", "pendulum>3")
    ask("")
    assert ask("clock\n") == {"clock": "1.0"}
    assert index.asked >= AIRFLOW.keys()


def test_what_depends_on_airflow_is_asked_for_as_a_whole(index, ask):
    index.publish("apache-airflow-providers-shop", "1.0", "apache-airflow")
    ask("")
    assert ask("apache-airflow-providers-shop\n") == {"apache-airflow-providers-shop": "1.0"}
    assert index.asked >= AIRFLOW.keys()


def test_after_an_hour_everything_is_asked_for(index, ask):
    index.publish("polars", "1.0")
    ask("")
    (noted,) = (cache_folder() / "resolutions").glob("*.asked")
    an_hour_ago = time.time() - 3601
    os.utime(noted, (an_hour_ago, an_hour_ago))
    assert ask("polars\n") == {"polars": "1.0"}
    assert index.asked >= AIRFLOW.keys()


def test_a_conflict_is_told_as_the_index_has_it(index, ask):
    index.publish("clock", "2.0", "pendulum>3")
    ask("")
    with pytest.raises(ResolutionError, match=r"cannot be installed together"):
        ask("clock\n")
    with pytest.raises(ResolutionError, match=r"no package named nowhere"):
        ask("nowhere\n")


def test_an_answer_of_the_cache_is_told_and_not_kept(index, ask, resolving, tmp_path, monkeypatch):
    ask("")
    (noted,) = (cache_folder() / "resolutions").glob("*.asked")
    noted.unlink()
    kept = set((tmp_path / "locks").iterdir())
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    found = resolving("rich<15\n")
    assert found.note == "the index could not be reached; this is what uv's cache has"
    assert found.packages == AIRFLOW
    assert set((tmp_path / "locks").iterdir()) == kept
    assert not noted.exists()
    monkeypatch.delenv("HTTP_PROXY")
    index.publish("rich", "14.1")
    assert resolving("rich<15\n").packages["rich"] == "14.1"
