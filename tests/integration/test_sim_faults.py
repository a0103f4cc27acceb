"""The faults of solvegate-sim: when they strike, those that refuse, those that spoil an answer."""

import contextlib
import email.utils
import http.client
import json
import socket
import time

import pytest

from lib.sim_alone import (
    CREDENTIALS, TIMEOUT, faulty, images, raw_solve, shared, solution, start, wait_until)

# Faults: when they strike.

def test_faults_strike_in_order_as_often_as_told_on_their_endpoint(faulty):
    faulty.fault("solve:status=500*2", "status:status=418", "solve:status=503*1")
    assert [faulty.solve().code for _ in range(4)] == [500, 500, 503, 200]
    assert [faulty.status("x").code for _ in range(2)] == [418, 418]
    faulty.call("DELETE", "/sim/faults")
    assert faulty.status("x").code == 404
    assert faulty.counters()["faults"] == 5


def test_faults_can_be_told_on_the_command_line(start):
    sim = start("--fault", "solve:status=500*1", "--fault", "solve:status=502*1")
    assert [sim.solve().code for _ in range(3)] == [500, 502, 200]


def test_a_wrong_fault_is_400_and_none_is_added(faulty):
    answer = faulty.call("POST", "/sim/faults", "solve:status=500\nsolve:nonsense")
    assert answer.code == 400
    assert "nonsense" in answer.json["message"]
    assert faulty.solve().code == 200


def test_there_may_be_256_faults(faulty):
    many = "\r\n\n".join(["status:reset"] * 256)
    assert faulty.call("POST", "/sim/faults", many).code == 200
    assert faulty.call("POST", "/sim/faults", "status:reset").code == 400


# Faults that refuse: nothing is taken.

def assert_uncharged(sim):
    counters = sim.counters()
    assert (counters["faults"], counters["accepted"], counters["charged"]) == (1, 0, 0)


@pytest.mark.parametrize("endpoint", ["solve", "status", "balance"])
def test_a_status_fault_refuses_with_that_code(faulty, endpoint):
    faulty.fault(f"{endpoint}:status=503/2")
    answer = {"solve": faulty.solve, "status": lambda: faulty.status("x"),
              "balance": lambda: faulty.call("GET", "/api/account/balance")}[endpoint]()
    assert (answer.code, answer.headers["Retry-After"]) == (503, "2")
    assert answer.json["status"] == "error" and answer.json["message"]
    assert_uncharged(faulty)


def test_a_status_fault_may_carry_a_date(faulty):
    faulty.fault("solve:status=503/date")
    date = email.utils.parsedate_to_datetime(faulty.solve().headers["Retry-After"])
    assert -TIMEOUT < date.timestamp() - time.time() <= 2


def test_a_status_fault_has_no_retry_after_of_its_own(faulty):
    faulty.fault("solve:status=429")
    assert "Retry-After" not in faulty.solve().headers


def test_a_code_fault_refuses_in_the_body(faulty):
    faulty.fault("solve:code=21")
    answer = faulty.solve()
    assert (answer.code, answer.json["code"], answer.json["retryAfterSec"]) == (200, 21, 1)
    assert answer.json["msg"]
    assert_uncharged(faulty)


def test_an_error_fault_says_its_text(faulty):
    faulty.fault('solve:error=5 * 6 = "thirty"*1')
    answer = faulty.solve()
    assert (answer.code, answer.json) == (200, {"message": '5 * 6 = "thirty"', "status": "error"})
    assert_uncharged(faulty)


def test_an_echo_fault_quotes_the_credentials(faulty):
    faulty.fault("solve:echo")
    answer = faulty.solve().json
    assert answer["status"] == "error"
    assert "the-uid" in answer["message"] and "the-key" in answer["message"]
    assert_uncharged(faulty)


def test_an_early_reset_comes_before_the_body(faulty):
    faulty.fault("solve:reset-early*1")
    head = "POST /api/solve HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    address = (faulty.address.hostname, faulty.address.port)
    with socket.create_connection(address, TIMEOUT) as connection:
        connection.sendall(head.encode())
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert_uncharged(faulty)
    assert faulty.counters()["solve_bytes"] == 0


# Faults that spoil the answer: the job is taken and charged.

def assert_charged(sim):
    counters = sim.counters()
    assert (counters["faults"], counters["accepted"], counters["charged"]) == (1, 1, 1)
    assert sim.requests()[0]["charged"] is True


def test_a_fault_after_the_job_was_refused_changes_nothing(faulty):
    faulty.fault("solve:reset")
    assert faulty.solve(headers={}).code == 401


@pytest.mark.parametrize("mode", ["free", "pro"])
def test_a_skip_is_final(start, mode):
    sim = start("--mode", mode, "--latency", "0.1", "--fault", "solve:skip")
    answer = sim.solve().json
    assert answer["status"] == "skip" and answer["message"]
    assert_charged(sim)
    assert sim.status(sim.requests()[0]["id"]).json == answer
    assert (sim.counters()["solved"], sim.counters()["in_flight"]) == (0, 0)


def test_a_skip_on_status_ends_the_job(start):
    sim = start("--latency", "60", "--fault", "status:skip*1")
    job_id = sim.solve().json["id"]
    assert [sim.status(job_id).json["status"] for _ in range(2)] == ["skip", "skip"]


def test_a_reset_is_a_tcp_reset(faulty):
    faulty.fault("solve:reset*1")
    with raw_solve(faulty) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert_charged(faulty)


def test_a_close_is_an_orderly_end_without_an_answer(faulty):
    faulty.fault("solve:close*1")
    with raw_solve(faulty) as connection:
        assert connection.recv(1) == b""
    assert_charged(faulty)


def test_a_truncated_answer_is_announced_whole_and_ends_half_way(faulty):
    faulty.fault("solve:truncate*1")
    with pytest.raises(http.client.IncompleteRead) as caught:
        faulty.solve()
    received, missing = len(caught.value.partial), caught.value.expected
    assert received > 0 and missing - received in (0, 1)
    assert caught.value.partial.startswith(b'{"createdat":')
    assert_charged(faulty)


def test_a_hung_request_is_never_answered(faulty):
    faulty.fault("solve:hang*1")
    with raw_solve(faulty) as connection:
        wait_until(lambda: faulty.counters()["accepted"] == 1)
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert faulty.counters()["requests_now"] == 1
    assert_charged(faulty)
    wait_until(lambda: faulty.counters()["requests_now"] == 0)


def test_a_dripped_answer_is_right_and_slow(faulty):
    faulty.fault("status:drip*1")
    job_id = faulty.solve().json["id"]
    with contextlib.closing(faulty.connect()) as connection:
        began = time.monotonic()
        connection.request("GET", f"/api/status?id={job_id}")
        response = connection.getresponse()
        assert response.read(3) == b'{"p'
        assert time.monotonic() - began >= 0.5
        assert int(response.headers["Content-Length"]) == len(faulty.status(job_id).body)
    wait_until(lambda: faulty.counters()["requests_now"] == 0)


def test_a_slow_answer_is_right_and_late(faulty):
    faulty.fault("solve:slow=0.3*1")
    began = time.monotonic()
    assert faulty.solve().json["status"] == "new"
    assert time.monotonic() - began >= 0.3
    assert_charged(faulty)


def test_garbage_is_neither_text_nor_json(faulty):
    faulty.fault("solve:garbage")
    with pytest.raises(UnicodeDecodeError):
        faulty.solve().body.decode()
    assert_charged(faulty)


@pytest.mark.parametrize("spec, code", [("html", 200), ("html=502", 502)])
def test_a_page_is_html(faulty, spec, code):
    faulty.fault(f"solve:{spec}")
    answer = faulty.solve()
    assert answer.code == code
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.body.startswith(b"<!DOCTYPE html>")
    assert_charged(faulty)


@pytest.mark.parametrize("kind, body", [
    ("empty", b""), ("notobject", b"[1,2]"), ("numeric", b'{"status":1}'),
    ("huge", b'"' + b"a" * 8 * 1024 * 1024 + b'"'), ("deep", b"[" * 100000 + b"]" * 100000),
], ids=["empty", "notobject", "numeric", "huge", "deep"])
@pytest.mark.parametrize("endpoint", ["solve", "status"])
def test_an_answer_is_replaced(faulty, endpoint, kind, body):
    faulty.fault(f"{endpoint}:{kind}")
    answer = faulty.solve()
    if endpoint == "status":
        answer = faulty.status(answer.json["id"])
    assert (answer.code, answer.body == body) == (200, True)
    assert_charged(faulty)


@pytest.mark.parametrize("mode", ["free", "pro"])
def test_a_queued_answer_without_id_names_no_job(start, mode):
    sim = start("--mode", mode, "--fault", "solve:noid")
    assert set(sim.solve().json) == {"createdat", "status", "target"}
    assert_charged(sim)


@pytest.mark.parametrize("api, prefix", [("1", "/api"), ("2", "")])
@pytest.mark.parametrize("mode", ["free", "pro"])
@pytest.mark.parametrize("endpoint", ["solve", "status"])
def test_a_duplicate_answer_has_three_members_twice(start, api, prefix, mode, endpoint):
    sim = start("--api", api, "--mode", mode, "--fault", f"{endpoint}:duplicate")
    answer = sim.solve(path=f"{prefix}/solve")
    if endpoint == "status":
        answer = sim.status(sim.requests()[0]["id"], f"{prefix}/status")
    pairs = json.loads(answer.body, object_pairs_hook=list)
    names = [name for name, _ in pairs]
    assert {name for name in names if names.count(name) > 1} == {"id", "url", "status"}
    assert dict(pairs)["status"] == "solved"
    assert dict(pairs)["solution"] == solution(images())
    assert_charged(sim)


@pytest.mark.parametrize("kind", ["skip", "noid", "duplicate"])
def test_faults_about_a_job_have_an_answer_for_the_balance_too(faulty, kind):
    faulty.fault(f"balance:{kind}")
    answer = faulty.call("GET", "/api/account/balance", headers=CREDENTIALS)
    assert answer.code == 200 and "plan id" not in answer.json
