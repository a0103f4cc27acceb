"""Money and promises at the edges: what a slow or failing disk, a restart, a deadline or an
upstream in trouble meets half way. What happens at a stop is in test_edges_stop.py."""

import concurrent.futures
import contextlib
import errno
import select
import subprocess
import sys
import threading
import time

import pytest

from lib import expect
from lib.build import patience, wait_until
from lib.gateway import LOOPBACK
from lib.http import Connection, open_blocking, read_answer, request_bytes
from lib.job import SITE, job
from lib.state import assert_ledger_agrees, bodies, database, ledger, rows, rows_of
from lib.upstream import LATER, SOLVED, Upstream

ASYNC = {"Prefer": "respond-async"}
HELD = {"Prefer": "wait=60"}
KEY = {"Idempotency-Key": "a key"}
QUICK = {"base": 0.02, "cap": 0.1}


@pytest.fixture
def durable(durable):
    """With one worker, unless a test needs more."""

    def make(sim, workers=1, **settings):
        return durable(sim, workers=workers, **settings)

    return make


@pytest.fixture
def pool():
    """For requests that are held while the test does something else."""
    with concurrent.futures.ThreadPoolExecutor(100) as threads:
        yield threads


def requests(sim):
    return sim.counters()["solve_requests"]


def sent(sim):
    return {request["sha256"] for request in sim.requests("solve")}


def warm_up(house):
    """A job that is solved while all is well."""
    task = job(seed="warm")
    expect.solved(house.run(task), task)


def hang(house):
    """Fills the only slot with a job that is never answered."""
    house.sim.fault("solve:hang*1")
    job_id = house.submit(job(seed="hangs"))
    wait_until(lambda: house.sim.counters()["accepted"] == 1)
    return job_id


def cancel(house, job_id):
    return house.request("DELETE", f"/api/status?id={job_id}")


def breaker_opens(house):
    wait_until(lambda: "upstream main fails" in house.log())


class Held:
    """A request of a job that was written, and is not answered yet."""

    def __init__(self, house, task):
        self._connection = open_blocking(house.url)
        self._connection.request("POST", "/solve", task.body,
                                 {"Content-Type": "application/json", **HELD})

    def waits(self):
        return not select.select([self._connection.sock], [], [], 0)[0]

    def answer(self):
        with contextlib.closing(self._connection):
            return read_answer(self._connection, "POST", "/solve")


def is_read(house, held):
    """Waits until the only worker has surely read a request that was written before."""
    for _ in range(5):
        assert held.waits()
        house.status("h-none")


# ---- the disk ----


def test_a_job_whose_commit_takes_longer_than_its_deadline_is_not_sent(simulator, durable, disk,
                                                                       pool, state):
    sim = simulator(mode="pro", latency=0)
    house = durable(sim, limits={"job_deadline": 1.0})
    warm_up(house)
    disk.slow()
    posted = pool.submit(house.solve, job(), HELD)
    wait_until(lambda: disk.delayed)
    time.sleep(1.1)  # the deadline
    disk.fast()
    body = expect.failed(posted.result(), "deadline")
    assert "not sent" in body["message"] and "not charged" in body["message"]
    assert requests(sim) == 1
    house.stop_well()
    assert assert_ledger_agrees(state, 1)["unknown"] == 0


async def test_what_was_refused_for_the_disk_is_never_sent(simulator, durable, disk, state):
    """Some turns have come, and wait to be stored, when all rows fail. Whether a refusal comes
    first is a matter of luck, so there are many."""
    slots = 10
    sim = simulator(mode="pro", latency=0, faults=[f"solve:slow=1*{slots}"])
    house = durable(sim, workers=4, upstream={"max_in_flight": slots}, admin=LOOPBACK)
    known = {house.submit(job(seed=f"before {seed}")) for seed in range(slots)}
    wait_until(lambda: requests(sim) == slots)
    disk.slow()
    tasks = [job(images=1, size=20, seed=seed) for seed in range(200)]
    lines = [await Connection.open(house.url) for _ in tasks]
    for line, task in zip(lines, tasks):
        await line.send(request_bytes("POST", "/solve", house.host, ASYNC, task.body))
    wait_until(lambda: house.metrics()["solvegate_queue_jobs"] == len(tasks) - slots)
    disk.fail(errno.ENOSPC)
    disk.fast()
    for line in lines:
        expect.error(await line.answer("POST"), 503, "store_unavailable")
        await line.close()
    disk.mend()

    def resumes():
        answer = house.solve(job(seed="after"))
        return answer if answer.status == 200 else None

    known.add(expect.solved(wait_until(resumes), job(seed="after"))["id"])
    for again in (False, True):
        if again:
            house.kill_and_start_again()
        time.sleep(0.6)  # more than it takes until a purchase that could not be stored is sent
        assert requests(sim) == slots + 1
    house.stop_well()
    assert {name for (name,) in rows(state, "SELECT id FROM job")} == known
    assert rows_of(bodies(state), "SELECT count(*) FROM body") == [(0,)]


def test_a_job_that_comes_after_the_refusal_of_its_like_is_sent_by_itself(simulator, durable, disk):
    """The refusal is known, but not yet stored, when the second job comes."""
    sim = simulator(mode="pro", latency=0, faults=["solve:error=no*1"])
    house = durable(sim)
    task = job()
    sim.settled_counters()  # so the bytes that come next are the job's
    sim.freeze()
    first = Held(house, task)
    sim.wait_for_bytes()
    disk.slow()
    sim.thaw()
    wait_until(lambda: "upstream_rejected" in house.log(), pause=0.005)
    second = Held(house, task)
    is_read(house, second)
    assert first.waits()
    disk.fast()
    expect.failed(first.answer(), "upstream_rejected")
    answer = second.answer()
    expect.solved(answer, task)
    assert answer.header("Cache-Status") is None
    assert requests(sim) == 2


@pytest.mark.parametrize("last_is", ["stored", "being stored", "held"])
def test_of_a_purchase_that_was_never_sent_nothing_stays(simulator, durable, disk, pool, state,
                                                         last_is):
    """Whatever the store has, or is about to have, of the last of its jobs when that ends."""
    sim = simulator(mode="pro", latency=0, faults=["solve:status=503"])
    house = durable(sim, results={"ttl": 1}, retry={**QUICK, "attempts": 9, "probe": 600.0},
                    limits={"job_deadline": 2.0})
    for seed in range(3):
        house.submit(job(seed=f"opens {seed}"))
    breaker_opens(house)
    task = job(size=20000)
    if last_is == "being stored":
        disk.slow()
        last = pool.submit(house.solve, task, ASYNC)
        wait_until(lambda: disk.delayed)
        time.sleep(2.5)  # the deadline
        disk.fast()
        expect.failed(house.finish(last.result().object()["id"]), "deadline")
    else:
        first = house.submit(task)
        if last_is == "held":  # no row of it is needed before it ends by itself
            last = Held(house, task)
            is_read(house, last)
        else:
            expect.failed(cancel(house, house.submit(task)), "cancelled")
        expect.failed(cancel(house, first), "cancelled")
        if last_is == "held":
            expect.failed(last.answer(), "deadline")
    for table in ("job", "purchase"):
        wait_until(lambda: rows(state, f"SELECT count(*) FROM {table}") == [(0,)])
    house.stop_well()
    assert rows_of(bodies(state), "SELECT count(*) FROM body") == [(0,)]


_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextlib.contextmanager
def held_by_another(state):
    """Another process keeps everybody else from writing the database."""
    with subprocess.Popen([sys.executable, "-c", _HOLDER, database(state)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.stdin.close()
        assert holder.wait(10) == 0


def test_jobs_that_could_not_be_stored_for_a_while_do_not_queue_for_a_retry(simulator, gateway,
                                                                            state):
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim, durability="full", state_directory=state, upstream={"max_in_flight": 100})
    warm_up(house)
    tasks = [job(images=1, size=20, seed=seed) for seed in range(60)]
    with held_by_another(state):
        posted = [Held(house, task) for task in tasks]
        time.sleep(1.4)  # longer than the store tries at one go
    released = time.monotonic()
    answers = [held.answer() for held in posted]
    assert time.monotonic() - released < patience(5.0)
    refused = [answer for answer in answers if answer.status == 503]
    for answer, task in zip(answers, tasks):
        if answer.status == 503:  # it came when the store had noticed
            expect.error(answer, 503, "store_unavailable")
        else:
            expect.solved(answer, task)
    assert len(refused) < len(tasks) / 2
    assert sim.counters()["charged"] == 1 + len(tasks) - len(refused)


# ---- keys, sites and deadlines over a restart ----


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_an_expired_job_does_not_answer_for_its_key(simulator, durable, restart):
    """One that began before it and ended after it is still kept."""
    sim = simulator(mode="pro", latency=0, faults=["solve:slow=1*1"])
    house = durable(sim, results={"ttl": 4})  # time for a restart on a busy machine
    slow = house.submit(job(seed="slow"))
    wait_until(lambda: requests(sim) == 1)
    task, other = job(seed="keyed"), job(seed="other")
    keyed = expect.solved(house.solve(task, {**KEY, **HELD}), task)["id"]
    expect.solved(house.finish(slow), job(seed="slow"))
    if restart:
        house.kill_and_start_again()
    expect.error(house.solve(other, {**KEY, **HELD}), 422, "key_reused")
    wait_until(lambda: house.status(keyed).status == 404)
    answer = house.solve(other, {**KEY, **HELD})
    new = expect.solved(answer, other)["id"]
    expect.solved(house.status(new), other)
    assert requests(sim) == 3


def test_a_full_queue_still_knows_a_key(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), upstream={"max_in_flight": 1},
                    limits={"queue_jobs": 1})
    hang(house)
    task = job()
    first = expect.pending(house.solve(task, {**KEY, **ASYNC}))["id"]
    assert expect.pending(house.solve(task, {**KEY, **ASYNC}))["id"] == first
    expect.error(house.solve(job(seed="other"), {**KEY, **ASYNC}), 422, "key_reused")
    another = {"Idempotency-Key": "another key", **ASYNC}
    expect.error(house.solve(job(seed="other"), another), 503, "queue_full")
    expect.error(house.solve(job(seed="other"), ASYNC), 503, "queue_full")
    assert requests(house.sim) == 1


def test_a_job_whose_site_was_taken_off_the_list_is_cancelled_at_the_start(simulator, durable,
                                                                           state):
    sim = simulator(mode="pro", latency=0)
    house = durable(sim, sites=[SITE, "other.example.com"], upstream={"max_in_flight": 1})
    hang(house)
    gone, stays = job(seed="gone"), job(seed="stays", site="other.example.com")
    gone_id, stays_id = house.submit(gone), house.submit(stays)
    house.stop_well()
    house = durable(sim, sites=["other.example.com"])
    body = expect.failed(house.status(gone_id), "cancelled")
    assert "not charged" in body["message"]
    expect.solved(house.finish(stays_id), stays)
    assert gone.body_sha256 not in sent(sim)
    house.stop_well()
    assert rows_of(bodies(state), "SELECT count(*) FROM body") == [(0,)]


def test_a_job_that_may_have_been_charged_is_unknown_when_its_site_was_taken_off(simulator,
                                                                                 durable):
    sim = simulator(mode="pro", latency=0)
    house = durable(sim, retry={"on_unknown": "retry"})
    sim.fault("solve:hang")
    job_id = house.submit(job())
    wait_until(lambda: sim.counters()["accepted"] == 1)
    house.kill()
    house.exit_statuses = (house.popen.returncode,)
    sim.clear_faults()
    house = durable(sim, sites=["other.example.com"], retry={"on_unknown": "retry"})
    body = expect.failed(house.status(job_id), "outcome_unknown")
    assert "may have been charged" in body["message"]
    assert sim.counters()["solve_requests"] == 1


def test_identical_jobs_that_are_late_after_a_restart_all_get_the_result(simulator, durable):
    sim = simulator(mode="free", latency=4.0)
    house = durable(sim, limits={"job_deadline": 3.0})
    task = job()
    ids = [expect.pending(house.solve(task))["id"] for _ in range(3)]  # accepted, and stored so
    house.kill()
    time.sleep(3.1)  # the deadline
    house.start_again()
    for job_id in ids:
        expect.solved(house.status(job_id, "&wait=20"), task)
    assert sim.counters()["charged"] == 1


# ---- upstreams in trouble ----


def test_an_upstream_that_fails_for_one_job_only_serves_the_others(gateway):
    def answer(_, body):
        return (503, {}, LATER) if b"poison" in body else (200, {}, SOLVED)

    with Upstream(answer) as upstream:
        house = gateway(upstream=upstream.entry, retry={**QUICK, "probe": 0.3})
        house.submit(job(target="poison"))
        breaker_opens(house)
        good = [house.submit(job(seed=seed)) for seed in range(8)]
        for job_id in good:
            assert house.finish(job_id, 5.0).object()["status"] == "solved"
        house.stop_well()


def test_a_probe_that_hangs_is_the_only_one_until_its_deadline(simulator, gateway):
    sim = simulator(mode="pro", latency=0, faults=["solve:status=503*3", "solve:hang*1"])
    house = gateway(sim, retry={**QUICK, "probe": 0.2}, limits={"job_deadline": 4.0})
    hangs = house.submit(job(seed="hangs"))
    wait_until(lambda: requests(sim) == 4)
    time.sleep(2.0)  # so that the other job has time left then
    task = job()
    job_id = house.submit(task)
    expect.failed(house.status(hangs, "&wait=20"), ("deadline", "outcome_unknown"))
    expect.solved(house.status(job_id, "&wait=20"), task)
    probe, next_probe = [request["time"] for request in sim.requests("solve")][3:]
    assert next_probe - probe > 3.0


def test_a_wish_that_comes_when_the_breaker_is_open_is_followed(gateway):
    """The job was under way when three others opened it."""
    all_have_come, last_may_end = threading.Event(), threading.Event()
    told_at = []

    def answer(number, _):
        if number > 4:
            return 200, {}, SOLVED
        if number < 4:
            all_have_come.wait(patience(10))
            return 503, {}, LATER
        all_have_come.set()
        last_may_end.wait(patience(10))
        told_at.append(time.monotonic())
        return 503, {"Retry-After": "4"}, LATER

    with Upstream(answer) as upstream:
        house = gateway(upstream=upstream.entry, retry={"attempts": 1, "probe": 2.0})
        ids = [house.submit(job(seed=seed)) for seed in range(4)]
        breaker_opens(house)
        last_may_end.set()
        for job_id in ids:
            expect.failed(house.finish(job_id), "upstream_unavailable")
        probe = house.submit(job(seed="probe"))
        assert house.finish(probe).object()["status"] == "solved"
        house.stop_well()
    assert upstream.arrivals[4] - told_at[0] > 3.9


@pytest.mark.parametrize("kind, code", [("html=503", "outcome_unknown"), ("status=503", None)])
def test_a_503_is_only_no_where_the_upstream_says_it_itself(simulator, durable, state, mode, kind,
                                                            code):
    """A proxy's page may hide that the job was taken, as it was by the simulator."""
    sim = simulator(mode=mode, latency=0, faults=[f"solve:{kind}*1"])
    house = durable(sim, retry=QUICK)
    task = job()
    answer = house.solve(task, HELD)
    if code:
        expect.failed(answer, code)
    else:
        expect.solved(answer, task)
    assert requests(sim) == (1 if code else 2)
    assert sim.counters()["charged"] == 1
    house.stop_well()
    assert assert_ledger_agrees(state, 1)["unknown"] == (1 if code else 0)


# ---- retry.on_unknown = "retry" ----

DOUBT = {**QUICK, "on_unknown": "retry"}


def test_a_job_in_doubt_is_charged_so_often_at_most_probes_included(simulator, durable, state):
    sim = simulator(mode="pro", latency=0, faults=["solve:reset"])
    house = durable(sim, retry={**DOUBT, "attempts": 3, "probe": 0.05, "recheck": 0.1})
    tasks = [job(seed=seed) for seed in range(3)]
    ids = [house.submit(task) for task in tasks]
    for job_id in ids:
        expect.failed(house.finish(job_id), "outcome_unknown")
    charges = [request["sha256"] for request in sim.requests("solve") if request["charged"]]
    assert max(charges.count(task.body_sha256) for task in tasks) <= 3
    assert len(charges) > len(tasks), "nothing was tried again"
    house.stop_well()
    assert ledger(state)["unknown"] == len(charges)


def test_a_job_that_was_in_doubt_is_not_said_to_have_cost_nothing(simulator, durable):
    sim = simulator(mode="pro", latency=0, faults=["solve:reset"])
    house = durable(sim, retry={**DOUBT, "attempts": 9, "probe": 30.0},
                    limits={"job_deadline": 3.0})
    sim.freeze()  # both are sent before one of them is sent again
    ids = [house.submit(job(seed=seed)) for seed in range(2)]
    sim.wait_for_bytes(2)
    sim.thaw()
    breaker_opens(house)
    charged = {request["sha256"] for request in sim.requests("solve") if request["charged"]}
    assert len(charged) == 2
    expect.error(cancel(house, ids[0]), 409, "already_sent")
    for job_id in ids:
        body = expect.failed(house.finish(job_id), "deadline")
        assert "not charged" not in body["message"]
        assert "may have been charged" in body["message"]
