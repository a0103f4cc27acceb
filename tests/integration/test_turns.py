"""How much one turn of a worker does of what comes on many connections at once.

The daemon stands still until all bytes have come, so that they are there in one turn. When an
answer came is asked of the kernel, so that it does not matter how fast the test is."""

import select
import socket
import ssl
import urllib.parse

import pytest

from lib import proc
from lib.build import patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import request_bytes
from lib.tls import make_certificate

HANDSHAKES = 60
SLOW_KEY = ("rsa:3072",)  # signing takes milliseconds
ONE = Client("one")


@pytest.fixture(scope="module")
def certificate(authority, tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"), authority, "server",
                            "IP:127.0.0.1", algorithm=SLOW_KEY)


def address_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def connect(url):
    return socket.create_connection(address_of(url), patience(30))


def secured(sock, **options):
    return ssl._create_unverified_context().wrap_socket(sock, **options)


def poll(url, target="/api/status?id=none", **fields):
    host, port = address_of(url)
    return request_bytes("GET", target, f"{host}:{port}", {**ONE.headers, **fields})


def read_status(sock):
    """Reads one answer, whose body has less than a read."""
    text = b""
    while b"\r\n\r\n" not in text:
        piece = sock.recv(65536)
        assert piece, f"ended after {text!r}"
        text += piece
    header, _, body = text.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in header.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += sock.recv(65536)
    return int(header.split()[1])


def all_were_read(url, count):
    wait_until(lambda: proc.connections(address_of(url)[1]).count(0) >= count,
               what=f"{count} connections are read")


def all_have_come(url, count):
    wait_until(lambda: sum(n > 0 for n in proc.connections(address_of(url)[1])) >= count,
               what="all have come")


def answered_before(socks, other):
    """How many of the sockets had their first answer before another one, when all have it."""
    for sock in [*socks, other]:
        assert select.select([sock], [], [], patience(60))[0], "no answer"
    moment = proc.received_at_ms(other)
    return sum(proc.received_at_ms(sock) < moment for sock in socks)


def test_handshakes_that_come_at_once_let_others_have_their_turn(simulator, gateway, certificate):
    """And each of them comes to its end."""
    certificate.key.chmod(0o600)
    tls = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
    house = gateway(simulator(mode="pro", latency=0), listen=[{**LOOPBACK, "tls": tls}],
                    clients=[ONE], workers=1)
    kept = secured(connect(house.url))
    kept.sendall(poll(house.url))
    assert read_status(kept) == 404
    socks = [connect(house.url) for _ in range(HANDSHAKES)]
    all_were_read(house.url, HANDSHAKES + 1)
    house.freeze()
    secure = []
    for sock in socks:
        sock.setblocking(False)
        secure.append(secured(sock, do_handshake_on_connect=False))
        with pytest.raises(ssl.SSLWantReadError):
            secure[-1].do_handshake()
    all_have_come(house.url, HANDSHAKES)
    kept.sendall(poll(house.url))
    all_have_come(house.url, HANDSHAKES + 1)
    house.thaw()
    assert answered_before(secure, kept) < HANDSHAKES / 2
    assert read_status(kept) == 404
    for sock in secure:
        sock.settimeout(patience(30))
        sock.do_handshake()
        sock.sendall(poll(house.url))
    for sock in secure:
        assert read_status(sock) == 404
        sock.close()
    kept.close()
