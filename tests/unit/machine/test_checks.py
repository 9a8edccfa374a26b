from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from astro_magic.errors import FileAccessError
from astro_magic.machine.checks import check_machine, machine_checks
from astro_magic.machine.result import CheckResult
from astro_magic.system.events import Step, run


def says(name, detail="", *, after=0.0):
    def check():
        time.sleep(after)
        yield CheckResult(name, "good", detail)

    return check


def fails(problem):
    def check():
        raise problem

    return check


def test_results_come_in_the_order_of_the_checks_whatever_ends_first():
    checks = {"slow": says("slow", after=0.2), "two": lambda: [*says("a")(), *says("b")()], "fast": says("fast")}
    steps: list[Any] = []
    results = run(check_machine(checks=checks), steps.append)
    assert [result.name for result in results] == ["slow", "a", "b", "fast"]
    assert [step.state for step in steps] == ["running"] * 3 + ["done"] * 3
    assert steps[-1].key == "slow"
    assert all(isinstance(step, Step) and step.key == step.title for step in steps)


def test_the_checks_are_done_at_the_same_time():
    barrier = threading.Barrier(8, timeout=5)

    def check():
        barrier.wait()
        yield CheckResult("x", "good", "")

    assert len(run(check_machine(checks={str(number): check for number in range(8)}))) == 8


def test_one_that_hangs_keeps_nobody_waiting():
    end = threading.Event()

    def hang():
        end.wait(30)
        return []

    steps: list[Any] = []
    results = run(check_machine(checks={"hangs": hang, "fast": says("fast", "here")}, timeout=1), steps.append)
    end.set()
    assert results[0] == CheckResult("hangs", "unknown", "no answer within 1 s")
    assert results[1].detail == "here"
    assert [step.state for step in steps if step.key == "hangs"] == ["running", "skipped"]


def test_one_that_fails_takes_no_other_with_it():
    refused = FileAccessError("The file cannot be read.", hint="Give the right.")
    checks = {"a": fails(refused), "b": fails(RuntimeError("with pl4nted in it")), "c": says("c")}
    a, b, c = run(check_machine(checks=checks))
    assert a == CheckResult("a", "unknown", "could not be checked: The file cannot be read.", "Give the right.")
    assert b == CheckResult("b", "unknown", "could not be checked: RuntimeError")
    assert c.state == "good"


def test_no_login_of_a_url_gets_through():
    leaky = CheckResult("x", "bad", "at http://ana:pl4nted@host/", "see ssh://ana:pl4nted@host")
    [result] = run(check_machine(checks={"x": lambda: [leaky]}))
    assert "pl4nted" not in repr(result)
    assert "host/" in result.detail


@pytest.mark.timeout(30)
def test_closing_it_early_waits_for_nothing():
    operation = check_machine(checks={"slow": says("slow", after=60)})
    assert next(operation) == Step("slow", "slow")
    operation.close()


@pytest.mark.parametrize("with_project", [True, False])
def test_the_whole_machine_with_secrets_everywhere(project, monkeypatch, with_project):
    secret = "pl4nted"
    url = f"http://ana:{secret}@127.0.0.1:9/{secret}"
    for name in ("HTTP_PROXY", "https_proxy", "UV_DEFAULT_INDEX", "UV_INDEX"):
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://ana:{secret}@127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", f"http://ana:12/{secret}@proxy:1")
    (project.root / ".env").write_text(f"TOKEN={secret}\n")
    (project.root / "requirements.txt").write_text(f"--index-url {url}\n")
    asked = project if with_project else None
    steps: list[Any] = []
    results = run(check_machine(asked), steps.append)
    assert secret not in repr(results)
    assert secret not in repr(steps)
    assert {step.key for step in steps} == set(machine_checks(asked))
    told = {result.name for result in results}
    assert {"Docker", "memory", "CPU", "disk", "temporary folder", "uv", "package index", "proxy"} <= told
    assert ("folder" in told) == with_project
    assert all(result.detail for result in results)
    assert not any("could not be checked" in result.detail for result in results)
