"""The Debian package, as far as the source tells: scripts/test-boot looks at what is built."""

import os
import re
import subprocess

import pytest

from lib.build import REPOSITORY


def read(name):
    return (REPOSITORY / name).read_text()


def test_the_package_has_the_version_of_the_programs():
    project = re.search(r"^  version: '(.*)',$", read("meson.build"), re.MULTILINE)[1]
    assert read("debian/changelog").startswith(f"solvegate ({project}) ")


def test_the_package_is_built_with_every_library_that_the_scripts_install():
    packages = re.search(r"build_packages=\((.*?)\)", read("scripts/packages.bash"), re.DOTALL)[1]
    libraries = {name for name in packages.split() if name.endswith("-dev")} - {"libc6-dev"}
    assert len(libraries) > 8
    assert not libraries - set(re.findall(r"^ ([\w.+-]+)", read("debian/control"), re.MULTILINE))


# The package of each library, and its names for pkg-config.
LIBRARIES = {
    "libconfig-dev": ["libconfig"], "libcurl4-openssl-dev": ["libcurl"],
    "libgnutls28-dev": ["gnutls"], "libjson-c-dev": ["json-c"],
    "libmicrohttpd-dev": ["libmicrohttpd"], "libsqlite3-dev": ["sqlite3"],
    "libssl-dev": ["libcrypto", "libssl"], "libsystemd-dev": ["libsystemd"], "libuv1-dev": ["libuv"],
}


def test_the_package_is_built_with_the_versions_that_the_build_asks_for():
    asked = dict(re.findall(r"dependency\('([\w-]+)', version: '>=([\d.]+)'\)", read("meson.build")))
    package = dict(re.findall(r"^ ([\w-]+-dev) \(>= ([\d.]+)\)", read("debian/control"), re.MULTILINE))
    assert package.keys() == LIBRARIES.keys()
    assert {name: package[key] for key, names in LIBRARIES.items() for name in names} == asked


def test_the_package_leaves_out_the_line_of_the_sample_that_is_for_trials():
    left_out = re.findall(r"grep -q?[vx]+q? '(.*)' \$\(sample\)", read("debian/rules"))
    assert len(left_out) == 2 and left_out[0] == left_out[1]
    assert read("conf/solvegate.conf").splitlines().count(left_out[0]) == 1


def test_where_the_boot_test_cannot_run_it_says_why(tmp_path):
    other = tmp_path / "id"
    other.write_text("#!/bin/sh\necho 1000\n")
    other.chmod(0o755)
    done = subprocess.run([REPOSITORY / "scripts/test-boot"], stdin=subprocess.DEVNULL, timeout=60,
                          env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr.startswith("cannot run here: only root"), done.stderr


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/package"])
def test_a_script_names_the_argument_that_it_does_not_know(script):
    done = subprocess.run([REPOSITORY / script, "--bogus"], stdin=subprocess.DEVNULL, timeout=60,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{REPOSITORY / script}: unknown argument --bogus; see {script} --help\n"
