"""Tracking with a trained self-model against the training-free robot, on the same videos."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from common import QUICK

from drrobot_ros.estimation import Observation, Tracker, TrackerConfig
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.menagerie import MAIN_FILES
from drrobot_ros.simulation import SceneConfig, SimulatedRobot, SinusoidMotion
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(320, 240, np.radians(45))
RATE_HZ = 30
FRAMES, SETTLE = 45, 15
START_DEG = 10.0
SPLATS = 8000
# Robots and the poses around which they move.
ARMS = {
    "franka_emika_panda": [0, -0.3, 0, -2.0, 0, 1.9, 0.78, 0.04],
    "universal_robots_ur5e": [0.3, -1.3, 1.4, -1.2, -1.3, 0.2],
}
MODES = ((True, "parts"), (True, "photometric"), (False, "parts"), (False, "photometric"))


def videos(model: RobotModel, center: list[float], count: int) -> list[list[Any]]:
    """Render videos of a moving robot in a room with a lamp that casts shadows."""
    T = look_at((1.35, -0.75, 0.8), (0.12, 0.0, 0.4))
    clips = []
    for seed in range(count):
        motion = SinusoidMotion(
            model, amplitude=0.4, period_s=6.0, seed=seed, center=np.array(center)
        )
        scene = SceneConfig(seed=seed, shadow_map_px=512, lamp_azimuth_rad=-0.2 + 1.5 * seed)
        with SimulatedRobot(model, CAMERA, T, scene) as robot:
            clips.append([robot.render(np.asarray(motion(i / RATE_HZ))) for i in range(FRAMES)])
    return clips


def errors_deg(
    model: RobotModel, gaussians: GaussianRobot, clips: list[list[Any]], masked: bool, residual: str
) -> np.ndarray:
    """Return absolute errors [frames, 6] of the first six joints, deg."""
    tracker = Tracker(model, gaussians, TrackerConfig(budget_ms=0.0, color_residual=residual))
    errors = []
    for seed, clip in enumerate(clips):
        sign = np.random.default_rng(seed).choice([-1, 1], model.nq)
        tracker.reset(clip[0].q + np.radians(START_DEG) * sign, clip[0].T_base_camera)
        for i, frame in enumerate(clip):
            mask = frame.mask if masked else None
            estimate = tracker.update(Observation(frame.rgb, CAMERA, i / RATE_HZ, mask=mask))
            if i >= SETTLE:
                errors.append(np.degrees(np.abs(estimate.q - frame.q))[:6])
    return np.array(errors)


@functools.cache
def one_video(name: str, menagerie: Path) -> tuple[RobotModel, list[list[Any]]]:
    """Return a robot and one video of it."""
    model = RobotModel.load(menagerie / name / MAIN_FILES[name])
    return model, videos(model, ARMS[name], 1)


def median_error_deg(name: str, menagerie: Path, trained: Path) -> float:
    """Return the median joint error of one video with the mask given, deg."""
    model, clips = one_video(name, menagerie)
    errors = errors_deg(model, GaussianRobot.load(trained), clips, *MODES[0])
    return round(float(np.median(errors)), 4)


def measure(name: str, menagerie: Path, trained: Path) -> dict[str, dict[str, float]]:
    """Return median, mean and 90th percentile of the joint errors by mode, deg."""
    model = RobotModel.load(menagerie / name / MAIN_FILES[name])
    clips = videos(model, ARMS[name], 1 if QUICK else 3)
    subjects = {
        "untrained": GaussianRobot.from_model(model, SPLATS),
        "trained": GaussianRobot.load(trained),
    }
    result = {}
    for masked, residual in MODES:
        row = {}
        for label, gaussians in subjects.items():
            errors = errors_deg(model, gaussians, clips, masked, residual)
            row |= {
                f"{label}_median": round(float(np.median(errors)), 4),
                f"{label}_mean": round(float(errors.mean()), 4),
                f"{label}_p90": round(float(np.percentile(errors, 90)), 4),
            }
        result[f"{residual}, {'mask given' if masked else 'no mask'}"] = row
    return result
