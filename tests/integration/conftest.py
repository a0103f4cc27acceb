"""Fixtures of the integration tests.

simulator(...) and gateway(sim, ...) start programs with configuration and state of their own, on
ports that the kernel chooses. At the end of the test each must stop on SIGTERM with exit status 0,
without a sanitizer's report, and the gateway's whole log must hold no stored credential.

Every answer of a gateway's listeners must be documented (lib/openapi.py).

A test that is a coroutine function is run to its end, under a time limit.
"""

import asyncio
import contextlib
import inspect
import os
import resource

import pytest

from lib import openapi
from lib.build import patience
from lib.gate import Gate
from lib.gateway import LOOPBACK, STOP_TIMEOUT, Gateway
from lib.iofault import FaultyDisk
from lib.process import stop_all
from lib.simulator import Simulator
from lib.tls import make_authority
from lib.vendor import Vendor

ASYNC_TEST_TIMEOUT = 120.0


# What a service manager may have set for the process that runs the tests.
FROM_MANAGER = ("NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_", "CREDENTIALS_DIRECTORY", "INVOCATION_ID",
                "JOURNAL_STREAM", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY")


def pytest_configure():
    """No proxy between the tests and loopback, no service manager around them, and descriptors for
    1,000 connections and more."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(FROM_MANAGER):
            del os.environ[name]
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    test = asyncio.wait_for(pyfuncitem.obj(**arguments), patience(ASYNC_TEST_TIMEOUT))
    asyncio.run(test)
    return True


@contextlib.contextmanager
def _fleet(kind, directory):
    """A factory of processes, which are stopped and looked through at the end."""
    running = []

    def start(*args, **settings):
        name = f"{kind.__name__.lower()}{len(running) or ''}"
        process = kind(directory, *args, name=settings.pop("name", name), **settings)
        running.append(process)
        return process

    try:
        yield start
    finally:
        problems = stop_all(running, STOP_TIMEOUT)
        assert not problems, "\n".join(problems)


@pytest.fixture(autouse=True)
def documented_answers():
    yield
    problems = openapi.take_problems()
    assert not problems, "not as in docs/openapi.yaml:\n" + "\n".join(dict.fromkeys(problems))


@pytest.fixture
def simulator(tmp_path):
    with _fleet(Simulator, tmp_path) as start:
        yield start


@pytest.fixture
def gateway(simulator, tmp_path):
    """Needs the simulator fixture, so that gateways stop first."""
    with _fleet(Gateway, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def shared_simulator(tmp_path_factory):
    """For files whose many small tests leave nothing behind."""
    with _fleet(Simulator, tmp_path_factory.mktemp("sim")) as start:
        yield start


@pytest.fixture(scope="module")
def shared_gateway(shared_simulator, tmp_path_factory):
    with _fleet(Gateway, tmp_path_factory.mktemp("gateway")) as start:
        yield start


@pytest.fixture
def start(simulator, gateway):
    """A gateway with an admin address, and a simulator of its own."""

    def run(sim=None, **settings):
        sim = sim or simulator(mode="pro", latency=0)
        return gateway(sim, **{"admin": LOOPBACK, **settings})

    return run


@pytest.fixture
def gate():
    with Gate() as gate:
        yield gate


@pytest.fixture
def vendor():
    with Vendor() as running:
        yield running


@pytest.fixture
def state(tmp_path):
    """A directory for what a gateway keeps."""
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def disk(gateway, tmp_path, state):
    """Needs the gateway fixture, so that the disk is well when gateways stop."""
    faulty = FaultyDisk(tmp_path / "control", state)
    yield faulty
    faulty.mend()


@pytest.fixture
def durable(gateway, state, disk):
    """Makes a gateway that keeps its jobs on that disk."""

    def make(sim, **settings):
        return gateway(sim, durability="full", state_directory=state,
                       environment=disk.environment, **settings)

    return make


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["free", "pro"])
def mode(request):
    return request.param


@pytest.fixture(params=[1, 2], ids=["api1", "api2"])
def api(request):
    return request.param
