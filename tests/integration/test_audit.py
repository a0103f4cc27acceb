"""The audit trail: each refusal and each charge is one line, in a chain that shows what was done to
it, whatever happens to the daemon. What may happen to its file is in test_audit_file.py."""

import asyncio
import collections
import concurrent.futures
import contextlib
import datetime
import http.client
import os
import random
import re

import pytest

from lib import audit, canary, expect
from lib.build import SANITIZE, patience, wait_until
from lib.clients import Client
from lib.crowd import Crowd, Purchases, kill_often
from lib.http import Connection, request_bytes
from lib.job import SITE, TARGET, job
from lib.state import ledger
from lib.trail import assert_whole, lines_of

LONG = bool(os.environ.get("SOLVEGATE_LONG"))
KILLS = 100 if LONG else 8 if SANITIZE is None else 4
IN_FLIGHT = 10

CI = Client("ci")
OTHER = Client("other")
NOBODY = {"apikey": "sgt_nobodyhasthistokenofsolvegate0123456789abcd"}
HELD = {"Prefer": "wait=30"}

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(50) as threads:
        yield threads


def without_frame(record):
    """What a line says, without what makes it a link of the chain, and without its day."""
    assert _TIME.fullmatch(record["time"]), record
    said = datetime.datetime.fromisoformat(record["time"].replace("Z", "+00:00"))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((now - said).total_seconds()) < patience(60.0), record
    assert ("day" in record) == (record["charge"] != 0), record
    if "day" in record:  # of the reservation, so it may be the day before
        day = datetime.date.fromisoformat(record["day"])
        assert said.date() - datetime.timedelta(days=1) <= day <= said.date(), record
    frame = ("seq", "time", "day", "entry", "prev", "hash")
    return {name: value for name, value in record.items() if name not in frame}


def refusal(outcome, client=None, site=None, address="127.0.0.1"):
    return {"event": "refused", "client": client, "address": address, "site": site, "job": None,
            "upstream": None, "outcome": outcome, "charge": 0}


def charge(client, job_id, outcome="solved", charged=1, site=SITE, upstream="main",
           address="127.0.0.1"):
    return {"event": "charged", "client": client, "address": address, "site": site, "job": job_id,
            "upstream": upstream, "outcome": outcome, "charge": charged}


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


async def refuse_often(house, client, count):
    """So many refusals of one client."""
    whole = request_bytes("POST", "/solve", house.host, client.headers, OUTSIDE.body)
    async with await Connection.open(house.url) as connection:
        for _ in range(count // 100):
            await connection.send(whole * 100)
            for _ in range(100):
                expect.error(await connection.answer("POST"), 403, "site_not_allowed")


async def test_a_client_that_is_refused_too_often_leaves_the_others_their_lines(simulator, gateway):
    """Its further refusals are summed up in lines with its name, those of others are not."""
    house = gateway(simulator(), clients=[CI, OTHER], log={"level": "warning"})
    count, others = 16_000 if SANITIZE is None else 2_400, 200

    def told(name):
        return [record for record in audit.records(house.audit_file)
                if record["event"] == "refused" and record["client"] == name]

    def told_all():
        return sum(record.get("count", 1) for record in told("ci")) == count

    await asyncio.gather(*(refuse_often(house, CI, count // 8) for _ in range(8)))
    await refuse_often(house, OTHER, others)
    await asyncio.to_thread(wait_until, told_all, 30.0, "all refusals are told")
    house.stop_well()
    sums = [record for record in told("ci") if record["outcome"] == "summed"]
    if SANITIZE is None:
        assert sums and len(told("ci")) < count
    assert told_all() and [record["outcome"] for record in told("other")] == [
        "site_not_allowed"] * others
    assert told(None) == []
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


@pytest.mark.parametrize("on_unknown", ["fail", "retry"])
def test_however_often_it_is_killed_each_charge_is_one_line(simulator, gateway, mode, on_unknown):
    seed = int(os.environ.get("SOLVEGATE_SEED", random.SystemRandom().randrange(10**9)))
    print(f"SOLVEGATE_SEED={seed}")
    sim = simulator(mode=mode, latency=0.05, jitter=0.04)
    house = gateway(sim, durability="full", upstream={"max_in_flight": IN_FLIGHT},
                    limits={"job_deadline": 3600.0}, results={"bytes": 2**30},
                    retry={"attempts": 50, "on_unknown": on_unknown}, log={"level": "info"})
    crowd, purchases = Crowd(house, random.Random(seed)), Purchases(sim)
    asyncio.run(kill_often(crowd, purchases, random.Random(seed + 1), KILLS))
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


def test_a_file_that_was_removed_is_followed_by_a_new_one_and_reported(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0))
    house.run(job(images=1, size=20, seed=1))
    house.audit_file.unlink()
    house.run(job(images=1, size=20, seed=2))
    wait_until(lambda: f"audit {house.audit_file} was removed" in house.log())
    assert house.audit_file.exists()
