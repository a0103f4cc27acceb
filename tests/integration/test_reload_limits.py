"""SIGHUP with other limits: each holds from the reload on, and what was there before stays."""

import asyncio
import concurrent.futures
import contextlib
import json
import resource

import pytest

from lib import expect
from lib.build import wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import Connection, open_blocking, request_bytes
from lib.job import job
from lib.proc import connections
from lib.state import ledger

ASYNC = {"Prefer": "respond-async"}
DRAIN = {"drain_timeout": 0.3}


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        yield threads


@pytest.fixture
def stuck(gateway, vendor):
    """Whose upstream has one slot, which is taken."""
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1}, admin=LOOPBACK)
    house.submit(job(seed="the first"))
    vendor.wait_for("solve", 1)
    return house


def post(house, *seeds, **fields):
    """The HTTP status of each job."""
    return [house.solve(job(seed=seed, **fields), ASYNC).status for seed in seeds]


def all_was_read(house, count):
    """Waits until the gateway has that many connections, and has read all that came on them."""
    port = int(house.host.rsplit(":", 1)[1])
    wait_until(lambda: connections(port).count(0) >= count, what=f"{count} connections are read")


# ---- ceilings ----


def test_the_queue_is_as_long_as_the_last_file_says(stuck):
    told = stuck.reload(limits={**DRAIN, "queue_jobs": 2})
    assert "changed: limits.queue_jobs\n" in told, told
    assert post(stuck, 1, 2, 3) == [200, 200, 503]
    body = expect.error(stuck.solve(job(seed=3), ASYNC), 503, "queue_full")
    assert body["message"] == (
        "the queue is full (limits.queue_jobs = 2), and this client has its share of it; send the job "
        "again when some of its jobs have ended")
    stuck.reload(limits={**DRAIN, "queue_jobs": 3})
    assert post(stuck, 3, 4) == [200, 503]
    stuck.reload(limits={**DRAIN, "queue_jobs": 1})
    assert post(stuck, 5) == [503]
    assert stuck.metrics()["solvegate_queue_jobs"] == 3  # what waits goes on to wait


def test_bodies_take_as_much_memory_as_the_last_file_says(stuck):
    bytes_each = len(job(seed=1, images=1, size=20000).body)
    limits = {**DRAIN, "body_bytes": bytes_each + 100, "queue_bytes": 2 * bytes_each + 200}
    wait_until(lambda: stuck.metrics()["solvegate_queue_bytes"] == 0)  # the first was taken
    stuck.reload(limits=limits)
    assert post(stuck, 1, 2, 3, images=1, size=20000) == [200, 200, 503]
    stuck.reload(limits={**limits, "queue_bytes": 3 * bytes_each + 300})
    assert post(stuck, 3, 4, images=1, size=20000) == [200, 503]
    stuck.reload(limits={**limits, "body_bytes": bytes_each - 1, "queue_bytes": bytes_each})
    body = expect.error(stuck.solve(job(seed=5, images=1, size=20000), ASYNC), 413, "too_large")
    assert str(bytes_each - 1) in body["message"]
    assert post(stuck, 6, images=1, size=20) == [503]


async def test_a_body_that_comes_in_is_held_to_the_limit_under_which_it_began(gateway, vendor):
    house = gateway(upstream=vendor.entry)
    task = job(images=1, size=30000)
    raw = request_bytes("POST", "/solve", house.host, ASYNC, task.body)
    async with await Connection.open(house.url) as connection:
        await connection.send(raw[: len(raw) // 2])
        await asyncio.to_thread(all_was_read, house, 1)
        await asyncio.to_thread(house.reload, limits={**DRAIN, "body_bytes": 10000})
        await connection.send(raw[len(raw) // 2:])
        expect.pending(await connection.answer("POST"))
    assert house.solve(task, ASYNC).status == 413


def test_a_job_may_have_as_many_images_as_the_last_file_says(gateway, vendor):
    house = gateway(upstream=vendor.entry)
    assert post(house, 1, images=5) == [200]
    house.reload(limits={**DRAIN, "images": 4})
    expect.error(house.solve(job(seed=2, images=5), ASYNC), 400, "bad_job")
    house.reload(limits={**DRAIN, "images": 5})
    assert post(house, 2, images=5) == [200]


def test_connections_are_as_many_as_the_last_file_says(gateway, vendor):
    house = gateway(upstream=vendor.entry, limits={**DRAIN, "connections": 50})
    with contextlib.ExitStack() as stack:

        def keep(count):
            for _ in range(count):
                line = stack.enter_context(contextlib.closing(open_blocking(house.url)))
                line.request("GET", "/usage")
                assert line.getresponse().read()

        keep(5)
        told = house.reload(limits={**DRAIN, "connections": 5})
        assert "changed: limits.connections\n" in told, told
        body = expect.error(house.get("/usage"), 503, "too_many_connections")
        assert body["message"].startswith("at most 5 connections may be open (limits.connections); reuse")
        assert body["message"].endswith("ask the operator of solvegate to raise limits.connections")
        house.reload(limits={**DRAIN, "connections": 400})
        keep(345)  # more than libmicrohttpd was told of at the start, and than are told of too many
        assert house.get("/usage").status == 200


def test_more_connections_than_there_may_be_files_are_warned_of(simulator, gateway):
    def have_few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000))

    house = gateway(simulator(), limits={**DRAIN, "connections": 100},
                    popen={"preexec_fn": have_few})
    assert "LimitNOFILE" not in house.log()
    told = house.reload(limits={**DRAIN, "connections": 3000})
    assert "2000 open files are allowed" in told and "LimitNOFILE" in told, told


# ---- time ----


async def refused_in_time(connection):
    """Waits until the gateway has given up on what was to come."""
    expect.error(await connection.answer("POST", timeout=20), 408, "request_timeout")


async def test_header_and_body_may_take_as_long_as_the_last_file_says(gateway, vendor):
    """Also where connections under a longer limit came before."""
    house = gateway(upstream=vendor.entry, limits={**DRAIN, "header_timeout": 3600.0,
                                                   "body_timeout": 3600.0})
    head = request_bytes("POST", "/solve", house.host, {"Content-Length": "1000",
                                                        "Content-Type": "application/json"})
    async with contextlib.AsyncExitStack() as stack:

        async def begin(text):
            connection = await stack.enter_async_context(await Connection.open(house.url))
            await connection.send(text)
            return connection

        patient = [await begin(head[:20]), await begin(head), await begin(head[:10])]
        await asyncio.to_thread(all_was_read, house, 3)
        await asyncio.to_thread(house.reload, limits={**DRAIN, "header_timeout": 0.3,
                                                      "body_timeout": 0.3})
        await refused_in_time(await begin(head[:20]))
        await refused_in_time(await begin(head))
        for connection in patient:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(connection.reader.read(1), 0.05)
        await asyncio.to_thread(house.reload, limits={**DRAIN, "header_timeout": 100.0,
                                                      "body_timeout": 100.0})
        later = await begin(request_bytes("GET", "/usage", house.host))
        assert (await later.answer()).status == 200


def test_a_job_has_the_time_that_the_last_file_gives(gateway, vendor):
    """The second one waits for the slot of the first: where it was sent it might end as unknown."""
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1},
                    limits={**DRAIN, "job_deadline": 3600.0})
    patient = house.submit(job(seed=1))
    vendor.wait_for("solve", 1)
    house.reload(limits={**DRAIN, "job_deadline": 0.4})
    expect.failed(house.finish(house.submit(job(seed=2))), "deadline")
    assert house.status(patient).object()["status"] == "new"


def test_a_job_that_waits_is_sent_in_its_time_when_new_jobs_get_more(gateway, vendor):
    vendor.hesitate()
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1},
                    limits={**DRAIN, "job_deadline": 4.0})
    ids = [house.submit(job(seed=seed)) for seed in range(2)]
    vendor.wait_for("solve", 1)
    house.reload(limits={**DRAIN, "job_deadline": 3600.0})
    vendor.finish()
    vendor.answer()
    assert [house.finish(job_id).object()["status"] for job_id in ids] == ["solved", "solved"]


def test_a_stop_waits_as_long_as_the_last_file_says(gateway, vendor):
    house = gateway(upstream=vendor.entry, limits={"drain_timeout": 3600.0})
    house.submit(job())
    vendor.wait_for("status", 1)
    house.reload(limits={"drain_timeout": 0.1})
    house.stop_well()
    assert "limits.drain_timeout has passed with 1 in flight: these jobs end now" in house.log()


def test_an_answer_is_held_as_long_as_the_last_file_says(gateway, vendor, pool):
    house = gateway(upstream=vendor.entry, answers={"status_hold": 0.0})
    job_id = house.submit(job())
    assert house.status(job_id).object()["status"] == "new"
    house.reload(answers={"status_hold": 30.0})
    held = pool.submit(house.status, job_id)
    asked = len(vendor.keys("status"))
    vendor.wait_for("status", asked + 2)
    assert not held.done()
    vendor.finish()
    assert held.result().object()["status"] == "solved"


# ---- results, retries, polls ----


def test_results_are_remembered_as_long_as_the_last_file_says(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), results={"ttl": 3600})
    old = expect.solved(house.run(job(seed=1)), job(seed=1))["id"]
    house.reload(results={"ttl": 3})
    wait_until(lambda: house.status(old).status == 404, what="the old result is forgotten")
    new = expect.solved(house.run(job(seed=2)), job(seed=2))["id"]
    house.reload(results={"ttl": 3600})
    assert house.status(new).status == 200


def test_results_beyond_the_last_files_memory_go_the_oldest_first(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), results={"bytes": 64 << 20})
    ids = [house.run(job(seed=seed, images=1, size=20, target="x" * 4000)).object()["id"]
           for seed in range(300)]
    assert house.status(ids[0]).status == 200
    house.reload(results={"bytes": 1 << 20})
    wait_until(lambda: house.status(ids[0]).status == 404, what="the oldest is forgotten")
    assert house.status(ids[-1]).status == 200


def test_results_are_shared_between_clients_as_the_last_file_says(simulator, gateway):
    a, b = Client("a"), Client("b")
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, clients=[a, b])
    expect.solved(house.solve(job(), a.headers), job())
    house.reload(results={"share": False})
    expect.solved(house.solve(job(), b.headers), job())
    assert sim.counters()["charged"] == 2


def test_a_job_is_tried_as_often_as_the_last_file_says(simulator, gateway):
    sim = simulator(mode="pro", faults=["solve:status=503"])
    house = gateway(sim, retry={"attempts": 1, "base": 0.01, "cap": 0.01})
    expect.failed(house.run(job(seed=1)), "upstream_unavailable")
    assert sim.counters()["solve_requests"] == 1
    house.reload(retry={"attempts": 2, "base": 0.01, "cap": 0.01})
    expect.failed(house.run(job(seed=2)), "upstream_unavailable")
    assert sim.counters()["solve_requests"] == 3


IN_DOUBT = {"on_unknown": "retry", "attempts": 4, "base": 5.0, "cap": 5.0}


@pytest.mark.parametrize("change", [{"on_unknown": "fail"}, {"attempts": 1}])
@pytest.mark.parametrize("how", ["reload", "start"])
def test_what_may_have_been_charged_is_tried_again_as_the_last_file_says(gateway, vendor, how,
                                                                         change):
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1}, durability="full",
                    retry=IN_DOUBT)
    vendor.drop(1)
    vendor.hesitate()
    in_doubt = house.submit(job(seed=1))
    vendor.wait_for("solve", 1)
    house.submit(job(seed=2))
    vendor.wait_for("solve", 2)  # has the slot until the test says so
    if how == "reload":
        house.reload(retry={**IN_DOUBT, **change})
    else:
        house.configure(retry={**IN_DOUBT, **change})
        house.kill_and_start_again()
    vendor.finish()
    vendor.answer()
    said = expect.failed(house.finish(in_doubt), "outcome_unknown")["message"]
    assert "may have been charged" in said
    assert len(vendor.keys("solve")) == 2


WAITING = {**IN_DOUBT, "probe": 3600.0, "recheck": 3600.0}


def all_wait(house, count):
    wait_until(lambda: house.metrics()["solvegate_queue_jobs"] == count)


@pytest.mark.parametrize("change", [{"on_unknown": "fail"}, {"attempts": 1}])
def test_what_has_no_try_left_after_a_reload_ends_without_a_turn(gateway, vendor, tmp_path, change):
    """Its upstream gives none: it is failing."""
    house = gateway(upstream=vendor.entry, durability="full", state_directory=tmp_path / "state",
                    retry=WAITING, admin=LOOPBACK)
    vendor.hesitate()
    ids = [house.submit(job(seed=seed)) for seed in (1, 2, 3, 4, 5, 5)]
    vendor.wait_for("solve", 5)
    vendor.finish({"status": "nonsense"})
    vendor.answer()
    all_wait(house, 6)
    sent = len(vendor.keys("solve"))
    house.reload(retry={**WAITING, **change})
    all_wait(house, 0)
    for job_id in ids:
        said = expect.failed(house.finish(job_id), "outcome_unknown")["message"]
        assert "a reload has changed" in said and "may have been charged" in said
    assert len(vendor.keys("solve")) == sent
    house.stop_well()
    assert ledger(tmp_path / "state") == {
        "open": 0, "charged": 0, "not_charged": 0, "unknown": sent}


def test_what_was_turned_away_too_often_for_the_last_file_is_given_up(simulator, gateway):
    sim = simulator()
    house = gateway(sim, retry=WAITING, admin=LOOPBACK)
    sim.fault("solve:status=503")
    ids = [house.submit(job(seed=seed)) for seed in range(3)]
    wait_until(lambda: sim.counters()["solve_requests"] >= 3)
    all_wait(house, 3)
    sent = sim.counters()["solve_requests"]
    house.reload(retry={**WAITING, "attempts": 1})
    for job_id in ids:
        said = expect.failed(house.finish(job_id), "upstream_unavailable")["message"]
        assert "a reload has changed" in said
    assert sim.counters()["solve_requests"] == sent


def test_an_upstream_that_fails_is_probed_as_often_as_the_last_file_says(simulator, gateway):
    """The pause that runs is not cut, the next is."""
    sim = simulator(mode="pro", latency=0, faults=["solve:status=503*4"])
    house = gateway(sim, retry={"attempts": 1, "probe": 0.5})
    for seed in range(3):
        expect.failed(house.run(job(seed=seed)), "upstream_unavailable")
    house.reload(retry={"attempts": 1, "probe": 0.02})
    expect.solved(house.run(job(seed="probe")), job(seed="probe"))
    assert "every 500 ms (retry.probe)" in house.log()


def test_the_upstream_is_polled_as_often_as_the_last_file_says(gateway, vendor):
    never = {"first": 0.01, "interval": 3600.0, "cap": 3600.0, "balance": 3600.0}
    house = gateway(upstream=vendor.entry, poll=never)
    house.submit(job(seed=1))
    vendor.wait_for("status", 1)
    house.reload(poll={"first": 0.01, "interval": 0.01, "cap": 0.05, "balance": 0.1})
    house.submit(job(seed=2))
    vendor.wait_for("status", 5)
    vendor.wait_for("balance", 2)


# ---- the log ----


def test_the_log_has_the_level_and_the_form_of_the_last_file(gateway, vendor):
    house = gateway(upstream=vendor.entry, log={"level": "info"})
    house.submit(job(seed=1))
    vendor.wait_for("status", 1)
    told = house.reload(log={"level": "debug"})
    assert "changed: log.level\n" in told, told
    house.submit(job(seed=2))
    wait_until(lambda: house.log().count(" debug accepted job=") == 1, what="what is debugged is told")
    told = house.reload(log={"level": "debug", "format": "json"})
    lines = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    assert any(line["message"] == "reloaded" for line in lines), told
    house.reload(log={"level": "info"})
    seen = len(house.log())
    house.submit(job(seed=3))
    vendor.wait_for("solve", 3)
    vendor.finish()
    wait_until(lambda: " job job=" in house.log()[seen:], what="its end is told")
    assert " debug " not in house.log()[seen:]
