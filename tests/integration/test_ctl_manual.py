"""The manual page of solvegatectl says what the program does."""

import json
import re
import subprocess

import pytest

from lib.build import BUILD, REPOSITORY, patience
from lib.ctl import PROGRAM

PAGE = REPOSITORY / "man" / "solvegatectl.1"


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=patience(60), check=False)


def test_the_page_renders_without_warnings():
    for argv in (["mandoc", "-T", "lint", "-W", "warning"], ["man", "--warnings", "-l"]):
        done = run(*argv, PAGE)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_page_has_every_command_and_option_of_the_help():
    page = run("mandoc", "-T", "ascii", "-O", "width=200", PAGE).stdout
    page = re.sub(".\b", "", page)  # bold and underlined
    lines = [line for line in run(PROGRAM, "--help").stdout.splitlines() if line.startswith("  ")]
    commands = [match.group(1) for line in lines
                if (match := re.match(r"  ([a-z]+(?: new| hash| verify)?)\b", line))]
    options = [match.group(1) for line in lines if (match := re.search(r"(--[a-z]+) ", line))]
    assert len(commands) > 10 and len(options) > 5
    for word in commands + options:
        assert re.search(rf"(?<![\w-]){word}\b", page), word


@pytest.mark.parametrize("place", ["man/man1/solvegatectl.1",
                                   "bash-completion/completions/solvegatectl"])
def test_the_page_and_the_completion_are_installed(place):
    places = json.loads(run("meson", "introspect", "--installed", BUILD).stdout)
    assert [path for path in places.values() if path.endswith(place)]
