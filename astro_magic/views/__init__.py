"""What a person sees: results as one report, set as HTML and as text."""

from __future__ import annotations

from astro_magic.views.changes import ChangeView, DifferenceView, EntriesView, HistoryView, RevisionView, UndoView
from astro_magic.views.dags import ParseView, RunView, TriggerView
from astro_magic.views.doctor import DoctorView
from astro_magic.views.environment import CommandView, LogView, RestartView, StartView, StatusView, StopView
from astro_magic.views.packages import PackagesView
from astro_magic.views.progress import Display, Handle, Progress
from astro_magic.views.project import CreationView, OverviewView, UseView
from astro_magic.views.view import View

__all__ = [
    "ChangeView",
    "CommandView",
    "CreationView",
    "DifferenceView",
    "Display",
    "DoctorView",
    "EntriesView",
    "Handle",
    "HistoryView",
    "LogView",
    "OverviewView",
    "PackagesView",
    "ParseView",
    "Progress",
    "RestartView",
    "RevisionView",
    "RunView",
    "StartView",
    "StatusView",
    "StopView",
    "TriggerView",
    "UndoView",
    "UseView",
    "View",
]
