"""Connections that end in odd ways: half closed, given up in the middle, too many, too malformed
for a job; and what the log and the port make of them."""

import asyncio
import signal
import subprocess

import pytest

from lib import expect, libconfig
from lib.build import BUILD, patience, wait_until
from lib.gateway import configuration, upstream_of, write_credential, STORED_CREDENTIAL
from lib.http import Connection, request_bytes
from lib.job import SITE, job
from lib.network import closed_port

NEVER = 60


@pytest.mark.parametrize("older", [0, 3])
@pytest.mark.parametrize("body_timeout", [None, 119, 121])
async def test_a_held_tool_that_closes_its_sending_side_is_told_its_id(simulator, gateway, older,
                                                                       body_timeout):
    """Connections older than its own must make no difference to libmicrohttpd, nor must a reload
    that changes its time-out."""
    house = gateway(simulator(mode="pro", latency=NEVER), workers=1, limits={"body_timeout": 120})
    others = [await Connection.open(house.url) for _ in range(older)]
    for other in others:
        await other.send(b"GET /status?id=h-none HTTP/1.1\r\n")
    if body_timeout:
        house.reload(limits={"body_timeout": body_timeout})
    async with await Connection.open(house.url) as connection:
        await connection.send(
            request_bytes("POST", "/solve", house.host, {"Prefer": "wait=30"}, job().body))
        connection.writer.write_eof()
        expect.pending(await connection.answer("POST", timeout=5))
    for other in others:
        await other.close()


@pytest.mark.parametrize("size", [10, 1000, 20_000, 100_000, 400_000])
async def test_an_upload_given_up_gives_its_room_back_at_once(simulator, gateway, size):
    mebibyte = 2**20
    house = gateway(simulator(mode="pro", latency=0), workers=1, limits={
        "body_bytes": mebibyte, "queue_bytes": 4 * mebibyte, "body_timeout": 50.0})
    if size < 100_000:  # what fits the socket's buffer: so that it meets the bytes and the end in one
        house.signal(signal.SIGSTOP)
    for _ in range(4):
        connection = await Connection.open(house.url)
        head = request_bytes("POST", "/solve", house.host,
                             {"Content-Type": "application/json", "Content-Length": mebibyte})
        await connection.send(head + b" " * size)
        await connection.close()
    house.signal(signal.SIGCONT)
    wait_until(lambda: house.solve(job()).status == 200, 5.0)


@pytest.mark.parametrize("size", [500, 60_000, 240_000])
async def test_after_a_half_close_the_answer_comes_and_then_the_end(simulator, gateway, size):
    house = gateway(simulator(mode="pro", latency=0.1), workers=1)
    task = job(images=1, size=size)
    async with await Connection.open(house.url) as connection:
        await connection.send(
            request_bytes("POST", "/solve", house.host, {"Prefer": "respond-async"}, task.body))
        connection.writer.write_eof()
        expect.pending(await connection.answer("POST", timeout=5))
        assert await asyncio.wait_for(connection.reader.read(), patience(3.0)) == b""


async def test_after_more_connections_than_it_takes_it_still_listens(simulator, gateway):
    house = gateway(simulator(), limits={"connections": 10}, workers=2)
    # All that are open are closed between two turns of its loops.
    connections = [await Connection.open(house.url) for _ in range(600)]
    house.signal(signal.SIGSTOP)
    await asyncio.gather(*(connection.reset() for connection in connections))
    house.signal(signal.SIGCONT)

    def answers():
        return all(house.get("/status?id=h-none").status == 404 for _ in range(16))

    def answers_soon():
        try:
            return answers()
        except OSError:
            return False

    wait_until(answers_soon, 10.0)


@pytest.fixture
def port():
    with closed_port() as number:
        yield number


@pytest.mark.parametrize("attempt", range(8))
def test_a_second_gateway_never_shares_the_port(simulator, tmp_path, port, attempt):
    """Started at the same moment, so that none sees the other listen before it binds."""
    sim = simulator()
    write_credential(tmp_path, "account", STORED_CREDENTIAL)
    configs = [tmp_path / f"solvegate{i}.conf" for i in range(6)]
    for config in configs:
        config.write_text(libconfig.dumps(configuration(
            [{"address": "127.0.0.1", "port": port}],
            [{"name": "main", "credential": "account", **upstream_of(sim)}],
            state_directory=config.stem)))
    gateways = [subprocess.Popen([BUILD / "solvegate", "-c", config], stderr=subprocess.PIPE,
                                 text=True) for config in configs]
    try:
        wait_until(lambda: sum(g.poll() is None for g in gateways) <= 1, 10.0)
        assert all(g.returncode in (None, 1) for g in gateways)
    finally:
        for one in gateways:
            if one.poll() is None:
                one.send_signal(signal.SIGTERM)
        logs = [one.communicate(timeout=patience(10.0))[1] for one in gateways]
    assert all(one.returncode == 0 or "Address already in use" in log
               for one, log in zip(gateways, logs))


@pytest.fixture(scope="module")
def house(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator())


async def raw(url, text):
    async with await Connection.open(url) as connection:
        await connection.send(text)
        return await connection.answer(timeout=5)


async def test_a_request_without_a_host_is_refused_in_json(house):
    expect.error(await raw(house.url, b"GET /status?id=x HTTP/1.1\r\n\r\n"), 400, "bad_request")


async def test_http_1_0_without_a_host_is_answered(house):
    expect.error(await raw(house.url, b"GET /status?id=x HTTP/1.0\r\n\r\n"), 404, "unknown_id")


async def test_another_transfer_coding_is_refused_at_once(house):
    text = request_bytes("POST", "/solve", house.host,
                         {"Content-Type": "application/json", "Transfer-Encoding": "gzip"})
    expect.error(await raw(house.url, text), 400, "bad_request")


async def test_a_coded_body_is_refused(house):
    text = request_bytes("POST", "/solve", house.host, {"Content-Encoding": "gzip"}, job().body)
    expect.error(await raw(house.url, text), 415, "not_json")


@pytest.mark.parametrize("space", ["", " ", " \t"])
async def test_white_space_after_an_expectation_does_not_matter(house, space):
    head = request_bytes("POST", "/solve", house.host, {
        "Content-Type": "application/json", "Content-Length": "2",
        "Expect": f"100-continue{space}"})
    async with await Connection.open(house.url) as connection:
        await connection.send(head)
        line = await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), patience(5.0))
        assert line.startswith(b"HTTP/1.1 100 "), line
        await connection.send(b"{}")
        expect.error(await connection.answer("POST", timeout=5), 400, "bad_job")


async def test_a_large_header_is_refused_in_json(house):
    text = request_bytes("GET", "/status?id=x", house.host, {"apikey": "k" * 9000})
    expect.error(await raw(house.url, text), 431, "header_too_large")


async def test_an_endless_chunked_body_is_cut_off_with_its_error(simulator, gateway):
    house = gateway(simulator(), limits={"queue_bytes": 2**20, "body_bytes": 2**18})
    async with await Connection.open(house.url) as connection:
        await connection.send(request_bytes(
            "POST", "/solve", house.host,
            {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}))
        piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
        sending = asyncio.create_task(connection.drip(piece * 64, 0.01, len(piece)))
        expect.error(await connection.answer("POST", timeout=10), 413, "too_large")
        await asyncio.gather(sending, return_exceptions=True)


def test_a_job_cannot_write_terminal_codes_or_lines_into_the_log(simulator, gateway):
    house = gateway(simulator())
    for site in ["a\nb.example", "a\u009b31mX", "a\u202eX", "a\u2028X",
                 "https://bob:secretpw@x.example/"]:
        expect.error(house.solve(job(site=site)), 403, "site_not_allowed")
    log = house.log()
    assert "secretpw" not in log
    for text in ["\u009b", "\u202e", "\u2028", "a\nb"]:
        assert text not in log
    assert SITE not in log
