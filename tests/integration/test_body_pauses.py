"""Bodies that come on many connections at once: a turn of the server reads only so much of them, in
turns, and no connection is passed over. Chunks of one byte make the most work.

The daemon stands still until all bytes have come, so that they are there in one turn."""

import contextlib
import signal
import socket
import ssl
import urllib.parse

import pytest

from lib import expect, proc
from lib.build import patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK, STOP_TIMEOUT
from lib.http import chunked, read_from_socket, request_bytes
from lib.job import job
from lib.tls import make_certificate

CONNECTIONS = 40  # a turn reads one-byte chunks of three
ASYNC = {"Prefer": "respond-async"}
CHUNKS = {"Transfer-Encoding": "chunked"}
ONE, OTHER = Client("one"), Client("other")


@pytest.fixture(scope="module")
def certificate(authority, tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"), authority, "server",
                            "IP:127.0.0.1")


@pytest.fixture(params=["plain", "tls"])
def house(request, simulator, gateway, certificate):
    certificate.key.chmod(0o600)
    tls = {"certificate": str(certificate.certificate), "key": str(certificate.key)}
    listener = {**LOOPBACK, **({"tls": tls} if request.param == "tls" else {})}
    return gateway(simulator(mode="pro", latency=0), listen=[listener], clients=[ONE, OTHER],
                   admin=LOOPBACK, workers=1)


def connect(house):
    parts = urllib.parse.urlsplit(house.url)
    sock = socket.create_connection((parts.hostname, parts.port), patience(30))
    if parts.scheme == "http":
        return sock
    return ssl._create_unverified_context().wrap_socket(sock)


def head(house, client):
    return request_bytes("POST", "/solve", house.host,
                         {**client.headers, **ASYNC, **CHUNKS, "Content-Type": "application/json"})


def port_of(house):
    return urllib.parse.urlsplit(house.url).port


def all_was_read(house, count):
    wait_until(lambda: proc.connections(port_of(house)).count(0) >= count,
               what=f"{count} connections are read")


@contextlib.contextmanager
def frozen(house, count):
    """The daemon reads nothing meanwhile."""
    all_was_read(house, count)
    house.freeze()
    try:
        yield
    finally:
        house.thaw()


def all_have_come(house, count):
    wait_until(lambda: sum(n > 0 for n in proc.connections(port_of(house))) >= count,
               what="all have come")


def pauses(house):
    return house.metrics()["solvegate_body_pauses_total"]


def test_each_connection_gets_its_turn_and_its_job_is_whole(house):
    tasks = [job(images=1, size=3000, seed=seed) for seed in range(CONNECTIONS)]
    socks = [connect(house) for _ in tasks]
    for sock in socks:
        sock.sendall(head(house, ONE))
    with frozen(house, CONNECTIONS):
        for sock, task in zip(socks, tasks):
            sock.sendall(chunked(task.body, 1))
        all_have_come(house, CONNECTIONS)
    for sock, task in zip(socks, tasks):
        answer = read_from_socket(sock)
        assert answer.status == 200, answer
        expect.solved(house.caller(ONE).finish(answer.object()["id"]), task)
        sock.close()
    assert pauses(house) > 0


def test_a_client_that_has_closed_its_side_is_read_to_its_end(house):
    if house.url.startswith("https"):
        pytest.skip("closing one side ends TLS")
    tasks = [job(images=1, size=3000, seed=seed) for seed in range(CONNECTIONS)]
    socks = [connect(house) for _ in tasks]
    for sock in socks:
        sock.sendall(head(house, ONE))
    with frozen(house, CONNECTIONS):
        for sock, task in zip(socks, tasks):
            sock.sendall(chunked(task.body, 1))
        all_have_come(house, CONNECTIONS)
        for sock in socks:
            sock.shutdown(socket.SHUT_WR)
    for sock in socks:
        answer = read_from_socket(sock)
        assert answer.status == 200, answer
        sock.close()
    assert pauses(house) > 0


def test_bodies_that_are_refused_are_paused_too(house):
    socks = [connect(house) for _ in range(CONNECTIONS)]
    for sock in socks:
        sock.sendall(request_bytes("POST", "/solve", house.host,
                                   {**CHUNKS, "Content-Type": "application/json"}))
    with frozen(house, CONNECTIONS):
        for sock in socks:
            sock.sendall(chunked(b"x" * 3000, 1))
        all_have_come(house, CONNECTIONS)
    for sock in socks:
        expect.error(read_from_socket(sock), 401, "unauthorized")
        sock.close()
    assert pauses(house) > 0


def test_a_refused_body_that_is_too_large_ends_its_connection_though_it_was_paused(house):
    """The first chunk of a read pauses the connection, and a later one of the same is too much."""
    house.reload(limits={"body_bytes": 1024})
    socks = [connect(house) for _ in range(CONNECTIONS)]
    for sock in socks:
        sock.sendall(request_bytes("POST", "/solve", house.host,
                                   {**CHUNKS, "Content-Type": "application/json"}))
    with frozen(house, CONNECTIONS):
        for sock in socks:
            sock.sendall(chunked(b"x" * 3000, 1)[:-5])
        all_have_come(house, CONNECTIONS)
    for sock in socks:
        answer = read_from_socket(sock)
        expect.error(answer, 401, "unauthorized")
        assert answer.header("Connection") == "close", answer
        assert sock.recv(1) == b""
        sock.close()
    assert pauses(house) > 0
    task = job(images=1, size=500)
    expect.solved(house.caller(OTHER).run(task), task)


def test_while_bodies_come_others_are_answered_and_slow_ones_are_not_forgotten(house):
    """The rest of each body comes only when all has been read."""
    tasks = [job(images=1, size=3000, seed=seed) for seed in range(CONNECTIONS)]
    bodies = [chunked(task.body, 1) for task in tasks]
    socks = [connect(house) for _ in tasks]
    for sock in socks:
        sock.sendall(head(house, ONE))
    with frozen(house, CONNECTIONS):
        for sock, body in zip(socks, bodies):
            sock.sendall(body[:-1])
        all_have_come(house, CONNECTIONS)
    small = job(seed="small")
    expect.solved(house.caller(OTHER).run(small), small)
    all_was_read(house, CONNECTIONS)
    for sock, body, task in zip(socks, bodies, tasks):
        sock.sendall(body[-1:])
        answer = read_from_socket(sock)
        expect.solved(house.caller(ONE).finish(answer.object()["id"]), task)
        sock.close()
    assert pauses(house) > 0


def test_clients_that_go_while_they_are_paused_leave_nothing(house):
    socks = [connect(house) for _ in range(CONNECTIONS)]
    for sock in socks:
        sock.sendall(head(house, ONE))
    with frozen(house, CONNECTIONS):
        for sock in socks:
            sock.sendall(chunked(b"x" * 5000, 1)[:-5])
        all_have_come(house, CONNECTIONS)
        for sock in socks:
            sock.shutdown(socket.SHUT_WR)
    for sock in socks:
        sock.close()
    wait_until(lambda: house.metrics()["solvegate_queue_bytes"] == 0, what="no body in memory")
    wait_until(lambda: house.metrics()["solvegate_connections"] == 0, what="no connection")
    assert pauses(house) > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_while_connections_are_paused(house, number):
    socks = [connect(house) for _ in range(CONNECTIONS)]
    for sock in socks:
        sock.sendall(head(house, ONE))
    with frozen(house, CONNECTIONS):
        for sock in socks:
            sock.sendall(chunked(b"x" * 5000, 1)[:-5])
        all_have_come(house, CONNECTIONS)
        house.signal(number)
    assert house.wait(STOP_TIMEOUT) == 0
    for sock in socks:
        sock.close()


def test_a_body_that_is_late_is_refused_though_its_connection_was_paused(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[ONE], admin=LOOPBACK, workers=1,
                    limits={"body_timeout": patience(2.0)})
    socks = [connect(house) for _ in range(CONNECTIONS)]
    for sock in socks:
        sock.sendall(head(house, ONE))
    with frozen(house, CONNECTIONS):
        for sock in socks:
            sock.sendall(chunked(b"x" * 5000, 1)[:-5])
        all_have_come(house, CONNECTIONS)
    for sock in socks:
        expect.error(read_from_socket(sock), 408, "request_timeout")
        sock.close()
