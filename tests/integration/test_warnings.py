"""What a configuration allows and is yet unwise, or has no effect, is told: at each start, by -t,
and by each reload."""

import datetime
import hashlib
import re
import ssl
import subprocess

import pytest

from lib import libconfig
from lib.aheadclock import AheadClock
from lib.build import BUILD, patience, wait_until
from lib.clients import Client
from lib.gateway import LOOPBACK, STORED_CREDENTIAL, configuration, write_credential
from lib.operator import ask, order
from lib.tls import Certificate

PAST, FUTURE = "2026-01-31", "2999-12-31"
EVERYWHERE = {"address": "0.0.0.0", "port": 0}
LOCAL = "DNS:localhost,IP:127.0.0.1"
LONG = 400  # days that a certificate is good for, where its end does not matter


def day_from_now(days):
    """A day (UTC) as in the configuration. Near midnight it may be one less a moment later: a test
    that depends on it keeps a day's distance."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return (today + datetime.timedelta(days=days)).isoformat()


@pytest.fixture
def certified(tmp_path):
    """Makes a certificate with names and days to live."""

    def make(names=LOCAL, days=LONG, name="server"):
        files = Certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        further = ["-addext", f"subjectAltName={names}"] if names else []
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", str(days), "-subj",
                        "/CN=solve.lan", "-keyout", files.key, "-out", files.certificate, *further],
                       check=True, capture_output=True, timeout=60)
        return files

    return make


def listener(files, address="127.0.0.1", port=0):
    return {"address": address, "port": port,
            "tls": {"certificate": str(files.certificate), "key": str(files.key)}}


@pytest.fixture
def warnings(tmp_path):
    """Checks a configuration that is right, and returns what it is warned of."""

    def run(**settings):
        write_credential(tmp_path, "account", STORED_CREDENTIAL)
        upstream = {"name": "main", "url": "http://127.0.0.1:1", "credential": "account"}
        config = tmp_path / "solvegate.conf"
        settings = {"listen": [LOOPBACK], "durability": "full", **settings}
        config.write_text(libconfig.dumps(configuration(upstreams=[upstream], **settings)))
        done = subprocess.run([BUILD / "solvegate", "-t", "-c", config], capture_output=True,
                              text=True, timeout=patience(10), check=False)
        assert done.returncode == 0, done
        *told, last = done.stderr.splitlines()
        assert last == f"{config}: ok"
        told = [line for line in told if "Z info certificate of " not in line]
        assert all("Z warning " in line for line in told), told
        return [line.split("Z warning ", 1)[1] for line in told]

    return run


SOUND = [
    {},
    {"clients": [Client("ci", expires=FUTURE, sites=["a.example"], daily_limit=5)],
     "sites": ["a.example", {"site": "b.example", "expires": FUTURE}]},
    {"clients": [Client("ci", sites=["a.qa.example", "*.b.example"])],
     "sites": ["*.qa.example", "*.example.com"]},
    {"clients": [Client("ci", rate=5.0, burst=5)], "durability": "none"},
    {"listen": [LOOPBACK, {"address": "::1", "port": 0}]},
]


@pytest.mark.parametrize("settings", SOUND)
def test_of_what_is_sound_nothing_is_told(warnings, settings):
    assert warnings(**settings) == []


# Each configuration, and what stands in the one line about it.
UNWISE = {
    "no site": ({"sites": []}, ["sites.allow is empty", "every job is refused"]),
    "every site": ({"sites": ["*"]}, ['sites.allow has "*"', "every site"]),
    "a top-level domain": ({"sites": ["*.example"]}, ['"*.example"', "top-level domain"]),
    "a site that has expired": (
        {"sites": ["a.example", {"site": "b.example", "expires": PAST}]},
        ["sites.allow", '"b.example" has expired']),
    "a site with a note that has expired": (
        {"sites": ["a.example", {"site": "b.example", "note": "OPS-211, ask Ann", "expires": PAST}]},
        ['"b.example" has expired (OPS-211, ask Ann)']),
    "sites that end soon": (
        {"sites": [{"site": "a.example", "expires": day_from_now(5)},
                   {"site": "b.example", "note": "OPS-211", "expires": day_from_now(3)},
                   {"site": "c.example", "note": "OPS-212", "expires": day_from_now(9)}]},
        ["sites.allow: what ends within 7 days: ",
         f'"a.example" on {day_from_now(5)}, "b.example" on {day_from_now(3)} (OPS-211)']),
    "more sites that end soon than fit a line": (
        {"sites": [{"site": f"{n}.example", "note": "n" * 180, "expires": day_from_now(3)}
                   for n in range(100)]}, ['"0.example"', ") and 9", " more"]),
    "a client's site that ends soon": (
        {"clients": [Client("ci", sites=[{"site": "b.example", "expires": day_from_now(3)}])],
         "sites": ["b.example"]},
        ['client "ci": what ends', f'"b.example" on {day_from_now(3)}']),
    "clients that end soon": (
        {"clients": [Client("ci", expires=day_from_now(5)), Client("desk", expires=day_from_now(9)),
                     Client("lab", expires=day_from_now(3))]},
        ["clients: what ends within 7 days: ",
         f'"ci" on {day_from_now(5)}, "lab" on {day_from_now(3)}']),
    "a client that has expired": (
        {"clients": [Client("ci", expires=PAST)]}, ['client "ci" has expired', "token"]),
    "a client's site that has expired": (
        {"clients": [Client("ci", sites=["a.example", {"site": "b.example", "expires": PAST}])],
         "sites": ["a.example", "b.example"]},
        ['client "ci"', '"b.example" has expired']),
    "a client's site that the global list lacks": (
        {"clients": [Client("ci", sites=["a.example", "www.b.example"])],
         "sites": ["a.example", "b.example"]},
        ['client "ci"', '"www.b.example"', "does not allow"]),
    "every site of the global list for a client": (
        {"clients": [Client("ci", sites=["*"])]}, ['client "ci"', '"*"']),
    "a limit that a stop forgets": (
        {"clients": [Client("ci", daily_limit=5)], "durability": "none"},
        ['durability is "none"', "daily_limit"]),
    "a monthly limit that a stop forgets": (
        {"clients": [Client("ci", monthly_limit=5)], "durability": "none"},
        ['durability is "none"', "monthly_limit"]),
    "clear text on the network": (
        {"clients": [Client("ci")], "listen": [LOOPBACK, EVERYWHERE]},
        ["listen[1]", "0.0.0.0", "in clear text"]),
}


@pytest.mark.parametrize("what", UNWISE)
def test_what_is_unwise_is_told_in_one_line(warnings, what):
    settings, words = UNWISE[what]
    told = warnings(**settings)
    assert len(told) == 1, told
    assert all(word in told[0] for word in words), told


def expire(files):
    """OpenSSL 3.4 and later has dates for that, and refuses what the older ones need."""
    known = subprocess.run(["openssl", "x509", "-help"], capture_output=True, timeout=60)
    past = ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"] \
        if b"-not_after" in known.stdout + known.stderr else ["-days", "-1"]
    subprocess.run(["openssl", "x509", "-in", files.certificate, "-signkey", files.key, *past,
                    "-out", files.certificate], check=True, capture_output=True, timeout=60)
    files.key.chmod(0o600)


def test_a_certificate_that_has_expired_is_told(warnings, certified):
    files = certified()
    expire(files)
    told = warnings(listen=[listener(files)])
    assert len(told) == 1 and "of 127.0.0.1:0 has expired" in told[0], told


@pytest.mark.parametrize("days, is_told", [(20, True), (22, False)])
def test_a_certificate_is_warned_of_three_weeks_before_it_expires(
    warnings, certified, days, is_told
):
    told = warnings(listen=[listener(certified(days=days))])
    assert len(told) == is_told, told
    if is_told:
        assert re.search(r"of 127\.0\.0\.1:0 expires on 20\d\d-\d\d-\d\d: .* reload", told[0]), told


# The address, server_names, the certificate's names, and those that are missing.
NAMES = {
    "a server name": ("127.0.0.1", ["Solve.lan", "gw.lan"], f"DNS:solve.lan,{LOCAL}", "gw.lan"),
    "two names": ("127.0.0.1", ["gw.lan", "[::1]"], LOCAL, "gw.lan, [::1]"),
    "a name of another level": ("127.0.0.1", ["a.b.c.lan"], f"DNS:*.c.lan,{LOCAL}", "a.b.c.lan"),
    "the listener's own address": ("127.0.0.1", [], "DNS:solve.lan", "127.0.0.1"),
    "an address that is not the listener's": ("::1", [], "IP:127.0.0.1", "::1"),
    "a common name alone": ("0.0.0.0", ["solve.lan"], None, "solve.lan"),
    "none, by a wildcard": ("127.0.0.1", ["a.b.lan"], f"DNS:*.b.lan,{LOCAL}", None),
    "none, by localhost": ("127.0.0.1", [], "DNS:localhost", None),
    "none, on all addresses": ("0.0.0.0", ["solve.lan"], "DNS:solve.lan", None),
    "none, on all addresses of IPv6": ("::", ["solve.lan"], "DNS:solve.lan", None),
}


@pytest.mark.parametrize("what", NAMES)
def test_a_name_that_a_certificate_lacks_is_told(warnings, certified, what):
    address, server_names, names, missing = NAMES[what]
    told = warnings(listen=[listener(certified(names), address)], server_names=server_names,
                    clients=[Client("ci")])
    assert len(told) == (missing is not None), told
    if missing:
        shown = f"[{address}]" if ":" in address else address
        assert f"of {shown}:0 has no name for {missing}: " in told[0], told


def test_of_many_names_that_a_certificate_lacks_some_are_told(warnings, certified):
    names = [f"{number}.{'n' * 50}.lan" for number in range(100)]
    told = warnings(listen=[listener(certified())], server_names=names)
    assert len(told) == 1 and len(told[0]) < 2000, told
    shown = re.search(r"no name for (.*) and (\d+) more: ", told[0])
    assert len(shown[1].split(", ")) + int(shown[2]) == len(names), told


def line_of(files, names):
    """What is told of a certificate, behind the listener."""
    der = ssl.PEM_cert_to_DER_cert(files.certificate.read_text())
    until = subprocess.run(["openssl", "x509", "-in", files.certificate, "-noout", "-enddate",
                            "-dateopt", "iso_8601"], check=True, capture_output=True, text=True,
                           timeout=60).stdout.split("=")[1][:10]
    return f": names {names}; until {until}; sha256 {hashlib.sha256(der).hexdigest()[:16]}\n"


def test_a_certificate_is_told_at_the_start_and_by_a_reload(simulator, gateway, certified):
    old, new = certified(), certified("DNS:localhost", name="new")
    house = gateway(simulator(), listen=[listener(old), LOOPBACK])
    told = house.log()
    assert told.count("Z info certificate of 127.0.0.1:0" + line_of(old, "localhost, 127.0.0.1")) == 1
    assert told.count("certificate of") == 1
    told = house.reload(listen=[listener(new), LOOPBACK])
    assert told.count("Z info certificate of 127.0.0.1:0" + line_of(new, "localhost")) == 1
    assert told.count("certificate of") == 1


def test_it_is_told_at_the_start_and_by_a_reload(simulator, gateway):
    house = gateway(simulator(), sites=["*"])
    assert house.log().count('sites.allow has "*"') == 1
    assert house.reload(sites=[]).count("sites.allow is empty") == 1


# ---- what an operator is told besides the log ----


def test_an_answer_to_a_reload_has_what_it_warns_of_and_the_gravest_first(
    simulator, gateway, certified
):
    house = gateway(simulator(), listen=[LOOPBACK, listener(certified())], clients=[CI])
    answer = order(house, "reload")
    assert (answer["warnings"], answer["warnings_total"]) == ([], 0)
    bad = certified("DNS:elsewhere.lan", days=20, name="bad")
    house.configure(listen=[LOOPBACK, listener(bad)], clients=[CI.changed(expires=PAST)], sites=["*"])
    answer = order(house, "reload")
    words = ("expires on", "no name for", 'sites.allow has "*"', 'client "ci" has expired')
    assert answer["warnings_total"] == len(words), answer
    assert all(word in text for word, text in zip(words, answer["warnings"])), answer
    assert all(f"warning {text}\n" in house.log() for text in answer["warnings"])
    house.configure(clients=[])
    assert "there are no clients any more" in order(house, "reload")["warnings"][0]


def test_an_answer_has_eight_warnings_and_the_gravest_even_if_it_is_found_last(simulator, gateway):
    house = gateway(simulator())
    gone = [Client(f"gone-{number}", expires=PAST) for number in range(20)]
    house.configure(clients=[*gone, Client("ci", expires=day_from_now(3))])
    answer = order(house, "reload")
    assert (len(answer["warnings"]), answer["warnings_total"]) == (8, 21), answer
    assert answer["warnings"][0].startswith("clients: what ends within 7 days: ")
    assert answer["warnings"][7] == 'client "gone-6" has expired: its token is refused'


def test_the_status_has_what_is_urgent_until_a_reload_mends_it(simulator, gateway, certified):
    house = gateway(simulator(), listen=[listener(certified(days=20))],
                    clients=[CI.changed(expires=PAST)], sites=["*"])
    status = ask(house, "/control/status")
    assert status["attention_total"] == len(status["attention"]) == 1, status
    assert "expires on" in status["attention"][0]
    house.configure(listen=[listener(certified(name="new"))])
    order(house, "reload")
    status = ask(house, "/control/status")
    assert (status["attention"], status["attention_total"]) == ([], 0)


def test_a_note_that_looks_like_a_token_is_not_shown(simulator, gateway):
    house = gateway(simulator(), sites=[{"site": "a.example", "note": f"for {CI.token}",
                                         "expires": day_from_now(3)}])
    text, = ask(house, "/control/status")["attention"]
    assert "for sgt_***" in text and CI.token not in text


def test_it_is_told_again_at_each_days_end(simulator, gateway, certified, tmp_path):
    clock = AheadClock(tmp_path / "ahead")
    house = gateway(simulator(), listen=[listener(certified(days=24)), LOOPBACK],
                    clients=[CI.changed(expires=day_from_now(10))], environment=clock.environment,
                    sites=["*", {"site": "a.example", "expires": day_from_now(11)}])
    urgent = ("expires on", "sites.allow: what ends", "clients: what ends")
    assert not any(words in house.log() for words in urgent)
    assert ask(house, "/control/status")["attention"] == []
    for day in (5, 6):
        clock.set_ahead(days=day)
        wait_until(lambda: all(house.log().count(words) == day - 4 for words in urgent),
                   what="it is told once more")
        attention = ask(house, "/control/status")["attention"]
        assert all(words in text for words, text in zip(urgent, attention, strict=True)), attention
    assert house.log().count('sites.allow has "*"') == 1, "that nobody has to do anything about"
    clock.set_ahead(days=25)
    attention = wait_until(lambda: over(house), what="the certificate's end is told")
    assert len(attention) == 1, attention
    assert ask(house, "/control/clients")["clients"][0]["expired"] is True


def over(house):
    attention = ask(house, "/control/status")["attention"]
    return attention if "has expired" in attention[0] else None


# ---- what a reload changes of the clients ----

CI, NIGHTLY, DESK = Client("ci"), Client("nightly", daily_limit=5), Client("desk")
RENEWED = Client("ci", "sgt_the-new-one-of-the-client-named-ci-012345")

CHANGES = {
    "one new, one gone": ([CI, DESK, NIGHTLY], [CI, NIGHTLY, Client("lab")], "+lab -desk"),
    "several new": ([CI], [CI, DESK, NIGHTLY], "+desk +nightly"),
    "the first ones": ([], [CI, DESK], "+ci +desk"),
    "the last one": ([CI], [], "-ci"),
    "a token": ([CI, DESK], [RENEWED, DESK], "new token: ci"),
    "limits": ([CI, NIGHTLY], [CI.changed(weight=3), NIGHTLY.changed(daily_limit=6)],
               "other limits: ci, nightly"),
    "sites": ([CI], [CI.changed(sites=["www.example.com"])], "other sites: ci"),
    "an end": ([CI], [CI.changed(expires=FUTURE)], "expires changed: ci"),
    "all of it": ([CI, DESK, NIGHTLY],
                  [RENEWED.changed(expires=FUTURE), NIGHTLY.changed(rate=1.0), Client("lab")],
                  "+lab -desk; new token: ci; other limits: nightly; expires changed: ci"),
}


def told_of_clients(log):
    return re.findall(r"Z info clients: (.*)\n", log)


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_reload_changes_of_the_clients_is_one_line(simulator, gateway, what):
    before, after, line = CHANGES[what]
    house = gateway(simulator(), clients=before)
    told = house.reload(clients=after)
    assert told_of_clients(told) == [line], told
    for client in (*before, *after):
        assert client.sha256[:16] not in house.log()
    assert told_of_clients(house.reload()) == []


def test_a_reload_that_changes_no_client_says_nothing_of_them(simulator, gateway):
    house = gateway(simulator(), clients=[CI, NIGHTLY])
    assert told_of_clients(house.reload(clients=[NIGHTLY, CI], sites=["a.example"])) == []


def test_of_many_clients_that_change_some_are_told_and_how_many_there_are(simulator, gateway):
    team = [Client(f"member-{number}") for number in range(300)]
    house = gateway(simulator(), clients=[CI])
    line, = told_of_clients(house.reload(clients=team))
    shown = re.fullmatch(r"((?:\+\S+ )+)and (\d+) more -ci", line)
    assert len(shown[1].split()) + int(shown[2]) == len(team) and len(line) < 400, line


def test_a_reload_that_fails_says_that_the_running_configuration_stays(simulator, gateway):
    house = gateway(simulator(), clients=[CI])
    house.config.write_text("workers = 2;\n")
    told = house.hang_up(r"Z error [^\n]*\n")
    assert f"Z error not reloaded, the running configuration stays: {house.config}:1: " in told, told
    assert told_of_clients(told) == []
