"""Sockets that a service manager passes: they are taken by address and port, shared out to the
workers, and outlive the process, so that a restart turns nobody away."""

import asyncio
import collections
import contextlib
import signal
import socket
import subprocess
import threading

import pytest

from lib import expect, http, libconfig
from lib.build import BUILD, patience, wait_until
from lib.gateway import LOOPBACK, STORED_CREDENTIAL, configuration, write_credential
from lib.http import Connection, request_bytes
from lib.job import job
from lib.manager import entry, listening, passing

NEVER = 60
FINISH = 2.0  # how long a stop waits for a request at most


@pytest.fixture
def sockets():
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(listening(**settings))


def url_of(sock):
    return "http://{address}:{port}".format(**entry(sock))


@pytest.mark.parametrize("workers", [1, 3])
def test_a_passed_socket_is_used(simulator, gateway, sockets, workers):
    sock = sockets()
    house = gateway(simulator(mode="pro", latency=0), listen=[entry(sock)], workers=workers,
                    **passing(sock))
    assert house.url == url_of(sock)
    for seed in range(20):
        task = job(images=1, seed=seed)
        expect.solved(house.run(task), task)


def test_only_the_entry_at_its_address_takes_it(simulator, gateway, sockets):
    """In any order; what has no socket is opened."""
    one, two = sockets(), sockets()
    house = gateway(simulator(mode="pro", latency=0), listen=[entry(one), LOOPBACK, entry(two)],
                    **passing(two, one))
    assert (house.urls[0], house.urls[2]) == (url_of(one), url_of(two))
    assert house.urls[1] not in (url_of(one), url_of(two))
    for url in house.urls:
        assert http.request(url, "GET", "/status?id=h-none").status == 404


@pytest.mark.parametrize("workers", [2, 3])
async def test_each_of_several_sockets_at_one_address_is_accepted_on(simulator, gateway, sockets,
                                                                     workers):
    """The kernel shares connections out to all of them (SO_REUSEPORT)."""
    first = sockets(shared=True)
    second = sockets(shared=True, port=first.getsockname()[1])
    house = gateway(simulator(mode="pro", latency=0), listen=[entry(first)], workers=workers,
                    **passing(first, second))
    for _ in range(40):
        async with await Connection.open(house.url) as connection:
            assert (await connection.request("GET", "/status?id=h-none")).status == 404


def refused(directory, listen, sockets, launcher=(), **settings):
    """Starts a daemon that does not start, and returns what it says."""
    write_credential(directory, "account", STORED_CREDENTIAL)
    upstream = {"name": "main", "url": "http://127.0.0.1:9", "credential": "account"}
    config = directory / "solvegate.conf"
    config.write_text(libconfig.dumps(configuration(listen, [upstream], **settings)))
    started = passing(*sockets) if sockets else {"launcher": launcher, "popen": {}}
    done = subprocess.run([*started["launcher"], BUILD / "solvegate", "-c", config],
                          capture_output=True, text=True, timeout=patience(10), check=False,
                          **started["popen"])
    assert done.returncode == 2
    assert done.stderr.startswith(f"{config}: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_a_socket_that_nobody_wants_is_an_error_that_names_both(tmp_path, sockets):
    wanted, other = sockets(), sockets()
    said = refused(tmp_path, [entry(wanted)], [wanted, other])
    for sock in (wanted, other):
        assert str(sock.getsockname()[1]) in said


def test_an_entry_with_port_0_takes_no_socket(tmp_path, sockets):
    assert "127.0.0.1 port 0" in refused(tmp_path, [LOOPBACK], [sockets()])


def test_more_sockets_than_workers_are_an_error_with_the_cure(tmp_path, sockets):
    first = sockets(shared=True)
    more = [sockets(shared=True, port=first.getsockname()[1]) for _ in range(2)]
    said = refused(tmp_path, [entry(first)], [first, *more], workers=2)
    assert "3 sockets" in said and "workers = 3" in said


def test_more_sockets_than_workers_may_be_do_not_suggest_as_many(tmp_path, sockets):
    first = sockets(shared=True)
    more = [sockets(shared=True, port=first.getsockname()[1]) for _ in range(64)]
    said = refused(tmp_path, [entry(first)], [first, *more], workers=64)
    assert "65 sockets" in said and "workers =" not in said and "fewer times" in said


def test_descriptors_that_are_none_are_refused(tmp_path):
    said = refused(tmp_path, [LOOPBACK], [], launcher=("/bin/sh", "-c",
                   'LISTEN_FDS=3 LISTEN_PID=$$ exec "$@"', "sh"))
    assert "Bad file descriptor" in said and "times" not in said


@pytest.mark.parametrize("family, kind", [
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_INET, socket.SOCK_STREAM),  # which does not listen
])
def test_what_is_no_listening_tcp_socket_is_refused(tmp_path, family, kind):
    with socket.socket(family, kind) as odd:
        odd.bind("" if family == socket.AF_UNIX else ("127.0.0.1", 0))
        if family == socket.AF_UNIX:
            odd.listen()
        listen = [entry(odd)] if family == socket.AF_INET else [LOOPBACK]
        assert "no listening TCP socket" in refused(tmp_path, listen, [odd])


class Load(threading.Thread):
    """Asks again and again, each time on a new connection, until it is told to stop."""

    def __init__(self, url):
        super().__init__()
        self.url = url
        self.answers = collections.Counter()
        self.broken = []
        self.enough = threading.Event()

    def run(self):
        while not self.enough.is_set():
            try:
                self.answers[http.request(self.url, "GET", "/status?id=h-none").status] += 1
            except OSError as error:
                self.broken.append(error)

    def answered(self):
        return sum(self.answers.values())


def test_restarts_under_load_lose_no_connection(simulator, gateway, sockets):
    sock = sockets()
    house = gateway(simulator(mode="pro", latency=0), listen=[entry(sock)], **passing(sock))
    loads = [Load(house.url) for _ in range(4)]
    for load in loads:
        load.start()
    try:
        for _ in range(5):
            before = [load.answered() for load in loads]
            wait_until(lambda: all(load.answered() > count + 10
                                   for load, count in zip(loads, before)))
            house.stop_well()
            house.start_again()
    finally:
        for load in loads:
            load.enough.set()
        for load in loads:
            load.join()
    assert [load.broken for load in loads] == [[]] * len(loads)
    assert set().union(*(load.answers for load in loads)) <= {404, 503}


async def test_who_comes_during_the_drain_is_answered_by_the_next_process(simulator, gateway,
                                                                          sockets):
    sock = sockets()
    sim = simulator(mode="pro", latency=1.0)
    house = gateway(sim, listen=[entry(sock)], limits={"drain_timeout": 20.0}, **passing(sock))
    task = job()
    held = await Connection.open(house.url)
    await held.send(request_bytes("POST", "/solve", house.host, {"Prefer": "wait=50"}, task.body))
    wait_until(lambda: sim.counters()["accepted"])
    house.signal(signal.SIGTERM)
    wait_until(lambda: "draining" in house.log())
    late = await Connection.open(house.url)
    await late.send(request_bytes("GET", "/status?id=h-none", house.host))
    answer = await held.answer("POST")
    expect.solved(answer, task)
    assert answer.header("Connection").lower() == "close"
    assert await held.at_end(timeout=5)
    await held.close()
    assert house.wait(10) == 0
    house.start_again()
    assert (await late.answer()).status == 404
    await late.close()


@pytest.mark.parametrize("begun", [0, 20])
@pytest.mark.parametrize("passed", [True, False])
async def test_who_was_accepted_before_the_stop_may_still_ask(simulator, gateway, sockets, passed,
                                                              begun):
    """Its request, of which so many bytes are there, comes when all else is over."""
    sock = sockets()
    where = {"listen": [entry(sock)], **passing(sock)} if passed else {"listen": [LOOPBACK]}
    house = gateway(simulator(mode="pro", latency=0), workers=1, **where)
    early = await Connection.open(house.url)
    whole = request_bytes("GET", "/status?id=h-none", house.host)
    await early.send(whole[:begun])
    async with await Connection.open(house.url) as other:  # accepted after the first
        assert (await other.request("GET", "/status?id=h-none")).status == 404
        house.signal(signal.SIGTERM)
        while not (await other.request("GET", "/status?id=h-none")).header("Connection"):
            pass  # until the worker has heard of the stop
    await early.send(whole[begun:])
    answer = await early.answer()
    assert answer.status == 404
    assert answer.header("Connection").lower() == "close"
    await early.close()
    assert house.wait(10) == 0


async def test_who_was_accepted_and_never_asks_delays_the_stop_a_moment_only(simulator, gateway,
                                                                              sockets):
    sock = sockets()
    house = gateway(simulator(mode="pro", latency=0), listen=[entry(sock)],
                    limits={"drain_timeout": 50.0}, **passing(sock))
    async with await Connection.open(house.url) as silent:
        async with await Connection.open(house.url) as other:
            assert (await other.request("GET", "/status?id=h-none")).status == 404
        house.signal(signal.SIGTERM)
        assert house.wait(FINISH + 8) == 0
        assert await silent.at_end(timeout=5)


def test_a_crash_leaves_the_socket_well(simulator, gateway, sockets):
    sock = sockets()
    house = gateway(simulator(mode="pro", latency=0), listen=[entry(sock)], **passing(sock))
    house.kill()
    with socket.create_connection(sock.getsockname()) as waiting:
        waiting.sendall(request_bytes("GET", "/status?id=h-none", house.host))
        house.start_again()
        waiting.settimeout(patience(10))
        assert waiting.recv(100).startswith(b"HTTP/1.1 404 ")
