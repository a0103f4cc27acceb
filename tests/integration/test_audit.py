"""The audit trail: each refusal and each charge is one line, in a chain that shows what was done to
it, whatever happens to the daemon and its disk."""

import asyncio
import collections
import concurrent.futures
import contextlib
import datetime
import errno
import http.client
import itertools
import os
import random
import re
import subprocess
import threading

import pytest

from lib import audit, canary, expect
from lib.build import BUILD, SANITIZE, patience, wait_until
from lib.clients import Client
from lib.crowd import Crowd, Purchases
from lib.http import Connection, request_bytes
from lib.iofault import FaultyDisk
from lib.job import SITE, TARGET, job
from lib.state import ledger

LONG = bool(os.environ.get("SOLVEGATE_LONG"))
KILLS = 100 if LONG else 8 if SANITIZE is None else 4
IN_FLIGHT = 10

CI = Client("ci")
OTHER = Client("other")
NOBODY = {"apikey": "sgt_nobodyhasthistokenofsolvegate0123456789abcd"}
ASYNC = {"Prefer": "respond-async"}
HELD = {"Prefer": "wait=30"}

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(50) as threads:
        yield threads


def lines_of(house, count, event=("refused", "charged")):
    """Waits until there are so many lines of these events, and returns them; no more may come."""
    def enough(records):
        found = [record for record in records if record["event"] in event]
        return found if len(found) >= count else None

    found = audit.wait_for(house.audit_file, enough, f"{count} lines of {event}")
    assert len(found) == count, found
    return found


def without_frame(record):
    """What a line says, without what makes it a link of the chain."""
    assert _TIME.fullmatch(record["time"]), record
    said = datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00"))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((now - said).total_seconds()) < patience(60.0), record
    frame = ("seq", "time", "entry", "prev", "hash")
    return {name: value for name, value in record.items() if name not in frame}


def refusal(outcome, client=None, site=None, address="127.0.0.1"):
    return {"event": "refused", "client": client, "address": address, "site": site, "job": None,
            "upstream": None, "outcome": outcome, "charge": 0}


def charge(client, job_id, outcome="solved", charged=1, site=SITE, upstream="main",
           address="127.0.0.1"):
    return {"event": "charged", "client": client, "address": address, "site": site, "job": job_id,
            "upstream": upstream, "outcome": outcome, "charge": charged}


def verify(*paths):
    """solvegatectl audit verify: the exit status, and what it said."""
    done = subprocess.run([BUILD / "solvegatectl", "audit", "verify", *map(str, paths)],
                          capture_output=True, text=True, timeout=patience(60), check=False)
    return done.returncode, done.stdout + done.stderr


def assert_whole(*paths):
    """By an independent reader, and by the product's."""
    audit.assert_whole(*paths)
    code, told = verify(*paths)
    assert code == 0, told


# ---- refusals ----

LIMITED = [CI, OTHER.changed(sites=["other.example"]), Client("hasty", rate=0.001, burst=1),
           Client("spent", daily_limit=1)]
HASTY, SPENT = LIMITED[2:]


def refuse_by_rate(house):
    house.submit(job(seed="first of hasty"), **HASTY.headers)
    return house.solve(job(seed="second of hasty"), HASTY.headers)


def refuse_by_quota(house):
    house.submit(job(seed="first of spent"), **SPENT.headers)
    return house.solve(job(seed="second of spent"), SPENT.headers)


OUTSIDE = job(site="https://Elsewhere.Example:8443/signup?x=1")

# The code of the answer, who and what stands in the line, and how it comes to that.
REFUSALS = {
    "no token": (401, refusal("unauthorized"), lambda house: house.solve(job())),
    "a wrong token": (401, refusal("unauthorized"), lambda house: house.solve(job(), NOBODY)),
    "no token for a balance": (401, refusal("unauthorized"), lambda house: house.get("/balance")),
    "a site on no list": (403, refusal("site_not_allowed", "ci", "elsewhere.example"),
                          lambda house: house.solve(OUTSIDE, CI.headers)),
    "a site that is not the client's": (403, refusal("site_not_allowed", "other", SITE),
                                        lambda house: house.solve(job(), OTHER.headers)),
    "an origin": (403, refusal("forbidden_origin"),
                  lambda house: house.get("/usage", {**CI.headers, "Origin": "http://a.example"})),
    "no origin": (403, refusal("forbidden_origin"),
                  lambda house: house.solve(job(), {**CI.headers, "Origin": "null"})),
    "a host": (403, refusal("forbidden_host"),
               lambda house: house.get("/usage", {**CI.headers, "Host": "a.example"})),
    "the rate": (429, refusal("rate_limited", "hasty", SITE), refuse_by_rate),
    "the quota": (429, refusal("quota_exceeded", "spent", SITE), refuse_by_quota),
}


@pytest.mark.parametrize("durability", ["full", "none"])
@pytest.mark.parametrize("why", REFUSALS)
def test_a_refusal_is_one_line(simulator, gateway, why, durability):
    status, line, provoke = REFUSALS[why]
    house = gateway(simulator(mode="pro", latency=0), clients=LIMITED, durability=durability)
    answer = provoke(house)
    expect.error(answer, status, line["outcome"])
    found = lines_of(house, 1, ("refused",))[0]
    assert without_frame(found) == line
    house.stop_well()
    assert len(audit.refused(house.audit_file)) == 1
    assert_whole(house.audit_file)


def test_a_job_of_another_method_is_a_refusal(simulator, gateway):
    """Its site may have been read by then, or not."""
    house = gateway(simulator(), clients=[CI])
    answer = house.solve(job(method="ocr"), CI.headers)
    expect.error(answer, 403, "method_not_allowed_for_job")
    found = without_frame(lines_of(house, 1)[0])
    assert found.pop("site") in (None, SITE)
    line = refusal("method_not_allowed_for_job", "ci")
    del line["site"]
    assert found == line


def test_a_guesser_who_is_turned_away_is_a_refusal(simulator, gateway, pool):
    house = gateway(simulator(), clients=[CI])
    answers = list(pool.map(lambda _: house.get("/usage", NOBODY).status, range(20)))
    counts = collections.Counter(answers)
    assert set(counts) == {401, 429}, counts
    found = collections.Counter(record["outcome"] for record in lines_of(house, 20))
    assert found == {"unauthorized": counts[401], "rate_limited": counts[429]}


def test_what_is_no_refusal_of_a_client_makes_no_line(simulator, gateway):
    """Nor does what costs nothing: a job that joins, the cache, a repeated key, a rejection."""
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    task, key = job(), {**CI.headers, "Idempotency-Key": "k"}
    expect.solved(house.solve(task, key), task)
    expect.solved(house.solve(task, key), task)
    expect.solved(house.solve(task, CI.headers), task)
    expect.error(house.solve(job(seed="another"), key), 422, "key_reused")
    assert house.get("/nowhere", CI.headers).status == 404
    assert house.request("PUT", "/solve", b"", CI.headers).status == 405
    assert house.solve(job(target=""), CI.headers).status == 400
    assert house.status("h-0123456789abcdefghijkl").status == 404
    house.sim.fault("solve:error=Wrong target*1")
    expect.failed(house.solve(job(seed="wrong"), {**CI.headers, **HELD}), "upstream_rejected")
    house.stop_well()
    assert [record["event"] for record in audit.records(house.audit_file)] == ["opened", "charged"]


def test_a_line_bears_the_address_of_its_client(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    with contextlib.closing(http.client.HTTPConnection(
            house.host, timeout=patience(30), source_address=("127.3.2.1", 0))) as connection:
        for headers in ({}, CI.headers):
            connection.request("POST", "/solve", job().body,
                               {"Content-Type": "application/json", **headers})
            connection.getresponse().read()
    addresses = {record["event"]: record["address"] for record in lines_of(house, 2)}
    assert addresses == {"refused": "127.3.2.1", "charged": "127.3.2.1"}


async def test_more_refusals_than_can_be_written_are_counted(simulator, gateway):
    """One by one while there is room; what is beyond stands in sums, and nothing is left out."""
    count, lanes = 40_000, 8
    house = gateway(simulator(), log={"level": "warning"})
    whole = request_bytes("GET", "/status?id=h-x", house.host, {"Host": "a.example"})

    async def flood():
        async with await Connection.open(house.url) as connection:
            for _ in range(count // lanes // 100):
                await connection.send(whole * 100)
                for _ in range(100):
                    assert (await connection.answer()).status == 403

    await asyncio.gather(*(flood() for _ in range(lanes)))

    def told(records):
        refused = [record for record in records if record["event"] == "refused"]
        return sum(record.get("count", 1) for record in refused), refused

    def all_told():
        number, refused = told(audit.records(house.audit_file))
        return refused if number == count else None

    refused = await asyncio.to_thread(wait_until, all_told, 30.0, "all refusals are told")
    sums = [record for record in refused if "count" in record]
    assert all(record["outcome"] == "summed" and record["count"] > 0 for record in sums)
    if SANITIZE is None:
        assert sums and len(refused) < count
    house.stop_well()
    assert told(audit.records(house.audit_file))[0] == count
    assert_whole(house.audit_file)


# ---- charges ----


@pytest.mark.parametrize("durability", ["full", "none"])
def test_each_charge_is_one_line(simulator, gateway, mode, durability):
    sim = simulator(mode=mode, latency=0.05)
    house = gateway(sim, clients=[CI, OTHER], durability=durability)
    expected = []
    for seed in range(10):
        client = (CI, OTHER)[seed % 2]
        task = job(seed=seed, site=f"https://{SITE.upper()}/signup")
        job_id = house.submit(task, **client.headers)
        expect.solved(house.finish(job_id), task)
        expected.append(charge(client.name, job_id))
    found = lines_of(house, 10)
    assert [without_frame(record) for record in found] == expected
    if durability == "full":
        assert [record["entry"] for record in found] == list(range(1, 11))
    house.stop_well()
    assert_whole(house.audit_file)
    assert sim.counters()["charged"] == 10


FAULTS = {
    "in doubt": ("solve:reset*1", {}, "outcome_unknown", None),
    "garbage": ("solve:garbage*1", {}, "outcome_unknown", None),
    "taken, and too late": ("status:status=500", {"limits": {"job_deadline": 1.0}}, "deadline", 1),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_charge_without_a_solution_is_a_line_too(simulator, gateway, what):
    fault, settings, outcome, charged = FAULTS[what]
    house = gateway(simulator(mode="free", latency=0.1, faults=[fault]), clients=[CI],
                    durability="full", retry={"attempts": 1}, **settings)
    job_id = house.submit(job(), **CI.headers)
    expect.failed(house.finish(job_id), outcome)
    assert without_frame(lines_of(house, 1)[0]) == charge("ci", job_id, outcome, charged)


def test_an_attempt_in_doubt_that_is_made_again_is_a_line_of_its_own(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0, faults=["solve:reset*2"]), clients=[CI],
                    durability="full",
                    retry={"attempts": 4, "base": 0.01, "cap": 0.05, "on_unknown": "retry"})
    task = job()
    job_id = house.submit(task, **CI.headers)
    expect.solved(house.finish(job_id), task)
    found = [without_frame(record) for record in lines_of(house, 3)]
    assert found[2] == charge("ci", job_id)
    for record in found[:2]:
        assert record == charge("ci", job_id, record["outcome"], None)
        assert record["outcome"] != "solved"
    house.stop_well()
    counts = ledger(house.state_directory)
    assert counts == {"open": 0, "charged": 1, "not_charged": 0, "unknown": 2}


def test_of_jobs_that_share_a_purchase_the_payer_has_the_line(simulator, gateway, pool):
    sim = simulator(mode="pro", latency=0.5)
    house = gateway(sim, clients=[CI, OTHER], durability="full")
    task = job()
    first = house.submit(task, **CI.headers)
    wait_until(lambda: sim.counters()["accepted"] == 1)
    joined = [pool.submit(house.solve, task, {**OTHER.headers, **HELD}) for _ in range(5)]
    for answer in joined:
        expect.solved(answer.result(), task)
    house.stop_well()
    found = [without_frame(record) for record in audit.charged(house.audit_file)]
    assert found == [charge("ci", first)]


def test_a_line_names_the_upstream_that_charged(simulator, gateway):
    sims = [simulator(name=f"sim-{n}", mode="pro", latency=0.3) for n in range(2)]
    house = gateway(upstreams=[{"name": f"up-{n}", "url": sim.url, "api": 1, "priority": n,
                                "max_in_flight": 1} for n, sim in enumerate(sims)], clients=[CI])
    tasks = [job(seed=seed) for seed in range(2)]
    ids = [house.submit(task, **CI.headers) for task in tasks]
    for task, job_id in zip(tasks, ids):
        expect.solved(house.finish(job_id), task)
    found = {(record["job"], record["upstream"]) for record in lines_of(house, 2)}
    assert found == {(ids[0], "up-0"), (ids[1], "up-1")}


# ---- what stands in no line ----


def test_no_credential_no_token_and_no_image_is_in_it(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=LIMITED, durability="full")
    for _, _, provoke in REFUSALS.values():
        provoke(house)
    tasks = [job(images=3, size=50, seed=seed) for seed in range(5)]
    for task in tasks:
        headers = {**CI.headers, "uid": canary.CLIENT_UID, "Idempotency-Key": "the-key-of-a-tool"}
        expect.solved(house.solve(task, headers if task is tasks[0] else CI.headers), task)
    house.stop_well()
    text = house.audit_file.read_bytes()
    assert len(audit.charged(house.audit_file)) == 2 + len(tasks)
    secrets = [*canary.STORED, canary.CLIENT_UID, NOBODY["apikey"], "the-key-of-a-tool", TARGET]
    secrets += [text for client in LIMITED for text in (client.token, client.sha256)]
    secrets += [image for task in tasks for image in task.fields["images"].values()]
    found = [secret for secret in secrets if secret.encode() in text]
    assert not found, found
    assert not [image for task in tasks for image in task.images if image in text]


def test_only_its_owner_may_read_it(simulator, gateway):
    house = gateway(simulator(), clients=[CI])
    assert house.audit_file.stat().st_mode & 0o777 == 0o600
    assert house.state_directory.stat().st_mode & 0o777 == 0o700


# ---- kill -9 ----


async def kill_often(crowd, purchases, choices):
    """Kills the gateway again and again while the crowd works."""
    async with crowd.at_work(24):
        for _ in range(KILLS):
            await asyncio.sleep(choices.uniform(0.0, 0.5))
            crowd.house.kill()
            await asyncio.to_thread(purchases.collect)
            crowd.lives += 1
            await asyncio.to_thread(crowd.house.start_again)
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("on_unknown", ["fail", "retry"])
def test_however_often_it_is_killed_each_charge_is_one_line(simulator, gateway, mode, on_unknown):
    seed = int(os.environ.get("SOLVEGATE_SEED", random.SystemRandom().randrange(10**9)))
    print(f"SOLVEGATE_SEED={seed}")
    sim = simulator(mode=mode, latency=0.05, jitter=0.04)
    house = gateway(sim, durability="full", upstream={"max_in_flight": IN_FLIGHT},
                    limits={"job_deadline": 3600.0}, results={"bytes": 2**30},
                    retry={"attempts": 50, "on_unknown": on_unknown}, log={"level": "info"})
    crowd, purchases = Crowd(house, random.Random(seed)), Purchases(sim)
    asyncio.run(kill_often(crowd, purchases, random.Random(seed + 1)))
    crowd.endings(allowed="outcome_unknown")
    house.stop_well()

    assert_whole(house.audit_file)
    charges = audit.charged(house.audit_file)
    counts = ledger(house.state_directory)
    by_charge = collections.Counter(record["charge"] for record in charges)
    assert counts["open"] == 0, counts
    assert (by_charge[1], by_charge[None]) == (counts["charged"], counts["unknown"]), counts
    assert all(record["entry"] for record in charges)
    charged = sim.counters()["charged"]
    assert by_charge[1] <= charged <= len(charges), (by_charge, charged)
    once = collections.Counter(record["job"] for record in charges if record["charge"] == 1)
    assert set(once.values()) == {1}
    if on_unknown == "fail":
        assert len({record["job"] for record in charges}) == len(charges)
    assert len(audit.of_event("opened", house.audit_file)) == 1


def test_a_line_that_a_crash_cut_off_is_told_of(simulator, gateway):
    """The file is made as a crash of the machine may leave it: the end of it is missing."""
    house = gateway(simulator(mode="pro", latency=0), durability="full")
    expect.solved(house.run(job()), job())
    lines_of(house, 1)
    house.kill()
    whole = house.audit_file.read_bytes()
    house.audit_file.write_bytes(whole + b'{"seq":3,"time":"2026-11-22T16:05')
    house.start_again()
    task = job(seed="afterwards")
    expect.solved(house.run(task), task)
    lines_of(house, 2, ("charged",))
    house.stop_well()
    assert [record["event"] for record in audit.records(house.audit_file)] == [
        "opened", "charged", "torn", "charged"]
    assert_whole(house.audit_file)
    assert house.audit_file.read_bytes().startswith(whole)


def test_a_file_that_is_no_audit_is_left_as_it_is_and_named(simulator, gateway, tmp_path):
    house = gateway(simulator(mode="pro", latency=0), durability="full")
    house.stop_well()
    house.audit_file.write_text("my notes\n")
    with pytest.raises(AssertionError, match=str(house.audit_file)):
        house.start_again()
    assert house.popen.returncode in (1, 2)
    assert house.audit_file.read_text() == "my notes\n"
    house.audit_file.unlink()
    house.start_again()


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
        places = re.findall(rf"^{re.escape(str(file))}:(\d+): ", told, re.MULTILINE)
        assert places[:1] == [str(at + 1)], (tamper, at, told)
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


def test_charges_of_a_time_when_the_disk_was_full_come_later(watched, disk, pool):
    """Those jobs were taken before; their results are there all the same."""
    house = watched(upstream={"max_in_flight": 20})
    house.sim.fault("solve:slow=1*10")
    tasks = [job(seed=seed) for seed in range(10)]
    ids = [house.submit(task, **CI.headers) for task in tasks]
    wait_until(lambda: house.sim.counters()["accepted"] == 10)
    disk.fail(errno.ENOSPC)
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
    house.sim.fault("solve:slow=1*10")
    tasks = [job(seed=seed) for seed in range(10)]
    ids = [house.submit(task, **CI.headers) for task in tasks]
    wait_until(lambda: house.sim.counters()["accepted"] == 10)
    disk.fail(errno.ENOSPC, torn=torn)
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
