"""What the README and the pages of docs/ say is true: links, commands, the table of results."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from drrobot_ros.cli import make_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", ["README.md", "docs/calibration.md", "docs/identification.md"])
def test_commands_can_be_given(page):
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    text = "".join(blocks).replace("\\\n", " ")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    commands = [line for line in lines if line.startswith("drrobot ")]
    assert len(commands) >= 2
    for command in commands:
        options = make_parser().parse_args(shlex.split(command)[1:])
        assert callable(options.run)


def test_targets_of_the_readme_exist():
    targets = set(re.findall(r"make (\w+)", (ROOT / "README.md").read_text()))
    known = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= targets <= known


def uncommitted_results():
    command = ["git", "-C", str(ROOT), "status", "--porcelain", "benchmarks/results"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def test_table_of_results_is_that_of_the_files(monkeypatch):
    if uncommitted_results():
        pytest.skip("results of this machine that are not committed are not in the README")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import readme_table

    readme = (ROOT / "README.md").read_text()
    # Made by: python benchmarks/readme_table.py
    assert readme_table.with_table(readme, readme_table.table()) == readme
    sys.modules.pop("readme_table")


def test_table_shows_floors_and_misses(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import readme_table

    (tmp_path / "live.json").write_text(
        """{"commit": "0123456789abcdef", "date": "2026-01-02T03:04:05+00:00",
        "machine": {"cpu": "some cpu", "cores": 2, "load": 0.5}, "settings": {"quick": false},
        "rows": [{"name": "speed", "value": 12.345, "unit": "Hz", "floor": 15.0,
        "better": "higher", "ok": false}, {"name": "of no interest", "value": 1, "unit": "",
        "floor": null, "better": "lower", "ok": true}]}"""
    )
    table = readme_table.table(tmp_path)
    assert "| `live` | speed | 12.3 Hz | ≥ 15 (missed) |" in table
    assert "no interest" not in table
    assert "2026-01-02, commit 0123456789, some cpu, 2 cores, load 0.5." in table
    sys.modules.pop("readme_table")
