"""The wall clock is set while solvegate is stopped, and the store holds times that cannot be: no
daemon ends of that, and each job is sent or ends by its deadline."""

import contextlib
import sqlite3

import pytest

from lib.aheadclock import AheadClock
from lib.job import job
from lib.state import assert_ledger_agrees, database, ledger

DEADLINE = 5.0  # of which a tenth is the least that a job is sent with
JOBS = 60
FAR = 2**63 - 1


def end_of(house, job_id):
    answer = house.finish(job_id).object()
    return answer.get("code", answer["status"])


@pytest.fixture
def clock(tmp_path):
    return AheadClock(tmp_path / "ahead")


@pytest.mark.parametrize("before, after", [(1, 0), (0, 1)], ids=["back", "ahead"])
def test_a_clock_that_was_set_over_a_restart_ends_no_daemon(simulator, gateway, state, clock, before,
                                                            after):
    """Jobs take turns at one slot until the deadline of the rest has come."""
    sim = simulator(mode="pro", latency=0.1)
    clock.set_ahead(hours=before)
    house = gateway(sim, upstream={"max_in_flight": 1}, durability="full", state_directory=state,
                    environment=clock.environment, limits={"job_deadline": DEADLINE})
    sim.freeze()
    ids = [house.submit(job(images=1, size=20, seed=seed)) for seed in range(JOBS)]
    sim.wait_for_bytes()
    house.kill()
    clock.set_ahead(hours=after)
    sim.thaw()
    house.start_again()
    ends = [end_of(house, job_id) for job_id in ids]
    assert ends[0] == "outcome_unknown"
    assert set(ends[1:]) <= {"solved", "deadline"}
    assert "deadline" in ends
    house.stop_well()
    assert assert_ledger_agrees(state, sim.counters()["charged"])["unknown"] == 1


@contextlib.contextmanager
def rows_of(state):
    with contextlib.closing(sqlite3.connect(database(state), timeout=10.0)) as connection:
        with connection:
            yield connection


@pytest.mark.parametrize("created, deadline", [(0, 0), (FAR, FAR), (-FAR, -FAR), (-FAR, FAR),
                                               (FAR, -FAR)])
def test_stored_times_that_cannot_be_end_no_daemon(gateway, vendor, state, created, deadline):
    """One job is accepted, the others wait."""
    house = gateway(upstream={**vendor.entry, "max_in_flight": 1}, durability="full",
                    state_directory=state, limits={"job_deadline": DEADLINE})
    vendor.repeat_id()
    first, *others = [house.submit(job(images=1, size=20, seed=seed)) for seed in range(4)]
    vendor.wait_for("status", 1)
    house.kill()
    with rows_of(state) as connection:
        connection.execute("UPDATE job SET created = ?, deadline = ?", (created, deadline))
        connection.execute("UPDATE purchase SET created = ?", (created,))
        connection.execute("UPDATE charge SET time = ?", (created,))
    vendor.finish()
    house.start_again()
    assert end_of(house, first) == "solved"
    assert {end_of(house, job_id) for job_id in others} <= {"solved", "deadline"}
    assert house.operate("GET", "/control/jobs").status == 200
    house.stop_well()
    assert ledger(state)["unknown"] == 0
