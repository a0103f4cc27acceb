"""The files of the state are removed, renamed or replaced under a running daemon: it accepts and
sends no job from then on, says so, finishes what was sent, and goes on when the same files are
back."""

import concurrent.futures
import fcntl
import shutil

import pytest

from lib import expect, proc
from lib.build import patience, wait_until
from lib.ctl import ctl
from lib.gateway import FINAL, LOOPBACK
from lib.job import job
from lib.operator import ask
from lib.state import assert_ledger_agrees, bodies, database

NOTICED_WITHIN = 5.0
LOCK_CREATED = "the file lock was removed or replaced, and was created again"
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def start(simulator, gateway, state):
    def run(sim=None, **settings):
        return gateway(sim or simulator(mode="pro", latency=0), durability="full",
                       state_directory=state, admin=LOOPBACK, **settings)

    return run


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        yield threads


def away(state):
    return state.with_name("away")


# ---- what may happen to the files ----


def remove_jobs(state):
    database(state).unlink()


def remove_bodies(state):
    bodies(state).unlink()


def remove_log(state):
    (state / "jobs.db-wal").unlink()


def remove_index(state):
    (state / "jobs.db-shm").unlink()


def remove_all(state):
    shutil.rmtree(state)


def rename_jobs(state):
    database(state).rename(state / "jobs.old")


def rename_directory(state):
    state.rename(away(state))


def replace_jobs(state):
    """As a restore without a stop does."""
    copy = state / "jobs.new"
    shutil.copy(database(state), copy)
    copy.rename(database(state))


def replace_directory(state):
    state.rename(away(state))
    shutil.copytree(away(state), state)


def link_elsewhere(state):
    state.rename(away(state))
    other = state.with_name("other")
    other.mkdir()
    state.symlink_to(other)


CHANGES = [remove_jobs, remove_bodies, remove_log, remove_index, remove_all, rename_jobs,
           rename_directory, replace_jobs, replace_directory, link_elsewhere]


def noticed(house):
    wait_until(lambda: "no job is accepted or sent" in house.log(), NOTICED_WITHIN, "it is noticed")


def refuses(house, seed="refused"):
    return expect.error(house.solve(job(seed=seed), ASYNC), 503, "store_unavailable")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_it_is_noticed_while_nothing_happens_and_everybody_is_told(start, state, change):
    house = start()
    known = job(seed="known")
    job_id = expect.solved(house.run(known), known)["id"]
    change(state)
    noticed(house)
    sent = house.sim.counters()["solve_requests"]
    refuses(house)
    expect.solved(house.status(job_id), known)
    assert house.operate("GET", "/readyz").status == 503
    code, out, _ = ctl(house.socket, "status")
    assert code == 0
    assert "! " in out and "the store cannot be used, so jobs are refused" in out, out
    status = ask(house, "/control/status")
    assert status["ready"] is False and status["store"]["well"] is False
    assert status["store"]["problem"] in status["message"]
    assert house.metrics()["solvegate_store_well"] == 0
    assert house.sim.counters()["solve_requests"] == sent
    assert house.log().count("no job is accepted or sent") == 1


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_no_id_leaves_afterwards(start, state, change):
    """Without any time to notice: it is looked before each transaction."""
    house = start()
    expect.solved(house.run(job()), job())
    change(state)
    refuses(house)
    assert house.sim.counters()["charged"] == 1


def held_status(house, pool, job_id):
    """The answer to a status request that the daemon has read, and holds."""
    answer = pool.submit(house.status, job_id, "&wait=30")
    port = int(house.host.rsplit(":", 1)[1])
    wait_until(lambda: proc.connections(port).count(0) >= 1, what="the request is read")
    return answer


def test_what_was_sent_is_finished_and_the_rest_is_told(simulator, start, state, pool):
    sim = simulator(mode="pro", latency=0)
    house = start(sim, upstream={"max_in_flight": 1})
    first, held, queued = job(seed="sent"), job(seed="held"), job(seed="queued")
    sim.freeze()
    sent = pool.submit(house.solve, first, {"Prefer": "wait=60"})
    sim.wait_for_bytes()
    queued_id = house.submit(queued)
    waiting = pool.submit(house.solve, held, {"Prefer": "wait=60"})
    wait_until(lambda: ask(house, "/control/status")["queue"]["jobs"] == 2)
    remove_jobs(state)
    expect.error(waiting.result(patience(NOTICED_WITHIN)), 503, "store_unavailable")
    sim.thaw()
    answer = sent.result(patience(30))
    expect.solved(answer, first)
    expect.solved(house.status(answer.object()["id"]), first)
    expect.pending(house.status(queued_id))
    assert sim.counters()["solve_requests"] == 1
    cancelled = held_status(house, pool, queued_id)
    house.stop_well()
    expect.failed(cancelled.result(), "cancelled")
    assert "all jobs and results are lost" in house.log()
    house.start_again()
    expect.error(house.status(queued_id), 404, "unknown_id")
    expect.solved(house.run(held), held)


def test_one_that_the_upstream_has_is_told_that_its_outcome_is_unknown(simulator, start, state,
                                                                      pool):
    """Where nothing of it will be known after the stop."""
    sim = simulator(mode="free", latency=0, faults=["status:slow=60"])
    house = start(sim, limits={"drain_timeout": 0.5})
    job_id = house.submit(job())
    wait_until(lambda: sim.counters()["accepted"] == 1)
    wait_until(lambda: ask(house, f"/control/job?id={job_id}")["state"]
               == "accepted")
    remove_all(state)
    noticed(house)
    held = held_status(house, pool, job_id)
    house.stop_well()
    expect.failed(held.result(), "outcome_unknown")


@pytest.mark.parametrize("change, back", [
    (rename_directory, lambda state: away(state).rename(state)),
    (rename_jobs, lambda state: (state / "jobs.old").rename(database(state))),
    (link_elsewhere, lambda state: (state.unlink(), away(state).rename(state))),
    (replace_directory, lambda state: (shutil.rmtree(state), away(state).rename(state))),
], ids=["directory renamed", "file renamed", "link", "directory replaced"])
def test_it_goes_on_when_the_same_files_are_back(simulator, start, state, pool, change, back):
    sim = simulator(mode="pro", latency=0)
    house = start(sim, upstream={"max_in_flight": 1})
    told = {}
    before, during, queued = job(seed="before"), job(seed="during"), job(seed="queued")
    told[expect.solved(house.run(before), before)["id"]] = before
    sim.freeze()
    told[house.submit(during)] = during
    sim.wait_for_bytes()
    told[house.submit(queued)] = queued
    change(state)
    noticed(house)
    sim.thaw()
    wait_until(lambda: sum(house.status(i).object()["status"] in FINAL for i in told) == 2)
    refuses(house)
    back(state)
    wait_until(lambda: "all files are there again" in house.log(), NOTICED_WITHIN)
    after = job(seed="after")
    wait_until(lambda: house.operate("GET", "/readyz").status == 200)
    told[expect.solved(house.run(after), after)["id"]] = after
    for job_id, task in told.items():
        expect.solved(house.finish(job_id), task)
    house.stop_well()
    assert assert_ledger_agrees(state, 4)["charged"] == 4
    house.start_again()
    for job_id, task in told.items():
        expect.solved(house.status(job_id), task)


@pytest.mark.parametrize("change", [remove_log, remove_index], ids=lambda change: change.__name__)
def test_a_stop_saves_what_a_removed_log_held(start, state, change):
    house = start()
    task = job()
    job_id = expect.solved(house.run(task), task)["id"]
    change(state)
    noticed(house)
    assert "stop solvegate, which saves what is in it" in house.log()
    house.stop_well()
    assert "everything is saved" in house.log()
    assert_ledger_agrees(state, 1)
    house.start_again()
    expect.solved(house.status(job_id), task)


def test_what_was_renamed_can_be_put_back_after_a_stop(start, state):
    house = start()
    task = job()
    job_id = expect.solved(house.run(task), task)["id"]
    rename_directory(state)
    noticed(house)
    house.stop_well()
    assert "put back what was taken away before the next start" in house.log()
    away(state).rename(state)
    house.start_again()
    expect.solved(house.status(job_id), task)


@pytest.mark.parametrize("change", [replace_jobs, replace_directory],
                         ids=lambda change: change.__name__)
def test_a_stop_leaves_what_was_put_there_alone(start, state, change):
    """It opens as what it was when it was put there, with nothing of the old one mixed in."""
    house = start()
    expect.solved(house.run(job()), job())
    house.stop_well()
    house.start_again()
    task = job(seed="not in the copy")
    change(state)
    job_id = house.solve(task, ASYNC).object().get("id")
    house.stop_well()
    assert job_id is None
    assert ("put back what was taken away before the next start" in house.log()
            or "all jobs and results are lost" in house.log())
    house.start_again()
    assert_ledger_agrees_after_stop(house, state, 1)


def assert_ledger_agrees_after_stop(house, state, charged):
    house.stop_well()
    assert assert_ledger_agrees(state, charged)["charged"] == charged


def test_a_removed_lock_is_created_again(start, gateway, simulator, state):
    house = start()
    (state / "lock").unlink()
    wait_until(lambda: LOCK_CREATED in house.log(), NOTICED_WITHIN)
    task = job()
    expect.solved(house.run(task), task)
    with pytest.raises(AssertionError, match="in use by another solvegate"):
        gateway(simulator(), durability="full", state_directory=state)


def test_a_lock_that_another_process_took_meanwhile_is_respected(start, state):
    """As a second daemon would, which starts just after the file was removed."""
    house = start()
    house.freeze()
    (state / "lock").unlink()
    with open(state / "lock", "w", encoding="utf-8") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        house.thaw()
        noticed(house)
        assert "another solvegate has locked the directory" in house.log()
        refuses(house)
    wait_until(lambda: house.solve(job()).status == 200, NOTICED_WITHIN, "it goes on")
    wait_until(lambda: LOCK_CREATED in house.log())


def test_a_stop_says_what_is_lost_without_any_time_to_notice(start, state):
    house = start()
    remove_all(state)
    house.stop_well()
    assert "all jobs and results are lost" in house.log()


def test_without_bodies_waiting_jobs_are_cancelled_at_the_stop(simulator, start, state):
    sim = simulator(mode="pro", latency=0)
    house = start(sim, upstream={"max_in_flight": 1})
    solved, sent, queued = job(seed="solved"), job(seed="sent"), job(seed="queued")
    solved_id = expect.solved(house.run(solved), solved)["id"]
    sim.freeze()
    sent_id = house.submit(sent)
    sim.wait_for_bytes()
    queued_id = house.submit(queued)
    remove_bodies(state)
    noticed(house)
    sim.thaw()
    expect.solved(house.finish(sent_id), sent)
    house.stop_well()
    assert "jobs that waited were cancelled" in house.log()
    house.start_again()
    expect.solved(house.status(solved_id), solved)
    expect.solved(house.status(sent_id), sent)
    expect.failed(house.status(queued_id), "cancelled")
