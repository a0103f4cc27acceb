"""A store with 100,000 finished and 10,000 queued jobs starts soon and in bounded memory."""

from lib import expect, proc
from lib.build import SANITIZE, patience, wait_until
from lib.copies import Copier
from lib.job import job

FINISHED, QUEUED = (100_000, 10_000) if SANITIZE is None else (10_000, 1_000)
START_SECONDS = 3.0  # of the processor, which other tests want too
CEILING = 384 * 2**20  # results.bytes, and what ids, keys and identities take besides


def test_a_large_store_starts_soon_and_in_bounded_memory(simulator, gateway, tmp_path):
    state = tmp_path / "state"
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, upstream={"max_in_flight": 1}, durability="full", state_directory=state,
                    results={"bytes": 2**28}, log={"level": "warning"},
                    limits={"queue_jobs": 2 * QUEUED, "job_deadline": 86400.0})
    finished, queued = job(seed="finished", size=1000), job(seed="queued", size=1000)
    finished_id = expect.solved(house.run(finished), finished)["id"]
    sim.fault("solve:hang")
    house.submit(job(seed="hangs"))
    wait_until(lambda: sim.counters()["accepted"] == 2)
    queued_id = house.submit(queued)
    house.kill()

    copier = Copier(state)
    finished_ids = copier.copy(finished_id, FINISHED)
    queued_ids = copier.copy(queued_id, QUEUED)
    copier.connection.close()

    house.start_again()
    assert proc.cpu_seconds(house.pid) < patience(START_SECONDS)
    if SANITIZE is None:
        assert proc.resident_bytes(house.pid) < CEILING
    for job_id in (finished_id, finished_ids[0], finished_ids[-1]):
        expect.solved(house.status(job_id), finished)
    for job_id in (queued_id, queued_ids[0], queued_ids[-1]):
        expect.pending(house.status(job_id))
    house.kill()

    sim.clear_faults()  # and the queue goes on
    house.start_again()
    expect.solved(house.status(queued_ids[99], "&wait=20"), queued)
