"""solvegate-sim by itself: what docs/simulator.md promises, without a gateway in front."""

import contextlib
import hashlib
import http.client
import json
import re
import signal
import ssl
import subprocess
import time

import pytest

from lib.sim_alone import (
    ACCOUNT, CREDENTIALS, SIM, TIMEOUT, Answer, digest, encode, faulty, has_ipv6, images, job,
    poll, raw_solve, shared, solution, start, wait_until)

# The command line.

@pytest.mark.parametrize("options", [
    ("--mode", "cheap"), ("--api", "3"), ("--port", "65536"), ("--port", "-1"),
    ("--latency", "long"), ("--latency", "-1"), ("--jitter", "nan"), ("--concurrency", "x"),
    ("--seed", ""), ("--seed",), ("--no-such-option",), ("stray",), ("--fault", "solve"),
    ("--fault", "answer:reset"), ("--fault", "solve:explode"), ("--fault", "solve:status"),
    ("--fault", "solve:status=200"), ("--fault", "solve:status=503/soon"),
    ("--fault", "solve:reset=1"), ("--fault", "solve:reset*0"), ("--fault", "solve:slow=ever"),
    ("--tls-certificate", "/dev/null"),
])
def test_wrong_usage_is_one_line_and_status_2(options):
    run = subprocess.run([SIM, *options], capture_output=True, text=True, timeout=TIMEOUT)
    assert run.returncode == 2
    assert run.stdout == ""
    assert re.fullmatch(r"solvegate-sim: [^\n]+\n", run.stderr)


def test_help_names_every_option_and_version_is_a_line():
    help_text = subprocess.run([SIM, "-h"], capture_output=True, text=True, check=True).stdout
    for option in ("address", "port", "mode", "api", "uid", "apikey", "concurrency", "latency",
                   "jitter", "fault", "tls-certificate", "tls-key", "seed", "quiet"):
        assert f"--{option}" in help_text
    version = subprocess.run([SIM, "-V"], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"solvegate-sim [0-9.]+\S*\n", version)


@pytest.mark.parametrize("options", [
    ("--address", "localhost"), ("--tls-certificate", "/nowhere", "--tls-key", "/nowhere"),
    ("--tls-certificate", "/etc/hostname", "--tls-key", "/etc/hostname"),
])
def test_what_cannot_be_started_is_one_line_and_status_1(options):
    run = subprocess.run([SIM, *options], capture_output=True, text=True, timeout=TIMEOUT)
    assert run.returncode == 1
    assert re.fullmatch(r"solvegate-sim: [^\n]+\n", run.stderr)


def test_a_port_in_use_is_one_line_and_status_1(start):
    port = start().address.port
    run = subprocess.run([SIM, "--port", str(port)], capture_output=True, text=True,
                         timeout=TIMEOUT)
    assert run.returncode == 1
    assert run.stderr.count("\n") == 1
    assert f"127.0.0.1 port {port}: " in run.stderr and "--port" in run.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [
    ("--fault", "solve:hang"), ("--fault", "solve:drip"), ("--fault", "solve:slow=60"),
    ("--mode", "pro", "--latency", "60"),
])
def test_a_signal_stops_it_at_once_whatever_a_request_waits_for(start, options, number):
    sim = start(*options)
    with raw_solve(sim):
        wait_until(lambda: sim.counters()["accepted"] == 1)
        began = time.monotonic()
        assert sim.stop(number) == 0
        assert time.monotonic() - began < 10


def test_the_same_seed_gives_the_same_ids(start):
    ids = {start("--seed", seed).solve().json["id"] for seed in (7, 7, 8)}
    assert len(ids) == 2


def test_requests_are_logged_without_the_key_unless_quiet(start):
    loud, quiet = start(*ACCOUNT), start(*ACCOUNT, "--quiet")
    for sim in (loud, quiet):
        sim.solve()
        assert sim.stop() == 0
    assert len(loud.lines) == 2 and " info solve 200 h-" in loud.lines[1]
    assert "the-key" not in loud.lines[1]
    assert len(quiet.lines) == 1


# The two generations, free and pro.

def test_generation_1_free_queues_at_once_and_then_solves(start):
    sim = start("--latency", "3")  # each form of a pending answer can be seen for half of it
    queued = sim.solve()
    assert queued.code == 200
    assert queued.headers["Content-Type"] == "application/json"
    job_id = queued.json["id"]
    assert re.fullmatch("h-[A-Za-z0-9]{16}", job_id)
    assert abs(queued.json["createdat"] - time.time()) < TIMEOUT
    assert queued.json == {"createdat": queued.json["createdat"], "id": job_id, "status": "new",
                           "target": "airplane", "url": f"{sim.base}/api/status?id={job_id}"}
    *pending, final = poll(sim, job_id)
    assert pending[0].json == queued.json
    assert pending[-1].body == b'{"status":"in queue"}'
    assert final.json == {"processing_time": "3.00s", "solution": solution(images()),
                          "status": "solved", "sim_digest": digest(images()), "sim_number": 1.5}


def test_generation_2_free_has_its_own_paths_and_members(start):
    sim = start("--api", "2", "--latency", "0.1")
    queued = sim.solve(path="/solve").json
    url = f"{sim.base}/status?id={queued['id']}"
    assert queued == {"answer": [], "id": queued["id"], "processing_time": "0.0s", "solution": [],
                      "status": "new", "target": "airplane", "url": url}
    assert poll(sim, queued["id"], "/status")[-1].json == {
        "answer": [], "id": queued["id"], "message": "", "processing_time": "0.10s",
        "solution": solution(images()), "status": "solved", "target": "airplane", "url": url,
        "sim_digest": digest(images()), "sim_number": 1.5}
    assert sim.call("POST", "/api/solve", job()).code == 404


def test_pro_answers_solved_after_the_latency(start):
    sim = start("--mode", "pro", "--latency", "0.2")
    began = time.monotonic()
    answer = sim.solve()
    assert time.monotonic() - began >= 0.2
    assert answer.json["status"] == "solved"
    assert answer.json["solution"] == solution(images())
    assert b'"sim_number":1.50}' in answer.body
    assert "id" not in answer.json and "url" not in answer.json


def test_jitter_spreads_the_latency(start):
    sim = start("--mode", "pro", "--latency", "0.05", "--jitter", "0.05", "--seed", "1")
    times = {sim.solve().json["processing_time"] for _ in range(8)}
    assert len(times) > 1
    assert all(0 <= float(seconds[:-1]) <= 0.1 for seconds in times)


@pytest.mark.parametrize("api, path, expected", [
    ("1", "/api/account/balance", {"plan id", "plan type", "planlimit", "status", "used"}),
    ("2", "/balance", {"Balance", "Currency", "Subscription", "user_id", "wallet_rpm",
                       "wallet_usages"}),
])
def test_the_balance_has_the_shape_of_its_generation(start, api, path, expected):
    answer = start("--api", api).call("GET", path)
    assert answer.code == 200
    assert set(answer.json) == expected


def test_the_balance_tells_what_was_charged(start):
    sim = start()
    sim.solve()
    sim.solve()
    assert sim.call("GET", "/api/account/balance").json["used"] == 2


# The body.

@pytest.mark.parametrize("shape", [
    lambda texts: dict(enumerate(texts)),
    lambda texts: texts,
    lambda texts: {f"img{i + 1}": text for i, text in enumerate(texts)},
    lambda texts: [f"data:image/png;base64,{text}" for text in texts],
    lambda texts: [text.rstrip("=") for text in texts],
], ids=["object", "array", "img1", "data prefix", "no padding"])
def test_the_solution_depends_on_the_image_bytes_alone(start, shape):
    sim = start("--mode", "pro", "--latency", "0")
    pictures = images(9)
    answer = sim.solve(job(images=shape([encode(p) for p in pictures]))).json
    assert answer["solution"] == solution(pictures)
    assert answer["sim_digest"] == digest(pictures)


def test_swapped_lost_and_changed_images_have_another_digest(start):
    sim = start("--mode", "pro", "--latency", "0")
    first, second, *rest = images(9)
    others = [[second, first, *rest], [first, *rest], [first[:-1] + b"x", second, *rest]]
    digests = {sim.solve(job(p)).json["sim_digest"] for p in [images(9), *others]}
    assert len(digests) == 4


def test_names_are_matched_without_case_and_slashes_may_be_escaped(start):
    sim = start("--mode", "pro", "--latency", "0")
    body = job(images(9)).replace("/", "\\/")
    for name in ("images", "target", "method"):
        body = body.replace(f'"{name}"', f'"{name.capitalize()}"')
    assert sim.solve(body).json["sim_digest"] == digest(images(9))


def test_the_oldest_clients_name_the_method_in_data_type(start):
    body = json.loads(job()) | {"data_type": "base64"}
    del body["method"]
    assert start().solve(json.dumps(body)).json["status"] == "new"


@pytest.mark.parametrize("body", [
    "", "{", "[]", "1", "{}", job(target=""), job(target=1), job(method="ocr"), job(images={}),
    job(images=[]), job(images="aaaa"), job(images=[1]), job(images=["?"]), job(images=["a"]),
    job(images=[""]), job() + "x", job(target="a" * 20000),
])
def test_a_body_that_is_no_job_is_400_and_costs_nothing(faulty, body):
    answer = faulty.call("POST", "/api/solve", body, CREDENTIALS)
    assert answer.code == 400
    assert answer.json["status"] == "error" and answer.json["message"]
    counters = faulty.counters()
    assert (counters["rejected"], counters["charged"]) == (1, 0)


def test_a_body_above_64_mib_is_413(faulty):
    assert faulty.solve("x" * (64 * 1024 * 1024 + 1)).code == 413
    assert faulty.counters()["rejected"] == 1


# The account and its limits.

@pytest.mark.parametrize("headers", [
    {}, {"uid": "the-uid"}, {"apikey": "the-key"}, {"uid": "the-uid", "apikey": "other"},
    {"uid": "other", "apikey": "the-key"},
])
@pytest.mark.parametrize("method, path", [("POST", "/api/solve"), ("GET", "/api/account/balance")])
def test_wrong_credentials_are_401(faulty, headers, method, path):
    answer = faulty.call(method, path, job() if method == "POST" else None, headers)
    assert answer.code == 401
    assert answer.json == {"message": "Invalid APIKEY", "status": "Unauthorized"}
    counters = faulty.counters()
    assert (counters["unauthorized"], counters["accepted"]) == (1, 0)


def test_generation_2_does_not_look_at_the_uid(start):
    sim = start("--api", "2", *ACCOUNT)
    assert sim.solve(path="/solve", headers={"apikey": "the-key"}).code == 200


def test_status_needs_no_credentials_and_notes_whether_they_came(faulty):
    job_id = faulty.solve().json["id"]
    assert faulty.status(job_id).code == 200
    faulty.call("GET", f"/api/status?id={job_id}", headers={"APIKEY": "anything"})
    without, brought = faulty.requests()[1:]
    assert (without["credentials"], brought["credentials"]) == (False, True)
    assert without["id"] == job_id


@pytest.mark.parametrize("query", ["", "?id=", "?id=h-0000000000000000", "?id=" + "h" * 500])
def test_an_unknown_id_is_404(faulty, query):
    answer = faulty.call("GET", f"/api/status{query}")
    assert answer.code == 404
    assert answer.json["status"] == "error" and answer.json["message"]


@pytest.mark.parametrize("mode", ["free", "pro"])
def test_a_job_above_the_concurrency_is_429_and_costs_nothing(start, mode):
    sim = start("--mode", mode, "--concurrency", "2", "--latency", "60")
    sockets = []
    for taken in (1, 2):
        sockets.append(raw_solve(sim))
        wait_until(lambda: sim.counters()["accepted"] == taken)
    answer = sim.solve()
    assert answer.code == 429
    assert answer.json == {"code": 16, "msg": "RATE_LIMITED", "retryAfterSec": 1}
    counters = sim.counters()
    assert (counters["over_concurrency"], counters["charged"]) == (1, 2)
    assert (counters["in_flight"], counters["in_flight_max"]) == (2, 2)
    for connection in sockets:
        connection.close()


def test_a_solved_job_makes_room_for_another(start):
    sim = start("--concurrency", "1", "--latency", "0.1")
    for _ in range(2):
        poll(sim, sim.solve().json["id"])
    counters = sim.counters()
    assert (counters["solved"], counters["in_flight"], counters["in_flight_max"]) == (2, 0, 1)


@pytest.mark.parametrize("path", ["/", "/api/solve/", "/api/status/", "/solve", "/status?id=1"])
def test_another_path_is_404(faulty, path):
    assert faulty.call("GET", path).json["status"] == "error"
    assert faulty.call("GET", path).code == 404


@pytest.mark.parametrize("method, path, allow", [
    ("GET", "/api/solve", "POST"), ("POST", "/api/status", "GET"),
    ("PUT", "/sim/faults", "POST, DELETE"),
])
def test_another_method_is_405_with_allow(faulty, method, path, allow):
    answer = faulty.call(method, path)
    assert (answer.code, answer.headers["Allow"]) == (405, allow)


# What it tells about itself.

def test_the_counters_add_up(faulty):
    body = job()
    poll(faulty, faulty.solve(body).json["id"])
    faulty.call("GET", "/api/account/balance", headers=CREDENTIALS)
    assert faulty.counters() == {
        "solve_requests": 1, "status_requests": 1, "balance_requests": 1, "accepted": 1,
        "charged": 1, "solved": 1, "unauthorized": 0, "rejected": 0, "over_concurrency": 0,
        "faults": 0, "solve_bytes": len(body), "connections": 3, "in_flight": 0,
        "in_flight_max": 1, "requests_now": 0, "requests_max": 1, "strays": 0,
        "strays_missed": 0, "strays_waiting": 0, "strays_waiting_max": 0}


def test_a_connection_is_kept_and_counted_once(faulty):
    with contextlib.closing(faulty.connect()) as connection:
        for _ in range(3):
            connection.request("POST", "/api/solve", job(), CREDENTIALS)
            assert connection.getresponse().read()
    counters = faulty.counters()
    assert (counters["solve_requests"], counters["connections"]) == (3, 1)


def test_requests_at_once_are_counted(start):
    sim = start("--mode", "pro", "--latency", "60")
    sockets = [raw_solve(sim) for _ in range(5)]
    wait_until(lambda: sim.counters()["requests_now"] == 5)
    assert sim.counters()["requests_max"] == 5
    for connection in sockets:
        connection.close()


def test_each_request_is_listed_as_it_came(faulty):
    body = '{ "images":["aGVsbG8="],\n "target":"\\u2708", "method":"hcaptcha_base64" }'
    before = time.monotonic()
    answer = faulty.solve(body, headers=CREDENTIALS | {"X-Odd-CASE": 'a "b"'})
    faulty.status("h-none")
    solve, status = faulty.requests()
    assert solve["endpoint"] == "solve" and status["endpoint"] == "status"
    assert solve["http"] == "HTTP/1.1"
    assert solve["headers"]["X-Odd-CASE"] == 'a "b"'
    assert solve["headers"]["apikey"] == "the-key"
    assert (solve["bytes"], solve["sha256"]) == (
        len(body), hashlib.sha256(body.encode()).hexdigest())
    assert (solve["charged"], solve["id"]) == (True, answer.json["id"])
    assert (status["charged"], status["bytes"], status["sha256"]) == (False, 0, None)
    assert before - 0.01 <= solve["time"] <= status["time"] <= time.monotonic()


def test_a_header_given_twice_hides_nothing(faulty):
    with contextlib.closing(faulty.connect()) as connection:
        connection.putrequest("GET", "/api/status")
        connection.putheader("apikey", "one")
        connection.putheader("Apikey", "two")
        connection.endheaders()
        connection.getresponse().read()
    assert faulty.requests()[0]["headers"]["apikey"] == "one, two"


def test_the_list_keeps_the_last_4096_requests(faulty):
    with contextlib.closing(faulty.connect()) as connection:
        for number in range(4100):
            connection.request("GET", f"/api/status?id={number}")
            connection.getresponse().read()
    listed = [request["id"] for request in faulty.requests()]
    assert listed == [str(number) for number in range(4, 4100)]


def test_a_reset_zeroes_counters_and_forgets_requests_and_faults(faulty):
    faulty.solve()
    faulty.fault("solve:status=500")
    faulty.call("POST", "/sim/reset")
    assert set(faulty.counters().values()) == {0}
    assert faulty.requests() == []
    assert faulty.solve().code == 200


# TLS and IPv6.

def test_it_speaks_tls_and_resets_there_too(start, tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                   check=True, capture_output=True)
    sim = start("--tls-certificate", certificate, "--tls-key", key, "--fault", "solve:reset*1")
    assert sim.base.startswith("https://")
    trust = ssl.create_default_context(cafile=certificate)

    def solve():
        with contextlib.closing(http.client.HTTPSConnection(
                sim.address.hostname, sim.address.port, timeout=TIMEOUT,
                context=trust)) as connection:
            connection.request("POST", "/api/solve", job())
            return Answer(connection.getresponse())

    with pytest.raises(ConnectionResetError):
        solve()
    assert solve().json["url"].startswith(f"{sim.base}/api/status?id=")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_it_listens_on_ipv6(start):
    sim = start("--address", "::1")
    assert sim.base.startswith("http://[::1]:")
    assert sim.solve().json["url"].startswith(sim.base)
