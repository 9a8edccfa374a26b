from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from astro_magic.engines.ports import choosing_ports
from astro_magic.errors import PortInUseError


@pytest.fixture
def free():
    """Give two ports that are free."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def test_two_starts_at_once_take_different_ports(free):
    with choosing_ports() as choose:
        assert choose(None, free[0], free[1]) == free[0]
        assert elsewhere(lambda other: other(None, None, *free)) == free[1]
        assert elsewhere(lambda other: other(None, free[0])) not in free
    assert elsewhere(lambda other: other(None, *free)) == free[0]


def test_what_restarts_keeps_its_port(free):
    with socket.socket() as line:
        line.bind(("127.0.0.1", free[0]))
        line.listen()
        with choosing_ports(free[0], None):
            line.close()
            assert elsewhere(lambda other: other(None, *free)) == free[1]
            with choosing_ports() as choose:
                assert choose(None, *free) == free[0]


def test_a_port_that_was_asked_for(free):
    with choosing_ports() as choose:
        assert choose(free[0], free[1]) == free[0]
        with socket.socket() as line:
            line.bind(("127.0.0.1", free[1]))
            line.listen()
            with pytest.raises(PortInUseError, match=f"Port {free[1]} is taken"):
                choose(free[1])
        with pytest.raises(PortInUseError, match=f"Port {free[0]} is taken by another environment"):
            elsewhere(lambda other: other(free[0]))
        assert elsewhere(lambda other: other(None, free[0])) != free[0]


def elsewhere(choosing):
    """Choose as another start does, which is another thread."""
    with ThreadPoolExecutor(1) as pool:

        def start():
            with choosing_ports() as choose:
                return choosing(choose)

        return pool.submit(start).result()
