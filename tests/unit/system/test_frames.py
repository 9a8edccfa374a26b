"""Tables as DataFrames, in a kernel without pandas."""

from __future__ import annotations

import sys

import pytest

from astro_magic.errors import AstroMagicError
from astro_magic.system.frames import require_pandas


def test_with_pandas_nothing_is_said():
    require_pandas()


def test_without_pandas_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(AstroMagicError, match="pandas") as caught:
        require_pandas()
    assert "%pip install pandas" in caught.value.hint
