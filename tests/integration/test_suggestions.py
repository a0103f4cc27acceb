"""What the message of a refusal suggests, the check of the configuration accepts, and after a reload
the same request is accepted. A value that cannot be listed gets a message without a suggestion.

Each value is sent to the running daemon. The line in the message is put into the configuration as it
is, without an escape, as an operator pastes it."""

import json
import random
import re
import subprocess

import pytest

from lib.build import BUILD, REPOSITORY
from lib.clients import Client
from lib.http import Connection
from lib.job import job

CI = Client("ci", sites=["only.example"])
NOTHING = {"origins": [], "server_names": [], "sites": ["staging.example.com"]}
PLACEHOLDER = "placeholder.example"
LONGEST = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])  # 253 bytes
UUID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"

HOSTS = [
    "a", "a.example", "A.Example", "a.example.", "a_b.example", "-a.example", "a-.example", "a..b",
    ".a.example", "xn--bcher-kva.example", "bücher.example", "*", "*.a.example", "a.*.example",
    "192.0.2.1", "192.0.2.1.", "192.0.2", "1.2.3.4.5", "0x7f.1", "127.1", "2130706433", "1",
    "[2001:db8::1]", "[2001:DB8:0::1]", "[::ffff:192.0.2.1]", "[fe80::1%eth0]", "[fe80::1%25eth0]",
    "[::1", "[]", "[x]", '[";]', "::1", "a b.example", "a.example\t", 'a".example', "a\\.example",
    "a'.example", "a;b.example", "a=b", "${HOME}", "a.example/path", "a@b.example", "a:b@c.example",
    "u@a.example", "%61.example", "a%00.example", "a\x7f.example", "a\xff.example", "a,b.example",
    "a#b", "a?b", "@include", "/* a */", LONGEST, LONGEST + "a", "a" * 63, "a" * 64, "a" * 255,
    "a" * 300, "",
]

PORTS = ["", ":1", ":80", ":443", ":8443", ":08443", ":65535", ":65536", ":0", ":", ":x", ":-1"]

ORIGINS = [
    "null", "NULL", "*", "a.example", "//a.example", "://a.example", "https://", "https:///",
    "https:/a.example", "https:a.example", "HTTPS://a.example", "https://a.example/",
    "https://a.example/path", "https://a.example?q", "https://a.example#f",
    "https://a.example, https://b.example", "https://a.example https://b.example",
    "https://a.example, ", 'https://a.example" ]; sites = { allow = [ "*', "x" * 2000,
    # extensions and desktop shells
    "chrome-extension://abcdefghijklmnopabcdefghijklmnop", f"moz-extension://{UUID}",
    f"safari-web-extension://{UUID.upper()}", "tauri://localhost", "capacitor://localhost",
    "ionic://localhost", "app://.", "app://obsidian.md", "app://localhost:3000",
    f"vscode-webview://{UUID}", "vscode-file://vscode-app", "ms-browser-extension://ID",
    "http://tauri.localhost", "https://localhost", "http://localhost:3000", "http://127.0.0.1:8118",
    "chrome-extension://", "chrome-extension://a/b", "chrome-extension://*", "Tauri://localhost",
    "tauri://a b", 'tauri://a"b', "tauri://a\\b", "tauri://u@localhost", "tauri://localhost:08",
    "tauri://[::1]:3000", "tauri://[::0001]", "1tauri://localhost", "-://localhost", "a" * 64 + "://b",
    "a" * 65 + "://b", "tauri://" + "a" * 255, "tauri://" + "a" * 256,
    # schemes whose pages have no origin
    "file://", "file:///", "file://host", "data://x", "blob://x", "about://blank", "javascript://x",
    "filesystem://x", "ftp://a.example", "ws://a.example", "wss://a.example",
    *(f"{scheme}://{host}{port}" for scheme in ("http", "https") for host in HOSTS[:30]
      for port in PORTS[::3]),
    *(f"https://{host}" for host in HOSTS), *(f"https://a.example{port}" for port in PORTS),
]
ORIGINS = list(dict.fromkeys(ORIGINS))

SITES = [*HOSTS, *(f"https://{host}/signup" for host in HOSTS),
         *(f"a.example{port}" for port in PORTS), "https://u:p@a.example/", "ftp://a.example",
         "a.example\nb", "a.example\r\n", "\0", "a\0.example", "ａ.example", "☃.example", "*"]


def random_values(count):
    """The same at each run: pieces that mean something to one of the parsers."""
    source = random.Random("suggestions")
    pieces = ["a", "Z", "0", "9", ".", "-", "_", "~", ":", "/", "//", "://", "@", "[", "]", "*", "%",
              '"', "\\", "'", ";", ",", " ", "\t", "(", ")", "{", "}", "=", "#", "\xe4", "\x80",
              "http://", "https://", "app://", "example", "xn--", "localhost", "127.0.0.1", "::1",
              ":443", "null", "é", "\x1f"]
    return ["".join(source.choices(pieces, k=source.randint(1, 8))) for _ in range(count)]


@pytest.fixture(scope="module")
def house(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(mode="pro", latency=0), sites=["staging.example.com"])


@pytest.fixture(scope="module")
def team(shared_simulator, shared_gateway):
    return shared_gateway(shared_simulator(mode="pro", latency=0), clients=[CI], sites=["*"])


def check(house):
    return subprocess.run([BUILD / "solvegate", "-t", "-c", house.config], text=True,
                          capture_output=True, timeout=30)


def suggestion(message, name):
    """The literal to add to the list of this name, as it is in the message; None: there is none."""
    found = re.search(name + r" = (?:\{ allow = )?\[ …, (.*?) \];", message)
    return found and found[1]


def apply(house, literal, **settings):
    """Configures a list that contains the literal in place of the placeholder, checks and reloads."""
    house.configure(**settings)
    text = house.config.read_text()
    assert text.count(f'"{PLACEHOLDER}"') == 1
    house.config.write_text(text.replace(f'"{PLACEHOLDER}"', literal))
    done = check(house)
    assert done.returncode == 0, (literal, done.stderr)
    house.hang_up("reloaded file=")


async def send(house, headers=(), body=None):
    """The answer, or None where the connection was closed without one."""
    pairs = [(name, value) for name, value in headers]
    try:
        async with await Connection.open(house.url) as connection:
            method, target = ("POST", "/api/solve") if body else ("GET", "/api/balance/none")
            return await connection.request(method, target, pairs, body)
    except (ConnectionError, EOFError, UnicodeEncodeError):
        return None  # not a request, or answered by libmicrohttpd


class Case:
    """A list of the configuration: how a value reaches the daemon, and how it is configured."""

    def __init__(self, name, code, send, settings):
        self.name, self.code, self.send = name, code, send
        self.settings = {**NOTHING, **settings}

    async def holds(self, house, value):
        """Sends the value; where it is refused, does what the message suggests. Returns whether it
        suggested anything."""
        answer = await self.send(house, value)
        if answer is None or answer.status != 403:
            return False
        told = json.loads(answer.body)
        assert told["code"] == self.code, (value, told)
        literal = suggestion(told["message"], self.name)
        if literal is None:
            assert "…" not in told["message"] and " = " not in told["message"], told
            return False
        if self.code == "site_not_allowed":
            assert "if it is yours, or you are authorized to test it" in told["message"], told
        apply(house, literal, **self.settings)
        again = await self.send(house, value)
        assert again is not None and again.status != 403, (value, literal, again)
        return True


def by_origin(house, value):
    return send(house, [("Origin", value)])


def by_host(house, value):
    return send(house, [("Host", value)])


def by_site(house, value):
    return send(house, body=job(seed="suggestion", site=value).body)


def by_site_of_client(house, value):
    return send(house, [*CI.headers.items()], job(seed="suggestion", site=value).body)


ORIGIN = Case("origins", "forbidden_origin", by_origin, {"origins": [PLACEHOLDER]})
HOST = Case("server_names", "forbidden_host", by_host, {"server_names": [PLACEHOLDER]})
SITE = Case("sites", "site_not_allowed", by_site, {"sites": [PLACEHOLDER]})
CLIENT_SITE = Case("sites", "site_not_allowed", by_site_of_client,
                   {"clients": [CI.changed(sites=[PLACEHOLDER])], "sites": ["*"]})


def test_each_list_that_a_message_names_is_tried_here():
    """A new message with such a line needs a case of its own."""
    named = {name for path in (REPOSITORY / "src").rglob("*.c")
             for name in re.findall(r"(\w+) = (?:\{ allow = )?\[ …", path.read_text())}
    assert named == {case.name for case in (ORIGIN, HOST, SITE, CLIENT_SITE)}


@pytest.mark.parametrize("value", ORIGINS)
async def test_an_origin_that_a_message_suggests_is_accepted(house, value):
    suggested = await ORIGIN.holds(house, value)
    if not suggested and value.isprintable() and value == value.strip():
        house.configure(**{**NOTHING, "origins": [value]})
        assert check(house).returncode == 2, f"{value} can be listed, and is not suggested"


@pytest.mark.parametrize("value", [host + port for host in HOSTS for port in ("", ":8118")])
async def test_a_server_name_that_a_message_suggests_is_accepted(house, value):
    await HOST.holds(house, value)


@pytest.mark.parametrize("value", SITES)
async def test_a_site_that_a_message_suggests_is_accepted(house, value):
    await SITE.holds(house, value)


@pytest.mark.parametrize("value", HOSTS)
async def test_a_clients_site_that_a_message_suggests_is_accepted(team, value):
    await CLIENT_SITE.holds(team, value)


@pytest.mark.parametrize("case", [ORIGIN, HOST, SITE], ids=lambda case: case.name)
async def test_random_values_are_accepted_where_a_message_suggests_them(house, case):
    for value in random_values(300):
        await case.holds(house, value)


SUGGESTED = [
    (ORIGIN, "chrome-extension://abcdefghijklmnopabcdefghijklmnop"), (ORIGIN, "app://."),
    (ORIGIN, f"safari-web-extension://{UUID.upper()}"), (ORIGIN, "tauri://localhost"),
    (ORIGIN, f"https://{LONGEST}:65535"), (ORIGIN, "a" * 64 + "://" + "b" * 255 + ":65535"),
    (HOST, LONGEST), (HOST, "Tools.Example."), (SITE, LONGEST), (SITE, "[2001:DB8:0::1]"),
]


@pytest.mark.parametrize("case, value", SUGGESTED)
async def test_a_valid_value_is_suggested(house, case, value):
    house.reload(**NOTHING)
    assert await case.holds(house, value)


UNSUGGESTED = [
    (ORIGIN, "null"), (ORIGIN, "file://"), (ORIGIN, "https://*.example"), (ORIGIN, "https://a.example."),
    (ORIGIN, "https://A.example"), (HOST, "-a.example"), (HOST, "[fe80::1%eth0]"), (HOST, "192.0.2"),
    (HOST, LONGEST + "a"), (HOST, '[";]'), (SITE, "*"), (SITE, "a b.example"),
]


@pytest.mark.parametrize("case, value", UNSUGGESTED)
async def test_a_value_that_cannot_be_listed_is_refused_without_a_suggestion(house, case, value):
    answer = await case.send(house, value)
    assert answer.status == 403 and json.loads(answer.body)["code"] == case.code, answer
    assert not await case.holds(house, value)


async def test_an_extension_calls_as_a_page_does(house):
    """The answers to a preflight request and to a call name its origin."""
    origin = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
    house.reload(**{**NOTHING, "origins": [origin, "https://a.example"]})
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Private-Network": "true"}
    before = house.request("OPTIONS", "/api/solve", None, asked)
    assert before.status == 204, before
    assert before.header("Access-Control-Allow-Private-Network") == "true"
    answer = house.solve(job(seed="extension"), {"Origin": origin})
    assert answer.object()["status"] == "solved"
    for seen in (before, answer):
        assert seen.header("Access-Control-Allow-Origin") == origin
    for other in ("chrome-extension://abcdefghijklmnopabcdefghijklmnoo", "chrome-extension://",
                  origin.upper(), f"{origin}/", "https://abcdefghijklmnopabcdefghijklmnop", "null"):
        assert house.solve(job(seed=other), {"Origin": other}).status == 403, other
