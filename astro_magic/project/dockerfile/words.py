"""The words of a Dockerfile's instructions, told apart the way BuildKit tells them apart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

__all__ = ["KEYWORDS", "from_words", "here_documents", "plain", "split_instruction", "words"]

#: All instructions of a Dockerfile.
KEYWORDS = (
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
)

_INSTRUCTION = re.compile(r"\s*(?P<keyword>\S+)(?:[\t\v\f\r ]+(?P<arguments>.*))?", re.DOTALL)
_FLAGS = re.compile(r"\A(?:--\S*\s+)*")
_HERE_WORD = re.compile(r"""(?:<<\s*|[^\s'"\\<]++|<|\\.|'[^']*'|"(?:[^"\\]++|\\.)*+")++""", re.DOTALL)
_HERE_DOCUMENT = re.compile(r"\d*<<(?P<strip>-?)\s*(?P<word>[^<]+)")
_WORDS = {
    escape: re.compile(
        rf"""(?:[^\s'"{quoted}]++|{quoted}.|{quoted}\Z|'[^']*+(?:'|\Z)|"(?:[^"{quoted}]++|{quoted}.)*+(?:"|{quoted}?\Z))++""",
        re.DOTALL,
    )
    for escape, quoted in (("\\", r"\\"), ("`", "`"))
}
_PARTS = {
    escape: re.compile(
        rf"""'(?P<single>[^']*+)(?:'|\Z)|"(?P<double>(?:[^"{quoted}]++|{quoted}.)*+)(?:"|{quoted}?\Z)|{quoted}(?P<char>.)"""
        rf"""|(?P<bare>[^'"{quoted}]++)|{quoted}\Z""",
        re.DOTALL,
    )
    for escape, quoted in (("\\", r"\\"), ("`", "`"))
}
_ESCAPED = {"\\": re.compile(r"\\([\"$\\])"), "`": re.compile(r"`([\"$`])")}


def split_instruction(text: str) -> tuple[str, str]:
    """Part an instruction into its keyword, in capitals, and what follows."""
    match = _INSTRUCTION.match(text)
    return (match["keyword"].upper(), (match["arguments"] or "").strip()) if match else ("", "")


def words(text: str, escape: str) -> list[tuple[int, int]]:
    """Tell where the words of an instruction begin and end; blanks in quotes do not part words."""
    return [match.span() for match in _WORDS[escape].finditer(text)]


def plain(word: str, escape: str, *, dollar: str = "$") -> str:
    """Take the quotes and escapes off a word.

    Parameters
    ----------
    word : str
        A word as it is written.
    escape : str
        The character that escapes.
    dollar : str, optional
        What to write for a dollar sign that refers to no variable.
    """
    found = []
    for match in _PARTS[escape].finditer(word):
        if match["single"] is not None:
            found.append(match["single"].replace("$", dollar))
        elif match["double"] is not None:
            found.append(_ESCAPED[escape].sub(lambda char: dollar if char[1] == "$" else char[1], match["double"]))
        elif match["char"] is not None:
            found.append(dollar if match["char"] == "$" else match["char"])
        else:
            found.append(match["bare"] or "")
    return "".join(found)


def from_words(arguments: str) -> tuple[str, str, str]:
    """Take the arguments of a ``FROM`` apart: its options, the image as it is written, and the name of the stage."""
    found = arguments.split()
    count = next((number for number, word in enumerate(found) if not word.startswith("--")), len(found))
    image = found[count] if count < len(found) else ""
    name = found[count + 2] if len(found) == count + 3 and found[count + 1].upper() == "AS" else ""
    return " ".join(found[:count]), image, name


def here_documents(keyword: str, arguments: str) -> Iterator[tuple[str, bool]]:
    """Find the here-documents of an instruction: the word that closes each, and whether tabs before it count."""
    if keyword == "ONBUILD":
        inner, rest = split_instruction(arguments)
        if inner != "ONBUILD":
            yield from here_documents(inner, rest)
        return
    if keyword not in {"RUN", "COPY", "ADD"} or _is_json(arguments):
        return
    text = _without_arithmetic(arguments)
    position = 0
    found = []
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        word = _HERE_WORD.match(text, position)
        if word is None:
            # A quote that is not closed: the builder then looks for no here-document.
            return
        position = word.end()
        match = _HERE_DOCUMENT.fullmatch(word[0])
        if match and match["word"].strip():
            found.append((plain(match["word"].rstrip(), "\\"), bool(match["strip"])))
    yield from found


def _is_json(arguments: str) -> bool:
    rest = _FLAGS.sub("", arguments, count=1)
    if not rest.startswith("["):
        return False
    try:
        found = json.loads(rest)
    except ValueError:
        return False
    return all(isinstance(word, str) for word in found)


def _without_arithmetic(text: str) -> str:
    """Take the shell's ``$((1 << 2))`` out, since a shift of bits begins no here-document."""
    pieces = []
    position = 0
    start = text.find("$((")
    while start >= 0:
        end = text.find("))", start)
        if end < 0:
            break
        pieces.append(text[position:start])
        position = end + 2
        start = text.find("$((", position)
    return "0".join([*pieces, text[position:]])
