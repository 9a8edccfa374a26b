"""What the text of a DAG file tells about the DAGs it defines; nothing is imported.

`survey` looks for a few words in the bytes. That takes some microseconds, and may be wrong about comments and strings;
`astro_magic.project.dags.outline` is right about them, and takes most of a millisecond.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["SuggestedDag", "Survey", "mentions_dags", "survey"]

# Each begins with a plain character, which the search then skips to.
_DECORATOR = re.compile(rb"@[ \t]*(?:\w+\.)*(dag|asset)\b")
_CALL = re.compile(rb"D(?<!\wD)AG[ \t]*()\(")
_DEFINITION = re.compile(rb"^[ \t]*(?:async[ \t]+)?def[ \t]+(?P<name>\w+)", re.MULTILINE)
_FIRST = re.compile(rb"\s*(?:#[^\n]*\s+)*([\"'])(?P<id>[^\"'\\\n]+)\1\s*[,)]")
_NAMED = re.compile(rb"\bdag_id\s*=\s*(?:([\"'])(?P<id>[^\"'\\\n]+)\1)?")
_ASSET_NAMED = re.compile(rb"\bname\s*=\s*(?:([\"'])(?P<id>[^\"'\\\n]+)\1)?")
_ACTION = re.compile(rb"^(?:(?:for|if|with)\b|(?:[A-Za-z_]\w*[ \t]*=[ \t]*)?[A-Za-z_][\w.]*[ \t]*\()", re.MULTILINE)
# Within so many bytes after DAG( its dag_id is looked for.
_REACH = 4000


@dataclass(frozen=True)
class SuggestedDag:
    """A DAG id that a text suggests, and the line (from 1) where its definition begins."""

    dag_id: str
    line: int


@dataclass(frozen=True)
class Survey:
    """What a few words in a file suggest.

    Attributes
    ----------
    dags : tuple of SuggestedDag
        The DAG ids that stand in the text, in its order.
    missing : tuple of str
        Which of the words that Airflow's safe mode looks for the text lacks; it passes over the file if there are any.
    defines : bool
        Whether the text plainly makes a DAG when it is imported.
    odd : bool
        Whether the text makes it worth while to parse the file: brackets that do not match, a function decorated with
        ``@dag`` that is called nowhere, or, where safe mode passes over it, calls that might make DAGs.
    """

    dags: tuple[SuggestedDag, ...]
    missing: tuple[str, ...]
    defines: bool
    odd: bool


def survey(data: bytes, *, assets: bool) -> Survey:
    """Look for the words that matter in a DAG file.

    Parameters
    ----------
    data : bytes
        Its content.
    assets : bool
        Whether it is for Airflow 3, where ``@asset`` defines DAGs as well.
    """
    missing = _missing(data.lower(), assets=assets)
    dags: list[SuggestedDag] = []
    defines = uncalled = False
    starts = _starts(data)
    for number, start in enumerate(starts):
        before = data[data.rfind(b"\n", 0, start.start()) + 1 : start.start()]
        decorator = start[1]
        if not decorator:
            if b"#" in before:
                continue
            end = starts[number + 1].start() if number + 1 < len(starts) else start.end() + _REACH
            dag_id = _constant_id(data[start.end() : end])
            defines = defines or not before[:1].isspace()
        else:
            definition = _DEFINITION.search(data, start.end())
            if before.strip() or definition is None or (decorator == b"asset" and not assets):
                continue
            name, called = definition["name"], decorator == b"asset"
            called = called or data.count(name + b"(") > 1
            dag_id = _decorated_id(data[start.end() : definition.start()], name, asset=decorator == b"asset")
            if not before:
                defines = defines or called
                uncalled = uncalled or not called
        if dag_id is not None:
            line = data.count(b"\n", 0, start.start()) + 1
            dags.append(SuggestedDag(dag_id.decode(errors="replace"), line))
    might_make = bool(missing) and _ACTION.search(data) is not None
    return Survey(tuple(dags), missing, defines, odd=uncalled or might_make or not _balanced(data))


def mentions_dags(data: bytes) -> bool:
    """Tell whether a module's text has what makes a DAG: ``DAG(`` or ``@dag``."""
    return bool(_starts(data))


def _starts(data: bytes) -> list[re.Match[bytes]]:
    """Find what may begin the definition of a DAG; the first group is the decorator's name, or empty."""
    found = [*_DECORATOR.finditer(data), *_CALL.finditer(data)]
    found.sort(key=re.Match.start)
    return found


def _missing(lowered: bytes, *, assets: bool) -> tuple[str, ...]:
    """Find the words that ``airflow.utils.file.might_contain_dag_via_default_heuristic`` misses."""
    missing = [] if b"airflow" in lowered else ["airflow"]
    if b"dag" not in lowered and not (assets and b"asset" in lowered):
        missing.append("dag")
    return tuple(missing)


def _constant_id(arguments: bytes) -> bytes | None:
    found = _FIRST.match(arguments) or _NAMED.search(arguments)
    return found["id"] if found else None


def _decorated_id(arguments: bytes, name: bytes, *, asset: bool) -> bytes | None:
    found = _NAMED.search(arguments) or (_ASSET_NAMED.search(arguments) if asset else None)
    if found is None and not asset:
        found = _FIRST.match(arguments.lstrip().removeprefix(b"("))
    return found["id"] if found else name


def _balanced(data: bytes) -> bool:
    return (
        data.count(b"(") == data.count(b")")
        and data.count(b"[") == data.count(b"]")
        and data.count(b"{") == data.count(b"}")
        and data.count(b'"""') % 2 == 0
    )
