"""What a service manager is told: ready, what it does now, reloads, life, and how it stops."""

import contextlib
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib import expect, libconfig
from lib.build import BUILD, patience, wait_until
from lib.gate import Gate
from lib.gateway import LOOPBACK, configuration, write_credential
from lib.iofault import FaultyDisk
from lib.job import job
from lib.manager import Manager
from lib.operator import order

NEVER = 60

TAKING = "taking jobs: 0 waiting, 0 in flight"
WATCHDOG = 0.3
EXTEND = "EXTEND_TIMEOUT_USEC="


@pytest.fixture
def manager():
    """Needs no gateway, and so outlives those of the test."""
    with contextlib.ExitStack() as stack:

        def make(**settings):
            made = Manager(**settings)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def notified(manager, simulator, gateway):
    """A factory of gateways whose manager is listening."""

    def make(watchdog=None, mode="pro", latency=0, environment=None, **settings):
        told = manager(watchdog=watchdog)
        house = gateway(simulator(mode=mode, latency=latency),
                        environment={**told.environment, **(environment or {})}, **settings)
        return house, told

    return make


def test_it_is_ready_once_and_says_what_it_does(notified):
    house, told = notified()
    told.wait_for("READY=1")
    assert told.statuses()[-1] == TAKING
    assert told.count("WATCHDOG=1") == 0
    house.stop_well()
    assert told.count("READY=1") == 1
    assert told.count("RELOADING=1") == 0


def test_a_start_may_take_as_long_as_what_is_stored(notified):
    _, told = notified()
    told.wait_for("READY=1")
    before = told.told[: next(i for i, m in enumerate(told.told) if "READY=1" in m)]
    assert any(line.startswith(EXTEND) for message in before for line in message)


def test_the_status_follows_the_jobs(notified):
    house, told = notified(latency=NEVER, upstream={"max_in_flight": 1})
    for seed in range(3):
        house.submit(job(seed=seed))
    told.wait_for_status("taking jobs: 2 waiting, 1 in flight")


def test_the_status_names_who_refuses_the_account(notified, simulator):
    other = simulator(mode="pro", latency=0)
    house, told = notified(upstreams=[
        {"name": "one", "url": other.url, "api": other.api, "priority": 1},
        {"name": "two", "url": "http://127.0.0.1:9", "api": 1, "priority": 2},
    ])
    other.fault("solve:code=1")
    house.submit(job())
    wait_until(lambda: "one refuses the account" in told.statuses()[-1])


def test_the_status_is_told_when_it_changes_only(notified):
    house, told = notified(watchdog=WATCHDOG)
    told.wait_for("WATCHDOG=1", 15)  # more than a second
    assert told.statuses().count(TAKING) == 1
    house.stop_well()


def test_a_reload_is_told_from_its_begin_to_its_end(notified):
    house, told = notified()
    house.reload(sites=["other.example.com"])
    told.wait_for("READY=1", 2)
    kinds = [line for message in told.told for line in message if line.endswith("=1")]
    assert kinds == ["READY=1", "RELOADING=1", "READY=1"]
    assert told.statuses()[-1] == TAKING


def test_an_operators_reload_is_told_too(notified):
    house, told = notified()
    assert order(house, "reload")["ok"] is True
    told.wait_for("READY=1", 2)
    kinds = [line for message in told.told for line in message if line.endswith("=1")]
    assert kinds == ["READY=1", "RELOADING=1", "READY=1"]


def test_a_reload_of_a_bad_file_ends_too(notified):
    house, told = notified()
    house.config.write_text("nonsense = 1;")
    house.hang_up("not reloaded")
    told.wait_for("READY=1", 2)
    assert told.count("RELOADING=1") == 1


def test_life_is_told_often_enough_from_start_to_end(notified):
    with Gate() as gate:
        house, told = notified(watchdog=WATCHDOG, upstream=gate.entry,
                               limits={"drain_timeout": 60.0})
        told.wait_for("WATCHDOG=1", 3)
        house.submit(job())
        gate.wait_for(1)
        house.signal(signal.SIGTERM)
        told.wait_for("STOPPING=1")
        told.wait_for("WATCHDOG=1", told.count("WATCHDOG=1") + 4)
        gate.let(1)
        assert house.wait(10) == 0


def extensions(messages):
    """How often they ask for time."""
    return sum(line.startswith(EXTEND) for message in messages for line in message)


def test_a_stop_asks_for_time_as_long_as_it_lasts(notified):
    with Gate() as gate:
        house, told = notified(watchdog=WATCHDOG, upstream=gate.entry,
                               limits={"drain_timeout": 60.0})
        house.submit(job())
        gate.wait_for(1)
        house.signal(signal.SIGTERM)
        told.wait_for("STOPPING=1")
        began = next(i for i, message in enumerate(told.told) if "STOPPING=1" in message)
        wait_until(lambda: extensions(told.told[began:]) > 2, what="it asks for time again")
        gate.let(1)
        assert house.wait(10) == 0
    stop = told.told[began:]
    assert extensions(stop[:1]) == 1
    assert told.statuses()[-1].startswith("draining: 0 waiting, ")
    assert not any("READY=1" in message for message in stop)


def test_a_configuration_that_is_refused_is_told(manager, tmp_path):
    told = manager()
    write_credential(tmp_path, "account", {"uid": "u", "apikey": "k" * 8})
    config = tmp_path / "solvegate.conf"
    config.write_text(libconfig.dumps(configuration([LOOPBACK], [])) + "nonsense = 1;\n")
    done = subprocess.run([BUILD / "solvegate", "-c", config], capture_output=True, text=True,
                          env=told.environment, timeout=patience(10), check=False)
    assert done.returncode == 2
    told.wait_for_status("cannot start: " + done.stderr.strip())


def test_a_manager_that_is_gone_is_told_of_once(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0),
                    environment={"NOTIFY_SOCKET": "@solvegate-nobody", "WATCHDOG_USEC": "30000"})
    task = job()
    expect.solved(house.run(task), task)
    house.stop_well()
    assert house.log().count("cannot tell the service manager") == 1


def test_a_stop_on_a_disk_that_hangs_says_what_it_waits_for(notified, tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    disk = FaultyDisk(tmp_path / "control", tmp_path / "state")
    house, told = notified(durability="full", state_directory=tmp_path / "state",
                           environment=disk.environment, limits={"drain_timeout": 0.2})
    disk.slow()
    try:
        with ThreadPoolExecutor(1) as tool:
            answer = tool.submit(house.solve, job())
            wait_until(lambda: disk.delayed)
            house.signal(signal.SIGTERM)
            wait_until(lambda: "stopping, waiting for the disk: " in told.statuses()[-1])
            disk.fast()
            answer.result()
    finally:
        disk.fast()
    assert house.wait(10) == 0
