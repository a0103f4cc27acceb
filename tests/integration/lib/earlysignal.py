"""Signals that come while a program starts: drives tests/faults/earlysignal.c."""

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "earlysignal.so"


def early_signals(*numbers, loading=()):
    """The environment of a program that gets these while it reads its command line, and others while
    its libraries are initialized."""
    return {
        "LD_PRELOAD": str(LIBRARY),
        "EARLYSIGNAL_NUMBERS": " ".join(str(int(number)) for number in numbers),
        "EARLYSIGNAL_LOADING": " ".join(str(int(number)) for number in loading),
        "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
    }
