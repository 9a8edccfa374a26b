"""What a build is given beside the project's files - secrets, arguments, SSH keys - checked before it begins.

BuildKit says nothing of a secret or key that is not there: its file is then missing inside, and the step fails with
words that lead elsewhere.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from astro_magic.engines.options import BuildOptions
from astro_magic.errors import InvalidContentError
from astro_magic.private.access import access_for_build
from astro_magic.project.config import CONFIG_NAME, home_folder
from astro_magic.project.dockerfile.dockerfile import DockerfileEntry
from astro_magic.project.dockerfile.needs import MountedInput, declared_arguments, mounted_inputs
from astro_magic.project.project import Project
from astro_magic.system import files
from astro_magic.system.secrets import is_secret_name

__all__ = ["BuildInputs", "prepare_inputs"]

_ARGUMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Variables that the docker command itself lives by; a build argument of that name must not change them.
_OF_THE_COMMAND = re.compile(
    r"PATH|HOME|USERPROFILE|TMPDIR|TEMP|TMP|SSH_AUTH_SOCK|(?:DOCKER|BUILDX|BUILDKIT|CONTAINER)_\w*"
)
#: What the build command finds the project's own secrets in; a number follows.
_OWN_VARIABLE = "ASTRO_MAGIC_BUILD_SECRET_"
_SECRET_HINT = "Write it as --build-secret id=NAME,src=FILE or --build-secret id=NAME,env=VARIABLE."  # noqa: S105
#: Longer secrets are whole files, whose lines would be torn out of everything that is shown.
_LONGEST_MASKED = 4096


@dataclass(frozen=True)
class BuildInputs:
    """What the build command is given.

    Attributes
    ----------
    arguments : tuple of str
        For its command line; no value of a secret or a build argument is among them.
    environment : Mapping of str to str
        The values, for its environment.
    hidden : tuple of str
        Values that must not be shown.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    hidden: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class _Secret:
    name: str
    source: Path | None
    variable: str

    @property
    def argument(self) -> str:
        values = (f"id={self.name}", f"env={self.variable}" if self.variable else f"src={self.source}")
        return ",".join(f'"{value}"' if "," in value else value for value in values)


def prepare_inputs(project: Project, options: BuildOptions, entries: Sequence[DockerfileEntry]) -> BuildInputs:
    """Check what a build is given, against what is there and what the Dockerfile asks for.

    Parameters
    ----------
    project : Project
        The project.
    options : BuildOptions
        What the user gave.
    entries : sequence of DockerfileEntry
        The Dockerfile.

    Raises
    ------
    InvalidContentError
        When something given cannot be read or is not there, or the Dockerfile mounts what is neither given nor known
        to the project.
    """
    secrets = [_read_secret(project, text, where) for text, where in _secret_texts(project, options)]
    keys = dict(_read_key(project, text) for text in options.ssh)
    given = {secret.name for secret in secrets}
    mounted = list(mounted_inputs(entries))
    access = access_for_build(
        project,
        secrets={mount.name for mount in mounted if mount.kind == "secret"} - given,
        keys={mount.name for mount in mounted if mount.kind == "ssh"} - set(keys),
        arguments=declared_arguments(entries) - {text.partition("=")[0] for text in options.args},
    )
    keys |= {name: f"{name}={path}" for name, path in access.ssh.items()}
    _check_mounts(mounted, {*given, *access.secrets}, keys)
    arguments: list[str] = []
    environment: dict[str, str] = {}
    for secret in secrets:
        arguments += ["--secret", secret.argument]
    for number, (name, secret_value) in enumerate(access.secrets.items(), start=1):
        environment[f"{_OWN_VARIABLE}{number}"] = secret_value
        arguments += ["--secret", f"id={name},env={_OWN_VARIABLE}{number}"]
    for text in keys.values():
        arguments += ["--ssh", text]
    for name, secret_value in access.arguments.items():
        environment[name] = secret_value
        arguments += ["--build-arg", name]
    taken = {secret.variable for secret in secrets if secret.variable}
    for text in options.args:
        name, value = _read_argument(text)
        if value is not None and (name in taken or _OF_THE_COMMAND.fullmatch(name)):
            if is_secret_name(name):
                raise InvalidContentError(
                    f"The build argument {name} cannot have another value than the environment variable {name}.",
                    hint="Rename one of them, or leave the argument's value out to give it that of the variable.",
                )
            arguments += ["--build-arg", f"{name}={value}"]
            continue
        arguments += ["--build-arg", name]
        if value is not None:
            environment[name] = value
    arguments += ["--platform", options.platform] if options.platform else []
    arguments += ["--no-cache"] if options.no_cache else []
    # Not by default: a base image that is only on this engine, such as one the user built, would then not be found.
    arguments += ["--pull"] if options.pull else []
    return BuildInputs(tuple(arguments), environment, (*_hidden(secrets, environment), *access.hidden))


def _hidden(secrets: Sequence[_Secret], environment: Mapping[str, str]) -> Iterator[str]:
    """Give the values that must not be shown: of all secrets, and of build arguments that are called like one."""
    yield from (value for name, value in environment.items() if is_secret_name(name))
    for secret in secrets:
        if secret.variable:
            yield os.environ[secret.variable].strip()
        elif secret.source is not None and secret.source.stat().st_size <= _LONGEST_MASKED:
            text = files.read_bytes(secret.source).decode(errors="replace").strip()
            if "\n" not in text:
                yield text


def _secret_texts(project: Project, options: BuildOptions) -> list[tuple[str, str]]:
    """Give the secrets to use, each with the place that names it: the first place that names any."""
    if options.secrets:
        return [(text, "--build-secret") for text in options.secrets]
    for folder in (project.root, home_folder()):
        configured = _configured(folder / CONFIG_NAME) if folder is not None else ""
        if configured:
            return [(text, "dev.build_secrets") for text in configured]
    given = os.environ.get("BUILD_SECRET_INPUT", "")
    return [(line.strip(), "BUILD_SECRET_INPUT") for line in given.splitlines() if line.strip()]


def _configured(path: Path) -> list[str]:
    """Read ``dev.build_secrets``, a list by lines, which the Astro CLI writes as a block of YAML."""
    content = files.read_optional(path)
    if content is None or b"build_secrets" not in content:
        return []
    import yaml

    try:
        read = yaml.safe_load(content)
    except yaml.YAMLError as problem:
        raise InvalidContentError(
            f"{path} is no YAML that can be read, so its build secrets are not known.", detail=str(problem)
        ) from problem
    section = read.get("dev") if isinstance(read, dict) else None
    value = section.get("build_secrets") if isinstance(section, dict) else None
    lines = value if isinstance(value, list) else str(value or "").splitlines()
    return [str(line).strip() for line in lines if str(line).strip()]


def _read_secret(project: Project, text: str, where: str) -> _Secret:
    """Read one secret's description and check that its value is there."""
    values: dict[str, str] = {}
    for part in next(csv.reader([text], skipinitialspace=True), []):
        key, equals, value = part.partition("=")
        if not equals or key.strip().lower() not in {"id", "type", "src", "source", "env"}:
            # The text itself is not repeated: it may be the value, given in the wrong way.
            raise InvalidContentError(f"A build secret of {where} cannot be read.", hint=_SECRET_HINT)
        values[key.strip().lower().replace("source", "src")] = value.strip()
    name, kind = values.get("id", ""), values.get("type", "")
    if not name or kind not in {"", "env", "file"}:
        raise InvalidContentError(
            f"A build secret of {where} has no id, or a type that there is not.", hint=_SECRET_HINT
        )
    variable = values.get("env", "")
    if not variable and "src" in values and kind == "env":
        variable = values["src"]
    if not variable and "src" not in values and (kind == "env" or (kind != "file" and name in os.environ)):
        variable = name
    if variable:
        if variable not in os.environ:
            raise InvalidContentError(
                f"The build secret {name} is to come from the environment variable {variable}, which is not set.",
                hint=f"Set it in this kernel (%env {variable}=...), or give a file: id={name},src=FILE.",
            )
        return _Secret(name, None, variable)
    path = _path(project, values.get("src") or name)
    if not path.is_file():
        raise InvalidContentError(
            f"The build secret {name} is to come from {path}, which is no file.",
            hint="Check the path; a relative one begins at the project's folder.",
        )
    return _Secret(name, path, "")


def _read_argument(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not _ARGUMENT.fullmatch(name):
        raise InvalidContentError("A build argument has no name that can be one.", hint="Write --build-arg NAME=VALUE.")
    return name, value if equals else None


def _read_key(project: Project, text: str) -> tuple[str, str]:
    """Read what is given of SSH keys and check that it is there."""
    name, equals, source = text.partition("=")
    if not equals:
        if not os.environ.get("SSH_AUTH_SOCK"):
            raise InvalidContentError(
                f"--ssh {name} forwards the SSH agent, but none is set: SSH_AUTH_SOCK is empty.",
                hint=f"Start one (ssh-agent, ssh-add) before the notebook, or give a key file: --ssh {name}=FILE.",
            )
        return name, text
    paths = [_path(project, os.path.expandvars(part)) for part in source.split(",")]
    for path in paths:
        if not path.exists():
            raise InvalidContentError(
                f"The SSH key {name} is to come from {path}, which is not there.",
                hint="Give the file of a private key, or the socket of an agent.",
            )
    return name, f"{name}={','.join(map(str, paths))}"


def _path(project: Project, text: str) -> Path:
    """Give a path as a shell would understand it in the project's folder."""
    return project.root / Path(text).expanduser()


def _check_mounts(mounted: Sequence[MountedInput], secrets: Collection[str], keys: Collection[str]) -> None:
    """Check that all that the Dockerfile mounts is given."""
    for mount in mounted:
        if not mount.required or mount.name in (secrets if mount.kind == "secret" else keys):
            continue
        name = mount.name
        if mount.kind == "secret":
            raise InvalidContentError(
                f"Dockerfile line {mount.line} mounts the build secret {name}, which is not given.",
                hint=f"Give it: --build-secret id={name},src=FILE or --build-secret id={name},env=VARIABLE. "
                "If the step does without it, too, add required=false to the mount.",
            )
        raise InvalidContentError(
            f"Dockerfile line {mount.line} mounts the SSH key or agent {name}, which is not given.",
            hint=f"Give it: --ssh {name} for the agent, or --ssh {name}=KEY-FILE.",
        )
