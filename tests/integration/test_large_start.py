"""A start with much in the store: what is read, what is deleted, and what is told meanwhile."""

import contextlib
import hashlib
import sqlite3

import pytest

from lib import expect, stores
from lib.build import wait_until
from lib.job import job
from lib.manager import Manager
from lib.state import database, ledger, rows

RESULTS = 20_000
ROOM = 2**20  # results.bytes, for less than a tenth of them
HOUR_MS = 3_600_000
EXTEND = "EXTEND_TIMEOUT_USEC="


@pytest.fixture
def manager():
    made = Manager()
    yield made
    made.close()


@pytest.fixture
def stopped(simulator, gateway, tmp_path):
    """A factory of gateways that have made their store and stopped."""

    def make(**settings):
        sim = simulator(mode="pro", latency=0)
        house = gateway(sim, durability="full", state_directory=tmp_path / "state", **settings)
        house.stop_well()
        return house

    return make


def count(house, table):
    return rows(house.state_directory, f"SELECT count(*) FROM {table}")[0][0]


def test_a_start_asks_for_time_and_tells_how_far_it_is(stopped, manager):
    house = stopped(environment=manager.environment)
    stores.add_results(house.state_directory, RESULTS)
    began = len(manager.told)
    house.start_again()
    wait_until(lambda: any("READY=1" in message for message in manager.told[began:]))
    reading = [message for message in manager.told[began:]
               if any(line.startswith("STATUS=starting: ") for line in message)]
    assert f"STATUS=starting: reading what is stored, 0 of {RESULTS}" in sum(reading, [])
    assert all(any(line.startswith(EXTEND) for line in message) for message in reading)


def test_the_newest_results_are_read_up_to_the_memory_and_the_others_deleted(stopped):
    house = stopped(results={"bytes": ROOM, "ttl": 86400.0})
    ids = stores.add_results(house.state_directory, RESULTS, span_ms=HOUR_MS)
    queued = stores.add_queued(house.state_directory, 3, job(seed="waits").body)
    house.start_again()
    assert house.status(ids[-1]).object()["status"] == "solved"
    assert house.status(ids[0]).status == 404
    expect.solved(house.finish(queued[0]), job(seed="waits"))
    wait_until(lambda: count(house, "purchase") < RESULTS / 4, 30.0, "the others are deleted")
    house.stop_well()
    assert ledger(house.state_directory)["charged"] >= RESULTS
    kept = {job_id for (job_id,) in rows(house.state_directory, "SELECT id FROM job")}
    assert kept & set(ids) == set(ids[-len(kept & set(ids)):])  # the newest ones
    house.start_again()
    assert house.status(ids[-1]).object()["status"] == "solved"


def test_what_has_expired_is_deleted_while_the_daemon_runs(stopped):
    house = stopped(results={"ttl": 3600.0})
    stores.add_results(house.state_directory, RESULTS, age_ms=2 * HOUR_MS)
    stores.add_ended(house.state_directory, RESULTS, age_ms=2 * HOUR_MS)
    house.start_again()
    wait_until(lambda: count(house, "purchase") + count(house, "job") == 0, 30.0, "all are deleted")
    house.stop_well()
    assert ledger(house.state_directory)["charged"] == RESULTS


def test_results_come_back_whatever_their_number_says_about_their_age(stopped):
    house = stopped(results={"ttl": 86400.0})
    late = stores.add_results(house.state_directory, 10)
    early = stores.add_results(house.state_directory, 10, age_ms=HOUR_MS)
    ended = stores.add_ended(house.state_directory, 10, age_ms=HOUR_MS // 2)
    house.start_again()
    for job_id in late + early:
        assert house.status(job_id).object()["status"] == "solved"
    for job_id in ended:
        assert house.status(job_id).object()["status"] == "error"


def test_of_two_jobs_with_a_key_the_later_one_answers_for_it(stopped):
    """The older one's row was to be deleted, and a crash came before."""
    house = stopped(results={"ttl": 86400.0})
    ids = stores.add_results(house.state_directory, 3, span_ms=HOUR_MS)
    again = job(seed="again")
    with contextlib.closing(sqlite3.connect(database(house.state_directory))) as connection:
        for created, job_id in enumerate((ids[0], ids[2])):
            connection.execute("UPDATE job SET key = 'k', key_digest = ?, created = created + ?"
                               " WHERE id = ?",
                               (hashlib.sha256(again.body).digest(), created, job_id))
        connection.commit()
    house.start_again()
    assert house.solve(again, {"Idempotency-Key": "k"}).object()["id"] == ids[2]
    assert house.status(ids[0]).object()["status"] == "solved"
