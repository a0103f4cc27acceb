"""The graph of includes and calls: a file uses its own folder and lower layers only, no file uses
one that uses it, and each library is included in one place only (docs/architecture.md). To see it:
`pytest -rP test_layers.py`."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lib.build import BUILD, REPOSITORY

SRC = REPOSITORY / "src"

# From the lowest to the highest. Folders of one layer do not include each other.
LAYERS = [
    {"base"},
    {"config"},
    {"job"},
    {"store", "access", "audit"},
    {"upstream"},
    {"dispatch"},
    {"forward"},
    {"gateway"},
    {"http"},
    {"daemon"},
]
LAYER_OF = {folder: index for index, layer in enumerate(LAYERS) for folder in layer}

# The other programs, and the folders that they may use.
PROGRAMS = {"sim": {"base"}, "ctl": {"base", "access", "audit"}}

# Above the gateway, these folders are used through gateway/ only, but for some types and for what
# is not a part of the engine's state.
ENGINE = {"job", "store", "upstream", "dispatch", "forward"}
TYPES = {
    "http": {"job/body", "job/job", "job/outcome", "job/parser", "job/state", "job/waiter",
             "upstream/request_counts"},
    "daemon": {"dispatch/arbiter_local", "job/waiter", "store/sqlite/sqlite_store", "upstream/account",
               "upstream/ca_file", "upstream/transfer"},
}

# A library's header, and how the names of the files begin that may include it.
PLACES = {
    "microhttpd.h": ("http/", "sim/"),
    "curl/": ("upstream/", "ctl/"),
    "json-c/": ("base/json_value.c", "ctl/"),
    "gnutls/": ("http/tls.c", "http/tls_receive.c", "sim/deliver.c"),
    "libconfig.h": ("config/",),
    "sqlite3.h": ("store/sqlite/",),
    "systemd/": ("daemon/",),
    "uthash.h": ("base/hash_table.h",),  # with its keyed hash
}

# How the names of a backend's files begin, and the file that chooses it.
BACKENDS = {"store/sqlite/": "daemon/main.c", "dispatch/arbiter_local": "daemon/main.c"}

# Functions of libraries that are defined here, so that a library calls them; others do by accident.
REPLACED = {"recv", "send", "gnutls_handshake", "gnutls_record_recv"}

FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MOST = 30  # of nine functions in ten

# Files that are one module: only these may use each other (docs/architecture.md).
MODULES = [
    {"job/job", "job/purchase"},
    {"job/task", "job/task_identity", "job/task_images", "job/task_private"},
    {"store/sqlite/sqlite_store", "store/sqlite/store_apply", "store/sqlite/store_audit",
     "store/sqlite/store_bodies", "store/sqlite/store_forget", "store/sqlite/store_ledger",
     "store/sqlite/store_load", "store/sqlite/store_log", "store/sqlite/store_open",
     "store/sqlite/store_restore", "store/sqlite/store_survey", "store/sqlite/store_watch"},
    {"store/sqlite/store_file", "store/sqlite/store_schema"},
    {"upstream/protocol", "upstream/protocol_fields"},
    {"forward/flight", "forward/flight_answer", "forward/flight_follow", "forward/flight_private"},
]

_LOCK = re.compile(r"pthread_mutex_lock\(&(\w+)")
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.MULTILINE)


def sources(src):
    return sorted([*src.rglob("*.c"), *src.rglob("*.h")])


def includes(src):
    """Every include as (file, kind of quote, what)."""
    for path in sources(src):
        name = path.relative_to(src).as_posix()
        for quote, what in _INCLUDE.findall(path.read_text()):
            yield name, quote, what


def may_use(folder):
    if folder in PROGRAMS:
        return PROGRAMS[folder] | {folder}
    return set().union(*LAYERS[: LAYER_OF[folder]], {folder})


def violation(src, name, quote, what):
    """What is wrong with an include, or None."""
    folder = name.split("/")[0]
    if folder not in LAYER_OF and folder not in PROGRAMS:
        return f"{name}: {folder} is not in a layer"
    if quote == "<":
        for library, places in PLACES.items():
            if what.startswith(library) and not name.startswith(places):
                return f"{name}: <{what}> belongs in {', '.join(places)}"
        return None
    if not (src / what).is_file():
        return f'{name}: "{what}" is not relative to src/'
    if what.endswith("_private.h") and what.split("/")[0] != folder:
        return f'{name}: "{what}" is private to its folder'
    for backend, chooser in BACKENDS.items():
        if what.startswith(backend) and not name.startswith((backend, chooser)):
            return f'{name}: "{what}" is a backend'
    if what.split("/")[0] not in may_use(folder):
        return f'{name}: "{what}" is not in a lower layer'
    if folder in TYPES and what.split("/")[0] in ENGINE and what[:-2] not in TYPES[folder]:
        return f'{name}: "{what}" is to be used through gateway/'
    return None


def violations(src):
    found = (violation(src, *include) for include in includes(src))
    return [problem for problem in found if problem]


def units(src):
    """What each pair of .c and .h includes."""
    found = {}
    for name, quote, what in includes(src):
        unit = found.setdefault(name[:-2], set())
        if quote == '"' and what[:-2] != name[:-2]:
            unit.add(what[:-2])
    return found


def reached_from(unit, arrows):
    seen, left = set(), [unit]
    while left:
        for other in arrows.get(left.pop(), ()):
            if other not in seen:
                seen.add(other)
                left.append(other)
    return seen


def objects(src, build):
    """Each object file of a build and the unit that it was made from."""
    made = {path.relative_to(src).as_posix().replace("/", "_") + ".o":
            path.relative_to(src).as_posix()[:-2] for path in src.rglob("*.c")}
    for path in sorted(build.rglob("*.o")):
        unit = made.get(path.name.removeprefix("src_"))
        if unit and "tests" not in path.relative_to(build).parts:
            yield path, unit


def symbols(src, build):
    """What units define, as {symbol: units}, and use, as {unit: symbols}."""
    unit_of = dict(objects(src, build))
    defined, used = {}, {}
    listing = subprocess.run(["nm", "-A", "-P", *unit_of], capture_output=True, text=True,
                             check=True).stdout if unit_of else ""
    for line in listing.splitlines():
        path, symbol, kind = re.match(r"(.*?): (\S+) (\S)", line).groups()
        unit = unit_of[Path(path)]
        if kind == "U":
            used.setdefault(unit, set()).add(symbol)
        elif kind.isupper() and symbol not in REPLACED:
            defined.setdefault(symbol, set()).add(unit)
    return defined, used


def calls(src, build):
    """What each unit uses of other units, as {(unit, other): symbols}. Programs may have functions
    of the same name."""
    defined, used = symbols(src, build)
    found = {}
    for unit, names in used.items():
        folder = unit.split("/")[0]
        for name in names:
            others = defined.get(name, set())
            near = {other for other in others if other.split("/")[0] in may_use(folder)}
            for other in (near or others) - {unit}:
                found.setdefault((unit, other), set()).add(name)
    return found


def call_violations(called):
    """The calls that run up, or past the gateway. A module's header may be another file's."""
    found = []
    for (unit, other), names in called.items():
        folder, below = unit.split("/")[0], other.split("/")[0]
        types = TYPES.get(folder, set())
        allowed = types.union(*(module for module in MODULES if module & types))
        if below not in may_use(folder) or (types and below in ENGINE and other not in allowed):
            found.append(f"{unit} -> {other}: {', '.join(sorted(names))}")
    return found


def all_arrows(src, build):
    arrows = units(src)
    for unit, other in calls(src, build):
        arrows.setdefault(unit, set()).add(other)
    return arrows


def cycles(arrows):
    """The sets of files that use each other, directly or through others."""
    reached = {unit: reached_from(unit, arrows) for unit in arrows}
    return {frozenset(other for other in reached[unit] if unit in reached.get(other, ()))
            for unit in arrows if unit in reached[unit]}


def unlisted(found):
    return [sorted(cycle) for cycle in found if not any(cycle <= module for module in MODULES)]


def function_lines(src):
    """The lines of each function, as (number, where): clang-format puts both braces in column 0."""
    found = []
    for path in src.rglob("*.c"):
        start = None
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line == "{":
                start = number
            elif line == "}" and start:
                found.append((number - start + 1, f"{path.relative_to(src)}:{start}"))
                start = None
    return sorted(found)


def foreign_locks(src):
    """Where a mutex is taken outside the folder that defines the struct that it is in."""
    owners = {}
    for path in sources(src):
        text = path.read_text()
        if "pthread_mutex_t" in text:
            folder = path.relative_to(src).parts[0]
            for name in re.findall(r"^struct (?:sim_|sqlite_)?(\w+) \{", text, re.MULTILINE):
                owners.setdefault(name, set()).add(folder)
            for name in re.findall(r"^static pthread_mutex_t (\w+)", text, re.MULTILINE):
                owners.setdefault(name, set()).add(folder)
    return [f"{path.relative_to(src).as_posix()}: {name}"
            for path in sources(src) for name in _LOCK.findall(path.read_text())
            if path.relative_to(src).parts[0] not in owners.get(name, ())]


def graph(src):
    """The arrows between folders, with how many includes each stands for."""
    arrows = {}
    for name, quote, what in includes(src):
        arrow = (name.split("/")[0], what.split("/")[0])
        if quote == '"' and arrow[0] != arrow[1]:
            arrows[arrow] = arrows.get(arrow, 0) + 1
    return arrows


def test_no_include_runs_up():
    for (above, below), count in sorted(graph(SRC).items()):
        print(f"{above} -> {below}  {count}")
    assert sources(SRC), "there is nothing to look at"
    assert not violations(SRC)


@pytest.fixture(scope="module")
def called():
    """The calls of the build that is tested."""
    if not shutil.which("nm") or not any(objects(SRC, BUILD)):
        pytest.skip("the build has no object files that nm can read")
    return calls(SRC, BUILD)


def test_no_call_runs_up(called):
    assert not call_violations(called)
    for (unit, other), names in sorted(called.items()):
        print(f"{unit} -> {other}: {' '.join(sorted(names))}")


def test_no_file_uses_one_that_uses_it(called):
    assert not unlisted(cycles(all_arrows(SRC, BUILD)))


def test_each_module_is_one(called):
    """So that none is listed any more that is not needed."""
    found = cycles(all_arrows(SRC, BUILD))
    for module in MODULES:
        assert module == frozenset().union(*(cycle for cycle in found if cycle <= module))


def test_a_planted_cycle_is_found(tmp_path):
    src = Path(shutil.copytree(SRC, tmp_path / "src"))
    with open(src / "access" / "quota.h", "a") as header:
        header.write('#include "access/clients.h"\n')
    assert unlisted(cycles(units(src))) == [["access/clients", "access/quota"]]


@pytest.mark.skipif(not shutil.which("cc"), reason="there is no compiler")
def test_a_planted_call_is_found(tmp_path):
    src, build = tmp_path / "src", tmp_path / "build"
    build.mkdir()
    for name, text in {
        "http/low.c": "void http_high(void); void http_low(void) { http_high(); }",
        "http/high.c": "void http_low(void); void http_high(void) { http_low(); }",
        "base/planted.c": "void http_low(void); void planted(void) { http_low(); }",
        "dispatch/scheduler.c": "void scheduler_take(void) { }",
        "daemon/planted.c": "void scheduler_take(void); void main2(void) { scheduler_take(); }",
    }.items():
        (src / name).parent.mkdir(parents=True, exist_ok=True)
        (src / name).write_text(text)
        subprocess.run(["cc", "-c", "-o", build / (name.replace("/", "_") + ".o"), src / name],
                       check=True)
    assert unlisted(cycles(all_arrows(src, build))) == [["http/high", "http/low"]]
    assert sorted(call_violations(calls(src, build))) == [
        "base/planted -> http/low: http_low",
        "daemon/planted -> dispatch/scheduler: scheduler_take",
    ]


def test_functions_are_short():
    lines = function_lines(SRC)
    assert lines[-1][0] <= FUNCTION_LINES_MAX, lines[-1]
    assert lines[len(lines) * 9 // 10][0] <= FUNCTION_LINES_MOST


def test_a_planted_long_function_is_found(tmp_path):
    (tmp_path / "long.c").write_text("void f(void)\n{\n" + "        f();\n" * 60 + "}\n")
    assert function_lines(tmp_path) == [(62, "long.c:2")]


def test_each_type_is_used():
    """So that none is listed any more that is not needed."""
    used = {(name.split("/")[0], what[:-2]) for name, _, what in includes(SRC)}
    assert {(folder, unit) for folder, listed in TYPES.items() for unit in listed} <= used


def test_locks_are_taken_in_the_folder_of_their_struct():
    assert not foreign_locks(SRC)


def test_a_planted_lock_is_found(tmp_path):
    src = Path(shutil.copytree(SRC, tmp_path / "src"))
    (src / "forward" / "planted.c").write_text("(void)pthread_mutex_lock(&scheduler->mutex);\n")
    assert foreign_locks(src) == ["forward/planted.c: scheduler"]


def test_every_folder_is_in_a_layer():
    folders = {path.name for path in SRC.iterdir() if path.is_dir()}
    assert folders <= set(LAYER_OF) | set(PROGRAMS)


@pytest.mark.parametrize(
    "where, line",
    [
        ("base/planted.c", '#include "job/task.h"'),
        ("config/planted.h", '#  include "http/server.h"'),
        ("gateway/planted.c", '#include "daemon/worker.h"'),
        ("sim/planted.c", '#include "config/config.h"'),
        ("ctl/planted.c", '#include "gateway/gateway.h"'),
        ("job/planted.c", "#include <microhttpd.h>"),
        ("daemon/planted.c", "#include <curl/curl.h>"),
        ("http/planted.c", " #include <libconfig.h>"),
        ("http/planted.c", "#include <gnutls/gnutls.h>"),
        ("job/planted.c", "#include <sqlite3.h>"),
        ("http/planted.c", "#include <systemd/sd-daemon.h>"),
        ("dispatch/store.c", "#include <sqlite3.h>"),
        ("http/planted.c", "#include <uthash.h>"),
        ("access/planted.c", '#include "audit/audit.h"'),
        ("store/store_planted.c", "#include <sqlite3.h>"),
        ("gateway/planted.c", '#include "store/sqlite/sqlite_store.h"'),
        ("store/planted.c", '#include "store/sqlite/sqlite_store.h"'),
        ("daemon/planted.c", '#include "dispatch/arbiter_local.h"'),
        ("gateway/planted.c", '#include "dispatch/scheduler_private.h"'),
        ("http/planted.c", '#include "dispatch/scheduler.h"'),
        ("http/planted.c", '#include "job/results.h"'),
        ("daemon/planted.c", '#include "forward/forward.h"'),
        ("job/planted.c", '#include "task.h"'),
        ("cellar/planted.c", "#include <stdio.h>"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, where, line):
    src = Path(shutil.copytree(SRC, tmp_path / "src"))
    for header in ("job/task.h", "http/server.h", "daemon/worker.h", "config/config.h"):
        (src / header).parent.mkdir(exist_ok=True)
        (src / header).touch()
    planted = src / where
    planted.parent.mkdir(exist_ok=True)
    planted.write_text(f"{line}\n")
    assert len(violations(src)) == len(violations(SRC)) + 1
