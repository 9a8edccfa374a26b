"""The tab of packages: searched, only what is requested, and newer versions in the background."""

from __future__ import annotations

import pytest

from astro_magic.engines.installation import InstalledPackage
from astro_magic.errors import NetworkError, NotRunningError
from astro_magic.widgets.model import LiveModel
from astro_magic.widgets.packages_tab import PackagesTab
from tests.unit.widgets.conftest import RUNNING
from tests.unit.widgets.faces import control, shown

PACKAGES = (
    InstalledPackage("apache-airflow", "3.3.2"),
    InstalledPackage("pandas", "2.3.1"),
    *(InstalledPackage(f"filler-{number:03}", "1.0") for number in range(250)),
)


@pytest.fixture
def tab(running):
    running.packages = PACKAGES
    painted: list[PackagesTab] = []

    def paint():
        for each in painted:
            each.refresh()

    model = LiveModel(running, paint)
    painted.append(PackagesTab(model))
    model.begin()
    yield painted[0]
    model.end()
    assert model.join(20)
    assert model.repaint.failure is None


def test_search_and_the_number_of_rows(tab, until):
    until(lambda: "252 packages · 52 more are not shown" in shown(tab))
    control(tab, "Search").value = "PANDAS"
    until(lambda: "1 of 252 packages" in shown(tab))
    assert "2.3.1" in shown(tab)
    control(tab, "Only requested").value = True
    until(lambda: "0 of 252 packages" in shown(tab))


def test_newer_versions_are_looked_for_when_asked(running, tab, until):
    until(lambda: not control(tab, "Look for newer versions").disabled)
    assert control(tab, "Only with a newer version").disabled
    control(tab, "Look for newer versions").click()
    until(lambda: "1 of 252 packages has a newer version." in shown(tab))
    until(lambda: not control(tab, "Only with a newer version").disabled)
    control(tab, "Only with a newer version").value = True
    until(lambda: "1 of 252 packages<" in shown(tab) and "3.0.0" in shown(tab))
    assert running.looks == [None, ""]


def test_an_index_that_cannot_be_reached(running, tab, until):
    until(lambda: not control(tab, "Look for newer versions").disabled)
    running.fails["dependencies"] = NetworkError("The index does not answer.")
    control(tab, "Look for newer versions").click()
    until(lambda: "Not found out</span>: The index does not answer." in shown(tab))
    until(lambda: "apache-airflow" in shown(tab))


def test_where_there_is_no_environment_yet(running, tab, until):
    until(lambda: "252 packages" in shown(tab))
    running.fails["dependencies"] = NotRunningError("There is no environment yet.", hint="%astro_start makes one.")
    running.become(RUNNING, state="failed")
    until(lambda: "There is no environment yet. %astro_start makes one." in shown(tab))
