"""Where the programs under test are, how they were built, and how long to wait for them."""

import os
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("SOLVEGATE_BUILD", REPOSITORY / "build")).resolve()

# "asan" or "tsan" where the build has a sanitizer: it is slower, and its memory and threads are
# not the product's.
SANITIZE = os.environ.get("SOLVEGATE_SANITIZE") or None

_PATIENCE = {None: 1.0, "asan": 3.0, "tsan": 6.0}[SANITIZE]


def patience(seconds):
    """An upper bound for a wait, stretched for a sanitizer build."""
    return seconds * _PATIENCE


def wait_until(predicate, timeout=10.0, what=None, pause=0.02):
    """Calls predicate until it gives something true, and returns that. Fails after timeout; a call
    that began after it is the last one, so that a machine that stood still meanwhile is no fault."""
    deadline = time.monotonic() + patience(timeout)
    while True:
        late = time.monotonic() >= deadline
        result = predicate()
        if result:
            return result
        assert not late, f"not within {timeout} s: {what or predicate}"
        time.sleep(pause)
