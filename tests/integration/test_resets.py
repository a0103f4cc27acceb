"""Connections to the upstream that end at random moments, most of them while a body is written:
nothing is bought twice, and every job ends in a state that is true.

test_cut.py takes each byte of small messages in turn. Here the bodies are larger than what the
kernel takes at once, so that part of one is written when the connection ends. SOLVEGATE_LONG=1 runs
more jobs; SOLVEGATE_SEED=N repeats the choices of another run.
"""

import contextlib
import os
import random
import select
import socket
import struct
import threading

import pytest

from lib.job import job
from lib.state import assert_ledger_agrees
from lib.tls import make_certificate
from test_cut import Bought, assert_true

LANES = 8
AT_ONCE = 2 * LANES
JOBS = 600 if os.environ.get("SOLVEGATE_LONG") else 48
IMAGE_SIZES = [7_500, 30_000, 150_000, 600_000, 2_200_000]  # bodies are larger by a third
BY_RESET = struct.pack("ii", 1, 0)


class Lane:
    """A relay that reads slowly. It ends some connections after a number of bytes near the end of a
    body, after it has passed on all that it has read."""

    def __init__(self, target, choices):
        self._target = target
        self._choices = choices
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        # close() alone does not wake up the thread.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                gateway, _ = self._listener.accept()
                choices = random.Random(self._choices.random())
                threading.Thread(target=self._serve, args=(gateway, choices), daemon=True).start()

    def _serve(self, gateway, choices):
        limit = float("inf")
        if choices.random() < 0.6:
            near = choices.choice(IMAGE_SIZES) * 4 // 3
            limit = near + choices.randint(-3000, 5000) if choices.random() < 0.7 else (
                choices.randint(1, near))
        with gateway, socket.create_connection(self._target) as upstream:
            with contextlib.suppress(OSError):
                self._relay(gateway, upstream, limit, choices.choice([700, 4096, 65536]))
            if limit < float("inf") and choices.random() < 0.7:
                gateway.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BY_RESET)

    @staticmethod
    def _relay(gateway, upstream, limit, piece):
        while limit > 0:
            ready, _, _ = select.select([gateway, upstream], [], [])
            if gateway in ready:
                data = gateway.recv(int(min(piece, limit)))
                if not data:
                    return
                upstream.sendall(data)
                limit -= len(data)
            if upstream in ready:
                data = upstream.recv(65536)
                if not data:
                    return
                gateway.sendall(data)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_connection_that_ends_at_any_moment_buys_nothing_twice(simulator, gateway, tmp_path,
                                                                 authority, mode, tls):
    seed = int(os.environ.get("SOLVEGATE_SEED", random.randrange(1 << 32)))
    print(f"SOLVEGATE_SEED={seed}")
    choices = random.Random(seed)
    certificate = make_certificate(tmp_path, authority, "server", "IP:127.0.0.1") if tls else None
    more = {"ca": str(authority.certificate)} if tls else {}
    sim = simulator(mode=mode, latency=0, tls=certificate)
    target = ("127.0.0.1", int(sim.url.rsplit(":", 1)[1]))
    with contextlib.ExitStack() as lanes:
        ports = [lanes.enter_context(contextlib.closing(Lane(target, choices))).port
                 for _ in range(LANES)]
        upstreams = [{"name": f"lane-{port}", "url": f"http{'s' if tls else ''}://127.0.0.1:{port}",
                      "api": sim.api, "max_in_flight": 2, **more} for port in ports]
        house = gateway(upstreams=upstreams, durability="full", state_directory=tmp_path / "state",
                        retry={"base": 0.01, "cap": 0.05, "probe": 0.1},
                        limits={"job_deadline": 60.0})
        ended = []
        for first in range(0, JOBS, AT_ONCE):
            tasks = [job(images=1, size=choices.choice(IMAGE_SIZES) + choices.randint(-300, 300),
                         seed=first + i) for i in range(AT_ONCE)]
            ids = [house.submit(task) for task in tasks]
            ended += [(task, house.status(job_id, "&wait=60")) for task, job_id in zip(tasks, ids)]
        house.stop_well()
    bought = Bought(sim)
    codes = [assert_true(answer, task, bought) for task, answer in ended]
    assert max(bought.charges.values()) == 1
    assert codes.count(None) > 0
    counts = assert_ledger_agrees(tmp_path / "state", sim.counters()["charged"])
    assert counts["unknown"] == codes.count("outcome_unknown")
