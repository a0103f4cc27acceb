"""The documents hold: their links lead somewhere, their alerts work, and so do their commands."""

import json
import re
import shlex
import subprocess

import pytest

from lib import http
from lib.build import BUILD, REPOSITORY, patience, wait_until
from lib.gateway import LOOPBACK
from lib.job import job

DOCS = REPOSITORY / "docs"
ALERTS = DOCS / "alerts.yml"
OPERATIONS = DOCS / "operations.md"
BESIDE = [REPOSITORY / "README.md", REPOSITORY / "SECURITY.md"]
DOCUMENTS = sorted([*BESIDE, *DOCS.glob("*.md")])

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def run(argv, **settings):
    return subprocess.run(argv, capture_output=True, text=True, timeout=patience(60.0), **settings)


def blocks(document, kind="sh"):
    """The text of each code block of that kind, without its indentation."""
    for indent, name, text in _FENCE.findall(document.read_text()):
        if name == kind:
            yield re.sub(f"^{indent}", "", text, flags=re.MULTILINE)


def block_with(document, word):
    found = [block for block in blocks(document) if word in block]
    assert len(found) == 1, f"{len(found)} blocks of {document.name} have {word}"
    return found[0]


# ---- libraries ----


def test_the_least_versions_of_the_libraries_are_those_that_the_build_asks_for():
    asked = dict(re.findall(r"dependency\('([\w-]+)', version: '>=([\d.]+)'\)",
                            (REPOSITORY / "meson.build").read_text()))
    rows = re.findall(r"^\| ([\w, -]+?) \| ([\d.]+) \|", (DOCS / "packaging.md").read_text(),
                      re.MULTILINE)
    told = {name: version for names, version in rows for name in names.split(", ")}
    assert len(asked) >= 10 and told == asked


# ---- links ----


def anchors(document):
    """Of the headings, as they are made where the documents are shown."""
    text = _FENCE.sub("", document.read_text())
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            for title in _HEADING.findall(text)}


def broken(document):
    for link in _LINK.findall(_FENCE.sub("", document.read_text())):
        if re.match("[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path) if path else document
        if not target.exists():
            yield f"{link}: there is no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: there is no such heading"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_links_of_a_document_lead_somewhere(document):
    assert list(broken(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_links_of_a_document_lead_to_what_the_package_has_too(document):
    for link in _LINK.findall(_FENCE.sub("", document.read_text())):
        path = link.partition("#")[0]
        if path and not re.match("[a-z]+:", link):
            target = (document.parent / path).resolve()
            assert target.parent == DOCS or target in BESIDE, link


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    document = tmp_path / "a.md"
    document.write_text("# A title, here\n[a](a.md#a-title-here) [b](#b) [c](c.md) [d](https://d)\n")
    assert list(broken(document)) == ["#b: there is no such heading", "c.md: there is no such file"]


def test_every_document_is_named_in_the_readme():
    readme = (REPOSITORY / "README.md").read_text()
    assert [path.name for path in sorted(DOCS.iterdir()) if f"docs/{path.name}" not in readme] == []


# ---- source files ----


def test_every_source_file_is_named_in_files_md():
    """A new file of src/ needs an entry in docs/files.md, and a removed one none."""
    sections = re.findall(r"^## `src/(\w+)/`$\n(.*?)(?=^## |\Z)", (DOCS / "files.md").read_text(),
                          re.DOTALL | re.MULTILINE)
    named = {f"{folder}/{name}" for folder, text in sections
             for names in re.findall("^- (.+?):", text, re.MULTILINE)
             for name in re.findall(r"`(\w+)`", names)}
    source = REPOSITORY / "src"
    there = {f"{path.relative_to(source).parts[0]}/{path.stem}" for path in source.rglob("*.[ch]")}
    assert named == there


# ---- alerts ----


def alerts():
    return re.findall(r"^ *- alert: (\w+)$", ALERTS.read_text(), re.MULTILINE)


def test_the_alert_rules_are_rules():
    [command] = re.findall("`(promtool check rules .+?)`", OPERATIONS.read_text())
    result = run(shlex.split(command), cwd=REPOSITORY)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(alerts())} rules found" in result.stdout


def test_each_alert_goes_off_when_it_must_and_not_before():
    cases = REPOSITORY / "tests/data/alerts.test.yml"
    result = run(["promtool", "test", "rules", cases])
    assert result.returncode == 0, result.stdout + result.stderr
    assert all(f'alertname="{alert}"' in cases.read_text() for alert in alerts())


def test_operations_has_a_row_for_each_alert_and_for_no_other():
    rows = re.findall(r"^\| `(Solvegate\w+)` \| .+ \| .+ \| .+ \|$", OPERATIONS.read_text(),
                      re.MULTILINE)
    assert rows == alerts()


def test_the_metrics_of_the_alerts_are_those_of_the_daemon(simulator, gateway):
    house = gateway(simulator(mode="pro"), admin=LOOPBACK)
    house.run(job())
    wanted = set(re.findall(r"solvegate_\w+", ALERTS.read_text()))
    wanted = {re.sub("_bucket$", "", name) for name in wanted}
    answer = http.request(house.admin_url, "GET", "/metrics")
    there = set(re.findall(r"^# TYPE (\w+) ", answer.body.decode(), re.MULTILINE))
    assert wanted - there == set()


# ---- commands ----


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_of_a_document_are_ones_that_a_shell_can_read(document):
    for block in blocks(document):
        result = run(["bash", "-n"], input=block)
        assert result.returncode == 0, f"{block}\n{result.stderr}"


def asked():
    """The first words of whatever solvegatectl is asked for in the documents."""
    for document in DOCUMENTS:
        text = document.read_text()
        for words in re.findall(r"\bsolvegatectl(?: --?\w+ ?\S*)* ((?:[a-z]+ ?)+)", "\n".join(
                [*blocks(document), *re.findall("`([^`\n]+)`", text)])):
            yield document.name, words.split()


def test_the_commands_of_solvegatectl_in_the_documents_are_those_that_it_has():
    told = run([BUILD / "solvegatectl", "--help"]).stdout
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?)\b", told, re.MULTILINE)
    assert "token new" in commands
    first = {command.split()[0] for command in commands}
    unknown = {(name, words[0]) for name, words in asked() if words[0] not in first}
    unknown |= {(name, " ".join(words[:2])) for name, words in asked()
                if words[0] in ("token", "audit") and " ".join(words[:2]) not in commands}
    assert unknown == set()


def test_the_first_job_of_the_operations_is_solved_and_comes_from_the_cache_next(simulator, gateway):
    house = gateway(simulator(mode="free"), sites=["staging.example.com"])
    command = block_with(OPERATIONS, "curl -sS -H 'Content-Type")
    assert "http://127.0.0.1:8118/" in command
    command = command.replace("http://127.0.0.1:8118/", f"{house.url}/")
    for _ in range(2):
        result = run(["bash", "-c", command])
        assert json.loads(result.stdout)["status"] == "solved", result.stdout + result.stderr
    assert house.sim.counters()["charged"] == 1


def shell(text, directory, backup):
    """Commands of the operations, for a state directory and a place for backups of a test's own."""
    text = text.replace("/var/lib/solvegate", str(directory)).replace("/var/backups", str(backup))
    lines = [re.sub("^sudo ", "", line) for line in text.splitlines()
             if not re.match("(sudo )?(systemctl|solvegatectl) ", line)]
    result = run(["bash", "-ec", "\n".join(lines)])
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_what_was_backed_up_while_it_ran_can_be_restored(simulator, gateway, tmp_path):
    house = gateway(simulator(mode="pro"), durability="full")
    task = job()
    solved = house.run(task)
    backup = tmp_path / "backup"
    backup.mkdir()
    saved = shell(block_with(OPERATIONS, ".backup"), house.state_directory, backup)
    assert saved.strip().endswith("ok")
    house.run(job(seed=1))
    house.stop_well()
    shell(block_with(OPERATIONS, "chown --reference"), house.state_directory, backup)
    house.start_again()
    again = house.status(solved.object()["id"]).object()
    assert again["solution"] == solved.object()["solution"]
    house.run(task)
    assert house.sim.counters()["charged"] == 2, "the result of the backup was bought again"


def test_a_restore_moves_what_was_there_to_a_directory_of_its_own_each_time(simulator, gateway,
                                                                            tmp_path):
    house = gateway(simulator(mode="pro"), durability="full")
    solved = house.run(job())
    backup = tmp_path / "backup"
    backup.mkdir()
    shell(block_with(OPERATIONS, ".backup"), house.state_directory, backup)
    for seed in (1, 2):
        house.run(job(seed=seed))
        house.kill()
        assert (house.state_directory / "jobs.db-wal").exists()
        shell(block_with(OPERATIONS, "chown --reference"), house.state_directory, backup)
        house.start_again()
        assert house.status(solved.object()["id"]).object()["status"] == "solved"
    kept = sorted(path.name for path in house.state_directory.glob("old-*/*"))
    assert kept.count("jobs.db") == kept.count("jobs.db-wal") == kept.count("bodies.db") == 2


def test_a_restore_without_a_backup_leaves_everything_as_it_was(simulator, gateway, tmp_path):
    house = gateway(simulator(mode="pro"), durability="full")
    house.run(job())
    house.stop_well()
    before = {path: path.read_bytes() for path in house.state_directory.iterdir()}
    with pytest.raises(AssertionError, match="cp: cannot stat"):
        shell(block_with(OPERATIONS, "chown --reference"), house.state_directory, tmp_path)
    assert {path: path.read_bytes() for path in house.state_directory.iterdir()} == before


def test_a_backup_with_jobs_that_wait_is_refused_without_their_bodies(simulator, gateway, tmp_path):
    sim = simulator(mode="pro", faults=["solve:hang"])
    house = gateway(sim, durability="full", upstream={"max_in_flight": 1})
    held = [house.submit(job(seed=seed), Prefer="respond-async") for seed in range(3)]
    wait_until(lambda: sim.counters()["solve_requests"] == 1)
    assert len(held) == 3
    backup = tmp_path / "backup"
    backup.mkdir()
    shell(block_with(OPERATIONS, ".backup"), house.state_directory, backup)
    house.kill()
    shell(block_with(OPERATIONS, "chown --reference"), house.state_directory, backup)
    result = run([BUILD / "solvegate", "-c", house.config])
    assert result.returncode == 1
    assert "bodies.db is missing, and jobs in" in result.stderr
    assert "wait for their bodies in it" in result.stderr
    # With the bodies of that moment it starts.
    for path in house.state_directory.glob("old-*/bodies.db*"):
        path.rename(house.state_directory / path.name)
    house.start_again()
