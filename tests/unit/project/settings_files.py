"""A settings file, and what planning a change of it has to keep to."""

from __future__ import annotations

from importlib import resources

__all__ = ["FILE", "TEMPLATE", "merged", "planned"]

TEMPLATE = (resources.files("astro_magic.project") / "templates" / "airflow_settings.yaml.template").read_text("utf-8")
FILE = """\
# mine
airflow:
  connections: ## required: conn_id, conn_type
    # the warehouse
    - conn_id: db   # short
      conn_type: postgres
      conn_host: 10.0.0.1
      conn_port: 5432
      conn_password: "hunter2"
      conn_extra:
        SslMode: require # always
        nested: {a: 1}

    - conn_id: web
      conn_uri: https://me:s3cret@example.com
  pools:
  - pool_name: small
    pool_slot: 2
  variables:
    - variable_name: greeting
      variable_value: hello
"""


def planned(settings, before, plan):
    """Plan a change of a content; the same change a second time changes nothing."""
    settings.path.write_bytes(before.encode())
    after = plan().files[0].after.decode()
    settings.path.write_bytes(after.encode())
    assert not plan().changed
    return after


def merged(settings, before, cell):
    return planned(settings, before, lambda: settings.plan_merge(cell))
