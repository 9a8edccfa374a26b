"""What a DAG file does when it is imported, as far as its syntax tree tells; nothing is imported."""

from __future__ import annotations

import ast
import builtins
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Call", "DefinedDag", "Outline", "outline"]

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BRANCHES = (ast.If, ast.Try, ast.TryStar, ast.While, ast.Match)
# By these a file can put anything into its own namespace.
_REFLECTION = {"__import__", "eval", "exec", "globals", "locals", "setattr", "vars"}


@dataclass(frozen=True)
class DefinedDag:
    """A DAG whose id stands in the file.

    Attributes
    ----------
    dag_id : str
        Its id.
    line : int
        Where it is defined, counted from 1.
    always : bool
        Whether that does not hang on a condition.
    """

    dag_id: str
    line: int
    always: bool


@dataclass(frozen=True)
class Call:
    """A call of something imported, made when the file is imported.

    Attributes
    ----------
    module : str
        Where it is imported from, dotted.
    name : str
        What is called, as the file writes it.
    line : int
        Where, counted from 1.
    """

    module: str
    name: str
    line: int


@dataclass(frozen=True)
class Outline:
    """What a file does when it is imported.

    Attributes
    ----------
    dags : tuple of DefinedDag
        The DAGs that it defines under ids that stand in it.
    uncalled : tuple of (str, int)
        Functions decorated with ``@dag`` that the file never calls, and their lines.
    calls : tuple of Call
        What it calls of what it imports.
    inert : bool
        Whether it plainly makes no DAG: it only defines functions, classes and values.
    problem : (int, str) or None
        The line and the reason when it is no Python.
    """

    dags: tuple[DefinedDag, ...] = ()
    uncalled: tuple[tuple[str, int], ...] = ()
    calls: tuple[Call, ...] = ()
    inert: bool = False
    problem: tuple[int, str] | None = None


def outline(data: bytes) -> Outline:
    """Parse a DAG file.

    Parameters
    ----------
    data : bytes
        Its content.
    """
    try:
        with warnings.catch_warnings():
            # About the file's own style, such as an unknown escape; they are not for whoever looks at the project.
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError as error:
        return Outline(problem=(error.lineno or 1, error.msg))
    except (ValueError, RecursionError, MemoryError) as error:
        return Outline(problem=(1, str(error) or type(error).__name__))
    return _Reader(tree).outline()


class _Reader:
    def __init__(self, tree: ast.Module) -> None:
        self._statements = list(_executed(tree.body))
        self._functions = {node.name: node for node, _ in self._statements if isinstance(node, _Function)}
        self._classes = {node.name: node for node, _ in self._statements if isinstance(node, ast.ClassDef)}
        self._origins = _origins([node for node, _ in self._statements])
        self._called = {
            name for node, _ in self._statements for call in _calls(node) if (name := _name(call.func)) is not None
        }

    def outline(self) -> Outline:
        """Give what the file does."""
        dags = [dag for node, always in self._statements for dag in self._defined(node, always=always)]
        for name in self._entered():
            body = list(_executed(self._functions[name].body))
            called = {_name(call.func) for node, _ in body for call in _calls(node)}
            for node, always in body:
                if not isinstance(node, _Function) or node.name in called:
                    dags += self._defined(node, always=always, called=True)
        uncalled = [
            (name, node.lineno)
            for name, node in self._functions.items()
            if self._decoration(node) == "dag" and not self._used(name)
        ]
        return Outline(
            dags=tuple(sorted(dags, key=lambda dag: dag.line)),
            uncalled=tuple(uncalled),
            calls=tuple(self._imported_calls()),
            inert=bool(self._statements) and all(self._is_inert(node) for node, _ in self._statements),
        )

    def _defined(self, node: ast.stmt, *, always: bool, called: bool = False) -> Iterator[DefinedDag]:
        if isinstance(node, _Function):
            kind = self._decoration(node)
            if kind == "asset" or (kind == "dag" and (called or node.name in self._called)):
                dag_id = _decorated_id(node, kind)
                if dag_id is not None:
                    yield DefinedDag(dag_id, node.decorator_list[0].lineno, always)
            return
        for call in _calls(node):
            if _last(call.func) == "DAG" and self._from_airflow(call.func):
                dag_id = _constant(call, "dag_id", position=0)
                if dag_id is not None:
                    yield DefinedDag(dag_id, call.lineno, always)

    def _entered(self) -> list[str]:
        """Give the plain functions whose bodies are executed, by calls of calls as well."""
        waiting = [name for name in self._functions if name in self._called]
        found: list[str] = []
        while waiting:
            name = waiting.pop()
            if name in found or self._decoration(self._functions[name]):
                continue
            found.append(name)
            for node, _ in _executed(self._functions[name].body):
                waiting += [called for call in _calls(node) if (called := _name(call.func)) in self._functions]
        return found

    def _used(self, name: str) -> bool:
        """Tell whether a function is mentioned anywhere in what is executed, if only to be called elsewhere."""
        return any(
            isinstance(part, ast.Name) and part.id == name for node, _ in self._statements for part in ast.walk(node)
        )

    def _decoration(self, node: _Function) -> str:
        """Tell what a function is decorated as: ``dag``, ``asset``, or neither."""
        for decorator in node.decorator_list:
            target = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = _last(target)
            if name in {"dag", "asset"} and self._from_airflow(target):
                return name
        return ""

    def _from_airflow(self, target: ast.expr) -> bool:
        root = _dotted(target).partition(".")[0]
        return self._origins.get(root, "").partition(".")[0] == "airflow"

    def _imported_calls(self) -> Iterator[Call]:
        for node, _ in self._statements:
            if isinstance(node, _DEFINITIONS):
                continue
            for call in _calls(node):
                written = _dotted(call.func)
                module = self._origins.get(written.partition(".")[0])
                if module is not None:
                    yield Call(module, written, call.lineno)

    def _is_inert(self, node: ast.stmt) -> bool:
        if isinstance(node, _DEFINITIONS):
            return not any("dag" in part.lower() or "asset" in part.lower() for part in _decorators(node))
        if isinstance(node, (ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith)):
            return False
        if isinstance(node, ast.ImportFrom):
            foreign = not (node.module or "").startswith("airflow")
            return not any(alias.name == "*" or (foreign and "dag" in alias.name.lower()) for alias in node.names)
        return all(self._is_harmless(call) for call in _calls(node))

    def _is_harmless(self, call: ast.Call) -> bool:
        """Tell whether a call plainly makes no DAG."""
        written = _dotted(call.func)
        root = written.partition(".")[0]
        if not written:
            # A method of a literal or of what another call gives; that other call is looked at by itself.
            return True
        if "dag" in written.lower() or root in _REFLECTION:
            return False
        local = self._classes.get(root)
        if local is not None:
            return not any("dag" in _dotted(base).lower() for base in local.bases)
        package = self._origins.get(root, "").partition(".")[0]
        return package in sys.stdlib_module_names or package == "airflow" or hasattr(builtins, root)


def _executed(body: Sequence[ast.stmt], *, always: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Give the statements that an import executes, and whether each is executed under all conditions."""
    for node in body:
        if isinstance(node, ast.If) and _never_on_import(node.test):
            yield from _executed(node.orelse, always=always)
            continue
        yield node, always
        if isinstance(node, _DEFINITIONS):
            continue
        inner = always and not isinstance(node, _BRANCHES)
        for field in ("body", "orelse", "finalbody"):
            yield from _executed(getattr(node, field, ()), always=inner)
        for branch in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _executed(branch.body, always=False)


def _never_on_import(test: ast.expr) -> bool:
    """Tell whether a condition is ``__name__ == "__main__"`` or ``TYPE_CHECKING``."""
    if isinstance(test, ast.Compare):
        return isinstance(test.left, ast.Name) and test.left.id == "__name__"
    return _last(test) == "TYPE_CHECKING"


def _calls(node: ast.stmt) -> Iterator[ast.Call]:
    """Find the calls of one statement: not those of the statements in it, nor in functions that it defines."""
    if isinstance(node, _DEFINITIONS):
        return
    waiting: list[ast.AST] = [node]
    while waiting:
        for part in ast.iter_child_nodes(waiting.pop()):
            if isinstance(part, (ast.stmt, ast.ExceptHandler, ast.match_case, ast.Lambda)):
                continue
            if isinstance(part, ast.Call):
                yield part
            waiting.append(part)


def _origins(statements: Sequence[ast.stmt]) -> dict[str, str]:
    """Find where the names that a file imports come from: the module, dotted."""
    found: dict[str, str] = {}
    for node in statements:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.partition(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = node.module or ""
    return found


def _decorators(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        yield _dotted(decorator.func if isinstance(decorator, ast.Call) else decorator)


def _decorated_id(node: _Function, kind: str) -> str | None:
    """Give the id of a decorated function's DAG; None when it is not a constant."""
    for decorator in node.decorator_list:
        if not isinstance(decorator, ast.Call) or _last(decorator.func) != kind:
            continue
        for key in ("dag_id", "name") if kind == "asset" else ("dag_id",):
            if any(keyword.arg in {key, None} for keyword in decorator.keywords):
                return _constant(decorator, key)
        if kind == "dag" and decorator.args:
            return _constant(decorator, "dag_id", position=0)
    return node.name


def _constant(call: ast.Call, key: str, *, position: int | None = None) -> str | None:
    """Give the text that an argument is, if it is one."""
    value = next((keyword.value for keyword in call.keywords if keyword.arg == key), None)
    if value is None and position is not None and len(call.args) > position:
        value = call.args[position]
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _last(node: ast.expr) -> str:
    return _dotted(node).rpartition(".")[2]


def _name(node: ast.expr) -> str | None:
    return node.id if isinstance(node, ast.Name) else None
