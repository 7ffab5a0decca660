"""Motions from 2D tracks alone: reproduced by the same robot, retargeted to another.

* reproduced: MuJoCo renders a moving arm (60 images, 640x480, 30 Hz); Lucas-Kanade follows points
  of the robot; camera and first pose known, nothing else.
* retargeted: tracks of one arm's surface (those points that are seen, image by image), followed by
  an arm of other proportions from a pose of its own, on the same spot, without correspondence. The
  Chamfer distance is that of the tracks to all splats of the other arm that are seen: the mean of
  squared distances to the nearest, both ways added, as in Dr. Robot's code (`chamferdist_utils.py`;
  PyTorch3D's is the same). Beside it that of plain distances, and what either is between two
  samples of one and the same arm: no motion gets below.
"""

import time

import numpy as np
from common import QUICK, Benchmark
from control_scenes import Scene, make_scene
from tqdm import tqdm

from drrobot_ros.control.goals import TracksGoal
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.planning import Plan, PlanRequest
from drrobot_ros.control.points.lucas_kanade import track_points
from drrobot_ros.control.points.robot_points import (
    RobotPoints,
    all_points,
    chamfer,
    visible_points,
)
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.control.track_motion import TrackMotion
from drrobot_ros.simulation import SinusoidMotion

SEEDS = (0,) if QUICK else (0, 1, 2, 3)
FRAMES = 20 if QUICK else 60
RATE_HZ = 30.0
#: Without mending what would touch itself: that is counted beside.
CONFIG = PlanConfig(budget_s=0.0, self_collision=0.0, obstacles=0.0)


def motion_of(scene: Scene, seed: int, amplitude: float = 0.4) -> np.ndarray:
    """Return a motion [T,nq] of the arm's joints about its middle pose."""
    swing = SinusoidMotion(scene.model, amplitude, 6.0, seed, scene.home)
    q = np.asarray(swing(np.arange(FRAMES) / RATE_HZ))
    limits = scene.planner.gate.limits
    return np.where(scene.arm, np.clip(q, limits.lower, limits.upper), scene.home)


def reproduce(scene: Scene, seed: int) -> tuple[np.ndarray, Plan, TrackSet]:
    """Return the errors [T,n] deg of the arm's joints, the plan and the tracks it is from."""
    from scipy.ndimage import binary_erosion

    truth = motion_of(scene, seed)
    images = [scene.simulation.render(q, truth=False).rgb for q in truth]
    mask = scene.simulation.render(truth[0]).mask
    assert mask is not None
    inside = np.asarray(binary_erosion(mask, iterations=3))
    tracks = track_points(images, region=inside, times_s=np.arange(FRAMES) / RATE_HZ)
    request = PlanRequest([TracksGoal(tracks)], truth[0], [scene.view], scene.free_joints, CONFIG)
    plan = scene.planner.plan(request)
    return np.degrees(np.abs(plan.q - truth))[:, scene.arm], plan, tracks


def surface_tracks(scene: Scene, q: np.ndarray, count: int = 600) -> TrackSet:
    """Return tracks of a robot's surface in a motion [T,nq]: NaN where a point is not seen."""
    planner = scene.planner
    some = [
        visible_points(scene.model, planner.gaussians, q[t], scene.view, count // 4, t)
        for t in np.linspace(0, len(q) - 1, 4).astype(int)
    ]
    points = RobotPoints(
        np.concatenate([p.links for p in some]), np.concatenate([p.points for p in some])
    )
    pixels, _, _ = points.project(scene.model, q, scene.view)
    seen = points.visible(scene.model, planner.gaussians, q, scene.view)
    size = (scene.view.camera.width, scene.view.camera.height)
    return TrackSet(pixels, size, np.arange(len(q)) / RATE_HZ, seen)


def apart(scene: Scene, q: np.ndarray, tracks: TrackSet) -> tuple[float, float]:
    """Return the Chamfer distances, px and px^2, of a robot's motion [T,nq] to tracks."""
    planner = scene.planner
    points = all_points(scene.model, planner.gaussians, q[0])
    pixels, _, _ = points.project(scene.model, q, scene.view)
    seen = points.visible(scene.model, planner.gaussians, q, scene.view)
    theirs = np.where(tracks.seen[..., None], tracks.tracks, np.nan)
    plain, squared = chamfer(pixels, theirs, seen)
    return float(plain.mean()), float(squared.mean())


def add_rows(bench: Benchmark) -> None:
    """Add the rows."""
    scene = make_scene("Panda", 640, 480)
    errors, cpu = [], []
    for seed in tqdm(SEEDS, desc="tracks", leave=False, disable=None):
        began = time.process_time()
        found, _, _ = reproduce(scene, seed)
        cpu.append(time.process_time() - began)
        errors.append(found)
    every = np.concatenate([e.ravel() for e in errors])
    bench.add(
        "tracks: motion reproduced from Lucas-Kanade tracks, joints, median",
        round(float(np.median(every)), 3),
        "deg",
        floor=3.0,
        each=[round(float(np.median(e)), 2) for e in errors],
        mean=round(float(every.mean()), 3),
        p90=round(float(np.percentile(every, 90)), 3),
        cpu_s=round(float(np.median(cpu)), 1),
    )
    exact = []
    for seed in SEEDS:
        truth = motion_of(scene, seed)
        tracks = surface_tracks(scene, truth)
        noisy = tracks.tracks + np.random.default_rng(seed).normal(0, 0.5, tracks.tracks.shape)
        goal = TracksGoal(TrackSet(noisy, tracks.image_size, tracks.times_s))
        plan = scene.planner.plan(
            PlanRequest([goal], truth[0], [scene.view], scene.free_joints, CONFIG)
        )
        exact.append(np.degrees(np.abs(plan.q - truth))[:, scene.arm])
    bench.add(
        "tracks: the same from tracks with 0.5 px noise, joints, median",
        round(float(np.median(np.stack(exact))), 3),
        "deg",
        p90=round(float(np.percentile(np.stack(exact), 90)), 3),
    )
    _retarget(bench, scene)
    scene.simulation.close()


def _retarget(bench: Benchmark, source: Scene) -> None:
    for name in ("xArm7",) if QUICK else ("xArm7", "UR5e with tools"):
        other = make_scene(name, 640, 480)
        ends, floors, cpu, touching = [], [], [], 0
        nearest = other.planner.gate.checker.nearest
        for seed in tqdm(SEEDS, desc=f"retargeted to {name}", leave=False, disable=None):
            shown = motion_of(source, seed, 0.6)
            tracks = surface_tracks(source, shown)
            goal = TracksGoal(tracks, correspondence="chamfer")
            began = time.process_time()
            plan = other.planner.plan(
                PlanRequest([goal], other.home, [other.view], other.free_joints, CONFIG)
            )
            cpu.append(time.process_time() - began)
            d = plan.details
            assert isinstance(d, TrackMotion)
            touching += any(nearest(q).spare_m < 0 for q in plan.q[::3])
            px, px2 = apart(other, plan.q, tracks)
            ends.append((d.start_chamfer_px, px, d.start_chamfer_px2, px2))
            floors.append(apart(source, shown, tracks))
        start, end, start2, end2 = np.array(ends).T
        bench.add(
            f"tracks: Panda's retargeted to {name}, Chamfer distance (of squares) falls",
            round(float(np.median(start2 / end2)), 2),
            "times",
            floor=5.0,
            better="higher",
            each=[round(float(r), 2) for r in start2 / end2],
            from_to_px2=[
                [round(float(a)), round(float(b))] for a, b in zip(start2, end2, strict=True)
            ],
            motions_that_touch_themselves=touching,
            itself_px2=round(float(np.mean(floors, 0)[1]), 1),
            cpu_s=round(float(np.median(cpu)), 1),
        )
        bench.add(
            f"tracks: Panda's retargeted to {name}, mean nearest distance falls",
            round(float(np.median(start / end)), 2),
            "times",
            better="higher",
            each=[round(float(r), 2) for r in start / end],
            from_to_px=[
                [round(float(a), 1), round(float(b), 1)] for a, b in zip(start, end, strict=True)
            ],
            itself_px=round(float(np.mean(floors, 0)[0]), 1),
        )
        other.simulation.close()
