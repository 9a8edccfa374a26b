"""The live widgets of one IPython session: the next one of a kind takes over from the one before."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from astro_magic.errors import AstroMagicError

if TYPE_CHECKING:
    from astro_magic.widgets.live import LiveWidget

__all__ = ["LiveWidgets"]

W = TypeVar("W", bound="LiveWidget")


class LiveWidgets:
    """Those that live, each under a key of its own."""

    def __init__(self) -> None:
        self._widgets: dict[Hashable, LiveWidget] = {}

    def replace(self, key: Hashable, make: Callable[[], W]) -> W:
        """Make a widget, and close the one that had its key.

        Parameters
        ----------
        key : hashable
            What it is the one widget of.
        make : callable
            Imports what makes it, and makes it.

        Raises
        ------
        AstroMagicError
            When ipywidgets is not installed, or what `make` raises.
        """
        with _told():
            widget = make()
        before = self._widgets.pop(key, None)
        if before is not None:
            before.close()
        self._widgets[key] = widget
        return widget

    def close(self) -> None:
        """Close all."""
        for widget in self._widgets.values():
            widget.close()
        self._widgets.clear()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "ipywidgets":
            raise
        raise AstroMagicError(
            "A live widget needs the package ipywidgets, which is not installed here.",
            hint="Install it with %pip install ipywidgets, reload the page, and run this cell again.",
        ) from error
