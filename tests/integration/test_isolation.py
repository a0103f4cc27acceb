"""A client sees its own jobs only: another's id is an unknown id, byte for byte."""

import asyncio
import re

import pytest

from lib import expect
from lib.build import wait_until
from lib.clients import Client
from lib.gate import task
from lib.http import Connection
from lib.job import job

OWNER, STRANGER = Client("owner"), Client("stranger")
HELD = {"Prefer": "wait=30"}
ASYNC = {"Prefer": "respond-async"}
KEY = {"Idempotency-Key": "the same key"}
UNKNOWN = "h-AAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def house(gateway, gate):
    """With one slot."""
    return gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[OWNER, STRANGER])


@pytest.fixture
def jobs(house, gate):
    """The owner's jobs: one that is solved, one that was sent, one that waits."""
    ids = {}
    for number, state in enumerate(("solved", "sent", "waiting")):
        ids[state] = house.caller(OWNER).submit(task("owner", number))
    gate.let(1)
    house.finish(ids["solved"])
    gate.wait_for(2)
    return ids


def as_seen(answer):
    """All that a client can see, in order, but what is new in each answer."""
    headers = [(name, None if name.lower() in ("date", "x-request-id") else value)
               for name, value in answer.headers]
    return answer.status, headers, answer.body


def expect_solved(answer):
    assert answer.status == 200, answer
    assert answer.object()["status"] == "solved", answer


# ---- ids ----


@pytest.mark.parametrize("state", ["solved", "sent", "waiting"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("path", ["/api/status", "/status"])
@pytest.mark.parametrize("token", ["headers", "bearer"])
def test_anothers_id_is_an_unknown_id(house, jobs, state, method, path, token):
    headers = getattr(STRANGER, token)
    foreign = house.request(method, f"{path}?id={jobs[state]}", None, headers)
    unknown = house.request(method, f"{path}?id={UNKNOWN}", None, headers)
    assert foreign.status == 404
    assert as_seen(foreign) == as_seen(unknown)
    if method != "HEAD":
        expect.error(foreign, 404, "unknown_id")


@pytest.mark.parametrize("how", [("&wait=30", {}), ("", HELD)])
def test_who_waits_for_anothers_job_is_told_at_once(house, jobs, how):
    query, headers = how
    answer = house.caller(STRANGER).status(jobs["waiting"], query, headers)
    expect.error(answer, 404, "unknown_id")  # and the job has not come to its end meanwhile
    assert house.status(jobs["waiting"]).object()["status"] == "new"


def test_anothers_cancel_changes_nothing(house, jobs, gate):
    expect.error(house.caller(STRANGER).request("DELETE", f"/status?id={jobs['waiting']}"), 404,
                 "unknown_id")
    gate.let(2)
    expect_solved(house.finish(jobs["waiting"]))


def test_a_cancel_needs_a_token(house, jobs):
    expect.error(house.request("DELETE", f"/status?id={jobs['waiting']}"), 401, "unauthorized")
    assert house.status(jobs["waiting"]).object()["status"] == "new"


def test_the_owner_and_whoever_has_the_id_and_no_token_are_told(house, jobs):
    for state, shown in (("solved", "solved"), ("sent", "new"), ("waiting", "new")):
        for caller in (house, house.caller(OWNER)):
            answer = caller.status(jobs[state])
            assert (answer.status, answer.object()["status"]) == (200, shown)


def test_the_owner_cancels(house, jobs):
    answer = house.caller(OWNER).request("DELETE", f"/status?id={jobs['waiting']}")
    expect.failed(answer, "cancelled")
    expect.error(house.caller(OWNER).request("DELETE", f"/status?id={jobs['sent']}"), 409,
                 "already_sent")


def test_a_job_from_before_there_were_clients_is_nobodys(gateway, gate):
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, durability="full")
    sent = house.submit(task("local", 0))
    gate.wait_for(1)
    waiting = house.submit(task("local", 1))
    house.reload(clients=[OWNER])
    for job_id in (sent, waiting):
        expect.error(house.caller(OWNER).status(job_id), 404, "unknown_id")
        cancel = house.caller(OWNER).request("DELETE", f"/status?id={job_id}")
        expect.error(cancel, 404, "unknown_id")
    expect.failed(house.finish(waiting), "cancelled")
    gate.let(1)
    expect_solved(house.finish(sent))


def test_jobs_have_their_owner_after_a_crash(gateway, gate):
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[OWNER, STRANGER],
                    durability="full")
    ids = [house.caller(OWNER).submit(task("owner", number)) for number in range(2)]
    gate.let(1)
    house.finish(ids[0])
    house.kill_and_start_again()
    for job_id in ids:
        foreign = house.caller(STRANGER).status(job_id)
        assert as_seen(foreign) == as_seen(house.caller(STRANGER).status(UNKNOWN))
        assert house.caller(OWNER).status(job_id).status == 200


# ---- Idempotency-Keys ----


def test_the_keys_of_two_clients_never_meet(house):
    answers = [house.caller(client).solve(task(client.name, 0), {**KEY, **ASYNC})
               for client in (OWNER, STRANGER)]
    ids = {expect.pending(answer)["id"] for answer in answers}
    assert len(ids) == 2
    for client, answer in zip((OWNER, STRANGER), answers):
        again = house.caller(client).solve(task(client.name, 0), {**KEY, **ASYNC})
        assert expect.pending(again)["id"] == answer.object()["id"]
        reused = house.caller(client).solve(task("another", 0), {**KEY, **ASYNC})
        expect.error(reused, 422, "key_reused")


def test_the_same_key_and_job_of_two_clients_are_two_jobs(house):
    ids = {expect.pending(house.caller(client).solve(task("same", 0), {**KEY, **ASYNC}))["id"]
           for client in (OWNER, STRANGER)}
    assert len(ids) == 2


# ---- results that are not shared ----


@pytest.fixture
def apart(gateway, gate):
    return gateway(upstream={**gate.entry, "max_in_flight": 4}, clients=[OWNER, STRANGER],
                   results={"share": False})


def test_identical_jobs_of_two_clients_are_bought_apart(apart, gate):
    same = task("same", 0)
    answers = [apart.caller(client).solve(same, ASYNC) for client in (OWNER, STRANGER)]
    assert gate.wait_for(2) == ["same 0"] * 2
    assert [answer.header("Cache-Status") for answer in answers] == [None, None]
    gate.let(2)
    for answer in answers:
        apart.finish(answer.object()["id"])
    for client in (OWNER, STRANGER):
        usage = apart.caller(client).usage()
        assert usage["daily"]["used"] == 1
        assert usage["saved"] == {"cache": 0, "collapsed": 0}


def test_nothing_shows_whether_another_client_has_had_the_same_job(apart, gate):
    same, other = task("same", 0), task("other", 0)
    gate.let(10)
    expect_solved(apart.caller(OWNER).solve(same, HELD))
    seen = [apart.caller(STRANGER).solve(item, HELD) for item in (same, other)]
    shapes = [(answer.status, [name for name, _ in answer.headers],
               re.sub(rb"h-[A-Za-z0-9_-]+", b"ID", answer.body)) for answer in seen]
    assert shapes[0] == shapes[1]
    assert gate.arrived() == ["same 0", "same 0", "other 0"]


def test_a_client_still_shares_with_itself(apart, gate):
    same = task("same", 0)
    ids = [apart.caller(OWNER).submit(same) for _ in range(3)]
    gate.let(1)
    for job_id in ids:
        expect_solved(apart.finish(job_id))
    expect_solved(apart.caller(OWNER).solve(same))
    assert gate.arrived() == ["same 0"]
    assert apart.caller(OWNER).usage()["saved"] == {"cache": 1, "collapsed": 2}


def test_results_that_are_not_shared_stay_so_over_a_crash(gateway, gate):
    house = gateway(upstream=gate.entry, clients=[OWNER, STRANGER], results={"share": False},
                    durability="full")
    same = task("same", 0)
    gate.let(10)
    expect_solved(house.caller(OWNER).solve(same, HELD))
    house.kill_and_start_again()
    answer = house.caller(STRANGER).solve(same, HELD)
    expect_solved(answer)
    assert answer.header("Cache-Status") is None
    assert len(gate.arrived()) == 2


def test_an_answer_says_nothing_of_who_has_bought_it(simulator, gateway):
    """Shared results do say that they come from somebody; not from whom, nor by which id."""
    house = gateway(simulator(mode="pro", latency=0), clients=[OWNER, STRANGER])
    first = expect.solved(house.caller(OWNER).solve(job(), HELD), job())
    answer = house.caller(STRANGER).solve(job(), HELD)
    expect.solved(answer, job())
    for secret in (first["id"], OWNER.name, OWNER.token, OWNER.sha256):
        assert secret not in repr(answer.headers) + answer.body.decode()


async def test_held_clients_of_one_purchase_each_get_their_own_id(house, gate):
    """The upstream's one answer goes to both, with an id of each one's own."""
    connections = [await Connection.open(house.url) for _ in range(2)]
    asked = [asyncio.ensure_future(connection.request(
        "POST", "/solve", {**client.headers, **HELD}, task("same", 0).body))
        for client, connection in zip((OWNER, STRANGER), connections)]
    await asyncio.to_thread(wait_until, lambda: sum(
        house.caller(client).usage()["saved"]["collapsed"] for client in (OWNER, STRANGER)) == 1)
    gate.let(1)
    ids = [(await answer).object()["id"] for answer in asked]
    for connection in connections:
        await connection.close()
    assert len(set(ids)) == 2
    for client, other, job_id in ((OWNER, STRANGER, ids[0]), (STRANGER, OWNER, ids[1])):
        assert house.caller(client).status(job_id).status == 200
        expect.error(house.caller(other).status(job_id), 404, "unknown_id")
