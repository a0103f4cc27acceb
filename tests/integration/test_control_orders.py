"""What operators order: cancel, drain, resume, reload; and that they are heard whatever the tools'
side is busy with."""

import concurrent.futures
import signal
import socket
import threading

import pytest

from lib import expect, openapi
from lib.build import patience, wait_until
from lib.clients import Client
from lib.flood import IDLE, idle_connections, needs_files
from lib.gateway import DRAIN_TIMEOUT
from lib.job import job
from lib.operator import ask, jobs, moment, order

HELD = {"Prefer": "wait=30"}
NEVER = 60

CI = Client("ci")
OTHER = Client("other")
ORDERS = ["drain", "resume", "reload"]


@pytest.fixture
def start(simulator, gateway):
    def run(latency=0, **settings):
        return gateway(simulator(mode="pro", latency=latency), **settings)

    return run


def cancel(house, job_id):
    return house.operate("DELETE", f"/control/job?id={job_id}")


# ---- cancel ----


@pytest.mark.parametrize("durability", ["none", "full"])
def test_a_job_of_any_client_is_cancelled(start, durability):
    house = start(latency=NEVER, upstream={"max_in_flight": 1}, clients=[CI], durability=durability)
    house.submit(job(seed=0), **CI.headers)
    waits = house.submit(job(seed=1), **CI.headers)
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    answer = cancel(house, waits)
    assert answer.status == 200, answer
    assert ask(house, f"/control/job?id={waits}")["code"] == "cancelled"
    failed = expect.failed(house.status(waits), "cancelled")
    assert "by the operator" in failed["message"]
    assert cancel(house, waits).status == 200  # as often as one likes
    assert house.sim.counters()["solve_requests"] == 1


def test_a_job_that_was_sent_is_not_cancelled(start):
    house = start(latency=NEVER)
    job_id = house.submit(job())
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    expect.error(cancel(house, job_id), 409, "already_sent")


def test_a_job_that_may_have_been_charged_is_not_cancelled_and_tells_its_trouble(start):
    house = start(retry={"on_unknown": "retry", "base": 60.0, "cap": 60.0})
    house.sim.fault("solve:reset*1")
    job_id = house.submit(job())
    shown = wait_until(lambda: told_trouble(house, job_id))
    assert (shown["state"], shown["attempts"]) == ("queued", 1)
    expect.error(cancel(house, job_id), 409, "already_sent")
    expect.error(house.request("DELETE", f"/api/status?id={job_id}"), 409, "already_sent")
    house.stop_well()
    assert f"job job={job_id} outcome=outcome_unknown" in house.log()


def told_trouble(house, job_id):
    shown = ask(house, f"/control/job?id={job_id}")
    return shown if shown["trouble"] else None


def test_a_job_that_has_ended_is_not_cancelled(start):
    house = start()
    task = job()
    job_id = expect.solved(house.solve(task, HELD), task)["id"]
    expect.error(cancel(house, job_id), 409, "already_sent")
    expect.solved(house.status(job_id), task)


# ---- drain and resume ----


def test_after_drain_no_job_is_taken_and_what_there_is_goes_on(start):
    house = start(latency=0.5, upstream={"max_in_flight": 1})
    tasks = [job(seed=seed) for seed in range(3)]
    ids = [house.submit(task) for task in tasks]
    assert order(house, "drain") == {"state": "drained"}
    refusal = house.solve(job(seed=9))
    drained = openapi.document().tree["components"]["examples"]["drained"]["value"]
    assert expect.error(refusal, 503, "draining")["message"] == drained["message"]
    assert refusal.header("Retry-After") == "30"
    expect.error(house.solve(tasks[0]), 503, "draining")  # not even one that would cost nothing
    expect.error(house.operate("GET", "/readyz"), 503, "draining")
    assert house.operate("GET", "/healthz").status == 200
    status = ask(house, "/control/status")
    assert (status["state"], status["ready"]) == ("drained", False)
    assert "solvegatectl resume" in status["message"]
    for job_id, task in zip(ids, tasks):
        expect.solved(house.status(job_id, "&wait=20"), task)
    assert jobs(house)["total"] == 0
    assert order(house, "resume") == {"state": "taking"}
    assert ask(house, "/control/status")["ready"]
    task = job(seed=9)
    expect.solved(house.solve(task, HELD), task)


def test_who_repeats_a_job_is_answered_while_drained(start):
    house = start()
    task, key = job(), {**HELD, "Idempotency-Key": "again"}
    first = expect.solved(house.solve(task, key), task)
    order(house, "drain")
    assert expect.solved(house.solve(task, key), task)["id"] == first["id"]


def test_an_order_that_is_repeated_changes_nothing(start):
    house = start()
    for name, state in (("resume", "taking"), ("drain", "drained"), ("drain", "drained"),
                        ("resume", "taking")):
        assert order(house, name) == {"state": state}
    assert house.log().count("no more jobs are taken;") == 1


def test_a_start_takes_jobs_again(start):
    house = start(durability="full")
    order(house, "drain")
    house.stop_well()
    house.start_again()
    assert ask(house, "/control/status")["state"] == "taking"


def test_what_waits_while_drained_is_kept_over_a_stop(start):
    house = start(latency=NEVER, upstream={"max_in_flight": 1}, durability="full")
    house.submit(job(seed=0))
    waits = house.submit(job(seed=1))
    wait_until(lambda: house.sim.counters()["solve_requests"] == 1)
    order(house, "drain")
    house.stop_well()
    house.start_again()
    assert ask(house, f"/control/job?id={waits}")["state"] in ("queued", "sending")


def test_a_stop_cannot_be_taken_back(start):
    house = start(limits={"drain_timeout": 20.0})
    house.sim.freeze()
    house.submit(job())
    house.sim.wait_for_bytes()
    house.signal(signal.SIGTERM)
    wait_until(lambda: ask(house, "/control/status")["state"] == "stopping", pause=0.005)
    expect.error(house.operate("POST", "/control/resume"), 503, "draining")
    expect.error(house.operate("POST", "/control/reload"), 503, "draining")
    house.sim.thaw()
    assert house.wait(10) == 0


# ---- reload ----


def test_a_reload_is_in_force_when_it_is_answered(start):
    house = start(clients=[CI])
    before = ask(house, "/control/status")["configuration"]
    house.configure(clients=[OTHER])
    answer = order(house, "reload")
    assert answer["ok"] is True and answer["message"] and answer["restart_needed"] == ""
    task = job()
    expect.error(house.solve(task, CI.headers), 401, "unauthorized")
    expect.solved(house.solve(task, {**HELD, **OTHER.headers}), task)
    after = ask(house, "/control/status")["configuration"]
    assert after["last_reload"]["ok"] is True
    assert after["last_reload"]["message"] == answer["message"]
    assert moment(after["loaded"]) >= moment(before["loaded"])


@pytest.mark.parametrize("change", [{"clients": [OTHER]},
                                    {"clients": [CI], "sites": ["elsewhere.example.com"]}])
def test_a_reload_tells_how_many_waiting_jobs_it_has_cancelled(start, change):
    house = start(latency=NEVER, clients=[CI], upstream={"max_in_flight": 1})
    ids = [house.submit(job(seed=seed), **CI.headers) for seed in range(4)]
    wait_until(lambda: house.sim.counters()["accepted"] == 1)
    house.configure(**change)
    assert "waiting jobs: 3 cancelled" in order(house, "reload")["message"]
    states = [ask(house, f"/control/job?id={job_id}")["state"] for job_id in ids]
    assert states.count("cancelled") == 3
    assert "waiting jobs" not in order(house, "reload")["message"]


def test_a_reload_counts_those_who_cannot_pay_for_what_they_had_joined(start):
    poor = Client("poor", daily_limit=1)
    house = start(latency=NEVER, clients=[CI, poor], upstream={"max_in_flight": 1})
    house.submit(job(seed="sent"), **poor.headers)
    wait_until(lambda: house.sim.counters()["accepted"] == 1)
    ids = [house.submit(job(seed="shared"), **client.headers) for client in (CI, poor)]
    house.configure(clients=[poor])
    assert "waiting jobs: 2 cancelled" in order(house, "reload")["message"]
    for job_id in ids:
        expect.failed(house.finish(job_id), "cancelled")


def test_a_reload_tells_of_jobs_that_it_leaves_without_another_try(start):
    retry = {"on_unknown": "retry", "base": 60.0, "cap": 60.0}
    house = start(retry=retry)
    house.sim.fault("solve:reset*1")
    job_id = house.submit(job())

    def comes_back():
        shown = told_trouble(house, job_id)
        return shown and shown["state"] == "queued"

    wait_until(comes_back)
    house.configure(retry={**retry, "on_unknown": "fail"})
    assert "waiting jobs: 1 not sent again" in order(house, "reload")["message"]
    expect.failed(house.finish(job_id), "outcome_unknown")


def test_a_bad_file_is_refused_with_what_is_wrong(start):
    house = start(clients=[CI])
    house.config.write_text(house.config.read_text() + "orgins = [ ];\n")
    refusal = house.operate("POST", "/control/reload")
    message = expect.error(refusal, 422, "not_reloaded")["message"]
    assert str(house.config) in message and "origins" in message
    told = ask(house, "/control/status")["configuration"]["last_reload"]
    assert (told["ok"], told["message"]) == (False, message)
    task = job()
    expect.solved(house.solve(task, {**HELD, **CI.headers}), task)
    house.configure()
    assert order(house, "reload")["ok"] is True


def test_keys_that_take_a_restart_are_told(start):
    house = start()
    house.configure(workers=3, durability="full")
    assert order(house, "reload")["restart_needed"] == "workers, durability"
    told = ask(house, "/control/status")["configuration"]
    assert told["restart_needed"] == "workers, durability"
    house.config.write_text("x")
    assert house.operate("POST", "/control/reload").status == 422
    told = ask(house, "/control/status")["configuration"]
    assert told["restart_needed"] == "workers, durability"  # that is still so
    house.configure(workers=2, durability="none")
    assert order(house, "reload")["restart_needed"] == ""


def test_a_reload_by_a_signal_is_told_too(start):
    house = start()
    house.reload()
    assert ask(house, "/control/status")["configuration"]["last_reload"]["ok"] is True


def test_each_who_asks_at_once_is_answered_when_his_change_is_in_force(start):
    """Who comes while a reload is under way waits for the next, which reads the file again."""
    house = start(clients=[CI], workers=4)
    clients = [CI]
    lock = threading.Lock()

    def add(n):
        mine = Client(f"c{n}")
        with lock:
            clients.append(mine)
            house.configure(clients=list(clients))
        assert order(house, "reload")["ok"] is True
        return house.solve(job(seed=n), {**HELD, **mine.headers}), n

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for answer, n in pool.map(add, range(24)):
            expect.solved(answer, job(seed=n))


def test_an_operator_who_has_closed_his_sending_side_is_told_how_it_went(start):
    house = start(clients=[CI], workers=4)
    house.configure(clients=[OTHER])
    with socket.socket(socket.AF_UNIX) as half:
        half.settimeout(patience(10))
        half.connect(str(house.socket))
        half.sendall(b"POST /control/reload HTTP/1.1\r\nHost: localhost\r\n\r\n")
        half.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: half.recv(65536), b""))
    assert answer.split()[1] == b"200" and b'"ok":true' in answer, answer
    assert ask(house, "/control/clients")["clients"][0]["name"] == "other"


# ---- the requests themselves ----


@pytest.mark.parametrize("name", ORDERS)
def test_an_order_takes_post_only_with_whatever_body(start, name):
    house = start()
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        refusal = house.operate(method, f"/control/{name}")
        assert (refusal.status, refusal.header("Allow")) == (405, "POST")
    for body, headers in ((None, {}), (b"", {}), (b"{}", {"Content-Type": "application/json"}),
                          (b"x" * 1000, {"Content-Type": "text/plain"})):
        assert house.operate("POST", f"/control/{name}", body, headers).status == 200
    order(house, "resume")


def test_a_body_that_is_no_order_is_refused(start):
    house = start()
    for size in (200000, 65537):
        refusal = house.operate("POST", "/control/drain", b"x" * size)
        expect.error(refusal, 413, "too_large")
        assert ask(house, "/control/status")["state"] == "taking"
    assert house.operate("POST", "/control/drain", b"x" * 65536).status == 200


# ---- under load ----


@needs_files
def test_operators_are_heard_while_5000_idle_connections_and_a_full_queue_hold_the_port(start):
    house = start(latency=NEVER, upstream={"max_in_flight": 1}, durability="full",
                  limits={"connections": IDLE, "connections_per_address": IDLE, "queue_jobs": 20,
                          "header_timeout": 600.0, "drain_timeout": DRAIN_TIMEOUT})
    for seed in range(21):
        house.submit(job(seed=seed))
    expect.error(house.solve(job(seed="beyond")), 503, "queue_full")
    with idle_connections(house):
        wait_until(lambda: ask(house, "/control/status")["connections"]["open"] >= IDLE)
        # After a second, a silent connection makes room for a request of the same address.
        code = house.get("/status?id=h-none").object()["code"]
        assert code in ("too_many_connections", "unknown_id")
        status = ask(house, "/control/status")
        assert (status["queue"]["jobs"], status["queue"]["max"]) == (20, 20)
        assert (status["ready"], status["in_flight"]) == (False, 1)
        assert jobs(house)["total"] == 21
        last = jobs(house)["jobs"][-1]["id"]
        assert cancel(house, last).status == 200
        assert order(house, "reload")["ok"] is True
        assert order(house, "drain") == {"state": "drained"}
        assert house.operate("GET", "/metrics").status == 200
