"""slowhttptest with 1,000 connections in each of its modes: none of them outlives its deadline, and
a well-behaved client is served meanwhile. With SOLVEGATE_LONG=1 it goes on for longer."""

import contextlib
import os
import socket
import struct
import subprocess
import time
import urllib.parse
from pathlib import Path

import pytest

from lib.build import patience
from lib.http import exchange, open_blocking

CONNECTIONS = 1000
TIMEOUT = 2.0  # of a header, a body and a response
SECONDS = 60 if os.environ.get("SOLVEGATE_LONG") else 6

MODES = {
    "header": ["-H", "-i", "1", "-x", "10"],
    "body": ["-B", "-i", "1", "-x", "10", "-s", "8192", "-f", "application/json"],
    "read": ["-X", "-n", "1", "-w", "64", "-y", "512", "-z", "5", "-k", "3"],
}
# What is awaited one after the other, each for TIMEOUT: a busy tool may send the header late.
PHASES = {"header": 1, "body": 2, "read": 2}
TARGETS = {"header": "/api/usage", "body": "/api/solve", "read": "/api/usage"}

# The states in which a connection is the client's to use (include/net/tcp_states.h).
_OPEN = {"01", "08"}


@pytest.fixture
def houses(simulator, gateway):
    """One to be attacked, and a quiet one, which tells how busy the machine is."""
    sim = simulator(mode="pro", latency=0)
    return [gateway(sim, log={"level": "warning"},
                    limits={"header_timeout": TIMEOUT, "body_timeout": TIMEOUT})
            for _ in range(2)]


def open_connections(port):
    """The clients' ends of the server's open connections."""
    local = f"{struct.unpack('=I', socket.inet_aton('127.0.0.1'))[0]:08X}:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[2] for row in rows if row[1] == local and row[3] in _OPEN}


class Lives:
    """How long each connection was seen open."""

    def __init__(self, port):
        self.port = port
        self._since = {}
        self._looked = time.monotonic()
        self.longest_pause = 0.0  # between two looks
        self.ended = []

    def look(self):
        now, there = time.monotonic(), open_connections(self.port)
        self.longest_pause = max(self.longest_pause, now - self._looked)
        self._looked = now
        for one in there - self._since.keys():
            self._since[one] = now
        for one in self._since.keys() - there:
            self.ended.append(now - self._since.pop(one))


class Client:
    """A well-behaved one: it measures how long its requests take, on a connection that it keeps and
    on one of its own for each."""

    def __init__(self, house, kept):
        self._house = house
        self._kept = kept
        self.latencies = []

    def ask(self):
        began = time.monotonic()
        assert exchange(self._kept, "GET", "/api/usage").status == 200
        assert self._house.get("/api/usage").status == 200
        self.latencies.append((time.monotonic() - began) / 2)

    def most(self):
        """What three of four take at most, once it has begun: a busy machine delays some."""
        later = sorted(self.latencies[2:])
        return later[len(later) * 3 // 4]


@pytest.mark.parametrize("mode", MODES)
def test_slow_connections_end_in_time_and_others_are_served(houses, mode):
    lives = Lives(urllib.parse.urlsplit(houses[0].url).port)
    tool = subprocess.Popen(
        ["slowhttptest", "-c", str(CONNECTIONS), "-r", "500", "-l", str(SECONDS), "-p", "3",
         *MODES[mode], "-u", houses[0].url + TARGETS[mode]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with contextlib.ExitStack() as stack:
        attacked, quiet = [Client(house, stack.enter_context(contextlib.closing(
            open_blocking(house.url)))) for house in houses]
        while tool.poll() is None:
            for client in (attacked, quiet):
                client.ask()
            lives.look()
            time.sleep(0.02)
    output = tool.communicate()[0]
    assert "service available" in output, output
    slow = sorted(seconds for seconds in lives.ended if seconds > TIMEOUT / 2)
    assert len(slow) > CONNECTIONS / 10, (len(slow), len(lives.ended))
    most = patience(PHASES[mode] * TIMEOUT + 1.0) + lives.longest_pause
    assert slow[-1] < most, slow[-5:]
    assert attacked.most() < patience(0.1) + quiet.most(), (attacked.latencies, quiet.latencies)
