"""Texts with secrets in them, while somebody edits them: what is shown has masks, and what is kept has the secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from astro_magic.errors import InvalidContentError
from astro_magic.system.secrets import MASK, is_secret_name, json_tree, mask_named

__all__ = ["MaskedDraft"]

#: A name and what it is given, in JSON or what was to become JSON: both quotes, a quote that is missing, or none.
_PAIR = re.compile(
    r"""(?P<before>(?P<quote>["'])(?P<name>[^"'\n]*)(?P=quote)\s*:\s*["']?)"""
    r"""(?P<value>(?<=")(?:[^"\\\n]|\\.)+|(?<=')(?:[^'\\\n]|\\.)+|[^\s"',}\]]+)"""
)
_OBJECT = 'Write a JSON object, such as {"timeout": 10}.'


class MaskedDraft:
    """A text that is edited where its secrets must not be.

    Each mask that is left as it stands means the value that was there before. Of a JSON text, whatever else is changed
    around it; of any other text, when it is not changed at all.

    Parameters
    ----------
    text : str
        The text as it is stored.
    what : str
        What errors call it, such as ``The extra``.
    json_object : bool, optional
        Whether it has to be a JSON object, or empty.

    Attributes
    ----------
    shown : str
        The text as it may be shown, its secrets masked.
    """

    def __init__(self, text: str, what: str, *, json_object: bool = False) -> None:
        self.shown = _shown(text)
        self._what = what
        self._json_object = json_object
        self._stored = self._text = text
        self._aside: dict[str, Any] = {}
        self._problem: InvalidContentError | None = None

    @property
    def changed(self) -> bool:
        """Whether it is another text than the one that is stored."""
        return self._problem is not None or self._text != self._stored

    def take(self, typed: str) -> None:
        """Take what somebody has made of what was shown; what is secret in it is hidden at once."""
        if typed == self.shown:
            return
        try:
            self._text = self._read(typed)
        except InvalidContentError as problem:
            self._problem = problem
            self.shown = _PAIR.sub(self._set_aside, typed)
        else:
            self._problem = None
            self._aside.clear()
            shown = _shown(self._text)
            # What has nothing to hide stays as it was typed.
            self.shown = shown if MASK in shown else self._text

    def text(self) -> str:
        """Give the text with its secrets.

        Raises
        ------
        InvalidContentError
            When it is not what it has to be, or a mask stands where there was no secret. No part of it is told.
        """
        if self._problem is not None:
            raise self._problem
        return self._text

    def _read(self, typed: str) -> str:
        """Give what was typed with the secrets that its masks stand for."""
        tree = self._tree(typed)
        if MASK not in typed:
            return typed if self._is_strict(typed) or tree is None else json.dumps(tree, ensure_ascii=False)
        stored, shown = json_tree(self._text), json_tree(_shown(self._text))
        if tree is None or (stored is None and not self._aside):
            raise self._without_secret()
        return json.dumps(self._restored(tree, shown, stored), ensure_ascii=False)

    def _tree(self, typed: str) -> Any:
        """Give what was typed as a JSON object or list; None when it is something else, and may be."""
        if not self._json_object:
            return json_tree(typed)
        try:
            tree = json.loads(typed, strict=False) if typed.strip() else {}
        except json.JSONDecodeError as problem:
            message = f"{self._what} is no JSON: {problem.msg} at line {problem.lineno}, column {problem.colno}."
            raise InvalidContentError(message, hint=_OBJECT) from None
        except RecursionError:
            raise InvalidContentError(f"{self._what} is nested too deeply.", hint=_OBJECT) from None
        if not isinstance(tree, dict):
            raise InvalidContentError(f"{self._what} is JSON, but no object.", hint=_OBJECT)
        return tree

    def _is_strict(self, typed: str) -> bool:
        """Tell whether other readers of JSON take it, too: a key that was pasted has line feeds in it."""
        return json_tree(typed) is not None or not typed.strip()

    def _restored(self, edited: Any, shown: Any, stored: Any) -> Any:
        if _same(edited, shown):
            return stored
        if isinstance(edited, dict):
            pairs = [_both(name, shown, stored) for name in edited]
            return {
                name: self._aside[name] if value == MASK and name in self._aside else self._restored(value, *pair)
                for (name, value), pair in zip(edited.items(), pairs, strict=True)
            }
        if isinstance(edited, list) and isinstance(shown, list) and len(edited) == len(shown):
            # Two masks of a list look the same, so one that was moved could not be told from the other.
            parts = zip(edited, shown, stored, strict=True)
            return [part if not _masked(part) else self._whole(part, *pair) for part, *pair in parts]
        if _masked(edited):
            raise self._without_secret()
        return edited

    def _whole(self, edited: Any, shown: Any, stored: Any) -> Any:
        if not _same(edited, shown):
            raise self._without_secret()
        return stored

    def _without_secret(self) -> InvalidContentError:
        return InvalidContentError(
            f"{self._what} has {MASK} where no hidden value is known any more.", hint="Write the value itself there."
        )

    def _set_aside(self, match: re.Match[str]) -> str:
        """Hide a value that a text which is no JSON gives to a secret name; it comes back when the text is JSON."""
        if not is_secret_name(match["name"]) or match["value"] == MASK:
            return match[0]
        try:
            self._aside[match["name"]] = json.loads(f'"{match["value"]}"', strict=False)
        except ValueError:
            self._aside[match["name"]] = match["value"]
        return f"{match['before']}{MASK}"


def _both(name: str, shown: Any, stored: Any) -> tuple[Any, Any]:
    known = isinstance(shown, dict) and name in shown
    return (shown[name], stored[name]) if known else (None, None)


def _same(one: Any, other: Any) -> bool:
    # For Python, true is 1.
    return json.dumps(one) == json.dumps(other)


def _masked(tree: Any) -> bool:
    return MASK in json.dumps(tree, ensure_ascii=False)


def _shown(text: str) -> str:
    """Give a text with its secrets masked, each part of a JSON object on a line of its own."""
    masked = mask_named("", text)
    tree: Mapping[str, Any] | list[Any] | None = json_tree(masked)
    return masked if tree is None else json.dumps(tree, indent=2, ensure_ascii=False)
