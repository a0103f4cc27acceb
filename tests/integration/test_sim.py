"""solvegate-sim by itself: what docs/simulator.md promises, without a gateway in front."""

import base64
import contextlib
import email.utils
import hashlib
import http.client
import json
import os
import pathlib
import queue
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SIM = pathlib.Path(os.environ.get("SOLVEGATE_BUILD", REPOSITORY / "build")) / "solvegate-sim"
ACCOUNT = ("--uid", "the-uid", "--apikey", "the-key")
CREDENTIALS = {"uid": "the-uid", "apikey": "the-key"}
TIMEOUT = 30


class Answer:
    def __init__(self, response):
        self.code = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Simulator:
    def __init__(self, *options):
        self.process = subprocess.Popen([SIM, *options], stderr=subprocess.PIPE, text=True)
        self.lines = []
        ready = queue.Queue()
        self.reader = threading.Thread(target=self.read, args=(ready,))
        self.reader.start()
        self.base = ready.get(timeout=TIMEOUT)
        self.address = urllib.parse.urlsplit(self.base)

    def read(self, ready):
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("ready "):
                ready.put(line.split()[1])

    def stop(self, signal_number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        status = self.process.wait(TIMEOUT)
        self.reader.join(TIMEOUT)
        self.process.stderr.close()
        return status

    def connect(self):
        return http.client.HTTPConnection(self.address.hostname, self.address.port,
                                          timeout=TIMEOUT)

    def call(self, method, path, body=None, headers=None):
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())

    def solve(self, body=None, path="/api/solve", headers=None):
        return self.call("POST", path, body or job(), CREDENTIALS if headers is None else headers)

    def status(self, job_id, path="/api/status"):
        return self.call("GET", f"{path}?id={job_id}")

    def counters(self):
        return self.call("GET", "/sim/counters").json

    def requests(self):
        return self.call("GET", "/sim/requests").json

    def fault(self, *specs):
        answer = self.call("POST", "/sim/faults", "\n".join(specs))
        assert answer.code == 200, answer.body


@pytest.fixture
def start():
    """Starts simulators; each must stop with exit status 0 and without a sanitizer's report."""
    running = []

    def start_one(*options):
        running.append(Simulator(*map(str, options)))
        return running[-1]

    yield start_one
    statuses = [sim.stop() for sim in running]
    reports = [line for sim in running for line in sim.lines
               if re.search("Sanitizer|runtime error", line)]
    assert not reports
    assert statuses == [0] * len(running)


@pytest.fixture(scope="module")
def shared():
    """One for the many faults of a free account; the account is the-uid and the-key."""
    sim = Simulator(*ACCOUNT, "--latency", "0")
    yield sim
    assert sim.stop() == 0


@pytest.fixture
def faulty(shared):
    shared.call("POST", "/sim/reset")
    return shared


def images(count=4, seed=1):
    return [random.Random(f"{seed}-{i}").randbytes(100) for i in range(count)]


def encode(image):
    return base64.b64encode(image).decode()


def job(pictures=None, **fields):
    pictures = images() if pictures is None else pictures
    fields = {"images": {str(i): encode(p) for i, p in enumerate(pictures)},
              "target": "airplane", "method": "hcaptcha_base64"} | fields
    return json.dumps(fields)


def solution(pictures):
    return [i for i, p in enumerate(pictures) if hashlib.sha256(p).digest()[0] & 1]


def digest(pictures):
    return hashlib.sha256(b"".join(hashlib.sha256(p).digest() for p in pictures)).hexdigest()


def poll(sim, job_id, path="/api/status"):
    """Asks until the answer is final. Returns all answers."""
    answers = []
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        answers.append(sim.status(job_id, path))
        if answers[-1].json["status"] not in ("new", "in queue"):
            return answers
        time.sleep(0.01)
    raise AssertionError("the job never became final")


def raw_solve(sim, body=None):
    """Sends a solve by hand. Returns the connected socket."""
    body = (body or job()).encode()
    head = (f"POST /api/solve HTTP/1.1\r\nHost: {sim.address.netloc}\r\n"
            f"uid: the-uid\r\napikey: the-key\r\nContent-Length: {len(body)}\r\n\r\n")
    connection = socket.create_connection((sim.address.hostname, sim.address.port), TIMEOUT)
    connection.sendall(head.encode() + body)
    return connection


def wait_until(condition):
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        return True
    return False


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
        "in_flight_max": 1, "requests_now": 0, "requests_max": 1}


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
