"""The scripts, as far as they need neither root, nor apt, nor a tree: stubs stand in for programs."""

import os
import re
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


def test_the_mirror_is_the_first_of_a_file_where_apt_reads_it_from_one(stub, bash, tmp_path):
    (tmp_path / "mirrors").write_text("# ours\nhttps://a.invalid/debian\tpriority:1\n"
                                      "https://b.invalid/debian\n")
    stub("apt-get", f"echo trixie Debian main mirror+file:{tmp_path}/mirrors/")
    done = bash("find_mirror trixie", "packages.bash", "tree.bash")
    assert (done.returncode, done.stdout, done.stderr) == (0, "https://a.invalid/debian\n", "")


@pytest.mark.parametrize(("proxy", "used"), [("", ""), ("DIRECT", ""),
                                             ("http://p.invalid:3142", "http://p.invalid:3142")])
def test_debootstrap_uses_the_proxy_of_apt(stub, bash, proxy, used):
    stub("apt-config", f"echo \"proxy='{proxy}'\"")
    done = bash("unset http_proxy; use_proxy; echo ${http_proxy-}", "packages.bash", "tree.bash")
    assert (done.returncode, done.stdout) == (0, f"{used}\n"), done.stderr


@pytest.mark.parametrize("script", ["test-boot", "test-release"])
def test_a_release_that_is_not_supported_is_named(script):
    done = subprocess.run([SCRIPTS / script, "sarge"], stdin=subprocess.DEVNULL, timeout=60,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "unknown release sarge; one of: bookworm trixie\n"


# ---- packages ----


@pytest.mark.parametrize(("candidate", "installed"), [("1.0-1", ["chromium"]), ("(none)", []),
                                                      (None, [])])
def test_a_package_that_the_release_does_not_offer_is_left_out(stub, bash, candidate, installed):
    stub("apt-cache", f"echo '  Candidate: {candidate}'" if candidate else "true")
    stub("dpkg-query", "exit 1")
    stub("id", "echo 0")
    stub("apt-get", 'case $1 in install) echo "${@: -1}" >>installed ;; esac')
    done = bash("touch installed; install_offered chromium; cat installed >&2", "packages.bash")
    assert done.returncode == 0 and done.stderr.split() == installed, done.stderr


def test_the_tests_install_chromium_only_where_it_is_offered():
    lists = re.findall(r"^(\w+)=\((.*?)\)", (SCRIPTS / "packages.bash").read_text(),
                       re.DOTALL | re.MULTILINE)
    assert [name for name, packages in lists if "chromium" in packages.split()] == ["browser_packages"]
    assert 'install_offered "${browser_packages[@]}"' in (SCRIPTS / "test").read_text()


def test_why_a_program_cannot_be_fetched_is_shown(stub, bash):
    stub("apt-get", 'case $1 in download) echo "E: no route to ${@: -1}" >&2; exit 100 ;; esac')
    stub("id", "echo 0")
    done = bash("use_program no-such-program one two", "packages.bash")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "E: no route to one", "E: no route to two",
        "apt has no package with no-such-program: one two"]


# ---- unit tests ----


@pytest.mark.parametrize("skip", ["not ok 2 # SKIP second", "ok 2 - second # SKIP"])
def test_a_skipped_unit_test_is_listed_and_not_counted(stub, bash, skip):
    """The two forms are those of cmocka 1.1 and of the standard."""
    stub("test_a", f"echo 'ok 1 - first'; echo '{skip}'", "build/tests/unit")
    stub("test_b", "echo 'ok 1 - third'; echo 'not ok 2 - fourth'; exit 1", "build/tests/unit")
    stub("test_c", f"echo '{skip}'", "build/tests/unit")
    done = bash('passed=0 failed=0 results=$(mktemp -d)\nrun_units build\nrm -r "$results"\n'
                "echo $passed passed, $failed failed", "units.bash")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "SKIPPED test_a: second" and lines[-1] == "2 passed, 1 failed", lines
    assert "SKIPPED test_c: second" in lines, lines


# ---- what a user meets first ----

@pytest.mark.parametrize("script", ["demo", "test", "package", "coverage", "fuzz", "test-boot",
                                    "test-release"])
def test_a_script_tells_its_usage_from_any_directory(script):
    done = subprocess.run([f"{SCRIPTS.name}/{script}", "--help"], cwd=SCRIPTS.parent, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    elsewhere = subprocess.run([f"{SCRIPTS.parent.name}/scripts/{script}", "--help"],
                               cwd=SCRIPTS.parent.parent, timeout=60, stdin=subprocess.DEVNULL,
                               capture_output=True, text=True)
    assert (done.stderr, elsewhere.stderr) == ("", "")
    assert f"usage: scripts/{script}" in done.stdout and elsewhere.stdout == done.stdout


def test_without_root_and_sudo_it_says_what_to_install(stub, bash):
    stub("id", "echo 1000")
    done = bash('command() { [ "$2" != sudo ] && builtin command "$@"; }\n'
                "install_packages no-such-one no-such-two", "packages.bash")
    assert done.returncode == 1
    assert done.stderr == ("packages are missing, and there is no sudo; as root run: "
                           "apt-get install no-such-one no-such-two\n")


def test_a_source_package_has_tracked_files_only(stub, bash):
    """A clone may hold keys under any name."""
    stub("git", r"""[ "$1" = ls-files ] || exit 1
printf 'tracked\0'
case " $* " in *" --others "*) printf 'team.key\0' ;; esac""")
    function = subprocess.run(["sed", "-n", "/^copy_source()/,/^}/p", SCRIPTS / "package"],
                              check=True, capture_output=True, text=True).stdout
    done = bash(f"echo a >tracked\necho key >team.key\n{function}\n"
                "folder=build-package source=build-package/source\ncopy_source\nls -A $source")
    assert (done.stdout, done.stderr) == ("tracked\n", "")
