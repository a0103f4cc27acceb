"""The include graph: a file includes its own folder and lower layers only, no file includes one that
includes it, and each library is included in one place only (docs/architecture.md)."""

import re
import shutil
from pathlib import Path

import pytest

from lib.build import REPOSITORY

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
    "daemon": {"job/waiter", "store/sqlite/sqlite_store", "upstream/account",
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

# A backend's folder, and the file that chooses it.
BACKENDS = {"store/sqlite/": "daemon/main.c"}

# Files that are one module: only these may include each other (docs/architecture.md).
MODULES = [
    {"base/log", "base/log_record", "base/log_sink"},
    {"config/config", "config/config_check", "config/config_fields", "config/config_read",
     "config/config_self", "config/config_unknown"},
    {"job/job", "job/purchase"},
    {"job/task", "job/task_identity", "job/task_private"},
    {"audit/audit", "audit/audit_file", "audit/audit_refusals"},
    {"upstream/protocol", "upstream/protocol_fields"},
    {"upstream/pool", "upstream/send", "upstream/socket", "upstream/transfer",
     "upstream/transfer_private"},
    {"dispatch/entry", "dispatch/scheduler", "dispatch/scheduler_private"},
    {"dispatch/entry_end", "dispatch/entry_walk"},
    {"forward/flight", "forward/flight_private"},
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


def cycles(src):
    """The sets of files that include each other, directly or through others."""
    arrows = units(src)
    reached = {unit: reached_from(unit, arrows) for unit in arrows}
    found = {frozenset(other for other in reached[unit] if unit in reached.get(other, ()))
             for unit in arrows if unit in reached[unit]}
    return [cycle for cycle in found if cycle not in MODULES]


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


def test_no_file_includes_one_that_includes_it():
    assert not cycles(SRC)


def test_each_module_is_one():
    """So that none is listed any more that is not needed."""
    listed = {frozenset(module) for module in MODULES}
    arrows = units(SRC)
    for module in listed:
        assert all(module <= reached_from(unit, arrows) for unit in module), module


def test_a_planted_cycle_is_found(tmp_path):
    src = Path(shutil.copytree(SRC, tmp_path / "src"))
    with open(src / "access" / "quota.h", "a") as header:
        header.write('#include "access/clients.h"\n')
    assert cycles(src)


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
