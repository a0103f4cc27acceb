"""Who is calling: where a token may stand, what is told of a wrong one, how often it may be tried,
and where neither it nor its hash ever stands."""

import asyncio
import contextlib
import http.client
import itertools
import re
import select
import subprocess
import urllib.parse
from pathlib import Path

import pytest

from lib import audit, canary, expect, libconfig
from lib.build import BUILD, patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import TIMEOUT, Connection, exchange, read_answer, request, request_bytes
from lib.job import job

CI = Client("ci")
OTHER = Client("other")
LAPSED = Client("lapsed", expires="2026-01-31")

NOBODY = "sgt_nobodyhasthistokenofsolvegate0123456789abcd"

FREE_FAILURES = 3  # so many are answered at once
WAITING = 8  # so many answers to one address are held at once
LONGEST_PENALTY = 5.0

# The largest header is 8,192 bytes: this token just fits, beside the rest.
NEARLY_8_KB = "sgt_" + "x" * 7900

_hosts = itertools.count(0x100)


def somewhere():
    """An address of this machine from which nobody has failed yet."""
    number = next(_hosts)
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@pytest.fixture(scope="module")
def house(shared_simulator, shared_gateway):
    sim = shared_simulator(mode="pro", latency=0)
    return shared_gateway(sim, clients=[CI, OTHER, LAPSED], admin=LOOPBACK)


def open_from(house, address):
    """A kept connection from that address."""
    netloc = urllib.parse.urlsplit(house.url).netloc
    return http.client.HTTPConnection(netloc, timeout=patience(TIMEOUT),
                                      source_address=(address, 0))


def call(house, method, target, fields, body=None, address=None):
    """A request with these header fields, as they are written, from an address of its own."""
    with contextlib.closing(open_from(house, address or somewhere())) as connection:
        connection.putrequest(method, target)
        for name, value in fields:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        return read_answer(connection, method, target)


def unauthorized(answer, shown=True):
    """Refused since no token was shown, or a wrong one. Returns the object."""
    body = expect.error(answer, 401, "unauthorized")
    challenge = answer.header("WWW-Authenticate")
    assert challenge.startswith('Bearer realm="solvegate"'), answer
    assert ('error="invalid_token"' in challenge) == shown, answer
    return body


# ---- where a token may stand ----

PLACES = {
    "apikey": [("apikey", CI.token)],
    "Apikey": [("Apikey", CI.token)],
    "APIKEY": [("APIKEY", CI.token)],
    "Bearer": [("Authorization", f"Bearer {CI.token}")],
    "bearer": [("authorization", f"bearer {CI.token}")],
    "BEARER": [("AUTHORIZATION", f"BEARER {CI.token}")],
    "AUTHORIZATION": [("AUTHORIZATION", f"Bearer {CI.token}")],
    "both": [("apikey", CI.token), ("Authorization", f"Bearer {CI.token}")],
    "beside a uid": [("uid", "whoever"), ("apikey", CI.token)],
    "beside another scheme": [("Authorization", "Basic dXNlcjpwYXNz"), ("apikey", CI.token)],
    "beside an empty one": [("Authorization", "Bearer "), ("apikey", CI.token)],
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("path", ["/api/solve", "/solve"])
def test_a_token_is_taken_from_each_place(house, place, path):
    task = job(seed=f"{place}{path}")
    expect.solved(call(house, "POST", path, PLACES[place], task.body), task)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_asked_with_a_token_is_told_to_its_client(house, place):
    for path in ("/api/usage", "/usage"):
        answer = call(house, "GET", path, PLACES[place])
        assert answer.status == 200, answer
        assert answer.object()["client"] == "ci"


# ---- tokens that are no client's ----

WRONG = {
    "another": [("apikey", NOBODY)],
    "another as Bearer": [("Authorization", f"Bearer {NOBODY}")],
    "another in upper case": [("APIKEY", NOBODY)],
    "another as BEARER": [("AUTHORIZATION", f"BEARER {NOBODY}")],
    "expired": [("apikey", LAPSED.token)],
    "cut off": [("apikey", CI.token[:-1])],
    "longer": [("apikey", CI.token + "A")],
    "of another case": [("apikey", CI.token.swapcase())],
    "its own hash": [("apikey", CI.sha256)],
    "its own hash as Bearer": [("Authorization", f"Bearer {CI.sha256}")],
    "the client's name": [("apikey", "ci")],
    "the wildcard of a query": [("apikey", "%")],
    "not ASCII": [("apikey", "\u00fc" * 40)],
    "513 bytes": [("apikey", "x" * 513)],
    "nearly 8 KB": [("apikey", NEARLY_8_KB)],
    "nearly 8 KB as Bearer": [("Authorization", f"Bearer {NEARLY_8_KB}")],
    "the right one and a wrong one": [("apikey", CI.token), ("Authorization", f"Bearer {NOBODY}")],
    "a wrong one and the right one": [("apikey", NOBODY), ("Authorization", f"Bearer {CI.token}")],
    "those of two clients": [("apikey", CI.token), ("Authorization", f"Bearer {OTHER.token}")],
}

TWICE = {
    "the same": [("apikey", CI.token), ("apikey", CI.token)],
    "of two clients": [("apikey", CI.token), ("apikey", OTHER.token)],
    "Bearers": [("Authorization", f"Bearer {CI.token}"),
                ("Authorization", f"Bearer {OTHER.token}")],
}

NONE = {
    "nothing": [],
    "an empty one": [("apikey", "")],
    "an empty Bearer": [("Authorization", "Bearer")],
    "a Bearer of spaces": [("Authorization", "Bearer   ")],
    "another scheme": [("Authorization", f"Basic {CI.token}")],
    "no scheme": [("Authorization", CI.token)],
    "a uid": [("uid", CI.token)],
    "another field": [("X-Api-Key", CI.token), ("Cookie", f"apikey={CI.token}")],
}

NEEDS_TOKEN = [("POST", "/api/solve"), ("POST", "/solve"), ("GET", "/api/account/balance"),
               ("GET", "/balance"), ("GET", "/api/usage"), ("GET", "/usage"),
               ("DELETE", "/api/status?id=h-0123456789abcdefghijkl")]


def assert_refused_without_cost(house, fields, shown):
    """On every path that needs a token. Returns what is told."""
    before = house.sim.settled_counters()
    told = set()
    for method, target in NEEDS_TOKEN:
        body = job(seed="refused").body if method == "POST" else None
        answer = call(house, method, target, fields, body)
        unauthorized(answer, shown)
        told.add(answer.body)
    after = house.sim.counters()
    assert after["solve_requests"] == before["solve_requests"]
    assert after["balance_requests"] == before["balance_requests"]
    assert len(told) == 1, told
    return told.pop()


@pytest.mark.parametrize("which", TWICE)
def test_a_token_that_is_present_twice_is_refused(house, which):
    before = house.sim.counters()["solve_requests"]
    answer = call(house, "POST", "/solve", TWICE[which], job(seed=which).body)
    expect.error(answer, 400, "bad_request")
    assert house.sim.counters()["solve_requests"] == before


@pytest.mark.parametrize("which", WRONG)
def test_a_wrong_token_is_refused_and_costs_nothing(house, which):
    assert_refused_without_cost(house, WRONG[which], shown=True)


@pytest.mark.parametrize("which", NONE)
def test_without_a_token_all_is_refused_and_costs_nothing(house, which):
    assert_refused_without_cost(house, NONE[which], shown=False)


def test_a_token_in_the_address_is_none(house):
    for target in (f"/usage?apikey={CI.token}", f"/usage?access_token={CI.token}"):
        unauthorized(call(house, "GET", target, []), shown=False)


def test_of_a_token_nothing_is_told_but_that_it_is_wrong(house):
    """Neither that there was such a client, nor that it has expired."""
    told = {call(house, "GET", "/usage", WRONG[which]).body
            for which in ("another", "expired", "cut off", "its own hash", "nearly 8 KB")}
    assert len(told) == 1, told


@pytest.mark.parametrize("name", ["apikey", "Authorization"])
def test_a_token_of_8_kb_is_beyond_any_header(house, name):
    value = "sgt_" + "x" * 8192
    fields = [(name, f"Bearer {value}" if name == "Authorization" else value)]
    before = house.sim.counters()["solve_requests"]
    answer = call(house, "POST", "/solve", fields, job(seed="8 KB").body)
    expect.error(answer, 431, "header_too_large")
    assert value[:100].encode() not in answer.body
    assert house.sim.counters()["solve_requests"] == before


def test_a_head_without_a_token_has_no_body(house):
    answer = call(house, "HEAD", "/balance", [])
    assert (answer.status, answer.body) == (401, b"")
    assert answer.header("WWW-Authenticate") == 'Bearer realm="solvegate"'


async def test_a_refused_body_does_not_become_the_next_request(house):
    """The connection is kept, and what follows the body is read as a request of its own."""
    body = job(seed="kept", size=20_000).body
    async with await Connection.open(house.url) as connection:
        unauthorized(await connection.request("POST", "/solve", {}, body), shown=False)
        answer = await connection.request("GET", "/usage", CI.headers)
        assert answer.object()["client"] == "ci"


def test_a_client_whose_time_has_not_come_is_let_in(simulator, gateway):
    later = Client("later", expires="2999-12-31")
    house = gateway(simulator(mode="pro", latency=0), clients=[later])
    task = job()
    expect.solved(house.solve(task, later.headers), task)


def test_without_clients_everyone_is_let_in_whatever_he_shows(simulator, gateway):
    """And is not slowed down either: tools for the upstream bring its keys."""
    house = gateway(simulator(mode="pro", latency=0))
    for number, fields in enumerate([*WRONG.values(), *NONE.values()]):
        task = job(seed=number)
        expect.solved(call(house, "POST", "/solve", fields, task.body, "127.0.0.1"), task)


# ---- the id of a job ----


def test_whoever_has_the_id_of_a_job_may_ask_for_it_without_a_token(house):
    task = job(seed="capability")
    job_id = house.submit(task, **CI.headers)
    for fields in ([], PLACES["apikey"], PLACES["Bearer"], NONE["an empty one"]):
        answer = call(house, "GET", f"/api/status?id={job_id}&wait=20", fields)
        expect.solved(answer, task)


@pytest.mark.parametrize("which", ["another", "expired", "those of two clients"])
def test_whoever_asks_for_a_job_with_a_wrong_token_is_told_so(house, which):
    job_id = house.submit(job(seed="asked"), **CI.headers)
    unauthorized(call(house, "GET", f"/status?id={job_id}", WRONG[which]))


def test_a_token_of_another_client_is_told_of_no_such_job(house):
    job_id = house.submit(job(seed="foreign"), **CI.headers)
    unknown = "h-" + "A" * (len(job_id) - 2)
    for method in ("GET", "DELETE"):
        foreign = call(house, method, f"/status?id={job_id}", [("apikey", OTHER.token)])
        missing = call(house, method, f"/status?id={unknown}", [("apikey", OTHER.token)])
        expect.error(foreign, 404, "unknown_id")
        assert foreign.body.replace(job_id.encode(), unknown.encode()) == missing.body
        assert [n for n, _ in foreign.headers] == [n for n, _ in missing.headers]


def test_without_its_token_a_job_is_not_cancelled(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=60), clients=[CI, OTHER],
                    upstream={"max_in_flight": 1})
    house.submit(job(seed="first"), **CI.headers)
    wait_until(lambda: house.sim.counters()["accepted"] == 1)
    job_id = house.submit(job(seed="waits"), **CI.headers)
    target = f"/api/status?id={job_id}"
    for name, value in (("apikey", NOBODY), ("uid", CI.token), ("apikey", "")):
        refused = call(house, "DELETE", target, [(name, value)])
        unauthorized(refused, shown=value == NOBODY)
    expect.pending(house.status(job_id))
    cancelled = call(house, "DELETE", target, PLACES["bearer"])
    expect.failed(cancelled, "cancelled")


# ---- how often a wrong one may be tried ----


@contextlib.contextmanager
def wrong_ones(house, address, count):
    """So many connections from one address, each with a wrong token and an answer to come."""
    with contextlib.ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(contextlib.closing(open_from(house, address)))
            connection.request("GET", "/usage", None, {"apikey": NOBODY})
            connections.append(connection)
        yield connections


def answered(connections):
    """Those that have an answer to read."""
    sockets = {connection.sock: connection for connection in connections}
    return [sockets[sock] for sock in select.select(list(sockets), [], [], 0)[0]]


def read(connection):
    return read_answer(connection, "GET", "/usage")


def fail_until_slow(house, address):
    """Fails so often that the next answer is held for as long as one ever is."""
    for _ in range(FREE_FAILURES):
        unauthorized(call(house, "GET", "/usage", [("apikey", NOBODY)], address=address))
    with wrong_ones(house, address, WAITING - 1) as connections:
        for connection in connections:
            unauthorized(read(connection))


def test_a_right_token_does_not_wait_for_the_wrong_ones_of_its_address(house):
    address, elsewhere = somewhere(), somewhere()
    fail_until_slow(house, address)
    with wrong_ones(house, address, 2) as wrong:
        task = job(seed="overtakes")
        right = call(house, "POST", "/solve", PLACES["Bearer"], task.body, address)
        expect.solved(right, task)
        assert call(house, "GET", "/usage", PLACES["apikey"], address=address).status == 200
        unauthorized(call(house, "GET", "/usage", [], address=elsewhere), shown=False)
        unauthorized(call(house, "GET", "/usage", [("apikey", NOBODY)], address=elsewhere))
        assert not answered(wrong), "a wrong token was answered before what came after it"
        for connection in wrong:
            unauthorized(read(connection))


def test_beyond_so_many_held_answers_wrong_tokens_are_turned_away(house):
    address = somewhere()
    fail_until_slow(house, address)
    with wrong_ones(house, address, WAITING + 6) as wrong:
        wait_until(lambda: len(answered(wrong)) >= 6)
        turned_away = answered(wrong)
        held = [connection for connection in wrong if connection not in turned_away]
        assert len(held) == WAITING
        for connection in turned_away:
            answer = read(connection)
            said = expect.error(answer, 429, "rate_limited")["message"]
            assert "send the right one, which is accepted at once" in said
            assert int(answer.header("Retry-After")) >= 1
            assert answer.header("Connection") == "close"
        task = job(seed="beyond")
        expect.solved(call(house, "POST", "/solve", PLACES["apikey"], task.body, address), task)
        assert not answered(held)
        for connection in held:
            unauthorized(read(connection))


def test_who_only_leaves_his_token_out_is_not_slowed_down(house):
    """Nothing can be guessed that way."""
    address = somewhere()
    with contextlib.closing(open_from(house, address)) as connection:
        for _ in range(FREE_FAILURES + WAITING + 20):
            unauthorized(exchange(connection, "GET", "/usage"), shown=False)
    with wrong_ones(house, address, 1) as wrong:
        unauthorized(read(wrong[0]))


def test_held_answers_that_nobody_waits_for_do_not_count_for_ever(house):
    address = somewhere()
    fail_until_slow(house, address)
    with wrong_ones(house, address, WAITING + 1) as wrong:
        turned_away = wait_until(lambda: answered(wrong), what="one of them is turned away")
        expect.error(read(turned_away[0]), 429, "rate_limited")

    def held_again():
        answer = call(house, "GET", "/usage", [("apikey", NOBODY)], address=address)
        return answer if answer.status == 401 else None

    unauthorized(wait_until(held_again, 5 * LONGEST_PENALTY, "an answer is held again"))


async def test_a_wrong_token_is_refused_before_the_body(simulator, gateway):
    """Who waits for 100 Continue is not told to send a body that nobody wants."""
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    body = job(size=20_000).body
    fields = {"apikey": NOBODY, "Expect": "100-continue", "Content-Type": "application/json",
              "Content-Length": str(len(body))}
    codes = []
    for _ in range(FREE_FAILURES + 1):
        async with await Connection.open(house.url) as connection:
            await connection.send(request_bytes("POST", "/solve", house.host, fields))
            status, headers = await connection.head()
            assert status != 100
            codes.append(status)
            if status == 429:
                assert int(dict(headers)["Retry-After"]) >= 1
                text = await asyncio.wait_for(connection.reader.read(), patience(10))
                assert b'"rate_limited"' in text
    assert codes == [401] * FREE_FAILURES + [429]
    assert house.sim.counters()["solve_bytes"] == 0


def test_a_stop_does_not_wait_for_what_is_held_as_a_penalty(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    fail_until_slow(house, "127.0.0.1")
    with wrong_ones(house, "127.0.0.1", 3):
        house.stop_well()


# ---- where a token is never seen ----


def forms_of(client):
    """A token, its hash, and their forms, as bytes."""
    digest = bytes.fromhex(client.sha256)
    return [client.token.encode(), client.sha256.encode(), client.sha256.upper().encode(), digest]


def secrets():
    texts = [form for client in (CI, OTHER, LAPSED) for form in forms_of(client)]
    return [*texts, *forms_of(Client("nobody", NOBODY)), NEARLY_8_KB[:200].encode()]


def assert_none_in(data, where):
    found = [secret for secret in secrets() if secret in data]
    assert not found, f"{found} in {where}"


def try_everything(house, number):
    """Right and wrong tokens in all places. Returns the answers."""
    answers = []
    for place, fields in {**PLACES, **WRONG, **NONE}.items():
        task = job(images=1, seed=f"{number}{place}")
        answers.append(call(house, "POST", "/solve", fields, task.body))
        for method, target in NEEDS_TOKEN[2:]:
            answers.append(call(house, method, target, fields))
    # What ends in an error of its own, with the token in odd places.
    odd = [("GET", f"/nowhere/{CI.token}", PLACES["apikey"]), ("PUT", "/solve", PLACES["apikey"]),
           ("GET", f"/status?id={CI.token}", PLACES["apikey"]),
           ("GET", "/usage", [("apikey", "x" + CI.token)]),
           ("GET", "/usage", [*PLACES["apikey"], ("Origin", "http://evil.example")]),
           ("GET", "/usage", [*PLACES["apikey"], ("X", "x" * 8192)])]
    answers += [call(house, *request) for request in odd]
    outside = job(site="elsewhere.example", seed=number)
    answers.append(house.solve(outside, CI.headers))
    return answers


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_token_is_never_seen_again(simulator, gateway, form):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI, OTHER, LAPSED], admin=LOOPBACK,
                    durability="full", log={"level": "debug", "format": form})
    for number, answer in enumerate(try_everything(house, form)):
        assert_none_in(answer.body + repr(answer.headers).encode(), f"answer {number}: {answer}")
    house.reload(clients=[CI, OTHER])
    try_everything(house, f"{form} again")
    for target in ("/metrics", "/healthz", "/readyz"):
        assert_none_in(request(house.admin_url, "GET", target).body, target)
    assert_none_in(Path(f"/proc/{house.pid}/cmdline").read_bytes(), "cmdline")
    with contextlib.suppress(PermissionError):  # root alone may read it
        assert_none_in(Path(f"/proc/{house.pid}/environ").read_bytes(), "environ")
    refused = audit.wait_for(house.audit_file, lambda records: [
        record for record in records if record["outcome"] == "unauthorized"])
    assert refused
    house.stop_well()
    assert "debug" in house.log()
    assert_none_in(house.log_path.read_bytes(), "the log")
    files = [path for path in house.state_directory.rglob("*") if path.is_file()]
    assert house.audit_file in files
    for path in files:
        assert_none_in(path.read_bytes(), path)


def test_no_token_goes_upstream(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0), clients=[CI])
    for place, fields in PLACES.items():
        task = job(seed=place)
        expect.solved(call(house, "POST", "/solve", fields, task.body), task)
    sent = house.sim.requests("solve")
    assert len(sent) == len(PLACES)
    for number, seen in enumerate(sent):
        assert_none_in(repr(seen).encode(), f"request {number} to the upstream")
        assert set(seen["headers"].values()) & {canary.STORED_APIKEY}


BAD_ENTRIES = {
    "too short": {"token_sha256": CI.sha256[:-1]},
    "the token in place of its hash": {"token_sha256": CI.token},
    "no digits": {"token_sha256": CI.sha256[:-1] + "g"},
    "an unknown key": {"token": CI.token},
}


def in_list(entry):
    """A group as it stands in the configuration."""
    return libconfig.dumps({"x": entry}).removeprefix("x = ").removesuffix(";\n")


@pytest.mark.parametrize("which", BAD_ENTRIES)
def test_an_error_of_the_configuration_quotes_no_token(simulator, gateway, which):
    house = gateway(simulator(), clients=[CI])
    entry = {**CI.entry, **BAD_ENTRIES[which]}
    plain = house.config.read_text()
    house.config.write_text(plain.replace(in_list(CI.entry), in_list(entry)))
    assert house.config.read_text() != plain
    checked = subprocess.run([BUILD / "solvegate", "-t", "-c", house.config], text=True,
                             capture_output=True, timeout=patience(10), check=False)
    assert checked.returncode == 2, checked
    assert re.match(rf"{house.config}:\d+: ", checked.stderr)
    assert_none_in(checked.stderr.encode() + checked.stdout.encode(), "the error")
    assert CI.sha256[:16] not in checked.stderr
    assert_none_in(house.hang_up(r"Z error [^\n]*\n").encode(), "the log")


def test_two_clients_with_one_token_are_an_error_that_does_not_quote_it(simulator, gateway):
    house = gateway(simulator(), clients=[CI])
    house.configure(clients=[CI, Client("twin", CI.token)])
    checked = subprocess.run([BUILD / "solvegate", "-t", "-c", house.config], text=True,
                             capture_output=True, timeout=patience(10), check=False)
    assert checked.returncode == 2
    assert "twin" in checked.stderr or "clients[1]" in checked.stderr
    assert_none_in(checked.stderr.encode(), "the error")
