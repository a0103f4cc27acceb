"""Threads that begin only when the test says so: drives tests/faults/latethreads.c.

    threads = LateThreads(tmp_path / "gate")
    house = gateway(..., environment=threads.environment)
    threads.hold()
    house.kill_and_start_again()    # the main thread alone gets on
    threads.go()
"""

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "latethreads.so"


class LateThreads:
    """They go at first."""

    def __init__(self, gate):
        self._gate = gate
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "LATETHREADS_GATE": str(gate),
            "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
        }
        self.go()

    def hold(self):
        self._gate.unlink()

    def go(self):
        self._gate.touch()
