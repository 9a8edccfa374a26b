"""The lines of a requirements file, read the way pip reads them."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from astro_magic.errors import InvalidContentError
from astro_magic.system.secrets import mask_credentials

__all__ = ["RequirementLine", "check", "parse"]

_COMMENT = re.compile(r"(?:^|\s+)#.*$")
_NAME = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?=[\[<>=!~@;(]|$)")
_EGG = re.compile(r"[#&]egg=(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)")
_URL = re.compile(r"(?:[a-z]+\+)?[a-z][a-z0-9]*:", re.IGNORECASE)
# A folder as pip takes it without `./` in front, with extras and a fragment.
_PATH = re.compile(r"[\w.+-]+(?:/[\w.+-]*)+(?:\[[\w, .-]*\])?(?:#\S*)?")
_ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz")
# Options that stand for one thing only: a second one takes the place of the first.
_SINGLE_OPTIONS = {"--index-url", "--no-index", "--pre", "--prefer-binary", "--require-hashes"}
_OPTIONS = _SINGLE_OPTIONS | {
    "--constraint",
    "--editable",
    "--extra-index-url",
    "--find-links",
    "--no-binary",
    "--only-binary",
    "--requirement",
    "--trusted-host",
    "--use-feature",
}
_SHORT_OPTIONS = {
    "-c": "--constraint",
    "-e": "--editable",
    "-f": "--find-links",
    "-i": "--index-url",
    "-r": "--requirement",
}


@dataclass(frozen=True)
class RequirementLine:
    """A logical line of a requirements file.

    Attributes
    ----------
    kind : {"blank", "comment", "option", "requirement", "location", "invalid"}
        What it is. A location is a URL or path without a name in front, editable or not.
    line : int
        The line where it begins, counted from 1.
    length : int
        On how many lines of the file it stands.
    raw : str
        The lines as they are, joined by line feeds.
    text : str
        What it says: continued lines joined, without the comment.
    comment : str
        The comment at its end, with the blanks before it; empty when there is none.
    name : str or None
        The normalised name of the package, where it tells one.
    marker : str
        The environment marker in its normal form; empty when there is none.
    meaning : str
        The text in a form that is the same for all spellings of it.
    problem : str
        Why the line is invalid.
    """

    kind: Literal["blank", "comment", "option", "requirement", "location", "invalid"]
    line: int
    length: int
    raw: str
    text: str = ""
    comment: str = ""
    name: str | None = None
    marker: str = ""
    meaning: str = ""
    problem: str = ""

    @classmethod
    def of_comment(cls, text: str) -> RequirementLine:
        """Make a comment that does not stand in a file yet."""
        return cls(kind="comment", line=0, length=1, raw=text, comment=text)

    @property
    def identity(self) -> str:
        """What the line is about: two lines of the same identity are about the same package or option."""
        if self.name is not None:
            return f"package {self.name}"
        option = self.meaning.split()[0] if self.kind == "option" else ""
        return option if option in _SINGLE_OPTIONS else self.meaning


def parse(lines: Sequence[str]) -> list[RequirementLine]:
    """Read the lines of a requirements file.

    Parameters
    ----------
    lines : sequence of str
        The lines, without their ends.

    Returns
    -------
    list of RequirementLine
        They cover all lines, in order.
    """
    found = []
    start = 0
    while start < len(lines):
        end = start
        # As in pip, a comment line ends a continued line.
        while end + 1 < len(lines) and lines[end].endswith("\\") and not _is_comment(lines[end]):
            end += 1
        found.append(_numbered(_read(tuple(lines[start : end + 1])), start + 1))
        start = end + 1
    return found


def check(lines: Sequence[RequirementLine]) -> None:
    """Check lines that are to be brought into a file.

    Raises
    ------
    InvalidContentError
        When pip could not read a line, or two lines name the same package under the same marker. The number of the
        line is named.
    """
    seen: dict[tuple[str, str], RequirementLine] = {}
    for entry in lines:
        if entry.kind == "invalid":
            hint = "Write it as pip's requirements files do, such as pandas==2.2.3."
            installed = re.match(r"[!%]?(?:uv\s+)?pip3?\s+install\s+(.+)", entry.text)
            if installed:
                hint = f"Write only what is to be installed: {mask_credentials(installed[1])}"
            message = f"Line {entry.line} is no requirement: {mask_credentials(entry.text)!r}: {entry.problem}."
            raise InvalidContentError(message, hint=hint)
        if entry.name is None:
            continue
        earlier = seen.setdefault((entry.name, entry.marker), entry)
        if earlier.meaning != entry.meaning:
            raise InvalidContentError(
                f"Line {entry.line} names {entry.name} again, and differs from line {earlier.line}.",
                hint="Keep one of the two lines.",
            )


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _numbered(entry: RequirementLine, line: int) -> RequirementLine:
    """Give an entry the number of its line; `dataclasses.replace` takes several times as long."""
    numbered = object.__new__(RequirementLine)
    numbered.__dict__.update(entry.__dict__)
    numbered.__dict__["line"] = line
    return numbered


@functools.lru_cache(maxsize=8192)
def _read(physical: tuple[str, ...]) -> RequirementLine:
    """Read the lines of one entry. The same lines are read at each look at a file, so what was read is kept."""
    raw = "\n".join(physical)
    # Joined as pip does: a comment line keeps a blank before it, so that it is seen as a comment.
    joined = "".join(f" {line}" if _is_comment(line) else line.rstrip("\\") for line in physical[:-1])
    last = physical[-1]
    joined += f" {last}" if _is_comment(last) and len(physical) > 1 else last.rstrip("\\")
    match = _COMMENT.search(joined)
    comment = match[0] if match else ""
    text = joined[: match.start()].strip() if match else joined.strip()
    entry = RequirementLine(kind="blank", line=0, length=len(physical), raw=raw, text=text, comment=comment)
    if not text:
        return replace(entry, kind="comment" if comment else "blank")
    if text.startswith("-"):
        return _option(entry)
    return _requirement(entry)


def _option(entry: RequirementLine) -> RequirementLine:
    words = entry.text.replace("=", " ", 1).split() if entry.text.startswith("--") else entry.text.split()
    option = words[0]
    if option[:2] in _SHORT_OPTIONS and len(option) > 2:
        # The value is written against its option: -rfile.
        words = [option[:2], option[2:], *words[1:]]
        option = words[0]
    option = _SHORT_OPTIONS.get(option, option)
    if option not in _OPTIONS:
        return replace(entry, kind="invalid", problem=f"{option} is no option of requirements files")
    meaning = " ".join([option, *words[1:]])
    if option == "--editable":
        return replace(entry, kind="location", name=_name_in_location(" ".join(words[1:])), meaning=meaning)
    return replace(entry, kind="option", meaning=meaning)


def _requirement(entry: RequirementLine) -> RequirementLine:
    requirement_text, *options = re.split(r"\s+(?=--)", entry.text)
    options_text = " ".join(" ".join(options).split())
    try:
        requirement = Requirement(requirement_text)
    except InvalidRequirement as error:
        return _other(entry, requirement_text, reason=str(error).splitlines()[0])
    marker = str(requirement.marker) if requirement.marker else ""
    requirement.name = canonicalize_name(requirement.name)
    return replace(
        entry,
        kind="requirement",
        name=requirement.name,
        marker=marker,
        meaning=f"{requirement} {options_text}".strip(),
    )


def _other(entry: RequirementLine, text: str, *, reason: str) -> RequirementLine:
    """Read what is no requirement of the standard: a URL, a path, or a line that environment variables complete."""
    meaning = " ".join(entry.text.split())
    location = text.partition(";")[0].strip()
    path = location.startswith((".", "/", "~")) or _PATH.fullmatch(location) is not None
    if path or _URL.match(location) or location.partition("[")[0].endswith(_ARCHIVES):
        return replace(entry, kind="location", name=_name_in_location(location), meaning=meaning)
    match = _NAME.match(text)
    # A broken line has its name as well, so that a correct line can take its place.
    name = str(canonicalize_name(match["name"])) if match else None
    if re.search(r"\$\{[A-Z0-9_]+\}", text):
        return replace(entry, kind="requirement", name=name, meaning=meaning)
    return replace(entry, kind="invalid", name=name, meaning=meaning, problem=reason)


def _name_in_location(location: str) -> str | None:
    egg = _EGG.search(location)
    if egg:
        return str(canonicalize_name(egg["name"]))
    file_name = unquote(re.split(r"[?#]", location, maxsplit=1)[0].rpartition("/")[2])
    try:
        if file_name.endswith(".whl"):
            return str(parse_wheel_filename(file_name)[0])
        return str(parse_sdist_filename(file_name)[0])
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
