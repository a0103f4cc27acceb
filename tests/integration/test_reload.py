"""SIGHUP: what is in force afterwards, at once and for held requests too; what a bad file changes,
which is nothing; and what takes a restart, which is named."""

import concurrent.futures
import contextlib
import itertools
import re
import signal
import subprocess
import threading
import time

import pytest

from lib import expect, gate
from lib.build import BUILD, patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import exchange, open_blocking
from lib.job import SITE, job
from lib.proc import connections

CI = Client("ci")
OTHER = Client("other")
HELD = {"Prefer": "wait=60"}
ERROR = r"Z error [^\n]*\n"  # a line of the log

TEAM = [Client(f"member-{number}", weight=1 + number % 5, max_in_flight=4, rate=1000.0, burst=1000,
               daily_limit=1000, monthly_limit=20000, sites=[SITE, f"*.{number}.example.com"],
               expires="2999-12-31") for number in range(200)]


@pytest.fixture
def pool():
    """For requests that are held while the test does something else."""
    with concurrent.futures.ThreadPoolExecutor(50) as threads:
        yield threads


def accepted(house, count):
    wait_until(lambda: house.sim.counters()["accepted"] >= count, what=f"{count} jobs are sent")


def unauthorized(answer):
    expect.error(answer, 401, "unauthorized")
    assert answer.header("WWW-Authenticate").startswith('Bearer realm="solvegate"'), answer


def is_let_in(house, client):
    answer = house.get("/usage", client.headers)
    assert answer.status in (200, 401), answer
    return answer.status == 200


# ---- tokens ----


@pytest.fixture
def stuck(simulator, gateway, mode):
    """An upstream that answers nothing for an hour: what is answered is not its doing."""
    sim = simulator(mode=mode, latency=3600)
    return gateway(sim, clients=[CI, OTHER], upstream={"max_in_flight": 2},
                   limits={"job_deadline": 3600.0})


def hold(pool, house, client):
    """A job that is sent and one that waits, each with an answer that is held; and held questions
    for the first."""
    first = house.submit(job(seed=client.name), **client.headers)
    return [pool.submit(house.solve, job(seed=client.name), {**client.headers, **HELD}),
            pool.submit(house.solve, job(seed=f"{client.name} too"), {**client.bearer, **HELD}),
            pool.submit(house.status, first, "&wait=60", client.headers),
            pool.submit(house.status, first, "&wait=60", client.bearer)], first


def all_are_held(house, count):
    """Waits until the gateway has that many connections, and has read all that came on them."""
    port = int(house.host.rsplit(":", 1)[1])
    wait_until(lambda: connections(port).count(0) >= count, what=f"{count} requests are held")


WAYS_OUT = {
    "removed": [OTHER],
    "expired": [CI.changed(expires="2026-01-31"), OTHER],
    "another token": [Client("ci", "sgt_the-new-one-of-the-client-named-ci-012345"), OTHER],
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_token_that_is_taken_away_answers_what_is_held_at_once(stuck, pool, way):
    mine, first = hold(pool, stuck, CI)
    theirs, _ = hold(pool, stuck, OTHER)
    anyone = pool.submit(stuck.status, first, "&wait=60")
    all_are_held(stuck, len(mine) + len(theirs) + 1)
    stuck.reload(clients=WAYS_OUT[way])
    for answer in mine:
        unauthorized(answer.result(patience(10.0)))
    assert not any(answer.done() for answer in theirs), "another client's answer was not held on"
    unauthorized(stuck.get("/usage", CI.headers))
    unauthorized(stuck.solve(job(seed="later"), CI.headers))
    assert is_let_in(stuck, OTHER)
    stuck.stop_well()
    for answer in [*theirs, anyone]:
        assert answer.result().status == 200


def test_a_client_with_a_new_token_has_its_jobs_as_before(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    task = job()
    job_id = expect.solved(house.solve(task, CI.headers), task)["id"]
    renewed = Client("ci", "sgt_the-new-one-of-the-client-named-ci-012345")
    house.reload(clients=[renewed])
    expect.solved(house.status(job_id, headers=renewed.headers), task)
    unauthorized(house.status(job_id, headers=CI.headers))


def test_a_token_that_goes_to_another_client_does_not_take_its_jobs_along(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    job_id = house.submit(job(), **CI.headers)
    house.reload(clients=[Client("heir", CI.token)])
    expect.error(house.status(job_id, headers=CI.headers), 404, "unknown_id")
    assert house.get("/usage", CI.headers).object()["client"] == "heir"


def test_the_first_client_closes_the_door_to_everyone_else(simulator, gateway, pool):
    house = gateway(simulator(mode="pro", latency=3600), limits={"job_deadline": 3600.0})
    held = pool.submit(house.solve, job(), HELD)
    accepted(house, 1)
    house.reload(clients=[CI])
    refusal = held.result(patience(10.0))
    unauthorized(refusal)
    assert "is cancelled, if it was not sent" in refusal.object()["message"]
    unauthorized(house.get("/balance"))
    assert is_let_in(house, CI)


def test_the_first_client_cancels_what_waits_of_nobody(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=3600), limits={"job_deadline": 3600.0},
                    upstream={"max_in_flight": 1})
    sent = house.submit(job(seed=1))
    accepted(house, 1)
    waits = house.submit(job(seed=2))
    told = house.reload(clients=[CI])
    failed = expect.failed(house.finish(waits), "cancelled")
    assert "came while there were no clients" in failed["message"]
    assert "waiting jobs: 1 cancelled\n" in told, told
    assert house.status(sent).object()["status"] == "new"


def test_without_its_last_client_a_loopback_gateway_is_everyones(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    unauthorized(house.solve(job()))
    house.reload(clients=[])
    task = job()
    expect.solved(house.solve(task), task)


def test_without_its_last_client_a_gateway_on_the_network_does_not_open(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI],
                    listen=[{"address": "0.0.0.0", "port": 0}])
    house.configure(clients=[])
    told = house.hang_up(ERROR)
    assert "0.0.0.0" in told and "token new" in told, told
    unauthorized(house.solve(job()))
    assert is_let_in(house, CI)


# ---- what else takes effect ----


def test_the_line_of_a_reload_says_what_is_in_force(simulator, gateway):
    house = gateway(simulator())
    told = house.reload(clients=TEAM[:7], sites=["a.example", "*.b.example"],
                        origins=["https://c.example"])
    assert f"info reloaded file={house.config} clients=7 sites=2 origins=1\n" in told, told
    assert "restart" not in told, told


def test_a_site_is_allowed_and_refused_by_reload(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    outside = job(site="new.example")
    expect.error(house.solve(outside, CI.headers), 403, "site_not_allowed")
    house.reload(sites=[SITE, "new.example"])
    expect.solved(house.solve(outside, CI.headers), outside)
    house.reload(clients=[CI.changed(sites=[SITE])])
    expect.error(house.solve(job(site="new.example", seed=1), CI.headers), 403, "site_not_allowed")
    inside = job(seed=2)
    expect.solved(house.solve(inside, CI.headers), inside)


def test_an_entry_of_the_sites_may_have_a_note_and_an_end(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), sites=[SITE])
    house.reload(sites=[{"site": "ended.example", "note": "the trial", "expires": "2026-01-31"},
                        {"site": "open.example", "expires": "2999-12-31"}, {"site": SITE}])
    answer = house.solve(job(site="ended.example"))
    body = expect.error(answer, 403, "site_not_allowed")
    assert "ended.example" in body["message"], body
    for site in ("open.example", SITE):
        task = job(site=site, seed=site)
        expect.solved(house.solve(task), task)


def test_origins_and_names_take_effect_by_reload(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    name = {"Host": "gate.example.net", **CI.headers}
    page = {"Origin": "https://tools.example", **CI.headers}
    expect.error(house.get("/usage", name), 403, "forbidden_host")
    expect.error(house.get("/usage", page), 403, "forbidden_origin")
    house.reload(server_names=["gate.example.net"], origins=["https://tools.example"])
    assert house.get("/usage", name).status == 200
    answer = house.get("/usage", page)
    assert answer.header("Access-Control-Allow-Origin") == "https://tools.example"
    house.reload(server_names=[], origins=[])
    expect.error(house.get("/usage", name), 403, "forbidden_host")
    expect.error(house.get("/usage", page), 403, "forbidden_origin")


# Each change, and the key that is named.
NEEDS_RESTART = {
    "workers": {"workers": 3},
    "durability": {"durability": "full"},
    "state_directory": {"state_directory": "elsewhere"},
    "audit.file": {"audit": {"file": "elsewhere.jsonl"}},
    "admin": {"admin": LOOPBACK},
    "listen[0].port": {"listen": [{"address": "127.0.0.1", "port": 1}]},
}


# What counts from a key, and so changes with it.
FOLLOWS = {"state_directory": ["audit.file"]}


def named(told):
    """The keys that a reload says take a restart."""
    lines = [line for line in told.splitlines() if "Z warning " in line and "restart" in line]
    return [(line, re.findall(r"[a-z_]+(?:\[\d+\])?(?:\.[a-z_]+)*", line)) for line in lines]


@pytest.mark.parametrize("key", NEEDS_RESTART)
def test_a_key_that_takes_a_restart_is_named_and_has_no_effect_yet(simulator, gateway, key):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    told = house.reload(clients=[OTHER], **NEEDS_RESTART[key])
    lines = named(told)
    assert lines, told
    for line, words in lines:
        assert any(word.startswith((key, *FOLLOWS.get(key, ()))) for word in words), line
    assert any(word == key or word.startswith(f"{key}.") for _, words in lines for word in words)
    assert not is_let_in(house, CI) and is_let_in(house, OTHER)
    assert not (house.home / "elsewhere").exists()


def test_each_key_that_takes_a_restart_has_a_line_of_its_own(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    told = house.reload(workers=4, retry={"attempts": 3, "cap": 9.0}, admin=LOOPBACK,
                        listen=[{"address": "127.0.0.1", "port": 1}])
    words = [set(words) for _, words in named(told)]
    assert len(words) == 4, told
    for key in ("workers", "admin.address", "admin.port", "listen[0].port"):
        assert any(key in line for line in words), (key, told)
    assert is_let_in(house, CI)


def test_what_changes_back_is_not_named(simulator, gateway):
    """It is compared with what runs, not with the file before."""
    house = gateway(simulator())
    assert len(named(house.reload(workers=5))) == 1
    assert len(named(house.reload(workers=5))) == 1
    assert not named(house.reload(workers=2))


# ---- a bad file ----

BAD = {
    "a bracket that is never closed": lambda text: text + "log = {\n",
    "an unknown key": lambda text: text + 'orgins = [ "https://a.example" ];\n',
    "a value out of bounds": lambda text: text.replace("workers = 2;", "workers = 0;"),
    "a digest that is none": lambda text: text.replace(CI.sha256, "abc"),
    "an origin with a path": lambda text: text + 'origins = [ "https://a.example/" ];\n',
    "a date that is none": lambda text: text.replace(
        'name = "ci";', 'name = "ci"; expires = "2027-02-30";'),
    "two clients with one name": lambda text: text.replace('name = "ci";', 'name = "other";'),
    "an empty file": lambda text: "",
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_changes_nothing_and_says_why_in_one_line(simulator, gateway, what):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    before = house.config.read_text()
    house.configure(clients=[CI, OTHER], sites=["other.example"])
    text = BAD[what](house.config.read_text())
    assert text not in (house.config.read_text(), before)
    house.config.write_text(text)
    checked = subprocess.run([BUILD / "solvegate", "-t", "-c", house.config], capture_output=True,
                             text=True, timeout=patience(10), check=False)
    told = house.hang_up(ERROR)
    problem = checked.stderr.strip()
    assert checked.returncode == 2 and "\n" not in problem, checked
    assert problem in told, told
    assert told.count("Z error ") == 1 and "Z info reloaded" not in told, told
    assert is_let_in(house, CI) and not is_let_in(house, OTHER)
    task = job()
    expect.solved(house.solve(task, CI.headers), task)
    house.reload(clients=[OTHER], sites=[SITE])
    assert is_let_in(house, OTHER)


def test_a_file_that_is_gone_changes_nothing(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    house.config.unlink()
    assert str(house.config) in house.hang_up(ERROR)
    assert is_let_in(house, CI)


# ---- when reloads come often, or while much goes on ----


def test_of_reloads_in_a_row_the_last_file_counts(simulator, gateway):
    """Whether the second signal comes before the first file is read, or after."""
    house = gateway(simulator(), clients=[CI])

    def is_called(name):
        return house.get("/usage", {"Host": name, **CI.headers}).status == 200

    for number in range(20):
        before, last = f"before-{number}.example", f"last-{number}.example"
        house.configure(server_names=[before])
        house.signal(signal.SIGHUP)
        house.configure(server_names=[last])
        house.signal(signal.SIGHUP)
        wait_until(lambda: is_called(last), what=f"the file of round {number} is in force")
        assert not is_called(before)


class Tools:
    """Threads that go on posting jobs and asking for them, each with a token of its own."""

    def __init__(self, house, clients):
        self.house = house
        self.stopping = threading.Event()
        self.failures = []
        self.answers = 0
        self._seeds = itertools.count()
        self._threads = [threading.Thread(target=self._work, args=(client,)) for client in clients]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def _work(self, client):
        try:
            with contextlib.closing(open_blocking(self.house.url)) as connection:
                while not self.stopping.is_set():
                    self._use(connection, client)
        except Exception as error:  # the thread's end is told by the test
            self.failures.append(f"{client}: {error!r}")

    def _use(self, connection, client):
        task = job(images=1, seed=next(self._seeds))
        headers = {**client.headers, "Content-Type": "application/json", "Prefer": "wait=20"}
        body = expect.solved(exchange(connection, "POST", "/solve", task.body, headers), task)
        answer = exchange(connection, "GET", f"/status?id={body['id']}", None, client.bearer)
        expect.solved(answer, task)
        self.answers += 2


def test_reloads_under_load_fail_no_request(simulator, gateway):
    clients = [Client(f"tool-{number}") for number in range(8)]
    house = gateway(simulator(mode="pro", latency=0.005, jitter=0.005), clients=clients,
                    upstream={"max_in_flight": 50})
    with Tools(house, clients) as tools:
        for number in range(30):
            others = [Client(f"guest-{number}-{n}") for n in range(number % 7)]
            before = tools.answers
            house.reload(clients=[*others, *clients], origins=["https://a.example"] * (number % 2))
            wait_until(lambda: tools.answers > before + 8 or tools.failures)
    assert not tools.failures, tools.failures
    assert tools.answers > 30 * 8


def test_a_reload_while_it_stops_does_not_keep_it_from_stopping(gateway, pool):
    with gate.Gate() as upstream:
        house = gateway(upstream=upstream.entry, clients=[CI], limits={"drain_timeout": 60.0})
        held = pool.submit(house.solve, gate.task("held", 0), {**CI.headers, **HELD})
        upstream.wait_for(1)
        house.signal(signal.SIGTERM)
        wait_until(lambda: "draining" in house.log(), what="it stops")
        house.configure(clients=[OTHER])
        assert "ignored" in house.hang_up("SIGHUP")
        upstream.let(1)
        assert held.result().object()["status"] == "solved"
        assert house.wait(10) == 0


def test_a_reload_just_after_the_start_is_done(simulator, gateway):
    house = gateway(simulator(), clients=[CI])
    for _ in range(5):
        house.stop_well()
        house.configure(clients=[CI])
        house.start_again()
        house.reload(clients=[OTHER])
        assert is_let_in(house, OTHER) and not is_let_in(house, CI)


# ---- a large team ----


def test_everything_works_with_200_clients(simulator, gateway, pool):
    house = gateway(simulator(mode="pro", latency=0.01), clients=TEAM,
                    upstream={"max_in_flight": 50})

    def use(client):
        tool = house.caller(client)
        task = job(images=1, seed=client.name)
        body = expect.solved(tool.solve(task, HELD), task)
        expect.solved(tool.status(body["id"]), task)
        usage = tool.usage()
        assert (usage["client"], usage["daily"]["used"]) == (client.name, 1), usage
        assert tool.get("/balance").object()["plan id"] == client.name
        foreign = job(site=f"www.{TEAM.index(client) + 1}.example.com")
        expect.error(tool.solve(foreign), 403, "site_not_allowed")

    list(pool.map(use, TEAM))
    house.reload(clients=TEAM[:-1])
    unauthorized(house.get("/usage", TEAM[-1].headers))
    assert all(pool.map(lambda client: is_let_in(house, client), TEAM[:-1]))


def test_200_clients_are_reloaded_in_under_100_ms(simulator, gateway):
    """The best of ten, since other tests run on this machine too."""
    house = gateway(simulator(), clients=TEAM)
    times = []
    for number in range(10):
        house.configure(clients=TEAM[number % 2:])
        started = time.monotonic()
        house.hang_up(r"reloaded \S+ clients=(200|199) ")
        times.append(time.monotonic() - started)
    assert min(times) < patience(0.1), times


def test_a_kept_connection_goes_on_under_the_new_file(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    with contextlib.closing(open_blocking(house.url)) as kept:
        assert exchange(kept, "GET", "/usage", None, CI.headers).status == 200
        line = kept.sock
        house.reload(clients=[CI, OTHER])
        assert exchange(kept, "GET", "/usage", None, OTHER.headers).status == 200
        assert kept.sock is line
    assert is_let_in(house, OTHER)
