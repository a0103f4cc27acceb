"""A disk that fails, or is slow, when the test says so: drives tests/faults/iofault.c.

    disk = FaultyDisk(tmp_path / "control", state_directory)
    house = gateway(..., environment=disk.environment)
    disk.fail(errno.ENOSPC, after=3)    # the third call from now, and all after it
    disk.slow(0.5)                      # each sync from now, and those that wait already
    disk.mend()
"""

import ctypes
import mmap
import os

from .build import BUILD

LIBRARY = BUILD / "tests" / "faults" / "iofault.so"

# Kinds of calls, as in iofault.c.
OPEN, WRITE, SYNC, SIZE, LOCK = 1, 2, 4, 8, 16
CHANGES = OPEN | WRITE | SYNC | SIZE


class _Control(ctypes.Structure):
    """struct control in iofault.c."""

    _fields_ = [("calls", ctypes.c_int64), ("fail_from", ctypes.c_int64),
                ("failed", ctypes.c_int64), ("error", ctypes.c_int32),
                ("kinds", ctypes.c_int32), ("torn", ctypes.c_int32),
                ("delay_ms", ctypes.c_int32), ("delayed", ctypes.c_int64)]


class FaultyDisk:
    """The files below directory, for a process that is started with environment."""

    def __init__(self, control, directory, kinds=CHANGES):
        control.write_bytes(bytes(ctypes.sizeof(_Control)))
        with open(control, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), ctypes.sizeof(_Control))
        self._control = _Control.from_buffer(self._memory)
        self._control.kinds = self.kinds = kinds
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "IOFAULT_CONTROL": str(control),
            "IOFAULT_DIRECTORY": os.path.realpath(directory),
            # The sanitizer's own library then comes second, which does no harm here.
            "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
        }

    @property
    def calls(self):
        """How many calls there were so far, of the kinds that count."""
        return self._control.calls

    @property
    def failed(self):
        """How many of them failed since fail()."""
        return self._control.failed

    def fail(self, error, after=1, torn=False):
        """From now on the after-th call and all that follow fail with the errno error."""
        control = self._control
        control.error = error
        control.torn = int(torn)
        control.failed = 0
        control.fail_from = control.calls + after

    @property
    def delayed(self):
        """How many syncs had to wait since slow(), whether they have ended or not."""
        return self._control.delayed

    def slow(self, seconds=3600.0):
        """From now on each sync takes so long; without seconds, until somebody says otherwise."""
        self._control.delayed = 0
        self._control.delay_ms = int(seconds * 1000)

    def fast(self):
        """Syncs end at once, those that wait as well."""
        self._control.delay_ms = 0

    def mend(self):
        self._control.fail_from = 0
        self.fast()


def with_option(variable, option):
    """The value of an environment variable with one more option."""
    options = os.environ.get(variable)
    return f"{options}:{option}" if options else option
