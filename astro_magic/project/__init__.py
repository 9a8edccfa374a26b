"""An Astro project on disk: making it, finding it, and editing its files. Starts no process and uses no network."""

from __future__ import annotations

from astro_magic.project.changes import Change, FileChange
from astro_magic.project.config import Config
from astro_magic.project.document import Document
from astro_magic.project.dotenv.dotenv import Dotenv
from astro_magic.project.fingerprint import Action, Fingerprint, Pending, Reason
from astro_magic.project.project import Creation, Project
from astro_magic.project.requirements.requirements import Requirements
from astro_magic.project.runtime.runtime import Runtime

__all__ = [
    "Action",
    "Change",
    "Config",
    "Creation",
    "Document",
    "Dotenv",
    "FileChange",
    "Fingerprint",
    "Pending",
    "Project",
    "Reason",
    "Requirements",
    "Runtime",
]
