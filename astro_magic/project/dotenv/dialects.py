"""How the tools that read a project's ``.env`` read it: three dialects, and where they differ from our own.

- ``compose``: the file as ``env_file`` of Docker Compose, with which ``astro dev start`` runs Airflow. Read by
  compose-go's ``dotenv`` package, v2.9.1.
- ``docker``: ``docker run --env-file``, with which ``astro dev pytest``, ``astro dev parse`` and ``astro run`` do. Read
  by the ``kvfile`` package of docker/cli, v28.5.1.
- ``standalone``: the Astro CLI itself for ``astro dev start --standalone``. Read by its ``airflowrt`` package, v1.45.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from astro_magic.errors import InvalidContentError
from astro_magic.project.changes import split_lines
from astro_magic.project.dotenv.lines import assignments

__all__ = ["TOOLS", "DialectDifference", "differences", "read_compose", "read_docker", "read_standalone"]

#: The dialects by their names, and what uses each.
TOOLS = {
    "compose": "Docker Compose (astro dev start)",
    "docker": "docker --env-file (astro dev pytest, astro dev parse, astro run)",
    "standalone": "astro dev start --standalone",
}

# What the Go libraries take for a blank inside a line.
_BLANK = "\t\v\f\r \x85\xa0"
_ESCAPE = re.compile(r"\\(?:[abcfnrtv$\"\\]|0[0-9]{0,3})")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<open>\{))")
_BRACED = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-+?])(?P<word>.*))?", re.DOTALL)
_LONGEST_DOCKER_LINE = 64 * 1024


@dataclass(frozen=True)
class DialectDifference:
    """A line that other tools read otherwise.

    Attributes
    ----------
    key : str
        The variable that it sets for us; empty when it sets none.
    line : int
        The line, from 1.
    readings : tuple of (str, str)
        For each tool, by its name in `TOOLS`, what it does with the line, in words that show no value.
    """

    key: str
    line: int
    readings: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Reading:
    """What a tool reads from a line on, up to a last one; the value is None when it comes from the environment."""

    key: str
    value: str | None = field(repr=False)
    line: int
    last: int


class _UnreadableError(Exception):
    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line
        self.why = why


def read_compose(text: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Read variables as Docker Compose does.

    Parameters
    ----------
    text : str
        The content of the file.
    environment : Mapping of str to str, optional
        Where Compose runs; ``$NAME`` is looked up there first, then further up in the file.

    Raises
    ------
    InvalidContentError
        When Compose refuses the file. The line is named.
    """
    return _values(_compose, text, environment)


def read_docker(text: str, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Read variables as ``docker run --env-file`` does.

    Parameters
    ----------
    text : str
        The content of the file.
    environment : Mapping of str to str, optional
        Where docker runs; a key without ``=`` gets its value from there.

    Raises
    ------
    InvalidContentError
        When docker refuses the file. The line is named.
    """
    return _values(_docker, text, environment)


def read_standalone(text: str) -> dict[str, str]:
    """Read variables as the Astro CLI does for its standalone mode.

    Parameters
    ----------
    text : str
        The content of the file.
    """
    return _values(_standalone, text, None)


def differences(text: str) -> tuple[DialectDifference, ...]:
    """Find the lines that one of the tools reads otherwise than this package does.

    What a tool would take from its own environment is not known, so that it does so is the difference.

    Parameters
    ----------
    text : str
        The content of the file.

    Returns
    -------
    tuple of DialectDifference
        In the order of the lines.
    """
    lines = _lines(text.removeprefix("\ufeff"))
    found = assignments(lines)
    own = {assignment.line + 1: (assignment.key, assignment.value) for assignment in found}
    # What is wrong inside a value of several lines is told of the line where it begins.
    begins = {
        number: assignment.line + 1
        for assignment in found
        for number in range(assignment.line + 2, assignment.line + assignment.length + 1)
    }
    told: dict[int, list[tuple[str, str]]] = {}
    for tool, read in (("compose", _compose), ("docker", _docker), ("standalone", _standalone)):
        seen: dict[int, _Reading] = {}
        inside: set[int] = set()
        end = len(lines)
        try:
            for reading in read(text, {}):
                if seen.setdefault(reading.line, reading) is not reading:
                    told.setdefault(reading.line, []).append((tool, "takes the rest of the line for another variable"))
                inside.update(range(reading.line + 1, reading.last + 1))
        except _UnreadableError as error:
            place = begins.get(error.line, error.line)
            where = "here" if place == error.line else f"in line {error.line}"
            told.setdefault(place, []).append((tool, f"refuses the file {where}: {error.why}"))
            end = place - 1
        for number in sorted(set(range(1, end + 1)) - set(begins)):
            how = _difference(tool, own.get(number), seen.get(number), lines[number - 1], inside=number in inside)
            if how:
                told.setdefault(number, []).append((tool, how))
    return tuple(
        DialectDifference(own[number][0] if number in own else "", number, tuple(told[number]))
        for number in sorted(told)
    )


def _difference(tool: str, own: tuple[str, str] | None, other: _Reading | None, line: str, *, inside: bool) -> str:
    """Say how a tool reads a line otherwise; empty when it does not."""
    # What stands where a name is expected may be a part of a secret, so that only names of our own are told.
    if own is None and other is not None:
        return "sets a variable by it" if other.value is not None else "takes it for a name of its own environment"
    if own is None or (other is not None and other.value == own[1] and other.key == own[0]):
        return ""
    if other is None or other.value is None:
        return "takes it for a part of the value above" if inside else "passes over it"
    if own[0] != other.key:
        mark = other.key.startswith("\ufeff")
        return f"takes {'the byte order mark' if mark else 'what stands before it'} for a part of the name"
    if "\n" in own[1] and tool != "compose":
        return "takes each of its lines for itself"
    text = line.partition("=")[2]
    return _in_compose(other, text.strip()) if tool == "compose" else _kept(other.value, text)


def _in_compose(other: _Reading, text: str) -> str:
    if other.last > other.line:
        return f"takes the value to go on to line {other.last}"
    found = []
    if "$" in text and not text.startswith("'"):
        found.append("puts the values of variables in for $NAME")
    if text.startswith(("'", '"')) and "\\" in text:
        found.append("reads backslashes as escapes")
    if "#" in (other.value or ""):
        found.append("keeps the comment as a part of the value")
    return " and ".join(found) or "ends the value elsewhere"


def _kept(value: str, text: str) -> str:
    kept = []
    if value != value.strip():
        kept.append("the blanks around it")
    if value.strip()[:1] in {"'", '"'}:
        kept.append("the quotes")
    if "#" in value and re.search(r"(?:^|[\s'\"])#", text):
        kept.append("the comment")
    return f"keeps {' and '.join(kept)} as a part of the value" if kept else "ends the value elsewhere"


def _values(
    read: Callable[[str, Mapping[str, str]], Iterator[_Reading]], text: str, environment: Mapping[str, str] | None
) -> dict[str, str]:
    known = environment or {}
    found = {}
    try:
        for reading in read(text, known):
            value = known.get(reading.key) if reading.value is None else reading.value
            if value is not None:
                found[reading.key] = value
    except _UnreadableError as error:
        raise InvalidContentError(
            f"Line {error.line} cannot be read by this tool: {error.why}.", hint="Write KEY=VALUE, one a line."
        ) from error
    return found


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\n").removesuffix("\r") for line in split_lines(text)]


def _standalone(text: str, environment: Mapping[str, str]) -> Iterator[_Reading]:
    del environment
    # A byte order mark is no blank to it, and becomes a part of the first key.
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        key, equals, value = line.partition("=")
        if not line or line.startswith("#") or not equals:
            continue
        matching = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        yield _Reading(key, value[1:-1] if matching else value, number, number)


def _docker(text: str, environment: Mapping[str, str]) -> Iterator[_Reading]:
    del environment
    for number, raw in enumerate(_lines(text.removeprefix("\ufeff")), start=1):
        if len(raw.encode("utf-8", "surrogatepass")) >= _LONGEST_DOCKER_LINE:
            raise _UnreadableError(number, "the line is longer than 64 KB")
        line = raw.lstrip()
        if not line or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not key:
            raise _UnreadableError(number, "no name stands before '='")
        if " " in key or "\t" in key:
            raise _UnreadableError(number, "the name has a blank in it")
        yield _Reading(key, value if equals else None, number, number)


def _compose(text: str, environment: Mapping[str, str]) -> Iterator[_Reading]:
    source = text.removeprefix("\ufeff")
    found: dict[str, str] = {}
    position = 0
    line = 1
    while True:
        start = position
        while position < len(source) and (source[position].isspace() or source[position] == "#"):
            if source[position] == "#":
                end = source.find("\n", position)
                position = len(source) if end < 0 else end
            else:
                position += 1
        line += source.count("\n", start, position)
        if position >= len(source):
            return
        key, position, inherited = _compose_key(source, position, line)
        if inherited:
            if key in environment:
                found[key] = environment[key]
            yield _Reading(key, None, line, line)
            line += 1
            continue
        begin = position
        value, position = _compose_value(source, position, line, {**found, **environment})
        first = line
        line += source.count("\n", begin, position)
        last = line - (source[position - 1 : position] == "\n")
        found[key] = value
        yield _Reading(key, value, first, max(first, last))


def _compose_key(source: str, position: int, line: int) -> tuple[str, int, bool]:
    export = re.compile(r"export\s+").match(source, position)
    if export:
        position += len("export")
        while source[position : position + 1] and source[position] in _BLANK:
            position += 1
    for place in range(position, len(source)):
        char = source[place]
        if char in "=:\n":
            break
        if char not in _BLANK and char not in "_.-[]" and not char.isalpha() and not char.isnumeric():
            raise _UnreadableError(line, "the name has a character that no name has")
    else:
        # A last line without '=' and without an end is a value that has no name.
        return "", position, False
    key = source[position:place].rstrip()
    if " " in key:
        raise _UnreadableError(line, "the name has a blank in it")
    after = place + 1
    while source[after : after + 1] and source[after] in _BLANK:
        after += 1
    return key, after, source[place] == "\n"


def _compose_value(source: str, position: int, line: int, known: Mapping[str, str]) -> tuple[str, int]:
    quote = source[position : position + 1]
    if quote not in {"'", '"'}:
        end = source.find("\n", position)
        text, after = (source[position:], len(source)) if end < 0 else (source[position:end], end + 1)
        return _expand(text.partition(" #")[0].rstrip(), known, line), after
    chars = []
    place = position + 1
    while place < len(source):
        char = source[place]
        if char == "\\" and place + 1 < len(source):
            following = source[place + 1]
            chars.append(following if following == quote else char + following)
            place += 2
            continue
        if char == quote:
            value = "".join(chars)
            return (_expand(_unescape(value), known, line) if quote == '"' else value), place + 1
        chars.append(char)
        place += 1
    raise _UnreadableError(line, "a quote is not closed")


def _unescape(text: str) -> str:
    def char(match: re.Match[str]) -> str:
        code = match[0][1:]
        if code == "$":
            return "$$"
        if code.startswith("0"):
            # Go's octal escapes have exactly three digits behind the backslash.
            digits = code[1:]
            valid = re.fullmatch(r"[0-3][0-7]{2}", digits) is not None
            return chr(int(digits, 8)) if valid else f"\\{digits}"
        return _ESCAPES.get(code, match[0])

    return _ESCAPE.sub(char, text)


def _expand(text: str, known: Mapping[str, str], line: int) -> str:
    """Put the values of variables in, as compose-go's ``template`` package does."""
    found = []
    position = 0
    while match := _VARIABLE.search(text, position):
        found.append(text[position : match.start()])
        position = match.end()
        if match["escaped"]:
            found.append("$")
        elif match["name"]:
            found.append(known.get(match["name"], ""))
        else:
            end = _closing(text, position)
            braced = _BRACED.fullmatch(text[position:end]) if end is not None else None
            if braced is None or end is None:
                raise _UnreadableError(line, "a ${...} cannot be read")
            position = end + 1
            found.append(_braced(braced, known, line))
    return "".join([*found, text[position:]])


def _closing(text: str, position: int) -> int | None:
    depth = 1
    for place in range(position, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return None


def _braced(match: re.Match[str], known: Mapping[str, str], line: int) -> str:
    value = known.get(match["name"])
    operator = match["operator"]
    if operator is None:
        return value or ""
    there = bool(value) if operator.startswith(":") else value is not None
    if operator.endswith("+"):
        return _expand(match["word"], known, line) if there else ""
    if there:
        return value or ""
    if operator.endswith("?"):
        raise _UnreadableError(line, f"{match['name']} has to have a value")
    return _expand(match["word"], known, line)
