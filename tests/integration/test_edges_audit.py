"""The audit at the edges: its file goes away, and a charge stands in it once, under the name of who
paid, whatever came between the charge and the line."""

import errno
import time

import pytest

from lib import audit, expect
from lib.build import patience, wait_until
from lib.clients import Client, ledger_of
from lib.iofault import FaultyDisk
from lib.job import job
from lib.trail import assert_whole, lines_of, verify

CI = Client("ci")
A, B = Client("a"), Client("b")
HELD = {"Prefer": "wait=60"}
ERROR = r"Z error [^\n]*\n"  # a line of the log


def buy(house, seed):
    """Returns the id of a job that was charged."""
    task = job(images=1, size=20, seed=seed)
    return expect.solved(house.solve(task, {**CI.headers, **HELD}), task)["id"]


def refuse(house):
    expect.error(house.get("/balance"), 401, "unauthorized")


def move_away(house):
    old = house.audit_file.with_name("audit.jsonl.1")
    house.audit_file.rename(old)
    return old


def jobs_of(*files):
    return [record["job"] for record in audit.charged(*files)]


# ---- its file goes away ----


def test_a_bad_file_does_not_keep_a_rotated_audit_from_being_begun_anew(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    refuse(house)
    lines_of(house, 1)
    old = move_away(house)
    house.config.write_text(house.config.read_text() + "bogus = 1;\n")
    house.hang_up(ERROR)
    wait_until(house.audit_file.exists, what="there is a new file")  # until then the old one is used
    refuse(house)
    lines_of(house, 1)
    house.stop_well()
    assert len(audit.refused(old)) == 1
    assert_whole(old, house.audit_file)


def buy_when_it_can(house, seed):
    """The same as buy(), where the audit may just have lost its file."""
    task = job(images=1, size=20, seed=seed)

    def taken():
        answer = house.solve(task, {**CI.headers, **HELD})
        return answer if answer.status != 503 else None

    return expect.solved(wait_until(taken, what="a job is taken"), task)["id"]


@pytest.mark.parametrize("durability", ["full", "none"])
@pytest.mark.parametrize("event", ["charged", "refused"])
def test_a_file_that_was_deleted_is_begun_anew(simulator, gateway, event, durability):
    """What was not on disk yet when it was deleted is written once more."""
    house = gateway(simulator(mode="pro", latency=0), clients=[CI], durability=durability)
    before = buy(house, "before")
    lines_of(house, 1)
    house.audit_file.unlink()
    job_id = None
    if event == "charged":
        job_id = buy_when_it_can(house, "after")
    else:
        refuse(house)
    audit.wait_for(house.audit_file, lambda records: records[-1]["event"] == event
                   and records[-1]["job"] == job_id, "the line is there")
    house.stop_well()
    first, *others = audit.records(house.audit_file)
    assert first["event"] == "opened" and first["seq"] == (3 if len(others) == 1 else 2)
    assert [record["job"] for record in others] in ([job_id], [before, job_id])
    assert_whole(house.audit_file)


# ---- once ----


@pytest.mark.parametrize("count", [1, 20])
def test_a_charge_is_not_told_again_in_a_new_file_after_a_clean_stop(simulator, gateway, count):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI], durability="full")
    ids = [buy(house, seed) for seed in range(count)]
    house.stop_well()
    old = move_away(house)
    house.start_again()
    ids.append(buy(house, "afterwards"))
    house.stop_well()
    assert jobs_of(old) + jobs_of(house.audit_file) == ids
    for file in (old, house.audit_file):
        assert_whole(file)


def test_a_charge_that_missed_the_file_comes_after_a_time_without_a_database(simulator, gateway,
                                                                             tmp_path):
    """Those of that time have no numbers, so they take none away."""
    directory = tmp_path / "audit"
    directory.mkdir(mode=0o700)
    disk = FaultyDisk(tmp_path / "control", directory)
    house = gateway(simulator(mode="pro", latency=0), clients=[CI], durability="full",
                    audit={"file": str(directory / "audit.jsonl")}, environment=disk.environment)
    ids = [buy(house, "written")]
    lines_of(house, 1)
    disk.fail(errno.ENOSPC)
    ids.append(buy(house, "missed"))
    wait_until(lambda: disk.failed, what="a write has failed")
    house.kill()
    disk.mend()
    for durability in ("none", "full"):
        house.configure(durability=durability)
        house.start_again()
        ids += [buy(house, f"{durability} {number}") for number in range(3)]
        house.stop_well()
    found = jobs_of(house.audit_file)
    assert sorted(found) == sorted(ids)
    assert_whole(house.audit_file)


# ---- under the name of who paid ----


def test_it_names_who_paid_where_his_job_was_too_late_before_a_crash(simulator, gateway):
    """The other client's job, which shares the purchase, gets the result after the start."""
    sim = simulator(mode="free", latency=5.0)
    house = gateway(sim, clients=[A, B], durability="full", limits={"job_deadline": 2.5})
    task = job()
    first = house.caller(A).submit(task)
    wait_until(lambda: sim.counters()["accepted"] == 1)
    time.sleep(1.2)  # so that the other one has time left when the first has none
    second = house.caller(B).submit(task)
    expect.failed(house.finish(first), "deadline")
    house.kill_and_start_again()
    answer = wait_until(lambda: done(house.status(second, "&wait=20")), patience(30.0))
    expect.solved(answer, task)
    found = lines_of(house, 1)[0]
    house.stop_well()
    assert sim.counters()["charged"] == 1
    assert ledger_of(house.state_directory, A)["charged"] == 1
    assert ledger_of(house.state_directory, B) == dict.fromkeys(
        ledger_of(house.state_directory, B), 0)
    assert (found["client"], found["job"], found["charge"]) == ("a", first, 1)


def done(answer):
    return answer if answer.object()["status"] in ("solved", "error") else None


def test_it_names_who_paid_where_he_was_taken_out_while_his_job_was_under_way(simulator, gateway):
    sim = simulator(mode="free", latency=2.0)
    house = gateway(sim, clients=[A, B], durability="full")
    task = job()
    first = house.caller(A).submit(task)
    wait_until(lambda: sim.counters()["accepted"] == 1)
    second = house.caller(B).submit(task)
    house.reload(clients=[B])
    house.kill_and_start_again()
    for job_id in (first, second):
        expect.solved(house.finish(job_id), task)
    found = lines_of(house, 1)[0]
    house.stop_well()
    assert (found["client"], found["job"], found["charge"]) == ("a", first, 1)
    assert ledger_of(house.state_directory, A)["charged"] == 1
    code, told = verify(house.audit_file)
    assert code == 0, told
