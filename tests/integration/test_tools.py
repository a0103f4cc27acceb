"""The tools of the tests themselves: the disk that fails, and the proxy that cuts."""

import contextlib
import errno
import os
import socket
import subprocess
import sys
import urllib.parse

import pytest

from lib import canary
from lib.cutter import ANSWER, CLOSE, REQUEST, RESET, Cut, Cutter
from lib.http import request_bytes
from lib.iofault import CHANGES, LOCK, OPEN, WRITE, FaultyDisk
from lib.job import job

WRITER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.1)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE IF NOT EXISTS t(x)")
for line in sys.stdin:
    try:
        connection.execute("INSERT INTO t VALUES (zeroblob(9000))")
        print("well", flush=True)
    except sqlite3.Error as error:
        print(error, flush=True)
"""


class Writer:
    """A process that adds a row to a database each time it is asked to."""

    def __init__(self, path, disk):
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, **disk.environment}, text=True)

    def add(self):
        """Returns "well", or what SQLite says."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def stop(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def writer_on(tmp_path):
    """Makes a writer and its disk, for some kinds of calls."""
    writers = []
    (tmp_path / "disk").mkdir()

    def make(kinds=CHANGES, directory="disk"):
        disk = FaultyDisk(tmp_path / "control", tmp_path / directory, kinds)
        writers.append(Writer(tmp_path / "disk" / "test.db", disk))
        assert writers[-1].add() == "well"
        return writers[-1], disk

    yield make
    for writer in writers:
        writer.stop()


@pytest.mark.parametrize("kinds, error, told", [
    (CHANGES, errno.ENOSPC, "database or disk is full"),
    (WRITE, errno.EIO, "disk I/O error"),
    (LOCK, errno.EAGAIN, "database is locked"),
])
def test_a_disk_fails_until_it_is_mended(writer_on, kinds, error, told):
    writer, disk = writer_on(kinds)
    assert disk.calls > 0
    disk.fail(error)
    assert [writer.add() for _ in range(3)] == [told] * 3
    assert disk.failed >= 3
    disk.mend()
    failed = disk.failed
    assert writer.add() == "well"
    assert disk.failed == failed


def test_a_disk_fails_at_the_call_that_was_named(writer_on):
    writer, disk = writer_on()
    before = disk.calls
    assert writer.add() == "well"
    calls = disk.calls - before
    assert calls > 1
    disk.fail(errno.EIO, after=calls + 1)
    assert writer.add() == "well"
    assert disk.failed == 0
    assert writer.add() != "well"
    assert disk.failed > 0


def test_a_torn_write_leaves_its_first_half(writer_on, tmp_path):
    writer, disk = writer_on(WRITE)
    wal = tmp_path / "disk" / "test.db-wal"
    before = wal.stat().st_size
    disk.fail(errno.ENOSPC, torn=True)
    writer.add()
    assert 0 < wal.stat().st_size - before < 4096
    disk.mend()
    assert writer.add() == "well"


def test_kinds_that_were_not_chosen_do_not_fail(writer_on):
    writer, disk = writer_on(OPEN)
    disk.fail(errno.EIO)
    for _ in range(3):
        assert writer.add() == "well"


def test_other_directories_do_not_fail(writer_on, tmp_path):
    (tmp_path / "di").mkdir()
    writer, disk = writer_on(directory="di")
    disk.fail(errno.EIO)
    assert writer.add() == "well"
    assert disk.calls == 0


def solve_over(url, task, sim):
    """Posts a job over the proxy. Returns what arrives, and whether it ended by a reset."""
    parts = urllib.parse.urlsplit(url)
    headers = {"uid": canary.STORED_UID, "apikey": canary.STORED_APIKEY}
    request = request_bytes("POST", f"{sim.prefix}/solve", parts.netloc, headers, task.body)
    received = b""
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        try:
            connection.sendall(request)
            with contextlib.suppress(OSError):  # it may have been cut already
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            return request, received, True
    return request, received, False


@pytest.mark.parametrize("how", [RESET, CLOSE])
def test_the_proxy_cuts_an_answer_at_the_byte(simulator, mode, how):
    sim = simulator(mode=mode, latency=0)
    with Cutter(sim.url) as cutter:
        cutter.plan([Cut(ANSWER, 17, how)])
        _, part, reset = solve_over(cutter.urls[0], job(), sim)
        _, whole, _ = solve_over(cutter.urls[0], job(), sim)
    assert reset == (how == RESET)
    assert whole.startswith(b"HTTP/1.1 200 ") and whole[:17] == part
    assert cutter.done == 1
    assert cutter.lengths[ANSWER] == len(whole)
    assert sim.counters()["charged"] == 2


@pytest.mark.parametrize("how", [RESET, CLOSE])
def test_the_proxy_cuts_a_request_at_the_byte(simulator, mode, how):
    sim = simulator(mode=mode, latency=0)
    with Cutter(sim.url) as cutter:
        request, whole, _ = solve_over(cutter.urls[0], job(), sim)
        assert cutter.lengths == {REQUEST: len(request), ANSWER: len(whole)}
        head = request.index(b"\r\n\r\n") + 4
        offsets = (0, head - 1, head + 5, len(request) - 1)
        cutter.plan(Cut(REQUEST, offset, how) for offset in offsets)
        for _ in offsets:
            _, nothing, reset = solve_over(cutter.urls[0], job(), sim)
            assert nothing == b"" and reset == (how == RESET)
            assert solve_over(cutter.urls[0], job(), sim)[1].startswith(b"HTTP/1.1 200 ")
    assert cutter.done == len(offsets)
    assert sim.counters()["charged"] == 1 + len(offsets)
