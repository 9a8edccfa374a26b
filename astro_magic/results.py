"""What a start, a restart and an opening of an environment did."""

from __future__ import annotations

from dataclasses import dataclass

from astro_magic.engines.answers import EngineStatus
from astro_magic.objects.importing import ObjectsImport
from astro_magic.project.fingerprint import Pending

__all__ = ["OpenedUi", "RestartResult", "StartResult"]


@dataclass(frozen=True)
class StartResult:
    """What a start did.

    Attributes
    ----------
    status : EngineStatus
        What runs now.
    already_running : bool
        Whether Airflow was up before.
    seconds : float
        How long it took.
    notes : tuple of str
        What the user should know.
    objects : ObjectsImport or None
        What became of the connections, pools and variables of ``airflow_settings.yaml``; None when there are none.
    """

    status: EngineStatus
    already_running: bool
    seconds: float
    notes: tuple[str, ...] = ()
    objects: ObjectsImport | None = None


@dataclass(frozen=True)
class RestartResult:
    """What a restart did.

    Attributes
    ----------
    pending : Pending
        Why, and the action that it took; empty when there was nothing to do.
    status : EngineStatus
        What runs now.
    seconds : float
        How long it took.
    restarted : bool
        Whether anything was applied, restarted or started; False when everything was up to date.
    objects : ObjectsImport or None
        What became of the connections, pools and variables of ``airflow_settings.yaml``; None when they were not
        looked at.
    started : bool
        Whether nothing ran before.
    """

    pending: Pending
    status: EngineStatus
    seconds: float
    restarted: bool = True
    objects: ObjectsImport | None = None
    started: bool = False


@dataclass(frozen=True)
class OpenedUi:
    """The Airflow UI, opened in a browser.

    Attributes
    ----------
    url : str
        Where it is.
    opened : bool
        Whether there is a browser on this machine, and it opens the UI.
    login : str
        How a person logs in; empty where nobody needs to.
    """

    url: str
    opened: bool
    login: str = ""
