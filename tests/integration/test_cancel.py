"""DELETE on a status address: a job that was not sent is taken back, any other is not."""

import concurrent.futures

import pytest

from lib import expect
from lib.build import wait_until
from lib.job import job

PATHS = ["/api/status", "/status", "/api/status/", "/status/"]

HELD = {"Prefer": "wait=30"}


def cancel(house, job_id, path="/api/status"):
    return house.request("DELETE", f"{path}?id={job_id}")


@pytest.fixture
def busy(simulator, gateway, mode):
    """A gateway whose only slot is taken by another job until the simulator is thawed."""
    house = gateway(simulator(mode=mode, latency=0.1), upstream={"max_in_flight": 1})
    house.first = job(seed="first")
    house.sim.freeze()
    house.first_id = house.submit(house.first)
    house.sim.wait_for_bytes()
    return house


@pytest.mark.parametrize("path", PATHS)
def test_a_job_that_waits_is_cancelled_and_never_sent(busy, path):
    job_id = busy.submit(job())
    answer = cancel(busy, job_id, path)
    assert expect.failed(answer, "cancelled")["id"] == job_id
    expect.failed(busy.status(job_id), "cancelled")
    busy.sim.thaw()
    after = job(seed="after")
    expect.solved(busy.run(after), after)
    expect.solved(busy.finish(busy.first_id), busy.first)
    assert busy.sim.counters()["solve_requests"] == 2
    assert cancel(busy, job_id, path).object() == answer.object()


def test_a_cancelled_jobs_tool_that_waits_is_told(busy):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job_id = busy.submit(job())
        waiting = pool.submit(busy.status, job_id, "&wait=30")
        cancelled = cancel(busy, job_id)
        assert waiting.result().object() == cancelled.object()


def test_a_job_that_was_sent_is_not_cancelled(busy):
    expect.error(cancel(busy, busy.first_id), 409, "already_sent")
    busy.sim.thaw()
    expect.solved(busy.finish(busy.first_id), busy.first)
    expect.error(cancel(busy, busy.first_id), 409, "already_sent")
    expect.solved(busy.status(busy.first_id), busy.first)


def test_a_job_that_failed_upstream_is_not_cancelled(simulator, gateway):
    house = gateway(simulator())
    house.sim.fault("solve:error=no")
    body = expect.failed(house.solve(job(), HELD), "upstream_rejected")
    expect.error(cancel(house, body["id"]), 409, "already_sent")
    assert house.status(body["id"]).object() == body


def test_a_follower_of_a_job_that_was_sent_is_not_cancelled(busy):
    follower = busy.submit(busy.first)
    expect.error(cancel(busy, follower), 409, "already_sent")
    busy.sim.thaw()
    expect.solved(busy.finish(follower), busy.first)


@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_id_is_404(busy, path):
    expect.error(cancel(busy, "h-AAAAAAAAAAAAAAAAAAAAAAAA", path), 404, "unknown_id")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_the_methods_of_a_status_name_delete(busy, path, method):
    answer = busy.request(method, f"{path}?id=h-x", b"" if method == "POST" else None)
    expect.error(answer, 405, "method_not_allowed")
    assert {name.strip() for name in answer.header("Allow").split(",")} >= {"GET", "HEAD", "DELETE"}


@pytest.mark.parametrize("path", ["/api/solve", "/solve", "/balance", "/api/account/balance"])
def test_nothing_else_can_be_deleted(busy, path):
    answer = busy.request("DELETE", path)
    expect.error(answer, 405, "method_not_allowed")
    assert "DELETE" not in answer.header("Allow")


def test_a_cancelled_job_stays_so_over_a_kill(simulator, gateway, tmp_path):
    house = gateway(simulator(mode="free", latency=1.0), upstream={"max_in_flight": 1},
                    durability="full", state_directory=tmp_path / "state")
    first = job(seed="first")
    first_id = house.submit(first)
    wait_until(lambda: house.sim.counters()["accepted"] == 1)
    job_id = house.submit(job())
    expect.failed(cancel(house, job_id), "cancelled")
    house.kill_and_start_again()
    expect.failed(house.status(job_id), "cancelled")
    expect.solved(house.finish(first_id), first)
    assert house.sim.counters()["solve_requests"] == 1
