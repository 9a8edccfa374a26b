"""Paths in tracebacks that come from a container."""

from __future__ import annotations

from pathlib import Path

from astro_magic.dags.paths import outside_paths

INSIDE = "/usr/local/airflow"
TRACEBACK = """Traceback (most recent call last):
  File "/usr/local/airflow/dags/orders.py", line 3, in <module>
    from include.sales import rows
  File "/usr/local/airflow/include/sales.py", line 1, in <module>
    open("/usr/local/airflow/dags/data.csv")
  File "/usr/local/airflow/.venv/lib/python3.12/site-packages/x.py", line 9, in open
"""


def test_the_projects_files_are_named_as_here():
    told = outside_paths(TRACEBACK, inside=INSIDE, root=Path(r"/home/ana/a\1 & b"))

    assert r'File "/home/ana/a\1 & b/dags/orders.py", line 3' in told
    assert r'File "/home/ana/a\1 & b/include/sales.py", line 1' in told


def test_files_of_the_image_and_the_text_of_lines_stay():
    told = outside_paths(TRACEBACK, inside=INSIDE, root=Path("/home/ana/shop"))

    assert 'open("/usr/local/airflow/dags/data.csv")' in told
    assert 'File "/usr/local/airflow/.venv/lib/python3.12/site-packages/x.py", line 9' in told


def test_nothing_changes_where_both_are_the_same():
    assert outside_paths(TRACEBACK, inside=INSIDE, root=Path(INSIDE)) == TRACEBACK
