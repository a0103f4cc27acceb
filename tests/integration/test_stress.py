"""The randomized stress of tests/stress/run, for ten seconds, of the daemon as it is and with backends
that answer late; with SOLVEGATE_LONG=1 for ten minutes and one minute."""

import os
import subprocess

from lib.build import REPOSITORY, patience

LONG = bool(os.environ.get("SOLVEGATE_LONG"))


def stress(seconds, *options):
    seed = os.environ.get("SOLVEGATE_SEED")
    done = subprocess.run(
        [REPOSITORY / "tests/stress/run", "--seconds", str(seconds), *options,
         *(["--seed", seed] if seed else [])],
        capture_output=True, text=True, timeout=seconds + patience(300), check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_at_once_leaves_all_accounts_equal():
    stress(600 if LONG else 10)


def test_no_code_relies_on_an_immediate_answer():
    stress(60 if LONG else 10, "--delayed")
