"""Signals that come while a program reads its command line: drives tests/faults/earlysignal.c."""

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "earlysignal.so"


def early_signals(*numbers):
    """The environment of a program that gets these."""
    return {
        "LD_PRELOAD": str(LIBRARY),
        "EARLYSIGNAL_NUMBERS": " ".join(str(int(number)) for number in numbers),
        "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
    }
