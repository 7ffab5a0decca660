"""Tracking in simulation: joint errors, coverage of the standard deviations, time per image.

Rendered videos of moving arms in a room, known camera, no training, every joint ten degrees off at
the start; once with the silhouette given as a mask and once found by colours. A robot without the
data at hand is left out, and said so.
"""

import os
import sys
from pathlib import Path

import numpy as np
import torch
from common import QUICK, ROOT, Benchmark
from tqdm import tqdm

from drrobot_ros.estimation import Observation, Tracker, TrackerConfig
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot, SinusoidMotion
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
RATE_HZ = 30
FRAMES = 60
SETTLE = 15  # images left to converge before errors count
ROBOTS = {
    "Panda": ("franka_emika_panda/panda.xml", [0, -0.3, 0, -2.0, 0, 1.9, 0.78, 0.04]),
    "UR5e": ("universal_robots_ur5e/ur5e.xml", [0.3, -1.3, 1.4, -1.2, -1.3, 0.2]),
}


def menagerie() -> Path:
    """Return the folder of the Menagerie's robots."""
    named = os.environ.get("DRROBOT_MENAGERIE")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "menagerie"


def arms() -> dict[str, tuple[RobotModel, np.ndarray]]:
    """Return the robots at hand and a pose around which each moves."""
    found = {}
    for name, (file, center) in ROBOTS.items():
        path = menagerie() / file
        if path.is_file():
            found[name] = (RobotModel.load(path), np.array(center))
        else:
            print(f"{name}: left out, no file {path}; set DRROBOT_MENAGERIE")
    model = RobotModel.load(ROOT / "models" / "six_axis_arm" / "six_axis_arm.urdf")
    found["six-axis arm"] = (model, np.array([0.2, -0.6, 1.0, 0.3, 0.7, -0.3]))
    return found


def record(model: RobotModel, center: np.ndarray, T_base_camera: np.ndarray, seed: int) -> list:
    """Render one video."""
    motion = SinusoidMotion(model, amplitude=0.4, period_s=6.0, seed=seed, center=center)
    scene = SceneConfig(seed=seed, shadows=True, shadow_map_px=512)
    robot = SimulatedRobot(model, CAMERA, T_base_camera, scene)
    frames = [robot.render(np.asarray(motion(i / RATE_HZ))) for i in range(FRAMES)]
    robot.close()
    return frames


def follow(tracker: Tracker, frames: list, masked: bool, seed: int) -> dict[str, np.ndarray]:
    """Track one video; return errors [F,nv] deg, errors in sigmas, and times."""
    start = frames[0].q + np.radians(10) * np.random.default_rng(seed).choice(
        [-1, 1], len(frames[0].q)
    )
    tracker.reset(start, frames[0].T_base_camera)
    errors, sigmas, times = [], [], []
    for i, frame in enumerate(frames):
        mask = frame.mask if masked else None
        estimate = tracker.update(Observation(frame.rgb, CAMERA, i / RATE_HZ, mask=mask))
        error = estimate.q - frame.q
        errors.append(np.degrees(np.abs(error)))
        sigmas.append(np.abs(error) / np.maximum(estimate.q_std, 1e-9))
        times.append(estimate.solve_time_s)
    return {
        "errors": np.array(errors)[SETTLE:],
        "sigmas": np.array(sigmas)[SETTLE:],
        "times": np.array(times)[1:],
    }


def main() -> int:
    """Measure; return the exit status."""
    torch.set_num_threads(1)
    videos = 1 if QUICK else 4
    bench = Benchmark(
        "tracking",
        width=CAMERA.width,
        height=CAMERA.height,
        videos=videos,
        frames=FRAMES,
        start_deg=10,
        training="none",
    )
    T_base_camera = look_at((1.35, -0.75, 0.8), (0.12, 0.0, 0.4))
    config = TrackerConfig(budget_ms=0.0)
    for name, (model, center) in arms().items():
        tracker = Tracker(model, GaussianRobot.from_model(model, 8000), config)
        clips = [
            record(model, center, T_base_camera, seed)
            for seed in tqdm(range(videos), desc=f"{name}: rendering", disable=None)
        ]
        for masked, label in ((True, "mask given"), (False, "no mask")):
            runs = [follow(tracker, clip, masked, seed) for seed, clip in enumerate(clips)]
            errors = np.concatenate([r["errors"] for r in runs])[:, :6]
            sigmas = np.concatenate([r["sigmas"] for r in runs])[:, :6]
            times = np.concatenate([r["times"] for r in runs])
            where = f"{name}, {label}"
            bench.add(
                f"{where}: joints 1-6, median",
                round(float(np.median(errors)), 3),
                "deg",
                floor=1.5,
                p90=round(float(np.percentile(errors, 90)), 3),
                per_joint=[round(float(x), 3) for x in np.median(errors, 0)],
            )
            bench.add(
                f"{where}: errors within 1 sigma",
                round(float((sigmas < 1).mean()), 3),
                "of 1",
                better="higher",
                within_2_sigma=round(float((sigmas < 2).mean()), 3),
            )
            bench.add(f"{where}: time per image", round(1e3 * float(np.median(times)), 2), "ms")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
