"""The command line of the daemon: what it prints, and its exit status (solvegate(8))."""

import re
import subprocess

import pytest

from lib.build import BUILD, patience


def run(*arguments):
    return subprocess.run([BUILD / "solvegate", *arguments], capture_output=True, text=True,
                          timeout=patience(20.0), stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_printed_and_nothing_else(option):
    result = run(option)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"solvegate \d+\.\d+\.\d+\n", result.stdout)


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option(option):
    result = run(option)
    assert (result.returncode, result.stderr) == (0, "")
    assert all(word in result.stdout for word in ("--config", "--check-config", "--version"))


@pytest.mark.parametrize("arguments, word", [
    (["--unknown"], "unknown"),
    (["-c"], "c"),
    (["--config"], "config"),
    (["solvegate.conf"], "solvegate.conf"),
    (["-t", "--", "-x"], "-x"),
])
def test_wrong_usage_has_exit_status_2_and_names_what_is_wrong(arguments, word):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert word in result.stderr
    assert result.stderr.endswith("see solvegate --help\n")
