"""Say where and why a build failed: the line of the user's file, the cause in a sentence, what to do, last words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from packaging.utils import canonicalize_name

from astro_magic.engines.docker.image.causes import Cause, base_image_cause, step_cause
from astro_magic.engines.docker.image.output import BuildOutput, BuildStep
from astro_magic.errors import AstroMagicError, BuildFailedError, EngineError, EngineUnavailableError
from astro_magic.project.dockerfile.dockerfile import DockerfileEntry
from astro_magic.project.dockerfile.images import stage_images
from astro_magic.project.project import Project

__all__ = ["explain"]

#: What makes a step of its own in a build; the other instructions only change settings.
_STEPS = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})
_QUOTES = re.compile(r"[\"'\\]")
_VARIABLE = re.compile(r"\\?\$(?:\\?\{[^}]*\\?\}|\w+)")
_GONE = re.compile(
    r"Cannot connect to the Docker daemon|error during connect|transport is closing|error reading from server: EOF|"
    r"code = Unavailable|connection error: desc|failed to connect to the docker API|server is shutting down|"
    r"Unable to connect to Podman|listing workers|closing transport|use of closed network connection|unexpected EOF|"
    r"graceful_stop|connection reset by peer",
    re.IGNORECASE,
)
_LONGEST_LINE = 240
_EXIT = re.compile(r"exit (?:code|status):? (\d+)")
_ABSENT = re.compile(r"\"(?P<quoted>/[^\"]+)\"(?: not found)?: not found|lstat \S*?/(?P<bare>[^/\s:]+): no such file")


@dataclass(frozen=True)
class _Place:
    """Where a build failed: an instruction of the Dockerfile, or one that the base image adds."""

    entry: DockerfileEntry | None = None
    from_base: bool = False

    @property
    def words(self) -> str:
        if self.entry is None:
            return "a step of the base image" if self.from_base else "the Dockerfile"
        added = ", a step that the base image adds" if self.from_base else ""
        return f"Dockerfile line {self.entry.line}{added}"


def explain(
    project: Project,
    output: BuildOutput,
    entries: Sequence[DockerfileEntry],
    *,
    log: str,
    shown: Callable[[str], str] = str,
) -> EngineError:
    """Give the error that stands for a build that failed.

    Parameters
    ----------
    project : Project
        The project.
    output : BuildOutput
        All that the build said.
    entries : sequence of DockerfileEntry
        The Dockerfile.
    log : str
        The file with the whole output, relative to the project.
    shown : callable, optional
        Hides secrets in a text that is about to be shown.

    Returns
    -------
    BuildFailedError
        Or an `EngineUnavailableError`, when the engine ended in the middle.
    """
    step, error = output.failed, output.error
    words = step.words() if step is not None else ()
    detail = "\n".join([*(_short(line) for line in words or output.errors[-3:]), f"Full log: {log}"])
    if _GONE.search(error) and (step is None or not step.instruction or _GONE.search(step.error)):
        return EngineUnavailableError(
            "The container engine stopped while it built the image.",
            hint="Start it again, then run this again; the steps that were done are not lost.",
            detail=shown(detail),
        )
    place, cause = _find(project, output, entries)
    where = _where(project, place, step, cause)
    return BuildFailedError(
        shown(f"Build failed at {where}: {cause.why}."), hint=shown(cause.hint) or None, detail=shown(detail)
    )


def _find(project: Project, output: BuildOutput, entries: Sequence[DockerfileEntry]) -> tuple[_Place, Cause]:
    step, error = output.failed, output.error
    if step is None:
        return _whole(output, entries)
    if step.name.startswith("resolve image config for"):
        first = _at_line(entries, 1) or (entries[0] if entries else None)
        frontend = step.name.removeprefix("resolve image config for ").removeprefix("docker-image://")
        cause = base_image_cause(frontend, step.error)
        hint = "Remove the line, if nothing in the file needs another frontend; the engine has one of its own."
        entry = replace(first, line=1) if first is not None else None
        return _Place(entry), Cause(f"its # syntax= line needs the image {frontend}, but {cause.why}", hint)
    if loading := re.match(r"\[internal\] load metadata for (\S+)", step.name):
        base = _base(entries, loading[1])
        return base, base_image_cause(_image_of(base) or loading[1], step.error)
    place = _locate(step, output, entries)
    if step.instruction.startswith("FROM "):
        return place, base_image_cause(step.instruction.split()[1], step.error or error)
    if missing := _ABSENT.search(f"{step.error}\n{error}"):
        return place, _absent(project, step, missing)
    return place, _secret_cause(f"{step.error}\n{error}") or step_cause(step.lines, step.error) or _ended(step)


def _whole(output: BuildOutput, entries: Sequence[DockerfileEntry]) -> tuple[_Place, Cause]:
    """Explain a failure of the build as a whole, which no step is to blame for."""
    error = output.error
    parse = re.search(r"parse error(?: on)? line (\d+): (?P<what>.+)", error)
    line = int(parse[1]) if parse else output.source_line
    place = _Place(_at_line(entries, line)) if line else _Place()
    if parse:
        what = re.sub(r"\s*\(did you mean (\w+)\?\)", r"; did you mean \1?", parse["what"]).rstrip("?.")
        return place, Cause(f"the line cannot be read: {what}", "%astro_dockerfile shows the file with its lines.")
    if "passphrase protected" in error:
        hint = "Add it to an SSH agent (ssh-add), and forward that: --ssh default."
        return place, Cause("the SSH key has a passphrase, for which nobody can be asked during a build", hint)
    cause = _secret_cause(error) or step_cause((), error)
    if cause is None:
        sentence = (error.splitlines() or ["the builder gave no reason"])[0].strip().rstrip(".")
        cause = Cause(sentence, "The builder's own words are in the log.")
    return place, cause


def _secret_cause(error: str) -> Cause | None:
    if match := re.search(r"secret \"?([^\s\":]+)\"?(?: not found)?: not found", error):
        return Cause(
            f"it needs the build secret {match[1]}, which is not given",
            f"Give it: --build-secret id={match[1]},src=FILE or --build-secret id={match[1]},env=VARIABLE.",
        )
    if match := re.search(r"no SSH key \"?([\w.-]+)\"? forwarded|unset ssh forward key (\S+)", error):
        name = match[1] or match[2]
        return Cause(
            f"it needs the SSH key {name}, which is not given", f"Give it: --ssh {name}, or --ssh {name}=KEY-FILE."
        )
    return None


def _ended(step: BuildStep) -> Cause:
    code = _EXIT.search(step.error)
    if code is None:
        return Cause(step.error.rstrip(".") or "it failed", "Its last output is below.")
    if code[1] == "137":
        hint = "It may have taken more memory than there is; give the engine more."
        return Cause("the command was killed (code 137)", hint)
    if code[1] in {"126", "127"}:
        return Cause(f"a command is not there or cannot be run (code {code[1]})", "Check its name and its path.")
    return Cause(f"the command ended with code {code[1]}", "Its last output is below.")


def _absent(project: Project, step: BuildStep, missing: re.Match[str]) -> Cause:
    """Explain that a file is not there which is to be copied."""
    name = (missing["quoted"] or missing["bare"]).lstrip("/")
    if source := re.search(r"--from=(\S+)", step.instruction):
        return Cause(f"{name} is not in {source[1]}, from which it is to be copied", "Check the path.")
    if (project.root / name).exists():
        return Cause(f"{name} is left out of the build by .dockerignore", f"Add the line !{name} to .dockerignore.")
    if name in {"requirements.txt", "packages.txt"}:
        return Cause(f"{name} is not in the project", "%astro_init . adds what is missing of the project.")
    return Cause(f"{name} is not in the project", "Check the path: it begins at the project's folder.")


# -- places ----------------------------------------------------------------------------------------------------------


def _where(project: Project, place: _Place, step: BuildStep | None, cause: Cause) -> str:
    """Name the place: a line of the requirements or packages where the culprit stands there, else of the Dockerfile."""
    instruction = step.instruction if step is not None else ""
    about_python = bool(cause.packages or cause.line) and (place.from_base or "requirements" in instruction)
    about_system = bool(cause.os_packages) and (place.from_base or "packages.txt" in instruction)
    if not about_python and not about_system:
        if place.from_base and step is not None and instruction.startswith("RUN "):
            # The steps of the known images have their scripts named after what they install.
            if re.search(r"python|pip|requirements", instruction):
                return "requirements.txt"
            if re.search(r"system|apt|packages", instruction):
                return "packages.txt"
        return place.words
    try:
        if about_system:
            known = {name.partition(":")[0]: line for name, (line, _) in project.os_packages.names().items()}
            lines = sorted(known[name] for name in cause.os_packages if name in known)
            return _lines("packages.txt", lines)
        return _requirement_lines(project, cause)
    except AstroMagicError:
        return "packages.txt" if about_system else "requirements.txt"


def _requirement_lines(project: Project, cause: Cause) -> str:
    wanted = [canonicalize_name(name) for name in cause.packages]
    for document in project.requirement_files():
        names = document.names()
        lines = sorted({names[name][0] for name in wanted if name in names})
        if lines:
            return _lines(document.name, lines)
    return _lines(project.requirements.name, [cause.line] if cause.line else [])


def _lines(name: str, lines: Sequence[int]) -> str:
    if not lines:
        return name
    return f"{name} line{'s' if len(lines) > 1 else ''} {' and '.join(map(str, lines[:3]))}"


def _locate(step: BuildStep, output: BuildOutput, entries: Sequence[DockerfileEntry]) -> _Place:
    """Find the instruction of the Dockerfile that a step is; what is not there comes from the base image."""
    if output.source_line:
        entry = _at_line(entries, output.source_line)
        if entry is not None and not (entry.keyword == "FROM" and not step.instruction.startswith("FROM ")):
            return _Place(entry)
    stage = _stage(step, entries)
    own = [entry for entry in entries if entry.stage == stage and entry.keyword in _STEPS]
    matching = [entry for entry in own if _is(entry, step.instruction)]
    if len(matching) > 1:
        # The same text stands there twice: count from the end, since steps of the base image come first.
        place = step.index - 2 - max(step.total - 1 - len(own), 0)
        matching = [own[place]] if 0 <= place < len(own) and own[place] in matching else matching[:1]
    if matching:
        return _Place(matching[0])
    source = next((entry for entry in entries if entry.stage == stage and entry.keyword == "FROM"), None)
    return _Place(source, from_base=not step.instruction.startswith("FROM "))


def _stage(step: BuildStep, entries: Sequence[DockerfileEntry]) -> int:
    last = max((entry.stage for entry in entries if entry.stage is not None), default=0)
    if numbered := re.fullmatch(r"stage-(\d+)", step.stage):
        return int(numbered[1])
    named = (entry.stage for entry in entries if entry.stage_name and entry.stage_name == step.stage.lower())
    return next((stage for stage in named if stage is not None), last)


def _is(entry: DockerfileEntry, instruction: str) -> bool:
    """Tell whether an instruction is the one that the builder shows, with its variables replaced by their values."""
    first, *more = f"{entry.keyword} {entry.arguments}".split("\n")
    # Some versions show the words without their quotes.
    pattern = r"\s+".join(_VARIABLE.sub(".*", re.escape(word)) for word in _QUOTES.sub("", first).split())
    return re.fullmatch(pattern + (r".*" if more else ""), _QUOTES.sub("", instruction).strip(), re.DOTALL) is not None


def _at_line(entries: Sequence[DockerfileEntry], line: int) -> DockerfileEntry | None:
    found = next((entry for entry in entries if entry.line <= line < entry.line + entry.length), None)
    return replace(found, line=line) if found is not None else None


def _base(entries: Sequence[DockerfileEntry], loaded: str) -> _Place:
    """Find the ``FROM`` of an image, which the builder shows with its registry."""
    try:
        images = stage_images(entries)
    except AstroMagicError:
        images = []
    line = next((base.line for base in images if loaded == base.image or loaded.endswith(f"/{base.image}")), None)
    if line is None:
        name = loaded.rpartition("/")[2].partition(":")[0]
        line = next((base.line for base in images if name in base.image), None)
    entry = next((entry for entry in entries if entry.line == line), None)
    return _Place(entry)


def _image_of(place: _Place) -> str:
    """Give the image as the Dockerfile writes it, where it is written in plain text."""
    words = [word for word in place.entry.arguments.split() if not word.startswith("--")] if place.entry else []
    return words[0] if words and "$" not in words[0] else ""


def _short(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE - 2]} …"
