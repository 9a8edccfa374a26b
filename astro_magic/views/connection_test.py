"""View of a test of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astro_magic.views.report import Line, Report, Span, line
from astro_magic.views.view import View

if TYPE_CHECKING:
    from astro_magic.objects.asking import ConnectionTest

__all__ = ["ConnectionTestView"]


class ConnectionTestView(View):
    """What a test of a connection found out.

    Attributes
    ----------
    name : str
        The connection.
    test : ConnectionTest
        What was found.
    """

    def __init__(self, name: str, test: ConnectionTest) -> None:
        self.name = name
        self.test = test

    def headline(self) -> Line:
        """Say whether it passed, and how it was tested."""
        word = {"passed": Span("reachable", "good"), "failed": Span("failed", "bad")}.get(self.test.outcome)
        how = {"provider": "by its provider's own test", "tcp": "host and port only, no login tried"}
        told = f" · {how[self.test.how]}" if self.test.how in how else ""
        return line(Span(self.name, "strong"), " · ", word or Span("not tested"), Span(told, "muted"))

    def report(self) -> Report:
        """Build what was found, and where the connection came from."""
        source = {"values": "airflow_settings.yaml", "environment": "the environment", "database": "Airflow's database"}
        origin = source.get(self.test.source, self.test.source)
        lines = tuple(self.test.message.splitlines())
        return Report.of(
            self.headline(),
            [line(text, indent=1) for text in lines],
            line(Span(f"as defined in {origin}", "muted"), indent=1) if origin else None,
        )
