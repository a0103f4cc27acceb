"""The door at the edges: what a reload would open and must not, a SIGHUP at a moment when nobody
expects one, a token in a place where it does not belong, and a page that is let in no more."""

import concurrent.futures
import re
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest

from lib import expect
from lib.build import BUILD, SANITIZE, patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import Connection, request, request_bytes
from lib.job import job
from lib.network import own_address
from lib.once import run_once
from lib.proc import connections

CI = Client("ci")
OTHER = Client("other")
HELD = {"Prefer": "wait=60"}
ERROR = r"Z error [^\n]*\n"  # a line of the log


@pytest.fixture
def pool():
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        yield threads


# ---- a door that stays until the next start ----

EVERYWHERE = {"address": "0.0.0.0", "port": 0}
OWN = own_address()
OPEN = {"all addresses": EVERYWHERE, **({"its own": {"address": OWN, "port": 0}} if OWN else {})}


def let_in(house, headers):
    """Whether a job is taken by each way to it."""
    answers = set()
    for url in house.urls:
        parts = urllib.parse.urlsplit(url)
        hosts = ["127.0.0.1", *([OWN] if OWN else [])] if parts.hostname == "0.0.0.0" \
            else [parts.hostname]
        for host in hosts:
            answer = request(f"http://{host}:{parts.port}", "POST", "/solve", job().body,
                             {"Content-Type": "application/json", **headers})
            assert answer.status in (200, 401), answer
            answers.add(answer.status == 200)
    assert len(answers) == 1, answers
    return answers.pop()


@pytest.mark.parametrize("door", OPEN)
def test_a_door_to_the_network_that_is_open_still_asks_for_a_token(simulator, gateway, door):
    """Listeners are those of the start, so a file without that door and without clients must wait
    for a restart too."""
    house = gateway(simulator(mode="pro", latency=0), clients=[CI], listen=[LOOPBACK, OPEN[door]])
    house.configure(clients=[], listen=[LOOPBACK])
    told = house.hang_up(ERROR)
    assert OPEN[door]["address"] in told and "client" in told, told
    assert "Z info reloaded" not in told, told
    assert not let_in(house, {}) and let_in(house, CI.headers)
    house.reload(clients=[OTHER])
    assert not let_in(house, CI.headers) and let_in(house, OTHER.headers)


def test_without_that_door_at_the_next_start_nobody_needs_a_token(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI], listen=[EVERYWHERE])
    house.configure(clients=[], listen=[LOOPBACK])
    house.hang_up(ERROR)
    house.stop_well()
    house.start_again()
    assert let_in(house, {})


# ---- SIGHUP at any moment ----

MOMENTS = 40 if SANITIZE is None else 12


def hears(house):
    """Whether the process has come so far that it says something, or keeps SIGHUP from ending it.
    What comes before is the loader's time, in which there is no program yet."""
    status = Path(f"/proc/{house.popen.pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Blk|Cgt):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) & 1 << signal.SIGHUP - 1 for mask in masks) or house.log()


def hang_up_early(house, pid_before, pause):
    """SIGHUP so many seconds after the next process can hear it."""
    wait_until(lambda: house.pid != pid_before and hears(house), 10.0, "it hears", 0)
    time.sleep(pause)
    house.signal(signal.SIGHUP)


@pytest.mark.parametrize("durability", ["full", "none"])
def test_a_signal_to_reload_while_it_starts_does_not_end_it(simulator, gateway, pool, durability):
    """It counts once at most, when the daemon is ready."""
    house = gateway(simulator(), clients=[CI], durability=durability)

    def is_up_to_date():
        answers = [house.get("/usage", client.headers).status for client in (CI, OTHER)]
        return answers == [401, 200]

    for moment in range(MOMENTS):
        house.stop_well()
        house.configure(clients=[CI])
        early = pool.submit(hang_up_early, house, house.pid, moment / 1000)
        house.start_again()
        early.result()
        house.reload(clients=[OTHER])
        wait_until(is_up_to_date, what="the last file is in force")
        assert house.log().count("Z info reloaded ") in (1, 2), house.log()


@pytest.mark.parametrize("durability", ["full", "none"])
def test_signals_to_reload_while_it_stops_do_not_change_its_end(simulator, gateway, durability):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI], durability=durability)
    for number in range(MOMENTS // 2):
        task = job(seed=number)
        expect.solved(house.solve(task, CI.headers), task)
        house.signal(signal.SIGTERM)
        while house.running():
            house.signal(signal.SIGHUP)
        assert house.wait(10) == 0, house.log()
        house.start_again()


# ---- a token where it does not belong ----

SECRET = "q7ZrT4wPa0yLxN93vKdJ5mEhUcGbS81oIfXtWnRq"
TOKEN = f"sgt_{SECRET}"

# Each takes the place of what a sound configuration has under its first key, if it has that.
MISPLACED = {
    "as a digest": f'clients = ({{ name = "a"; token_sha256 = "{TOKEN}"; }});',
    "as a digest without quotes": f'clients = ({{ name = "a"; token_sha256 = {TOKEN}; }});',
    "as a name": f'clients = ({{ name = "{TOKEN}"; token_sha256 = "{CI.sha256}"; }});',
    "as a name with more": f'clients = ({{ name = "{TOKEN}!"; token_sha256 = "{CI.sha256}"; }});',
    "as two names": "clients = (" + ", ".join(
        f'{{ name = "{TOKEN}"; token_sha256 = "{client.sha256}"; }}'
        for client in (CI, OTHER)) + ");",
    "as a key": f'clients = ({{ name = "a"; {TOKEN} = "x"; token_sha256 = "{CI.sha256}"; }});',
    "as a key of all": f'{TOKEN} = 1;',
    "in a key of its own": f'clients = ({{ name = "a"; token = "{TOKEN}"; }});',
    "as a client": f'clients = ( "{TOKEN}" );',
    "as a client in an array": f'clients = [ "{TOKEN}" ];',
    "as an end": f'clients = ({{ name = "a"; token_sha256 = "{CI.sha256}"; '
                 f'expires = "{TOKEN}"; }});',
    "as a weight": f'clients = ({{ name = "a"; token_sha256 = "{CI.sha256}"; '
                   f'weight = "{TOKEN}"; }});',
    "as a site": f'clients = ({{ name = "a"; token_sha256 = "{CI.sha256}"; '
                 f'sites = {{ allow = [ "{TOKEN}!" ]; }}; }});',
    "as an origin": f'origins = [ "{TOKEN}" ];',
    "as an origin's host": f'origins = [ "https://{TOKEN}" ];',
    "as a name of ours": f'server_names = [ "{TOKEN}!" ];',
    "as a level": f'log = {{ level = "{TOKEN}"; }};',
    "as a certificate": f'listen = ({{ address = "127.0.0.1"; port = 0; '
                        f'tls = {{ certificate = "{TOKEN}"; key = "{TOKEN}"; }}; }});',
    "as an address": f'admin = {{ address = "{TOKEN}"; port = 0; }};',
}


def assert_says_no_token(text):
    pieces = [SECRET[at:at + 6] for at in range(len(SECRET) - 5)]
    found = [piece for piece in pieces if piece.lower() in text.lower()]
    assert not found, text


@pytest.fixture(scope="module")
def open_house(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(), log={"level": "debug"})


def check_and_reload(house, part, until):
    """The configuration with this part: what -t makes of it, and what a reload logs."""
    good = house.config.read_text()
    kept = [line for line in good.splitlines(keepends=True)
            if not part.startswith(line.split()[0])]
    house.config.write_text("".join(kept) + part + "\n")
    try:
        checked = subprocess.run([BUILD / "solvegate", "-t", "-c", house.config],
                                 capture_output=True, text=True, timeout=patience(10), check=False)
        return checked, house.hang_up(until)
    finally:
        house.config.write_text(good)


@pytest.mark.parametrize("where", MISPLACED)
def test_a_token_in_a_wrong_place_is_not_quoted(open_house, where):
    checked, told = check_and_reload(open_house, MISPLACED[where], ERROR)
    assert checked.returncode == 2 and checked.stdout == "", checked
    assert "\n" not in checked.stderr.strip() and checked.stderr.strip() in told, (checked, told)
    assert_says_no_token(checked.stderr)
    assert_says_no_token(told)


# Those are sound, but -t and a reload warn of them.
DOUBTFUL = {
    "an old site": f'sites = {{ allow = ( {{ site = "{TOKEN}"; expires = "2026-01-31"; }} ); }};',
    "a site of a client": f'sites = {{ allow = [ "a.example" ]; }}; clients = ({{ name = "a"; '
                          f'token_sha256 = "{CI.sha256}"; sites = {{ allow = [ "{TOKEN}" ]; }}; '
                          f'}});',
}


@pytest.mark.parametrize("what", DOUBTFUL)
def test_a_token_in_a_wrong_place_is_not_quoted_by_a_warning_either(open_house, what):
    checked, told = check_and_reload(open_house, DOUBTFUL[what], r"Z info reloaded [^\n]*\n")
    assert checked.returncode == 0 and " warning " in checked.stderr, checked
    assert " warning " in told, told
    assert_says_no_token(checked.stderr)
    assert_says_no_token(told)


@pytest.mark.parametrize("name", ["local", TOKEN, "sgt_", "sgt_team"])
def test_a_client_is_not_called_like_everyone_nor_like_a_token(tmp_path, name):
    done = run_once(tmp_path, "-t", listen=[LOOPBACK], clients=[Client(name)])
    assert done.returncode == 2, done
    assert "solvegate.conf:" in done.stderr and len(done.stderr.splitlines()) == 1, done
    assert "name" in done.stderr
    assert_says_no_token(done.stderr)


@pytest.mark.parametrize("name", ["locals", "Local", "sgt", "a-sgt_b"])
def test_a_client_may_be_called_nearly_so(tmp_path, name):
    done = run_once(tmp_path, "-t", listen=[LOOPBACK], clients=[Client(name)])
    assert done.returncode == 0, done


# ---- a page that is let in no more ----

PAGE = "https://tools.example"


@pytest.fixture
def paged(simulator, gateway):
    sim = simulator(mode="pro", latency=0)
    return gateway(sim, clients=[CI], origins=[PAGE])


def assert_turned_away(answer):
    expect.error(answer, 403, "forbidden_origin")
    assert answer.header("Access-Control-Allow-Origin") is None, answer


def has_read_all(house, count):
    port = int(house.host.rsplit(":", 1)[1])
    wait_until(lambda: connections(port).count(0) >= count, what=f"{count} connections are read")


async def test_a_page_taken_off_in_the_middle_of_its_body_buys_nothing(paged):
    whole = request_bytes("POST", "/solve", paged.host, {"Origin": PAGE, **CI.headers}, job().body)
    async with await Connection.open(paged.url) as connection:
        await connection.send(whole[:-20])
        has_read_all(paged, 1)
        paged.reload(origins=[])
        await connection.send(whole[-20:])
        assert_turned_away(await connection.answer())
    other = job(seed="other")
    expect.solved(paged.solve(other, {**CI.headers, **HELD}), other)
    assert [sent["sha256"] for sent in paged.sim.requests("solve")] == [other.body_sha256]


def test_a_page_taken_off_while_it_is_held_is_answered_at_once(simulator, gateway, pool):
    house = gateway(simulator(mode="pro", latency=3600), clients=[CI], origins=[PAGE],
                    limits={"job_deadline": 3600.0})
    headers = {"Origin": PAGE, **CI.headers}
    job_id = house.submit(job(), **headers)
    turned_away = [pool.submit(house.solve, job(), {**headers, **HELD}),
                   pool.submit(house.status, job_id, "&wait=60", headers)]
    stays = pool.submit(house.status, job_id, "&wait=60", CI.headers)
    has_read_all(house, 3)
    house.reload(origins=["https://another.example"])
    for answer in turned_away:
        assert_turned_away(answer.result(patience(10.0)))
    assert not stays.done(), "what came from no page was not held on"
    house.stop_well()
    assert stays.result().status == 200
