"""What is committed fits any machine."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A user's home, or a work folder, of one machine. Paths inside URLs and words are not meant.
MACHINE_PATH = re.compile(r"(?<![\w.:/~$}>)-])/(?:home|root|Users|work|mnt|scratch)/[\w.]")
BINARY = {".png", ".jpg", ".npz", ".stl", ".mp4", ".gif", ".obj", ".ply", ".npy", ".pdf"}


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def machine_paths(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if MACHINE_PATH.search(line)]


def test_no_file_names_a_path_of_one_machine():
    found = {}
    for path in tracked_files():
        if path.suffix.lower() not in BINARY:
            lines = machine_paths(path.read_text(errors="replace"))
            if lines:
                found[str(path.relative_to(ROOT))] = lines
    assert found == {}


@pytest.mark.parametrize("top", ["home", "root", "Users", "work"])
def test_a_machine_path_is_found(top):
    assert machine_paths(f'DATA = "/{top}/someone/data"')
    assert machine_paths(f"see /{top}/x.txt")


@pytest.mark.parametrize("text", ["https://example.org/home/x", "models/work/x", "~/work/a"])
def test_other_paths_are_left_alone(text):
    assert machine_paths(text) == []


def test_build_outputs_are_not_tracked():
    outputs = {"build", "install", "log", ".venv", "__pycache__"}
    tracked = [path.relative_to(ROOT) for path in tracked_files()]
    assert tracked
    assert [path for path in tracked if outputs & set(path.parts) or path.suffix == ".so"] == []
