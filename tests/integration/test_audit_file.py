"""The file of the audit: what was done to it is found at the exact line, it goes on over a
rotation, and a disk that fails loses no line of it."""

import collections
import errno
import itertools
import threading

import pytest

from lib import audit, expect
from lib.build import wait_until
from lib.clients import Client
from lib.iofault import FaultyDisk
from lib.job import job
from lib.trail import assert_whole, faulty_lines, lines_of, verify

CI = Client("ci")
HELD = {"Prefer": "wait=30"}


# ---- tampering ----


def change_one_byte(lines, at):
    lines[at] = lines[at].replace(b'"event":"', b'"event":"x', 1)


def change_a_client(lines, at):
    assert b'"address":"127.0.0.1"' in lines[at]
    lines[at] = lines[at].replace(b'"address":"127.0.0.1"', b'"address":"127.0.0.2"')


def change_the_hash(lines, at):
    digit = lines[at][-3:-2]
    lines[at] = lines[at][:-3] + (b"0" if digit != b"0" else b"1") + lines[at][-2:]


def take_out(lines, at):
    del lines[at]


def swap(lines, at):
    lines[at], lines[at + 1] = lines[at + 1], lines[at]


def double(lines, at):
    lines.insert(at, lines[at - 1])


def cut_in_two(lines, at):
    lines[at:at + 1] = [lines[at][:40], lines[at][40:]]


def put_in(lines, at):
    """A sound line of another chain."""
    lines.insert(at, audit.Chain(seq=at).line(client="ci", outcome="unauthorized"))


TAMPERINGS = [change_one_byte, change_a_client, change_the_hash, take_out, swap, double, cut_in_two,
              put_in]


@pytest.fixture(scope="module")
def trail(shared_simulator, shared_gateway):
    """The lines that a daemon wrote, refusals and charges by turns."""
    house = shared_gateway(shared_simulator(mode="pro", latency=0), clients=[CI], durability="full")
    for seed in range(12):
        house.solve(job(seed=seed), CI.headers)
        house.solve(job(site="a.example"), CI.headers)
    lines_of(house, 24)
    house.stop_well()
    return audit.raw_lines(house.audit_file)


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_a_tampered_file_is_found_at_the_exact_line(trail, tmp_path, tamper):
    file = tmp_path / "audit.jsonl"
    audit.write(file, trail)
    assert_whole(file)
    for at in (1, 2, 11, 12, 22):
        lines = list(trail)
        tamper(lines, at)
        audit.write(file, lines)
        code, told = verify(file)
        assert code == 1, told
        assert faulty_lines(file, told)[:1] == [at + 1], (tamper, at, told)
        assert audit.faults(file)[0][1] == at + 1


# ---- rotation ----


def rotate(house, number):
    """As logrotate does it."""
    old = house.audit_file.with_name(f"audit.jsonl.{number}")
    house.audit_file.rename(old)
    house.hang_up("reloaded ")
    return old


def test_after_rotation_it_goes_on_in_a_new_file(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI], durability="full")
    files = []
    for number in range(3):
        task = job(seed=number)
        expect.solved(house.solve(task, CI.headers), task)
        expect.error(house.solve(task), 401, "unauthorized")
        audit.wait_for(house.audit_file, lambda records: {r["event"] for r in records} >= {
            "opened", "refused", "charged"})
        files.append(rotate(house, number))
    wait_until(house.audit_file.exists, what="there is a new file")
    house.stop_well()
    files.append(house.audit_file)
    for file in files:
        assert audit.records(file)[0]["event"] == "opened"
        assert file.stat().st_mode & 0o777 == 0o600
    assert_whole(*files)
    assert [record["entry"] for record in audit.charged(*files)] == [1, 2, 3]
    for wrong in (files[::-1], files[:1] + files[2:]):
        code, told = verify(*wrong)
        assert code == 1, told
    house.start_again()
    task = job(seed="after the start")
    expect.solved(house.solve(task, CI.headers), task)
    house.stop_well()
    assert_whole(*files)
    assert [record["entry"] for record in audit.charged(*files)] == [1, 2, 3, 4]


def test_a_reload_without_rotation_goes_on_in_the_same_file(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    for number in range(4):
        house.hang_up("reloaded ")
        expect.error(house.get("/balance"), 401, "unauthorized")
        lines_of(house, number + 1)
    house.stop_well()
    assert len(audit.of_event("opened", house.audit_file)) == 1
    assert_whole(house.audit_file)


def test_rotation_under_load_loses_no_line(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0.002), clients=[CI], durability="full",
                    upstream={"max_in_flight": 50})
    stopping, seeds = threading.Event(), itertools.count()
    counts, lock, failures = collections.Counter(), threading.Lock(), []

    def work():
        try:
            while not stopping.is_set():
                task = job(images=1, seed=next(seeds))
                expect.solved(house.solve(task, {**CI.headers, **HELD}), task)
                answer = house.solve(job(site="a.example"), CI.headers)
                expect.error(answer, 403, "site_not_allowed")
                with lock:
                    counts.update(["charged", "refused"])
        except Exception as error:  # the thread's end is told by the test
            failures.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    files = []
    for number in range(10):
        goal = counts["charged"] + 20
        wait_until(lambda: counts["charged"] >= goal or failures)
        wait_until(house.audit_file.exists)
        files.append(rotate(house, number))
    stopping.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    house.stop_well()
    files.append(house.audit_file)
    assert_whole(*files)
    found = collections.Counter(record["event"] for record in audit.records(*files))
    assert found == {"opened": len(files), **counts}


# ---- a disk that fails ----


@pytest.fixture
def disk(gateway, tmp_path):
    """A disk of the audit's own. Needs the gateway fixture, so that it is well when they stop."""
    directory = tmp_path / "audit"
    directory.mkdir(mode=0o700)
    faulty = FaultyDisk(tmp_path / "control", directory)
    faulty.file = directory / "audit.jsonl"
    yield faulty
    faulty.mend()


@pytest.fixture
def watched(simulator, gateway, disk):
    """Makes a gateway whose audit is on that disk."""

    def make(durability="full", **settings):
        house = gateway(simulator(mode="pro", latency=0), clients=[CI], durability=durability,
                        audit={"file": str(disk.file)}, environment=disk.environment, **settings)
        assert disk.calls > 0, "the library is not in the way of the daemon's calls"
        return house

    return make


def refuse_until_sick(house):
    """Refusals make lines, which cannot be written: then no job is taken any more. Returns how many
    there were."""
    number = 0

    def sick():
        nonlocal number
        number += 1
        expect.error(house.get("/balance"), 401, "unauthorized")
        answer = house.solve(job(seed="well"), CI.headers)  # from the cache, if it is taken at all
        return answer if answer.status != 200 else None

    answer = wait_until(sick, 10.0, "it sees that the disk is full", 0.1)
    expect.error(answer, 503, "store_unavailable")
    assert int(answer.header("Retry-After")) >= 1
    return number


def recover(house, seed):
    """The disk is well again. Waits for a job to be taken."""
    task = job(seed=seed)

    def taken():
        answer = house.solve(task, {**CI.headers, **HELD})
        return answer if answer.status != 503 else None

    expect.solved(wait_until(taken, 10.0, "the service resumes", 0.1), task)


@pytest.mark.parametrize("durability", ["full", "none"])
@pytest.mark.parametrize("error, torn", [(errno.ENOSPC, False), (errno.ENOSPC, True),
                                         (errno.EIO, False)], ids=["full", "torn", "broken"])
def test_while_it_cannot_be_written_no_job_is_taken(watched, disk, durability, error, torn):
    house = watched(durability)
    well = job(seed="well")
    job_id = expect.solved(house.caller(CI).run(well), well)["id"]
    refused = 0
    for number in range(3):
        disk.fail(error, torn=torn)
        refused += refuse_until_sick(house)
        charged = house.sim.counters()["charged"]
        for _ in range(5):
            answer = house.solve(job(seed=f"refused {number}"), CI.headers)
            expect.error(answer, 503, "store_unavailable")
        expect.solved(house.status(job_id), well)
        assert house.sim.counters()["charged"] == charged
        disk.mend()
        recover(house, f"after {number}")
    house.stop_well()
    assert_whole(disk.file)
    assert len(audit.charged(disk.file)) == 4
    assert len(audit.refused(disk.file)) == refused
    assert house.sim.counters()["charged"] == 4


def test_charges_of_a_time_when_the_disk_was_full_come_later(watched, disk):
    """Those jobs were taken before; their results are there all the same."""
    house = watched(upstream={"max_in_flight": 20})
    house.sim.freeze()
    tasks = [job(seed=seed) for seed in range(10)]
    ids = [house.submit(task, **CI.headers) for task in tasks]
    house.sim.wait_for_bytes(10)
    disk.fail(errno.ENOSPC)
    house.sim.thaw()
    for task, job_id in zip(tasks, ids):
        expect.solved(house.finish(job_id), task)
    assert audit.charged(disk.file) == []
    disk.mend()
    found = audit.wait_for(disk.file, lambda records: [
        record for record in records if record["event"] == "charged"][9:] and records)
    assert sorted(record["job"] for record in found if record["job"]) == sorted(ids)
    house.stop_well()
    assert_whole(disk.file)


@pytest.mark.parametrize("torn", [False, True], ids=["full", "torn"])
def test_charges_survive_a_crash_while_the_disk_was_full(watched, disk, torn):
    house = watched(upstream={"max_in_flight": 20})
    house.sim.freeze()
    tasks = [job(seed=seed) for seed in range(10)]
    ids = [house.submit(task, **CI.headers) for task in tasks]
    house.sim.wait_for_bytes(10)
    disk.fail(errno.ENOSPC, torn=torn)
    house.sim.thaw()
    for task, job_id in zip(tasks, ids):
        expect.solved(house.finish(job_id), task)
    wait_until(lambda: disk.failed, what="a write has failed")
    house.kill()
    disk.mend()
    house.start_again()
    house.stop_well()
    assert_whole(disk.file)
    assert sorted(record["job"] for record in audit.charged(disk.file)) == sorted(ids)


def test_a_slow_disk_of_the_audit_holds_nobody_up(watched, disk):
    house = watched()
    expect.solved(house.caller(CI).run(job(seed="well")), job(seed="well"))
    disk.slow()
    expect.error(house.get("/balance"), 401, "unauthorized")
    wait_until(lambda: disk.delayed, what="it waits for the disk")
    for seed in range(20):
        task = job(seed=seed)
        expect.solved(house.solve(task, {**CI.headers, **HELD}), task)
    disk.fast()
    house.stop_well()
    assert len(audit.charged(disk.file)) == 21
    assert_whole(disk.file)


def test_a_rotated_file_that_cannot_be_made_anew_loses_nothing(watched, disk):
    house = watched()
    expect.error(house.get("/balance"), 401, "unauthorized")
    audit.wait_for(disk.file, lambda records: len(records) >= 2)
    disk.fail(errno.ENOSPC)
    old = rotate(house, 0)
    expect.error(house.get("/balance"), 401, "unauthorized")
    disk.mend()
    house.hang_up("reloaded ")
    recover(house, "afterwards")
    wait_until(disk.file.exists, what="there is a new file")
    house.stop_well()
    assert_whole(old, disk.file)
    assert len(audit.refused(old, disk.file)) == 2
    assert len(audit.charged(old, disk.file)) == 1
