"""What is in an image: its Airflow, its Python and its packages, read from the inside and kept."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_magic.engines.docker.client.connection import guard
from astro_magic.engines.inside import distributions
from astro_magic.engines.installation import InstalledPackage, package_of
from astro_magic.errors import AstroMagicError, EngineError, EngineUnavailableError
from astro_magic.system import files
from astro_magic.system.folders import cache_folder

if TYPE_CHECKING:
    from astro_magic.engines.docker.client.connection import Connection

__all__ = ["ImageFacts", "facts_at_hand", "image_facts", "remove_images", "tag_image"]

#: Raised when what is read from an image changes, so that what was kept of it is read again.
_FORMAT = 3
_MOST_KEPT = 60
_BUILD_ON = "Build on one with Airflow, such as astrocrpublic.azurecr.io/runtime or apache/airflow."

#: Tries each Python that there may be until one has Airflow. The login shell's files are not read: PATH is the image's.
_FIND = """
found=3
for python in python python3 /usr/local/bin/python /opt/airflow/bin/python /home/airflow/.local/bin/python \
    /usr/local/airflow/.venv/bin/python /opt/venv/bin/python /venv/bin/python /opt/conda/bin/python /usr/bin/python3
do
    command -v "$python" >/dev/null 2>&1 || continue
    "$python" -c "$1" 2>/dev/null && exit 0
    found=4
done
exit $found
"""
#: Airflow itself is not imported, which would take seconds and could fail for the project's own reasons.
_READ = f"""
{Path(distributions.__file__).read_text(encoding="utf-8")}

import json, os, platform, shutil, sys, sysconfig
found = read_distributions()
airflow = found.get("apache-airflow") or found.get("apache-airflow-core")
if not airflow:
    sys.exit(4)
home = os.environ.get("AIRFLOW_HOME")
if not home:
    usual = "/usr/local/airflow"
    home = usual if os.path.isdir(usual) else os.path.expanduser("~/airflow")
print(json.dumps({{"airflow_version": airflow["version"], "python_version": platform.python_version(),
                  "machine": platform.machine(), "airflow_home": home,
                  "python": sys.executable, "uv": shutil.which("uv") or "",
                  "installer": os.stat(sysconfig.get_path("purelib")).st_uid,
                  "distributions": found, "os_packages": read_os_packages()}}))
"""

_known: dict[str, ImageFacts] = {}
_without_airflow: set[str] = set()


@dataclass(frozen=True)
class ImageFacts:
    """What is in an image.

    Attributes
    ----------
    id : str
        ``sha256:...``; another content has another one.
    airflow_version : str
        Of the installed distribution, whatever the image's labels say.
    python_version : str
        Of the Python that has Airflow.
    airflow_home : str
        Airflow's folder in the image.
    user : str
        The user that the image's containers run as; empty when it names none, which means root.
    python : str
        Path of that Python.
    uv : str
        Path of uv in the image; empty where there is none.
    installer : int
        Id of the user who owns the packages.
    packages : Mapping of str to str
        Version by normalised name of every installed distribution.
    distributions : Mapping of str to InstalledPackage
        What their metadata say, by normalised name.
    os_packages : Mapping of str to str
        Version of each installed Debian package by ``name:architecture``; empty where the image has no dpkg.
    machine : str
        Its kind of processor, such as ``x86_64``.
    """

    id: str
    airflow_version: str
    python_version: str
    airflow_home: str
    user: str
    python: str
    uv: str
    installer: int
    packages: Mapping[str, str] = field(repr=False)
    distributions: Mapping[str, InstalledPackage] = field(default_factory=dict, repr=False)
    os_packages: Mapping[str, str] = field(default_factory=dict, repr=False)
    machine: str = ""

    @property
    def airflow_major(self) -> int:
        """2 or 3."""
        return int(self.airflow_version.partition(".")[0])


def image_facts(connection: Connection, reference: str) -> ImageFacts:
    """Tell what is in an image. It is read once; after that, a call takes a few milliseconds.

    Parameters
    ----------
    connection : Connection
        The engine.
    reference : str
        A name with its tag, or an id.

    Raises
    ------
    EngineUnavailableError
        When the engine is gone.
    EngineError
        When there is no such image, or no Airflow in it.
    """
    described = _inspect(connection, reference)
    key = str(described["Id"])
    if key in _known:
        return _known[key]
    facts = _kept(key)
    if facts is None:
        user = str((described.get("Config") or {}).get("User") or "")
        try:
            facts = _made({"id": key, "user": user, **_read(connection, key, reference)})
        except EngineError as problem:
            # Anything else may do better the next time.
            if problem.hint == _BUILD_ON:
                _without_airflow.add(key)
            raise
        _keep(facts)
    _known[key] = facts
    return facts


def facts_at_hand(connection: Connection, reference: str) -> ImageFacts | None:
    """Tell what is in an image, where the engine has it and there is Airflow in it; else give None.

    Raises
    ------
    EngineUnavailableError
        When the engine is gone.
    """
    try:
        # To read one in vain takes as long as the first time.
        return None if _inspect(connection, reference)["Id"] in _without_airflow else image_facts(connection, reference)
    except EngineUnavailableError:
        raise
    except EngineError:
        return None


def tag_image(connection: Connection, image: str, name: str) -> None:
    """Give an image a further name; one that had the name loses it.

    Parameters
    ----------
    connection : Connection
        The engine.
    image : str
        Its id, or a name that it has.
    name : str
        Such as ``shop_fca137/airflow:previous``.

    Raises
    ------
    EngineError
        When there is no such image, or the name is none.
    """
    repository, _, tag = name.rpartition(":")
    with guard(f"naming the image {name}"):
        connection.api.tag(image, repository, tag, force=True)


def remove_images(connection: Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Remove images, as far as they are there and nothing else uses them; gives the names that were removed.

    An image that another name stands for as well only loses this one.

    Raises
    ------
    EngineError
        When a container needs one of them.
    """
    from docker.errors import NotFound

    removed = []
    for name in names:
        with guard(f"removing the image {name}"), contextlib.suppress(NotFound):
            connection.api.remove_image(name)
            removed.append(name)
    return tuple(removed)


def _inspect(connection: Connection, reference: str) -> dict[str, Any]:
    from docker.errors import NotFound

    with guard(f"looking at the image {reference}"):
        try:
            described: dict[str, Any] = connection.api.inspect_image(reference)
        except NotFound as problem:
            raise EngineError(
                f"The engine has no image {reference}.",
                hint=f"Check its name: docker images shows those there are; docker pull {reference} fetches one.",
            ) from problem
    return described


def _read(connection: Connection, key: str, reference: str) -> dict[str, Any]:
    """Run a container that tells what it finds; it has no network and is gone afterwards."""
    from docker.errors import APIError
    from docker.utils.socket import frames_iter

    api = connection.api
    with guard(f"reading what is in the image {reference}"):
        container = api.create_container(
            key,
            entrypoint=["/bin/sh", "-c"],
            command=[_FIND, "sh", _READ],
            working_dir="/",
            labels={"astro-magic.role": "facts"},
            healthcheck={"test": ["NONE"]},
            # Whatever logs the engine is set to write, these can be read; and it goes even if this process is killed.
            host_config=api.create_host_config(
                network_mode="none", log_config={"Type": "json-file", "Config": {}}, auto_remove=True
            ),
        )["Id"]
        try:
            with api.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1}) as line, line._response:  # noqa: SLF001
                api.start(container)
                text = b"".join(data for _, data in frames_iter(line, tty=False)).decode(errors="replace").strip()
        except APIError as problem:
            if "no such file" in str(problem) or "executable file not found" in str(problem):
                raise EngineError(f"The image {reference} has no Airflow in it.", hint=_BUILD_ON) from problem
            raise
        finally:
            _discard(connection, container)
    told = next((line for line in text.splitlines() if line.startswith('{"airflow_version"')), None)
    if told is not None:
        return dict(json.loads(told))
    if "exec format error" in text:
        raise EngineError(
            f"The image {reference} is made for another kind of processor.",
            hint="Build it with --platform for this machine's, or take another base image.",
            detail=text,
        )
    raise EngineError(f"The image {reference} has no Airflow in it.", hint=_BUILD_ON, detail=text or None)


def _discard(connection: Connection, container: str) -> None:
    """Remove a container that may be about to remove itself."""
    from docker.errors import APIError

    with contextlib.suppress(APIError):
        connection.api.remove_container(container, v=True, force=True)


def _file(key: str) -> Path:
    return cache_folder() / "images" / f"{key.replace(':', '-')}.json"


def _kept(key: str) -> ImageFacts | None:
    """Give what was kept of an image by any process of this user; None when that is nothing, or cannot be read."""
    with contextlib.suppress(AstroMagicError, OSError, ValueError, TypeError, KeyError, AttributeError):
        content = json.loads(_file(key).read_text(encoding="utf-8"))
        if content.pop("format", None) == _FORMAT and content["id"] == key:
            return _made(content)
    return None


def _made(content: Mapping[str, Any]) -> ImageFacts:
    """Make the facts of what a container told, or of what was kept."""
    found = {name: package_of(about) for name, about in content["distributions"].items()}
    versions = {name: package.version for name, package in found.items()}
    return ImageFacts(**{**content, "distributions": found, "packages": versions})


def _keep(facts: ImageFacts) -> None:
    """Keep what was read. Where that cannot be, it is read again by the next process."""
    with contextlib.suppress(AstroMagicError, OSError):
        file = _file(facts.id)
        files.make_folder(file.parent)
        content = json.dumps({"format": _FORMAT, **asdict(facts), "packages": {}})
        files.write_atomic(file, content.encode(), durable=False)
        # Every build makes another image, and the facts of those that are gone are of no use.
        for old in sorted(file.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)[:-_MOST_KEPT]:
            old.unlink(missing_ok=True)
