"""A kernel that does not say how many bytes of a connection were acknowledged: tests/faults/oldtcp.c."""

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "oldtcp.so"

ENVIRONMENT = {
    "LD_PRELOAD": str(LIBRARY),
    "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
}
