"""What the notebook keeps of a live widget: a table, for whoever opens it without a kernel."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from astro_magic.views import View
from astro_magic.views.report import Line, Report, Span, line
from astro_magic.views.words import when
from astro_magic.widgets.style import kept_style

__all__ = ["KeptView"]


class KeptView(View):
    """What a live widget said at one moment, in the place of one that lives no more.

    Parameters
    ----------
    report : Report
        What is kept; its first block is the headline.
    moment : datetime
        When it was so.
    live : str
        What the cell shows when it is run again, such as ``live panel``.
    key : str, optional
        Names the widget in style sheets; empty for one that stands by itself.
    """

    def __init__(self, report: Report, moment: datetime, live: str, key: str = "") -> None:
        self._report = report
        self._moment = moment
        self._live = live
        self._key = key

    def headline(self) -> Line:
        """Say the first of it."""
        return next(block for block in self._report.blocks if isinstance(block, Line))

    def report(self) -> Report:
        """Build what is kept, and how to get the live widget back."""
        moment = when(self._moment.astimezone().replace(second=0, microsecond=0))
        note = line(Span(f"As of {moment}; run the cell again for the {self._live}.", "muted"))
        return Report.of(self._report.blocks, note)

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(include, exclude)
        if self._key and "text/html" in bundle:
            kept = f'<div class="{self._key}-kept">{bundle["text/html"]}</div>'
            bundle["text/html"] = kept + kept_style(self._key)
        return bundle
