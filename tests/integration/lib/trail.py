"""The audit of a running gateway, and what the product's own verifier says of it."""

import re
import subprocess

from . import audit
from .build import BUILD, patience


def lines_of(house, count, events=("refused", "charged")):
    """Waits until there are so many lines of these events, and returns them; no more may come."""
    def enough(records):
        found = [record for record in records if record["event"] in events]
        return found if len(found) >= count else None

    found = audit.wait_for(house.audit_file, enough, f"{count} lines of {events}")
    assert len(found) == count, found
    return found


def verify(*paths):
    """solvegatectl audit verify: the exit status, and what it said."""
    done = subprocess.run([BUILD / "solvegatectl", "audit", "verify", *map(str, paths)],
                          capture_output=True, text=True, timeout=patience(60), check=False)
    return done.returncode, done.stdout + done.stderr


def faulty_lines(path, told):
    """The numbers of the lines of a file with which verify() found fault."""
    return [int(n) for n in re.findall(rf"^{re.escape(str(path))}:(\d+): ", told, re.MULTILINE)]


def assert_whole(*paths):
    """The files are one chain, by an independent reader and by the product's."""
    audit.assert_whole(*paths)
    code, told = verify(*paths)
    assert code == 0, told
