"""Identical jobs are bought once: those in flight together, and those that come while a result is
remembered. What is identical, and what only looks so."""

import asyncio
import base64
import json
import threading
import time

import pytest

from lib import expect
from lib.build import SANITIZE, patience, wait_until
from lib.clients import Client
from lib.http import Connection, request_bytes
from lib.job import Job, job
from lib.upstream import SOLVED, Upstream

HIT = "solvegate; hit"
COLLAPSED = "solvegate; fwd=miss; collapsed"

FRESH = {"Cache-Control": "no-cache"}
HELD = {"Prefer": "wait=30"}

CROWD = 20
LATENCY = 0.3
WITHIN = 0.06 if SANITIZE is None else 1.0  # of the upstream's answer


def dumped(task, fields, **how):
    return task.with_body(json.dumps(fields, **how).encode())


def in_other_order(task):
    return dumped(task, dict(reversed(task.fields.items())))


def with_white_space(task):
    return dumped(task, task.fields, indent="\t ", separators=(" \r\n, ", " : "))


def without_white_space(task):
    return dumped(task, task.fields, separators=(",", ":"))


def with_escaped_slashes(task):
    assert b"/" in task.body
    return task.with_body(task.body.replace(b"/", b"\\/"))


def with_escaped_letters(task):
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in task.fields["target"])
    return task.with_body(task.body.replace(task.fields["target"].encode(), escaped.encode()))


def with_prefixes(task):
    images = {name: f"data:image/png;base64,{text}" for name, text in task.fields["images"].items()}
    return dumped(task, {**task.fields, "images": images})


def with_an_array(task):
    return dumped(task, {**task.fields, "images": list(task.fields["images"].values())})


def with_capitals(task):
    return dumped(task, {name.capitalize(): value for name, value in task.fields.items()})


def with_the_old_name(task):
    return dumped(task, task.renamed({"sitekey": "site_key"}).fields)


def with_a_softid(task):
    return dumped(task, {**task.fields, "softid": "tool 7"})


def as_it_is(task):
    return task


SAME = [as_it_is, in_other_order, with_white_space, without_white_space, with_escaped_slashes,
        with_escaped_letters, with_prefixes, with_an_array, with_capitals, with_the_old_name,
        with_a_softid]


def with_images(task, images):
    encoded = {str(n): base64.b64encode(image).decode() for n, image in enumerate(images)}
    return Job(images, {**task.fields, "images": encoded})


def with_one_bit_changed(task):
    first, *others = task.images
    return with_images(task, [bytes([first[0] ^ 1]) + first[1:], *others])


def with_two_images_swapped(task):
    first, second, *others = task.images
    return with_images(task, [second, first, *others])


def with_two_members_swapped(task):
    (first, a), (second, b), *others = task.fields["images"].items()
    images = [task.images[1], task.images[0], *task.images[2:]]
    return Job(images, {**task.fields, "images": dict([(second, b), (first, a), *others])})


def with_another_target(task):
    return task.with_fields(target="boat")


def with_another_sitekey(task):
    return task.with_fields(sitekey="another")


def with_a_further_field(task):
    return task.with_fields(choices=["a", "b"])


def with_a_long_softid(task):
    return task.with_fields(softid=65 * "x")


OTHER = [with_one_bit_changed, with_two_images_swapped, with_two_members_swapped,
         with_another_target, with_another_sitekey, with_a_further_field,
         with_a_long_softid]


async def post_all(house, tasks, headers=()):
    """Posts jobs at once, each on a connection that is open before the first is posted. Returns
    the answers, and when the last of them came."""
    connections = [await Connection.open(house.url) for _ in tasks]
    answers = await asyncio.gather(
        *(connection.request("POST", "/api/solve", headers, task.body)
          for connection, task in zip(connections, tasks)))
    ended = time.monotonic()
    for connection in connections:
        await connection.close()
    return answers, ended


def sources(answers):
    return [answer.header("Cache-Status") for answer in answers]


def shared(answers):
    """How many came from another's purchase. One that is posted late finds it solved already."""
    return sum(source in (COLLAPSED, HIT) for source in sources(answers))


def bought(house):
    return house.sim.counters()["solve_requests"]


@pytest.fixture
def house(simulator, gateway, mode):
    return gateway(simulator(mode=mode, latency=LATENCY))


async def test_twenty_identical_jobs_are_one_request_and_all_are_answered_soon(simulator, gateway):
    """The quickest of three rounds counts, since other tests run besides."""
    house = gateway(simulator(mode="pro", latency=LATENCY))
    delays = []
    for round_number in range(3):
        task = job(size=16_500, seed=round_number)
        assert 190_000 < len(task.body) < 210_000
        answers, ended = await post_all(house, [task] * CROWD)
        for answer in answers:
            expect.solved(answer, task)
        assert len({answer.object()["id"] for answer in answers}) == CROWD
        assert shared(answers) == CROWD - 1
        assert bought(house) == round_number + 1
        delays.append(ended - house.sim.requests("solve")[-1]["time"] - LATENCY)
    assert min(delays) < WITHIN, delays
    assert house.sim.counters()["charged"] == 3


async def test_jobs_that_are_only_written_otherwise_are_one(house):
    tasks = [same(job(size=2000)) for same in SAME]
    assert len({task.body for task in tasks}) == len(SAME)
    answers, _ = await post_all(house, tasks, HELD)
    for task, answer in zip(tasks, answers):
        expect.solved(answer, task)
    assert bought(house) == house.sim.counters()["charged"] == 1
    assert shared(answers) == len(SAME) - 1


@pytest.mark.parametrize("same", SAME)
def test_a_job_that_is_only_written_otherwise_gets_the_remembered_result(house, same):
    task = job(size=2000)
    expect.solved(house.run(task), task)
    answer = house.solve(same(task))
    expect.solved(answer, task)
    assert sources([answer]) == [HIT]
    assert bought(house) == 1


@pytest.mark.parametrize("other", OTHER)
async def test_a_job_that_differs_is_bought(house, other):
    first = job(size=2000)
    second = other(first)
    answers, _ = await post_all(house, [first, second], HELD)
    expect.solved(answers[0], first)
    expect.solved(answers[1], second)
    assert shared(answers) == 0
    assert bought(house) == 2


@pytest.mark.parametrize("softid", [2000 * "x", "tool\0", ["tool"], 10**17],
                         ids=["long", "control", "array", "number"])
def test_a_softid_that_the_upstream_refuses_ends_no_job_of_another_client(gateway, softid):
    attacker, victim = Client("attacker"), Client("victim")
    task = job(size=2000)
    posted = threading.Event()

    def refuse_softid(_number, body):
        assert posted.wait(patience(20.0))
        if b"softid" in body:
            return 400, {}, {"status": "error", "message": "bad softid"}
        return 200, {}, SOLVED

    with Upstream(refuse_softid) as upstream:
        house = gateway(upstream=upstream.entry, clients=[attacker, victim])
        house.caller(attacker).submit(task.with_fields(softid=softid))
        victims = house.caller(victim).submit(task)
        posted.set()
        assert house.caller(victim).finish(victims).object()["status"] == "solved"


def test_a_follower_has_an_id_of_its_own_that_outlives_the_wait(house):
    task = job()
    ids = [house.submit(task) for _ in range(5)]
    assert len(set(ids)) == 5
    for job_id in ids:
        body = expect.solved(house.status(job_id, "&wait=20"), task)
        assert body["id"] == job_id
    assert bought(house) == 1


def test_a_remembered_result_comes_at_once_with_an_id_of_its_own(house):
    task = job()
    first = expect.solved(house.run(task), task)
    for headers in ({}, {"Prefer": "respond-async"}, HELD):
        answer = house.solve(task, headers)
        body = expect.solved(answer, task)
        assert sources([answer]) == [HIT]
        assert body["id"] != first["id"]
        assert expect.solved(house.status(body["id"]), task) == body
        assert house.status(body["id"]).header("Cache-Status") is None
    assert bought(house) == 1


def test_a_fresh_result_is_bought_on_request(house):
    task = job()
    expect.solved(house.run(task), task)
    answer = house.solve(task, {**FRESH, **HELD})
    expect.solved(answer, task)
    assert shared([answer]) == 0
    assert house.sim.counters()["charged"] == 2


async def test_who_asks_for_a_fresh_result_does_not_join(house):
    task = job()
    answers, _ = await post_all(house, [task] * 2, {**FRESH, **HELD})
    for answer in answers:
        expect.solved(answer, task)
    assert house.sim.counters()["charged"] == 2


def test_a_result_past_its_time_is_bought_again(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), results={"ttl": 1})
    task = job()
    first = expect.solved(house.run(task), task)
    wait_until(lambda: house.status(first["id"]).status == 404)
    answer = house.solve(task)
    expect.solved(answer, task)
    assert shared([answer]) == 0
    assert bought(house) == 2


def test_one_client_shares_with_itself_even_where_clients_do_not_share(simulator, gateway, mode):
    house = gateway(simulator(mode=mode, latency=LATENCY), results={"share": False})
    task = job()
    ids = [house.submit(task) for _ in range(3)]
    for job_id in ids:
        expect.solved(house.status(job_id, "&wait=20"), task)
    assert sources([house.solve(task)]) == [HIT]
    assert bought(house) == 1


def occupied(simulator, gateway, *faults):
    """A gateway whose only slot is taken by another job until the simulator is thawed. The faults
    are for the next one."""
    sim = simulator(mode="pro", latency=0, faults=["solve:slow=0*1", *faults])
    house = gateway(sim, upstream={"max_in_flight": 1})
    sim.freeze()
    house.submit(job(seed="before"))
    sim.wait_for_bytes()
    return house


@pytest.fixture
def busy(simulator, gateway):
    return occupied(simulator, gateway)


@pytest.mark.parametrize("kind, code", [
    ("error=no", "upstream_rejected"), ("code=12", "upstream_rejected"),
    ("reset", "outcome_unknown"), ("garbage", "outcome_unknown")])
def test_an_error_is_shared_by_those_in_flight_but_not_remembered(simulator, gateway, kind, code):
    busy = occupied(simulator, gateway, f"solve:{kind}*1")
    ids = [busy.submit(job()) for _ in range(4)]
    busy.sim.thaw()
    for job_id in ids:
        expect.failed(busy.status(job_id, "&wait=20"), code)
    assert bought(busy) == 2
    expect.solved(busy.run(job()), job())
    assert bought(busy) == 3


def test_a_leader_that_is_cancelled_leaves_the_job_to_its_followers(busy):
    task = job()
    leader, *followers = [busy.submit(task) for _ in range(3)]
    answer = busy.request("DELETE", f"/api/status?id={leader}")
    assert expect.failed(answer, "cancelled")["id"] == leader
    busy.sim.thaw()
    for job_id in followers:
        expect.solved(busy.status(job_id, "&wait=20"), task)
    expect.failed(busy.status(leader), "cancelled")
    assert bought(busy) == 2


def test_followers_that_are_cancelled_leave_the_job_to_the_others(busy):
    task = job()
    ids = [busy.submit(task) for _ in range(3)]
    for job_id in ids[1:]:
        expect.failed(busy.request("DELETE", f"/api/status?id={job_id}"), "cancelled")
    busy.sim.thaw()
    expect.solved(busy.status(ids[0], "&wait=20"), task)
    assert bought(busy) == 2


def test_a_job_that_all_have_cancelled_is_never_bought(busy):
    ids = [busy.submit(job()) for _ in range(3)]
    for job_id in ids:
        expect.failed(busy.request("DELETE", f"/api/status?id={job_id}"), "cancelled")
    busy.sim.thaw()
    after = job(seed="after")
    expect.solved(busy.run(after), after)
    assert bought(busy) == 2
    expect.solved(busy.run(job()), job())  # and is no follower of what was dropped
    assert bought(busy) == 3


@pytest.mark.parametrize("leave", [Connection.reset, Connection.close], ids=["reset", "close"])
async def test_a_leader_that_hangs_up_leaves_the_job_to_its_followers(house, leave):
    task = job()
    leader = await Connection.open(house.url)
    await leader.send(request_bytes("POST", "/api/solve", house.host, HELD, task.body))
    wait_until(lambda: bought(house) == 1)
    follower = await Connection.open(house.url)
    await follower.send(request_bytes("POST", "/api/solve", house.host, HELD, task.body))
    await leave(leader)
    answer = await follower.answer("POST")
    expect.solved(answer, task)
    assert sources([answer]) in ([COLLAPSED], [HIT])
    assert bought(house) == 1
    await follower.close()


def test_remembered_results_survive_a_kill(simulator, gateway, tmp_path, mode):
    house = gateway(simulator(mode=mode, latency=0), durability="full",
                    state_directory=tmp_path / "state")
    task = job()
    expect.solved(house.run(task), task)
    for again in (house.kill_and_start_again, lambda: (house.stop_well(), house.start_again())):
        again()
        answer = house.solve(in_other_order(task))
        expect.solved(answer, task)
        assert sources([answer]) == [HIT]
    assert bought(house) == 1
