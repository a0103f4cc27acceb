"""SIGTERM and SIGINT drain: what is in flight ends, held tools are answered, and the exit status
is 0. And what a stopped or crashed process leaves behind holds no credential."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib import canary, expect, proc
from lib.build import patience, wait_until
from lib.gateway import FINAL
from lib.http import Connection, request_bytes
from lib.job import job

NEVER = 60
SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


async def post_held(house, task, wait=50):
    """A connection on which a job was posted and whose answer is held."""
    connection = await Connection.open(house.url)
    await connection.send(
        request_bytes("POST", "/solve", house.host, {"Prefer": f"wait={wait}"}, task.body))
    return connection


def taken(house, count):
    wait_until(lambda: house.sim.counters()["accepted"] >= count)


def all_was_read(house, count):
    """Waits until the gateway has that many connections, and has read all that came on them."""
    port = int(house.host.rsplit(":", 1)[1])
    wait_until(lambda: proc.connections(port).count(0) >= count,
               what=f"{count} connections are read")


def takes_no_jobs(house):
    """Tells it by a body that is no job, which leaves nothing behind while jobs are taken."""
    try:
        answer = house.request("POST", "/solve", b"{}", {"Content-Type": "application/json"})
    except OSError:
        return True
    return answer.status == 503


@SIGNALS
async def test_what_is_in_flight_is_finished_and_answered(simulator, gateway, mode, number):
    house = gateway(simulator(mode=mode, latency=1.0), limits={"drain_timeout": 20.0})
    tasks = [job(seed=seed) for seed in range(5)]
    connections = [await post_held(house, task) for task in tasks]
    taken(house, len(tasks))
    house.signal(number)
    for connection, task in zip(connections, tasks):
        expect.solved(await connection.answer("POST"), task)
        await connection.close()
    assert house.wait(10) == 0


@SIGNALS
def test_an_idle_gateway_stops_at_once(simulator, gateway, number):
    house = gateway(simulator(), limits={"drain_timeout": 30.0})
    house.signal(number)
    assert house.wait(5) == 0


def test_idle_kept_connections_do_not_delay_the_stop(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), limits={"drain_timeout": 30.0})

    async def scenario():
        connections = [await Connection.open(house.url) for _ in range(5)]
        for connection in connections:
            answer = await connection.request("GET", "/status?id=h-none")
            assert answer.status == 404
        house.signal(signal.SIGTERM)
        for connection in connections:
            assert await connection.at_end(timeout=8)
            await connection.close()

    asyncio.run(scenario())
    assert house.wait(5) == 0


async def test_a_post_during_the_drain_is_refused(gateway, gate):
    house = gateway(upstream=gate.entry, limits={"drain_timeout": 60.0})
    late = await Connection.open(house.url)
    # Its header is on the way when the drain begins, so it is not idle and is not closed.
    whole = request_bytes("POST", "/solve", house.host, (), job(seed="late").body)
    await late.send(whole[:20])
    held = await post_held(house, job())
    gate.wait_for(1)
    all_was_read(house, 2)
    house.signal(signal.SIGTERM)
    wait_until(lambda: takes_no_jobs(house))
    await late.send(whole[20:])
    refusal = await late.answer("POST")
    expect.error(refusal, 503, "draining")
    assert refusal.header("Retry-After") == "1"
    gate.let(1)
    assert (await held.answer("POST")).object()["status"] == "solved"
    assert house.wait(10) == 0
    assert len(gate.arrived()) == 1
    await late.close()
    await held.close()


@SIGNALS
async def test_past_drain_timeout_held_tools_still_get_json(simulator, gateway, mode, number):
    house = gateway(simulator(mode=mode, latency=NEVER), limits={"drain_timeout": 0.7})
    connections = [await post_held(house, job(seed=seed)) for seed in range(5)]
    taken(house, 5)
    waiting = await Connection.open(house.url)
    job_id = house.submit(job(seed="status"))
    await waiting.send(request_bytes("GET", f"/status?id={job_id}&wait=50", house.host))
    all_was_read(house, 6)
    house.signal(number)
    started = time.monotonic()
    for connection in [*connections, waiting]:
        answer = await connection.answer("POST", timeout=10)
        body = answer.object()
        assert body["status"] in ("new", "error"), answer
        assert isinstance(body["message"], str) and body["message"]
        await connection.close()
    assert house.wait(10) == 0
    assert time.monotonic() - started < patience(6.0)


async def test_queued_jobs_that_were_never_sent_are_answered_at_the_stop(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=NEVER), limits={"drain_timeout": 0.7},
                    upstream={"max_in_flight": 1})
    connections = [await post_held(house, job(seed=seed)) for seed in range(10)]
    taken(house, 1)
    all_was_read(house, 10)
    house.signal(signal.SIGTERM)
    for connection in connections:
        body = (await connection.answer("POST", timeout=10)).object()
        assert body["status"] in ("new", "error")
        await connection.close()
    assert house.wait(10) == 0
    assert house.sim.counters()["solve_requests"] == 1


@SIGNALS
async def test_a_second_signal_ends_it_at_once(simulator, gateway, number):
    house = gateway(simulator(mode="pro", latency=NEVER), limits={"drain_timeout": 50.0})
    held = await post_held(house, job())
    taken(house, 1)
    house.signal(signal.SIGTERM)
    wait_until(lambda: takes_no_jobs(house))
    assert house.running()
    house.exit_statuses = (0, 1)
    started = time.monotonic()
    house.signal(number)
    assert house.wait(5) in house.exit_statuses
    assert time.monotonic() - started < patience(2.0)
    await held.close()


@pytest.mark.parametrize("finals", [0, 50])
def test_a_stop_after_work_leaks_nothing(simulator, gateway, mode, finals):
    """What LeakSanitizer finds at the exit fails the teardown; jobs in every state are left."""
    house = gateway(simulator(mode=mode, latency=0.05), upstream={"max_in_flight": 5})
    for seed in range(finals):
        house.submit(job(images=1, seed=seed))
    house.sim.fault("solve:slow=60", "status:slow=60")
    last = house.submit(job(seed="last"))
    assert house.status(last).object()["status"] in ("new", *FINAL)
    house.signal(signal.SIGTERM)
    assert house.wait(10) == 0


def allow_core():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def core_dumps_work(directory):
    """Tells whether an ordinary process that aborts here dumps core."""
    try:
        child = subprocess.Popen([sys.executable, "-c", "import os; os.abort()"], cwd=directory,
                                 stderr=subprocess.DEVNULL, preexec_fn=allow_core)
    except subprocess.SubprocessError:
        return False  # the hard limit forbids it
    _, status = os.waitpid(child.pid, 0)
    child.returncode = -signal.SIGABRT
    return os.WCOREDUMP(status)


def test_a_crash_leaves_no_core(simulator, gateway, tmp_path):
    (tmp_path / "control").mkdir()
    if not core_dumps_work(tmp_path / "control"):
        pytest.skip("this machine dumps no core for anyone")
    house = gateway(simulator(mode="pro", latency=0), popen={"preexec_fn": allow_core})
    expect.solved(house.run(job()), job())
    house.signal(signal.SIGABRT)
    _, status = os.waitpid(house.pid, 0)
    house.popen.returncode = -signal.SIGABRT
    house.exit_statuses = (-signal.SIGABRT,)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)


def test_the_process_list_shows_no_credential(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0))
    expect.solved(house.run(job()), job())
    for name in ("cmdline", "environ", "comm"):
        try:
            text = Path(f"/proc/{house.pid}/{name}").read_bytes()
        except PermissionError:
            continue
        canary.assert_absent(text, f"/proc/PID/{name}")
    for thread in Path(f"/proc/{house.pid}/task").iterdir():
        canary.assert_absent((thread / "comm").read_bytes(), "the name of a thread")


def test_a_parent_that_blocks_the_signals_can_still_stop_it(simulator, gateway):
    def block():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])

    house = gateway(simulator(), popen={"preexec_fn": block})
    house.signal(signal.SIGTERM)
    assert house.wait(5) == 0
