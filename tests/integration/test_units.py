"""The systemd units as they are installed: sound, hardened, and at one with the sample
configuration."""

import re
import subprocess

import pytest

from lib.build import BUILD, REPOSITORY

SERVICE = BUILD / "solvegate.service"
SOCKET = REPOSITORY / "systemd/solvegate.socket"

EXPOSURE = 1.5  # at most, of 10


@pytest.fixture
def units(tmp_path):
    """A folder with both, in which the programs are those that were built."""
    text = re.sub(r"=\S*/(solvegate|solvegatectl)(?=\s)", rf"={BUILD}/\1", SERVICE.read_text())
    (tmp_path / SERVICE.name).write_text(text)
    (tmp_path / SOCKET.name).write_text(SOCKET.read_text())
    return tmp_path


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)],
                          capture_output=True, text=True, timeout=60, check=False)


def values(unit, name):
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def test_systemd_finds_nothing_wrong_with_them(units):
    done = analyze("verify", "--man=no", units / SERVICE.name, units / SOCKET.name)
    about_ours = [line for line in done.stderr.splitlines() if "solvegate" in line]
    assert not about_ours
    (units / SERVICE.name).write_text((units / SERVICE.name).read_text() + "\nNonsense=1\n")
    done = analyze("verify", "--man=no", units / SERVICE.name)
    assert "Nonsense" in done.stderr


def test_the_service_is_hardly_exposed(units):
    done = analyze("security", "--offline=true", f"--threshold={int(EXPOSURE * 10)}",
                   units / SERVICE.name)
    assert done.returncode == 0, done.stdout[-2000:]
    exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", done.stdout).group(1))
    assert exposure <= EXPOSURE


def test_the_programs_are_where_they_are_installed():
    (start,) = values(SERVICE, "ExecStart")
    (reload,) = values(SERVICE, "ExecReload")
    assert start.endswith("/sbin/solvegate")
    assert reload.endswith("/bin/solvegatectl reload")
    assert not re.search(r"@[A-Z]+@", SERVICE.read_text())


def test_the_socket_is_where_the_sample_configuration_listens():
    (stream,) = values(SOCKET, "ListenStream")
    sample = (REPOSITORY / "conf/solvegate.conf").read_text()
    address, port = re.search(r'^listen = \( { address = "(\S+)"; port = (\d+); } \);', sample,
                              re.MULTILINE).groups()
    assert stream == f"{address}:{port}"


def test_what_fails_each_time_is_given_up():
    """By as many starts, of both units, as come within the interval."""
    (seconds,), (starts,) = (values(SERVICE, f"StartLimit{name}") for name in ("IntervalSec", "Burst"))
    (pause,) = values(SERVICE, "RestartSec")
    assert int(starts) * (int(pause) + 0.5) < int(seconds)
    assert values(SERVICE, "RestartPreventExitStatus") == ["2 243"]
    for name in ("StartLimitIntervalSec", "StartLimitBurst"):
        assert values(SOCKET, name) == values(SERVICE, name)


def test_a_hang_writes_no_core():
    assert values(SERVICE, "WatchdogSignal") == ["SIGKILL"]
    assert values(SERVICE, "LimitCORE") == ["0"]
