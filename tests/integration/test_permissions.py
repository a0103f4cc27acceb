"""What every user of this machine could change is refused, at the start, by a check, and by a
reload. A byte order mark is skipped."""

import os
import re
import subprocess

import pytest

from lib import expect
from lib.build import BUILD, patience
from lib.job import job
from lib.tls import make_certificate

UPSTREAM = 'upstreams = ( { name = "u"; url = "https://127.0.0.1:9"; credential = "key"; } );\n'
CREDENTIAL = 'uid = "user-4711"; apikey = "canary-9f8e7d6c";\n'
BOM = "\ufeff"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")


class Home:
    """A configuration in a directory of its own, with all that it may name."""

    def __init__(self, directory):
        self.top = directory / "top"
        self.directory = self.top / "home"
        self.config = self.directory / "solvegate.conf"
        self.included = self.directory / "sites.conf"
        self.credentials = self.directory / "credentials"
        self.key = self.credentials / "key"
        self.state = self.directory / "state"
        self.run = self.directory / "run"
        for path in (self.top, self.directory, self.credentials, self.state, self.run):
            path.mkdir(mode=0o755)
        self.write()
        self.key.touch(mode=0o600)
        self.key.write_text(CREDENTIAL)

    def write(self, more="", before=""):
        self.included.write_text(f'{before}sites = {{ allow = [ "www.example.com" ]; }};\n')
        self.config.write_text(
            f'{before}{UPSTREAM}@include "sites.conf"\nlisten = ( {{ port = 0; }} );\n'
            f'admin = {{ socket = "{self.run}/admin.sock"; }};\n'
            f'state_directory = "{self.state}";\n{more}')

    def start(self, *options, **environment):
        """Runs the daemon until it ends, which it does where something is wrong."""
        variables = {n: v for n, v in os.environ.items()
                     if n not in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY")}
        return subprocess.run([BUILD / "solvegate", *options, "-c", self.config],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=patience(10.0), check=False, env=variables | environment)

    def check(self, **environment):
        return self.start("-t", **environment)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path)


def assert_refused(result, path, mode):
    assert result.returncode == 2, result
    assert result.stderr.count("\n") == 1, result.stderr
    assert re.fullmatch(rf"{re.escape(str(path))}: every user of this machine can write .*"
                        rf"\(mode {mode:04o}\); run: chmod o-w {re.escape(str(path))}\n",
                        result.stderr), result.stderr


FILES = ["config", "included"]
DIRECTORIES = ["top", "directory", "credentials", "state", "run"]


@pytest.mark.parametrize("way", ["start", "check"])
@pytest.mark.parametrize("what", FILES + DIRECTORIES)
def test_what_every_user_can_write_is_refused_with_the_command_that_fixes_it(home, what, way):
    assert home.check().returncode == 0
    path = getattr(home, what)
    mode = 0o646 if what in FILES else 0o777
    path.chmod(mode)
    assert_refused(getattr(home, way)(), path, mode)
    subprocess.run(["chmod", "o-w", path], check=True)
    assert home.check().returncode == 0


@pytest.mark.parametrize("name", ["jobs.db", "bodies.db", "audit.jsonl"])
def test_a_file_of_the_state_that_every_user_can_write_is_refused(home, name):
    path = home.state / name
    path.touch()
    path.chmod(0o666)
    assert_refused(home.check(), path, 0o666)


def test_where_a_link_leads_counts_too(home, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    home.config.rename(elsewhere / "real.conf")
    home.config.symlink_to(elsewhere / "real.conf")
    assert home.check().returncode == 0
    elsewhere.chmod(0o777)
    assert_refused(home.check(), elsewhere, 0o777)
    elsewhere.chmod(0o755)
    home.directory.chmod(0o777)
    assert_refused(home.check(), home.directory, 0o777)


def test_a_sticky_directory_protects_all_but_the_state(home):
    for path in (home.top, home.directory, home.credentials, home.run):
        path.chmod(0o1777)
    assert home.check().returncode == 0
    home.state.chmod(0o1777)
    assert_refused(home.check(), home.state, 0o1777)


def test_certificates_and_authorities_count_too(home, authority, tmp_path):
    server = make_certificate(home.directory, authority, "server", "IP:127.0.0.1")
    server.key.chmod(0o600)
    ca = home.directory / "ca.pem"
    ca.write_text(authority.certificate.read_text())
    text = home.config.read_text().replace('credential = "key";',
                                           f'credential = "key"; ca = "{ca}";')
    home.config.write_text(text.replace(
        "port = 0;", f'port = 0; tls = {{ certificate = "{server.certificate}"; '
                     f'key = "{server.key}"; }};'))
    assert home.check().returncode == 0
    for path in (ca, server.certificate):
        path.chmod(0o646)
        assert_refused(home.check(), path, 0o646)
        path.chmod(0o644)


@as_root
def test_another_owner_or_group_is_a_warning(home):
    os.chown(home.config, 12345, 0)
    os.chown(home.state, 0, 12345)
    home.state.chmod(0o770)
    result = home.check()
    assert result.returncode == 0
    assert f"{home.config} belongs to user 12345, not to root or" in result.stderr
    assert f"{home.state} can be written by group 12345; " in result.stderr
    assert result.stderr.count("warning") == 2, result.stderr


@as_root
def test_a_check_by_root_takes_the_owner_of_the_state_for_the_user_of_the_service(home):
    os.chown(home.state, 12345, 12345)
    home.state.chmod(0o770)
    result = home.check()
    assert result.returncode == 0
    assert "warning" not in result.stderr


def test_a_socket_for_every_user_is_a_warning(home):
    home.config.write_text(home.config.read_text().replace(
        "admin = {", 'admin = { socket_mode = "0666";'))
    result = home.check()
    assert result.returncode == 0
    assert 'admin.socket_mode "0666": each user of this machine' in result.stderr


def test_a_reload_refuses_it_and_leaves_the_running_configuration_in_force(simulator, gateway):
    house = gateway(simulator(mode="pro", latency=0))
    house.configure(sites={"allow": ["other.example"]})
    house.config.chmod(0o666)
    lines = house.hang_up("not reloaded")
    assert f"{house.config}: every user of this machine can write it" in lines
    task = job()
    expect.solved(house.run(task), task)
    house.config.chmod(0o600)
    house.hang_up("reloaded ")
    assert house.solve(job()).status == 403


def test_a_byte_order_mark_is_skipped(home):
    home.write(before=BOM)
    home.key.write_text(BOM + CREDENTIAL)
    result = home.check()
    assert (result.returncode, result.stderr) == (0, f"{home.config}: ok\n")


def test_lines_are_counted_as_ever_behind_a_byte_order_mark(home):
    home.config.write_text(BOM + "\nwokers = 2;\n")
    assert home.check().stderr.startswith(f"{home.config}:2: unknown key")
    home.write()
    home.key.write_text(BOM + "\nsecret = 1;\n")
    assert home.check().stderr.startswith(f"{home.key}:2: an unknown key")


def test_a_byte_order_mark_elsewhere_is_a_mistake(home):
    home.write(more=BOM + "workers = 2;\n")
    assert home.check().returncode == 2
