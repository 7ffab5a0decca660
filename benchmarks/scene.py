"""Scenes from one RGB-D image: simulated tables with truth, real frames, ablations, grasps.

Simulated: one to six objects of ten kinds, half of them not convex, of random size, colour, print,
gloss and light, with the noise of a stereo camera on depth and of a sensor on colour, boxes a
little wrong. Position: centre of the first ellipsoid to the middle of the object's true extent.
Chamfer: half the sum of both mean distances between 10,000 points on either whole surface, the
hidden side included. Depth: median of drawn against true depth where the object is seen. Real:
YCB-Video; the centre is the origin of the object's model, the surface that of ``vertmap``.
``--parts simulated real ablation grasp`` runs some; the others' rows stay as they are.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import scene_grasp
from common import QUICK, RESULTS, Benchmark
from scene_runs import VARIANTS, settings, simulated, ycb, ycb_frames
from tqdm import tqdm

SCENES = 2 if QUICK else 30
ABLATION_SCENES = 1 if QUICK else 10
REAL = 1 if QUICK else 15
PARTS = ("simulated", "real", "ablation", "grasp")


def main() -> int:
    """Run the parts; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--grasps", type=int, default=4 if QUICK else 100, help="scenes of them")
    given = parser.parse_args()
    parts = given.parts
    bench = Benchmark("scene", scenes=SCENES, real=REAL, config=settings())
    work: dict[str, Callable[[Benchmark], None]] = {
        "simulated": add_simulated,
        "real": add_real,
        "ablation": add_ablation,
        "grasp": lambda bench: scene_grasp.add_rows(bench, scenes=given.grasps),
    }
    for part in PARTS:
        start = len(bench.rows)
        if part in parts:
            work[part](bench)
            for row in bench.rows[start:]:
                row["part"] = part
        else:
            bench.rows += _earlier(part)
    return bench.finish()


def add_simulated(bench: Benchmark) -> None:
    """Add the rows of simulated scenes."""
    runs = [simulated(seed, "whole") for seed in tqdm(range(SCENES), desc="simulated")]
    rows = [row for run in runs for row in run["objects"]]
    count: dict[str, Any] = {"objects": len(rows), "scenes": len(runs)}
    spread = _spread(rows, "first_mm")
    bench.add(
        "ellipsoid stage, position, median",
        _median(rows, "first_mm"),
        "mm",
        floor=10.0,
        **count,
        **spread,
    )
    spread = _spread(rows, "chamfer_mm")
    bench.add(
        "surface, Chamfer, median", _median(rows, "chamfer_mm"), "mm", floor=4.0, **count, **spread
    )
    for name, convex in (("convex", True), ("not convex", False)):
        few = [row for row in rows if row["convex"] == convex]
        bench.add(f"surface, Chamfer, {name} objects", _median(few, "chamfer_mm"), "mm")
    for kind in sorted({row["kind"] for row in rows}):
        few = [row for row in rows if row["kind"] == kind]
        bench.add(f"surface, Chamfer, {kind} ({len(few)})", _median(few, "chamfer_mm"), "mm")
    bench.add("visible side, depth error, median", _median(rows, "depth_mm"), "mm", floor=3.0)
    bench.add("drawn mask, IoU, median", _median(rows, "iou"), "", floor=0.9, better="higher")
    bench.add("mask from the box, IoU, median", _median(rows, "mask_iou"), "", better="higher")
    bench.add(
        "scene, processor time, worst", _worst(runs, "cpu_s"), "s", floor=60.0,
        median=_median(runs, "cpu_s"),
    )  # fmt: skip
    bench.add(
        "to the ellipsoids, processor time, worst", _worst(runs, "ellipsoids_cpu_s"), "s",
        floor=10.0, median=_median(runs, "ellipsoids_cpu_s"),
    )  # fmt: skip
    bench.add("objects inside each other, deepest, worst scene", _worst(runs, "overlap_mm"), "mm")
    good = [row for row in rows if row["confidence"] >= 0.5]
    bench.add("objects believed", len(good) / max(len(rows), 1), "", better="higher")
    bench.add("surface, Chamfer, worst of the believed", _worst(good, "chamfer_mm"), "mm")


def add_real(bench: Benchmark) -> None:
    """Add the rows of real frames."""
    count = min(REAL, len(ycb_frames()))
    if count == 0:
        bench.add("real frames: not at hand (DRROBOT_YCB)", None, "")
        return
    runs = [ycb(i, "whole") for i in tqdm(range(count), desc="real")]
    rows = [row for run in runs for row in run["objects"]]
    frames: dict[str, Any] = {"frames": len(runs), "objects": len(rows)}
    failed = [run["error"] for run in runs if "error" in run]
    bench.add(
        "real, depth residual, median of all objects", _median(rows, "depth_mm"), "mm", floor=5.0,
        worst=_worst(rows, "depth_mm"), failed=failed, **frames,
    )  # fmt: skip
    medians = [_median(run["objects"], "depth_mm") or 0.0 for run in runs if run["objects"]]
    bench.add("real, depth residual, median of the worst frame", max(medians), "mm", floor=5.0)
    for key, name in (("center_mm", "centre to the truth"), ("surface_mm", "surface to vertmap")):
        bench.add(f"real, {name}, median", _median(rows, key), "mm", **_spread(rows, key))
    bench.add("real, drawn mask, IoU, median", _median(rows, "iou"), "", better="higher")
    bench.add(
        "real, mask from the box, IoU, median", _median(rows, "mask_iou"), "", better="higher"
    )
    for kind in sorted({row["name"] for row in rows}):
        few = [row for row in rows if row["name"] == kind]
        detail: dict[str, Any] = {
            key: _median(few, key) for key in ("surface_mm", "depth_mm", "mask_iou", "iou")
        }
        bench.add(f"real, centre, {kind} ({len(few)})", _median(few, "center_mm"), "mm", **detail)
    bench.add("real, processor time, worst frame", _worst(runs, "cpu_s"), "s")


def add_ablation(bench: Benchmark) -> None:
    """Add what each stage is worth: the same scenes without it."""
    for variant in VARIANTS:
        name = f"ablation {variant}"
        seeds = tqdm(range(ABLATION_SCENES), desc=name)
        runs = [simulated(seed, variant) for seed in seeds]
        rows = [row for run in runs for row in run["objects"]]
        detail: dict[str, Any] = {
            key: _median(rows, key) for key in ("depth_mm", "iou", "first_mm")
        }
        bench.add(
            f"{name}: Chamfer, median", _median(rows, "chamfer_mm"), "mm",
            mean=float(np.mean([r["chamfer_mm"] for r in rows])), objects=len(rows),
            cpu_s=_median(runs, "cpu_s"), **detail,
        )  # fmt: skip


def _earlier(part: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads((RESULTS / "scene.json").read_text())["rows"]
    except (OSError, ValueError, KeyError):
        return []
    return [row for row in rows if row.get("part") == part]


def _values(rows: list[dict[str, Any]], key: str) -> list[float]:
    return [row[key] for row in rows if key in row and math.isfinite(row[key])]


def _median(rows: list[dict[str, Any]], key: str) -> float | None:
    values = _values(rows, key)
    return float(np.median(values)) if values else None


def _worst(rows: list[dict[str, Any]], key: str) -> float | None:
    return max(_values(rows, key), default=None)


def _spread(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    values = _values(rows, key)
    if not values:
        return {}
    low, high, most = np.percentile(values, [25, 75, 90])
    return {"quartile_1": float(low), "quartile_3": float(high), "p90": float(most)}


if __name__ == "__main__":
    sys.exit(main())
