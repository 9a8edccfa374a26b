"""What BuildKit and podman write while they build: of an old client a real output, others after their formats."""

import pytest

from astro_magic.engines.docker.image.output import BuildOutput, worth_showing

OLD_CLIENT = """\
#1 [internal] load build definition from Dockerfile
#1 sha256:f38c415fb875bdcfa12d0d4ae4e2a0376a96c8f78a63f0f21207f8bcf85a485b
#1 transferring dockerfile: 98B done
#1 DONE 0.0s

#3 [internal] load metadata for docker.io/library/debian:bookworm
#3 sha256:4c2e33d19e065699564b2d1959693ac3da3f2d2a45d5d9eeb53eb17dba13ef06
#3 DONE 0.0s

#4 [1/2] FROM docker.io/library/debian:bookworm
#4 sha256:12fbe2e882a41079e3d8907aef8b4cdeeecc5239506c91c1d3b441d9a97af0aa
#4 CACHED

#6 [2/2] COPY packages.txt .
#6 sha256:721cc69dd894946ebbce05056248edf728ceac131eb7e3ac6f520dba2715f5b7
#6 CACHED

#9 [5/2] RUN /usr/local/bin/install-python-dependencies
#9 sha256:11538523cdc17c9fb1d1afc77c2bf053de763be044b5911490c8b9b7e2d18cc2
#9 2.277 Collecting pyodbc==4.0.30
#9 2.493   Downloading pyodbc-4.0.30.tar.gz (266 kB)
#9 2.531      ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 266.3/266.3 kB 131.4 MB/s eta 0:00:00
#9 6.322
#9 6.341 error: legacy-install-failure
#9 ERROR: executor failed running [/bin/sh -c /usr/local/bin/install-python-dependencies]: exit code: 1
------
 > [5/2] RUN /usr/local/bin/install-python-dependencies:
------
executor failed running [/bin/sh -c /usr/local/bin/install-python-dependencies]: exit code: 1
"""

BUILDX = """\
#0 building with "default" instance using docker driver

#1 [internal] load build definition from Dockerfile
#1 transferring dockerfile: 145B done
#1 DONE 0.0s

#4 [one 1/2] FROM docker.io/library/debian:bookworm
#4 CACHED

#6 [stage-1 2/3] COPY nix /
#6 ERROR: "/nix" not found: not found

#7 [one 2/2] RUN echo a   && false
#7 0.252 a
#7 CANCELED
------
 > [stage-1 2/3] COPY nix /:
------
ERROR: failed to build: failed to solve: failed to compute cache key: "/nix" not found: not found
"""

#: As engines from 23 on write it, which name the line.
NEW_ENGINE = """\
#0 building with "default" instance using docker driver

#5 [2/2] RUN echo hi && exit 3
#5 0.234 hi
#5 ERROR: process "/bin/sh -c echo hi && exit 3" did not complete successfully: exit code: 3
------
 > [2/2] RUN echo hi && exit 3:
0.234 hi
------
Dockerfile:2
--------------------
   1 |     FROM debian:bookworm
   2 | >>> RUN echo hi && exit 3
   3 |
--------------------
ERROR: failed to solve: process "/bin/sh -c echo hi && exit 3" did not complete successfully: exit code: 3
"""

DONE = """\
#9 [5/9] RUN pip install -r requirements.txt
#9 0.639 Collecting tinycss2==1.3.0 (from -r requirements.txt (line 2))
#9 ...

#10 [other 2/2] RUN make
#10 0.1 made
#10 DONE 0.3s

#9 [5/9] RUN pip install -r requirements.txt
#9 1.002 Successfully installed tinycss2-1.3.0
#9 DONE 1.2s

#11 [6/9] COPY --chown=astro:0 . .
#11 CACHED

#12 exporting to image
#12 exporting layers 0.0s done
#12 writing image sha256:90e81c7680b0f1b43ef9f84f736aaf9dd4a0afddd70f2d1776779b419cef55e9 done
#12 DONE 0.1s
"""

PODMAN = """\
STEP 1/3: FROM debian:bookworm
STEP 2/3: RUN echo hi
--> Using cache 5a3c1e7b
--> 5a3c1e7b2d4
STEP 3/3: RUN echo there && exit 3
there
Error: building at STEP "RUN echo there && exit 3": while running runtime: exit status 3
"""


def read(text):
    return BuildOutput.of(text.splitlines())


def test_an_older_client():
    output = read(OLD_CLIENT)
    assert [(step.number, step.state) for step in output.steps.values()] == [
        (1, "done"),
        (3, "done"),
        (4, "cached"),
        (6, "cached"),
        (9, "failed"),
    ]
    failed = output.failed
    assert failed.instruction == "RUN /usr/local/bin/install-python-dependencies"
    assert (failed.index, failed.total) == (5, 2)
    # Steps of the base image are not counted by this version; a fraction would be above one.
    assert failed.title == "RUN /usr/local/bin/install-python-dependencies"
    assert failed.words() == ("Collecting pyodbc==4.0.30", "error: legacy-install-failure")
    assert output.error == (
        "executor failed running [/bin/sh -c /usr/local/bin/install-python-dependencies]: exit code: 1"
    )
    assert output.source_line is None
    assert output.ran == ()


def test_the_plugin_with_several_stages():
    output = read(BUILDX)
    assert [(step.stage, step.index, step.total, step.state) for step in output.instructions] == [
        ("one", 1, 2, "cached"),
        ("stage-1", 2, 3, "failed"),
        ("one", 2, 2, "canceled"),
    ]
    assert output.error == 'failed to compute cache key: "/nix" not found: not found'
    assert 0 not in output.steps


def test_the_numbers_of_ten_steps_are_filled_up():
    output = BuildOutput()
    output.feed("#11 [ 7/10] RUN --mount=type=secret,id=netrc pip install x")
    output.feed("#12 [stage-1  3/12] RUN make")

    first, second = (output.steps[number] for number in (11, 12))

    assert (first.index, first.total, first.instruction) == (7, 10, "RUN --mount=type=secret,id=netrc pip install x")
    assert (second.stage, second.index, second.total, second.instruction) == ("stage-1", 3, 12, "RUN make")


def test_a_newer_engine_names_the_line():
    output = read(NEW_ENGINE)
    assert output.source_line == 2
    assert output.failed.words() == ("hi",)
    assert output.error.endswith("did not complete successfully: exit code: 3")


def test_steps_that_run_at_the_same_time():
    output = read(DONE)
    assert [(step.index, step.state, step.seconds) for step in output.instructions] == [
        (5, "done", 1.2),
        (2, "done", 0.3),
        (6, "cached", None),
    ]
    assert len(output.steps[9].lines) == 2
    assert [step.number for step in output.ran] == [9, 10]
    assert output.failed is None
    assert output.error == ""


def test_podman():
    output = read(PODMAN)
    output.finish(succeeded=False)
    assert [(step.index, step.state) for step in output.instructions] == [(1, "done"), (2, "cached"), (3, "failed")]
    assert output.failed.words() == ("there",)
    assert "exit status 3" in output.error


def test_podman_that_succeeds():
    output = read(PODMAN.replace(PODMAN.splitlines()[-1], "Successfully tagged localhost/x:latest"))
    output.finish(succeeded=True)
    assert output.failed is None
    assert [step.index for step in output.ran] == [3]


def test_a_failure_without_a_step():
    output = read(
        "#2 DONE 0.0s\nERROR: failed to build: failed to solve: rpc error: code = Unknown desc = failed to solve with "
        "frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: X"
    )
    assert output.failed is None
    assert output.error == "dockerfile parse error line 2: unknown instruction: X"


def test_what_a_step_writes_is_never_taken_for_the_builders_own_words():
    output = read("#5 [2/2] RUN x\n#5 0.1 ERROR: failed to solve: no\n#5 0.2 Dockerfile:77\n#5 0.3 #9 DONE 1.0s\n")
    assert output.errors == []
    assert output.source_line is None
    assert list(output.steps) == [5]
    assert output.steps[5].state == "running"


def test_only_the_end_of_a_long_output_is_kept():
    output = read("#5 [2/2] RUN x\n" + "".join(f"#5 0.1 line {number}\n" for number in range(10_000)))
    assert len(output.steps[5].lines) < 1000
    assert output.steps[5].words(2) == ("line 9998", "line 9999")


def test_a_line_that_was_overwritten_shows_as_it_ended():
    output = read("#5 [2/2] RUN x\n")
    assert output.feed("#5 0.1 10 %\r50 %\rdone") == (output.steps[5], "done")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "     ━━━━━━━━━━━━━━━━━━━ 266.3/266.3 kB 131.4 MB/s eta 0:00:00",
        "Get:4 http://packages.example.org/debian bookworm/main amd64 Packages [8790 kB]",
        "Reading package lists...",
        "(Reading database ... 5%",
        "  Downloading tinycss2-1.3.0-py3-none-any.whl (22 kB)",
        "[notice] A new release of pip is available: 23.0.1 -> 26.0",
        "  │",
        "--> 0c9f90997f0",
        "COMMIT shop_fca137/airflow:latest",
        "1ad526f29b7d433f0113518fe94245b2ad18f20913f12cdffcc78ca6a1fb234f",
    ],
)
def test_noise(line):
    assert not worth_showing(line)


@pytest.mark.parametrize("line", ["Collecting x", "E: Unable to locate package x", "╰─> pyodbc", "  100 tests passed"])
def test_no_noise(line):
    assert worth_showing(line)
