"""The log as its readers see it: text, JSON, and datagrams to a journal of the test's own."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from .build import BUILD, wait_until

_TEXT = re.compile(r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) "
                   r"(?P<level>error|warning|info|debug) (?P<rest>.*)")
_FIELD = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "\\=]+)')

_PRIORITIES = {"3": "error", "4": "warning", "6": "info", "7": "debug"}

_NUMBERS = ("code", "bytes")
_FRACTIONS = ("duration_ms", "held_ms")

# In a mount namespace of its own: /run is a directory of the test's.
_WRAPPER = """#!/bin/sh
exec unshare --user --map-root-user --mount sh -c \\
    'mount --bind "$1" /run && shift && exec "$@"' sh {run} {program} "$@"
"""


def _typed(fields):
    for name in _NUMBERS:
        if name in fields:
            fields[name] = int(fields[name])
    for name in _FRACTIONS:
        if name in fields:
            fields[name] = float(fields[name])
    return fields


def _of_text(line):
    match = _TEXT.fullmatch(line)
    if not match:
        assert line.startswith("ready "), line
        return None
    message, *_ = _FIELD.split(match["rest"], maxsplit=1)
    fields = {name: value.strip('"') for name, value in _FIELD.findall(match["rest"])}
    return {"level": match["level"], "message": message, **_typed(fields)}


def _of_json(line):
    if line.startswith("ready "):
        return None
    fields = json.loads(line)
    assert _TEXT.fullmatch(f"{fields.pop('time')} info x")
    for name in _NUMBERS + _FRACTIONS:
        assert name not in fields or isinstance(fields[name], (int, float)), line
    return fields


def _of_journal(datagram):
    fields = dict(line.split("=", 1) for line in datagram.decode().splitlines())
    assert fields.pop("SYSLOG_IDENTIFIER") == "solvegate"
    message, level = fields.pop("MESSAGE"), _PRIORITIES[fields.pop("PRIORITY")]
    assert all(name.startswith("SOLVEGATE_") for name in fields), fields
    if fields:  # the message says them, too
        message, between, _ = message.partition(f" {[*fields][0].removeprefix('SOLVEGATE_').lower()}=")
        assert between, message
    return {"level": level, "message": message, **_typed({n.removeprefix("SOLVEGATE_").lower(): v for n, v in fields.items()})}


class Journal:
    """What stands in for systemd's journal: a directory that a gateway takes for /run, with the
    journal's socket in it unless it is absent. Its queue is read from read() on."""

    def __init__(self, absent=False):
        self.run = Path(tempfile.mkdtemp(prefix="run-"))
        self.wrapper = self.run / "wrapper"
        self.wrapper.write_text(_WRAPPER.format(run=self.run, program=BUILD / "solvegate"))
        self.wrapper.chmod(0o755)
        self.datagrams = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._thread = None
        self._over = False
        if not absent:
            (self.run / "systemd/journal").mkdir(parents=True)
            self._socket.bind(str(self.run / "systemd/journal/socket"))

    @property
    def popen(self):
        """How a gateway is started under it."""
        return {"executable": str(self.wrapper)}

    def read(self):
        self._socket.settimeout(0.05)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        while not self._over:
            with contextlib.suppress(TimeoutError):
                self.datagrams.append(self._socket.recv(65536))

    def close(self):
        self._over = True
        if self._thread:
            self._thread.join()
        self._socket.close()
        shutil.rmtree(self.run)


def may_have_namespaces():
    command = ["unshare", "--user", "--map-root-user", "--mount", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(
        command, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def a_journal(**settings):
    if not may_have_namespaces():
        pytest.skip("a mount namespace of one's own is not allowed here")
    journal = Journal(**settings)
    try:
        yield journal
    finally:
        journal.close()


class Log:
    """The log of a gateway in one of the formats; journal as the format says."""

    def __init__(self, house, form, journal=None):
        self.house = house
        self.form = form
        self.journal = journal

    def entries(self):
        """Every event as a dictionary: level, message, fields."""
        if self.form == "journal":
            return [_of_journal(datagram) for datagram in list(self.journal.datagrams)]
        of_line = _of_text if self.form == "text" else _of_json
        whole, _, _ = self.house.log().rpartition("\n")
        return [entry for entry in map(of_line, whole.splitlines()) if entry]

    def requests(self):
        return [entry for entry in self.entries() if entry["message"] == "request"]

    def job(self, job_id):
        """The only line about a job's end."""

        def found():
            return [entry for entry in self.entries()
                    if entry["message"] == "job" and entry["job"] == job_id]

        lines = wait_until(found, 10.0, f"a line about the end of {job_id}")
        assert len(lines) == 1, lines
        return lines[0]

    def of(self, answer):
        """The only line about an answered request."""
        return self.where(id=answer.header("X-Request-Id"))

    def where(self, **fields):
        """Waits for the only line of a request with these fields."""

        def found():
            return [entry for entry in self.requests()
                    if all(entry.get(name) == value for name, value in fields.items())]

        lines = wait_until(found, 10.0, f"a line with {fields}")
        assert len(lines) == 1, lines
        return lines[0]
