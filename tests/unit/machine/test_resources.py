from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astro_magic.machine.resources import (
    DiskUsage,
    Memory,
    check_cpu,
    check_disk,
    check_memory,
    disk_usage,
    read_cpus,
    read_memory,
)

GB = 1_000_000_000


@pytest.mark.parametrize(
    ("available", "docker", "state"),
    [(8 * GB, True, "good"), (3 * GB, False, "good"), (3 * GB, True, "warning"), (GB, False, "warning")],
)
def test_memory(available, docker, state):
    [result] = check_memory(Memory(available, 16 * GB), docker=docker)
    assert result.state == state
    assert result.detail == f"{available / GB:.1f} GB of 16.0 GB available"
    assert bool(result.hint) == (state != "good")


def test_the_limit_of_a_container_is_said():
    [result] = check_memory(Memory(500_000_000, GB, limited=True), docker=False)
    assert result.detail == "500 MB of 1.0 GB available (the limit of this container)"


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_limits_of_control_groups_of_version_2(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/user.slice/kernel.scope\n")
    groups = tmp_path / "cgroup"
    # The limit is set on the group above, and most of what is used is cache.
    write(groups / "user.slice/kernel.scope", memory__max="max", memory__current=1, memory__stat="anon 1")
    write(
        groups / "user.slice",
        memory__max=1_000_000_000,
        memory__current=900_000_000,
        memory__stat="anon 1\ninactive_file 700000000",
        cpu__max="150000 100000",
    )
    memory = read_memory(cgroups=groups, own=own)
    assert (memory.total, memory.limited) == (1_000_000_000, True)
    assert memory.available == min(800_000_000, psutil.virtual_memory().available)
    assert read_cpus(cgroups=groups, own=own) <= 1.5


def test_limits_of_control_groups_of_version_1_in_a_container(tmp_path):
    own = tmp_path / "own"
    own.write_text("9:memory:/docker/4f1c\n8:cpu,cpuacct:/docker/4f1c\n")
    groups = tmp_path / "cgroup"
    # The path is the host's, and is not there inside.
    write(
        groups / "memory",
        memory__limit_in_bytes=300_000_000,
        memory__usage_in_bytes=200_000_000,
        memory__stat="cache 1\ntotal_inactive_file 100000000",
    )
    write(groups / "cpu", cpu__cfs_quota_us=50_000, cpu__cfs_period_us=100_000)
    memory = read_memory(cgroups=groups, own=own)
    assert (memory.available, memory.total, memory.limited) == (200_000_000, 300_000_000, True)
    assert read_cpus(cgroups=groups, own=own) == 0.5


def test_no_limit(tmp_path):
    own = tmp_path / "own"
    own.write_text("0::/\n")
    write(
        tmp_path / "cgroup" / "memory",
        memory__limit_in_bytes=9_223_372_036_854_771_712,
        memory__usage_in_bytes="nonsense",
    )
    write(tmp_path / "cgroup" / "cpu", cpu__cfs_quota_us=-1, cpu__cfs_period_us=100_000)
    write(tmp_path / "cgroup", cpu__max="max 100000", memory__max="max")
    memory = read_memory(cgroups=tmp_path / "cgroup", own=own)
    assert (memory.total, memory.limited) == (psutil.virtual_memory().total, False)
    unlimited = read_memory(cgroups=tmp_path / "nothing", own=tmp_path / "nothing")
    assert unlimited.total == memory.total
    assert read_cpus(cgroups=tmp_path / "cgroup", own=own) == read_cpus(cgroups=tmp_path / "no", own=tmp_path / "no")


@given(st.text(), st.text())
def test_odd_files_of_control_groups_do_no_harm(text, other):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("own", "memory.max", "memory.current", "memory.stat", "cpu.max"):
            (root / name).write_bytes((text if name == "own" else other).encode("utf-8", "surrogatepass"))
        assert read_memory(cgroups=root, own=root / "own").available >= 0
        assert read_cpus(cgroups=root, own=root / "own") >= 0


@pytest.mark.parametrize(
    ("cpus", "state", "seen"),
    [(1, "warning", "1 processor"), (1.5, "warning", "1.5 processors"), (2, "good", "2 processors")],
)
def test_cpu(cpus, state, seen):
    [result] = check_cpu(cpus)
    assert (result.state, result.detail) == (state, seen)


def test_disk():
    root, cache = Path("/data/shop"), Path("/data/cache")
    [result] = check_disk([DiskUsage("project", root, 1, 9 * GB), DiskUsage("cache", cache, 1, 9 * GB)])
    assert (result.state, result.detail) == ("good", "9.0 GB free for the project and the cache")
    full, little = check_disk([DiskUsage("project", root, 1, 400_000_000), DiskUsage("cache", cache, 2, GB)])
    assert (full.state, full.detail) == ("bad", "400 MB free for the project")
    assert str(root) in full.hint
    assert (little.state, little.detail) == ("warning", "1.0 GB free for the cache")
    assert "uv cache prune" in little.hint


def test_a_disk_with_room_for_few_files():
    [result] = check_disk([DiskUsage("project", Path("/data"), 1, 9 * GB, inodes=1_200)])
    assert (result.state, result.detail) == ("warning", "9.0 GB free for the project, but only 1,200 more files")
    assert "/data" in result.hint


def test_a_folder_that_is_not_there_yet_is_measured_above(tmp_path):
    usage = disk_usage("cache", tmp_path / "a" / "b")
    assert usage.folder == tmp_path
    assert usage.free > 0
