"""The include graph: a file includes its own folder and lower layers only, and each library is
included in one place only (docs/architecture.md)."""

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

# A library's header, and how the names of the files begin that may include it.
PLACES = {
    "microhttpd.h": ("http/", "sim/"),
    "curl/": ("upstream/", "ctl/"),
    "gnutls/": ("http/tls.c", "http/tls_receive.c", "sim/deliver.c"),
    "libconfig.h": ("config/",),
    "sqlite3.h": ("store/sqlite/",),
    "systemd/": ("daemon/",),
    "uthash.h": ("base/hash_table.h",),  # with its keyed hash
}

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
    if what.split("/")[0] not in may_use(folder):
        return f'{name}: "{what}" is not in a lower layer'
    return None


def violations(src):
    found = (violation(src, *include) for include in includes(src))
    return [problem for problem in found if problem]


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
