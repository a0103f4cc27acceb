"""solvegate as the tests use it."""

import os
import re
import signal
import tempfile
import urllib.parse
from pathlib import Path

from . import canary, http, libconfig, openapi
from .build import BUILD, wait_until
from .job import SITE
from .process import Process

DRAIN_TIMEOUT = 0.3
STOP_TIMEOUT = 10.0

FINAL = ("solved", "skip", "error")

_SECTIONS = ("answers", "results", "retry", "poll", "limits", "audit", "log")

_RELOADED = re.compile(r'info reloaded file=.*\n|"message":"reloaded","file".*\n')

STORED_CREDENTIAL = {"uid": canary.STORED_UID, "apikey": canary.STORED_APIKEY}


def write_credential(directory, name, values):
    folder = directory / "credentials"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(libconfig.dumps(values))


LOOPBACK = {"address": "127.0.0.1", "port": 0}


def configuration(listen, upstreams, sites=(SITE,), workers=2, server_names=(), origins=(),
                  clients=(), durability="none", state_directory="state", admin=None, **sections):
    """The settings of a test's gateway: fast polls, a short drain, everything logged, and no jobs
    on disk unless durability is "full". state_directory is beside the configuration. admin is where
    operators connect; a key with None is left out. clients are those of lib.clients."""
    unknown = set(sections) - set(_SECTIONS)
    assert not unknown, f"no such section: {unknown}"
    defaults = {
        "poll": {"first": 0.05, "interval": 0.1, "cap": 0.5},
        "limits": {"drain_timeout": DRAIN_TIMEOUT},
        "log": {"level": "debug"},
    }
    settings = {
        "listen": listen,
        "server_names": list(server_names),
        "workers": workers,
        "upstreams": upstreams,
        "sites": {"allow": list(sites)},
        "durability": durability,
        "state_directory": state_directory,
        **({"admin": admin} if admin else {}),
        **({"origins": list(origins)} if origins else {}),
        **({"clients": [client.entry for client in clients]} if clients else {}),
    }
    for name in _SECTIONS:
        merged = {**defaults.get(name, {}), **sections.get(name, {})}
        if merged:
            settings[name] = merged
    return settings


def upstream_of(sim):
    return {"url": sim.url, "api": sim.api}


class Calls:
    """What a tool asks for, by request(), which who has these calls brings along."""

    def get(self, target, headers=None):
        return self.request("GET", target, None, headers)

    def solve(self, job, headers=None, path="/api/solve"):
        """Posts a job and returns the first answer."""
        all_headers = dict(headers or {})
        if "content-type" not in {name.lower() for name in all_headers}:
            all_headers["Content-Type"] = "application/json"
        return self.request("POST", path, job.body, all_headers)

    def submit(self, job, **headers):
        """Posts a job without waiting for anything and returns its id."""
        answer = self.solve(job, {"Prefer": "respond-async", **headers})
        assert answer.status == 200, answer
        return answer.object()["id"]

    def status(self, job_id, query="", headers=None):
        return self.get(f"/api/status?id={job_id}{query}", headers)

    def finish(self, job_id, timeout=20.0):
        """Polls until the job is final and returns the last answer."""

        def final():
            answer = self.status(job_id)
            return answer if answer.object()["status"] in FINAL else None

        return wait_until(final, timeout, f"job {job_id} is final")

    def run(self, job, timeout=20.0):
        """Posts a job and follows it as a tool does. Returns the last answer."""
        first = self.solve(job)
        assert first.status == 200, first
        if first.object()["status"] in FINAL:
            return first
        return self.finish(first.object()["id"], timeout)


class Caller(Calls):
    """A client at a gateway: each call brings its token."""

    def __init__(self, house, client):
        self.house = house
        self.client = client

    def request(self, method, target, body=None, headers=None, timeout=http.TIMEOUT):
        return self.house.request(method, target, body, {**self.client.headers, **(headers or {})},
                                  timeout)

    def usage(self):
        """What it has used, as it is told."""
        answer = self.get("/api/usage")
        assert answer.status == 200, answer
        return answer.object()


class Gateway(Process, Calls):
    """A running daemon.

    Its upstream is the simulator sim, with what the dictionary upstream adds or replaces; or there
    are several, one for each dictionary in upstreams. A listener speaks TLS where it has
    "tls": {"certificate": FILE, "key": FILE}. A launcher is what starts it, by exec. program is the
    daemon's path in the build directory. What is in environment when it is started again replaces
    the variables of before. The rest is as in configuration().
    """

    secrets = canary.STORED  # and, of one that runs, its clients'

    def __init__(self, directory, sim=None, name="gateway", upstream=None, upstreams=None,
                 listen=(LOOPBACK,), popen=None, credential=None, environment=None, launcher=(),
                 program="solvegate", **settings):
        self.name = name
        self.sim = sim
        if upstreams is None:
            known = {} if sim is None else upstream_of(sim)
            upstreams = [{"name": "main", **known, **(upstream or {})}]
        upstreams = [{"credential": "account", **entry} for entry in upstreams]
        home = directory / name
        home.mkdir()
        write_credential(home, "account", credential or STORED_CREDENTIAL)
        self.home = home
        # pytest's own directories are too deep for the 107 bytes of a socket's path.
        self._socket_home = tempfile.TemporaryDirectory(prefix="solvegate-")
        self.socket = Path(self._socket_home.name) / "admin.sock"
        self.config = home / "solvegate.conf"
        self.settings = {"listen": listen, "upstreams": upstreams}
        self.configure(**settings)
        inherited = {n: v for n, v in os.environ.items() if n != "CREDENTIALS_DIRECTORY"}
        listeners = len(listen) + (1 if "address" in (settings.get("admin") or {}) else 0)
        self.environment = {**inherited, **(environment or {})}
        super().__init__([*launcher, BUILD / program, "-c", self.config], home / "log", listeners,
                         cwd=home, env=self.environment, **(popen or {}))
        self.wait_ready()

    def configure(self, **changes):
        """Writes the configuration with changes; a section or list among them replaces the whole.
        The daemon does not know yet."""
        self.settings.update(changes)
        clients = self.settings.get("clients", ())
        self.secrets += tuple(text for c in clients for text in (c.token, c.sha256)
                              if text not in self.secrets)
        admin = {"socket": str(self.socket), **(self.settings.get("admin") or {})}
        admin = {name: value for name, value in admin.items() if value is not None}
        text = libconfig.dumps(configuration(**{**self.settings, "admin": admin}))
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config)  # whoever reads it meanwhile reads a whole file

    def write_credential(self, apikey, name="account", uid=canary.STORED_UID):
        """Another key in the file of a credential. The daemon does not know yet."""
        self.secrets += (apikey,)
        write_credential(self.home, name, {"uid": uid, "apikey": apikey})

    def reload(self, **changes):
        """SIGHUP with a configuration that is good, and waits until it is in force. Returns what
        was logged meanwhile."""
        self.configure(**changes)
        return self.hang_up(_RELOADED)

    def hang_up(self, until):
        """SIGHUP, and waits for a line that has the pattern. Returns what was logged meanwhile."""
        pattern = re.compile(until)
        seen = len(self.log())
        self.signal(signal.SIGHUP)
        wait_until(lambda: pattern.search(self.log()[seen:]), 10.0, f"{until} in the log", 0.005)
        return self.log()[seen:]

    @property
    def state_directory(self):
        return self.home / self.settings.get("state_directory", "state")

    @property
    def audit_file(self):
        return self.state_directory / self.settings.get("audit", {}).get("file", "audit.jsonl")

    def caller(self, client):
        return Caller(self, client)

    def wait_ready(self):
        super().wait_ready()
        self.url = self.urls[0]
        self.admin_url = self.urls[-1]  # valid with admin
        self.host = urllib.parse.urlsplit(self.url).netloc
        for url in self.urls:
            openapi.watch(url, openapi.TOOLS)
        if "address" in (self.settings.get("admin") or {}):
            openapi.watch(self.admin_url, openapi.OPERATORS)

    def kill_and_start_again(self):
        """kill -9, and a new daemon with the same configuration and state, on another port."""
        self.kill()
        self.start_again()

    def stop_well(self):
        """Stops it as an operator does, so that its state can be looked at."""
        status = self.stop(STOP_TIMEOUT)
        assert status == 0, f"exit status {status}\n{self.log()[-4000:]}"

    def request(self, method, target, body=None, headers=None, timeout=http.TIMEOUT):
        return http.request(self.url, method, target, body, headers, timeout)

    def operate(self, method, target, body=None, headers=None, timeout=http.TIMEOUT):
        """One request on the admin socket."""
        return http.request(f"unix:{self.socket}", method, target, body, headers, timeout)

    def metrics(self):
        """Each sample on the admin address, as {name with labels: number}."""
        answer = http.request(self.admin_url, "GET", "/metrics")
        assert answer.status == 200, answer
        lines = [line for line in answer.body.decode().splitlines() if not line.startswith("#")]
        samples = dict(line.rsplit(" ", 1) for line in lines)
        assert len(samples) == len(lines), f"a sample stands twice: {lines}"
        return {name: float(n) if "." in n else int(n) for name, n in samples.items()}

    def path_of(self, url):
        """The path and query of an address that the gateway gave for itself."""
        parts = urllib.parse.urlsplit(url)
        scheme = urllib.parse.urlsplit(self.url).scheme
        assert (parts.scheme, parts.netloc) == (scheme, self.host), url
        return f"{parts.path}?{parts.query}"
