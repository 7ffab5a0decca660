"""The shared benchmark harness: rows, floors, file, exit status."""

import json
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import common  # type: ignore[import-not-found]
from raster_scene import cylinder_chain  # type: ignore[import-not-found]

from drrobot_ros.rendering import rasterize


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    return tmp_path


def test_rows_are_held_against_their_floors(results, capsys):
    bench = common.Benchmark("trial", threads=2)
    bench.add("fast enough", 8.0, "ms", floor=8.0)
    bench.add("good enough", 100.0, "x", floor=100.0, better="higher")
    bench.add("only told", 5.0, "ms")
    assert bench.finish() == 0
    bench.add("too slow", 8.01, "ms", floor=8.0)
    bench.add("too little", 99.9, "x", floor=100.0, better="higher")
    bench.add("missing", None, "x", floor=3.0)
    assert bench.finish() == 1
    assert "not ok: too slow; too little; missing" in capsys.readouterr().out
    written = json.loads((results / "trial.json").read_text())
    assert set(written) == {"commit", "date", "machine", "settings", "rows"}
    assert written["settings"]["threads"] == 2
    assert [row["ok"] for row in written["rows"]] == [True, True, True, False, False, False]
    assert set(written["rows"][0]) == {"name", "value", "unit", "floor", "better", "ok"}
    with pytest.raises(ValueError, match="better"):
        bench.add("x", 1.0, "ms", better="faster")


def test_timing_takes_the_median_after_a_warm_up():
    calls = []

    def work():
        calls.append(None)
        time.sleep(0.05 if len(calls) in (1, 4) else 0.002)  # slow at first, and once again

    timing = common.measure(work, seconds=0.05, warm_up=1, min_runs=9)
    assert timing.runs == len(calls) - 1 >= 9
    assert 0.002 <= timing.minimum_s <= timing.median_s < 0.02
    assert timing.cpu_median_s < timing.median_s  # sleeping costs no CPU


def test_scene_covers_the_share_of_the_image_it_is_meant_to():
    scene = cylinder_chain(3000, 160, 120)
    _, alpha, _ = rasterize(*scene)
    assert 0.08 < float((alpha > 0.5).float().mean()) < 0.16
