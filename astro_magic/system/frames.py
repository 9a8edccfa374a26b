"""Whether tables can be given as DataFrames: pandas is not in every kernel."""

from __future__ import annotations

import importlib.util

from astro_magic.errors import AstroMagicError

__all__ = ["require_pandas"]


def require_pandas() -> None:
    """Refuse to make a DataFrame without pandas.

    Raises
    ------
    AstroMagicError
        When it is not installed.
    """
    if importlib.util.find_spec("pandas") is None:
        msg = "A DataFrame, and a table that is sorted, needs the package pandas, which is not installed here."
        raise AstroMagicError(msg, hint="Install it with %pip install pandas, and run this cell again.")
