"""The IPython surface: what ``%load_ext astro_magic`` registers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from astro_magic.magics.completion import MagicCompletion
from astro_magic.magics.configuration import AstroMagic
from astro_magic.magics.dags import DagMagics
from astro_magic.magics.dependencies import DependencyMagics
from astro_magic.magics.doctor import DoctorMagics
from astro_magic.magics.environment import EnvironmentMagics
from astro_magic.magics.files import FileMagics
from astro_magic.magics.generations import GenerationMagics
from astro_magic.magics.history import HistoryMagics
from astro_magic.magics.inside import InsideMagics
from astro_magic.magics.objects import ObjectMagics
from astro_magic.magics.packages import PackageMagics
from astro_magic.magics.panel import PanelMagics
from astro_magic.magics.private import PrivateMagics
from astro_magic.magics.project import ProjectMagics
from astro_magic.magics.session import AstroMagics, Session
from astro_magic.magics.shipping import ShippingMagics
from astro_magic.magics.values import ValueMagics

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["AstroMagic", "AstroMagics", "Session", "load", "unload"]

_GROUPS = (
    ProjectMagics,
    DoctorMagics,
    HistoryMagics,
    DependencyMagics,
    ValueMagics,
    FileMagics,
    EnvironmentMagics,
    GenerationMagics,
    InsideMagics,
    ObjectMagics,
    PackageMagics,
    PanelMagics,
    PrivateMagics,
    DagMagics,
    ShippingMagics,
)
_ALIASES = {
    "requirements": "astro_requirements",
    "packages": "astro_packages",
    "dockerfile": "astro_dockerfile",
    "dotenv": "astro_env",
    "dag": "astro_dag",
    "installed": "astro_installed",
    "connections": "astro_connections",
    "variables": "astro_variables",
    "pools": "astro_pools",
}


@dataclass(frozen=True)
class _Registration:
    """What was put into a shell, and is taken out again."""

    session: Session
    groups: tuple[AstroMagics, ...]
    completion: MagicCompletion


_registrations: WeakKeyDictionary[InteractiveShell, _Registration] = WeakKeyDictionary()


def load(shell: InteractiveShell) -> None:
    """Register the magics, their short names, their completion and their settings in a shell."""
    if shell in _registrations:
        return
    session = Session(shell)
    groups = tuple(group(shell, session) for group in _GROUPS)
    for group in groups:
        shell.register_magics(group)
    configurables: list[Any] = shell.configurables
    configurables.append(session.settings)
    _add_aliases(shell)
    completion = MagicCompletion(session)
    completer = getattr(shell, "Completer", None)
    if completer is not None:
        completer.custom_matchers.append(completion.match)
    _registrations[shell] = _Registration(session, groups, completion)


def unload(shell: InteractiveShell) -> None:
    """Take out of a shell what `load` put in."""
    registration = _registrations.pop(shell, None)
    if registration is None:
        return
    for group in registration.groups:
        group.unloaded()
    for magics in shell.magics_manager.magics.values():
        for name, magic in list(magics.items()):
            if getattr(magic, "__self__", None) in registration.groups:
                del magics[name]
    ours = (registration.session.settings, *registration.groups)
    configurables: list[Any] = shell.configurables
    configurables[:] = [item for item in configurables if not any(item is one for one in ours)]
    completer = getattr(shell, "Completer", None)
    if completer is not None and registration.completion.match in completer.custom_matchers:
        completer.custom_matchers.remove(registration.completion.match)


def _add_aliases(shell: InteractiveShell) -> None:
    """Register the short names that nothing else owns.

    The method itself is registered, not an IPython alias: that would expand the line, which may hold secrets.
    """
    manager = shell.magics_manager
    taken = {*manager.magics["line"], *manager.magics["cell"], *manager.lazy_magics}
    for alias, name in _ALIASES.items():
        if alias in taken:
            continue
        for kind in ("line", "cell"):
            magic = manager.magics[kind].get(name)
            if magic is not None:
                manager.register_function(magic, magic_kind=kind, magic_name=alias)
