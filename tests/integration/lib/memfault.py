"""Memory that runs out when the test says so: drives tests/faults/memfault.c.

    memory = ScarceMemory(tmp_path / "control")
    house = gateway(..., environment=memory.environment)
    with memory.out():
        ...
"""

import contextlib
import ctypes
import mmap

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "memfault.so"


class _Control(ctypes.Structure):
    """struct control in memfault.c."""

    _fields_ = [("refused", ctypes.c_int64), ("out", ctypes.c_int32),
                ("watches_out", ctypes.c_int32)]


class ScarceMemory:
    def __init__(self, control):
        control.write_bytes(bytes(ctypes.sizeof(_Control)))
        with open(control, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), ctypes.sizeof(_Control))
        self._control = _Control.from_buffer(self._memory)
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "MEMFAULT_CONTROL": str(control),
            "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
        }

    @property
    def refused(self):
        """How often memory was asked for in vain."""
        return self._control.refused

    @contextlib.contextmanager
    def watches_out(self):
        """No descriptor can be watched that was not watched before."""
        self._control.watches_out = 1
        try:
            yield
        finally:
            self._control.watches_out = 0

    @contextlib.contextmanager
    def out(self):
        self._control.out = 1
        try:
            yield
        finally:
            self._control.out = 0
