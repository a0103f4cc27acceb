"""Threads of libuv's pool that work only when the test says so: drives tests/faults/latework.c.

    work = LateWork(tmp_path / "gate")
    house = gateway(..., environment=work.environment)
    ...                             # large bodies wait to be parsed
    work.go()
"""

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "latework.so"


class LateWork:
    """They wait at first."""

    def __init__(self, gate):
        self._gate = gate
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "LATEWORK_GATE": str(gate),
            "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
        }

    def go(self):
        self._gate.touch()
