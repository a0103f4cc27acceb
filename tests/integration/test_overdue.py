"""Thousands of queued jobs that are overdue at a restart end once each, and hold nobody up."""

import time

import pytest
from lib import expect
from lib.build import SANITIZE, wait_until
from lib.copies import Copier
from lib.job import job
from lib.state import rows

JOBS = 3_000 if SANITIZE is None else 500
JOB_DEADLINE = 120.0  # seconds
DEADLINES = 'solvegate_jobs_total{outcome="deadline"}'


def start_with_queued_jobs(house, sim, seconds_left):
    """Starts a daemon whose store has queued jobs with so much time left. Returns their IDs."""
    sim.fault("solve:hang")
    house.submit(job(seed="hangs"))
    wait_until(lambda: sim.counters()["accepted"] == 1)
    queued_id = house.submit(job(seed="queued", size=1000))
    house.kill()
    sim.clear_faults()
    copier = Copier(house.state_directory)
    ids = [queued_id, *copier.copy(queued_id, JOBS - 1)]
    deadline = int((time.time() + seconds_left) * 1000)
    copier.connection.execute("UPDATE job SET created = ?, deadline = ? WHERE state IS NULL",
                              (deadline - int(JOB_DEADLINE * 1000), deadline))
    copier.connection.commit()
    copier.connection.close()
    house.start_again()
    return ids


def failures(house):
    return house.metrics().get(DEADLINES, 0)


# Of 120 s, jobs are not sent when less than 5 s are left.
@pytest.mark.parametrize("seconds_left", [-10, 3])
def test_overdue_jobs_end_once_each_and_others_are_served_meanwhile(simulator, gateway,
                                                                    seconds_left):
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, upstream={"max_in_flight": 1}, durability="full",
                    admin={"address": "127.0.0.1", "port": 0}, log={"level": "warning"},
                    limits={"queue_jobs": 2 * JOBS, "job_deadline": JOB_DEADLINE})
    ids = start_with_queued_jobs(house, sim, seconds_left)
    served = 0
    while failures(house) < JOBS:  # the same client's, behind them; and an operator's
        assert served < 10_000
        fresh = job(seed=f"fresh-{served}")
        expect.solved(house.run(fresh), fresh)
        answer = house.status(ids[served % JOBS])
        assert answer.object()["status"] in ("new", "error"), answer
        assert house.operate("GET", "/control/status").status == 200
        served += 1
    assert served > 0
    assert failures(house) == JOBS
    for job_id in ids:
        expect.failed(house.status(job_id), "deadline")
    house.stop_well()
    assert sim.counters()["accepted"] == 1 + served  # the one that hung, and none that was late
    assert rows(house.state_directory, "SELECT count(*) FROM purchase WHERE state < 3") == [(0,)]

    house.start_again()
    for job_id in ids[::100]:
        expect.failed(house.status(job_id), "deadline")
