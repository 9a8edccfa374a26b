"""A page that opens the Airflow UI, logged in: a file for its owner alone, since it is as good as a password.

It sends the ticket as a form does, so that the ticket stands in no address, and so in no log and no history.
"""

from __future__ import annotations

from pathlib import Path

from astro_magic.engines.local.inside.entrance import ENTRANCE_PATH, key_of, make_ticket
from astro_magic.engines.local.settings import read_secrets
from astro_magic.engines.local.supervision import Supervisor
from astro_magic.project.project import Project
from astro_magic.system.files import write_atomic

__all__ = ["write_way_in"]

_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<title>Airflow</title>
<body onload="document.forms[0].submit()">
<form method="post" action="{address}"><input type="hidden" name="ticket" value="{ticket}"><button>Open Airflow</button>
</form>
"""


def write_way_in(project: Project, supervisor: Supervisor) -> Path:
    """Write the page, with a ticket that is good for a minute and for one time; in place of the one before."""
    known = read_secrets(project)
    ticket = make_ticket(key_of(bytes.fromhex(supervisor.identity(known.jwt)), known.password))
    # By its number: what has the same port of the other loopback address, and the name, is somebody else.
    page = _PAGE.format(address=f"http://127.0.0.1:{supervisor.port}{ENTRANCE_PATH}", ticket=ticket)
    file = project.state_dir / "run" / "open.html"
    write_atomic(file, page.encode(), mode=0o600)
    return file
