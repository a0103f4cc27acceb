"""Signals: none ends the daemon by chance, whenever it comes and whatever the parent process has
left ignored or blocked; and SIGQUIT stops it as SIGTERM does."""

import concurrent.futures
import os
import resource
import signal
import subprocess
import sys

import pytest

from lib import expect
from lib.build import BUILD, wait_until
from lib.earlysignal import early_signals
from lib.job import job

WITHOUT_EFFECT = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
                  signal.SIGIO, signal.SIGPWR, signal.SIGSTKFLT, signal.SIGXCPU, signal.SIGRTMIN,
                  signal.SIGRTMIN + 3, signal.SIGRTMAX]
WITHOUT_A_LINE = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTIN, signal.SIGTTOU]


def name(number):
    if number < signal.SIGRTMIN:
        return {signal.SIGIO: "SIGPOLL"}.get(number, signal.Signals(number).name)
    return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def in_flight(house, task):
    """The answer to a job that the upstream has, as it will come."""
    pool = concurrent.futures.ThreadPoolExecutor(1)
    answer = pool.submit(house.solve, task, {"Prefer": "wait=30"})
    pool.shutdown(wait=False)
    house.sim.wait_for_bytes()
    return answer


@pytest.mark.parametrize("number", WITHOUT_EFFECT, ids=name)
def test_a_signal_that_means_nothing_is_logged_and_has_no_effect(simulator, gateway, number):
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim)
    task = job()
    sim.freeze()
    answer = in_flight(house, task)
    house.signal(number)
    line = f"{name(number)} from process {os.getpid()} of user {os.getuid()} ignored"
    wait_until(lambda: line in house.log(), what=f"{line} in the log")
    sim.thaw()
    expect.solved(answer.result(), task)


def test_a_signal_that_an_error_stands_for_has_no_effect(simulator, gateway):
    house = gateway(simulator())
    for number in WITHOUT_A_LINE:
        house.signal(number)
    task = job()
    expect.solved(house.run(task), task)


def test_a_flood_of_signals_is_a_few_lines(simulator, gateway):
    house = gateway(simulator())
    for _ in range(300):
        house.signal(signal.SIGRTMIN)
    house.stop_well()
    lines = [line for line in house.log().splitlines() if "SIGRTMIN+0 from" in line]
    assert 10 <= len(lines) < 30
    assert "ignored signals not logged: " in house.log()


def test_quit_stops_as_term_does(simulator, gateway):
    sim = simulator(mode="pro", latency=0)
    house = gateway(sim)
    task = job()
    sim.freeze()
    answer = in_flight(house, task)
    house.signal(signal.SIGQUIT)
    wait_until(lambda: "SIGQUIT: draining" in house.log(), what="it drains")
    sim.thaw()
    expect.solved(answer.result(), task)
    assert house.wait(10) == 0


def test_early_signals_end_neither_a_start_nor_a_check(simulator, gateway):
    early = early_signals(signal.SIGHUP, *WITHOUT_EFFECT, *WITHOUT_A_LINE)
    house = gateway(simulator(), environment=early)
    wait_until(lambda: "reloaded " in house.log(), what="the SIGHUP is done when it is up")
    for number in WITHOUT_EFFECT[:9]:
        assert f"{name(number)} from process {house.pid}" in house.log()
    check = subprocess.run([BUILD / "solvegate", "-t", "-c", house.config], timeout=30,
                           env={**os.environ, **early}, capture_output=True, check=False)
    assert check.returncode == 0, check.stderr


def test_a_reload_before_the_libraries_are_initialized_is_done_when_it_is_up(simulator, gateway):
    early = early_signals(loading=[signal.SIGHUP])
    house = gateway(simulator(), environment=early)
    wait_until(lambda: "reloaded " in house.log(), what="the SIGHUP is done when it is up")


_PARENT = """
import os, signal, sys
numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
for number in numbers:
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
signal.pthread_sigmask(signal.SIG_SETMASK, numbers)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_what_a_parent_has_ignored_and_blocked_works_all_the_same(simulator, gateway, number):
    house = gateway(simulator(), launcher=[sys.executable, "-c", _PARENT])
    house.hang_up("reloaded ")
    house.signal(number)
    assert house.wait(10) == 0


def test_a_limit_of_file_sizes_is_an_error_of_the_disk(simulator, gateway, state):
    house = gateway(simulator(mode="pro", latency=0), durability="full", state_directory=state)
    _, hard = resource.prlimit(house.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(house.pid, resource.RLIMIT_FSIZE, (0, hard))
    expect.error(house.solve(job(seed=1), {"Prefer": "respond-async"}), 503, "store_unavailable")
    resource.prlimit(house.pid, resource.RLIMIT_FSIZE, (hard, hard))
    wait_until(lambda: house.solve(job(seed=2)).status == 200, what="jobs are taken again")


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGALRM, signal.SIGRTMIN], ids=name)
def test_the_simulator_goes_on_too(simulator, number):
    sim = simulator()
    sim.signal(number)
    wait_until(lambda: f"{name(number)} from process" in sim.log(), what="it is logged")
    assert sim.running()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_the_simulator_stops(simulator, number):
    sim = simulator()
    sim.signal(number)
    assert sim.wait(10) == 0
