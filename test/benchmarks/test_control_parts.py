"""Parts of the control benchmark that are not run keep their rows."""

import importlib
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def control(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    common, module = (importlib.import_module(name) for name in ("common", "control"))
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    monkeypatch.setattr(module, "RESULTS", tmp_path)

    def add_part(bench, part: str) -> bool:
        bench.add(f"{part}: new", 1.0, "deg", floor=2.0)
        return part != "servo"

    monkeypatch.setattr(module, "add_part", add_part)
    yield module
    sys.modules.pop("control", None)


def names(folder: Path) -> list[str]:
    rows = json.loads((folder / "control.json").read_text())["rows"]
    return [f"{row['part']} {row['name']}" for row in rows]


def test_parts_are_merged(control, monkeypatch, tmp_path) -> None:
    old = [
        {"name": f"{part}: old", "value": 1.0, "unit": "deg", "floor": None, "better": "lower",
         "ok": True, "part": part}
        for part in ("image", "text")
    ]  # fmt: skip
    known = {"settings": {"quick": False}, "rows": old}
    (tmp_path / "control.json").write_text(json.dumps(known))
    monkeypatch.setattr(control, "QUICK", False)
    monkeypatch.setattr(sys, "argv", ["control.py", "--parts", "video,image"])
    assert control.main() == 0
    assert names(tmp_path) == ["image image: new", "video video: new", "text text: old"]
    monkeypatch.setattr(sys, "argv", ["control.py", "--parts", "sound"])
    with pytest.raises(SystemExit):
        control.main()


def test_a_quick_run_does_not_mix_with_a_full_one(control, monkeypatch, tmp_path) -> None:
    row = {"name": "a", "value": 1.0, "unit": "", "floor": None, "ok": True, "part": "image"}
    known = {"settings": {"quick": False}, "rows": [row]}
    (tmp_path / "control.json").write_text(json.dumps(known))
    monkeypatch.setattr(control, "QUICK", True)
    assert control._known_rows() == {}
    monkeypatch.setattr(control, "QUICK", False)
    assert list(control._known_rows()) == ["image"]
