"""Where and why a build failed, from the words of the tools. Those of uv, compilers and registries are real ones."""

import pytest

from astro_magic.engines.docker.image.failures import explain
from astro_magic.engines.docker.image.output import BuildOutput
from astro_magic.errors import BuildFailedError, EngineUnavailableError
from astro_magic.project.dockerfile.dockerfile import instructions
from astro_magic.project.project import Project

RUNTIME = "FROM astrocrpublic.azurecr.io/runtime:3.3-1\n"
INSTALL = "[5/2] RUN /usr/local/bin/install-python-dependencies"


@pytest.fixture
def project(tmp_path):
    project = Project.create(tmp_path / "shop").project
    (project.root / "requirements.txt").write_text("# ours\n\npyodbc==4.0.30\ntinycss2==1.3.0\nwebencodings<0.4\n")
    (project.root / "packages.txt").write_text("# ours\ncurl=1.2\n")
    return project


def step(name, *lines, error="executor failed running [/bin/sh -c x]: exit code: 1"):
    """Give the output of a build in which a step fails."""
    rows = [f"#9 {name}", *(f"#9 1.234 {line}" for text in lines for line in text.splitlines()), f"#9 ERROR: {error}"]
    return [*rows, "------", f" > {name}:", "------", f"ERROR: failed to solve: {error}"]


def failure(project, rows, dockerfile=RUNTIME):
    error = explain(project, BuildOutput.of(rows), instructions(dockerfile), log=".astro/magic/logs/build-1051.log")
    assert isinstance(error, BuildFailedError)
    assert error.detail.splitlines()[-1] == "Full log: .astro/magic/logs/build-1051.log"
    return error


HEADER = """\
Collecting pyodbc==4.0.30
  Downloading pyodbc-4.0.30.tar.gz (266 kB)
      src/pyodbc.h:56:10: fatal error: sql.h: No such file or directory
      compilation terminated.
      error: command '/usr/bin/x86_64-linux-gnu-g++' failed with exit code 1
  ERROR: Failed building wheel for pyodbc
"""


def test_a_missing_header(project):
    error = failure(project, step(INSTALL, HEADER))
    assert error.message == (
        "Build failed at requirements.txt line 3: pyodbc 4.0.30 has no wheel for this platform, and its source needs "
        "the header sql.h of unixodbc-dev."
    )
    assert error.hint == "%packages add unixodbc-dev"
    assert "fatal error: sql.h" in error.detail
    assert "Downloading" not in error.detail


@pytest.mark.parametrize(
    ("words", "needs", "hint"),
    [
        ("Error: pg_config executable not found.", "pg_config, which", "%packages add libpq-dev build-essential"),
        ("/bin/sh: 1: mysql_config: not found", "mysql_config, which", "default-libmysqlclient-dev"),
        ("error: command 'gcc' failed: No such file or directory", "gcc, which", "%packages add build-essential"),
        (
            "error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-g++'",
            "x86_64-linux-gnu-g++, which",
            "%packages add build-essential",
        ),
        ("error: can't find Rust compiler", "a Rust compiler", "%packages add cargo"),
        ("x.c:1:10: fatal error: lber.h: No such file or directory", "header lber.h of libldap2-dev", "libldap2-dev"),
        ("x.c:1:10: fatal error: own/thing.h: No such file or directory", "header own/thing.h.", "packages.txt"),
    ],
)
def test_what_else_a_source_can_need(project, words, needs, hint):
    error = failure(project, step(INSTALL, f"Collecting pyodbc\n{words}\nFailed to build 'pyodbc'"))
    assert error.message.startswith("Build failed at requirements.txt line 3: pyodbc has no wheel")
    assert needs in error.message
    assert hint in error.hint


UV = {
    "nothing": """\
error: No solution found when resolving dependencies
  cause: Because pyodbc was not found in the package registry and you require pyodbc, we can
         conclude that your requirements are unsatisfiable.""",
    "no version": """\
error: No solution found when resolving dependencies
  cause: Because there is no version of tinycss2==9.9.0 and you require tinycss2==9.9.0, we can conclude that your
         requirements are unsatisfiable.""",
    "conflict": """\
  × No solution found when resolving dependencies:
  ╰─▶ Because tinycss2==1.3.0 depends on webencodings>=0.4 and you require tinycss2==1.3.0, we can conclude that you
      require webencodings>=0.4.
      And because you require webencodings<0.4, we can conclude that your requirements are unsatisfiable.""",
    "source": """\
error: Failed to build `pyodbc==4.0.30`
  cause: Call to `setuptools.build_meta:__legacy__.build_wheel` failed (exit status: 1)
         src/pyodbc.h:56:10: fatal error: sql.h: No such file or directory
         compilation terminated.""",
}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nothing", "requirements.txt line 3: there is no package pyodbc on the package index"),
        ("no version", "requirements.txt line 4: there is no version tinycss2==9.9.0."),
        ("conflict", "requirements.txt lines 4 and 5: these requirements cannot be installed together."),
        ("source", "requirements.txt line 3: pyodbc 4.0.30 has no wheel for this platform, and its source needs the h"),
    ],
)
def test_uv(project, words, message):
    assert message in failure(project, step(INSTALL, UV[words])).message


def test_a_package_that_another_one_asks_for_has_no_line(project):
    words = "ERROR: No matching distribution found for deep-down==1 (from tinycss2)"
    message = failure(project, step(INSTALL, words)).message
    assert message.startswith("Build failed at requirements.txt: there is no package deep-down")


def test_a_line_of_an_included_file(project):
    (project.root / "more.txt").write_text("\nnowhere-to-be-found\n")
    (project.root / "requirements.txt").write_text("-r more.txt\n")
    words = "ERROR: No matching distribution found for Nowhere_to.be-found"
    assert failure(project, step(INSTALL, words)).message.startswith("Build failed at more.txt line 2: ")


def test_another_python(project):
    words = "ERROR: Package 'tinycss2' requires a different Python: 3.11.2 not in '>=3.12'"
    assert (
        "line 4: tinycss2 needs Python >=3.12, and the image has 3.11.2."
        in failure(project, step(INSTALL, words)).message
    )


UNREACHABLE = """\
Err:1 http://packages.example.org/debian bookworm InRelease
  Temporary failure resolving 'packages.example.org'
E: Failed to fetch http://packages.example.org/x  Temporary failure resolving 'packages.example.org'"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "E: Version '1.2' for 'curl' was not found",
            "packages.txt line 2: there is no version 1.2 of the package curl",
        ),
        (
            "E: Package 'curl' has no installation candidate",
            "packages.txt line 2: the package curl cannot be installed",
        ),
        (
            UNREACHABLE,
            "packages.txt: the operating system's packages could not be fetched",
        ),
    ],
)
def test_apt(project, words, message):
    rows = step("[3/2] RUN /usr/local/bin/install-system-packages", words)
    assert failure(project, rows).message.startswith(f"Build failed at {message}")


DOCKERFILE = """\
ARG NAME=value
FROM debian:bookworm AS tools
RUN make  \\
    all
FROM {base}
ENV A=1
RUN true
RUN pip install $A "b c"

RUN true
COPY --from=tools /out /in
"""


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("[tools 2/2] RUN make      all", 3),
        ("[stage-1 2/5] RUN true", 7),
        ("[stage-1 4/5] RUN true", 9 + 1),
        ("[stage-1 3/5] RUN pip install 1 b c", 8),
        ('[stage-1 3/5] RUN pip install 1 "b c"', 8),
        ("[linux/arm64 stage-1 5/5] COPY --from=tools /out /in", 11),
    ],
)
def test_the_line_of_the_dockerfile(project, name, line):
    dockerfile = DOCKERFILE.format(base="debian:bookworm")
    error = failure(project, step(name, error="exit code: 3"), dockerfile)
    assert error.message == f"Build failed at Dockerfile line {line}: the command ended with code 3."


def test_the_line_that_the_builder_names_holds(project):
    rows = [*step("[2/2] RUN anything at all", error="exit code: 3")[:-1], "Dockerfile:4", "ERROR: failed to solve: x"]
    assert "Dockerfile line 4: " in failure(project, rows, DOCKERFILE.format(base="debian:bookworm")).message


def test_a_step_of_the_base_image_that_nothing_is_known_of(project):
    error = failure(project, step("[3/2] RUN /opt/vendor/check", error="exit code: 3"))
    assert error.message == (
        "Build failed at Dockerfile line 1, a step that the base image adds: the command ended with code 3."
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("pull access denied, repository does not exist or may require authorization", "or this user may not have it"),
        ("images.example.org/x:1: not found", "there is no image vendor/x:1."),
        (
            'Head "https://images.example.org": dial tcp: lookup images.example.org: no such host',
            "cannot be reached",
        ),
        ("x509: certificate signed by unknown authority", "is not trusted by this engine"),
        ("429 Too Many Requests - toomanyrequests: You have reached your pull rate limit", "refuses more downloads"),
        ("no match for platform in manifest: not found", "for this platform"),
        ("write /var/lib/x: no space left on device", "no room left on the engine's disk"),
    ],
)
def test_base_images(project, words, message):
    rows = step("[internal] load metadata for docker.io/vendor/x:1", error=words)
    error = failure(project, rows, "# first\nFROM --platform=linux/amd64 vendor/x:1\n")
    assert error.message.startswith("Build failed at Dockerfile line 2: ")
    assert message in error.message


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("secret pip: not found", "it needs the build secret pip, which is not given"),
        ('no SSH key "github" forwarded from the client', "it needs the SSH key github, which is not given"),
        ("executor failed running [/bin/sh -c x]: exit code: 137", "was killed (code 137)"),
        ("write /x: no space left on device", "no room left"),
    ],
)
def test_what_the_builder_says_of_a_step(project, error, message):
    assert message in failure(project, step("[2/2] RUN x", error=error), "FROM debian\nRUN x\n").message


def test_a_key_with_a_passphrase(project):
    rows = ["could not parse ssh: [default=/k]: failed to parse key: this private key is passphrase protected"]
    assert failure(project, rows).hint.startswith("Add it to an SSH agent")


@pytest.mark.parametrize(
    "error",
    [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF",
        "rpc error: code = Unavailable desc = transport is closing",
    ],
)
def test_an_engine_that_is_gone(project, error):
    rows = ["#5 [2/2] RUN sleep 9", "#5 0.1 begun", f"ERROR: {error}"]
    found = explain(project, BuildOutput.of(rows), instructions(RUNTIME), log="x.log")
    assert isinstance(found, EngineUnavailableError)
    assert found.message == "The container engine stopped while it built the image."


def test_a_step_that_only_speaks_of_an_engine_failed_by_itself(project):
    rows = step("[2/2] RUN docker ps", "Cannot connect to the Docker daemon", error="exit code: 1")
    assert "Dockerfile line 2" in failure(project, rows, "FROM debian\nRUN docker ps\n").message


def test_secrets_are_hidden_in_all_parts(project):
    rows = step("[2/2] RUN x", "using hunter22 now", error="bad hunter22")
    error = explain(
        project,
        BuildOutput.of(rows),
        instructions("FROM debian\nRUN x\n"),
        log="x.log",
        shown=lambda text: text.replace("hunter22", "•"),
    )
    assert "hunter22" not in str(error)
    assert "using • now" in error.detail
