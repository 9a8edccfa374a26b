"""Small containers that look to the engine like a project's: they start in half a second and do what a script says."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from astro_magic.engines.docker.client.connection import Connection, connect
from astro_magic.engines.docker.names import PROJECT_LABEL, SERVICE_LABEL, Names
from tests.docker.images import DEBIAN

__all__ = ["HEALTH_PAGE", "SLEEP", "SmallStack", "until"]

SLEEP = "exec sleep 600"

#: Serves Airflow's health page; the heartbeats are so many seconds old as the variable AGE says.
HEALTH_PAGE = r"""exec perl -MIO::Socket::INET -MPOSIX=strftime -e '
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die $!;
while (my $client = $server->accept) {
    while (<$client>) { last if /^\r?$/ }
    my $at = strftime("%Y-%m-%dT%H:%M:%S.999999+00:00", gmtime(time - $ENV{AGE}));
    my $beats = join ",", map { qq("$_": {"status": "healthy", "latest_${_}_heartbeat": "$at"}) }
        qw(scheduler triggerer dag_processor);
    my $body = qq({"metadatabase": {"status": "healthy"}, $beats});
    print $client "HTTP/1.1 200 OK\r\nContent-Length: ", length $body, "\r\nConnection: close\r\n\r\n$body";
    close $client;
}'"""


def until(done: Callable[[], Any], *, seconds: float = 30) -> Any:
    """Wait for a true answer and give it; fails when there is none in time."""
    end = time.monotonic() + seconds
    while not (answer := done()):
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.05)
    return answer


class SmallStack:
    """Containers of a project of their own; leaving the context removes them."""

    def __init__(self) -> None:
        self.connection: Connection = connect()
        self.names = Names(f"he-{secrets.token_hex(4)}", "debian:bookworm")
        self._made: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import docker.errors

        for container in self._made:
            try:
                self.connection.api.remove_container(container, force=True, v=True)
            except docker.errors.NotFound:
                continue

    def run(
        self,
        service: str,
        script: str = SLEEP,
        *,
        labels: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        start: bool = True,
        tty: bool = False,
        image: str = DEBIAN,
        healthcheck: Mapping[str, Any] | None = None,
        port: int | None = None,
        published: int | None = None,
        **host: Any,
    ) -> str:
        """Make a container, and start it; gives its id."""
        api = self.connection.api
        if port is not None:
            host["port_bindings"] = {port: ("127.0.0.1", published)}
        made = api.create_container(
            image,
            ["sh", "-c", script],
            name=f"{self.names.compose}-{service}-{len(self._made) + 1}",
            labels={
                PROJECT_LABEL: self.names.compose,
                SERVICE_LABEL: service,
                "com.docker.compose.oneoff": "False",
                "com.docker.compose.container-number": "1",
                **(labels or {}),
            },
            environment=dict(environment or {}),
            tty=tty,
            ports=[port] if port is not None else None,
            healthcheck=dict(healthcheck) if healthcheck else None,
            stop_signal="SIGKILL",
            host_config=api.create_host_config(init=True, **host),
        )
        self._made.append(made["Id"])
        if start:
            api.start(made["Id"])
        return str(made["Id"])
