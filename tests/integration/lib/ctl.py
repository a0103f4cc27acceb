"""solvegatectl as the tests call it."""

import json
import os
import subprocess

from .build import BUILD, patience

PROGRAM = BUILD / "solvegatectl"

NO_DAEMON = 3


def environment(**more):
    """One in which characters are UTF-8, and no socket is named."""
    kept = {name: value for name, value in os.environ.items()
            if name not in ("SOLVEGATE_SOCKET", "LANG") and not name.startswith("LC_")}
    return {**kept, "LC_ALL": "C.UTF-8", **more}


def ctl(socket, *arguments, **more):
    """The exit status, standard output and standard error."""
    done = subprocess.run([PROGRAM, "--socket", socket, *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=patience(60), check=False,
                          env=environment(**more))
    for output in (done.stdout, done.stderr):
        assert b"Sanitizer" not in output and b"runtime error" not in output, output
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def told(socket, *arguments):
    """What a command prints that does what it should."""
    status, out, complaint = ctl(socket, *arguments)
    assert (status, complaint) == (0, ""), (status, complaint)
    return out


def told_json(socket, *arguments):
    """The same as an object; it is one line."""
    out = told(socket, "--json", *arguments)
    assert out.count("\n") == 1 and out.endswith("\n"), out
    return json.loads(out)
