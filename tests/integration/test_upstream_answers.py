"""Responses of an upstream that are damaged, wrapped, contradictory, or about something else."""

import base64
import json

import pytest

from lib import expect
from lib.answering import Answering
from lib.build import wait_until
from lib.gateway import LOOPBACK
from lib.job import job
from lib.state import ledger

HELD = {"Prefer": "wait=60"}
QUICK = {"base": 0.01, "cap": 0.01, "attempts": 100}
DEADLINE = 1.5
OURS = {"id": "A1", "status": "solved", "solution": [7]}
QUEUED = {"id": "A1", "status": "new"}


def small(seed=0):
    return job(images=1, size=20, seed=seed)


def solution(answer):
    body = answer.object()
    assert body["status"] == "solved", answer
    return body["solution"]


@pytest.fixture
def answering(gateway):
    """Starts a gateway with an upstream that answers in this way."""
    running = []

    def start(respond, **settings):
        upstream = Answering(respond)
        running.append(upstream)
        upstream.__enter__()
        house = gateway(upstream=upstream.entry, retry=QUICK, **settings)
        return house, upstream

    yield start
    for upstream in running:
        upstream.__exit__()


def queued_then(*polls):
    """A job is queued as A1; the polls are answered in this order, the last one for ever."""

    def respond(request):
        if request.endpoint == "solve":
            return 200, [], QUEUED
        return 200, [], polls[min(request.number, len(polls)) - 1]

    return respond


# ---- a poll that is answered with another job ----

# No id of ours has a colon.
FOREIGN = {
    "solved": b'{"id":"B:2","status":"solved","solution":[1]}',
    "escaped": b'{"\\u0069d":"B\\u003a2","status":"solved","solution":[1]}',
    "case": b'{"id":"a1","status":"solved","solution":[1]}',
    "number": b'{"id":1,"status":"solved","solution":[1]}',
    "twice": b'{"id":"A1","id":"B:2","status":"solved","solution":[1]}',
    "array": b'{"id":["A1"],"status":"solved","solution":[1]}',
    "error": b'{"id":"B:2","status":"error","message":"no"}',
    "code": b'{"id":"B:2","code":12}',
    "wait": b'{"id":"B:2","code":16,"retryAfterSec":60}',
    "account": b'{"id":"B:2","code":3}',
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_poll_that_names_another_job_is_sent_again(answering, kind):
    house, upstream = answering(queued_then(FOREIGN[kind], OURS))
    assert solution(house.solve(small(), HELD)) == [7]
    assert [poll.id for poll in upstream.requests("status")] == ["A1", "A1"]
    lines = [line for line in house.log().splitlines() if "ID of another job" in line]
    assert " warning upstream main: " in lines[0] and "B:2" not in house.log(), lines
    assert "refuses the account" not in house.log()


def test_the_result_of_another_job_is_neither_given_out_nor_kept(answering):
    def respond(request):
        return 200, [], QUEUED if request.endpoint == "solve" else FOREIGN["solved"]

    house, upstream = answering(respond, limits={"job_deadline": DEADLINE})
    for tries in (1, 2):
        expect.failed(house.solve(small(), HELD), "deadline")
        assert len(upstream.requests("solve")) == tries


@pytest.mark.parametrize("named", [b"", b'"id":null,', b'"id":"",', b'"id":"\\u00411",'])
def test_a_poll_that_names_no_other_job_is_taken(answering, named):
    house, upstream = answering(queued_then(b"{" + named + b'"status":"solved","solution":[7]}'))
    assert solution(house.solve(small(), HELD)) == [7]
    assert len(upstream.requests("status")) == 1


# ---- what wraps and damages a response ----

SOLVED = b'{"id":"A1","status":"solved","note":"caf%s","solution":[7]}'

WRAPPED = {
    "byte order mark": b"\xef\xbb\xbf" + SOLVED % b"e",
    "NUL": SOLVED % b"e" + b"\r\n\0",
    "not UTF-8": SOLVED % b"\xe9",
    "control": SOLVED % b"\t",
}

NOTES = {"not UTF-8": "caf\ufffd", "control": "caf\t"}


@pytest.mark.parametrize("endpoint", ["solve", "status"])
@pytest.mark.parametrize("kind", WRAPPED)
def test_a_paid_result_is_not_lost_for_its_packaging(answering, kind, endpoint):
    def respond(request):
        return 200, [], WRAPPED[kind] if request.endpoint == endpoint else QUEUED

    house, upstream = answering(respond)
    answer = house.solve(small(), HELD)
    assert solution(answer) == [7] and answer.object()["note"] == NOTES.get(kind, "cafe")
    assert len(upstream.requests("solve")) == 1
    replaced = "warning upstream main: bytes of a response that are not UTF-8 were replaced: 1\n"
    assert (replaced in house.log()) == (kind == "not UTF-8")


def test_a_damaged_solution_is_polled_for_and_never_given_out(answering):
    damaged = b'{"id":"A1","status":"solved","solution":["caf\xe9"]}'

    def respond(request):
        intact = request.endpoint == "status" and request.number == 2
        return 200, [], OURS if intact else damaged

    house, upstream = answering(respond)
    assert solution(house.solve(small(), HELD)) == [7]
    assert len(upstream.requests("solve")) == 1
    assert "the upstream's solution is damaged" in house.log()


def test_a_damaged_solution_without_an_id_is_unknown(answering):
    house, upstream = answering(
        lambda request: (200, [], b'{"status":"solved","solution":"caf\xe9"}'),
        durability="full")
    body = expect.failed(house.solve(small(), HELD), "outcome_unknown")
    assert "not valid UTF-8" in body["message"]
    assert len(upstream.requests("solve")) == 1
    house.stop_well()
    assert ledger(house.state_directory)["unknown"] == 1


@pytest.mark.parametrize("text", [
    b'{"status":"error","status":"solved","solution":[1]}',
    b'{"status":"error","code":16,"solution":[1]}',
    b'{"code":16}{"status":"solved"}',
    b'{"code":16,"code":12}',
    b'{"status":"new","id":"A1","id":"B:2"}',
])
def test_a_job_with_a_contradictory_response_is_not_sent_again(answering, text):
    house, upstream = answering(lambda request: (200, [], text))
    expect.failed(house.solve(small(), HELD), "outcome_unknown")
    assert len(upstream.requests("solve")) == 1


# ---- the credential ----

KEY = "Canary/key+9e03a7c65f1b48d2"


def test_an_upstreams_id_may_hold_the_uid_and_the_key(answering):
    """Neither the log, nor the audit, nor an answer shows it; and it outlives a crash."""
    job_id = f"h-4711-{KEY}-00001"
    started_again = []

    def respond(request):
        if request.endpoint == "solve":
            return 200, [], {"status": "new", "id": job_id, "url": f"/status?id={job_id}"}
        if not started_again:
            return 200, [], {"status": "in queue", "id": job_id}
        return 200, [], {"status": "solved", "id": job_id, "solution": [4711], "seen": "4711 x4711"}

    house, upstream = answering(respond, credential={"uid": "4711", "apikey": KEY},
                                durability="full")
    submitted = house.submit(small())
    wait_until(lambda: upstream.requests("status"), 20.0, "a poll")
    house.kill_and_start_again()
    started_again.append(True)
    answer = house.finish(submitted)
    assert solution(answer) == [4711] and answer.object()["seen"] == "4711 x4711"
    assert {poll.id for poll in upstream.requests("status")} == {job_id}
    assert len(upstream.requests("solve")) == 1
    house.stop_well()
    for text in (answer.body.decode(), house.log(), house.audit_file.read_text()):
        assert KEY not in text and "h-4711" not in text


def forms(key):
    """The key as upstreams and what is in front of them write it."""
    raw = key.encode()
    yield key
    yield key.upper()
    yield key.replace("/", "%2f").replace("+", "%2B")
    yield "".join(f"%{byte:02X}" for byte in raw)
    yield json.dumps(key).replace("/", "\\/")
    yield raw.hex()
    yield raw.hex().upper()
    for before in (b"", b"a", b"ab"):
        yield base64.b64encode(before + raw + b"zz").decode()
        yield base64.urlsafe_b64encode(before + raw + b"zz").decode()


@pytest.mark.parametrize("where", ["result", "message", "name"])
def test_the_key_is_found_in_each_form(answering, where):
    values = list(forms(KEY))
    told = " ".join(values)
    response = {"result": {"status": "solved", "solution": [told]},
                "name": {"status": "solved", "solution": {told: 1}},
                "message": {"status": "error", "message": told[:500]}}[where]
    house, _ = answering(lambda request: (200, [], response),
                         credential={"uid": "4711", "apikey": KEY})
    text = house.solve(small(), HELD).body.decode()
    assert "****" in text
    for value in values:
        assert value[4:-4] not in text
        assert value[4:-4] not in house.log()


def test_the_uid_is_a_word_of_a_message(answering):
    house, _ = answering(
        lambda request: (200, [], {"status": "error", "message": "4711: no job h-47110"}),
        credential={"uid": "4711", "apikey": KEY})
    assert expect.failed(house.solve(small(), HELD), "upstream_rejected")["message"] == \
        "****: no job h-47110"


# ---- Retry-After ----

LATER = {"status": "error", "code": 16, "msg": "RATE_LIMITED"}
PAST, FUTURE = "Sun, 06 Nov 1994 08:49:37 GMT", "Friday, 31-Dec-49 23:59:59 GMT"

WAITS = {
    "an hour and more": ([], b"3601"),
    "a fraction": ([], b"2.5"),
    "an exponent": ([], b"36e2"),
    "beyond 2^63": ([], b"9223372036854775809"),
    "text": ([], b'"3601"'),
    "header beyond any integer": ([("Retry-After", "99999999999999999999")], b"0"),
    "rfc850-date": ([("Retry-After", FUTURE)], b"-1"),
    "asctime-date": ([("Retry-After", "Fri Dec 31 23:59:59 2049")], b"null"),
    "the body's is later": ([("Retry-After", "1")], b"60"),
    "the header's is later": ([("Retry-After", "60")], b"1"),
    "a date that has passed": ([("Retry-After", PAST)], b"60"),
    "two fields": ([("Retry-After", "0"), ("Retry-After", "60"), ("Retry-After", "0")], b"0"),
}


@pytest.mark.parametrize("kind", WAITS)
def test_a_wait_of_any_length_is_waited_for(answering, kind):
    """Until the deadline, which comes first in all cases."""
    fields, seconds = WAITS[kind]
    body = json.dumps(LATER).encode()[:-1] + b',"retryAfterSec":' + seconds + b"}"
    house, upstream = answering(lambda request: (200, fields, body),
                                limits={"job_deadline": DEADLINE})
    expect.failed(house.solve(small(), HELD), "deadline")
    assert len(upstream.requests("solve")) == 1


def test_what_asks_for_no_wait_is_sent_again_soon(answering):
    def respond(request):
        if request.number < 3:
            return 200, [("Retry-After", PAST)], {**LATER, "retryAfterSec": -3601}
        return 200, [], OURS

    house, upstream = answering(respond)
    assert solution(house.solve(small(), HELD)) == [7]
    assert len(upstream.requests("solve")) == 3


# ---- an account without money ----

NO_MONEY = {
    "402": (402, [], {"status": "error", "message": "no balance"}),
    "402 without a status": (402, [], {"error": "no balance"}),
    "402 as a page": (402, [("Content-Type", "text/html")], b"<html>Payment Required</html>"),
    "401 as a page": (401, [], b"Unauthorized"),
    "401 as an error": (401, [], {"status": "error", "message": "no key"}),
}


def pair(gateway, first, second):
    """Two upstreams by priority."""
    return gateway(upstreams=[{"name": "first", "priority": 0, **first.entry},
                              {"name": "second", "priority": 1, **second.entry}],
                   retry={**QUICK, "recheck": 60}, admin=LOOPBACK)


@pytest.mark.parametrize("kind", NO_MONEY)
def test_an_account_that_is_refused_is_out_and_its_jobs_go_elsewhere(gateway, kind):
    with Answering(lambda request: NO_MONEY[kind]) as first, \
            Answering(lambda request: (200, [], OURS)) as second:
        house = pair(gateway, first, second)
        for seed in range(6):
            assert solution(house.solve(small(seed), HELD)) == [7]
        assert len(first.requests("solve")) == 1
        assert len(second.requests("solve")) == 6
        assert "upstream first refuses the account of credential account: " in house.log()


def test_a_403_is_about_the_job(gateway):
    with Answering(lambda request: (403, [], {"status": "error", "message": "not this"})) as first, \
            Answering(lambda request: (200, [], OURS)) as second:
        house = pair(gateway, first, second)
        for seed in range(2):
            expect.failed(house.solve(small(seed), HELD), "upstream_rejected")
        assert len(first.requests("solve")) == 2 and not second.requests("solve")


@pytest.mark.parametrize("kind", NO_MONEY)
def test_a_job_that_was_accepted_is_followed_while_its_account_is_refused(answering, kind):
    def respond(request):
        if request.endpoint == "solve":
            return 200, [], QUEUED
        return (200, [], OURS) if request.number == 3 else NO_MONEY[kind]

    house, upstream = answering(respond)
    assert solution(house.solve(small(), HELD)) == [7]
    assert len(upstream.requests("solve")) == 1
    assert house.log().count("refuses the account") == 1


@pytest.mark.parametrize("kind", NO_MONEY)
def test_a_balance_of_a_refused_account_is_told_as_such(answering, kind):
    house, _ = answering(lambda request: NO_MONEY[kind])
    told, = json.loads(house.operate("GET", "/control/balance").body)["balances"]
    assert told["failure"]["refused"], told
