"""The metrics on the admin address: they are true."""

import errno
import re
import shutil
import ssl
import subprocess
import threading
import time

import pytest

from lib import expect, operator
from lib.build import REPOSITORY, patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK, upstream_of
from lib.http import Connection, request
from lib.iofault import FaultyDisk
from lib.job import SITE, job
from lib.state import ledger
from lib.tls import make_certificate
from lib.upstream import SOLVED, Upstream

HELD = {"Prefer": "wait=30"}
CI = Client("ci")
OTHER = Client("other")
NEVER = 60

ENDS = {"solved", "upstream_rejected", "upstream_unavailable", "deadline", "cancelled",
        "outcome_unknown"}
NAMES = {
    "solvegate_build_info": "gauge",
    "solvegate_start_time_seconds": "gauge",
    "solvegate_connections": "gauge",
    "solvegate_tls_handshakes_failed_total": "counter",
    "solvegate_body_pauses_total": "counter",
    "solvegate_log_lines_lost_total": "counter",
    "solvegate_config_last_reload_successful": "gauge",
    "solvegate_config_last_reload_timestamp_seconds": "gauge",
    "solvegate_certificate_expiry_timestamp_seconds": "gauge",
    "solvegate_store_well": "gauge",
    "solvegate_audit_well": "gauge",
    "solvegate_charges_total": "counter",
    "solvegate_charges_unknown_total": "counter",
    "solvegate_queue_jobs": "gauge",
    "solvegate_queue_purchases": "gauge",
    "solvegate_queue_bytes": "gauge",
    "solvegate_bodies_parsed_off_loop_total": "counter",
    "solvegate_jobs_total": "counter",
    "solvegate_results_total": "counter",
    "solvegate_solve_seconds": "histogram",
    "solvegate_in_flight": "gauge",
    "solvegate_upstream_up": "gauge",
    "solvegate_upstream_requests_total": "counter",
    "solvegate_upstream_balance": "gauge",
    "solvegate_http_requests_total": "counter",
}
RESULTS = {"final", "pending", "rejected", "try_later", "not_sent", "unclear", "broken_off"}


@pytest.fixture
def certificate(authority, tmp_path):
    return make_certificate(tmp_path, authority, "server", "IP:127.0.0.1")


def with_tls(files):
    return {**LOOPBACK, "tls": {"certificate": str(files.certificate), "key": str(files.key)}}


def ask(house, method, target, headers=None, body=None):
    return request(house.admin_url, method, target, body, headers)


def jobs(house):
    """How many jobs ended, by outcome."""
    return labelled(house, "solvegate_jobs_total", "outcome")


def results(house):
    """How many jobs were solved, by source."""
    return labelled(house, "solvegate_results_total", "source")


def labelled(house, name, label):
    pattern = re.compile(rf'{name}{{{label}="([^"]*)"}}')
    matches = ((pattern.fullmatch(sample), n) for sample, n in house.metrics().items())
    return {match[1]: n for match, n in matches if match}


def charges(house, upstream="main"):
    """(charged, perhaps charged) of the only client there is."""
    samples = house.metrics()
    labels = f'{{client="local",upstream="{upstream}"}}'
    return tuple(samples.get(name + labels, 0)
                 for name in ("solvegate_charges_total", "solvegate_charges_unknown_total"))


# ---- the page ----


def test_every_metric_has_a_help_and_a_type(start):
    house = start()
    answer = ask(house, "GET", "/metrics")
    assert answer.header("Content-Type") == "text/plain; version=0.0.4"
    text = answer.body.decode()
    assert text.endswith("\n")
    assert dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)) == NAMES
    assert re.findall(r"^# HELP (\S+) \S.*\.$", text, re.MULTILINE) == list(NAMES)
    assert re.search(r"^# HELP solvegate_log_lines_lost_total .*not written\.$", text, re.MULTILINE)


def test_the_page_of_the_metrics_names_each_with_its_type_and_labels(
    simulator, gateway, certificate
):
    house = everything(simulator, gateway, certificate)
    text = ask(house, "GET", "/metrics").body.decode()
    labels = {name: set() for name in NAMES}
    for sample in re.findall(r"^solvegate_.+(?= )", text, re.MULTILINE):
        name, _, pairs = sample.partition("{")
        name = name if name in NAMES else re.sub("_(bucket|sum|count)$", "", name)
        labels[name] |= set(re.findall(r'(\w+)="', pairs)) - {"le"}
    labels["solvegate_charges_unknown_total"] = labels["solvegate_charges_total"]  # there is none
    rows = re.findall(r"^\| `(solvegate_\w+)` \| (\w+) \|(.*?)\| \S.* \|$",
                      (REPOSITORY / "docs" / "metrics.md").read_text(), re.MULTILINE)
    assert [(name, kind, set(re.findall(r"\w+", those))) for name, kind, those in rows] == [
        (name, kind, labels[name]) for name, kind in NAMES.items()]


def test_the_samples_of_a_metric_stand_behind_its_type(start):
    house = start()
    expect.solved(house.solve(job(), HELD), job())
    name = None
    for line in ask(house, "GET", "/metrics").body.decode().splitlines():
        if line.startswith("# TYPE"):
            name = line.split()[2]
        elif not line.startswith("#"):
            parts = "(_bucket|_sum|_count)" if NAMES[name] == "histogram" else ""
            assert re.match(rf"{name}{parts}[ {{]", line), line


def test_a_counter_whose_labels_are_known_begins_at_zero(start):
    house = start()
    assert jobs(house) == dict.fromkeys(ENDS, 0)
    assert results(house) == {"upstream": 0, "cache": 0, "collapsed": 0}


def everything(simulator, gateway, files):
    """A gateway on whose page each metric has samples, and two upstreams that have seen trouble."""
    sims = [simulator(mode=mode, api=api, latency=0.02, name=f"s{api}")
            for mode, api in (("free", 1), ("pro", 2))]
    house = gateway(sims[0], admin=LOOPBACK, listen=[LOOPBACK, with_tls(files)], clients=[CI, OTHER], poll={"balance": 0.1},
                    retry={"base": 0.02, "cap": 0.05}, upstreams=[
                        {"name": f"u{n}", "priority": n, **upstream_of(sim)}
                        for n, sim in enumerate(sims)])
    for client in (CI, OTHER):
        for seed in range(2):
            task = job(seed=seed)
            expect.solved(house.solve(task, {**HELD, **client.headers}), task)
    sims[0].fault("solve:code=3")
    task = job(seed="elsewhere")
    expect.solved(house.solve(task, {**HELD, **CI.headers}), task)
    sims[1].fault("solve:code=12")
    expect.failed(house.solve(job(seed="not"), {**HELD, **CI.headers}), "upstream_rejected")
    house.reload()
    wait_until(lambda: len(labelled(house, "solvegate_upstream_balance", "upstream")) == 2)
    return house


def test_promtool_finds_nothing_wrong_with_a_page_that_has_everything(
    simulator, gateway, certificate
):
    assert shutil.which("promtool"), "promtool is missing: scripts/test fetches it"
    house = everything(simulator, gateway, certificate)
    page = ask(house, "GET", "/metrics").body
    for name in NAMES:
        if name != "solvegate_charges_unknown_total":
            assert re.search(rf"^{name}(_count)?[ {{]", page.decode(), re.MULTILINE), name
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True,
                          timeout=patience(20), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_no_label_has_a_value_of_a_request(simulator, gateway, certificate):
    house = everything(simulator, gateway, certificate)
    strange = "x-strange-x"
    for path in (f"/{strange}", f"/api/status?id={strange}", f"/api/solve?{strange}"):
        house.get(path)
        ask(house, "GET", path)
        house.operate("GET", path)
    house.request(strange.upper(), "/api/solve")
    house.solve(job(site=f"{strange}.example"), {"apikey": strange})
    house.solve(job(site=f"{strange}.example", target=strange),
                {**CI.headers, "Idempotency-Key": strange, "User-Agent": strange})
    house.operate("GET", f"/control/jobs?client={strange}")
    house.operate("GET", f"/control/job?id={strange}")
    page = ask(house, "GET", "/metrics").body.decode()
    assert strange not in page.lower()
    known = {
        "version": None,
        "le": None,
        "client": {"ci", "other"},
        "upstream": {"u0", "u1"},
        "outcome": ENDS,
        "source": {"upstream", "cache", "collapsed"},
        "endpoint": None,  # those of tools, and those of upstreams
        "code": None,
        "result": RESULTS,
        "listener": {house.urls[1].removeprefix("https://")},
    }
    for name, value in re.findall(r'([a-z_]+)="([^"]*)"', page):
        assert known[name] is None or value in known[name], (name, value)


def test_both_doors_of_operators_show_the_same_page(simulator, gateway, certificate):
    house = everything(simulator, gateway, certificate)

    def shape(text):
        return [line.rsplit(" ", 1)[0] for line in text.decode().splitlines()]

    assert shape(house.operate("GET", "/metrics").body) == shape(ask(house, "GET", "/metrics").body)


# ---- the process ----


def test_the_process_tells_its_version_its_start_and_its_connections(start):
    before = time.time()
    house = start()
    samples = house.metrics()
    builds = [name for name in samples if name.startswith("solvegate_build_info")]
    assert len(builds) == 1 and re.search(r'{version="\d+\.\d+\.\d+"}', builds[0])
    assert samples[builds[0]] == 1
    assert before - 1 <= samples["solvegate_start_time_seconds"] <= time.time() + 1
    assert samples["solvegate_store_well"] == samples["solvegate_audit_well"] == 1


@pytest.mark.parametrize("what, site", [("store", SITE), ("audit", "a.example")])
def test_a_disk_that_cannot_be_written_is_seen_until_it_can(start, tmp_path, what, site):
    """A job goes to the store, one that is refused to the audit."""
    state = tmp_path / "state"
    state.mkdir()
    disk = FaultyDisk(tmp_path / "control", state)
    house = start(durability="full", state_directory=state, environment=disk.environment)

    def well():
        sample = house.metrics()[f"solvegate_{what}_well"]
        assert operator.ask(house, "/control/status")[what]["well"] in (True, False)
        return sample == 1

    assert well()
    disk.fail(errno.EIO)
    house.solve(job(site=site), {"Prefer": "respond-async"})
    wait_until(lambda: not well())
    disk.mend()
    wait_until(well)


async def test_connections_of_tools_are_seen(start):
    house = start()
    assert house.metrics()["solvegate_connections"] == 0
    async with await Connection.open(house.url) as connection:
        await connection.request("GET", "/status?id=h-none")
        assert house.metrics()["solvegate_connections"] == 1
    wait_until(lambda: house.metrics()["solvegate_connections"] == 0)


def test_the_last_reload_is_seen_good_or_bad(start):
    house = start()

    def last():
        samples = house.metrics()
        return (samples["solvegate_config_last_reload_successful"],
                samples["solvegate_config_last_reload_timestamp_seconds"])

    good, at_start = last()
    assert good == 1
    house.config.write_text("x")
    house.hang_up("not reloaded")
    wait_until(lambda: last()[0] == 0, what="the bad one is seen")  # after its line
    _, at_failure = last()
    assert at_failure > at_start
    house.reload()
    wait_until(lambda: last()[0] == 1, what="the good one is seen")
    _, at_end = last()
    assert at_end > at_failure


def test_the_end_of_each_certificate_that_is_shown_is_told(
    simulator, gateway, authority, tmp_path, certificate
):
    house = gateway(simulator(), admin=LOOPBACK, listen=[LOOPBACK, with_tls(certificate)])
    name = "solvegate_certificate_expiry_timestamp_seconds"
    address = house.urls[1].removeprefix("https://")
    assert labelled(house, name, "listener") == {address: end_of(certificate)}
    other = make_certificate(tmp_path, authority, "other", "IP:127.0.0.1", days=300)
    house.reload(listen=[LOOPBACK, with_tls(other)])
    wait_until(lambda: labelled(house, name, "listener") == {address: end_of(other)})
    assert end_of(other) > end_of(certificate)


def end_of(files):
    text = subprocess.run(["openssl", "x509", "-in", files.certificate, "-noout", "-enddate"],
                          check=True, capture_output=True, text=True, timeout=60).stdout
    return ssl.cert_time_to_seconds(text.strip().split("=")[1])


# ---- upstreams ----


def test_requests_to_upstreams_are_counted_by_how_they_ended(simulator, start):
    sim = simulator(mode="free", latency=0.05)
    house = start(sim, retry={"base": 0.02, "cap": 0.05}, poll={"balance": 1000.0, "first": 0.02})
    sim.fault("solve:status=503*1")
    task = job()
    expect.solved(house.solve(task, HELD), task)
    samples = house.metrics()

    def count(endpoint, result):
        return samples["solvegate_upstream_requests_total"
                       f'{{upstream="main",endpoint="{endpoint}",result="{result}"}}']

    assert (count("solve", "try_later"), count("solve", "pending")) == (1, 1)
    assert count("status", "final") == 1
    polls = sum(count("status", result) for result in RESULTS)
    assert polls == len(sim.requests("status"))
    wait_until(lambda: house.metrics()["solvegate_upstream_requests_total"
               '{upstream="main",endpoint="balance",result="final"}'] == 1)
    assert len(sim.requests("balance")) == 1


@pytest.mark.parametrize("api", [1, 2])
def test_a_balance_is_seen_once_it_is_known(simulator, start, api):
    name = 'solvegate_upstream_balance{upstream="main"}'
    sim = simulator(mode="pro", api=api, latency=0, faults=["balance:status=500"])
    house = start(sim, poll={"balance": 0.1})
    wait_until(lambda: sim.counters()["balance_requests"] >= 2)
    assert name not in house.metrics()
    sim.clear_faults()
    wait_until(lambda: name in house.metrics())
    told = operator.ask(house, "/control/balance")["balances"][0]["balance"]
    wanted = told["planlimit"] - told["used"] if api == 1 else told["Balance"]
    assert house.metrics()[name] == pytest.approx(wanted)


# ---- how long it takes ----


def test_solutions_are_measured_from_the_job_s_coming_and_those_of_the_cache_are_not(start):
    both_have_come = threading.Event()

    def answer(number, _):
        if number > 1:
            return 200, {}, {"status": "error", "message": "no such luck"}
        both_have_come.wait()
        time.sleep(0.3)  # what is measured
        return 200, {}, SOLVED

    with Upstream(answer) as upstream:
        house = start(upstream=upstream.entry)
        before = time.monotonic()
        ids = [house.submit(job()) for _ in range(2)]
        both_have_come.set()
        for job_id in ids:
            assert house.finish(job_id).object()["status"] == "solved"
        spent = time.monotonic() - before
        assert house.solve(job(), HELD).header("Cache-Status") == "solvegate; hit"
        expect.failed(house.solve(job(seed=1), HELD), "upstream_rejected")
    samples = house.metrics()
    assert samples["solvegate_solve_seconds_count"] == 2
    assert 0.5 < samples["solvegate_solve_seconds_sum"] <= 2 * spent
    buckets = labelled(house, "solvegate_solve_seconds_bucket", "le")
    assert buckets["0.1"] == buckets["0.25"] == 0
    assert buckets["+Inf"] == buckets["300"] == 2
    counts = [buckets[bound] for bound in sorted(buckets, key=float)]
    assert counts == sorted(counts)


# ---- charges ----


def test_charges_are_those_of_the_simulator(simulator, start, mode, api):
    sim = simulator(mode=mode, api=api, latency=0.02)
    house = start(sim)
    for seed in range(7):
        expect.solved(house.run(job(seed=seed)), job(seed=seed))
    assert sim.counters()["charged"] == 7
    assert charges(house) == (7, 0)


def test_what_is_refused_is_not_charged(start):
    house = start()
    house.sim.fault("solve:error=no*3")
    for seed in range(3):
        expect.failed(house.solve(job(seed=seed), HELD), "upstream_rejected")
    assert charges(house) == (0, 0)
    assert jobs(house)["upstream_rejected"] == 3


def test_what_may_have_been_charged_is_counted_apart(start):
    house = start()
    house.sim.fault("solve:reset*2")
    for seed in range(2):
        expect.failed(house.solve(job(seed=seed), HELD), "outcome_unknown")
    expect.solved(house.solve(job(seed="well"), HELD), job(seed="well"))
    assert charges(house) == (1, 2)
    assert jobs(house) == {**dict.fromkeys(ENDS, 0), "outcome_unknown": 2, "solved": 1}


def test_charges_are_told_apart_by_upstream(simulator, start):
    sims = {name: simulator(name=name, mode="pro", latency=0) for name in ("first", "second")}
    house = start(sims["first"], upstreams=[
        {"name": name, "priority": n, **upstream_of(sim)}
        for n, (name, sim) in enumerate(sims.items())])
    expect.solved(house.solve(job(seed=0), HELD), job(seed=0))
    sims["first"].fault("solve:code=3")
    for seed in (1, 2):
        expect.solved(house.solve(job(seed=seed), HELD), job(seed=seed))
    assert charges(house, "first") == (1, 0)
    assert charges(house, "second") == (2, 0)


def test_charges_go_on_over_a_stop(start):
    house = start(durability="full")
    for seed in range(3):
        expect.solved(house.solve(job(seed=seed), HELD), job(seed=seed))
    house.stop_well()
    house.start_again()
    assert charges(house) == (3, 0)
    expect.solved(house.solve(job(seed=3), HELD), job(seed=3))
    assert charges(house) == (4, 0)


def test_a_job_that_was_being_sent_at_a_crash_may_have_been_charged(simulator, start, tmp_path):
    state = tmp_path / "state"
    sim = simulator(mode="pro", latency=NEVER)
    house = start(sim, durability="full", state_directory=state)
    job_id = house.submit(job())
    wait_until(lambda: sim.counters()["solve_requests"] == 1)
    house.kill_and_start_again()
    expect.failed(house.status(job_id), "outcome_unknown")
    assert charges(house) == (0, 1)
    assert jobs(house)["outcome_unknown"] == 1
    house.stop_well()
    assert ledger(state)["unknown"] == 1


def test_what_ended_before_a_start_is_not_counted_again(start):
    house = start(durability="full")
    job_id = expect.solved(house.solve(job(), HELD), job())["id"]
    house.stop_well()
    house.start_again()
    expect.solved(house.status(job_id), job())
    assert jobs(house)["solved"] == 0
    assert results(house)["upstream"] == 0


# ---- results ----


def test_results_are_counted_by_where_they_come_from(start, gate):
    house = start(upstream=gate.entry)
    task = job()
    ids = [house.submit(task) for _ in range(3)]
    gate.let(1)
    for job_id in ids:
        assert house.finish(job_id).object()["status"] == "solved"
    assert house.solve(task, HELD).object()["status"] == "solved"
    assert results(house) == {"upstream": 1, "collapsed": 2, "cache": 1}
    assert jobs(house)["solved"] == 4
    assert charges(house) == (1, 0)


def test_a_job_that_ends_by_itself_is_counted_by_its_error(simulator, start):
    sim = simulator(mode="pro", latency=NEVER)
    house = start(sim, upstream={"max_in_flight": 1}, limits={"job_deadline": 3600.0})
    house.submit(job(seed="sent"))
    wait_until(lambda: sim.counters()["solve_requests"] == 1)
    house.reload(limits={"drain_timeout": 0.3, "job_deadline": 3.0})  # the first one keeps its own
    late, cancelled = house.submit(job(seed="late")), house.submit(job(seed="cancelled"))
    assert house.request("DELETE", f"/status?id={cancelled}").status == 200
    expect.failed(house.status(late, "&wait=20"), "deadline")
    counts = jobs(house)
    assert (counts["deadline"], counts["cancelled"]) == (1, 1)


# ---- what there is now ----


def test_the_queue_and_what_is_in_flight_are_seen_and_go_again(start, vendor):
    house = start(upstream={**vendor.entry, "max_in_flight": 2})
    tasks = [job(seed=seed) for seed in range(5)]
    for task in tasks:
        house.submit(task)
    for _ in range(2):
        house.submit(tasks[4])
    vendor.wait_for("solve", 2)
    samples = wait_until(lambda: with_queue_bytes(house, sum(len(t.body) for t in tasks[2:])))
    assert samples["solvegate_queue_jobs"] == 5
    assert samples["solvegate_queue_purchases"] == 3
    assert samples['solvegate_in_flight{upstream="main"}'] == 2
    vendor.finish()
    wait_until(lambda: nothing_left(house.metrics()), 20.0, "all jobs have ended", 0.1)


def with_queue_bytes(house, expected):
    """The samples, once the bodies that were sent have gone."""
    samples = house.metrics()
    return samples if samples["solvegate_queue_bytes"] == expected else None


def nothing_left(samples):
    return not any(samples[name] for name in (
        "solvegate_queue_jobs", "solvegate_queue_purchases", "solvegate_queue_bytes",
        'solvegate_in_flight{upstream="main"}'))


def test_jobs_that_wait_for_their_next_try_are_in_the_queue(simulator, start):
    sim = simulator(mode="pro", latency=0)
    sim.fault("solve:status=503")
    house = start(sim, retry={"base": 30.0, "cap": 30.0, "probe": 30.0, "attempts": 10})
    for seed in range(3):
        house.submit(job(seed=seed))
    wait_until(lambda: sim.counters()["solve_requests"] >= 3)
    wait_until(lambda: all_wait(house.metrics(), 3))


def all_wait(samples, count):
    return (samples["solvegate_queue_jobs"] == samples["solvegate_queue_purchases"] == count
            and samples['solvegate_in_flight{upstream="main"}'] == 0)


def test_the_queue_is_seen_after_a_start(simulator, start):
    sim = simulator(mode="pro", latency=NEVER)
    house = start(sim, upstream={"max_in_flight": 1}, durability="full")
    for seed in range(4):
        house.submit(job(seed=seed))
    house.submit(job(seed=3))
    wait_until(lambda: sim.counters()["solve_requests"] == 1)
    house.kill_and_start_again()
    wait_until(lambda: sim.counters()["solve_requests"] == 2)
    samples = house.metrics()
    assert samples["solvegate_queue_jobs"] == 3
    assert samples["solvegate_queue_purchases"] == 2


def test_an_upstream_that_fails_or_refuses_is_down_until_it_is_well(simulator, start):
    sim = simulator(mode="pro", latency=0)
    house = start(sim, retry={"base": 0.02, "cap": 0.1, "recheck": 0.5})

    def up():
        return house.metrics()['solvegate_upstream_up{upstream="main"}']

    assert up() == 1
    sim.fault("solve:code=3")
    expect.failed(house.solve(job(seed="refused"), HELD), "upstream_rejected")
    assert up() == 0
    sim.clear_faults()

    def taken():
        return house.solve(job(seed="well"), HELD).status == 200

    wait_until(taken, 10.0, "the account is tried again", 0.1)
    wait_until(lambda: up() == 1)
