"""A wall clock that the test sets ahead: drives tests/faults/aheadclock.c.

    clock = AheadClock(tmp_path / "ahead")
    house = gateway(..., environment=clock.environment)
    clock.set_ahead(days=3)
"""

import datetime
import os
import struct

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "aheadclock.so"


class AheadClock:
    """It is right at first."""

    def __init__(self, file):
        file.write_bytes(struct.pack("=q", 0))
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "AHEADCLOCK_FILE": str(file),
            "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
        }

    def set_ahead(self, **span):
        """By a span of datetime.timedelta, of the true time."""
        seconds = int(datetime.timedelta(**span).total_seconds())
        descriptor = os.open(self._file, os.O_WRONLY)
        try:
            os.pwrite(descriptor, struct.pack("=q", seconds), 0)
        finally:
            os.close(descriptor)
