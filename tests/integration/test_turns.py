"""How much one turn of a worker does of what comes on many connections at once.

The daemon stands still until all bytes have come, so that they are there in one turn. When an
answer came is asked of the kernel, so that it does not matter how fast the test is."""

import select
import signal
import socket
import ssl
import struct
import urllib.parse

import pytest

from lib import proc
from lib.build import patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK, STOP_TIMEOUT
from lib.http import read_from_socket, request_bytes
from lib.tls import make_certificate

HANDSHAKES = 60
SLOW_KEY = ("rsa:3072",)  # signing takes milliseconds
ONE = Client("one")


@pytest.fixture(scope="module")
def certificate(authority, tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"), authority, "server",
                            "IP:127.0.0.1")


@pytest.fixture(scope="module")
def slow_certificate(authority, tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("slow"), authority, "server", "IP:127.0.0.1",
                            algorithm=SLOW_KEY)


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
    return read_from_socket(sock).status


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


def test_handshakes_that_come_at_once_let_others_have_their_turn(simulator, gateway, slow_certificate):
    """And each of them comes to its end."""
    slow_certificate.key.chmod(0o600)
    tls = {"certificate": str(slow_certificate.certificate), "key": str(slow_certificate.key)}
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


REQUESTS = 200
ARGUMENTS = "&".join(f"a{number:02}=" + "%41" * 35 for number in range(60))
COSTLY = f"/api/status?id=none&{ARGUMENTS}"


@pytest.fixture(params=["plain", "tls"])
def house(request, simulator, gateway, certificate):
    """One worker with two listeners, whose second one is plain."""
    certificate.key.chmod(0o600)
    tls = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
    first = {**LOOPBACK, **({"tls": tls} if request.param == "tls" else {})}
    return gateway(simulator(mode="pro", latency=0), listen=[first, LOOPBACK], clients=[ONE],
                   admin=LOOPBACK,
                   workers=1)


def open_kept(url, count):
    """Connections with an answered request, so that handshakes are over, too."""
    socks = [connect(url) for _ in range(count)]
    if url.startswith("https"):
        socks = [secured(sock) for sock in socks]
    for sock in socks:
        sock.sendall(poll(url))
    for sock in socks:
        assert read_status(sock) == 404
    return socks


@pytest.mark.parametrize("ends", [False, True], ids=["open", "half-closed"])
def test_requests_that_come_at_once_let_others_have_their_turn(house, ends):
    """And each of them is answered, though its client has nothing more to say."""
    busy, quiet = house.urls[:2]
    if ends and busy.startswith("https"):
        pytest.skip("closing one side ends TLS")
    socks, [other] = open_kept(busy, REQUESTS), open_kept(quiet, 1)
    all_were_read(busy, REQUESTS)
    house.freeze()
    for sock in socks:
        sock.sendall(poll(busy, COSTLY))
    all_have_come(busy, REQUESTS)
    if ends:
        for sock in socks:
            sock.shutdown(socket.SHUT_WR)
    other.sendall(poll(quiet))
    all_have_come(quiet, 1)
    house.thaw()
    assert answered_before(socks, other) < REQUESTS / 2
    assert read_status(other) == 404
    for sock in socks:
        assert read_status(sock) == 404
        sock.close()
    other.close()


def test_later_turns_let_others_have_their_turn_too(house):
    """The other one needs a turn for each of its requests, or two. In each of them the busy one
    answers 34 requests."""
    busy, quiet = house.urls[:2]
    count, asked = 5 * REQUESTS, 4
    socks, [other] = open_kept(busy, count), open_kept(quiet, 1)
    all_were_read(busy, count)
    house.freeze()
    for sock in socks:
        sock.sendall(poll(busy, COSTLY))
    all_have_come(busy, count)
    other.sendall(poll(quiet, COSTLY) * asked)
    all_have_come(quiet, 1)
    house.thaw()
    text = b""
    while text.count(b"HTTP/1.1 404 ") < asked:
        piece = other.recv(65536)
        assert piece, f"ended after {text!r}"
        text += piece
    moment, earlier = proc.received_at_ms(other), 0
    for sock in socks:
        assert read_status(sock) == 404
        earlier += proc.received_at_ms(sock) < moment
        sock.close()
    assert earlier < 0.3 * count
    other.close()


def test_requests_that_come_behind_one_another_are_all_answered(house):
    """More than one read takes, on each of many connections."""
    url = house.url
    socks = open_kept(url, 40)
    all_were_read(url, len(socks))
    house.freeze()
    for sock in socks:
        sock.sendall(poll(url, COSTLY) + poll(url) * 20 + poll(url, COSTLY) +
                     poll(url, Connection="close"))
    all_have_come(url, len(socks))
    house.thaw()
    for sock in socks:
        text = b""
        while piece := sock.recv(65536):
            text += piece
        assert text.count(b"HTTP/1.1 404 ") == 23
        sock.close()


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_clients_that_go_while_their_requests_wait_leave_nothing(house, reset):
    url = house.url
    socks = open_kept(url, REQUESTS)
    all_were_read(url, len(socks))
    house.freeze()
    for sock in socks:
        sock.sendall(poll(url, COSTLY))
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    house.thaw()
    [other] = open_kept(url, 1)
    other.close()
    wait_until(lambda: house.metrics()["solvegate_connections"] == 0, what="no connection")


def test_it_stops_while_requests_wait(house):
    url = house.url
    socks = open_kept(url, REQUESTS)
    all_were_read(url, len(socks))
    house.freeze()
    for sock in socks:
        sock.sendall(poll(url, COSTLY))
    all_have_come(url, REQUESTS)
    house.signal(signal.SIGTERM)
    house.thaw()
    assert house.wait(STOP_TIMEOUT) == 0
    for sock in socks:
        sock.close()
