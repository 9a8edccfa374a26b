"""The images that the tests run: stand-ins under the real names, made of Debian's and Python's packages.

``python -m tests.docker.images`` makes those that are missing, or whose folder in ``tests/images`` has changed. An
image that was there before under such a name, and that is no stand-in, is used as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import docker
import docker.errors
import requests
from filelock import FileLock

__all__ = [
    "AIRFLOW_2",
    "AIRFLOW_3",
    "CONTENT_LABEL",
    "DEBIAN",
    "IMAGES",
    "PLAIN",
    "POSTGRES",
    "Image",
    "ImagesError",
    "ensure",
    "reason_against",
]

FOLDER = Path(__file__).resolve().parent.parent / "images"
#: Says of a stand-in from what content it was made; whatever is built from a stand-in has the label too.
CONTENT_LABEL = "stand-in.content"
AUTHORITIES = Path("/usr/local/share/ca-certificates")
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

DEBIAN = "debian:bookworm"
POSTGRES = "docker.io/postgres:12.6"
#: The runtimes that a new project names by default.
AIRFLOW_3 = "astrocrpublic.azurecr.io/runtime:3.3-8"
AIRFLOW_2 = "quay.io/astronomer/astro-runtime:13.11.0"
#: An earlier runtime of the same line.
EARLIER = "astrocrpublic.azurecr.io/runtime:3.3-1"
#: What the Airflow project publishes.
PLAIN = "apache/airflow:3.3.2"

Tell = Callable[[str], None]


class ImagesError(RuntimeError):
    """The images cannot be made; the message says why."""


@dataclass(frozen=True)
class Image:
    """One stand-in.

    Attributes
    ----------
    tag : str
        Its name.
    folder : str
        Where its Dockerfile is, below ``tests/images``.
    target : str
        The stage of the Dockerfile; empty for the last one.
    arguments : Mapping of str to str
        The build arguments.
    """

    tag: str
    folder: str
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)

    def content(self) -> str:
        """Give a hash of all that it is made of."""
        digest = hashlib.sha256()
        own = (FOLDER / self.folder).rglob("*")
        debian = (FOLDER / "debian").rglob("*")
        # Wherever the checkout is, the order is the same.
        for path in [*sorted({path for path in (*own, *debian) if path.is_file()}), *_authorities()]:
            mode = path.stat().st_mode & 0o111
            digest.update(f"{path.name} {mode} {path.stat().st_size}\n".encode() + path.read_bytes())
        digest.update(repr((self.target, sorted(self.arguments.items()))).encode())
        return digest.hexdigest()[:20]


def _runtime(tag: str, airflow: str) -> Iterator[Image]:
    arguments = {"AIRFLOW_VERSION": airflow, "RUNTIME_VERSION": tag.rpartition(":")[2]}
    yield Image(f"{tag}-base", "airflow", "runtime-base", arguments)
    yield Image(tag, "airflow", "runtime", arguments)


BASE = Image(DEBIAN, "debian")
#: What can be built at the same time. The images of one series share steps, which two builds at once would both run.
SERIES = (
    (
        *_runtime(AIRFLOW_3, "3.3.2"),
        *_runtime(EARLIER, "3.3.2"),
        Image(PLAIN, "airflow", "plain", {"AIRFLOW_VERSION": "3.3.2"}),
        *_runtime(AIRFLOW_2, "2.11.2"),
    ),
    (Image(POSTGRES, "postgres"),),
)
IMAGES = (BASE, *(image for series in SERIES for image in series))


def reason_against() -> str | None:
    """Say quickly why no image can be built or run here; None when nothing is known to stand against it."""
    try:
        client = docker.from_env(timeout=5)
        try:
            client.ping()
        finally:
            client.close()
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        return f"no Docker Engine answers ({str(error)[:120]})"
    if _build_command() is None:
        return "no docker command on this machine can use BuildKit (on Debian: apt-get install docker.io)"
    return None


def ensure(tell: Tell | None = None, *, replace: bool = False) -> None:
    """Make the images that are missing or outdated.

    Parameters
    ----------
    tell : callable, optional
        Takes the lines that say what has been done, and in how many seconds. Default: they are printed.
    replace : bool
        Whether images that are no stand-ins are replaced too.

    Raises
    ------
    ImagesError
        When no engine answers, or an image cannot be made.
    """
    if reason := reason_against():
        raise ImagesError(reason)
    client = docker.from_env()
    try:
        # Two runs of the tests on one machine would else build the same at the same time.
        with FileLock(Path(tempfile.gettempdir()) / f"astro-magic-test-images-{os.getuid()}.lock"):
            _ensure(client, tell or _say, replace=replace)
    finally:
        client.close()


def _ensure(client: docker.DockerClient, tell: Tell, *, replace: bool) -> None:
    outdated = {image.tag for image in IMAGES if _is_outdated(image, client, replace=replace)}
    before = {tag: _id(client, tag) for tag in outdated}
    if DEBIAN in outdated:
        _timed(_make_debian, BASE, tell)
    with ThreadPoolExecutor(len(SERIES)) as pool:
        missing = [[image for image in series if image.tag in outdated] for series in SERIES]
        for done in [pool.submit(_build_series, series, tell) for series in missing]:
            done.result()
    for image_id in before.values():
        if image_id is not None:
            _remove_unnamed(client, image_id)


def _is_outdated(image: Image, client: docker.DockerClient, *, replace: bool) -> bool:
    try:
        labels = client.api.inspect_image(image.tag)["Config"].get("Labels") or {}
    except docker.errors.ImageNotFound:
        return True
    content = labels.get(CONTENT_LABEL)
    return replace if content is None else bool(content != image.content())


def _build_series(series: Sequence[Image], tell: Tell) -> None:
    for image in series:
        _timed(_build, image, tell)


def _timed(make: Callable[[Image], None], image: Image, tell: Tell) -> None:
    begin = time.monotonic()
    make(image)
    tell(f"{time.monotonic() - begin:7.1f} s  {image.tag}")


def _id(client: docker.DockerClient, name: str) -> str | None:
    try:
        return str(client.api.inspect_image(name)["Id"])
    except docker.errors.ImageNotFound:
        return None


def _remove_unnamed(client: docker.DockerClient, image_id: str) -> None:
    """Remove an image that has no name any more, unless something still runs or is made from it."""
    try:
        if not client.api.inspect_image(image_id)["RepoTags"]:
            client.api.remove_image(image_id)
    except docker.errors.APIError:
        return


def _make_debian(image: Image) -> None:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        command = _build_command()
        assert command is not None
        done = subprocess.run([command[0], "pull", "--quiet", image.tag], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImagesError(
                f"{image.tag} cannot be pulled, and making it needs root and mmdebstrap: {done.stderr.strip()[-300:]}"
            )
        return
    changes = ['CMD ["bash"]', f"LABEL {CONTENT_LABEL}={image.content()}"]
    if _authorities():
        changes += [f"ENV {name}={BUNDLE}" for name in ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")]
    options = [word for change in changes for word in ("--change", change)]
    with tempfile.TemporaryDirectory() as folder:
        log, root = Path(folder) / "log", Path(folder) / "root.tar"
        with log.open("wb") as said, root.open("wb") as archive:
            made = subprocess.run(
                [FOLDER / "debian" / "make_root", image.tag.partition(":")[2]], stdout=archive, stderr=said, check=False
            )
        if made.returncode:
            raise ImagesError(f"{image.tag} could not be made:\n{_last_lines(log.read_text(errors='replace'))}")
        _run(["docker", "import", *options, str(root), image.tag], image)


def _build(image: Image) -> None:
    command = _build_command()
    assert command is not None
    options = ["--tag", image.tag, "--label", f"{CONTENT_LABEL}={image.content()}"]
    if image.target:
        options += ["--target", image.target]
    for name, value in image.arguments.items():
        options += ["--build-arg", f"{name}={value}"]
    _run([*command, "--progress", "plain", *options, str(FOLDER / image.folder)], image)


def _run(command: Sequence[str], image: Image) -> None:
    done = subprocess.run(
        command,
        env=os.environ | {"DOCKER_BUILDKIT": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise ImagesError(f"{image.tag} could not be made:\n{_last_lines(done.stdout)}")


def _last_lines(text: str) -> str:
    return "\n".join(text.splitlines()[-40:])


def _authorities() -> list[Path]:
    """Give the certificate authorities that this machine's administrator added."""
    return sorted(AUTHORITIES.glob("*.crt"))


def _build_command() -> list[str] | None:
    """Give the words that build an image with BuildKit: one docker command on the PATH may be able to, another not."""
    for folder in dict.fromkeys([*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/bin"]):
        command = shutil.which("docker", path=folder)
        if command is None:
            continue
        if _output([command, "buildx", "version"]) is not None:
            return [command, "buildx", "build", "--load"]
        # Before version 23 the command had a client of BuildKit built in.
        version = _output([command, "version", "--format", "{{.Client.Version}}"]) or ""
        if version.partition(".")[0].isdecimal() and int(version.partition(".")[0]) < 23:
            return [command, "build"]
    return None


def _output(command: Sequence[str]) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Make the images; give the exit code."""
    parser = argparse.ArgumentParser(description="Make the images that the tests with Docker run.")
    parser.add_argument("--replace", action="store_true", help="replace images of these names that are no stand-ins")
    begin = time.monotonic()
    try:
        ensure(replace=parser.parse_args().replace)
    except ImagesError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    _say(f"{time.monotonic() - begin:7.1f} s  all {len(IMAGES)} images are there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
