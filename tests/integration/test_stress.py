"""The randomized stress of tests/stress/run, for ten seconds; for ten minutes with SOLVEGATE_LONG=1."""

import os
import subprocess

from lib.build import REPOSITORY, patience

SECONDS = 600 if os.environ.get("SOLVEGATE_LONG") else 10


def test_everything_at_once_leaves_all_accounts_equal():
    seed = os.environ.get("SOLVEGATE_SEED")
    done = subprocess.run(
        [REPOSITORY / "tests/stress/run", "--seconds", str(SECONDS), *(["--seed", seed] if seed else [])],
        capture_output=True, text=True, timeout=SECONDS + patience(300), check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
