"""What one client does for free takes nothing from another one: neither results nor their keys."""

import asyncio
import contextlib
import re
import sqlite3

import pytest

from lib import expect
from lib.build import wait_until
from lib.clients import Client, post_over
from lib.job import job
from lib.state import database, rows

HELD = {"Prefer": "wait=30"}
OWNER = Client("owner")
FLOODER = Client("flooder", daily_limit=1)
LIMIT = 2**20  # the least that results.bytes may be
LONG = "t" * 4000  # a job has its target in memory
HITS = 3 * LIMIT // len(LONG)
TOOLS = 16
BOUGHT = 20
RETURNED = "memory of final jobs was returned"
RETURNED_AGAIN_LATER = "will be again after their rows are deleted"
EARLY = re.compile(r"(\d+) charged results? w\w+ dropped before results\.ttl")


def key(number):
    return {**HELD, "Idempotency-Key": f"key {number}"}


def buy(house, client, count=BOUGHT):
    """Solves so many jobs with keys. Returns their ids."""
    ids = []
    for number in range(count):
        answer = house.caller(client).solve(job(seed=number), key(number))
        ids.append(expect.solved(answer, job(seed=number))["id"])
    return ids


def flood(house, client, task, hits=HITS):
    """Posts a job that was solved again and again. Returns the answers."""
    answers = asyncio.run(post_over(house, client, [task] * hits, TOOLS))
    for answer in answers:
        expect.solved(answer, task)
    return answers


def assert_untouched(house, client, ids):
    """Everything is found, and asking again with the keys buys nothing."""
    bought = house.sim.counters()["solve_requests"]
    for number, job_id in enumerate(ids):
        expect.solved(house.caller(client).status(job_id), job(seed=number))
        again = house.caller(client).solve(job(seed=number), key(number))
        assert expect.solved(again, job(seed=number))["id"] == job_id
    assert house.sim.counters()["solve_requests"] == bought


@pytest.mark.parametrize("restarted", [False, True])
def test_a_flood_of_cache_hits_takes_no_result_of_another_client(simulator, durable, restarted):
    sim = simulator(mode="pro", latency=0)
    house = durable(sim, clients=[OWNER, FLOODER], results={"bytes": LIMIT})
    ids = buy(house, OWNER)
    if restarted:
        house.kill_and_start_again()
    repeated = job(seed="repeated", target=LONG)
    first = expect.solved(house.caller(FLOODER).solve(repeated, HELD), repeated)["id"]
    hits = [answer.object()["id"] for answer in flood(house, FLOODER, repeated)]
    assert_untouched(house, OWNER, ids)
    # Its own hits have made room for each other; what it has bought is there.
    expect.error(house.caller(FLOODER).status(hits[0]), 404, "unknown_id")
    expect.solved(house.caller(FLOODER).status(hits[-1]), repeated)
    expect.solved(house.caller(FLOODER).status(first), repeated)
    assert sim.counters()["charged"] == BOUGHT + 1


def test_a_client_that_buys_a_lot_takes_no_result_of_one_that_bought_little(simulator, gateway):
    many = Client("many")
    house = gateway(simulator(mode="pro", latency=0), clients=[OWNER, many],
                    results={"bytes": LIMIT})
    ids = buy(house, OWNER)
    tasks = [job(seed=f"many {number}", images=1, size=30, target=LONG)
             for number in range(2 * LIMIT // len(LONG))]
    taken = asyncio.run(post_over(house, many, tasks, TOOLS, prefer="wait=30"))
    assert all(answer.status == 200 for answer in taken)
    assert_untouched(house, OWNER, ids)
    gone = taken[0].object()["id"]
    said = expect.error(house.caller(many).status(gone), 404, "unknown_id")["message"]
    assert "results.ttl" in said and "results.bytes" in said
    said = house.operate("GET", f"/control/job?id={gone}").object()["message"]
    assert "results.ttl" in said and "results.bytes" in said
    expect.solved(house.caller(many).status(taken[-1].object()["id"]), tasks[-1])
    wait_until(lambda: EARLY.search(house.log()))


def test_charged_results_that_were_dropped_within_the_minute_are_logged_at_the_stop(simulator,
                                                                                    gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[OWNER], results={"bytes": LIMIT})

    def buy_more(name):
        tasks = [job(seed=f"{name} {number}", images=1, size=30, target=LONG)
                 for number in range(2 * LIMIT // len(LONG))]
        return [answer.object()["id"]
                for answer in asyncio.run(post_over(house, OWNER, tasks, TOOLS, prefer="wait=30"))]

    ids = buy_more("first")
    wait_until(lambda: EARLY.search(house.log()))
    ids += buy_more("second")
    gone = sum(house.caller(OWNER).status(job_id).status == 404 for job_id in ids)
    house.stop_well()
    assert sum(map(int, EARLY.findall(house.log()))) == gone


def test_repeats_by_key_take_nothing_from_another_client(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[OWNER, FLOODER],
                    results={"bytes": LIMIT})
    ids = buy(house, OWNER)
    repeated = job(seed="repeated", target=LONG)
    tool = house.caller(FLOODER)
    first = expect.solved(tool.solve(repeated, key("repeated")), repeated)["id"]
    for _ in range(HITS):
        assert tool.solve(repeated, key("repeated")).object()["id"] == first
    assert_untouched(house, OWNER, ids)


@contextlib.contextmanager
def writes_held_up(house):
    """Nothing is written to the database meanwhile."""
    with contextlib.closing(sqlite3.connect(database(house.state_directory), timeout=30,
                                            isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def test_results_that_expire_together_go_in_pieces_and_their_memory_is_returned(
        simulator, gateway):
    """So many that one sweep does not drop them all, and so much that it is worth returning."""
    house = gateway(simulator(mode="pro", latency=0), clients=[OWNER], durability="full",
                    log={"level": "debug"})
    repeated = job(seed="repeated", target=LONG)
    expect.solved(house.caller(OWNER).solve(repeated, HELD), repeated)
    ids = [answer.object()["id"] for answer in flood(house, OWNER, repeated, 5200)]
    expect.solved(house.caller(OWNER).status(ids[0]), repeated)
    with writes_held_up(house):  # so the rows are deleted later
        house.reload(results={"ttl": 1})
        for job_id in (ids[0], ids[-1]):
            wait_until(lambda job_id=job_id: house.caller(OWNER).status(job_id).status == 404)
        # At once, and when no more of them expire.
        wait_until(lambda: house.log().count(RETURNED_AGAIN_LATER) >= 2, 60.0)
    # Several times more: the store had kept their IDs, and has pages in its cache.
    wait_until(lambda: house.log().count(RETURNED) >= house.log().count(RETURNED_AGAIN_LATER) + 3,
               60.0)
    wait_until(lambda: rows(house.state_directory, "SELECT count(*) FROM job") == [(0,)], 60.0)
