"""Grasps in simulation with physics: 100 random scenes, ten object shapes, one attempt each.

For each scene an RGB-D image with sensor noise is reconstructed (boxes from where the objects are
in the image), a grasp is planned on the reconstruction, and the arm carries it out among the true
objects. The same with the true meshes is the upper bound. What is done is kept in
``benchmarks/out/scene_grasp``; an interrupted run goes on where it was (``FRESH=1``: anew).

    python benchmarks/scene_grasp.py [--robot ur5e] [--mode truth|reconstructed|both] [--scenes N]
"""

import argparse
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import QUICK, ROOT, Benchmark
from scene_grasp_world import CAMERA, GRIP_N, ROBOTS, Case, load, make_case, picture, true_scene
from tqdm import tqdm

from drrobot_ros.errors import DrRobotError
from drrobot_ros.grasping.config import GraspConfig
from drrobot_ros.grasping.execution import run_in_world
from drrobot_ros.grasping.gripper import Gripper
from drrobot_ros.grasping.planner import plan_grasp
from drrobot_ros.grasping.scene import GraspScene
from drrobot_ros.simulation.config import SceneConfig

OUT = ROOT / "benchmarks" / "out" / "scene_grasp"
MODES = ("truth", "reconstructed")
FLOOR_PERCENT = 85.0
PLANNING_S = 6.0


def reconstructed(case: Case) -> tuple[GraspScene, float]:
    """Return the scene as it is reconstructed from one picture, and the CPU time it took."""
    from drrobot_ros.scene import ReconstructionConfig, SceneInput, reconstruct

    seen = picture(case)
    start = time.process_time()
    scene = reconstruct(
        SceneInput(
            color=seen["color"],
            depth_m=seen["depth_m"],
            camera=CAMERA,
            boxes=seen["boxes"],
            names=seen["names"],
            T_base_camera=case.T_base_camera,
        ),
        # Grasps ask for shape alone: no light and material.
        ReconstructionConfig(appearance=False),
    )
    return GraspScene.of(scene), time.process_time() - start


def attempt(seed: int, mode: str, robot: str, gripper: Gripper) -> dict[str, Any]:
    """Return what became of one scene, as a row that JSON can hold."""
    look = SceneConfig(seed=seed) if mode == "reconstructed" else None
    config = GraspConfig(force_n=GRIP_N)
    case = make_case(seed, robot, gripper, look)
    row: dict[str, Any] = {"seed": seed, "kind": case.kind, "objects": len(case.shapes)}
    try:
        scene, row["reconstruction_s"] = (
            reconstructed(case) if mode == "reconstructed" else (true_scene(case), 0.0)
        )
        start = time.process_time()
        try:
            plan = plan_grasp(gripper, scene, case.target, case.q, config)
        finally:
            row["planning_s"] = time.process_time() - start
        row |= {"counts": plan.counts, "seconds": plan.seconds, "score": plan.score}
        row |= {"trial": plan.trial.score if plan.trial else None, "width_m": plan.width_m}
        outcome = run_in_world(case.world, gripper, plan, lift_m=config.lift_m)
        row |= {"held": outcome.held, "why": outcome.why, "lifted_m": outcome.lifted_m,
                "slip_m": outcome.slip_m}  # fmt: skip
    except DrRobotError as error:
        row |= {"held": False, "why": f"refused: {error}"}
    except Exception as error:  # counts as failed, and is shown
        row |= {"held": False, "why": f"{type(error).__name__}: {error}"}
        traceback.print_exc()
    finally:
        case.world.close()
    return row


def run(mode: str, robot: str, seeds: range) -> list[dict[str, Any]]:
    """Return a row per scene; those done before are read."""
    folder = OUT / f"{mode}-{robot}"
    folder.mkdir(parents=True, exist_ok=True)
    gripper, rows = load(robot), []
    for seed in tqdm(seeds, desc=f"{mode} {robot}", disable=None):
        path = folder / f"{seed:03d}.json"
        if not path.is_file() or os.environ.get("FRESH"):
            path.write_text(json.dumps(attempt(seed, mode, robot, gripper), default=_plain))
        rows.append(json.loads(path.read_text()))
    return rows


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def add_rows(bench: Benchmark, robot: str = "ur5e", scenes: int = 100) -> None:
    """Add the rows of grasps on what was reconstructed."""
    report(bench, "reconstructed", run("reconstructed", robot, range(scenes)))


def report(bench: Benchmark, mode: str, rows: list[dict[str, Any]]) -> None:
    """Add the rows of one mode."""
    held = [r["held"] for r in rows]
    name = {"truth": "true meshes (upper bound)", "reconstructed": "from one RGB-D image"}[mode]
    floor = FLOOR_PERCENT if mode == "reconstructed" else None
    bench.add(
        f"first grasps that lift and hold, {name}", 100 * float(np.mean(held)), "%",
        floor=floor, better="higher", scenes=len(rows),
    )  # fmt: skip
    attempted = [r["held"] for r in rows if not r["why"].startswith("refused")]
    if attempted:
        share = 100 * float(np.mean(attempted))
        bench.add(
            f"  of those attempted, {name}", share, "%", better="higher", scenes=len(attempted)
        )
    planning = [r["planning_s"] for r in rows if "planning_s" in r]
    if planning:
        bench.add(f"  planning, CPU median, {name}", float(np.median(planning)), "s",
                  floor=PLANNING_S, most=max(planning))  # fmt: skip
    if mode == "reconstructed":
        times = [r["reconstruction_s"] for r in rows if r.get("reconstruction_s")]
        if times:
            bench.add("  reconstruction, CPU median", float(np.median(times)), "s")
    for kind in sorted({r["kind"] for r in rows}):
        own = [r["held"] for r in rows if r["kind"] == kind]
        share = 100 * float(np.mean(own))
        bench.add(f"  {kind}, {mode}", share, "%", better="higher", scenes=len(own))
    for row in rows:
        if not row["held"]:
            print(f"    {row['seed']:3d} {row['kind']}: {row['why']}")


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robot", choices=ROBOTS, default="ur5e")
    parser.add_argument("--mode", choices=(*MODES, "both"), default="both")
    parser.add_argument("--scenes", type=int, default=4 if QUICK else 100)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    bench = Benchmark("scene_grasp", robot=given.robot, scenes=given.scenes, grip_n=GRIP_N)
    seeds = range(given.first, given.first + given.scenes)
    for mode in MODES if given.mode == "both" else (given.mode,):
        report(bench, mode, run(mode, given.robot, seeds))
    if QUICK or given.mode == "truth" or given.first:
        return 0  # says nothing of the floor
    return bench.finish()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
