"""solvegatectl: tokens, and audit files that somebody has tampered with. No daemon runs here; the
files are made and judged by lib/audit.py, which shares no code with the program."""

import hashlib
import json
import os
import pty
import re
import subprocess
import termios

import pytest

from lib import audit
from lib.build import BUILD, patience

PROGRAM = BUILD / "solvegatectl"
LINES = 12

TOKEN = re.compile(r"sgt_[A-Za-z0-9_-]{40}")
CONFIGURATION = re.compile(r'\{ name = "(.*)"; token_sha256 = "([0-9a-f]{64})"; \}')


def ctl(*arguments, stdin=b"", environment=None):
    done = subprocess.run([PROGRAM, *map(str, arguments)], input=stdin, capture_output=True,
                          timeout=patience(60), check=False,
                          env={**os.environ, **(environment or {})})
    for output in (done.stdout, done.stderr):
        assert b"Sanitizer" not in output and b"runtime error" not in output, output
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def verify(*paths):
    """The exit status, and the lines with faults as the program names them."""
    status, out, _ = ctl("--json", "audit", "verify", *paths)
    report = json.loads(out)
    assert report["ok"] == (status == 0) == (report["faults_count"] == 0)
    return status, [(fault["file"], fault["line"]) for fault in report["faults"]]


@pytest.fixture
def trail(tmp_path):
    """A file of the audit, and its lines."""
    path = tmp_path / audit.NAME
    return path, audit.Chain().file(path, LINES)


# Tokens


def test_a_new_token_comes_with_the_line_to_paste():
    status, out, hint = ctl("token", "new", "ci")
    token, line = out.splitlines()
    assert status == 0
    assert TOKEN.fullmatch(token)
    assert CONFIGURATION.fullmatch(line).groups() == ("ci", sha256(token))
    assert "clients" in hint and token not in hint
    assert "then run solvegatectl reload; where listen changes too, restart" in hint


def test_a_new_token_is_json_on_request():
    status, out, hint = ctl("token", "new", "ci", "--json")
    told = json.loads(out)
    assert status == 0 and not hint
    assert told == {"name": "ci", "token": told["token"], "token_sha256": sha256(told["token"])}


def test_two_tokens_differ():
    assert len({ctl("token", "new", "ci")[1].split()[0] for _ in range(20)}) == 20


@pytest.mark.parametrize("name", ["", "a b", "a/b", ".hidden", 'a"b', "a;b", "ü", "x" * 65,
                                  "local", "sgt_abc"])
def test_a_name_that_no_client_can_have_gets_no_token(name):
    status, out, complaint = ctl("token", "new", name)
    assert status == 2 and not out and "name" in complaint
    assert "sgt_abc" not in complaint


@pytest.mark.parametrize("end", ["", "\n"])
def test_the_hash_of_a_token_is_its_sha256(end):
    token = "sgt_" + "x" * 40
    assert ctl("token", "hash", stdin=(token + end).encode()) == (0, f"{sha256(token)}\n", "")
    status, out, _ = ctl("--json", "token", "hash", stdin=token.encode())
    assert (status, json.loads(out)) == (0, {"token_sha256": sha256(token)})


def test_a_short_token_is_hashed_with_a_warning():
    status, out, warning = ctl("token", "hash", stdin=b"x" * 26)
    assert (status, out) == (0, sha256("x" * 26) + "\n") and "26 characters" in warning
    assert ctl("token", "hash", stdin=b"x" * 27)[2] == ""


@pytest.mark.parametrize("text, words", [
    (b"", "no token"),
    (b"\n", "no token"),
    (b"first-token-of-two\nsecond\n", "more than one line"),
    (b"x" * 513, "longer than 512"),
    (b"x" * 100000, "longer than 512"),
    (b"with space", "white space"),
    (b"with\rreturn\n", "white space"),
    (b"with\0nul", "white space"),
    ("ümlaut".encode(), "non-ASCII"),
])
def test_what_no_client_can_send_is_not_hashed(text, words):
    status, out, complaint = ctl("token", "hash", stdin=text)
    assert (status, out) == (1, "") and words in complaint
    assert "first-token-of-two" not in complaint


def test_the_longest_token_is_hashed():
    assert ctl("token", "hash", stdin=b"x" * 512 + b"\n")[1] == sha256("x" * 512) + "\n"


def test_a_token_typed_at_a_terminal_is_not_shown():
    token = "sgt_" + "t" * 40
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        pytest.skip(f"no terminal can be made here: {error}")
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        child = subprocess.Popen([PROGRAM, "token", "hash"], stdin=theirs, stdout=subprocess.PIPE,
                                 stderr=theirs)
        shown = b""
        while b"token: " not in shown:
            shown += terminal.read(1)
        terminal.write(token.encode() + b"\n")
        out, _ = child.communicate(timeout=patience(60))
        assert termios.tcgetattr(theirs)[3] & termios.ECHO  # and the terminal is as it was
        os.close(theirs)
        shown += read_rest(terminal)
    assert out.decode() == sha256(token) + "\n"
    assert token.encode() not in shown


def read_rest(terminal):
    rest = b""
    try:
        while piece := terminal.read(4096):
            rest += piece
    except OSError:  # its other side is closed
        pass
    return rest


# The command line


def test_help_names_each_command_and_version_the_program():
    status, out, _ = ctl("--help")
    assert status == 0
    assert all(name in out for name in (
        "status", "jobs", "job ID", "cancel ID", "clients", "usage", "upstreams", "balance", "drain",
        "resume", "reload", "top", "token new NAME", "token hash", "audit verify [FILE...]"))
    assert ctl("-V")[1].startswith("solvegatectl ")


@pytest.mark.parametrize("arguments", [
    ("audit", "verify"), ("--json", "audit", "verify"), ("token", "new", "ci"), ("--help",),
    ("-V",),
])
def test_a_print_that_fails_is_told(trail, arguments):
    path, _ = trail
    with open("/dev/full", "wb") as full:
        done = subprocess.run([PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE,
                              timeout=patience(60), check=False,
                              env={**os.environ, "STATE_DIRECTORY": str(path.parent)})
    assert done.returncode == 1
    assert done.stderr.decode() == "solvegatectl: standard output: No space left on device\n"


@pytest.mark.parametrize("arguments", [
    (), ("token",), ("token", "old"), ("statu",), ("audit", "token"), ("token", "new"),
    ("token", "new", "a", "b"), ("token", "hash", "x"), ("status", "x"), ("job",), ("cancel",),
    ("job", "a", "b"), ("top", "x"), ("--socket",), ("--socket", "", "status"), ("--what",),
    ("--socket", "/" + "x" * 107, "status"), ("--limit", "5", "clients"), ("token", "hash", "-x"),
    ("--client", "ci", "status"), ("--state", "queued", "top"), ("jobs", "--limit", "0"),
    ("jobs", "--limit", "1001"), ("jobs", "--limit", "x"), ("jobs", "--limit", "5x"),
    ("jobs", "--limit", "-1"), ("jobs", "--limit", " 5"), ("jobs", "--limit", "9" * 30),
])
def test_wrong_usage_is_told_with_exit_status_2(arguments):
    status, out, complaint = ctl(*arguments)
    assert status == 2 and not out and "solvegatectl" in complaint


@pytest.mark.parametrize("arguments, usage", [
    (["audit"], "solvegatectl audit verify [FILE...]"),
    (["token"], "solvegatectl token new NAME, or solvegatectl token hash"),
    (["token", "new"], "solvegatectl token new NAME"),
    (["token", "hash", "x"], "solvegatectl token hash"),
])
def test_a_command_that_is_not_whole_is_told_as_it_is_written(arguments, usage):
    assert ctl(*arguments) == (2, "", f"solvegatectl: write: {usage}\n")


def test_an_unknown_command_is_told_with_those_there_are():
    complaint = ctl("work", "list")[2]
    assert all(word in complaint for word in ("work list", "status", "token new", "token hash",
                                              "audit verify"))


# A sound audit


def test_a_sound_file_is_told_with_its_last_hash(trail):
    path, lines = trail
    assert not audit.faults(path)
    status, out, complaint = ctl("audit", "verify", path)
    last_hash = audit.parse(lines[-1])["hash"]
    assert (status, complaint) == (0, "")
    assert out == f"{path}: {LINES} lines, seq 1 to {LINES}, ok\nlast hash {last_hash}\n"


def test_a_report_is_json_on_request(trail):
    path, lines = trail
    status, out, _ = ctl("audit", "verify", path, "--json")
    assert status == 0
    assert json.loads(out) == {
        "ok": True,
        "files": [{"file": str(path), "lines": LINES, "first_seq": 1, "last_seq": LINES,
                   "cut_off": 0, "faults": 0}],
        "faults": [],
        "faults_count": 0,
        "begins_at": 1,
        "last_hash": audit.parse(lines[-1])["hash"],
    }


def test_the_file_in_the_state_directory_is_verified_if_none_is_named(trail):
    path, _ = trail
    status, out, _ = ctl("audit", "verify", environment={"STATE_DIRECTORY": str(path.parent)})
    assert status == 0 and out.startswith(f"{path}: {LINES} lines")


@pytest.mark.parametrize("place", ["", "missing", "a file/below"])
def test_without_a_file_in_the_state_directory_one_is_asked_for(tmp_path, place):
    (tmp_path / "a file").touch()
    directory = tmp_path / place
    status, out, complaint = ctl("audit", "verify", environment={"STATE_DIRECTORY": str(directory)})
    assert (status, out) == (1, "")
    assert complaint.startswith(f"solvegatectl: {directory}/{audit.NAME}: ")
    assert complaint.endswith("; name the file: "
                              "solvegatectl audit verify STATE_DIRECTORY/audit.jsonl\n")
    assert complaint.count("\n") == 1


def test_a_file_that_was_named_is_not_asked_for_again(tmp_path):
    assert "name the file" not in ctl("audit", "verify", tmp_path / audit.NAME)[2]


def test_standard_input_is_verified(trail):
    path, _ = trail
    status, out, _ = ctl("audit", "verify", "-", stdin=path.read_bytes())
    assert status == 0 and out.startswith(f"-: {LINES} lines")


def test_a_large_file_is_verified(tmp_path):
    path = tmp_path / audit.NAME
    audit.Chain().file(path, 5000)
    assert path.stat().st_size > 1 << 20
    assert verify(path) == (0, [])


def test_rotated_files_are_one_chain_in_their_order(tmp_path):
    chain, old, new = audit.Chain(), tmp_path / "audit.jsonl.1", tmp_path / audit.NAME
    chain.file(old, LINES)
    chain.file(new, LINES, entry=LINES // 2)
    assert not audit.faults(old, new)
    assert verify(old, new) == (0, [])
    assert verify(new) == (0, [])
    assert verify(new, old)[1][0] == (str(old), 1)


def test_files_that_do_not_begin_with_seq_1_are_sound_and_say_so(tmp_path):
    chain, paths = audit.Chain(), [tmp_path / f"audit.{number}" for number in range(3)]
    lines = [chain.file(path, LINES) for path in paths]
    status, out, complaint = ctl("audit", "verify", *paths[1:])
    assert (status, complaint) == (0, "")
    assert out.splitlines() == [
        f"{paths[1]}: {LINES} lines, seq {LINES + 1} to {2 * LINES}, ok",
        f"{paths[2]}: {LINES} lines, seq {2 * LINES + 1} to {3 * LINES}, ok",
        f"{paths[1]}: begins with seq {LINES + 1}: files before it were not given",
        f"last hash {audit.parse(lines[2][-1])['hash']}",
    ]
    assert begins_at(*paths[1:]) == LINES + 1
    assert begins_at(paths[2]) == 2 * LINES + 1
    assert begins_at(*paths) == 1


def begins_at(*paths):
    return json.loads(ctl("audit", "verify", "--json", *paths)[1])["begins_at"]


@pytest.mark.parametrize("change", [lambda lines: lines[1:],
                                    lambda lines: [lines[0].replace(b"null", b"NULL"), *lines[1:]]],
                         ids=["missing", "changed"])
def test_files_before_are_not_missed_where_the_first_line_is_at_fault(trail, change):
    path, lines = trail
    audit.write(path, change(lines))
    status, out, _ = ctl("audit", "verify", path)
    assert status == 1 and "not given" not in out
    assert begins_at(path) is None


def test_a_file_missing_between_two_is_found_at_the_begin_of_the_next(tmp_path):
    chain, paths = audit.Chain(), [tmp_path / f"audit.{number}" for number in range(3)]
    for path in paths:
        chain.file(path, LINES)
    assert verify(paths[0], paths[2]) == (1, [(str(paths[2]), 1)])


def test_a_chain_that_begins_anew_is_told_once(tmp_path):
    first, second = tmp_path / "audit.1", tmp_path / "audit.2"
    audit.Chain().file(first, LINES)
    audit.Chain().file(second, LINES)
    status, out, _ = ctl("audit", "verify", first, second)
    assert status == 1
    assert out.startswith(f"{second}:1: a chain begins anew")
    assert verify(first, second)[1] == [(str(second), 1)]


def test_a_line_cut_off_in_a_crash_and_told_of_is_no_fault(tmp_path):
    path, chain = tmp_path / audit.NAME, audit.Chain()
    lines = chain.file(path, LINES)
    piece = lines[3][:40]
    lines += [piece, chain.torn(piece), chain.line()]
    audit.write(path, lines)
    assert not audit.faults(path)
    status, out, _ = ctl("audit", "verify", path)
    assert status == 0
    assert f"{path}: {LINES + 3} lines, seq 1 to {LINES + 2}, 1 cut off in a crash, ok" in out


# A tampered audit: found at the exact line


def write_and_verify(path, lines):
    """What both verifiers say of the lines; they agree where the first fault is."""
    audit.write(path, lines)
    ours = audit.faults(path)
    status, faults = verify(path)
    assert ours and status == 1 and (str(ours[0][0]), ours[0][1]) == faults[0], (ours, faults)
    return [line for _, line in faults]


@pytest.mark.parametrize("number", range(LINES))
def test_a_changed_byte_is_found_wherever_it_is(trail, number):
    path, lines = trail
    line = lines[number]
    for at in sorted({*range(0, len(line), 23), 0, 8, len(line) - 1, len(line) - 10}):
        changed = line[:at] + (b"1" if line[at:at + 1] != b"1" else b"2") + line[at + 1:]
        assert write_and_verify(path, lines[:number] + [changed] + lines[number + 1:]) == [
            number + 1], at


@pytest.mark.parametrize("number", range(LINES - 1))
def test_a_removed_line_is_found_at_the_next(trail, number):
    path, lines = trail
    assert write_and_verify(path, lines[:number] + lines[number + 1:]) == [number + 1]


@pytest.mark.parametrize("faulty, gone, missing", [
    ([], [3], "seq 4 to 4"),
    ([], [3, 4], "seq 4 to 5"),
    ([2], [3], "1 of seq 3 to 4"),
    ([2, 3], [4, 5, 6], "3 of seq 3 to 7"),
])
def test_lines_that_are_missing_behind_changed_ones_are_counted(trail, faulty, gone, missing):
    """A changed line is there: it is not among those that are missing."""
    path, lines = trail
    for number in faulty:
        lines[number] = lines[number].replace(b"ci", b"ic")
    audit.write(path, [line for number, line in enumerate(lines) if number not in gone])
    status, out, _ = ctl("audit", "verify", path)
    told = [line for line in out.splitlines() if "are missing" in line]
    assert status == 1
    assert told == [f"{path}:{gone[0] + 1}: lines before it are missing: {missing}"]


def test_two_lines_that_changed_places_are_found_at_both(trail):
    path, lines = trail
    lines[4], lines[5] = lines[5], lines[4]
    assert write_and_verify(path, lines) == [5, 6]


def test_a_line_that_stands_twice_is_found(trail):
    path, lines = trail
    assert write_and_verify(path, lines[:7] + [lines[2]] + lines[7:]) == [8]


def test_the_last_line_that_stands_twice_is_found(trail):
    path, lines = trail
    assert write_and_verify(path, lines + [lines[-1]]) == [LINES + 1]


@pytest.mark.parametrize("put_in", [b"", b"{}", b"x" * 10000, b"\0" * 5000, b'{"seq":6}'])
def test_a_line_that_was_put_in_is_found(trail, put_in):
    path, lines = trail
    assert write_and_verify(path, lines[:5] + [put_in] + lines[5:]) == [6]


def test_a_line_without_its_tail_is_found(trail):
    path, lines = trail
    assert write_and_verify(path, lines[:5] + [lines[5][:-30]] + lines[6:]) == [6]


def test_a_line_made_anew_with_a_good_hash_is_found_at_the_next(trail):
    path, lines = trail
    before = audit.parse(lines[4])
    forged = audit.Chain(before["seq"], before["hash"]).line(client="somebody-else")
    assert write_and_verify(path, lines[:5] + [forged] + lines[6:]) == [7]


@pytest.mark.parametrize("cut", [1, 2, 50])
def test_a_file_without_its_end_is_found_at_the_last_line(trail, cut):
    path, _ = trail
    path.write_bytes(path.read_bytes()[:-cut])
    assert verify(path) == (1, [(str(path), LINES)])


def test_a_removed_newline_is_found(trail):
    path, lines = trail
    assert write_and_verify(path, lines[:4] + [lines[4] + lines[5]] + lines[6:])[0] == 5


def test_a_piece_that_was_changed_or_taken_out_is_found(tmp_path):
    path, chain = tmp_path / audit.NAME, audit.Chain()
    lines = chain.file(path, LINES)
    piece = lines[3][:40]
    told = chain.torn(piece)
    assert write_and_verify(path, lines + [b"x" + piece, told]) == [LINES + 1]
    assert write_and_verify(path, lines + [told]) == [LINES + 1]
    assert write_and_verify(path, lines + [piece]) == [LINES + 1]


def test_lines_taken_off_the_end_show_in_the_last_hash_alone(trail):
    path, lines = trail
    audit.write(path, lines[:-3])
    status, out, _ = ctl("audit", "verify", path)
    assert status == 0
    assert audit.parse(lines[-4])["hash"] in out and audit.parse(lines[-1])["hash"] not in out


def test_of_many_faults_twenty_are_told_and_the_others_counted(tmp_path):
    path = tmp_path / audit.NAME
    lines = audit.Chain().file(path, 100)
    audit.write(path, lines[:1] + [line.replace(b"ci", b"ic") for line in lines[1:]])
    status, out, _ = ctl("audit", "verify", path)
    told = [line for line in out.splitlines() if "was changed" in line]
    assert status == 1
    assert told == [f"{path}:{number}: was changed: its hash is not that of its text"
                    for number in range(2, 22)]
    assert "and 79 more\n" in out and "99 faulty\n" in out


FOREIGN = {
    "empty": b"",
    "a word": b"a word",
    "an empty line": b"\n",
    "other JSON": b"{}\n" * 300,
    "one long line": b"x" * 300000,
    "binary": b"\x1f\x8b\0\n" * 300,
    "with an open end": b"a line\n" * 30 + b'{"a":"',
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_audit_file_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "other.log"
    path.write_bytes(content)
    status, out, complaint = ctl("audit", "verify", path)
    assert (status, complaint) == (1, "")
    assert re.fullmatch(re.escape(f"{path}:1: is no audit file") + "(: [a-z ]+)?\n", out)
    assert verify(path) == (1, [(str(path), 1)])


def test_an_empty_file_is_told_to_be_empty(tmp_path):
    path = tmp_path / audit.NAME
    path.touch()
    assert ctl("audit", "verify", path)[1] == (
        f"{path}:1: is no audit file: there is no line at all\n")


def test_what_is_no_audit_file_does_not_stand_for_lines_that_are_missing(tmp_path):
    chain, paths = audit.Chain(), [tmp_path / f"audit.{number}" for number in range(3)]
    for path in paths:
        chain.file(path, LINES)
    other = tmp_path / "other.log"
    other.write_bytes(b"a line\n" * 5 * LINES)
    assert verify(paths[0], other, paths[1]) == (1, [(str(other), 1)])
    assert verify(paths[0], other, paths[2]) == (1, [(str(other), 1), (str(paths[2]), 1)])


@pytest.mark.parametrize("keep", [1, 50])
def test_an_audit_file_whose_only_line_is_being_written_is_one(tmp_path, keep):
    path = tmp_path / audit.NAME
    line = audit.Chain().line("opened")
    path.write_bytes(line[:-keep])
    assert verify(path) == (1, [(str(path), 1)])
    assert f"{path}:1: has no end" in ctl("audit", "verify", path)[1]


def test_an_audit_file_with_one_line_that_was_changed_is_one(tmp_path):
    path = tmp_path / audit.NAME
    audit.write(path, [audit.Chain().line("opened").replace(b'"charge":0', b'"charge":1')])
    assert f"{path}:1: was changed" in ctl("audit", "verify", path)[1]


@pytest.mark.parametrize("kind", ["missing", "directory"])
def test_what_was_found_before_a_file_that_cannot_be_read_is_told(trail, tmp_path, kind):
    path, lines = trail
    audit.write(path, lines[:3] + lines[4:])
    other = tmp_path / "other"
    if kind == "directory":
        other.mkdir()
    reason = "Is a directory" if kind == "directory" else "No such file or directory"
    status, out, complaint = ctl("audit", "verify", path, other, path)
    assert (status, complaint) == (1, f"solvegatectl: {other}: {reason}\n")
    assert out == (f"{path}:4: lines before it are missing: seq 4 to 4\n"
                   f"{path}: {LINES - 1} lines, seq 1 to {LINES}, 1 faulty\n"
                   f"{other}: 0 lines, could not be read: {reason}\n")

    status, out, complaint = ctl("--json", "audit", "verify", path, other, path)
    report = json.loads(out)
    assert (status, complaint) == (1, f"solvegatectl: {other}: {reason}\n")
    assert (report["ok"], report["faults_count"], report["last_hash"]) == (False, 1, None)
    assert [entry.get("error") for entry in report["files"]] == [None, reason]


def test_sound_files_are_not_all_well_when_a_later_one_cannot_be_read(trail, tmp_path):
    path, _ = trail
    status, out, _ = ctl("audit", "verify", path, tmp_path / "missing")
    assert status == 1 and f"{path}: {LINES} lines, seq 1 to {LINES}, ok\n" in out
    report = json.loads(ctl("--json", "audit", "verify", path, tmp_path / "missing")[1])
    assert report["ok"] is False and report["faults_count"] == 0


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        status, out, complaint = ctl("audit", "verify", path)
        assert status == 1 and not out and str(path) in complaint
