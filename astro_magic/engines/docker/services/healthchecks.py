"""How the engine finds out, inside a container, whether what runs there works.

No check imports Airflow, which takes over a second of CPU: each runs every half minute in every container.
"""

from __future__ import annotations

from typing import Any

__all__ = ["heartbeat_check", "http_check", "postgres_check"]

#: How often, how long, and how often in a row until a component counts as unhealthy.
_RHYTHM = {"interval": "30s", "timeout": "10s", "retries": 3, "start_period": "60s"}

# Behind each '-c' script's first line, modules are not looked for in the working directory, which is the project's.
_HTTP = """\
import sys
sys.path[:] = [p for p in sys.path if p]
import urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({})).open('http://localhost:8080%(path)s', timeout=8).read()
"""

# A job's row that counts is a running one of this container, begun after its first process: the heartbeat of the run
# before would look fresh for half a minute. With a host name of the project's own making, the time must suffice.
_HEARTBEAT = """\
import sys
sys.path[:] = [p for p in sys.path if p]
import os, socket, time
try:
    import psycopg2 as driver
except ImportError:
    import psycopg as driver
scheme, _, place = os.environ['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN'].partition('://')
ticks = int(open('/proc/1/stat').read().rpartition(')')[2].split()[19])
age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf('SC_CLK_TCK')
name = socket.gethostname()
found = socket.getaddrinfo(name, None, 0, socket.SOCK_DGRAM, 0, socket.AI_CANONNAME)
names = [name] + [entry[3] for entry in found if entry[3]]
custom = any(key.startswith('AIRFLOW__CORE__HOSTNAME_CALLABLE') for key in os.environ)
database = driver.connect('postgresql://' + place, connect_timeout=5)
cursor = database.cursor()
cursor.execute(
    "select count(*) from job where state = 'running' and job_type = %%s and (%%s or hostname = any(%%s))"
    " and start_date > to_timestamp(%%s) and latest_heartbeat > to_timestamp(%%s)",
    ('%(job)s', custom, names, time.time() - age - 0.5, time.time() - 30),
)
sys.exit(0 if cursor.fetchone()[0] else 'no heartbeat of this container within 30 seconds')
"""


def postgres_check(user: str) -> dict[str, Any]:
    """Ask Postgres itself, over TCP: while it sets a new cluster up, it listens on a socket file only.

    Parameters
    ----------
    user : str
        Its user.
    """
    test = ["CMD", "pg_isready", "-q", "-h", "127.0.0.1", "-U", user]
    # What waits for the database starts right after it; hence more often than the others.
    return {"test": test, "interval": "5s", "timeout": "5s", "retries": 6, "start_period": "60s"}


def http_check(path: str) -> dict[str, Any]:
    """Ask the server in this container for a page.

    Parameters
    ----------
    path : str
        The page, such as ``/api/v2/monitor/health``.
    """
    return {"test": ["CMD", "python", "-c", _HTTP % {"path": path}], **_RHYTHM}


def heartbeat_check(job_type: str) -> dict[str, Any]:
    """Ask the metadata database whether this container's component gave a sign of life in the last 30 seconds.

    Parameters
    ----------
    job_type : str
        What the component's rows in the table ``job`` are called, such as ``SchedulerJob``.
    """
    return {"test": ["CMD", "python", "-c", _HEARTBEAT % {"job": job_type}], **_RHYTHM}
