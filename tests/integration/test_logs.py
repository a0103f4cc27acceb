"""The log: one line for each finished request, whatever became of it, in each format; limits for
what a peer could flood; counters that equal what was sent; and nobody waits for the reader."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess

import pytest

from lib import expect
from lib.build import BUILD, patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK
from lib.http import Connection, request, request_bytes
from lib.job import SITE, job
from lib.logs import Log, a_journal

HELD = {"Prefer": "wait=30"}
NEVER = 60
ID = re.compile(r"[0-9a-f]{16}")

CI = Client("ci")
OTHER = Client("other")
NOBODY = "sgt_" + "n0body" * 6

ALWAYS = {"level", "message", "id", "client", "address", "method", "endpoint", "code", "bytes",
          "duration_ms", "held_ms"}


@pytest.fixture(params=["text", "json", "journal"])
def form(request):
    return request.param


@pytest.fixture
def start(simulator, gateway):
    """A gateway with its log in one format, a simulator of its own, and an operators' address."""

    def run(form="text", level="info", sim=None, journal=None, **settings):
        sim = sim or simulator(mode="pro", latency=0)
        if journal:
            settings["popen"] = journal.popen
        house = gateway(sim, **{"admin": LOOPBACK, "log": {"level": level, "format": form},
                                **settings})
        return Log(house, form, journal)

    return run


@pytest.fixture
def logged(start, form):
    """The same for each format, with what stands in for the journal where it is needed."""
    if form != "journal":
        yield lambda **settings: start(form, **settings)
        return
    with a_journal() as journal:
        journal.read()
        yield lambda **settings: start(form, journal=journal, **settings)


def fields(line, *names):
    return {name: line[name] for name in names}


# ---- one line for each request ----


def test_each_finished_request_has_one_line_with_what_it_was(logged):
    log = logged(clients=[CI])
    tool = log.house.caller(CI)
    task = job()
    first = tool.solve(task, HELD)
    job_id = expect.solved(first, task)["id"]
    line = log.of(first)
    assert set(line) == ALWAYS | {"job", "source", "state"}
    assert fields(line, "level", "client", "address", "method", "endpoint", "code", "job",
                  "source", "state", "bytes") == {
        "level": "info", "client": "ci", "address": "127.0.0.1", "method": "POST",
        "endpoint": "solve", "code": 200, "job": job_id, "source": "upstream", "state": "solved",
        "bytes": len(task.body)}
    assert 0 < line["held_ms"] <= line["duration_ms"]
    again = tool.solve(task, HELD)
    assert fields(log.of(again), "source", "held_ms") == {"source": "cache", "held_ms": 0}
    status = log.of(tool.status(job_id))
    assert fields(status, "client", "method", "endpoint", "job", "source", "bytes") == {
        "client": "ci", "method": "GET", "endpoint": "status", "job": job_id,
        "source": "upstream", "bytes": 0}
    by_id_alone = log.of(log.house.status(job_id))
    assert fields(by_id_alone, "client", "job") == {"client": "-", "job": job_id}
    others = {"/balance": "balance", "/usage": "usage"}
    for target, endpoint in others.items():
        line = log.of(tool.get(target))
        assert (line["endpoint"], set(line)) == (endpoint, ALWAYS)
    assert len(log.requests()) == 4 + len(others)


def test_a_refused_request_has_a_line_with_its_error_and_nothing_of_its_own(logged):
    log = logged(clients=[CI])
    house, tool = log.house, log.house.caller(CI)
    # One by one: as many lines at once as this makes are more than the queue of a journal holds.
    wanted = {
        (404, "not_found", "other", "-"): lambda: tool.get(f"/nowhere/{CI.token}?{CI.token}"),
        (404, "unknown_id", "status", "ci"): lambda: tool.status(CI.token),
        (401, "unauthorized", "usage", "-"): lambda: house.get("/usage", {"apikey": NOBODY}),
        (403, "site_not_allowed", "solve", "ci"):
            lambda: tool.solve(job(site="secret-site.example")),
        (403, "forbidden_host", "usage", "-"):
            lambda: tool.get("/usage", {"Host": "secret.example"}),
        (405, "method_not_allowed", "solve", "-"): lambda: tool.get("/solve"),
        (400, "bad_json", "solve", "ci"): lambda: tool.solve(job().with_body(b'{"secret')),
    }
    for (code, error, endpoint, client), ask in wanted.items():
        answer = ask()
        expect.error(answer, code, error)
        line = log.of(answer)
        assert fields(line, "code", "error", "endpoint", "client") == {
            "code": code, "error": error, "endpoint": endpoint, "client": client}, line
        assert "secret" not in str(line) and CI.token not in str(line), line
    strange = log.of(house.request("BREW", "/solve"))
    assert strange["method"] == "other"
    text = str(log.entries())
    assert NOBODY not in text and CI.token not in text and CI.sha256 not in text


@pytest.mark.parametrize("origin", ['http://x" id=0 client=ci\\" code=200', "n0-0rigin"])
def test_what_is_no_origin_is_neither_shown_nor_forges_a_field(logged, origin):
    log = logged(clients=[CI])
    answer = log.house.get("/usage", {"Origin": origin})
    expect.error(answer, 403, "forbidden_origin")
    assert log.of(answer)["client"] == "-"
    refused, = (e for e in log.entries() if e["message"] == "refused")
    assert refused == {"level": "warning", "message": "refused", "client": "-",
                       "id": answer.header("X-Request-Id"), "address": "127.0.0.1",
                       "error": "forbidden_origin", "detail": answer.object()["message"]}
    for word in origin.split():
        assert word not in str(log.entries()) + answer.object()["message"]


def test_a_failed_job_is_told_with_its_error_though_the_code_is_200(start, simulator):
    log = start(sim=simulator(mode="pro", latency=0, faults=["solve:status=400"]))
    answer = log.house.solve(job(), HELD)
    code = answer.object()["code"]
    assert fields(log.of(answer), "code", "error", "state") == {
        "code": 200, "error": code, "state": "failed"}


def test_a_cancelled_job_is_told_as_such(start, simulator):
    log = start(sim=simulator(latency=NEVER), upstream={"max_in_flight": 1})
    house = log.house
    house.submit(job(seed=1))
    waits = house.submit(job(seed=2))
    answer = house.request("DELETE", f"/api/status?id={waits}")
    assert fields(log.of(answer), "method", "endpoint", "code", "error", "job", "state") == {
        "method": "DELETE", "endpoint": "status", "code": 200, "error": "cancelled", "job": waits,
        "state": "cancelled"}


async def test_a_held_client_that_goes_away_is_told_as_499(start, simulator):
    sim = simulator(latency=NEVER)
    log = start(sim=sim)
    task = job()
    async with await Connection.open(log.house.url) as connection:
        head = (f"POST /api/solve HTTP/1.1\r\nHost: {log.house.host}\r\nPrefer: wait=60\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(task.body)}\r\n\r\n")
        await connection.send(head.encode() + task.body)
        await asyncio.to_thread(wait_until, lambda: sim.requests("solve"))
        await connection.reset()
    line = await asyncio.to_thread(log.where, code=499)
    assert fields(line, "error", "endpoint", "bytes") == {
        "error": "client_gone", "endpoint": "solve", "bytes": len(task.body)}
    assert 0 < line["held_ms"] <= line["duration_ms"]
    assert line["job"].startswith("h-")
    assert 'code="499"' not in str(log.house.metrics())


async def test_a_client_that_goes_away_within_its_body_is_told_as_499(start):
    log = start()
    async with await Connection.open(log.house.url) as connection:
        await connection.send(f"POST /api/solve HTTP/1.1\r\nHost: {log.house.host}\r\n"
                              "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
                              "1234567".encode())
    line = await asyncio.to_thread(log.where, code=499)
    assert fields(line, "error", "endpoint", "bytes") == {
        "error": "client_gone", "endpoint": "solve", "bytes": 7}
    assert not {"job", "state", "source"} & set(line)


async def test_a_malformed_request_has_a_line(start):
    log = start()
    async with await Connection.open(log.house.url) as connection:
        await connection.send(b"POST /api/solve HTTP/1.1\r\n: x\r\n\r\n")
        answer = await connection.answer()
        expect.error(answer, 400, "bad_request")
    line = await asyncio.to_thread(log.of, answer)
    assert fields(line, "code", "error", "endpoint", "method") == {
        "code": 400, "error": "malformed", "endpoint": "other", "method": "-"}


async def test_a_malformed_body_has_a_line_with_its_endpoint(start):
    log = start()
    async with await Connection.open(log.house.url) as connection:
        await connection.send(f"POST /api/solve HTTP/1.1\r\nHost: {log.house.host}\r\n"
                              "Content-Type: application/json\r\nExpect: 100-continue\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n".encode())
        assert (await connection.head())[0] == 100
        await connection.send(b"no chunk\r\n")
        answer = await connection.answer()
        expect.error(answer, 400, "bad_request")
    line = await asyncio.to_thread(log.of, answer)
    assert fields(line, "code", "error", "endpoint") == {
        "code": 400, "error": "malformed", "endpoint": "solve"}


@pytest.mark.parametrize("late", ["header", "body"])
async def test_what_comes_too_late_has_a_line_and_its_answer_an_id(start, late):
    log = start(limits={f"{late}_timeout": 0.2})
    async with await Connection.open(log.house.url) as connection:
        text = f"POST /api/solve HTTP/1.1\r\nHost: {log.house.host}\r\n"
        if late == "body":
            text += "Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        await connection.send(text.encode())
        answer = await connection.answer()
    expect.error(answer, 408, "request_timeout")
    line = await asyncio.to_thread(log.of, answer)
    wanted = ("POST", "solve", 1) if late == "body" else ("-", "other", 0)
    assert (line["method"], line["endpoint"], line["bytes"]) == wanted
    assert fields(line, "code", "error") == {"code": 408, "error": "request_timeout"}


def test_what_operators_ask_for_is_told_at_debug_alone(start):
    quiet, loud = start(), start(level="debug")
    for log in (quiet, loud):
        assert request(log.house.admin_url, "GET", "/healthz").header("X-Request-Id") is None
        log.of(log.house.status("h-x"))
    assert [line["endpoint"] for line in quiet.requests()] == ["status"]
    line = loud.where(endpoint="healthz")
    assert fields(line, "level", "code") == {"level": "debug", "code": 200}


def test_at_level_warning_there_is_no_line_of_a_request(start):
    log = start(level="warning")
    log.house.get("/nowhere")
    expect.error(log.house.solve(job(site="elsewhere.example")), 403, "site_not_allowed")
    refused = wait_until(lambda: [e for e in log.entries() if e["message"] == "refused"])
    assert not log.requests()
    assert ID.fullmatch(refused[0]["id"])


# ---- one line for each job ----


def test_a_job_that_ends_has_one_line_with_what_it_was(logged, simulator):
    log = logged(sim=simulator(mode="pro", latency=0), clients=[CI])
    task = job()
    first = expect.solved(log.house.caller(CI).solve(task, HELD), task)["id"]
    line = log.job(first)
    assert 0 <= line.pop("duration_ms") < 60_000
    assert line == {"level": "info", "message": "job", "job": first, "outcome": "solved",
                    "client": "ci", "site": SITE, "upstream": "main"}


def test_a_job_that_fails_is_a_warning_with_the_sentence_that_its_client_gets(logged, simulator):
    log = logged(sim=simulator(mode="pro", latency=0, faults=["solve:status=400"]))
    answer = log.house.solve(job(), HELD).object()
    line = log.job(answer["id"])
    assert fields(line, "level", "outcome", "client", "upstream", "detail") == {
        "level": "warning", "outcome": answer["code"], "client": "local", "upstream": "main",
        "detail": answer["message"]}


def test_a_job_that_was_not_sent_has_no_duration(start, simulator):
    log = start(sim=simulator(latency=NEVER), upstream={"max_in_flight": 1})
    log.house.submit(job(seed=1))
    waits = log.house.submit(job(seed=2))
    assert log.house.request("DELETE", f"/api/status?id={waits}").status == 200
    line = log.job(waits)
    assert fields(line, "level", "outcome", "client", "site") == {
        "level": "info", "outcome": "cancelled", "client": "local", "site": SITE}
    assert "duration_ms" not in line and "upstream" not in line


# ---- ids ----


def test_every_answer_has_an_id_of_its_own(start):
    log = start(clients=[CI], origins=["https://tool.example"], limits={"body_bytes": 3000})
    house, tool = log.house, log.house.caller(CI)
    page = {"Origin": "https://tool.example", "Access-Control-Request-Method": "POST"}
    answers = [tool.solve(job(), HELD), tool.solve(job(images=30)), tool.get("/nowhere"),
               house.get("/usage"), tool.get("/solve"), tool.request("HEAD", "/usage"),
               house.request("OPTIONS", "/solve", None, page)]
    answers += [tool.get("/usage", {"X-Request-Id": "0123456789abcdef"}) for _ in range(50)]
    ids = [answer.header("X-Request-Id") for answer in answers]
    assert all(ID.fullmatch(value) for value in ids), ids
    assert len(set(ids)) == len(ids) and "0123456789abcdef" not in ids
    assert {answer.status for answer in answers} == {200, 204, 401, 404, 405, 413}


# ---- limits ----


async def get_often(house, target, count, headers=()):
    """So many requests on one connection, some at a time."""
    line = request_bytes("GET", target, house.host, headers)
    statuses = []
    async with await Connection.open(house.url) as connection:
        for at in range(0, count, 10):
            await connection.send(line * min(10, count - at))
            for _ in range(min(10, count - at)):
                statuses.append((await connection.answer()).status)
    return statuses


def told(log, what):
    pattern = re.compile(rf"{what} not logged: (\d+)")
    matches = (pattern.fullmatch(entry["message"]) for entry in log.entries())
    return sum(int(match[1]) for match in matches if match)


async def test_a_flood_of_refused_requests_is_summed_up_and_hides_no_client(start):
    flood, known = 1000, 100
    log = start(clients=[CI, OTHER])
    refused, served = await asyncio.gather(get_often(log.house, "/nowhere", flood),
                                           get_often(log.house, "/usage", known, CI.headers))
    assert refused == [404] * flood and served == [200] * known

    def of(client):
        return [line for line in log.requests() if line["client"] == client]

    await asyncio.to_thread(wait_until, lambda: len(of("ci")) == known)
    await asyncio.to_thread(
        wait_until, lambda: len(of("-")) + told(log, "requests of unknown clients") == flood, 10.0,
        "every refused request has a line or is counted")
    assert 200 <= len(of("-")) < flood
    assert not told(log, "requests")
    samples = log.house.metrics()
    assert samples['solvegate_http_requests_total{endpoint="other",code="404"}'] == flood


@pytest.mark.parametrize("who", ["another client", "whoever has an id"])
async def test_a_flood_of_known_requests_hides_no_other_client(start, who):
    flood, known = 7000, 100
    log = start(clients=[CI, OTHER])
    other = log.house.caller(OTHER)
    job_id = await asyncio.to_thread(other.submit, job())
    headers = OTHER.headers if who == "another client" else {}
    flooding = asyncio.create_task(
        get_often(log.house, f"/api/status?id={job_id}", flood, headers))
    await asyncio.sleep(0)
    for _ in range(known // 10):
        assert await get_often(log.house, "/usage", 10, CI.headers) == [200] * 10
    assert await flooding == [200] * flood
    assert await get_often(log.house, "/usage", known, CI.headers) == [200] * known
    await asyncio.to_thread(
        wait_until, lambda: sum(line["client"] == "ci" for line in log.requests()) == 2 * known)


async def test_refusals_are_limited_too(start):
    flood = 600
    log = start(level="warning")
    await get_often(log.house, "/usage", flood, {"Host": "evil.example"})

    def lines():
        return [e for e in log.entries() if e.get("error") == "forbidden_host"]

    await asyncio.to_thread(
        wait_until, lambda: len(lines()) + told(log, "refusals of unknown clients") == flood)
    assert 200 <= len(lines()) < flood


# ---- counters ----


def test_the_counters_equal_what_was_sent(start):
    log = start(clients=[CI])
    house, tool = log.house, log.house.caller(CI)
    for number in range(3):
        tool.solve(job(seed=number), HELD)
    for _ in range(5):
        tool.get("/usage")
        house.get("/usage")
    tool.get("/nowhere")
    tool.status("h-x")
    request(house.admin_url, "GET", "/healthz")
    request(house.admin_url, "GET", "/nowhere")
    house.metrics()
    prefix = "solvegate_http_requests_total"
    counted = {name.removeprefix(prefix): number for name, number in house.metrics().items()
               if name.startswith(prefix)}
    assert counted == {
        '{endpoint="solve",code="200"}': 3,
        '{endpoint="usage",code="200"}': 5,
        '{endpoint="usage",code="401"}': 5,
        '{endpoint="status",code="404"}': 1,
        '{endpoint="other",code="404"}': 2,
        '{endpoint="healthz",code="200"}': 1,
        '{endpoint="metrics",code="200"}': 1,
    }


# ---- whoever reads ----

_THROUGH_A_PIPE = """#!/bin/sh
mkfifo {fifo}
cat {fifo} >&2 &
echo $! > {pid}
exec {program} "$@" 2> {fifo}
"""


def lost(log):
    """How many lines the log says were lost."""
    messages = (re.fullmatch(r"(\d+) lines were lost: .*", entry["message"])
                for entry in log.entries())
    return sum(int(match[1]) for match in messages if match)


async def each_is_told_or_counted(log):
    """Of each answered request there is a line, or it is among the lost ones, which only the next
    line tells."""
    def told():
        served = sum(number for name, number in log.house.metrics().items()
                     if re.match('solvegate_http_requests_total.endpoint="(usage|other)"', name))
        if lost(log) + len(log.requests()) == served:
            return True
        log.house.get("/usage")
        return False

    await asyncio.to_thread(wait_until, told)


async def test_a_reader_of_the_pipe_that_stops_holds_nobody_up(start, tmp_path):
    wrapper, pid = tmp_path / "wrapper", tmp_path / "pid"
    wrapper.write_text(_THROUGH_A_PIPE.format(fifo=tmp_path / "fifo", pid=pid,
                                              program=BUILD / "solvegate"))
    wrapper.chmod(0o755)
    log = start(popen={"executable": str(wrapper)})
    reader = int(pid.read_text())
    os.kill(reader, signal.SIGSTOP)
    try:
        assert await get_often(log.house, "/usage", 2000) == [200] * 2000
    finally:
        os.kill(reader, signal.SIGCONT)

    def told_after_another():
        log.house.get("/usage")
        return lost(log) > 0

    await asyncio.to_thread(wait_until, told_after_another)
    await each_is_told_or_counted(log)


async def test_a_journal_that_does_not_read_holds_nobody_up(start):
    with a_journal() as journal:
        log = start("journal", journal=journal)
        assert await get_often(log.house, "/nowhere", 150) == [404] * 150
        served = await get_often(log.house, "/usage", 2000)
        assert served == [200] * 2000
        await asyncio.to_thread(journal.read)
        await asyncio.to_thread(wait_until, lambda: log.requests())
        await each_is_told_or_counted(log)
        assert lost(log) > 0
        log.house.stop_well()


def test_without_a_journal_the_log_goes_on_as_text_and_says_so_once(start):
    with a_journal(absent=True) as journal:
        log = start("journal", journal=journal)
        log.form = "text"
        for _ in range(3):
            log.of(log.house.get("/usage"))
        entries = [e for e in log.entries() if "cannot be reached" in e["message"]]
        assert len(entries) == 1 and entries[0]["level"] == "warning"
        log.house.stop_well()


def answers_and_stops(house, **standard):
    """Starts it with these standard streams, and waits until its admin socket answers."""
    with subprocess.Popen([BUILD / "solvegate", "-c", house.config], cwd=house.home, **standard) as daemon:
        try:
            def answers():
                with contextlib.suppress(OSError):
                    return request(f"unix:{house.socket}", "GET", "/control/status").status == 200

            wait_until(answers, what="it runs")
            daemon.terminate()
            assert daemon.wait(patience(10)) == 0
        finally:
            daemon.kill()


def test_a_start_does_not_wait_for_who_reads_its_ready_lines(start):
    house = start().house
    house.stop_well()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    answers_and_stops(house, stderr=writer)
    os.close(writer)
    os.close(reader)


def test_what_a_program_opens_does_not_become_its_standard_error(start):
    house = start().house
    house.stop_well()
    answers_and_stops(house, preexec_fn=lambda: os.closerange(0, 3))
    for path in (house.home / "state").iterdir():
        assert b" info " not in path.read_bytes(), path
    told = subprocess.run([BUILD / "solvegatectl", "-s", house.socket, "status"], check=False,
                          stdout=subprocess.PIPE, preexec_fn=lambda: os.close(1))
    assert told.returncode != 0
