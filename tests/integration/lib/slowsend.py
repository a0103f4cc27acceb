"""A slow network interface: tests/faults/slowsend.c."""

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "slowsend.so"

ENVIRONMENT = {
    "LD_PRELOAD": str(LIBRARY),
    "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
}
