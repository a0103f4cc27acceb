"""After a crash or a stop everything goes on where it was; and what a state directory may hold."""

import asyncio
import contextlib
import sqlite3
import subprocess

import pytest

from lib import expect, state as disk
from lib.build import SANITIZE, wait_until
from lib.gateway import upstream_of
from lib.http import Connection
from lib.job import job
from lib.state import assert_ledger_agrees, bodies, bytes_on_disk, database, ledger

HELD = {"Prefer": "wait=30"}
NEVER = 60
HUNG = "solve:hang*1"


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def durable(simulator, gateway, state):
    """Makes a simulator and a gateway that keeps its jobs."""

    def make(latency=0.0, mode="pro", **settings):
        sim = simulator(mode=mode, latency=latency)
        return gateway(sim, durability="full", state_directory=state, **settings)

    return make


@pytest.fixture(params=["kill", "stop"])
def again(request):
    """Ends a gateway in one way or the other, and starts it anew."""

    def restart(house):
        if request.param == "kill":
            house.kill()
        else:
            house.stop_well()
        house.start_again()

    return restart


def sent(house):
    return [request["sha256"] for request in house.sim.requests("solve")]


def requests(house):
    return house.sim.counters()["solve_requests"]


def submit_all(house, count, **arguments):
    tasks = [job(seed=seed, **arguments) for seed in range(count)]
    return tasks, [house.submit(task) for task in tasks]


def hang(house):
    """Fills the only slot with a job that is never answered. Returns its id."""
    house.sim.fault(HUNG)
    job_id = house.submit(job(seed="hangs"))
    wait_until(lambda: house.sim.counters()["accepted"] >= 1)
    return job_id


def test_queued_jobs_go_on_in_their_order(durable, again):
    house = durable(upstream={"max_in_flight": 1})
    hung = hang(house)
    tasks, ids = submit_all(house, 12)
    again(house)
    for task, job_id in zip(tasks, ids):
        expect.solved(house.status(job_id, "&wait=20"), task)
    expect.failed(house.status(hung), "outcome_unknown")
    assert sent(house)[1:] == [task.body_sha256 for task in tasks]


def test_jobs_queued_over_several_starts_keep_their_order(durable):
    house = durable(upstream={"max_in_flight": 1})
    hang(house)
    tasks, ids = submit_all(house, 3)
    house.sim.fault(HUNG)  # takes the first of them
    house.kill_and_start_again()
    wait_until(lambda: requests(house) == 2)
    more = [job(seed=seed) for seed in range(3, 6)]
    ids += [house.submit(task) for task in more]
    house.kill_and_start_again()
    expect.failed(house.status(ids[0], "&wait=20"), "outcome_unknown")
    for task, job_id in list(zip(tasks + more, ids))[1:]:
        expect.solved(house.status(job_id, "&wait=20"), task)
    assert sent(house)[1:] == [task.body_sha256 for task in tasks + more]


def test_accepted_jobs_are_polled_again_and_not_sent_again(durable, again, state):
    house = durable(latency=1.0, mode="free")
    tasks, ids = submit_all(house, 5)
    wait_until(lambda: len({polled["id"] for polled in house.sim.requests("status")}) == 5)
    again(house)
    for task, job_id in zip(tasks, ids):
        expect.solved(house.finish(job_id), task)
    assert requests(house) == 5
    house.stop_well()
    assert ledger(state) == {"open": 0, "charged": 5, "not_charged": 0, "unknown": 0}


def test_accepted_jobs_go_on_at_the_upstream_that_has_them(simulator, gateway, state):
    sims = [simulator(name=f"sim-{n}", latency=3.0) for n in range(2)]
    house = gateway(upstreams=[{"name": f"up-{n}", "priority": n, "max_in_flight": 1,
                                **upstream_of(sim)} for n, sim in enumerate(sims)],
                    durability="full", state_directory=state)
    tasks, ids = submit_all(house, 2)
    wait_until(lambda: all(sim.counters()["status_requests"] for sim in sims))
    house.kill_and_start_again()
    for task, job_id in zip(tasks, ids):
        expect.solved(house.finish(job_id), task)
    assert [sim.counters()["charged"] for sim in sims] == [1, 1]


def test_jobs_that_were_being_sent_are_unknown(durable, state):
    house = durable()
    house.sim.fault("solve:hang")
    _, ids = submit_all(house, 3)
    wait_until(lambda: house.sim.counters()["accepted"] == 3)
    house.kill()
    house.sim.clear_faults()
    house.start_again()
    for job_id in ids:
        expect.failed(house.status(job_id), "outcome_unknown")
    assert requests(house) == 3
    house.stop_well()
    assert ledger(state) == {"open": 0, "charged": 0, "not_charged": 0, "unknown": 3}


def test_jobs_that_were_being_sent_are_sent_again_where_that_is_wanted(durable, state):
    house = durable(retry={"on_unknown": "retry"})
    house.sim.fault("solve:hang")
    tasks, ids = submit_all(house, 3)
    wait_until(lambda: house.sim.counters()["accepted"] == 3)
    house.kill()
    house.sim.clear_faults()
    house.start_again()
    for task, job_id in zip(tasks, ids):
        expect.solved(house.status(job_id, "&wait=20"), task)
    house.stop_well()
    assert_ledger_agrees(state, 6)


def test_a_job_that_waited_before_it_was_being_sent_is_sent_again(durable, state):
    house = durable(retry={"on_unknown": "retry"}, upstream={"max_in_flight": 1})
    house.sim.fault("solve:slow=0.5*1", HUNG)
    tasks, ids = submit_all(house, 2)
    wait_until(lambda: house.sim.counters()["accepted"] == 2)
    house.kill_and_start_again()
    for task, job_id in zip(tasks, ids):
        expect.solved(house.status(job_id, "&wait=20"), task)
    house.stop_well()
    assert requests(house) == 3
    assert_ledger_agrees(state, 3)


def test_results_and_ids_stay(durable, again):
    house = durable()
    tasks, ids = submit_all(house, 5)
    bodies = [expect.solved(house.finish(job_id), task) for task, job_id in zip(tasks, ids)]
    house.sim.fault("solve:error=Wrong target*1")
    failed = expect.failed(house.solve(job(seed="wrong"), HELD), "upstream_rejected")
    for _ in range(2):
        again(house)
        for task, job_id, before in zip(tasks, ids, bodies):
            body = expect.solved(house.status(job_id), task)
            assert {**body, "url": before["url"]} == before  # its port is a new one
        body = house.status(failed["id"]).object()
        assert (body["code"], body["message"]) == (failed["code"], failed["message"])


def test_a_held_job_that_never_had_an_id_costs_nothing_after_a_crash(durable):
    """Its tool saw the connection break and will ask again."""
    house = durable(upstream={"max_in_flight": 1})
    hang(house)

    async def hold_and_kill():
        async with await Connection.open(house.url) as connection:
            task = asyncio.create_task(
                connection.request("POST", "/solve", HELD, job(seed="held").body))
            await asyncio.sleep(0)
            house.submit(job(seed="another"))
            house.kill()
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await task

    asyncio.run(hold_and_kill())
    house.start_again()
    task = job(seed="held")
    expect.solved(house.solve(task, HELD), task)
    assert sent(house).count(task.body_sha256) == 1


def test_the_deadline_of_a_queued_job_counts_the_time_it_was_down(durable):
    house = durable(upstream={"max_in_flight": 1}, limits={"job_deadline": 2.0})
    hang(house)
    job_id = house.submit(job())
    house.kill()
    house.sim.fault("solve:hang")
    house.start_again()
    expect.failed(wait_until(lambda: ended(house, job_id), 8.0), ("deadline", "outcome_unknown"))


def ended(house, job_id):
    answer = house.status(job_id)
    return answer if answer.object()["status"] == "error" else None


def test_a_second_daemon_on_the_directory_refuses_to_start(durable, gateway, state):
    house = durable()
    with pytest.raises(AssertionError, match="ended with [12]:") as refusal:
        gateway(house.sim, name="second", durability="full", state_directory=state)
    assert str(state) in str(refusal.value)
    task = job()
    expect.solved(house.run(task), task)


def make_foreign(path):
    subprocess.run(["/usr/bin/python3", "-c", f"""
import sqlite3
connection = sqlite3.connect({str(path)!r})
connection.execute("CREATE TABLE precious(x)")
connection.execute("INSERT INTO precious VALUES (1)")
connection.commit()"""], check=True)


def change(path, statement):
    subprocess.run(["/usr/bin/python3", "-c", f"""
import sqlite3
connection = sqlite3.connect({str(path)!r})
connection.execute({statement!r})
connection.commit()"""], check=True)


def make_newer(path):
    change(path, "PRAGMA user_version = 1000")


def make_anothers(path):
    change(path, "PRAGMA application_id = 7")


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


NOT_OURS = {
    "no database": lambda path: path.write_bytes(b"These are my notes.\n" * 500),
    "another's database": make_foreign,
    "another's number": make_anothers,
    "a newer version": make_newer,
    "a damaged header": lambda path: overwrite(path, 16, b"\xff" * 84),
}
DAMAGED = {
    "a damaged schema": lambda path: overwrite(path, 100, b"\xff" * 900),
    "half a file": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
}


def contents(directory):
    return {file.name: file.read_bytes() for file in directory.iterdir()}


@pytest.mark.parametrize("file", [database, bodies])
@pytest.mark.parametrize("how", [*NOT_OURS, *DAMAGED])
def test_a_file_that_is_damaged_or_not_ours_is_named_and_left_alone(durable, state, how, file):
    house = durable()
    submit_all(house, 3)
    house.stop_well()
    path = file(state)
    if how == "another's database":
        path.unlink()
    {**NOT_OURS, **DAMAGED}[how](path)
    before = contents(state)
    with pytest.raises(AssertionError, match="ended with [12]:") as refusal:
        house.start_again()
    house.exit_statuses = (house.popen.returncode,)
    assert str(path) in str(refusal.value)
    after = contents(state)
    if how in DAMAGED:  # SQLite needs its index to look into what may be ours
        after = {name: data for name, data in after.items() if name in before}
    assert after == before


def back_up(house, copy):
    """As an operator does, while it runs."""
    with contextlib.closing(sqlite3.connect(database(house.state_directory))) as running, \
            contextlib.closing(sqlite3.connect(copy)) as target:
        running.backup(target)


def refuse_start(house):
    """Starts it, which fails. Returns what it said."""
    with pytest.raises(AssertionError, match="ended with 1:") as refusal:
        house.start_again()
    house.exit_statuses = (house.popen.returncode,)
    return str(refusal.value)


def test_an_older_copy_beside_the_log_of_a_crash_is_refused_and_left_alone(durable, state,
                                                                           tmp_path):
    house, copy = durable(), tmp_path / "copy.db"
    old = house.run(job(seed=0)).object()["id"]
    back_up(house, copy)
    house.stop_well()
    house.start_again()
    house.run(job(seed=1))
    house.kill()
    database(state).write_bytes(copy.read_bytes())
    (state / "jobs.db-shm").unlink()  # it says nothing that the log does not
    before = contents(state)
    said = refuse_start(house)
    assert f"{database(state)} is not the file that the log beside it, jobs.db-wal," in said
    assert {name: data for name, data in contents(state).items() if name in before} == before
    # With the log out of the way it is as good as it was.
    for path in [*state.glob("jobs.db-*"), *state.glob("bodies.db*")]:
        path.rename(tmp_path / path.name)
    house.exit_statuses = (0,)
    house.start_again()
    assert house.status(old).object()["status"] == "solved"


def test_an_older_copy_is_refused_too_where_it_crashed_twice(durable, state, tmp_path):
    house, copy = durable(), tmp_path / "copy.db"
    house.run(job(seed=0))
    back_up(house, copy)
    house.run(job(seed=1))
    house.kill_and_start_again()  # the log is written back whole, and a new one begins
    house.run(job(seed=2))
    house.kill()
    database(state).write_bytes(copy.read_bytes())
    assert "jobs.db-wal, belongs to" in refuse_start(house)


def root_page(file, table):
    uri = f"file:{file}?immutable=1"  # the file by itself: the log stays as it is
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as alone:
        return alone.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?",
                             (table,)).fetchone()[0]


def test_a_file_that_was_half_written_is_mended_by_its_log_and_not_taken_for_another(durable,
                                                                                     state):
    # As by an upgrade that loses power: the place of a new table has rows of another one yet.
    house = durable()
    house.run(job(seed=0))
    house.stop_well()
    house.start_again()
    new = house.run(job(seed=1)).object()["id"]
    house.kill()
    mark, purchase = (root_page(database(state), table) - 1 for table in ("mark", "purchase"))
    pages = bytearray(database(state).read_bytes())
    pages[mark * 4096:(mark + 1) * 4096] = pages[purchase * 4096:(purchase + 1) * 4096]
    database(state).write_bytes(pages)
    house.start_again()
    assert house.status(new).object()["status"] == "solved"


def test_a_copy_of_the_same_log_comes_back_with_all_that_was_written_since(durable, state,
                                                                           tmp_path):
    house, copy = durable(), tmp_path / "copy.db"
    house.run(job(seed=0))
    back_up(house, copy)
    new = house.run(job(seed=1)).object()["id"]
    house.kill()
    database(state).write_bytes(copy.read_bytes())
    house.start_again()
    assert house.status(new).object()["status"] == "solved"
    house.stop_well()
    assert disk.rows(state, "PRAGMA integrity_check") == [("ok",)]


def test_a_lost_file_is_missed_where_jobs_need_it(durable, state):
    house = durable(upstream={"max_in_flight": 1})
    hang(house)
    tasks, ids = submit_all(house, 3)
    house.stop_well()
    aside = state / "aside"
    for path in (database(state), bodies(state)):
        path.rename(aside)
        before = contents(state)
        with pytest.raises(AssertionError, match="ended with [12]:") as refusal:
            house.start_again()
        house.exit_statuses = (house.popen.returncode,)
        assert f"{path} is missing" in str(refusal.value)
        assert contents(state) == before
        aside.rename(path)
    house.start_again()
    house.exit_statuses = (0,)
    for task, job_id in zip(tasks, ids):
        expect.solved(house.status(job_id, "&wait=20"), task)


def test_the_state_is_nobody_elses_to_read(durable, state):
    house = durable()
    task = job()
    expect.solved(house.run(task), task)
    assert state.stat().st_mode & 0o077 == 0
    for file in state.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file


JOBS = 3000 if SANITIZE is None else 300
CEILING = 128 * 2**20


def test_the_files_do_not_grow_with_the_jobs(durable, state):
    """About 250 MB of bodies go through them. Each request has its time limit, all together have
    none: that is a matter of the machine."""
    house = durable(results={"bytes": 2**24}, upstream={"max_in_flight": 50},
                    log={"level": "warning"}, limits={"queue_jobs": 20000})
    largest = 0

    async def tool(numbers):
        nonlocal largest
        async with await Connection.open(house.url) as connection:
            for number in numbers:
                task = job(images=1, size=62_000, seed=number)
                answer = await connection.request("POST", "/solve", {"Prefer": "respond-async"},
                                                  task.body)
                assert answer.status == 200, answer
                path = house.path_of(answer.object()["url"])
                await connection.request("GET", f"{path}&wait=20")
                largest = max(largest, bytes_on_disk(state))

    async def tools():
        await asyncio.gather(*(tool(range(first, JOBS, 30)) for first in range(30)))

    asyncio.run(tools())
    assert house.sim.counters()["charged"] == JOBS
    assert largest < CEILING
    house.stop_well()
    assert bytes_on_disk(state) < CEILING / 2
    assert disk.rows_of(bodies(state), "SELECT count(*) FROM body") == [(0,)]


def test_results_past_their_time_leave_the_file(durable, state):
    house = durable(results={"ttl": 1})
    for seed in range(20):
        expect.solved(house.solve(job(seed=seed), HELD), job(seed=seed))
    wait_until(lambda: disk.rows(state, "SELECT count(*) FROM job") == [(0,)])
    house.stop_well()
    assert disk.rows(state, "SELECT count(*) FROM purchase") == [(0,)]
    assert ledger(state)["charged"] == 20  # which is not forgotten


def test_without_durability_nothing_is_written_but_the_audit(simulator, gateway, state):
    house = gateway(simulator(mode="pro", latency=0), durability="none", state_directory=state)
    task = job()
    expect.solved(house.run(task), task)
    job_id = house.submit(job(seed="async"))
    expect.solved(house.finish(job_id), job(seed="async"))
    house.stop_well()
    assert [path.name for path in state.iterdir()] == ["audit.jsonl"]
