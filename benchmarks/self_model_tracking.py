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
FRAMES, SETTLE = (12, 6) if QUICK else (32, 12)
START_DEG = 10.0
SPLATS = 8000
# Robots and the poses around which they move.
ARMS = {
    "franka_emika_panda": [0, -0.3, 0, -2.0, 0, 1.9, 0.78, 0.04],
    "universal_robots_ur5e": [0.3, -1.3, 1.4, -1.2, -1.3, 0.2],
}
# Colour residuals and how far a colour is trusted; each model is judged by what suits it best.
RESIDUALS = {
    "default": TrackerConfig(budget_ms=0.0),
    "photometric": TrackerConfig(budget_ms=0.0, color_residual="photometric", color_sigma=0.04),
}
# The light of the views it was trained on; and a room with other lamps that cast shadows.
SCENES = ("same light", "room")


def videos(model: RobotModel, center: list[float], count: int, room: bool) -> list[list[Any]]:
    """Render videos of a moving robot."""
    T = look_at((1.35, -0.75, 0.8), (0.12, 0.0, 0.4))
    clips = []
    for seed in range(count):
        motion = SinusoidMotion(
            model, amplitude=0.4, period_s=6.0, seed=seed, center=np.array(center)
        )
        plain = SceneConfig(background="plain", background_grey=0.6, shadows=False, seed=seed)
        lamp = -0.2 + 1.5 * (seed + 1)
        furnished = SceneConfig(seed=seed, shadow_map_px=512, lamp_azimuth_rad=lamp)
        with SimulatedRobot(model, CAMERA, T, furnished if room else plain) as robot:
            clips.append([robot.render(np.asarray(motion(i / RATE_HZ))) for i in range(FRAMES)])
    return clips


def errors_deg(
    model: RobotModel,
    gaussians: GaussianRobot,
    clips: list[list[Any]],
    masked: bool,
    config: TrackerConfig,
) -> np.ndarray:
    """Return absolute errors [frames, 6] of the first six joints, deg."""
    tracker = Tracker(model, gaussians, config)
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
    """Return a robot and one video of it in a room."""
    model = RobotModel.load(menagerie / name / MAIN_FILES[name])
    return model, videos(model, ARMS[name], 1, room=True)


def median_error_deg(name: str, menagerie: Path, trained: Path) -> float:
    """Return the median joint error of one video with the mask given, deg."""
    model, clips = one_video(name, menagerie)
    errors = errors_deg(model, GaussianRobot.load(trained), clips, True, RESIDUALS["default"])
    return round(float(np.median(errors)), 4)


def measure(name: str, menagerie: Path, trained: Path) -> dict[str, dict[str, Any]]:
    """Return the median joint errors by scene and mask, deg: of each model, its best residual."""
    model = RobotModel.load(menagerie / name / MAIN_FILES[name])
    subjects = {
        "untrained": GaussianRobot.from_model(model, SPLATS),
        "trained": GaussianRobot.load(trained),
    }
    result: dict[str, dict[str, Any]] = {}
    for scene in SCENES[: 1 if QUICK else None]:
        clips = videos(model, ARMS[name], 1, scene == "room")
        for masked in (True,) if QUICK else (True, False):
            row: dict[str, Any] = {}
            for label, gaussians in subjects.items():
                medians = {
                    residual: float(np.median(errors_deg(model, gaussians, clips, masked, config)))
                    for residual, config in RESIDUALS.items()
                }
                best = min(medians, key=medians.__getitem__)
                row[f"{label}_deg"], row[f"{label}_residual"] = round(medians[best], 4), best
                row[f"{label}_all"] = {k: round(v, 4) for k, v in medians.items()}
            result[f"{scene}, {'mask given' if masked else 'no mask'}"] = row
    return result
