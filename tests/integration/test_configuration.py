"""A wrong configuration gives one line with file, line, what is wrong and how to mend it; exit 2."""

import os
import re
import subprocess

import pytest

from lib.build import BUILD, REPOSITORY, patience

TIMEOUT = 10.0

UPSTREAM = 'upstreams = ( { name = "u"; url = "https://h.example"; credential = "key"; } );\n'
CLIENT = f'clients = ( {{ name = "a"; token_sha256 = "{"a" * 64}";\n'
CREDENTIAL = 'uid = "user-4711"; apikey = "canary-9f8e7d6c";\n'


def upstream(**changes):
    """A list of one upstream, each key on a line of its own: line 2 is name, 3 url, 4 credential."""
    settings = {"name": '"u"', "url": '"https://h.example"', "credential": '"key"', **changes}
    lines = [f"{name} = {value};" for name, value in settings.items() if value is not None]
    return "upstreams = ( {\n" + "\n".join(lines) + "\n} );\n"


# Each mistake: a name, the configuration, the line, a word of what is wrong, one of how to mend it.
MISTAKES = [
    ("an unknown key", UPSTREAM + "wokers = 2;", 2, 'unknown key "wokers"', '"workers"'),
    ("a key of another level", UPSTREAM + "solve_hold = 2;", 2, "top level", "belongs in answers"),
    ("an unknown key in a group", UPSTREAM + "poll = {\n frist = 1;\n};", 3, "in poll", '"first"'),
    ("an unknown key in a list", upstream(urls='"x"'), 5, "in upstreams[0]", '"url"'),
    ("no upstreams", "workers = 2;", 1, 'no "upstreams"', "upstreams = ("),
    ("an empty list of upstreams", "\nupstreams = ( );", 2, "0 elements", "1 to 64"),
    ("an upstream without name", upstream(name=None), 1, 'no "name"', "add name"),
    ("an upstream without url", upstream(url=None), 1, 'no "url"', "add url"),
    ("an upstream without credential", upstream(credential=None), 1, 'no "credential"',
     "add credential"),
    ("a group in place of a list", "upstreams = {\n};", 1, "is a group", "upstreams = ( {"),
    ("a text in place of a group in a list", 'upstreams = (\n"u"\n);', 2, "upstreams[0] is a text",
     "upstreams = ( {"),
    ("a number in place of a group", UPSTREAM + "log = 3;", 2, "log is a whole number", "log = {"),
    ("a text in place of a number", UPSTREAM + 'workers = "2";', 2, "workers is a text",
     "workers = 2;"),
    ("a truth value in place of a number", UPSTREAM + "workers = true;", 2, "truth value",
     "workers = 2;"),
    ("a fraction in place of a whole number", UPSTREAM + "workers = 2.5;", 2, "fraction",
     "workers = 2;"),
    ("a text in place of seconds", UPSTREAM + 'poll = {\ncap = "5s";\n};', 3, "number of seconds",
     "cap = 5.0;"),
    ("a number in place of a text", upstream(name="7"), 2, "name is a whole number", '"pro"'),
    ("a text in place of an array", UPSTREAM + 'sites = { allow = "a.example"; };', 2,
     "an array of texts, or a list of texts and groups, is wanted", "allow = ["),
    ("a group in an array", UPSTREAM + 'sites = { allow = [ "a.example",\n{ site = "b"; } ]; };', 3,
     "{ stands in an array", "write ( and )"),
    ("a number in a list of texts and groups", UPSTREAM + 'sites = { allow = ( "a.example",\n1 ); };',
     3, "sites.allow[1] is a whole number", "allow = ["),
    ("a group without its site", UPSTREAM + 'sites = { allow = (\n{ note = "n"; } ); };', 3,
     'no "site"', "add site"),
    ("a day that there is not", UPSTREAM + 'sites = { allow = ( { site = "a";\n'
     'expires = "2027-02-29"; } ); };', 3, '"2027-02-29" is no day', '"2027-01-31"'),
    ("a date without quotes", UPSTREAM + CLIENT + "expires = 2027-01-31; } );", 3,
     "2027-01-31 is no number", "without a unit"),
    ("a client without token", UPSTREAM + 'clients = ( { name = "a"; } );', 2, 'no "token_sha256"',
     "add token_sha256"),
    ("a token in place of its digest", UPSTREAM + 'clients = ( { name = "a";\n'
     'token_sha256 = "sgt_0123456789"; } );', 3, "clients[0].token_sha256 has 14 bytes",
     "64 hexadecimal digits that solvegatectl token new NAME prints"),
    ("an ellipsis in place of a digest", UPSTREAM + 'clients = ( { name = "a";\n'
     'token_sha256 = "\u2026"; } );', 3, "clients[0].token_sha256 has 3 bytes",
     "64 hexadecimal digits that solvegatectl token new NAME prints"),
    ("a digest that is none", UPSTREAM + 'clients = ( { name = "a";\n'
     f'token_sha256 = "{"x" * 64}"; }} );', 3, "something else than hexadecimal digits",
     "64 hexadecimal digits that solvegatectl token new NAME prints"),
    ("a token of two clients", UPSTREAM + CLIENT + '},\n{ name = "b"; '
     f'token_sha256 = "{"A" * 64}"; }} );', 4, 'clients "a" and "b" have the same token', "token new"),
    ("digests that begin alike", UPSTREAM + CLIENT + '},\n{ name = "b"; '
     f'token_sha256 = "{"A" * 16}{"b" * 48}"; }} );', 4, "have digests that begin alike", "token new"),
    ("a client given twice", UPSTREAM + CLIENT + '},\n{ name = "a"; '
     f'token_sha256 = "{"b" * 64}"; }} );', 4, 'second client is named "a"', "its own name"),
    ("a client's name with a space", UPSTREAM + f'clients = ( {{ token_sha256 = "{"a" * 64}";\n'
     'name = "a b"; } );', 3, 'client name "a b" holds', "letters, digits"),
    ("a burst without rate", UPSTREAM + CLIENT + "burst = 3; } );", 3, "no rate", "add rate"),
    ("a client with an empty list", UPSTREAM + CLIENT + "sites = { allow = [ ]; }; } );", 3,
     "clients[0].sites.allow has 0 elements", "1 to 10000"),
    ("a rate of nothing", UPSTREAM + CLIENT + "rate = 0; } );", 3, "clients[0].rate = 0",
     "0.001 to 10000"),
    ("a text in place of a rate", UPSTREAM + CLIENT + 'rate = "5/s"; } );', 3, "a number is wanted",
     "rate = 5.0;"),
    ("an origin with a slash at its end", UPSTREAM + 'origins = [ "https://a.example/" ];', 2,
     "ends with a slash", "remove the slash"),
    ("an origin with its scheme's port", UPSTREAM + 'origins = [\n"https://a.example:443" ];', 3,
     "its scheme stands for", "remove the colon"),
    ("every origin", UPSTREAM + 'origins = [ "*" ];', 2, "every web page", "list each"),
    ("the origin of pages without one", UPSTREAM + 'origins = [ "null" ];', 2, "any site",
     "serve the page"),
    ("an origin without scheme", UPSTREAM + 'origins = [ "a.example" ];', 2, "does not start",
     "write scheme"),
    ("an origin in upper case", UPSTREAM + 'origins = [ "https://A.example" ];', 2, "upper case",
     "lower case"),
    ("a certificate without key", UPSTREAM + 'listen = ( {\ntls = { certificate = "c"; }; } );', 3,
     'listen[0].tls has no "key"', "add key"),
    ("a certificate that is missing", UPSTREAM + 'listen = ( { tls = {\ncertificate = "c.pem"; '
     'key = "k.pem"; }; } );', 3, 'c.pem" cannot be found', "correct the path"),
    ("a key that is a directory", UPSTREAM + 'listen = ( { tls = { certificate = "solvegate.conf";\n'
     'key = "credentials"; }; } );', 3, 'credentials" is no regular file', "in PEM"),
    ("an audit that is a directory", UPSTREAM + 'audit = { file = "trail/"; };', 2,
     'trail/" ends with a slash', "name a file"),
    ("a number in an array of texts", UPSTREAM + "server_names = [ 1 ];", 2, "server_names[0]",
     "server_names = ["),
    ("texts and numbers in one array", UPSTREAM + 'server_names = [ "a.example",\n 1 ];', 3,
     "differ in type", "texts only"),
    ("a number below its bounds", UPSTREAM + "workers = 0;", 2, "workers = 0", "1 to 64"),
    ("a number above its bounds", UPSTREAM + "\nworkers = 65;", 3, "workers = 65", "1 to 64"),
    ("a negative time", UPSTREAM + "answers = { solve_hold = -1.0; };", 2, "solve_hold = -1",
     "0 to 3600"),
    ("an infinite time", UPSTREAM + "answers = { solve_hold = 1.0e999; };", 2, "inf", "0 to 3600"),
    ("a port that is none", UPSTREAM + "listen = ( {\nport = 65536; } );", 3, "listen[0].port",
     "65535"),
    ("a number that would wrap around", UPSTREAM + "limits = { queue_bytes = 4294967296; };", 2,
     "4294967296 does not fit", "an L"),
    ("a number with a unit", UPSTREAM + "answers = { solve_hold = 10s; };", 2, "10s is no number",
     "without a unit"),
    ("a choice that is none", UPSTREAM + 'log = { level = "loud"; };', 2, '"loud"',
     '"error", "warning", "info", "debug"'),
    ("an empty text", upstream(name='""'), 2, "name has 0 bytes", "1 to 64 bytes"),
    ("a control character", UPSTREAM + 'server_names = [ "a\\nb" ];', 2, "control character",
     "printable"),
    ("two texts behind one =", 'upstreams = ( { name = "a" "b"; } );', 1, "two texts", "write one text"),
    ("a key given twice", UPSTREAM + "workers = 2;\nworkers = 2;", 3,
     '"workers" stands above it in the same group, in line 2', "put both into one"),
    ("a text that is not closed", UPSTREAM + 'log = { level = "info; };', 2, "not closed",
     "double quote"),
    ("a text without quotes", UPSTREAM + "log = { level = info; };", 2, "stands without quotes",
     "in double quotes"),
    ("single quotes", UPSTREAM + "log = { level = 'info'; };", 2, "single quote", "double quotes"),
    ("a bracket that is never closed", UPSTREAM + "\nlog = {\n", 3, "{ is never closed", "write }"),
    ("a list that is never closed", UPSTREAM + "listen = ( { port = 1; },\n\nlog = { };", 4,
     "( of line 2 were not closed", "write )"),
    ("a bracket that was never opened", UPSTREAM + "};\n", 2, "} closes nothing", "remove"),
    ("brackets that cross", UPSTREAM + "listen = ( {\n );", 3, "{ of line 2 is still open",
     "write }"),
    ("a comment that is not closed", UPSTREAM + "/* \n\n", 2, "comment is not closed", "*/"),
    ("a comma behind the last element", UPSTREAM + 'server_names = [ "a.example", ];', 2,
     "comma behind", "remove the comma"),
    ("a missing comma", UPSTREAM + 'server_names = [ "a.example" "b.example" ];', 2,
     "without a comma", "put a comma"),
    ("a missing equals sign", UPSTREAM + "workers 2;", 2, "no = between", "NAME = VALUE"),
    ("a missing value", UPSTREAM + "workers = ;", 2, "nothing stands behind", "NAME = VALUE"),
    ("two names in a row", UPSTREAM + "log level = 2;", 2, "two names", "NAME = VALUE"),
    ("a stray semicolon", UPSTREAM + "workers = 2;;", 2, "no setting", "NAME = VALUE"),
    ("a character that is not ASCII", UPSTREAM + "\u00e9 = 2;", 2, "no ASCII", "double quotes"),
    ("an included file that is missing", UPSTREAM + '@include "none.conf"', 2, "none.conf",
     "correct the path"),
    ("an included directory", UPSTREAM + '@include "credentials"', 2, "directory", "name the file"),
    ("a file that includes itself", '@include "solvegate.conf"', 1, "too many files", "itself"),
    ("an include without quotes", UPSTREAM + "@include log.conf", 2, "not understood", '"FILE"'),
    ("an address that is a name", UPSTREAM + 'listen = ( { address = "localhost"; } );', 2,
     '"localhost" is no', "127.0.0.1"),
    ("an address of another interface", UPSTREAM + 'listen = ( {\n\naddress = "0.0.0.0"; } );', 4,
     "there are no clients", "solvegatectl token new NAME"),
    ("a listener given twice", UPSTREAM + "listen = ( { },\n{ } );", 3, "second time",
     "another port"),
    ("a server name with a port", UPSTREAM + 'server_names = [ "a.example:80" ];', 2, "a port",
     "only the host name"),
    ("an upstream given twice", "upstreams = (\n"
     '{ name = "u"; url = "https://h"; credential = "key"; },\n'
     '{ name = "u"; url = "https://i"; credential = "key"; } );', 3, 'named "u"', "its own name"),
    ("a name with a space", upstream(name='"my account"'), 2, "not allowed", "letters, digits"),
    ("a credential that is a path", upstream(credential='"../key"'), 4, "is a path",
     "only the name"),
    ("a url without scheme", upstream(url='"h.example"'), 3, "does not start", "write https://"),
    ("a url with a path", upstream(url='"https://h.example/api"'), 3, "a path", "end it"),
    ("a url with a slash at its end", upstream(url='"https://h.example/"'), 3, "ends with a slash",
     "remove the slash"),
    ("a url with a key in it", upstream(url='"https://a:b@h.example"'), 3, "user information",
     "credential file"),
    ("a url with a wrong port", upstream(url='"https://h.example:99999"'), 3, "no valid port",
     "1 to 65535"),
    ("a key in clear text", upstream(url='"http://h.example"'), 3, "clear text", "write https://"),
    ("a ca without https", upstream(url='"http://127.0.0.1"', ca='"/etc/hostname"'), 5,
     "no certificates", "remove ca"),
    ("a ca that is missing", upstream(ca='"/nonexistent.pem"'), 5, "/nonexistent.pem",
     "correct the path"),
    ("a ca without its directory", upstream(ca='"ca.pem"'), 5, "absolute path", "from / on"),
    ("a site with a scheme", UPSTREAM + 'sites = { allow = [\n"https://a.example" ]; };', 3,
     "a scheme", "only the host name"),
    ("a site with a star inside", UPSTREAM + 'sites = { allow = [ "a.*.example" ]; };', 2,
     "not its first label", "*.example.com"),
    ("a site in another script", UPSTREAM + 'sites = { allow = [ "b\u00fccher.example" ]; };', 2,
     "not ASCII", "Punycode"),
    ("a first poll beyond the cap", UPSTREAM + "poll = {\n\nfirst = 9;\n};", 4, "poll.first (9)",
     "raise cap"),
    ("an interval beyond the cap", UPSTREAM + "poll = {\ncap = 0.75;\n};", 3, "poll.interval (1)",
     "lower interval"),
    ("a number in place of a truth value", UPSTREAM + "results = { share = 1; };", 2,
     "true or false", "share = true;"),
    ("more tries than there may be", UPSTREAM + "retry = {\nattempts = 101; };", 3,
     "attempts = 101", "1 to 100"),
    ("a durability that is none", UPSTREAM + 'durability = "half";', 2, '"half"',
     '"full", "none"'),
    ("a retry's pause beyond the cap", UPSTREAM + "retry = {\nbase = 11; };", 3,
     "retry.base (11)", "raise cap"),
    ("a body larger than the store takes", UPSTREAM + "limits = { body_bytes = 1073741824; };", 2,
     "body_bytes = 1073741824", "1024 to 1000000000"),
    ("an admin address that is a name", UPSTREAM + 'admin = { address = "localhost"; };', 2,
     'admin.address "localhost" is no', "127.0.0.1"),
    ("an admin address of another interface", UPSTREAM + 'admin = {\naddress = "0.0.0.0"; };', 3,
     "not of the loopback", "127.0.0.1"),
    ("an admin port that a listener has", UPSTREAM
     + 'admin = { address = "127.0.0.1"; port = 8118; };', 2, "listen[0]", "a port of its own"),
    ("an admin port without an address", UPSTREAM + "admin = { port = 8119; };", 2,
     "belongs to admin.address", "remove the port"),
    ("a mode of the admin socket that is none", UPSTREAM + 'admin = { socket_mode = "rw"; };', 2,
     'socket_mode "rw"', "0600"),
    ("a body larger than the queue", UPSTREAM + "limits = {\nqueue_bytes = 2048;\n};", 3,
     "body_bytes (8388608)", "raise queue_bytes"),
]


def write(directory, text, credential=CREDENTIAL, mode=0o600):
    """Writes a configuration and its credential. Returns the configuration's path."""
    (directory / "credentials").mkdir()
    if credential is not None:
        key = directory / "credentials" / "key"
        key.write_text(credential)
        key.chmod(mode)
    path = directory / "solvegate.conf"
    path.write_text(text)
    return path


def check(path, **variables):
    environment = {n: v for n, v in os.environ.items()
                   if n not in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY")}
    return subprocess.run([BUILD / "solvegate", "-t", "-c", path], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=patience(TIMEOUT), check=False,
                          env=environment | variables)


def refused(path, **variables):
    """Checks a wrong configuration. Returns the one line."""
    result = check(path, **variables)
    assert result.returncode == 2, result
    assert result.stdout == ""
    assert result.stderr.endswith("\n") and result.stderr.count("\n") == 1, result.stderr
    return result.stderr[:-1]


def test_a_right_configuration_is_said_to_be_ok(tmp_path):
    path = write(tmp_path, UPSTREAM + 'sites = { allow = [ "www.example.com" ]; };')
    result = check(path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", f"{path}: ok\n")


def test_the_sample_configuration_is_right_once_it_has_a_credential(tmp_path):
    sample = (REPOSITORY / "conf" / "solvegate.conf").read_text()
    path = write(tmp_path, sample, credential=None)
    (tmp_path / "credentials" / "nocaptchaai").touch(mode=0o600)
    (tmp_path / "credentials" / "nocaptchaai").write_text(CREDENTIAL)
    result = check(path)
    assert result.returncode == 0
    *warnings, last = result.stderr.splitlines()
    assert last == f"{path}: ok"
    assert len(warnings) == 1 and "sites.allow is empty" in warnings[0]


@pytest.mark.parametrize("pattern, warned", [
    ("*", "every site"), ("*.com", "top-level"), ("*.example.com", None)])
def test_a_list_that_allows_very_much_is_warned_of(tmp_path, pattern, warned):
    path = write(tmp_path, UPSTREAM + f'sites = {{ allow = [ "{pattern}" ]; }};')
    result = check(path)
    assert result.returncode == 0
    assert (warned in result.stderr) if warned else (result.stderr == f"{path}: ok\n")


@pytest.mark.parametrize("value", [
    '"sgt_canary"', "sgt_canary", '[ "sgt_canary" ]', '"x"; token = "sgt_canary"', f'"{"canary" * 10}cana"',
    "canary" + "a" * 58, "1canary" + "a" * 57, "'canary'"])
def test_a_token_or_digest_at_the_wrong_place_is_not_quoted(tmp_path, value):
    path = write(tmp_path, UPSTREAM + f'clients = ( {{ name = "a"; token_sha256 = {value}; }} );')
    message = refused(path)
    assert message.startswith(f"{path}:2: ") and "; " in message
    assert "canary" not in message


def test_a_listener_beyond_loopback_is_right_with_clients(tmp_path):
    path = write(tmp_path, UPSTREAM + CLIENT + '} );\nlisten = ( { address = "0.0.0.0"; } );\n'
                 'sites = { allow = [ "www.example.com" ]; };')
    result = check(path)
    assert result.returncode == 0
    assert result.stderr.splitlines()[-1] == f"{path}: ok"


@pytest.mark.parametrize("text, line, what, cure", [m[1:] for m in MISTAKES],
                         ids=[m[0].replace(" ", "-") for m in MISTAKES])
def test_a_mistake_is_told_by_file_and_line_with_its_cure(tmp_path, text, line, what, cure):
    path = write(tmp_path, text)
    message = refused(path)
    assert message.startswith(f"{path}:{line}: "), message
    problem, semicolon, advice = message.partition("; ")
    assert semicolon, message
    assert what in problem, message
    assert cure in advice, message


def test_no_two_mistakes_are_told_in_the_same_words(tmp_path):
    messages = {}
    for number, (name, text, *_) in enumerate(MISTAKES):
        directory = tmp_path / str(number)
        directory.mkdir()
        path = write(directory, text)
        message = refused(path).removeprefix(f"{path}:").partition(":")[2]
        assert message not in messages, f"{name} reads as {messages[message]}"
        messages[message] = name
    assert len(messages) == len(MISTAKES) >= 25


def test_a_mistake_in_an_included_file_names_that_file(tmp_path):
    path = write(tmp_path, UPSTREAM + '@include "log.conf"\n')
    (tmp_path / "log.conf").write_text('\nlog = { format = "xml"; };\n')
    assert refused(path).startswith(f"{tmp_path}/log.conf:2: log.format = \"xml\"")


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "none.conf"
    assert refused(path).startswith(f"{path}: does not exist; name another file with -c FILE, ")


def test_where_a_missing_file_is_told_the_sample_is_named_and_is_there(tmp_path):
    assert "conf/solvegate.conf" in refused(tmp_path / "none.conf")
    assert (REPOSITORY / "conf/solvegate.conf").exists()
    assert re.search(r"install_data\([^)]*'conf/solvegate\.conf'[^)]*install_dir: docdir\)",
                     (REPOSITORY / "meson.build").read_text())


def test_a_directory_is_no_configuration(tmp_path):
    assert refused(tmp_path).startswith(f"{tmp_path}: is a directory; ")


def test_a_fifo_is_refused_without_waiting_for_a_writer(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    assert refused(path).startswith(f"{path}: is no regular file; ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_file_is_named(tmp_path):
    path = write(tmp_path, UPSTREAM)
    path.chmod(0)
    assert refused(path).startswith(f"{path}: cannot be read by this user; ")


def test_a_missing_credential_file_is_named(tmp_path):
    path = write(tmp_path, UPSTREAM, credential=None)
    message = refused(path)
    assert message.startswith(f"{tmp_path}/credentials/key: "), message
    assert "does not exist; create it" in message


def test_a_credential_file_that_others_can_read_is_refused_with_the_command_that_mends_it(tmp_path):
    path = write(tmp_path, UPSTREAM, mode=0o644)
    key = f"{tmp_path}/credentials/key"
    assert refused(path) == (f"{key}: others than its owner can read it (mode 0644); "
                             f"run: chmod 600 {key}")


@pytest.mark.parametrize("text, line, what", [
    ("\napikey = canary;", 2, "not understood"),
    ("apikey = 12;", 1, "apikey is no text"),
    ('uid = "canary";', 1, "no apikey"),
    ('apikey = "can ary";', 1, "visible ASCII"),
    ('apikey = "canary";\nsecret = "canary";', 2, "unknown key"),
], ids=["no-quotes", "a-number", "no-apikey", "a-space", "an-unknown-key"])
def test_a_mistake_in_a_credential_file_is_told_without_quoting_it(tmp_path, text, line, what):
    message = refused(write(tmp_path, UPSTREAM, credential=text))
    assert message.startswith(f"{tmp_path}/credentials/key:{line}: "), message
    assert what in message and "; " in message
    assert "canary" not in message and "can ary" not in message


def test_the_directory_that_systemd_names_comes_first(tmp_path):
    path = write(tmp_path, UPSTREAM)
    granted = tmp_path / "granted"
    granted.mkdir()
    message = refused(path, CREDENTIALS_DIRECTORY=str(granted))
    assert message.startswith(f"{granted}/key: systemd has passed no such credential; "), message
    (granted / "key").write_text(CREDENTIAL)
    (granted / "key").chmod(0o440)
    assert check(path, CREDENTIALS_DIRECTORY=str(granted)).returncode == 0
