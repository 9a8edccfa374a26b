"""Real environments: whole, told apart from what somebody did to them, and gone back to while Airflow runs."""

from __future__ import annotations

import pytest

from astro_magic.engines.local.damage import inspect_environment
from astro_magic.engines.local.environment import LocalEnvironment
from astro_magic.engines.local.environments import current_environment
from astro_magic.engines.local.generations import read_facts
from astro_magic.engines.local.records import site_packages
from astro_magic.engines.local.verification import find_broken
from astro_magic.environment import Environment
from astro_magic.system.events import Event, Step

pytestmark = pytest.mark.airflow


def present(environment: Environment) -> LocalEnvironment:
    found = current_environment(environment.project)
    assert found is not None
    return found


def test_what_was_built_is_whole(environment: Environment) -> None:
    made = present(environment)
    facts = read_facts(made.folder)
    assert find_broken(made.folder, facts.packages) == {}
    assert (facts.number, facts.requested) == (1, ("humanize",))
    (file,) = site_packages(made.folder).glob("humanize/time.py")
    file.unlink()
    assert inspect_environment(made.folder).damage == "files of humanize are missing, such as humanize/time.py"
    assert find_broken(made.folder, facts.packages) == {"humanize": "lacks humanize/time.py"}


def test_airflow_changes_nothing_in_it(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    made = present(environment)
    inspect_environment(made.folder)
    environment.start()
    environment.parse("orders.py")
    assert environment.test_dag("orders").state == "success"
    environment.stop()
    # Nothing has to be looked at, since no folder has changed.
    monkeypatch.setattr("astro_magic.engines.local.damage.read_records", None)
    assert inspect_environment(made.folder).damage == ""


@pytest.mark.timeout(600)
def test_back_while_airflow_runs(environment: Environment) -> None:
    project, generations = environment.project, environment.generations
    environment.start()
    first = present(environment)
    project.requirements.remove("humanize")
    environment.restart()
    assert [(each.number, each.running, each.changes) for each in generations.read()] == [
        (2, True, ("removes humanize 4.9.0",)),
        (1, False, ()),
    ]
    done = generations.roll_back()
    assert done.ready
    assert [file.name for file in done.change.files] == ["requirements.txt"]
    # What runs is not touched by that, nor removed.
    assert [(each.number, each.current, each.running) for each in generations.read()] == [
        (2, False, True),
        (1, True, False),
    ]
    assert generations.prune(keep=0).removed == ()
    events: list[Event] = []
    environment.restart(listener=events.append)
    assert not [event for event in events if isinstance(event, Step) and "installing" in event.detail]
    assert present(environment).folder == first.folder
    assert environment.status().state == "running"
    assert [each.number for each in generations.prune(keep=0).removed] == [2]
