"""Tools that take all connections there are, and do nothing with them."""

import contextlib
import resource
import socket
import urllib.parse

import pytest

from .build import patience

IDLE = 5000
_FILES = IDLE + 1000  # with what the daemon, or the test, has besides


def _files_allowed():
    """How many descriptors this process, and a daemon that it starts, can have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if hard == resource.RLIM_INFINITY else hard


needs_files = pytest.mark.skipif(
    _files_allowed() < _FILES,
    reason=f"RLIMIT_NOFILE is below {_FILES}: no room for {IDLE} connections")


@contextlib.contextmanager
def _more_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def idle_connections(house):
    """IDLE connections to the public port of a gateway."""
    address = urllib.parse.urlsplit(house.url)
    with _more_files(), contextlib.ExitStack() as held:
        for _ in range(IDLE):
            held.enter_context(socket.create_connection((address.hostname, address.port),
                                                        timeout=patience(20)))
        yield
