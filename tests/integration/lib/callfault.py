"""A single call that fails when the test says so: drives tests/faults/callfault.c.

    calls = FailingCalls(tmp_path / "control", MEMORY)
    house = gateway(..., environment=calls.environment)
    calls.fail(3)                   # the third call from now, and no other
    calls.mend()
"""

import ctypes
import errno
import mmap
import os

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "callfault.so"

# Families of functions, as in callfault.c.
MEMORY, CURL, SQLITE, READ, WRITE, THREAD = 1, 2, 4, 8, 16, 32


class _Control(ctypes.Structure):
    """struct control in callfault.c."""

    _fields_ = [("calls", ctypes.c_int64), ("number", ctypes.c_int64), ("failed", ctypes.c_int64),
                ("families", ctypes.c_int32), ("error", ctypes.c_int32),
                ("function", ctypes.c_char * 32), ("caller", ctypes.c_int64)]


class FailingCalls:
    """Calls of some families that come from modules: the program ("main") or libraries, each by a
    word in its file name. directory is where the files are that READ and WRITE are about."""

    def __init__(self, control, families, modules=("main",), directory=None):
        control.write_bytes(bytes(ctypes.sizeof(_Control)))
        with open(control, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), ctypes.sizeof(_Control))
        self._control = _Control.from_buffer(self._memory)
        self._control.families = families
        self._control.error = errno.ENOMEM if families == MEMORY else errno.EIO
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "CALLFAULT_CONTROL": str(control),
            "CALLFAULT_MODULES": ":".join(modules),
            **({"CALLFAULT_DIRECTORY": os.path.realpath(directory)} if directory else {}),
            # The sanitizer's own library then comes second, which does no harm here.
            "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
        }

    @property
    def calls(self):
        """How many calls there were so far."""
        return self._control.calls

    @property
    def failed(self):
        """Whether a call failed since fail()."""
        return self._control.failed > 0

    @property
    def which(self):
        """Which one it was, and the address in its module behind the call, for addr2line(1)."""
        return f"{self._control.function.decode()} at {self._control.caller:#x}"

    def fail(self, number):
        """The number-th call from now fails, and no other."""
        self._control.failed = 0
        self._control.number = self._control.calls + number

    def mend(self):
        self._control.number = 0
