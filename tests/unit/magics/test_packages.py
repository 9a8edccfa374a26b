"""``%astro_installed``."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError

from astro_magic import errors
from astro_magic.engines.installation import InstalledPackage

PACKAGES = (
    InstalledPackage("apache-airflow", "3.3.2", origin="base image"),
    InstalledPackage("numpy", "2.1.3", imports=("numpy",)),
    InstalledPackage("pandas", "2.3.1", requires=("numpy>=1.26", "pytz; extra == 'timezone'"), imports=("pandas",)),
)


@pytest.fixture
def shop(project, running):
    running.results["packages"] = PACKAGES
    (project.root / "requirements.txt").write_text("# shop\npandas>=2\npolars\n")
    (project.root / "dags" / "orders.py").write_text("import pandas as pd\n")
    return running


def test_the_table(shell, shop):
    lines = repr(shell.cell("%installed")).splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "3 packages installed, 1 requested by the project",
        "package version from requested imported by",
        "pandas 2.3.1 requirements.txt pandas>=2 · requirements.txt:2 dags/orders.py",
        "apache-airflow 3.3.2 base image",
        "numpy 2.1.3 dependency of pandas",
        "Not installed yet: polars (requirements.txt:3); %astro_restart brings it.",
        ".df is the DataFrame",
    ]


def test_as_many_as_a_new_environment_has_fit_into_one_output(shell, shop):
    name = "apache-airflow-providers-number"
    shop.results["packages"] = tuple(
        InstalledPackage(f"{name}-{number}", "2026.10.18", origin="dependency of apache-airflow")
        for number in range(130)
    )
    for shown in shell.cell("%installed")._repr_mimebundle_().values():
        assert f"{name}-99" in shown
        assert "left out" not in shown


def test_a_pattern(shell, shop):
    view = shell.cell("%astro_installed apache-*")
    assert "1 of 3 packages match apache-*" in repr(view)
    assert "polars" not in repr(view)
    assert [package.name for package in shell.cell("%installed AN")] == ["pandas"]
    assert repr(shell.cell("%installed nothing")) == "0 of 3 packages match nothing"


def test_the_data_frame(shell, shop):
    frame = shell.cell("%installed").df
    assert list(frame) == [
        "name",
        "version",
        "requested",
        "file",
        "line",
        "origin",
        "required_by",
        "newest",
        "imported_by",
    ]
    first = frame.iloc[0].to_dict()
    assert (first["name"], first["line"]) == ("pandas", 2)
    assert frame["newest"].isna().all()
    assert first["imported_by"] == ["dags/orders.py"]
    assert frame.iloc[2]["required_by"] == ["pandas"]
    assert len(shell.cell("%installed nothing").df) == 0


def test_only_what_is_outdated(shell, shop, monkeypatch):
    asked = []

    def newest(versions, **settings):
        asked.append(versions)
        return {"numpy": "2.4.0"}

    monkeypatch.setattr("astro_magic.dependencies.dependencies.newest_versions", newest)
    view = shell.cell("%installed --outdated")
    assert [(package.name, package.newest) for package in view] == [("numpy", "2.4.0")]
    assert repr(view).splitlines()[0] == "1 of 3 packages has a newer version"
    assert "2.4.0" in repr(view)
    shell.cell("%installed --outdated pandas")
    assert [set(versions) for versions in asked] == [{"pandas", "apache-airflow", "numpy"}, {"pandas"}]


def test_without_a_network_the_rest_goes_on(shell, shop, monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(errors.NetworkError, match="UV_OFFLINE is set"):
        shell.cell("%installed --outdated")
    assert len(shell.cell("%installed")) == 3


def test_why_a_package_is_there(shell, shop):
    assert repr(shell.cell("%installed --tree numpy")).splitlines() == [
        "numpy 2.1.3 · dependency of pandas",
        "Why it is here",
        "  pandas 2.3.1 · pandas>=2 · requirements.txt:2",
        "  └─ numpy 2.1.3 · >=1.26",
        "It needs no other package.",
    ]
    said = repr(shell.cell("%installed --tree Pandas"))
    assert "  imported by dags/orders.py\n" in said
    assert "It needs 1 package\n" in said
    assert "pytz" not in said
    with pytest.raises(errors.DependencyError, match="Did you mean pandas"):
        shell.cell("%installed --tree panda")


@pytest.mark.parametrize("line", ["--tree numpy --outdated", "--tree numpy pan", "--os --outdated", "--os pan"])
def test_what_does_not_go_together(shell, shop, line):
    with pytest.raises(UsageError, match="stand alone"):
        shell.cell(f"%installed {line}")


def test_packages_of_the_operating_system(shell, shop, project):
    (project.root / "packages.txt").write_text("tree\ngit=1:2.39*\n")
    assert repr(shell.cell("%installed --os")) == (
        "packages.txt (tree, git) has no effect on local processes: there is no image to install it in; "
        "%astro_start --engine docker makes one."
    )
    shop.results["os_packages"] = {"tree:amd64": "2.1.0-1"}
    view = shell.cell("%installed --os")
    assert [" ".join(line.split()) for line in repr(view).splitlines()] == [
        "packages.txt names 2 packages, of which the image lacks 1",
        "package version requested",
        "tree 2.1.0-1 tree · packages.txt:1",
        "git missing git=1:2.39* · packages.txt:2",
        "%astro_restart builds the image with what is missing.",
        ".df is the DataFrame",
    ]
    assert list(view.df["version"].isna()) == [False, True]
    shop.results["os_packages"] = {}
    assert repr(shell.cell("%installed --os")).startswith("The image has no Debian packages")


def test_no_login_is_shown(shell, shop, project):
    url = "https://ana:planted@example.org/pandas-2.3.1.tar.gz"
    (project.root / "requirements.txt").write_text(f"pandas @ {url}\npolars @ {url}\n")
    view = shell.cell("%installed")
    shown = [repr(view), *view._repr_mimebundle_().values(), view.df.to_csv()]
    shown += [repr(shell.cell("%installed --tree numpy"))]
    assert all("example.org/pandas" in each for each in shown)
    assert not any("planted" in each for each in shown)
