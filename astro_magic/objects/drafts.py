"""An object as it stands in one place, to be edited there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from astro_magic.engines.engine import Engine
from astro_magic.errors import InvalidContentError
from astro_magic.objects.editing import PLACES, Target
from astro_magic.objects.places import read_tables
from astro_magic.objects.table import ObjectRow
from astro_magic.project.project import Project
from astro_magic.project.settings.environment import read_environment
from astro_magic.project.settings.objects import KindName

__all__ = ["Draft", "read_draft"]


@dataclass(frozen=True)
class Draft:
    """An object to be edited.

    Attributes
    ----------
    kind : {"connection", "pool", "variable"}
        Its kind.
    name : str
        Its id; empty when it is to be made.
    target : {"settings", "env", "airflow"}
        Where it is edited.
    values : Mapping of str to Any
        By the field of Airflow's REST API, what that place says of it, secrets included. What the keyring keeps is the
        reference to it.
    places : tuple of str
        All places that define it and can be edited.
    """

    kind: KindName
    name: str
    target: Target
    values: Mapping[str, Any] = field(repr=False)
    places: tuple[Target, ...] = ()

    @property
    def new(self) -> bool:
        """Whether it is to be made."""
        return not self.name


def read_draft(project: Project, engine: Engine, kind: KindName, name: str, *, at: Target | None = None) -> Draft:
    """Read an object to edit it.

    Parameters
    ----------
    project : Project
        The project.
    engine : Engine
        What runs its Airflow.
    kind : {"connection", "pool", "variable"}
        Its kind.
    name : str
        Its id.
    at : {"settings", "env", "airflow"}, optional
        Where; by default where it is defined and counts, as far as that can be edited.

    Raises
    ------
    InvalidContentError
        When it is not there, or only in a secrets backend.
    EngineError
        When only Airflow's database has it, and cannot be read.
    """
    row = _row(project, engine, kind, name)
    places = tuple(target for target, where in PLACES.items() if row.definition(where) is not None)
    if not places:
        raise InvalidContentError(
            f"The {kind} {name[:60]!r} is in the secrets backend {row.winner.place} only.", hint="Change it there."
        )
    target = at if at in places else places[0]
    if target == "airflow":
        # The API hides secrets, and what was hidden must not be written in their place.
        row = _row(project, engine, kind, name, secrets=kind != "pool")
        seen = row.definition("database")
        return Draft(kind, name, target, seen.values if seen else {}, places)
    told = project.settings.objects() if target == "settings" else read_environment(project)
    names = {name} if target == "settings" else {name.lower()}
    values = next((each.values for each in told.objects if each.kind == kind and each.name in names), {})
    return Draft(kind, name, target, values, places)


def _row(project: Project, engine: Engine, kind: KindName, name: str, *, secrets: bool = False) -> ObjectRow:
    (table,) = read_tables(project, engine, [kind], secrets=secrets)
    row = table.get(name)
    if row is None:
        why = table.note or f"There is no {kind} {name[:60]!r} any more."
        raise InvalidContentError(why, hint="Read the table again to see what there is.")
    return row
