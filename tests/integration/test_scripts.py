"""The scripts, as far as they need neither root, nor apt, nor a tree: stubs stand in for programs."""

import os
import subprocess

import pytest

from lib.build import REPOSITORY

SCRIPTS = REPOSITORY / "scripts"


@pytest.fixture
def stub(tmp_path):
    """Makes a program that comes before another of that name."""

    def make(name, text, folder="stubs"):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def bash(tmp_path):
    """Runs a script of bash in an empty directory, with the stubs in front and the settings of ours."""

    def run(text, *sourced):
        lines = ["set -euo pipefail", *(f". {SCRIPTS / name}" for name in sourced), text]
        return subprocess.run(["bash", "-c", "\n".join(lines)], stdin=subprocess.DEVNULL,
                              env={**os.environ, "PATH": f"{tmp_path}/stubs:{os.environ['PATH']}"},
                              cwd=tmp_path, timeout=60, capture_output=True, text=True)

    return run


# ---- a mirror of Debian ----

def test_without_a_mirror_of_debian_no_tree_is_built_and_it_says_why(stub, bash):
    stub("apt-get", "echo noble Ubuntu main http://apt.invalid/ubuntu/")
    done = bash("build_base tree bookworm", "packages.bash", "tree.bash")
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr.startswith("cannot run here: apt has no mirror of Debian"), done.stderr


@pytest.mark.parametrize(("release", "mirror"), [("trixie", "http://b.invalid/debian/"),
                                                 ("bookworm", "http://a.invalid/debian/")])
def test_a_tree_is_built_from_the_mirror_of_its_release_or_else_from_another(stub, bash, release,
                                                                          mirror):
    stub("apt-get", "printf '%s\\n' 'trixie Debian main http://b.invalid/debian/' "
                    "'sid Debian main http://a.invalid/debian/' "
                    "'trixie-security Debian main http://c.invalid/debian-security/'")
    if release == "bookworm":
        stub("apt-get", "echo sid Debian main http://a.invalid/debian/")
    done = bash(f"find_mirror {release}", "packages.bash", "tree.bash")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{mirror}\n", "")


# ---- packages ----


# ---- unit tests ----
