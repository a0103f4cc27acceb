"""The write-ahead log of a crash is removed or damaged, or an older jobs.db is put in its place: the
audit file still has the charges, and they count."""

import contextlib
import re
import shutil
import sqlite3

import pytest

from lib import audit, expect, state as disk
from lib.aheadclock import AheadClock
from lib.build import wait_until
from lib.clients import Client, committed, day_with_time_left, ledger_of, limited, wait_until_settled
from lib.job import job
from lib.state import bodies, database

HELD = {"Prefer": "wait=30"}
ASYNC = {"Prefer": "respond-async"}
LOST = r"error the database has lost its last records"

CI = Client("ci", daily_limit=50, monthly_limit=60)
WEB = limited("daily", 10, "web")


@pytest.fixture(autouse=True)
def now():
    return day_with_time_left()


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def durable(simulator, gateway, state):
    def make(mode="pro", latency=0.0, **settings):
        return gateway(simulator(mode=mode, latency=latency), durability="full",
                       state_directory=state, **{"clients": [CI, WEB], **settings})

    return make


def small(number, of="ci"):
    return job(images=1, size=20, seed=f"{of} {number}")


def buy(house, client, count, of="ci"):
    return [expect.solved(house.caller(client).solve(small(number, of), HELD),
                          small(number, of))["id"] for number in range(count)]


def kill(house, charged):
    """kill -9 when so many charges are in the audit file, which comes after the database."""
    audit.wait_for(house.audit_file, lambda records: sum(
        record["event"] == "charged" for record in records) >= charged)
    house.kill()


def log_of(state):
    return state / "jobs.db-wal"


def remove(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def damage_header(path):
    path.write_bytes(b"\0" * 32 + path.read_bytes()[32:])


def cut(path):
    path.write_bytes(path.read_bytes()[:32 + 24 + 4096])  # a header, and a first frame


def damage_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def lost(log):
    """The fields of the error."""
    line = re.search(LOST + r".*", log)
    assert line, log
    assert len(re.findall(LOST, log)) == 1
    return dict(re.findall(r'([a-z]+)=("[^"]*"|\S+)', line.group()))


@pytest.mark.parametrize("how", [remove, empty, damage_header, cut])
def test_what_the_log_had_counts_again_and_is_named(durable, state, how):
    house = durable()
    buy(house, CI, 40)
    buy(house, WEB, 2, "web")
    kill(house, 42)
    how(log_of(state))
    house.start_again()
    found = lost(house.log())
    assert found["charged"] == "42" and found["unknown"] == "0"
    assert found["clients"] in ('"ci 40, web 2"', '"web 2, ci 40"')
    assert str(state) in found["directory"]
    times = [record["time"] for record in audit.charged(house.audit_file)]
    assert (found["first"], found["last"]) == (f"{times[0][:19]}Z", f"{times[-1][:19]}Z")
    assert committed(house, CI) == 40 and committed(house, WEB) == 2
    assert house.caller(CI).usage()["monthly"]["used"] == 40
    house.kill_and_start_again()
    assert "has lost" not in house.log()
    assert committed(house, CI) == 40
    house.stop_well()
    house.start_again()
    assert "has lost" not in house.log()
    assert committed(house, CI) == 40
    buy(house, CI, 10, "more")
    expect.error(house.caller(CI).solve(small("over")), 429, "quota_exceeded")
    house.stop_well()
    assert ledger_of(state, CI)["charged"] == 50
    audit.assert_whole(house.audit_file)


def test_a_bad_frame_in_the_middle_costs_only_what_is_behind_it(durable, state):
    house = durable()
    ids = buy(house, CI, 40)
    kill(house, 40)
    damage_middle(log_of(state))
    house.start_again()
    assert 0 < int(lost(house.log())["charged"]) < 40
    assert house.status(ids[0]).object()["status"] == "solved"
    assert house.status(ids[-1]).status == 404
    assert committed(house, CI) == 40
    house.stop_well()
    assert ledger_of(state, CI)["charged"] == 40


def test_a_log_that_is_whole_is_no_error(durable):
    house = durable()
    buy(house, CI, 5)
    house.kill_and_start_again()
    assert "has lost" not in house.log()
    assert committed(house, CI) == 5


def test_a_crash_in_the_middle_of_the_counting_counts_nothing_twice(durable, state):
    house = durable()
    buy(house, CI, 20)
    kill(house, 20)
    remove(log_of(state))
    for delay in (0.0, 0.005, 0.01, 0.02, 0.03, 0.05):
        house.start_for(delay)
    house.start_again()
    assert committed(house, CI) == 20
    house.stop_well()
    assert ledger_of(state, CI)["charged"] == 20


def test_what_may_have_been_charged_counts_too(durable, state):
    house = durable()
    house.sim.fault("solve:reset*3")
    for number in range(3):
        expect.failed(house.caller(CI).solve(small(number), HELD), "outcome_unknown")
    kill(house, 3)
    remove(log_of(state))
    house.start_again()
    assert lost(house.log())["unknown"] == "3"
    assert committed(house, CI) == 3
    house.stop_well()
    assert ledger_of(state, CI)["unknown"] == 3


def write_back(state):
    """What is in the log so far goes into the file, as it does by and by."""
    with contextlib.closing(sqlite3.connect(database(state))) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0


def test_a_job_that_waits_in_the_file_and_was_bought_is_not_bought_again(durable, state):
    house = durable(upstream={"max_in_flight": 1})
    house.sim.fault("solve:slow=0.5*1")
    tool = house.caller(CI)
    ids = [tool.submit(small(number)) for number in range(4)]
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    write_back(state)
    for job_id in ids:
        assert house.finish(job_id).object()["status"] == "solved"
    kill(house, 4)
    remove(log_of(state))
    house.start_again()
    assert lost(house.log())["charged"] == "4"
    for job_id in ids:
        body = expect.failed(house.status(job_id), "outcome_unknown")
        assert "sent again" in body["message"]
    assert wait_until_settled(house, CI) == 4
    assert house.sim.counters()["solve_requests"] == 4
    house.stop_well()
    assert ledger_of(state, CI) == {"open": 0, "charged": 4, "not_charged": 0, "unknown": 0}
    assert len(audit.charged(house.audit_file)) == 4
    audit.assert_whole(house.audit_file)


@pytest.mark.parametrize("on_unknown", ["fail", "retry"])
def test_a_job_that_waits_is_sent_again_only_where_that_is_wanted(durable, state, on_unknown):
    """Its log is lost, so nobody knows whether it was sent."""
    house = durable(upstream={"max_in_flight": 1}, retry={"on_unknown": on_unknown})
    house.sim.fault("solve:slow=0.5*1", "solve:hang*1")
    tool = house.caller(CI)
    ids = [tool.submit(small(number)) for number in range(3)]
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    write_back(state)
    wait_until(lambda: house.sim.counters()["solve_requests"] == 2)  # the second one hangs
    kill(house, 1)
    remove(log_of(state))
    house.start_again()
    ends = [house.finish(job_id).object() for job_id in ids]
    assert ends[0]["code"] == "outcome_unknown"
    if on_unknown == "retry":
        assert [end["status"] for end in ends[1:]] == ["solved", "solved"]
    else:
        assert [end["code"] for end in ends[1:]] == ["outcome_unknown"] * 2
    assert house.sim.counters()["solve_requests"] == (4 if on_unknown == "retry" else 2)


def test_a_job_that_was_accepted_in_the_file_is_polled_and_counted_once(durable, state):
    house = durable(mode="free", latency=1.0)
    tool = house.caller(CI)
    job_id = tool.submit(small(0))
    wait_until(lambda: house.sim.requests("status"))
    write_back(state)
    assert house.finish(job_id).object()["status"] == "solved"
    kill(house, 1)
    remove(log_of(state))
    house.start_again()
    assert lost(house.log())["charged"] == "1"
    expect.solved(house.finish(job_id), small(0))
    assert wait_until_settled(house, CI) == 1
    house.stop_well()
    assert ledger_of(state, CI)["charged"] == 1
    assert len(audit.charged(house.audit_file)) == 1


def back_up(state, copy):
    with contextlib.closing(sqlite3.connect(database(state))) as running, \
            contextlib.closing(sqlite3.connect(copy)) as target:
        running.backup(target)


@pytest.mark.parametrize("stopped", [True, False])
def test_a_restored_backup_counts_what_was_bought_since(durable, state, tmp_path, stopped):
    house, copy = durable(), tmp_path / "copy.db"
    old = buy(house, CI, 5)[0]
    back_up(state, copy)
    buy(house, CI, 7, "since")
    if stopped:
        house.stop_well()
    else:
        kill(house, 12)
    for path in [*state.glob("jobs.db*"), *state.glob("bodies.db*")]:
        path.rename(tmp_path / path.name)
    shutil.copy(copy, database(state))
    house.start_again()
    assert lost(house.log())["charged"] == "7"
    assert committed(house, CI) == 12
    assert house.status(old).object()["status"] == "solved"
    house.stop_well()
    assert ledger_of(state, CI)["charged"] == 12


def test_a_database_that_is_gone_counts_what_the_audit_has(durable, state):
    house = durable()
    buy(house, CI, 3)
    house.stop_well()
    for path in (database(state), bodies(state)):
        path.unlink()
    house.start_again()
    assert lost(house.log())["charged"] == "3"
    assert committed(house, CI) == 3


@pytest.mark.parametrize("names", [["audit.jsonl.1"], ["audit.jsonl-20261130"], [None]])
def test_a_rotated_audit_file_is_read_too(durable, state, names):
    """But not one that was compressed, or moved elsewhere: then the error says so."""
    house = durable()
    buy(house, CI, 4)
    for name in names:
        house.audit_file.rename(house.audit_file.with_name(name or "elsewhere.jsonl"))
    house.reload()
    audit.wait_for(house.audit_file, lambda records: records[0]["event"] == "opened")
    buy(house, CI, 3, "after")
    kill(house, 3)
    remove(log_of(state))
    house.start_again()
    here = 7 if names != [None] else 3
    assert lost(house.log())["charged"] == str(here)
    assert ("4 of 7 charges" in house.log()) == (here == 3)
    assert committed(house, CI) == here
    house.kill_and_start_again()
    assert "has lost" not in house.log()
    assert committed(house, CI) == here


def test_an_audit_that_is_gone_too_is_no_error_and_its_numbers_go_on(durable, state):
    house = durable()
    buy(house, CI, 4)
    house.stop_well()
    house.audit_file.unlink()
    house.start_again()
    assert "has lost" not in house.log()
    buy(house, CI, 2, "after")
    kill(house, 2)
    assert [record["entry"] for record in audit.charged(house.audit_file)] == [5, 6]
    remove(log_of(state))
    house.start_again()
    assert lost(house.log())["charged"] == "2"
    assert committed(house, CI) == 6


def test_a_charge_counts_again_on_its_own_day(gateway, gate, state, tmp_path):
    """Reserved before midnight, and charged after it."""
    clock = AheadClock(tmp_path / "ahead")
    house = gateway(upstream={**gate.entry, "max_in_flight": 1}, clients=[CI], durability="full",
                    state_directory=state, environment=clock.environment)
    tool = house.caller(CI)
    job_id = tool.submit(small(0))
    gate.wait_for(1)
    clock.set_ahead(days=1)
    gate.let(1)
    house.finish(job_id)
    assert tool.usage()["daily"]["used"] == 0
    kill(house, 1)
    remove(log_of(state))
    house.start_again()
    assert lost(house.log())["charged"] == "1"
    assert tool.usage()["daily"]["used"] == 0
    clock.set_ahead(days=0)
    assert tool.usage()["daily"]["used"] == 1


def test_a_damaged_line_is_not_counted_and_said_to_be_missing(durable, state):
    house = durable()
    buy(house, CI, 5)
    kill(house, 5)
    remove(log_of(state))
    lines = house.audit_file.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"client":"ci"', b'"client":"xx"')
    house.audit_file.write_bytes(b"".join(lines))
    house.start_again()
    assert lost(house.log())["charged"] == "4"
    assert "1 of 5 charges that the database has lost are not counted" in house.log()


def test_a_state_of_the_version_before_is_taken_as_it_is(durable, state):
    """It has not noted the number of its last entry."""
    house = durable()
    buy(house, CI, 3)
    house.stop_well()
    with contextlib.closing(sqlite3.connect(database(state))) as connection, connection:
        connection.executescript("DROP TABLE audited; ALTER TABLE charge DROP COLUMN entry;"
                                 "PRAGMA user_version = 4")
    house.start_again()
    assert "has lost" not in house.log()
    assert committed(house, CI) == 3
    assert disk.rows(state, "SELECT last FROM audited") == [(3,)]
    buy(house, CI, 2, "after")
    kill(house, 5)
    assert [record["entry"] for record in audit.charged(house.audit_file)] == [1, 2, 3, 4, 5]
    remove(log_of(state))
    house.start_again()
    assert committed(house, CI) == 5


@pytest.fixture
def in_flight(durable):
    """A gateway that is sending the first of two jobs, which waited over a stop, and the IDs of the
    two. The audit file has no charge since the start."""
    house = durable(upstream={"max_in_flight": 1}, limits={"drain_timeout": 0.2})
    house.sim.fault("solve:hang*2")
    tool = house.caller(CI)
    tool.submit(small("hangs"))
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    ids = [tool.submit(small(number)) for number in range(2)]
    house.stop_well()
    house.start_again()
    wait_until(lambda: house.sim.counters()["solve_requests"] == 2)
    return house, ids


@pytest.mark.parametrize("how", [remove, empty, damage_header])
def test_a_job_that_was_in_flight_is_not_bought_again_if_its_log_is_lost(in_flight, state, how):
    house, ids = in_flight
    house.kill()
    how(log_of(state))
    house.start_again()
    assert lost(house.log())["ended"] == "2"
    for job_id in ids:
        expect.failed(house.finish(job_id), "outcome_unknown")
    assert house.sim.counters()["solve_requests"] == 2
    house.kill_and_start_again()
    assert "has lost" not in house.log()


def test_a_lock_that_was_created_again_still_shows_that_the_log_is_lost(in_flight, state):
    house, _ = in_flight
    (state / "lock").unlink()
    wait_until(lambda: "lock was removed" in house.log())
    house.kill()
    remove(log_of(state))
    house.start_again()
    assert lost(house.log())["ended"] == "2"


def test_a_log_that_another_program_has_written_back_is_not_lost(in_flight, state):
    """sqlite3(1) does that when it closes the file after a crash."""
    house, ids = in_flight
    house.kill()
    with contextlib.closing(sqlite3.connect(database(state))) as connection:
        connection.execute("SELECT count(*) FROM purchase").fetchall()
    assert not log_of(state).exists()
    house.start_again()
    assert "has lost" not in house.log()
    expect.failed(house.finish(ids[0]), "outcome_unknown")  # it was being sent
    expect.solved(house.finish(ids[1]), small(1))
