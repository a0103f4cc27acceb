"""The addresses of this machine, and ports that nobody else gets."""

import contextlib
import socket
import urllib.parse


def own_address():
    """One on another interface than loopback, or None. A connected socket of UDP sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = probe.getsockname()[0]
    return None if address.startswith("127.") else address


@contextlib.contextmanager
def closed_port():
    """A port of loopback at which nobody listens while this lasts, unless he asks for this very
    one: it is bound, and so not chosen for anybody."""
    with socket.socket() as owner:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        owner.bind(("127.0.0.1", 0))
        yield owner.getsockname()[1]


@contextlib.contextmanager
def kept_port(url):
    """The port of a running daemon, which nobody else gets when that has ended: who goes on calling
    it is refused, and meets no other test's daemon."""
    parts = urllib.parse.urlsplit(url)
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind((parts.hostname, parts.port))
        yield


def has_ipv6():
    try:
        socket.create_server(("::", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
