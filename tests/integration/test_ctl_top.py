"""solvegatectl top: on a terminal that a test holds the other end of, and elsewhere."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from lib.build import patience
from lib.control import Control
from lib.ctl import NO_DAEMON, PROGRAM, ctl, environment, told
from lib.samples import ANSWERS, JOB, STATUS, WELL

ENTER = b"\x1b[?1049h"
LEAVE = b"\x1b[?25h\x1b[?1049l"
HOME = b"\x1b[H"

ASKED = "GET /control/status"


@pytest.fixture
def daemon():
    with Control(ANSWERS) as control:
        yield control


class Terminal:
    """top on a terminal. text is all that it has written."""

    def __init__(self, path, height=40, width=100):
        try:
            self.ours, self.theirs = pty.openpty()
        except OSError as error:
            pytest.skip(f"no terminal can be made here: {error}")
        self.size(height, width)
        self.before = termios.tcgetattr(self.theirs)
        self.text = b""
        self.child = subprocess.Popen(
            [PROGRAM, "--socket", path, "top"], stdin=self.theirs, stdout=self.theirs,
            stderr=self.theirs, env=environment(TERM="xterm"), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def size(self, height, width):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self, seconds):
        """Reads what there is, or comes soon."""
        if select.select([self.ours], [], [], seconds)[0]:
            self.text += os.read(self.ours, 65536)

    def wait_for(self, what, since=0):
        deadline = time.monotonic() + patience(20)
        while what not in self.text[since:]:
            assert time.monotonic() < deadline, (what, self.text[since:])
            self.read(0.1)
        return len(self.text)

    def wait_for_a_page(self, since=0):
        return self.wait_for(b"\x1b[J", since)

    def type(self, keys):
        os.write(self.ours, keys)

    def ended(self):
        """The exit status, after which the terminal must be as it was."""
        deadline = time.monotonic() + patience(20)
        while self.child.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            self.read(0.05)
        while select.select([self.ours], [], [], 0)[0]:
            self.read(0)
        assert self.text.endswith(LEAVE), self.text[-200:]
        assert self.text.count(ENTER) == self.text.count(LEAVE)
        assert termios.tcgetattr(self.theirs) == self.before
        return self.child.returncode

    def pages(self):
        """The lines of each page, without what clears a line on the screen."""
        return [[line.rstrip("\r").removeprefix("\x1b[K").removeprefix("\x1b[J") for line in
                 page.split(LEAVE)[0].decode().split("\n")]
                for page in self.text.split(HOME)[1:]]


def shown(written, height, width):
    """The rows of a screen. As on a VT100 and all that follow it, the cursor stands on the last
    column behind a character there too, and what is cleared is cleared from the cursor on."""
    rows, row, column = [[" "] * width for _ in range(height)], 0, 0
    for what in re.findall(r"\x1b\[[?0-9]*[A-Za-z]|.", written, re.DOTALL):
        if what == "\x1b[H":
            row = column = 0
        elif what in ("\x1b[K", "\x1b[J"):
            at = min(column, width - 1)
            rows[row][at:] = [" "] * (width - at)
            if what == "\x1b[J":
                rows[row + 1:] = [[" "] * width for _ in rows[row + 1:]]
        elif what == "\r":
            column = 0
        elif what == "\n":
            row += 1
        elif not what.startswith("\x1b"):
            rows[row][column] = what
            column += 1
    return ["".join(row).rstrip() for row in rows]


def test_q_ends_it_and_gives_the_terminal_back(daemon):
    with Terminal(daemon.path) as terminal:
        terminal.wait_for_a_page()
        assert not termios.tcgetattr(terminal.theirs)[3] & (termios.ECHO | termios.ICANON)
        terminal.type(b"xyz q")
        assert terminal.ended() == 0
        assert terminal.text.startswith(ENTER)
        assert terminal.pages()[0][0].startswith("solvegate 0.1.0 is not ready")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_ends_it_and_gives_the_terminal_back(daemon, number):
    with Terminal(daemon.path) as terminal:
        terminal.wait_for_a_page()
        terminal.child.send_signal(number)
        assert terminal.ended() == 0


def test_control_c_ends_it(daemon):
    with Terminal(daemon.path) as terminal:
        terminal.wait_for_a_page()
        terminal.type(b"\x03")
        assert terminal.ended() == 0


@pytest.mark.parametrize("end", [b"q", b"\x03"])
def test_it_ends_at_once_while_the_daemon_hangs(daemon, end):
    with Terminal(daemon.path) as terminal:
        terminal.wait_for_a_page()
        daemon.answers[ASKED] = lambda connection: connection.recv(1)
        seen = daemon.asked.count(ASKED)
        daemon.wait_for(ASKED, seen + 1, patience(20))
        terminal.type(end)
        assert terminal.ended() == 0
        assert b"no answer" not in terminal.text


def test_it_asks_again_and_shows_what_is_new(daemon):
    with Terminal(daemon.path) as terminal:
        seen = terminal.wait_for(b"120 solved")
        daemon.answers[ASKED] = (200, {**STATUS, "jobs": {"solved": 175}})
        terminal.wait_for(b"175 solved", seen)
        terminal.wait_for(b"jobs end each second", seen)
        terminal.type(b"q")
        assert terminal.ended() == 0


def test_a_page_fits_the_terminal_and_a_new_size_is_drawn(daemon):
    with Terminal(daemon.path, 12, 44) as terminal:
        terminal.wait_for_a_page()
        small = len(terminal.pages())
        terminal.size(30, 120)
        # A whole table only fits now.
        terminal.wait_for(JOB["id"].encode())
        terminal.type(b"q")
        assert terminal.ended() == 0
        assert small == 1 or len(terminal.pages()) > small
        first, last = terminal.pages()[0], terminal.pages()[-1]
        assert len(first) == 12 and all(len(line) <= 44 for line in first)
        assert 12 < len(last) <= 30 and max(len(line) for line in last) > 44


def test_a_line_is_shown_to_the_last_column_and_nothing_is_left_of_the_page_before(daemon):
    with Terminal(daemon.path, 12, 44) as terminal:
        terminal.wait_for_a_page()
        seen = len(terminal.text)
        daemon.answers[ASKED] = (200, WELL)
        terminal.wait_for(b"takes jobs", seen)
        terminal.type(b"q")
        assert terminal.ended() == 0
        for end in range(1, len(terminal.pages()) + 1):
            written = HOME.join(terminal.text.split(HOME)[:end + 1]).split(LEAVE)[0].decode()
            page = [line.rstrip() for line in terminal.pages()[end - 1]]
            assert shown(written, 12, 44) == page + [""] * (12 - len(page))
            assert any(len(line) == 44 and line.endswith("\u2026") for line in page)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 200), (50, 3), (2, 20)])
def test_the_smallest_terminals_are_drawn_on(daemon, height, width):
    with Terminal(daemon.path, height, width) as terminal:
        terminal.wait_for_a_page()
        terminal.type(b"q")
        assert terminal.ended() == 0
        for page in terminal.pages():
            assert len(page) <= height and all(len(line) <= width for line in page)


def test_suspended_it_gives_the_terminal_back_and_takes_it_again(daemon):
    with Terminal(daemon.path) as terminal:
        terminal.wait_for_a_page()
        terminal.child.send_signal(signal.SIGTSTP)
        seen = terminal.wait_for(LEAVE)
        _, status = os.waitpid(terminal.child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert termios.tcgetattr(terminal.theirs) == terminal.before
        terminal.child.send_signal(signal.SIGCONT)
        terminal.wait_for(ENTER, seen)
        terminal.wait_for_a_page(seen)
        terminal.type(b"q")
        assert terminal.ended() == 0


def test_a_daemon_that_goes_is_told_on_the_page_and_asked_on(daemon):
    with Terminal(daemon.path, width=200) as terminal:
        seen = terminal.wait_for_a_page()
        daemon.leave()
        terminal.wait_for(b"there is no such socket", seen)
        assert terminal.child.poll() is None
        terminal.type(b"q")
        assert terminal.ended() == 0


def test_a_daemon_that_is_not_there_is_told_before_the_terminal_is_taken(daemon):
    path = daemon.path.with_name("t")
    with Terminal(path) as terminal:
        terminal.wait_for(b"there is no such socket")
        assert terminal.child.wait(patience(20)) == NO_DAEMON
        assert b"\x1b" not in terminal.text
        assert termios.tcgetattr(terminal.theirs) == terminal.before


def test_elsewhere_it_prints_one_plain_page(daemon):
    out = told(daemon.path, "top")
    assert daemon.asked.count(ASKED) == 1
    assert out.startswith("solvegate 0.1.0") and "\x1b" not in out
    assert JOB["id"] in out and "UPSTREAM" in out and "CLIENT" in out


def test_json_is_an_object_each_second_until_it_is_stopped(daemon):
    with subprocess.Popen([PROGRAM, "--json", "--socket", daemon.path, "top"],
                          stdout=subprocess.PIPE, env=environment()) as child:
        lines = [json.loads(child.stdout.readline()) for _ in range(2)]
        child.send_signal(signal.SIGTERM)
        rest = child.stdout.read()
        assert child.wait(patience(20)) == 0
    assert all(json.loads(line) for line in rest.splitlines())
    assert lines == [{"status": STATUS, "clients": ANSWERS["GET /control/clients"][1],
                      "jobs": ANSWERS["GET /control/jobs?limit=100"][1]}] * 2


def test_json_ends_when_the_daemon_has_gone(daemon):
    with subprocess.Popen([PROGRAM, "--json", "--socket", daemon.path, "top"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=environment()) as child:
        child.stdout.readline()
        daemon.leave()
        _, complaint = child.communicate(timeout=patience(20))
        assert child.returncode in (1, NO_DAEMON) and complaint.startswith(b"solvegatectl: ")


def test_a_part_that_is_refused_is_told(daemon):
    del daemon.answers["GET /control/clients"]
    status, out, complaint = ctl(daemon.path, "top")
    assert (status, out) == (1, "") and "there is nothing here (not_found)" in complaint
