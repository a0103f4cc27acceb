"""The manual pages: they render without a warning, have every key of the configuration and every
option of the programs, and their examples are good."""

import json
import re
import subprocess

import pytest

from lib.build import BUILD, REPOSITORY, patience
from lib.gateway import STORED_CREDENTIAL, write_credential
from lib.tls import make_authority

# The page of each program, and of its file.
PAGES = ["solvegate.8", "solvegatectl.1", "solvegate-sim.1", "solvegate.conf.5"]
PROGRAMS = ["solvegate.8", "solvegatectl.1", "solvegate-sim.1"]
CONF = BUILD / "man/solvegate.conf.5"

# A row of a table of keys in docs/configuration.md: key, type, default, bounds, meaning.
_ROW = re.compile(r"^\| `([a-z_0-9.\[\]]+)` \| ([a-z ]+) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
_RELOAD_ROW = re.compile(r"^\| `([a-z_0-9.\[\]]+)` \|", re.MULTILINE)
_OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][a-z-]*")


def run(*argv):
    return subprocess.run([str(part) for part in argv], capture_output=True, text=True,
                          timeout=patience(30.0))


def source(page):
    """The page that is installed: generated, or as it is."""
    places = [BUILD / "man" / page, REPOSITORY / "man" / page]
    return next((path for path in places if path.exists()), places[0])


def rendered(page):
    """As a reader sees it, in one line, without the marks of a terminal and divided words."""
    text = run("mandoc", "-T", "ascii", "-O", "width=1000", source(page)).stdout
    return " ".join(re.sub(".\b", "", text).split())


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_nothing_that_mandoc_or_man_warns_of(page):
    lint = run("mandoc", "-T", "lint", "-W", "warning", source(page))
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")
    man = run("man", "--warnings", "-l", source(page))
    assert (man.returncode, man.stderr) == (0, "")
    assert len(man.stdout) > 1000


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_installed_in_its_section(page):
    places = json.loads(run("meson", "introspect", "--installed", BUILD).stdout)
    section = page[-1]
    assert [place for place in places.values() if place.endswith(f"/man{section}/{page}")]


@pytest.mark.parametrize("page", PROGRAMS)
def test_a_page_has_the_options_that_the_program_tells_of_and_no_other(page):
    program = page.split(".")[0]
    told = set(_OPTION.findall(run(BUILD / program, "--help").stdout))
    assert "--help" in told
    text = rendered(page)
    synopsis = text[text.index("SYNOPSIS"):text.index(" DESCRIPTION ")]
    listed = set(_OPTION.findall(text))
    assert told - listed == set(), "not in the page"
    options = {option for option in _OPTION.findall(synopsis) if option.startswith("--")}
    assert options - told == set(), "in the page only"


def entries():
    """Of each key in the page all that is said of it, up to the next key."""
    text = source("solvegate.conf.5").read_text()
    text = text[text.index("\n.Sh KEYS"):text.index("\n.Ss Names")]
    parts = re.split(r"^\.It Ic (.+)$", text, flags=re.MULTILINE)[1:]
    plain = parts[1::2]
    keys = [key.replace("\\-", "-") for key in parts[::2]]
    assert len(keys) == len(set(keys)), "a key stands twice"
    return dict(zip(keys, plain))


def documented():
    """The rows of docs/configuration.md, which a unit test holds against the table of the program,
    and the keys that a reload takes."""
    text = (REPOSITORY / "docs/configuration.md").read_text()
    before, _, after = text.partition("\n## What a reload changes\n")
    reloads = _RELOAD_ROW.findall(after[:after.index("\n## ")])
    return {key: row for key, *row in _ROW.findall(before)}, reloads


def test_the_page_of_the_configuration_has_every_key_once_and_no_other():
    page, (rows, _) = entries(), documented()
    assert len(rows) > 50
    groups = {key for key, text in page.items() if "\nA group.\n" in text}
    assert set(page) - groups == set(rows)
    assert groups & set(rows) == set()


def unescaped(text):
    for mark, letter in (("\\-", "-"), ("\\(dq", '"'), ("\\(aq", "'"), ("\\&", ""), ("\\e", "\\")):
        text = text.replace(mark, letter)
    return text


def test_the_page_says_of_each_key_its_default_bounds_or_choices_and_meaning():
    page, (rows, _) = entries(), documented()
    for key, (_, default, bounds, meaning) in rows.items():
        text = unescaped(page[key])
        assert meaning in text, key
        if default == "required":
            assert "\nRequired.\n" in text, key
        elif default == "none":
            assert "\nNot set unless written.\n" in text, key
        else:
            assert f'\nDefault:\n.Ql "{default[1:-1]}" .\n' in text, key
        numbers = re.match(r"[0-9.]+ to [0-9.]+", bounds)
        if numbers:
            least, most = numbers[0].split(" to ")
            assert (least if least == most else numbers[0]) in text, key
        else:
            assert all(f'.Ql "{choice}"' in text for choice in re.findall("`(.+?)`", bounds)), key


def test_the_page_says_of_each_key_whether_a_reload_takes_it():
    page, (rows, reloads) = entries(), documented()
    assert reloads
    for key in rows:
        taken = any(key == row or key.startswith((row + ".", row + "[]")) for row in reloads)
        assert ("\nA reload takes it.\n" in page[key]) == taken, key


def examples():
    text = source("solvegate.conf.5").read_text()
    text = text[text.index("\n.Sh EXAMPLES"):text.index("\n.Sh SEE ALSO")]
    return re.findall(r"\.Bd -literal -offset indent\n(.*?)\.Ed\n", text, re.DOTALL)


@pytest.mark.parametrize("number", range(2))
def test_an_example_of_the_page_is_a_good_configuration(number, tmp_path):
    assert len(examples()) == 2
    (tmp_path / "tls").mkdir()
    pair = make_authority(tmp_path / "tls")
    pair.certificate.rename(tmp_path / "tls/cert.pem")
    pair.key.rename(tmp_path / "tls/key.pem")
    write_credential(tmp_path, "nocaptchaai", STORED_CREDENTIAL)
    file = tmp_path / "solvegate.conf"
    file.write_text(examples()[number].replace("(64 hexadecimal digits)", "a" * 64))
    result = run(BUILD / "solvegate", "-t", "-c", file)
    assert result.returncode == 0, result.stderr
