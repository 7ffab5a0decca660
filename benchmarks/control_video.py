"""Joint trajectories from videos of a robot; the camera is known only roughly.

MuJoCo renders a moving arm in a lit room (60 images, 320x240, 30 Hz). What is told: intrinsics, a
camera pose 5 cm and 3 degrees off, a first pose 10 degrees off in every joint. Untrained splats, no
encoders, no mask.
"""

import time

import numpy as np
from common import QUICK, Benchmark
from control_scenes import Scene, make_scene
from control_tracks import FRAMES, RATE_HZ, motion_of
from tqdm import tqdm

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.goals import VideoGoal
from drrobot_ros.control.plan_config import PlanConfig
from drrobot_ros.control.planning import PlanRequest
from drrobot_ros.control.video import VideoMotion
from drrobot_ros.estimation.manifold import exp_se3

SEEDS = (0,) if QUICK else (0, 1, 2, 3)
CAMERA_M, CAMERA_DEG, JOINTS_DEG = 0.05, 3.0, 10.0


def read(scene: Scene, seed: int, camera_known: bool = False) -> dict[str, np.ndarray]:
    """Return errors [T,n] deg smoothed and raw, claimed deviations, camera error mm, CPU s."""
    truth = motion_of(scene, seed)
    images = [scene.simulation.render(q, truth=False).rgb for q in truth]
    rng = np.random.default_rng(seed)
    shift, turn = rng.normal(size=(2, 3))
    twist = np.concatenate(
        [
            CAMERA_M * shift / np.linalg.norm(shift),
            np.radians(CAMERA_DEG) * turn / np.linalg.norm(turn),
        ]
    )
    T = scene.view.T_base_camera
    told = T if camera_known else T @ exp_se3(twist)
    limits = scene.planner.gate.limits
    wrong = truth[0] + np.radians(JOINTS_DEG) * rng.choice([-1, 1], scene.model.nq)
    start = np.where(scene.arm, np.clip(wrong, limits.lower, limits.upper), truth[0])
    request = PlanRequest(
        [VideoGoal(images, RATE_HZ, camera_known=camera_known)],
        start,
        [Viewpoint(scene.view.camera, told)],
        scene.free_joints,
        PlanConfig(budget_s=0.0, self_collision=0.0, start_spread=0.2),
    )
    cpu = time.process_time()
    plan = scene.planner.plan(request)
    cpu = time.process_time() - cpu
    details = plan.details
    assert isinstance(details, VideoMotion)
    off = np.linalg.inv(T) @ details.T_base_camera
    arm = scene.arm
    return {
        "errors": np.degrees(np.abs(plan.q - truth))[:, arm],
        "raw": np.degrees(np.abs(details.raw - truth))[:, arm],
        "std": np.degrees(details.q_std)[:, arm],
        "camera_mm": np.array(1e3 * np.linalg.norm(off[:3, 3])),
        "cpu_s": np.array(cpu),
        "jerk": np.abs(np.diff(plan.q, 3, axis=0)).mean()
        / np.abs(np.diff(truth, 3, axis=0)).mean(),
    }


def add_rows(bench: Benchmark) -> None:
    """Add the rows."""
    scene = make_scene("Panda")
    for known, what in ((False, "unknown camera"), (True, "known camera")):
        found = [
            read(scene, seed, known)
            for seed in tqdm(SEEDS, desc=f"video, {what}", leave=False, disable=None)
        ]
        errors = np.stack([f["errors"] for f in found])
        by_joint = np.median(errors, axis=(0, 1))
        bench.add(
            f"video: {FRAMES} images, {what}, joints, median",
            round(float(np.median(errors)), 3),
            "deg",
            floor=None if known else 1.0,
            each=[round(float(np.median(f["errors"])), 2) for f in found],
            by_joint=[round(float(e), 2) for e in by_joint],
            p90=round(float(np.percentile(errors, 90)), 2),
            image_by_image=round(float(np.nanmedian(np.stack([f["raw"] for f in found]))), 3),
            camera_mm=[round(float(f["camera_mm"]), 1) for f in found],
            cpu_s=round(float(np.median([f["cpu_s"] for f in found])), 1),
        )
    scene.simulation.close()
