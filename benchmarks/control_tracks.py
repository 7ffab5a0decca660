"""Motions from 2D tracks alone: reproduced by the same robot, retargeted to another.

* reproduced: MuJoCo renders a moving arm (60 images, 640x480, 30 Hz); Lucas-Kanade follows points
  of the robot; camera and first pose known, nothing else.
* retargeted: tracks of one arm's surface (those points that are seen, image by image), followed by
  an arm of other proportions from a pose of its own, without correspondence. The Chamfer distance
  is that of the tracks to the other arm's own visible points; beside it that of squared distances,
  which is what is minimised (PointTracks).
"""

import time

import numpy as np
from common import QUICK, Benchmark
from control_scenes import Scene, make_scene
from scipy.spatial import KDTree
from tqdm import tqdm

from drrobot_ros.control.goals import TracksGoal
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.planning import Plan, PlanRequest
from drrobot_ros.control.points.lucas_kanade import track_points
from drrobot_ros.control.points.robot_points import RobotPoints, visible_points
from drrobot_ros.control.points.track_set import TrackSet
from drrobot_ros.control.track_motion import TrackMotion
from drrobot_ros.simulation import SinusoidMotion

SEEDS = (0,) if QUICK else (0, 1, 2, 3)
FRAMES = 20 if QUICK else 60
RATE_HZ = 30.0
CONFIG = PlanConfig(budget_s=0.0, self_collision=0.0)


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


def squared_chamfer(scene: Scene, details: TrackMotion, q: np.ndarray) -> float:
    """Return the Chamfer distance of squares, px^2, mean over time, of a motion [T,nq]."""
    own, _, _ = details.points.project(scene.model, q, scene.view)
    found = []
    for t in range(len(q)):
        theirs = details.used[t][np.isfinite(details.used[t]).all(-1)]
        mine = own[t] if details.visible is None else own[t][details.visible[t]]
        if len(mine) and len(theirs):
            both = KDTree(theirs).query(mine)[0], KDTree(mine).query(theirs)[0]
            found.append(sum(float(np.square(d).mean()) for d in both))
    return float(np.mean(found))


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
        ratios, ends = [], []
        for seed in SEEDS:
            tracks = surface_tracks(source, motion_of(source, seed, 0.6))
            goal = TracksGoal(tracks, correspondence="chamfer")
            plan = other.planner.plan(
                PlanRequest([goal], other.home, [other.view], other.free_joints, CONFIG)
            )
            details = plan.details
            assert isinstance(details, TrackMotion)
            ends.append((details.start_chamfer_px, details.chamfer_px))
            still = np.tile(other.home, (len(plan.q), 1))
            before, after = (squared_chamfer(other, details, q) for q in (still, plan.q))
            ratios.append(before / after)
        bench.add(
            f"tracks: Panda's retargeted to {name}, Chamfer distance falls",
            round(float(np.median([a / b for a, b in ends])), 2),
            "times",
            floor=5.0,
            better="higher",
            from_to_px=[[round(float(x), 1) for x in pair] for pair in ends],
        )
        bench.add(
            f"tracks: Panda's retargeted to {name}, Chamfer distance of squares falls",
            round(float(np.median(ratios)), 2),
            "times",
            better="higher",
            each=[round(float(r), 2) for r in ratios],
        )
        other.simulation.close()
