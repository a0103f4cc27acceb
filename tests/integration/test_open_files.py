"""The limit of open files is shared out: connections of tools never take what upstreams, the store,
the audit and operators need."""

import asyncio
import collections
import contextlib
import resource
import socket

import pytest

from lib import expect
from lib.build import SANITIZE, patience, wait_until
from lib.gateway import LOOPBACK
from lib.http import Connection, parse_json, request_bytes
from lib.job import job

CLIENTS = 1000 if SANITIZE is None else 700
FILES = 1024 if SANITIZE is None else 640


def at_most(files):
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))}


@pytest.fixture
def start(simulator, gateway):
    def start(files, latency=0.05, in_flight=50, **settings):
        sim = simulator(mode="pro", latency=latency, concurrency=in_flight)
        return gateway(sim, upstream={"max_in_flight": in_flight}, admin=LOOPBACK,
                       popen=at_most(files), **settings)

    return start


async def solve_at_once(house, tasks, timeout):
    """Each task on a connection of its own. Returns the answers."""
    async def one(task):
        async with await Connection.open(house.url) as connection:
            await connection.send(
                request_bytes("POST", "/solve", house.host, {"Prefer": "wait=60"}, task.body))
            return await connection.answer("POST", timeout=timeout)

    return await asyncio.gather(*map(one, tasks))


def judge(answers, tasks):
    """Each is solved or refused for want of room. Returns how many of each."""
    kinds = collections.Counter()
    for answer, task in zip(answers, tasks, strict=True):
        if answer.status == 503:
            expect.error(answer, 503, "too_many_connections")
        else:
            expect.solved(answer, task)
        kinds[answer.status] += 1
    return kinds


def assert_nothing_suffered(house):
    """Neither the upstream nor the store was at fault."""
    [upstream] = parse_json(house.operate("GET", "/control/upstreams").body)["upstreams"]
    assert upstream["state"] == "up"
    metrics = house.metrics()
    assert metrics['solvegate_upstream_up{upstream="main"}'] == 1
    assert metrics["solvegate_store_well"] == metrics["solvegate_audit_well"] == 1
    assert "store_unavailable" not in house.log()


@pytest.mark.parametrize("in_flight", [50, 2000])
async def test_clients_without_a_file_are_told_so_and_the_others_are_served(start, in_flight):
    house = start(FILES, in_flight=in_flight)
    assert f"{FILES} open files are allowed, so tools have" in house.log()
    assert "LimitNOFILE" in house.log()
    tasks = [job(images=1, seed=number) for number in range(CLIENTS)]
    kinds = judge(await solve_at_once(house, tasks, 60), tasks)
    assert kinds[200] >= FILES // 4 and kinds[503] > 0, kinds
    assert_nothing_suffered(house)
    assert house.sim.counters()["charged"] == kinds[200]


async def test_the_least_limit_serves_some(start):
    house = start(66, in_flight=2)
    tasks = [job(images=1, seed=number) for number in range(60)]
    kinds = judge(await solve_at_once(house, tasks, 60), tasks)
    assert kinds[200] >= 4 and kinds[503] > 0, kinds
    assert_nothing_suffered(house)
    task = job(images=1, seed="after")
    expect.solved(house.solve(task), task)


@pytest.mark.parametrize("files", [10, 20, 34, 36, 40, 50])
def test_a_limit_with_which_nothing_works_is_named(start, files):
    with pytest.raises(AssertionError, match="ended with [12]:") as refusal:
        start(files)
    text = str(refusal.value)
    assert "cannot start" in text and "open files are allowed (EMFILE)" in text, text
    assert "LimitNOFILE" in text and "ready" not in text


async def test_an_upstream_is_not_blamed_for_missing_files(start):
    """More jobs in flight than there are files for connections: the rest wait for one."""
    house = start(96, in_flight=500, latency=1, log={"level": "debug"})
    jobs = [job(images=1, seed=number) for number in range(150)]
    async with await Connection.open(house.url) as connection:
        ids = []
        for task in jobs:
            answer = await connection.request(
                "POST", "/api/solve", {"Prefer": "respond-async"}, task.body)
            expect.pending(answer)
            ids.append(answer.object()["id"])
        for task, job_id in zip(jobs, ids, strict=True):
            answer = await connection.request("GET", f"/api/status?id={job_id}&wait=60")
            expect.solved(answer, task)
    log = house.log()
    assert "Too many open files (EMFILE)" in log and "LimitNOFILE" in log
    assert_nothing_suffered(house)
    assert house.sim.counters()["solve_requests"] == len(jobs)
    # A repetition costs two records of the store: about one comes with each job that ends.
    assert 0 < log.count("not sent") <= 2 * len(jobs)


def test_a_connection_waits_while_none_can_be_accepted(start):
    """The limit of the running daemon is lowered below what it has open."""
    house = start(1024)
    assert house.get("/status?id=h-none").status == 404
    resource.prlimit(house.pid, resource.RLIMIT_NOFILE, (8, 1024))
    with socket.create_connection(address_of(house.url), timeout=patience(20)) as waiting:
        waiting.sendall(request_bytes("GET", "/status?id=h-none", house.host))
        wait_until(lambda: "accept failed: Too many open files (EMFILE)" in house.log(), 20.0)
        assert "LimitNOFILE" in house.log()
        assert house.log().count("accept failed") == 1  # and not for each attempt
        resource.prlimit(house.pid, resource.RLIMIT_NOFILE, (1024, 1024))
        assert waiting.recv(65536).startswith(b"HTTP/1.1 404 ")
    task = job(images=1)
    expect.solved(house.solve(task), task)


# ---- connections that say nothing ----


def silent(stack, url_or_path, count):
    """count connections that send nothing."""
    for _ in range(count):
        if isinstance(url_or_path, tuple):
            peer = socket.create_connection(url_or_path, timeout=patience(20))
        else:
            peer = socket.socket(socket.AF_UNIX)
            peer.settimeout(patience(20))
            peer.connect(str(url_or_path))
        stack.enter_context(contextlib.closing(peer))


def address_of(url):
    host, _, port = url.rpartition("/")[2].rpartition(":")
    return host, int(port)


@pytest.mark.parametrize("count", [32, 64, 300, 600])
def test_silent_connections_do_not_keep_operators_out(simulator, gateway, count):
    house = gateway(simulator(), admin=LOOPBACK, limits={"header_timeout": 60.0})
    with contextlib.ExitStack() as stack:
        silent(stack, address_of(house.admin_url), count)
        silent(stack, house.socket, count)
        for _ in range(5):
            assert house.metrics()
            assert house.operate("GET", "/healthz").status == 200


def test_silent_connections_beyond_the_files_do_not_keep_tools_out(start):
    house = start(128, limits={"header_timeout": 60.0})
    with contextlib.ExitStack() as stack:
        silent(stack, address_of(house.url), 300)
        wait_until(lambda: house.get("/status?id=h-none").status == 404, 20.0)
        task = job(images=1)
        wait_until(lambda: house.solve(task).status == 200, 20.0)
