"""A store with 100,000 finished and 10,000 queued jobs starts soon and in bounded memory."""

import os
import sqlite3

from lib import expect, proc
from lib.build import SANITIZE, patience, wait_until
from lib.job import job
from lib.state import bodies, database

FINISHED, QUEUED = (100_000, 10_000) if SANITIZE is None else (10_000, 1_000)
START_SECONDS = 3.0  # of the processor, which other tests want too
CEILING = 384 * 2**20  # results.bytes, and what ids, keys and identities take besides


def row_of(connection, table, column, value):
    found = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,)).fetchone()
    assert found is not None, f"no {column} {value!r} in {table}"
    return dict(found)


def insert_all(connection, table, rows):
    """Adds rows, all of which have the same columns."""
    rows = iter(rows)
    first = next(rows)
    marks = ", ".join("?" * len(first))
    statement = f"INSERT INTO {table} ({', '.join(first)}) VALUES ({marks})"
    connection.execute(statement, tuple(first.values()))
    connection.executemany(statement, (tuple(row.values()) for row in rows))


class Copier:
    """Writes copies of a job's rows, each with a purchase and an identity of its own."""

    def __init__(self, directory):
        self.connection = sqlite3.connect(database(directory))
        self.connection.execute("ATTACH ? AS bodies", (str(bodies(directory)),))
        self.connection.row_factory = sqlite3.Row
        (self.number,) = self.connection.execute("SELECT max(number) FROM purchase").fetchone()
        (self.seq,) = self.connection.execute("SELECT max(seq) FROM job").fetchone()

    def copy(self, job_id, count):
        """Returns the ids of the copies."""
        original = row_of(self.connection, "job", "id", job_id)
        purchase = row_of(self.connection, "purchase", "number", original["purchase"])
        numbers = range(self.number + 1, self.number + 1 + count)
        ids = [f"h-{number:024d}" for number in numbers]
        insert_all(self.connection, "purchase", (
            {**purchase, "number": number, "identity": os.urandom(32)} for number in numbers))
        insert_all(self.connection, "job", (
            {**original, "id": copy_id, "purchase": number, "seq": self.seq + 1 + n}
            for n, (copy_id, number) in enumerate(zip(ids, numbers))))
        self._copy_body(original["purchase"], numbers)
        self.number += count
        self.seq += count
        self.connection.commit()
        return ids

    def _copy_body(self, purchase, numbers):
        body = self.connection.execute("SELECT * FROM body WHERE purchase = ?",
                                       (purchase,)).fetchone()
        if body is not None:
            insert_all(self.connection, "body",
                       ({**dict(body), "purchase": number} for number in numbers))


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
