"""A project whose files are full of secrets."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

from astro_magic.project.project import Project
from tests.planted.secrets import SECRETS

__all__ = ["BACKEND_FILE", "plant"]

#: What a secrets backend reads, relative to the project.
BACKEND_FILE = "include/vault.json"

_DAG = """
import base64
import json
import logging
import os
from urllib.parse import quote

from airflow.sdk import Connection, dag, task


@dag()
def leaky():
    @task
    def tell():
        password = os.environ["WAREHOUSE_PASSWORD"]
        print("the password is", password, quote(os.environ["ODD_PASSWORD"]), [os.environ["ODD_PASSWORD"]])
        print(json.dumps({"text": os.environ["ODD_PASSWORD"]}), base64.b64encode(password.encode()))
        print("the token is", base64.b64encode(b"x:" + os.environ["API_TOKEN"].encode()).decode())
        for name in ("warehouse", "lake", "crm", "vaulted", "kept"):
            connection = Connection.get(name)
            logging.getLogger(__name__).warning("%s has %s and %s", name, connection.password, connection.extra)
            print(connection.get_uri(), repr(connection.password), base64.b64encode(connection.password.encode()))

    @task
    def fail():
        raise ValueError("no login with " + Connection.get("crm").password + " at " + os.environ["AIRFLOW_CONN_LAKE"])

    tell()
    fail()


leaky()
"""
_BROKEN = """
import os

address = os.environ["AIRFLOW_CONN_WAREHOUSE"]
raise KeyError(f"no {address} with {os.environ['ODD_PASSWORD']}")
"""


def plant(project: Project) -> None:
    """Fill the files of a project with secrets; only the requirements stay as they are, since they are installed."""
    _write(project, ".env", _environment(project))
    _write(project, "airflow_settings.yaml", _settings())
    _write(project, BACKEND_FILE, json.dumps({"vaulted": f"http://ana:{SECRETS['backend: connection']}@127.0.0.1:9"}))
    _write(project, "include/vault_variables.json", json.dumps({"vaulted_secret": SECRETS["backend: variable"]}))
    _append(
        project,
        "Dockerfile",
        f"ARG PIP_TOKEN={SECRETS['Dockerfile: ARG']}\nENV SMTP_PASSWORD={SECRETS['Dockerfile: ENV']} REGION=eu\n",
    )
    _append(project, ".astro/config.yaml", f"postgres:\n  password: {SECRETS['config: password']}\n")
    _write(project, "dags/leaky.py", _DAG)
    _write(project, "dags/broken.py", _BROKEN)


def _environment(project: Project) -> str:
    uri = quote(SECRETS[".env: connection, URI"], safe="")
    lake = {
        "conn_type": "http",
        "host": "127.0.0.1",
        "port": 9,
        "password": SECRETS[".env: connection, JSON"],
        "extra": {"api_key": SECRETS[".env: connection, JSON, extra"]},
    }
    backend = {
        "connections_file_path": str(project.root / BACKEND_FILE),
        "variables_file_path": str(project.root / "include/vault_variables.json"),
    }
    document = project.dotenv
    change = document.plan_set(
        {
            "WAREHOUSE_PASSWORD": SECRETS[".env: password"],
            "ODD_PASSWORD": SECRETS[".env: password with signs"],
            "API_TOKEN": SECRETS[".env: token"],
            "AIRFLOW_CONN_WAREHOUSE": f"postgres://ana:{uri}@127.0.0.1:9/dwh?token="
            + SECRETS[".env: connection, URI, extra"],
            "AIRFLOW_CONN_LAKE": json.dumps(lake),
            "AIRFLOW_VAR_API_KEY": SECRETS[".env: variable"],
            "AIRFLOW_VAR_SERVICE": json.dumps({"user": "ana", "password": SECRETS[".env: variable, JSON"]}),
            "AIRFLOW_VAR_REGION": "eu-west",
            "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(backend),
        }
    )
    (file,) = change.files
    return file.after.decode()


def _settings() -> str:
    def text(name: str) -> str:
        # A JSON string is a YAML string as well.
        return json.dumps(SECRETS[name])

    return f"""airflow:
  connections:
    - conn_id: crm
      conn_type: http
      conn_host: 127.0.0.1
      conn_port: 9
      conn_login: ana
      conn_password: {text("settings: password")}
      conn_description: the customers
      conn_extra:
        token: {text("settings: extra")}
        private_key: |
          -----BEGIN PRIVATE KEY-----
          {SECRETS["settings: private key"]}
          -----END PRIVATE KEY-----
        extra__http__secret: {text("settings: extra of a provider")}
        sslmode: require
    - conn_id: shop
      conn_uri: mysql://ana:{SECRETS["settings: URI"]}@127.0.0.1:9/shop
    - conn_id: kept
      conn_type: http
      conn_host: 127.0.0.1
      conn_password: keyring:kept-entry
    - conn_id: bad id
      conn_type: http
      conn_password: {text("settings: password")}
    - conn_id: bad_port
      conn_type: http
      conn_port: many
      conn_password: {text("settings: URI")}
    - conn_id: bad_extra
      conn_type: http
      conn_extra: {text("settings: extra")}
  variables:
    - variable_name: deploy_key
      variable_value: {text("settings: variable")}
      variable_description: for the deployment
    - variable_name: service
      variable_value: '{{"user": "ana", "client_secret": "{SECRETS["settings: variable, JSON"]}"}}'
    - variable_name: colour
      variable_value: blue
  pools:
    - pool_name: heavy
      pool_slot: 3
      pool_description: for the big ones
"""


def _write(project: Project, name: str, text: str) -> None:
    file = Path(project.root, name)
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _append(project: Project, name: str, text: str) -> None:
    file = Path(project.root, name)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    file.write_text(f"{before.rstrip()}\n{text}" if before.strip() else text, encoding="utf-8")
