"""The faults of solvegate-sim: when they strike, those that refuse, those that spoil an answer."""

import contextlib
import email.utils
import http.client
import json
import os
import socket
import time

import pytest

from lib.sim_alone import (
    ACCOUNT, CREDENTIALS, TIMEOUT, Simulator, faulty, images, raw_answer, raw_solve, shared,
    solution, start, wait_until)
from lib.tls import make_authority, make_certificate

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


HEAD = "POST /api/solve HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"


def test_an_early_refusal_does_not_wait_for_the_body(faulty):
    faulty.fault("solve:early=413*1")
    with faulty.open() as connection:
        connection.sendall(HEAD.encode())
        code, body, rest = raw_answer(connection)
        assert (code, json.loads(body)["status"], rest) == (413, "error", b"")
        assert connection.recv(1) == b""
    assert_uncharged(faulty)
    assert faulty.counters()["solve_bytes"] == 0


def test_an_early_refusal_resets_a_connection_with_unread_data(faulty):
    faulty.fault("solve:early=429*1")
    with faulty.open() as connection:
        connection.sendall(HEAD.replace("100", "10000000").encode())
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(1000):
                connection.sendall(bytes(10_000))
    assert_uncharged(faulty)


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


# A right answer, and what follows on its connection.

SURPLUS = {
    "solved": (200, {"status": "solved", "solution": [9]}),
    "code": (429, {"status": "error", "code": 16, "msg": "RATE_LIMITED"}),
    "error": (200, {"status": "error", "message": "a surplus response"}),
    "unauthorized": (401, {"status": "Unauthorized", "message": "Invalid APIKEY"}),
}


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    certificate = make_certificate(folder, make_authority(folder), "sim", "IP:127.0.0.1")
    sim = Simulator(*ACCOUNT, "--latency", "0", "--tls-certificate", certificate.certificate,
                    "--tls-key", certificate.key)
    yield sim
    assert sim.stop() == 0


@pytest.fixture(params=["plain", "tls"])
def either(request, shared, over_tls):
    sim = shared if request.param == "plain" else over_tls
    sim.call("POST", "/sim/reset")
    return sim


def ask_raw(sim, endpoint):
    """Sends the request by hand. Returns the connected socket."""
    if endpoint == "solve":
        return raw_solve(sim)
    path = {"status": f"/api/status?id={sim.solve().json['id']}", "balance": "/api/account/balance"}
    connection = sim.open()
    connection.sendall(f"GET {path[endpoint]} HTTP/1.1\r\nHost: a\r\nuid: the-uid\r\n"
                       "apikey: the-key\r\n\r\n".encode())
    return connection


def assert_right(endpoint, code, body):
    wanted = {"solve": "new", "status": "solved", "balance": "active"}[endpoint]
    assert (code, json.loads(body)["status"]) == (200, wanted)


def assert_reset(connection):
    """Looks below TLS, where Python's ssl reports a reset as an ordinary end."""
    with socket.socket(fileno=os.dup(connection.fileno())) as below:
        below.settimeout(TIMEOUT)
        with pytest.raises(ConnectionResetError):
            below.recv(1)


@pytest.mark.parametrize("endpoint", ["solve", "status", "balance"])
def test_a_reset_after_the_answer_leaves_it_whole(either, endpoint):
    either.fault(f"{endpoint}:reset-after*1")
    with ask_raw(either, endpoint) as connection:
        code, body, rest = raw_answer(connection)
        assert_right(endpoint, code, body)
        assert_reset(connection)
    assert rest == b""
    assert either.counters()["faults"] == 1


@pytest.mark.parametrize("endpoint", ["solve", "status", "balance"])
@pytest.mark.parametrize("what", ["", *SURPLUS])
def test_a_stray_response_comes_on_the_idle_connection_when_it_is_ordered(either, endpoint, what):
    either.fault(f"{endpoint}:stray{'=' * bool(what)}{what}*1")
    with ask_raw(either, endpoint) as connection:
        code, body, rest = raw_answer(connection)
        assert_right(endpoint, code, body)
        assert rest == b""
        assert either.counters()["strays_waiting"] == 1
        either.write_strays()
        code, body, rest = raw_answer(connection)
        assert (code, json.loads(body), rest) == (*SURPLUS[what or "solved"], b"")
        wait_until(lambda: either.counters()["strays_waiting"] == 0)
        assert either.counters()["strays"] == 1
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):  # it stays open
            connection.recv(1)


def test_a_stray_408_is_followed_by_an_orderly_end(either):
    either.fault("solve:stray=close*1")
    with raw_solve(either) as connection:
        assert raw_answer(connection)[0] == 200
        either.write_strays()
        assert raw_answer(connection) == (408, b"", b"")
        assert connection.recv(1) == b""
    wait_until(lambda: either.counters()["strays"] == 1)


def test_no_stray_response_is_written_once_the_next_request_has_come(start):
    sim = start("--mode", "pro", "--latency", "0.3", "--fault", "solve:stray*1")
    with raw_solve(sim) as connection:
        wait_until(lambda: sim.counters()["accepted"] == 1)
        connection.sendall(b"GET /sim/counters HTTP/1.1\r\nHost: a\r\n\r\n")
        code, _, rest = raw_answer(connection)
        assert code == 200
        code, body, rest = raw_answer(connection, rest)
        assert (code, json.loads(body)["strays"], rest) == (200, 0, b"")
        assert json.loads(body)["strays_missed"] == 1


@pytest.mark.parametrize("kind", ["double", "split"])
@pytest.mark.parametrize("what", SURPLUS)
def test_a_surplus_response_comes_with_the_answer(either, kind, what):
    either.fault(f"status:{kind}={what}*1")
    with ask_raw(either, "status") as connection:
        code, body, rest = raw_answer(connection)
        assert_right("status", code, body)
        assert rest, "nothing came with the answer"
        code, body, rest = raw_answer(connection, rest)
        assert (code, json.loads(body), rest) == (*SURPLUS[what], b"")


def test_the_second_half_of_a_split_response_comes_later(faulty):
    faulty.fault("solve:split*1")
    with raw_solve(faulty) as connection:
        _, _, rest = raw_answer(connection)
        assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b'"solution":[9]}' not in rest


@pytest.mark.parametrize("kind", ["reset-after", "stray", "double", "split"])
def test_a_job_that_is_refused_has_nothing_behind_its_refusal(faulty, kind):
    faulty.fault(f"solve:{kind}*1")
    with faulty.open() as connection:
        connection.sendall(HEAD.encode() + bytes(100))
        code, _, rest = raw_answer(connection)
        assert (code, rest) == (401, b"")
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)


@pytest.mark.parametrize("spec", [
    "stray=nothing", "double=", "early", "early=200", "reset-after=1"])
def test_a_wrong_value_is_refused(faulty, spec):
    assert faulty.call("POST", "/sim/faults", f"solve:{spec}").code == 400
