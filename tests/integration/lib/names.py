"""A name whose address the test changes: drives tests/faults/names.c.

    names = Names(tmp_path / "names", "upstream.example", "127.0.0.1")
    house = gateway(..., environment=names.environment)
    names.point_to("127.0.0.2")
"""

from .build import BUILD
from .iofault import with_option

LIBRARY = BUILD / "tests" / "faults" / "names.so"


class Names:
    def __init__(self, file, name, address):
        self._file = file
        self.name = name
        self.point_to(address)
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "NAMES_FILE": str(file),
            "ASAN_OPTIONS": with_option("ASAN_OPTIONS", "verify_asan_link_order=0"),
        }

    def point_to(self, address):
        new = self._file.with_suffix(".new")
        new.write_text(f"{self.name} {address}\n")
        new.replace(self._file)
