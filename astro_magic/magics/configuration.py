"""What a user can set: ``%config AstroMagic.verbose_errors = True``."""

from __future__ import annotations

from traitlets import Bool, Float, Int, Unicode
from traitlets.config import Configurable

__all__ = ["AstroMagic"]


class AstroMagic(Configurable):
    """Settings of Astro Magic, for ``%config`` and for ``ipython_config.py``."""

    verbose_errors = Bool(
        default_value=False,
        help="Show the whole Python traceback of an error, not only what happened and what to do.",
    ).tag(config=True)

    engine = Unicode(
        "auto",
        help="Where Airflow runs: docker, local, or auto: where it ran last, else what dev.mode in .astro/config.yaml "
        "says, else Docker where an engine answers, else local processes.",
    ).tag(config=True)

    timeout = Float(
        120.0,
        min=1.0,
        help="Seconds until a start that does not get healthy is given up.",
    ).tag(config=True)

    verbosity = Int(
        1,
        min=0,
        max=2,
        help="0 shows no progress and only the first line of results, as -q does; 1 shows results; "
        "2 shows the progress of short work as well.",
    ).tag(config=True)
