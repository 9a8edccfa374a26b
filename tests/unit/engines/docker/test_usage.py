"""Control groups as different systems lay them out; the files are as the kernel writes them."""

from datetime import UTC, datetime, timedelta

import pytest

from astro_magic.engines.docker.client.connection import Connection
from astro_magic.engines.docker.client.endpoint import Endpoint
from astro_magic.engines.docker.watching import usage
from astro_magic.engines.docker.watching.usage import Running, measure

ID = "f9354d0a" * 8


def engine(*, local):
    """An engine that is not asked anything."""
    return Connection(None, "unix:///x", "Docker", "20.10", local, Endpoint("unix:///x"))


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine whose files are below a folder."""
    monkeypatch.setattr(usage, "_PROC", tmp_path / "proc")

    def make(groups, mounts, files):
        for path, text in {"proc/77/cgroup": groups, "proc/self/mountinfo": mounts, **files}.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("ROOT", tmp_path.as_posix().replace(" ", "\\040")))
        container = Running(ID, 77, datetime.now(UTC) - timedelta(seconds=100))
        return measure(engine(local=True), [container]).get(ID)

    return make


def unified(group):
    files = {
        f"sys/{group}/cpu.stat": "usage_usec 5000000\nuser_usec 1\n",
        f"sys/{group}/memory.current": "9000\n",
        f"sys/{group}/memory.stat": "anon 5\ninactive_file 2000\nactive_file 7\n",
    }
    return files, "31 23 0:28 / ROOT/sys rw - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(
    ("path", "group"),
    [
        (f"/docker/{ID}", f"docker/{ID}"),
        (f"/system.slice/docker-{ID}.scope/init", f"system.slice/docker-{ID}.scope"),
        (f"/user.slice/user@0.service/libpod-{ID}.scope/container", f"user.slice/user@0.service/libpod-{ID}.scope"),
    ],
)
def test_version_2(machine, path, group):
    files, mounts = unified(group)
    found = machine(f"0::{path}\n", mounts, files)
    assert found.memory == 7000
    assert found.cpu_percent == pytest.approx(5, rel=0.1)


def test_version_1_with_a_mount_that_shows_a_part(machine):
    files = {
        f"sys/cpu,cpuacct/{ID}/cpuacct.usage": "5000000000\n",
        f"sys/memory/{ID}/memory.usage_in_bytes": "9000\n",
        f"sys/memory/{ID}/memory.stat": "inactive_file 1\ntotal_inactive_file 3000\n",
    }
    mounts = (
        "32 31 0:29 /docker ROOT/sys/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 /docker ROOT/sys/memory rw - cgroup cgroup rw,memory\n"
        "34 31 0:31 / ROOT/sys/unified rw - cgroup2 cgroup2 rw\n"
    )
    groups = f"4:memory:/docker/{ID}\n2:cpu,cpuacct:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/docker/{ID}\n"
    found = machine(groups, mounts, files)
    assert (found.memory, round(found.cpu_percent)) == (6000, 5)


def test_a_process_of_another_container_or_of_none_is_not_measured(machine):
    files, mounts = unified("docker/other")
    assert machine("0::/docker/other\n", mounts, files) is None
    assert machine("0::/\n", mounts, files) is None


def test_a_group_outside_of_what_is_mounted(machine):
    files, _ = unified(f"docker/{ID}")
    assert machine(f"0::/../{ID}\n", "31 23 0:28 / ROOT/sys rw - cgroup2 cgroup2 rw\n", files) is None
    assert machine(f"0::/docker/{ID}\n", "31 23 0:28 /else ROOT/sys rw - cgroup2 cgroup2 rw\n", files) is None


def test_a_process_that_is_gone(machine):
    assert measure(engine(local=True), [Running(ID, 2**30, datetime.now(UTC))]) == {}


def test_nothing_is_asked_of_a_remote_engine_unless_wanted():
    assert measure(engine(local=False), [Running(ID, 1, datetime.now(UTC))]) == {}
