"""What is known of each package: who requests, brings, needs and imports it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from astro_magic.dependencies.dependencies import read_dependencies
from astro_magic.dependencies.graph import DependencyGraph
from astro_magic.engines.installation import Installation, InstalledPackage
from astro_magic.errors import DependencyError
from astro_magic.project.project import Project
from astro_magic.system.events import run


def package(name, *requires, **known):
    return InstalledPackage(name, "1.0", requires=requires, **known)


def graph_of(*packages, extras=None, **markers):
    return DependencyGraph({each.key: each for each in packages}, extras or {}, markers)


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "shop").project


@pytest.fixture
def read(project):
    def reading(*packages, requirements="", newest=None, **known):
        (project.root / "requirements.txt").write_text(requirements)
        installed = Installation(tuple(sorted(packages, key=lambda each: each.key)), **known)
        engine: Any = SimpleNamespace(installation=lambda: installed)
        return run(read_dependencies(project, engine, newest=newest))

    return reading


def origins(found):
    return {each.name: each.origin for each in found.packages}


def test_markers_and_extras():
    graph = graph_of(
        package(
            "web",
            "Server_Lib[fast]>=2; extra == 'server'",
            "old; python_version < '3.11'",
            "new; python_version >= '3.11'",
            "windows; sys_platform == 'win32'",
            "web[server]; extra == 'all'",
            "missing",
        ),
        package("server-lib", "loop; extra == 'fast'", "slow; extra == 'slow'"),
        *(package(name) for name in ("old", "new", "windows", "loop", "slow")),
        extras={"web": ["all"], "gone": ["x"]},
        python_version="3.12",
        sys_platform="linux",
    )
    assert [(need.name, need.requirement, need.extra) for need in graph.needs("web")] == [
        ("missing", "missing", ""),
        ("new", "new", ""),
        ("server-lib", "Server_Lib[fast]>=2", "server"),
    ]
    assert set(graph.reached_from(["web"])) == {"web", "new", "server-lib", "loop"}
    assert graph.needed_by("loop") == ("server-lib",)
    assert graph.needed_by("slow") == ()


def test_an_extra_that_nobody_asked_for_counts_for_nothing():
    graph = graph_of(package("web", "server; extra == 'server'", "tls ; extra == 'a' or extra == 'b'"), package("tls"))
    assert graph.needs("web") == ()


def test_what_older_tools_wrote_is_passed_over():
    graph = graph_of(package("odd", "a>=1.0.*.2 ???", "", "(b)", "c>=1"), package("a"), package("c"))
    assert [need.name for need in graph.needs("odd")] == ["c"]


def test_a_login_in_a_package_is_hidden():
    graph = graph_of(package("a", "b @ https://ana:planted@example.org/b.whl"), package("b"))
    assert graph.need("a", "b").requirement == "b @ https://••••••@example.org/b.whl"


def test_a_circle_ends(read):
    found = read(package("a", "b"), package("b", "c"), package("c", "a", "c"), requirements="a\n")
    assert origins(found) == {"a": "requirements.txt", "b": "dependency of a", "c": "dependency of a"}
    tree = found.tree("b")
    assert [[link.name for link in way.links] for way in tree.ways] == [["a", "b"]]
    assert tree.brings == 2
    assert [[link.name for link in way.links] for way in found.tree("a").ways] == [["a"]]
    alone = read(package("a", "b"), package("b", "a"))
    assert alone.tree("a").ways == ()
    assert origins(alone) == {"a": "environment", "b": "environment"}


def test_where_packages_come_from_locally(read):
    found = read(
        package("apache-airflow", "shared"),
        package("shared"),
        package("pip"),
        package("pandas", "shared", "numpy"),
        package("numpy"),
        package("stray"),
        requirements="pandas\n",
        foundation={"apache-airflow": "Dockerfile", "pip": "environment"},
    )
    assert origins(found) == {
        "pandas": "requirements.txt",
        "apache-airflow": "Dockerfile",
        "numpy": "dependency of pandas",
        "pip": "environment",
        "shared": "dependency of apache-airflow",
        "stray": "environment",
    }
    # Both that lead to it are told, the project's own first.
    assert [way.reason for way in found.tree("shared").ways] == ["requirements.txt:1", "Dockerfile"]


def test_where_packages_come_from_in_an_image(read):
    found = read(
        package("apache-airflow", "shared", origin="base image"),
        package("shared", origin="base image"),
        package("pandas", "numpy", "shared"),
        package("numpy"),
        package("cowsay", origin="added at run time"),
        package("baked"),
        package("requested-base", origin="base image"),
        requirements="pandas\ncowsay\nrequested-base\n",
        rest="image",
    )
    assert origins(found) == {
        "pandas": "requirements.txt",
        "cowsay": "added at run time",
        "requested-base": "base image",
        "apache-airflow": "base image",
        "numpy": "dependency of pandas",
        "shared": "base image",
        "baked": "image",
    }
    assert [way.reason for way in found.tree("baked").ways] == ["image"]


def test_the_line_that_holds_here_counts(read, project):
    (project.root / "more.txt").write_text("# more\nhttpx\n")
    (project.root / "pins.txt").write_text("numpy==1.0\n")
    found = read(
        *(package(name) for name in ("pandas", "httpx", "numpy")),
        requirements=(
            'pandas<2; python_version < "3.11"\npandas>=2; python_version >= "3.11"\n'
            '-r more.txt\n-c pins.txt\nabsent; sys_platform == "win32"\nlate\n'
        ),
        markers={"python_version": "3.12", "sys_platform": "linux"},
    )
    told = {each.name: (each.file, each.line) for each in found.packages}
    assert told == {"pandas": ("requirements.txt", 2), "httpx": ("more.txt", 2), "numpy": ("", None)}
    assert [request.place for request in found.missing] == ["requirements.txt:6"]


def test_a_url_that_does_not_tell_its_package(read):
    line = "git+https://ana:planted@example.org/tool.git"
    found = read(package("tool", direct=True), package("other"), requirements=f"{line}\n")
    assert [(each.requested, each.line) for each in found.packages] == [
        ("git+https://••••••@example.org/tool.git", 1),
        ("", None),
    ]


def test_who_imports_what(read, project):
    (project.root / "dags" / "exampledag.py").unlink()
    (project.root / "dags" / "a.py").write_text("from google.cloud import storage\nfrom airflow.sdk import dag\n")
    (project.root / "include" / "b.py").write_text("import yaml, airflow.providers.http.hooks\nimport google.cloud\n")
    found = read(
        package("apache-airflow-core", imports=("airflow",)),
        package("apache-airflow-task-sdk", imports=("airflow.sdk",)),
        package("apache-airflow-providers-http", imports=("airflow.providers.http",)),
        package("google-cloud-storage", imports=("google.cloud.storage",)),
        package("PyYAML", imports=("_yaml", "yaml")),
    )
    assert {each.name: each.imported_by for each in found.packages if each.imported_by} == {
        "apache-airflow-providers-http": ("include/b.py",),
        "apache-airflow-task-sdk": ("dags/a.py",),
        "google-cloud-storage": ("dags/a.py",),
        "PyYAML": ("include/b.py",),
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pandsa", "No package named pandsa is installed.\nDid you mean pandas?"),
        ("zzz", "No package named zzz is installed.\n%astro_installed lists what is installed."),
        ("yaml", "There is no package yaml: the module of that name is of PyYAML.\nDid you mean PyYAML?"),
        ("Polars", "Polars is requested in requirements.txt:1, but not installed yet.\n%astro_restart installs it."),
    ],
)
def test_a_package_that_is_not_there(read, name, said):
    found = read(package("pandas"), package("PyYAML", imports=("yaml",)), requirements="polars\n")
    with pytest.raises(DependencyError) as caught:
        found.tree(name)
    assert str(caught.value) == said


def test_newest_versions_are_asked_for_of_what_an_index_has(read, monkeypatch):
    asked: dict[str, Any] = {}

    def newest(versions, **settings):
        asked.update(settings, versions=versions)
        return {"a": "2.0"}

    monkeypatch.setattr("astro_magic.dependencies.dependencies.newest_versions", newest)
    found = read(
        package("a"),
        package("b"),
        package("own", direct=True),
        requirements="--extra-index-url https://example.org/simple\na\n",
        newest="",
        python_version="3.12.4",
    )
    assert {each.name: (each.newest, each.outdated) for each in found.packages} == {
        "a": ("2.0", True),
        "b": ("1.0", False),
        "own": (None, False),
    }
    assert asked["versions"] == {"a": "1.0", "b": "1.0"}
    assert asked["python"] == "3.12.4"
    assert asked["options"] == (("--extra-index-url", "https://example.org/simple"),)


def test_packages_of_the_operating_system(read, project):
    (project.root / "packages.txt").write_text("# tools\ngit=1:2.39*\nlibc6:arm64\nlibc6\nawk\nmissing\n")
    known = {"git:amd64": "1:2.39.5", "libc6:amd64": "2.36", "awk": "mawk 1.3.4"}
    found = read(os_packages=known).os_packages
    assert [(each.name, each.line, each.version) for each in found] == [
        ("git", 2, "1:2.39.5"),
        ("libc6:arm64", 3, ""),
        ("libc6", 4, "2.36"),
        ("awk", 5, "mawk 1.3.4"),
        ("missing", 6, ""),
    ]
    assert read().os_packages is None
    assert not read().has_image
