"""Adaptation to a real camera: joints and camera pose from photos, with and without it.

Ten photos of an xArm7 (DRROBOT_PHOTOS, else ../shared/data/xarm7_realsense); albedo, light and
background are learned from five of them and judged on the other five, then the other way round.
Only colour images are used to judge: no mask and no depth. Encoders are the truth of the joints;
that of the camera is an estimate good to about 1 cm, so distances below that say nothing.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import QUICK, ROOT, Benchmark

from drrobot_ros.estimation import Observation, Tracker, TrackerConfig
from drrobot_ros.estimation.manifold import exp_se3
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.rendering import render_robot
from drrobot_ros.robot import RobotModel
from drrobot_ros.splats import GaussianRobot
from drrobot_ros.training.adaptation import Adapted, PosedPhoto, adapt
from drrobot_ros.training.metrics import psnr_inside

START_DEG = 2.0
START_CAMERA_M, START_CAMERA_DEG = 0.03, 1.5
EVEN, ODD = (0, 2, 4, 6, 8), (1, 3, 5, 7, 9)
JUDGED = slice(0, 6)  # the last joint turns a flange that looks the same all round
WAYS: dict[str, dict[str, Any]] = {
    "default": {},
    "silhouette only": {"color_residual": "off"},
    "adapted": {"color_residual": "photometric", "color_sigma": 0.06},
}


def photos_root() -> Path:
    """Return the folder of the photos."""
    named = os.environ.get("DRROBOT_PHOTOS")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "xarm7_realsense"


def load_photos(root: Path) -> list[PosedPhoto]:
    """Return the photos with the encoders' joints and the reference camera pose."""
    import cv2

    K = np.array([[908.302, 0, 642.962], [0, 908.293, 372.732], [0, 0, 1.0]])
    camera = PinholeCamera(K, 1280, 720)
    T = np.loadtxt(root / "T_base_camera_hydra.csv", delimiter=",").reshape(4, 4)
    q = np.genfromtxt(root / "joint_positions_rad.csv", delimiter=",", skip_header=1)[:, -7:]
    result = []
    for i in range(len(q)):
        image = cv2.imread(str(root / f"image_{i}.png"))
        assert image is not None
        mask = cv2.imread(str(root / f"mask_{i}.png"), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        result.append(PosedPhoto(rgb, camera, q[i], T, mask > 127))
    return result


def observation(photo: PosedPhoto, stamp: float, joints: bool = False) -> Observation:
    """Return a photo as the tracker takes it: colours only."""
    known = photo.q if joints else None
    return Observation(photo.image, photo.camera, stamp, joint_positions=known)


def joint_error(tracker: Tracker, photo: PosedPhoto, seed: int, known: list[PosedPhoto]) -> float:
    """Return the mean joint error in degrees from a start that is off by START_DEG per joint."""
    sign = np.random.default_rng(seed).choice([-1, 1], len(photo.q))
    tracker.reset(photo.q + np.radians(START_DEG) * sign, photo.T_base_camera)
    for other in known:
        tracker.learn_background(observation(other, 0.0), other.q)
    for k in range(3):
        estimate = tracker.update(observation(photo, float(k)))
    return float(np.degrees(np.abs(estimate.q - photo.q))[JUDGED].mean())


def camera_error(tracker: Tracker, photo: PosedPhoto, seed: int, known: list[PosedPhoto]) -> float:
    """Return the camera's distance from the reference in mm, joints known.

    The background is learned with the wrong camera pose of the start.
    """
    rng = np.random.default_rng(seed)
    v, w = (x / np.linalg.norm(x) for x in rng.normal(size=(2, 3)))
    twist = np.r_[START_CAMERA_M * v, np.radians(START_CAMERA_DEG) * w]
    tracker.reset(photo.q, photo.T_base_camera @ exp_se3(twist))
    for other in known:
        tracker.learn_background(observation(other, 0.0), other.q)
    for k in range(3):
        estimate = tracker.update(observation(photo, float(k), joints=True))
    return 1e3 * float(np.linalg.norm(estimate.T_base_camera[:3, 3] - photo.T_base_camera[:3, 3]))


def inside(model: RobotModel, gaussians: Any, photo: PosedPhoto) -> float:
    """Return the PSNR in dB over the pixels of the robot, at 640 px."""
    import cv2

    camera = photo.camera.resized(640, 360)
    small = cv2.resize(photo.image, (640, 360), interpolation=cv2.INTER_AREA)
    assert photo.mask is not None
    mask = cv2.resize(photo.mask.astype(np.uint8), (640, 360), interpolation=cv2.INTER_NEAREST)
    target = torch.from_numpy(small.astype(np.float32) / 255)
    with torch.no_grad():
        rgb, alpha, _ = render_robot(model, gaussians, photo.q, photo.T_base_camera, camera, target)
    return psnr_inside(rgb, target, torch.from_numpy(mask > 0) & (alpha > 0.9))


def main() -> int:
    """Measure and print."""
    torch.set_num_threads(1)
    root = photos_root()
    if not root.is_dir():
        print(f"no photos at {root}: set DRROBOT_PHOTOS")
        return 0
    file = root.parent / "menagerie" / "ufactory_xarm7" / "xarm7_nohand.xml"
    model = RobotModel.load(os.environ.get("DRROBOT_PHOTOS_ROBOT") or file)
    plain = GaussianRobot.from_model(model, 8000)
    photos = load_photos(root)
    seeds = 1 if QUICK else 3
    bench = Benchmark("adaptation", photos=len(photos), seeds=seeds, start_deg=START_DEG)
    errors: dict[str, list[float]] = {name: [] for name in WAYS}
    same_background: list[float] = []
    cameras: dict[str, list[float]] = {"default": [], "adapted": []}
    decibels: dict[str, list[float]] = {"before": [], "after": []}
    spent: list[float] = []
    for fit, judged in ((EVEN, ODD), (ODD, EVEN)):
        known = [photos[i] for i in fit]
        started = time.process_time()
        blind = [PosedPhoto(p.image, p.camera, p.q, p.T_base_camera) for p in known]
        adapted: Adapted = adapt(model, plain, blind)
        spent.append(time.process_time() - started)
        for name, settings in WAYS.items():
            gaussians = adapted.gaussians if name == "adapted" else plain
            config = TrackerConfig(
                budget_ms=0.0, search_hypotheses=0, learn_background=False, **settings
            )
            tracker = Tracker(model, gaussians, config)
            for i in judged:
                for seed in range(seeds):
                    background = known if name == "adapted" else []
                    errors[name].append(joint_error(tracker, photos[i], 100 * seed + i, background))
                    if name == "default":
                        same_background.append(
                            joint_error(tracker, photos[i], 100 * seed + i, known)
                        )
        for name, gaussians in (("default", plain), ("adapted", adapted.gaussians)):
            config = TrackerConfig(
                budget_ms=0.0,
                estimate_joints=False,
                estimate_camera=True,
                learn_background=False,
                **WAYS["adapted"] if name == "adapted" else {},
            )
            tracker = Tracker(model, gaussians, config)
            cameras[name] += [camera_error(tracker, photos[i], i, known) for i in judged]
            key = "after" if name == "adapted" else "before"
            decibels[key] += [inside(model, gaussians, photos[i]) for i in judged]
    bench.add("adapting to five photos, CPU time", float(np.mean(spent)), "s")
    for key, values in decibels.items():
        bench.add(f"PSNR inside the robot, {key}", float(np.mean(values)), "dB", better="higher")
    for name, values in (*errors.items(), ("default, background known", same_background)):
        bench.add(f"joints 1-6, {name}: median", float(np.median(values)), "deg")
        bench.add(f"joints 1-6, {name}: worst tenth", float(np.quantile(values, 0.9)), "deg")
    for statistic, of in (("median", np.median), ("worst tenth", lambda v: np.quantile(v, 0.9))):
        ratio = float(of(errors["adapted"]) / of(errors["default"]))
        bench.add(f"joints 1-6, adapted over default: {statistic}", ratio, "", floor=1.0)
    for name, values in cameras.items():
        bench.add(
            f"camera from one photo, {name}, background known: median",
            float(np.median(values)),
            "mm",
        )
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
