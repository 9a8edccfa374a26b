"""The editors of connections, variables and pools that one IPython session shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from astro_magic.magics.arguments import Arguments
from astro_magic.magics.live import LiveWidgets
from astro_magic.magics.session import Session, show_in_notebook

if TYPE_CHECKING:
    from astro_magic.environment import Environment
    from astro_magic.project.settings.objects import KindName
    from astro_magic.widgets.object_editor import ObjectEditor

__all__ = ["ObjectEditors"]


class ObjectEditors:
    """One editor for each kind of each project.

    Parameters
    ----------
    session : Session
        Tells whether there is a notebook.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._widgets = LiveWidgets()

    def edited(self, arguments: Arguments, environment: Environment, kind: KindName) -> ObjectEditor | None:
        """Give an editor, which has a form for each object; in a terminal say that there is none.

        Raises
        ------
        UsageError
            When the arguments say more than which object.
        AstroMagicError
            When ipywidgets is not installed, or the objects cannot be read.
        """
        if arguments.to or arguments.dry_run or len(arguments.names) > 1:
            raise UsageError("edit takes one ID at most; what is set, and where, is said in the form.")
        name = "".join(arguments.names).removesuffix(";")
        if not self._session.in_notebook:
            verbs = [f"%{kind}s {verb}" for verb in ("add", "set", "remove")]
            told = f"{', '.join(verbs[:-1])} and {verbs[-1]} do the same here."
            self._session.write(f"The editor of {kind}s needs a notebook; {told}")
            return None

        def made() -> ObjectEditor:
            from astro_magic.widgets.object_editor import ObjectEditor

            return ObjectEditor(environment, kind, display=show_in_notebook, name=name)

        return self._widgets.replace((environment.project.root, kind), made)

    def close(self) -> None:
        """End all."""
        self._widgets.close()
