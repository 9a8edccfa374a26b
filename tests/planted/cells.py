"""Cells with each magic, over a project full of secrets: its uses, and wrong ones."""

from __future__ import annotations

from collections.abc import Mapping

from tests.planted.secrets import SECRETS

__all__ = ["CELLS", "IN_A_NOTEBOOK", "KERNEL_VARIABLE"]

#: A variable of the kernel that holds a secret.
KERNEL_VARIABLE = "PLANTED_TOKEN"
_S = SECRETS
_URI = f"mysql://ana:{_S['settings: URI']}@127.0.0.1:9/shop"
_FILES = ".env airflow_settings.yaml requirements.txt Dockerfile .astro/config.yaml .astro/magic/secrets.json"
_SETTINGS_CELL = f"""%%astro_settings
connections:
  - conn_id: cell
    conn_type: http
    conn_password: {_S["typed"]}
    conn_extra: {{token: {_S["kernel: variable"]}}}
"""
_DAG_CELL = """%%dag leaky3.py
import json
from airflow.sdk import BaseHook
password = BaseHook.get_connection("crm").password
raise ValueError([password], json.dumps(password))
"""

#: By the name of the magic: its cells, in an order in which what one needs stands before it.
CELLS: Mapping[str, tuple[str, ...]] = {
    "astro_init": (
        "%astro_init . --force --airflow 99",
        f"%astro_init other --template https://ana:{_S['typed']}@127.0.0.1:9/x",
    ),
    "astro_use": ("%astro_use .", "%astro_use nowhere"),
    "astro_start": (
        f"%astro_start --database postgresql://ana:{_S['typed']}@127.0.0.1:9/shop",
        f"%astro_start --database mysql:ana:{_S['typed']}",
        f"%astro_start --database-from-env {KERNEL_VARIABLE}",
        "%astro_start",
        "%astro_start",
        "%astro_start --new-database",
        "%astro_start --engine nothing",
    ),
    "astro": ("%astro",),
    "astro_open": ("%astro_open",),
    "astro_status": ("%astro_status", "%astro_status -q"),
    "astro_panel": ("%astro_panel",),
    "astro_doctor": ("%astro_doctor",),
    "astro_requirements": (
        f"%%requirements --no-check\n--extra-index-url https://ana:{_S['requirements: login']}@127.0.0.1:9/simple\n",
        "%requirements",
        "%requirements add no-such-package-1x",
        "%%requirements --replace --no-check\nhumanize==4.9.0\n",
        f"%%requirements --dry-run\nhumanize==4.9.0\n--find-links https://ana:{_S['typed']}@127.0.0.1:9/wheels\n",
        f"%%requirements --dry-run\nno-such-package-1x @ https://ana:{_S['typed']}@127.0.0.1:9/x-1.0-py3-none-any.whl\n",
        "%requirements remove humanize --dry-run",
        f"%requirements remove https://ana:{_S['requirements: login']}@127.0.0.1:9",
    ),
    "astro_packages": ("%packages", "%packages add git --dry-run", f"%packages add 'https://a:{_S['typed']}@x/y.deb'"),
    "astro_dockerfile": (
        "%dockerfile",
        f"%dockerfile set ENV OTHER_TOKEN={_S['typed']}",
        f'%%dockerfile --block keys\nARG DEPLOY_KEY={_S["typed"]}\nENV A=1 B_PASSWORD="{_S["kernel: variable"]}"\n',
        "%dockerfile remove ENV OTHER_TOKEN",
    ),
    "astro_private_git": (
        "%astro_private_git",
        f"%astro_private_git https://ana:{_S['typed']}@127.0.0.1:9/org/repo.git",
        f"%astro_private_git ssh://git:{_S['typed']}@127.0.0.1:9/org/repo.git",
        "%astro_private_git git@127.0.0.1:org/repo.git --key .env",
        "%astro_private_git git@127.0.0.1:org/repo.git --host-key SHA256:none",
    ),
    "astro_private_index": (
        f"%astro_private_index https://ana:{_S['typed']}@127.0.0.1:9/simple",
        f"%astro_private_index http://127.0.0.1:9/simple --user ana --password-from-env {KERNEL_VARIABLE}",
        f"%astro_private_index http://127.0.0.1:9 --name x --user ana --password-from-env {KERNEL_VARIABLE} --no-check",
        "%astro_private_index",
        "%requirements add no-such-package-1x",
        "%astro_build --elsewhere",
        "%astro_private_index --remove x",
    ),
    "astro_ca_cert": ("%astro_ca_cert", "%astro_ca_cert .env"),
    "astro_run_on_build": (
        f"%astro_run_on_build curl https://ana:{_S['typed']}@127.0.0.1:9/x",
        "%astro_run_on_build",
        f"%astro_run_on_build --remove curl https://ana:{_S['typed']}@127.0.0.1:9/y",
        "%astro_run_on_build --remove",
    ),
    "astro_env": (
        "%dotenv",
        f"%dotenv set NEW_SECRET={_S['typed']}",
        "%dotenv set ASKED_FOR",
        f"%%dotenv\nPLAIN='{_S['typed']}'\nMULTI=\"one\n{_S['typed']}\n\"\n",
        f"%%dotenv --dry-run\nthis is no line {_S['typed']}\n",
        "%dotenv remove PLAIN MULTI",
        f"%dotenv remove NEW_SECRET={_S['typed']}",
        f"%dotenv {_S['typed']}",
        f"%dotenv list {_S['typed']}",
        f"%dotenv set NEW_SECRET={_S['typed']} --no-such-option",
    ),
    "astro_settings": (
        "%astro_settings list",
        f"%astro_settings set connection typed conn_type=http conn_password={_S['typed']}",
        "%astro_settings set connection typed conn_password",
        _SETTINGS_CELL,
        f"%%astro_settings\nconnections:\n  - conn_id: [{_S['typed']}\n",
        f"%%astro_settings\nconnections:\n  - conn_id: cell\n    conn_port: {_S['typed']}\n    {_S['typed']}: 1\n",
        f"%astro_settings set connection crm conn_pasword={_S['typed']}",
        f"%astro_settings set variable colour {_S['typed']}",
        "%astro_settings remove connection typed cell",
        f"%astro_settings {_S['typed']}",
        f"%astro_settings set connection {_S['typed']}",
    ),
    "astro_config": (
        "%astro_config",
        f"%astro_config set postgres.password={_S['typed']}",
        "%astro_config airflow core secrets",
        "%astro_undo",
    ),
    "astro_file": (
        "%astro_file",
        f"%%astro_file include/keys.py\nAPI_KEY = '{_S['typed']}'\nURL = '{_URI}'\n",
        f'%%astro_file include/vault.json --dry-run\n{{"vaulted": {{"password": "{_S["typed"]}"}}}}\n',
        "%astro_file add .env include/copied.env",
        "%astro_file remove include/copied.env",
        "%astro_file remove include/keys.py",
        "%%astro_file ../outside\nx",
    ),
    "astro_airflowignore": (
        "%astro_airflowignore",
        "%%astro_airflowignore\nskipped/\n",
        "%astro_airflowignore add '['",
    ),
    "astro_connections": (
        "%connections",
        "%connections list --sort password",
        "%connections --differing",
        f"%connections add typed --type http --host 127.0.0.1 --port 9 --password-from-env {KERNEL_VARIABLE}",
        "%connections set typed --password-prompt",
        f'%connections set typed --extra \'{{"token": "{_S["typed"]}", "sslmode": "require"}}\'',
        f"%connections add here --type http --host x --password-from-env {KERNEL_VARIABLE} --to airflow",
        f"%connections add there --type http --host x --password-from-env {KERNEL_VARIABLE} --to env",
        "%connections add entry --type http --host x --password-keyring kept-entry",
        "%connections test warehouse",
        "%connections test lake",
        "%connections test crm",
        "%connections test shop",
        "%connections test kept",
        "%connections test vaulted",
        "%connections test nothing",
        "%connections remove typed there here entry",
        f"%connections set crm --uri {_URI}",
        f"%connections set crm --password {_S['typed']}",
        f"%connections set crm {_S['typed']}",
        f"%connections set crm --port {_S['typed']}",
        f"%connections set crm --extra '{_S['typed']}'",
        f"%connections set crm --uri ana:{_S['typed']}",
        f"%connections set crm --uri-from-env {KERNEL_VARIABLE}",
        f"%connections {_S['typed']} crm",
        "%connections remove krm",
    ),
    "astro_variables": (
        "%variables",
        f"%variables set deploy_key {_S['typed']}",
        f"%variables set new_secret --value-from-env {KERNEL_VARIABLE}",
        "%variables set asked_token --value-prompt --to airflow",
        "%variables set kept_token --value-keyring kept-entry",
        f"%variables set in_env_key --value-from-env {KERNEL_VARIABLE} --to env",
        f'%variables set service \'{{"password": "{_S["typed"]}"}}\' --json',
        f"%variables set broken_key '{_S['typed']}' --json",
        f"%variables {_S['typed']} deploy_key",
        "%variables remove new_secret asked_token kept_token in_env_key",
        "%variables set deploy_key --file .env --dry-run",
    ),
    "astro_pools": ("%pools", f"%pools set heavy --slots {_S['typed']}", "%pools set heavy 4 5"),
    "astro_objects": (
        "%astro_objects diff",
        "%astro_objects import",
        "%astro_objects export --dry-run",
        "%astro_objects export --dry-run --to env",
        "%astro_objects import --prune",
        f"%astro_objects export {_S['typed']}",
    ),
    "astro_diff": ("%astro_diff", "%astro_diff .env airflow_settings.yaml", "%astro_diff --git"),
    "astro_env_history": (
        "%astro_env_history",
        "%astro_env_history --rollback --dry-run",
        "%astro_env_history --rollback 1 --dry-run",
        "%astro_env_history --rollback 1",
        "%astro_env_history --prune --keep 1",
        f"%astro_env_history --rollback {_S['typed']}",
    ),
    "astro_undo": ("%astro_undo --list", "%astro_undo --dry-run", "%astro_undo 3 --dry-run"),
    "astro_dag": (
        "%%dag leaky2.py\nimport os\nraise ValueError(os.environ['ODD_PASSWORD'] + os.environ['AIRFLOW_CONN_LAKE'])\n",
        f"%%dag leaky2.py\nfrom airflow.sdk import DAG\nurl = '{_URI}'\nwith DAG('leaky2', description='x'): pass\n",
        _DAG_CELL,
        "%%dag leaky2.py\nfrom airflow.sdk import DAG\nwith DAG('leaky2'): pass\n",
    ),
    "astro_run": ("%astro_run leaky", f"%astro_run leaky --conf '[\"{_S['typed']}\"]'"),
    "astro_trigger": (
        f'%astro_trigger leaky --conf \'{{"password": "{_S["typed"]}"}}\'',
        f'%astro_trigger leaky --conf \'{{"password": "{_S["typed"]}\'',
    ),
    "astro_bash": (
        "%astro_bash env",
        f"%astro_bash cat {_FILES}; base64 -w0 .env; base64 -w0 airflow_settings.yaml",
        f"%astro_bash cat {_FILES} >&2; exit 3",
        "%%astro_bash\nset -x; echo $ODD_PASSWORD $AIRFLOW_CONN_LAKE\n",
        f"%astro_bash grep {_S['.env: token']} nothing",
    ),
    "astro_logs": (
        "%astro_logs -n 5000",
        "%astro_logs --grep password",
        "%astro_logs --task leaky -n 5000",
        "%astro_logs --task leaky.nothing",
        "%astro_logs --task leaky --run nothing",
    ),
    "astro_installed": (
        "%installed",
        "%installed --os",
        "%installed --tree humanize",
        "%installed --outdated h",
    ),
    "astro_compose_export": ("%astro_compose_export",),
    "astro_build": ("%astro_build", f"%astro_build --build-arg TOKEN={_S['typed']}"),
    "astro_restart": ("%dotenv set ANOTHER_TOKEN=x1y2z3", "%astro_restart", "%astro_restart --force"),
    "astro_stop": ("%astro_stop", "%connections", "%astro_objects import"),
    "astro_kill": ("%astro_kill", "%astro_kill --yes"),
}

#: The magics for a notebook, which starts Airflow and leaves it running.
IN_A_NOTEBOOK = (
    "astro_start",
    "astro",
    "astro_status",
    "astro_open",
    "astro_env",
    "astro_settings",
    "astro_variables",
    "astro_objects",
    "astro_diff",
    "astro_dag",
    "astro_run",
    "astro_bash",
)
