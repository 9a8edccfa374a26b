"""The base of what magics return: a result, and what it looks like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from astro_magic.views.html import html_block, set_html
from astro_magic.views.limits import limited
from astro_magic.views.report import Block, Line, Report
from astro_magic.views.text import set_text, text_block

__all__ = ["View"]


class View(ABC):
    """A result together with what a person sees of it.

    A view keeps the object that it shows, so nothing has to be read off the screen.
    """

    #: Show the first line only.
    brief = False

    @abstractmethod
    def report(self) -> Report:
        """Build what the view says."""

    def headline(self) -> Line:
        """Give the one line that says what happened."""
        return next(block for block in self.report().blocks if isinstance(block, Line))

    def __repr__(self) -> str:
        return set_text(limited(self._shown(), _text))

    def _repr_mimebundle_(
        self,
        include: Collection[str] | None = None,
        exclude: Collection[str] | None = None,
    ) -> dict[str, str]:
        settings = {
            "text/plain": lambda: repr(self),
            "text/html": lambda: set_html(limited(self._shown(), html_block)),
        }
        return {
            kind: setting()
            for kind, setting in settings.items()
            if (include is None or kind in include) and (exclude is None or kind not in exclude)
        }

    def _shown(self) -> Report:
        return Report((self.headline(),)) if self.brief else self.report()


def _text(block: Block) -> str:
    return "\n".join(text_block(block)) + "\n"
