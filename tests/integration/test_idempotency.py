"""Idempotency-Key: the same key and the same body are the same job, for as long as it is known."""

import asyncio

import pytest

from lib import expect
from lib.build import wait_until
from lib.http import Connection
from lib.job import job

KEY = {"Idempotency-Key": "a key"}
HELD = {"Prefer": "wait=30"}
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def house(simulator, gateway, mode):
    return gateway(simulator(mode=mode, latency=0.2))


def id_of(answer):
    assert answer.status == 200, answer
    return answer.object()["id"]


def bought(house):
    return house.sim.counters()["solve_requests"]


def test_the_same_key_and_body_are_the_same_job(house):
    task = job()
    first = id_of(house.solve(task, {**KEY, **ASYNC}))
    assert id_of(house.solve(task, {**KEY, **ASYNC})) == first
    answer = house.solve(task, {**KEY, **HELD})
    assert expect.solved(answer, task)["id"] == first
    assert id_of(house.solve(task, KEY)) == first
    assert bought(house) == 1


async def test_the_same_key_at_the_same_time_is_one_job(house):
    task = job()
    connections = [await Connection.open(house.url) for _ in range(10)]
    answers = await asyncio.gather(
        *(connection.request("POST", "/solve", {**KEY, **HELD}, task.body)
          for connection in connections))
    assert len({expect.solved(answer, task)["id"] for answer in answers}) == 1
    assert bought(house) == 1
    for connection in connections:
        await connection.close()


def test_another_body_under_the_same_key_is_refused(house):
    task = job()
    first = id_of(house.solve(task, {**KEY, **ASYNC}))
    expect.error(house.solve(job(seed="other"), KEY), 422, "key_reused")
    expect.solved(house.finish(first), task)
    expect.error(house.solve(job(seed="other"), KEY), 422, "key_reused")
    assert bought(house) == 1


def test_another_key_is_another_job(house):
    task = job()
    first = id_of(house.solve(task, {**KEY, **HELD}))
    second = id_of(house.solve(task, {"Idempotency-Key": "a Key", **HELD}))
    assert first != second


def test_a_job_that_failed_is_told_again_and_not_sent_again(house):
    house.sim.fault("solve:reset*1")
    task = job()
    first = expect.failed(house.solve(task, {**KEY, **HELD}), "outcome_unknown")
    again = expect.failed(house.solve(task, {**KEY, **HELD}), "outcome_unknown")
    assert again == first
    assert bought(house) == 1


def test_a_job_without_key_is_not_found_by_one(house):
    task = job()
    first = id_of(house.solve(task, HELD))
    assert id_of(house.solve(task, {**KEY, **HELD})) != first


def test_a_job_that_was_refused_does_not_use_up_its_key(house):
    task = job()
    expect.error(house.solve(task.with_fields(target=None), KEY), 400, "bad_job")
    expect.solved(house.solve(task, {**KEY, **HELD}), task)


def test_a_key_ends_with_its_job(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), results={"ttl": 1})
    first = id_of(house.solve(job(), KEY))
    other = job(seed="other")
    expect.error(house.solve(other, KEY), 422, "key_reused")

    def taken():
        answer = house.solve(other, KEY)
        return answer if answer.status != 422 else None

    assert expect.solved(wait_until(taken), other)["id"] != first
    assert house.status(first).status == 404


def test_a_key_that_is_too_long_is_refused(house):
    expect.error(house.solve(job(), {"Idempotency-Key": "x" * 256}), 400, "bad_request")
    assert bought(house) == 0
    task = job()
    expect.solved(house.solve(task, {"Idempotency-Key": "x" * 255, **HELD}), task)


def test_a_key_in_quotes_works_as_well(house):
    task = job()
    headers = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"', **HELD}
    first = expect.solved(house.solve(task, headers), task)["id"]
    assert id_of(house.solve(task, headers)) == first


@pytest.mark.parametrize("state", ["queued", "accepted", "final", "unknown"])
def test_a_key_survives_a_kill(simulator, gateway, tmp_path, state):
    latency = 0.0 if state == "final" else 60.0
    house = gateway(simulator(mode="free", latency=latency), durability="full",
                    state_directory=tmp_path / "state", upstream={"max_in_flight": 1})
    task = job()
    if state == "queued":
        house.submit(job(seed="before"))
        wait_until(lambda: house.sim.counters()["accepted"] == 1)
    elif state == "unknown":
        house.sim.fault("solve:reset*1")
    first = id_of(house.solve(task, {**KEY, **ASYNC}))
    if state == "accepted":
        wait_until(lambda: house.sim.counters()["status_requests"] > 0)
    elif state in ("final", "unknown"):
        house.finish(first)
    requests = bought(house)
    house.kill_and_start_again()
    assert id_of(house.solve(task, {**KEY, **ASYNC})) == first
    expect.error(house.solve(job(seed="other"), KEY), 422, "key_reused")
    assert bought(house) == requests
