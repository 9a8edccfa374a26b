"""What a person sees: results as one report, set as HTML and as text."""

from __future__ import annotations

from astro_magic.views.changes import ChangeView, DifferenceView, EntriesView, HistoryView, RevisionView, UndoView
from astro_magic.views.connection_test import ConnectionTestView
from astro_magic.views.dags import ParseView, RunView, TriggerView
from astro_magic.views.dependency_tree import DependencyTreeView
from astro_magic.views.doctor import DoctorView
from astro_magic.views.environment import BuildView, OpenView, RestartView, StartView, StatusView, StopView
from astro_magic.views.generations import GenerationsView, PruningView, RollbackView
from astro_magic.views.inside import CommandView, LogView, ScriptView
from astro_magic.views.object_edits import ObjectEditView
from astro_magic.views.object_exchange import ObjectDifferencesView, ObjectsExportView, ObjectsImportView
from astro_magic.views.object_table import ObjectsView
from astro_magic.views.packages import OsPackagesView, PackagesView
from astro_magic.views.progress import Display, Handle, Progress
from astro_magic.views.project import CreationView, OverviewView, UseView
from astro_magic.views.view import View

__all__ = [
    "BuildView",
    "ChangeView",
    "CommandView",
    "ConnectionTestView",
    "CreationView",
    "DependencyTreeView",
    "DifferenceView",
    "Display",
    "DoctorView",
    "EntriesView",
    "GenerationsView",
    "Handle",
    "HistoryView",
    "LogView",
    "ObjectDifferencesView",
    "ObjectEditView",
    "ObjectsExportView",
    "ObjectsImportView",
    "ObjectsView",
    "OpenView",
    "OsPackagesView",
    "OverviewView",
    "PackagesView",
    "ParseView",
    "Progress",
    "PruningView",
    "RestartView",
    "RevisionView",
    "RollbackView",
    "RunView",
    "ScriptView",
    "StartView",
    "StatusView",
    "StopView",
    "TriggerView",
    "UndoView",
    "UseView",
    "View",
]
