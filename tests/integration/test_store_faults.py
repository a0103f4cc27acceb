"""The disk fails at each write of the store in turn, and gets well again: no wrong answer, no job
lost whose id has left, nothing bought for a tool that was refused, and the service resumes.

SOLVEGATE_LONG=1 takes every write, and a log of 1 GB; otherwise a sample of them.
"""

import concurrent.futures
import contextlib
import errno
import os
import sqlite3
import subprocess
import sys
import time

import pytest

from lib import expect
from lib.build import SANITIZE, patience, wait_until
from lib.iofault import CHANGES, LOCK, FaultyDisk
from lib.job import job
from lib.state import assert_ledger_agrees, database

LONG = bool(os.environ.get("SOLVEGATE_LONG"))
STEP = 1 if LONG else 4 if SANITIZE is None else 16

# Longer than it takes the daemon to notice; a lock it asks for again and again for a while.
FAULT_SECONDS = {CHANGES: 0.3, LOCK: 1.5}

WAYS = [{"Prefer": "respond-async"}, {"Prefer": "wait=20"}, {"Idempotency-Key": "k"}, {}]


class Round:
    """Some jobs posted while the disk fails: two of a kind, and each way of waiting."""

    def __init__(self, house, number):
        self.house = house
        tasks = [job(images=2, size=3000, seed=f"{number}/{n}") for n in range(len(WAYS) - 1)]
        self.tasks = [*tasks, tasks[0]]
        self.ways = [self._own_key(way, number) for way in WAYS]

    @staticmethod
    def _own_key(way, number):
        return {name: f"{value}{number}" if name == "Idempotency-Key" else value
                for name, value in way.items()}

    def post(self, pool):
        """Posts them all; a future of the answer for each."""
        return [pool.submit(self.house.solve, task, way)
                for task, way in zip(self.tasks, self.ways)]

    def told(self, answers):
        """What was answered is right or a refusal. Returns the jobs whose ids left, and those that
        nobody has an id of."""
        with_id, refused = {}, []
        for task, answer in zip(self.tasks, answers):
            if answer.status == 503:
                expect.error(answer, 503, "store_unavailable")
                assert int(answer.header("Retry-After")) >= 1
                refused.append(task)
                continue
            if answer.object()["status"] == "solved":
                expect.solved(answer, task)
            else:
                expect.pending(answer)
            with_id[answer.object()["id"]] = task
        bodies = {task.body for task in with_id.values()}
        return with_id, [task for task in refused if task.body not in bodies]


def faulty_house(simulator, gateway, tmp_path, mode, kinds):
    """A gateway on a disk that can fail, with a job that was solved while it was well."""
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    disk = FaultyDisk(tmp_path / "control", state, kinds)
    house = gateway(simulator(mode=mode, latency=0.05), durability="full", state_directory=state,
                    environment=disk.environment, answers={"solve_hold": 5.0})
    assert kinds == LOCK or disk.calls > 0, "the library is not in the way of the daemon's calls"
    return house, disk, state


def fail_once(house, disk, number, error, torn=False):
    """The number-th call from now fails, and all after it, for a while. Returns the ids that left
    with their jobs, the jobs that were refused, and whether a call failed at all."""
    before = job(seed=f"before {number}")
    known = expect.solved(house.run(before), before)["id"]
    this = Round(house, number)
    with concurrent.futures.ThreadPoolExecutor(len(WAYS)) as pool:
        disk.fail(error, after=number, torn=torn)
        posted = this.post(pool)
        concurrent.futures.wait(posted, FAULT_SECONDS[disk.kinds])
        started = time.monotonic()
        expect.solved(house.status(known), before)
        assert time.monotonic() - started < patience(1.0), "a status waits for the disk"
        failed = disk.failed
        disk.mend()
        with_id, refused = this.told([future.result() for future in posted])
    assert_resumes(house, f"after {number}")
    for job_id, task in with_id.items():
        expect.solved(house.finish(job_id), task)
    return {**with_id, known: before}, refused, failed > 0


def assert_resumes(house, seed):
    """Jobs are taken again soon after the fault has gone."""
    task = job(seed=seed)

    def taken():
        answer = house.solve(task)
        return answer if answer.status != 503 else None

    answer = wait_until(taken, 10.0, "the service resumes", 0.1)
    expect.solved(house.status(answer.object()["id"], "&wait=20"), task)


def assert_refused_is_not_bought(sim, refused):
    charged = {sent["sha256"] for sent in sim.requests("solve") if sent["charged"]}
    assert not charged & {task.body_sha256 for task in refused}


def assert_ends_well(house, state, told):
    """After another start everything is as it was, and the ledger agrees with the simulator."""
    house.stop_well()
    charged = house.sim.counters()["charged"]
    counts = assert_ledger_agrees(state, charged)
    assert counts["charged"] == charged, "no charge was unclear"
    house.start_again()
    for job_id, task in told.items():
        expect.solved(house.status(job_id), task)


def fail_each_in_turn(house, disk, state, error, torn=False):
    """Each call of a round fails in turn, until a round needs no more calls than that."""
    told, number = {}, 1
    while True:
        with_id, refused, failed = fail_once(house, disk, number, error, torn)
        told.update(with_id)
        assert_refused_is_not_bought(house.sim, refused)
        if not failed:
            break
        number += STEP
    assert number > STEP, "no call ever failed"
    assert_ends_well(house, state, told)


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_each_write_of_the_store_may_fail(simulator, gateway, tmp_path, mode, error):
    house, disk, state = faulty_house(simulator, gateway, tmp_path, mode, CHANGES)
    fail_each_in_turn(house, disk, state, error)


def test_each_write_of_the_store_may_be_torn(simulator, gateway, tmp_path):
    house, disk, state = faulty_house(simulator, gateway, tmp_path, "free", CHANGES)
    fail_each_in_turn(house, disk, state, errno.ENOSPC, torn=True)


def test_each_lock_of_the_store_may_be_refused(simulator, gateway, tmp_path, mode):
    house, disk, state = faulty_house(simulator, gateway, tmp_path, mode, LOCK)
    fail_each_in_turn(house, disk, state, errno.EAGAIN)


def test_a_disk_that_is_full_for_long_refuses_jobs_and_serves_status(simulator, gateway, tmp_path):
    house, disk, state = faulty_house(simulator, gateway, tmp_path, "free", CHANGES)
    old = job(seed="old")
    told = {expect.solved(house.run(old), old)["id"]: old}
    house.sim.fault("status:slow=1*1")  # is accepted when the disk fails, solved while it does
    young = job(seed="young")
    told[expect.pending(house.solve(young))["id"]] = young
    disk.fail(errno.ENOSPC)

    def refused():
        answer = house.solve(job(seed="refused"), {"Prefer": "respond-async"})
        assert answer.status == 503, answer
        return expect.error(answer, 503, "store_unavailable")

    for _ in range(20):
        refused()
        assert all(house.status(job_id).status == 200 for job_id in told)
    assert house.sim.counters()["charged"] == 2
    disk.mend()
    assert_resumes(house, "afterwards")
    for job_id, task in told.items():
        expect.solved(house.finish(job_id), task)
    assert_ends_well(house, state, told)


def test_another_process_that_holds_the_database_is_waited_for(simulator, gateway, tmp_path, mode):
    state = tmp_path / "state"
    house = gateway(simulator(mode=mode, latency=0.05), durability="full", state_directory=state)
    before = job(seed="before")
    known = expect.solved(house.run(before), before)["id"]
    with holder(state, seconds=3.0) as held:
        this = Round(house, "held")
        with concurrent.futures.ThreadPoolExecutor(len(WAYS)) as pool:
            posted = this.post(pool)
            while held.poll() is None:
                expect.solved(house.status(known), before)
                time.sleep(0.05)
            with_id, refused = this.told([future.result() for future in posted])
    assert_resumes(house, "afterwards")
    for job_id, task in with_id.items():
        expect.solved(house.finish(job_id), task)
    assert_refused_is_not_bought(house.sim, refused)
    assert_ends_well(house, state, {**with_id, known: before})


_HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
"""


def holder(state, seconds):
    """A process that keeps everybody else from writing; returned once it does."""
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, database(state), str(seconds)],
                               stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
def test_a_start_on_a_failing_disk_says_so_and_loses_nothing(simulator, gateway, tmp_path, error):
    house, disk, state = faulty_house(simulator, gateway, tmp_path, "free", CHANGES)
    task = job()
    told = {expect.solved(house.run(task), task)["id"]: task}
    number = 1
    while True:
        house.stop_well()
        disk.fail(error, after=number)
        try:
            house.start_again()
        except AssertionError:
            assert house.popen.returncode in (1, 2), house.log()
            assert str(state) in house.log(), house.log()
        failed = disk.failed
        disk.mend()
        if not house.running():
            house.start_again()
        for job_id in told:
            expect.solved(house.status(job_id), task)
        if not failed:
            break
        number += 1
    assert_resumes(house, "afterwards")
    assert_ends_well(house, state, told)


@pytest.mark.skipif(not LONG, reason="writes 1 GB; SOLVEGATE_LONG=1")
def test_a_log_that_a_reader_keeps_too_long_does_not_grow_on_while_nothing_is_taken(durable, state,
                                                                                    simulator):
    house = durable(simulator())
    log = state / "jobs.db-wal"
    with contextlib.closing(sqlite3.connect(database(state), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM purchase").fetchone()
        with contextlib.closing(sqlite3.connect(database(state))) as writer:  # as a week of jobs
            writer.execute("PRAGMA synchronous = OFF")
            writer.execute("CREATE TABLE filler (bytes)")
            writer.executemany("INSERT INTO filler VALUES (zeroblob(?))", [(2**25,)] * 33)
            writer.execute("DROP TABLE filler")
            writer.commit()
        # The first to be written shows the writer how long it is.
        wait_until(lambda: house.solve(job(), {"Prefer": "respond-async"}).status == 503)
        before = log.stat().st_size
        time.sleep(1.5)  # some retries
        assert log.stat().st_size == before
    wait_until(lambda: house.solve(job()).status == 200)
