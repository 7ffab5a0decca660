"""Calibration in simulation: camera and offsets together, lag, camera on the arm, two cameras.

A simulated Panda in a room, twelve keyframes with given masks and smooth edges as a real lens
gives them, readings wrong by up to 2 degrees (constant) and 0.05 degrees (noise), cameras 10 cm and
5 degrees off at the start. ``make bench NAME=calibration``.
"""

import argparse
import dataclasses
import os
import sys
import time

import numpy as np
import torch
from common import QUICK, ROOT, Benchmark

from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.calibration import (
    CalibrationCamera,
    CalibrationConfig,
    CalibrationResult,
    Verdict,
    calibrate,
)
from drrobot_ros.estimation.manifold import exp_se3, inverse_se3, quat_from_matrix, quat_log
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(640, 480, np.radians(45))
WIDE = PinholeCamera.from_fov(480, 480, np.radians(60))
VIEWS = 8
KEYFRAMES = 12
SPLATS = 20000
NOISE_RAD = np.radians(0.05)
LAG_S = 0.04
AT = (0.2, 0.0, 0.42)
HOME = np.array([0.0, -0.3, 0.0, -2.0, 0.0, 1.9, 0.78])
SPREAD = np.array([0.7, 0.45, 0.45, 0.6, 0.7, 0.8, 1.2])
SCENE = SceneConfig(background="room", noise=0.01, samples=4, shadow_map_px=512)


@dataclasses.dataclass(frozen=True)
class Set:
    """Keyframes of one view: true joints [m,nq], offsets [nv], readings [m,nq]."""

    q: np.ndarray
    offsets: np.ndarray
    read: np.ndarray


def robot() -> tuple[RobotModel, GaussianRobot]:
    """Return the Panda and its splats."""
    beside = ROOT.parent / "shared" / "data" / "menagerie"
    if beside.is_dir():
        os.environ.setdefault("DRROBOT_MENAGERIE", str(beside))
    model = RobotModel.load("franka_emika_panda")
    return model, GaussianRobot.from_model(model, count=SPLATS, seed=0)


def keyframes(model: RobotModel, seed: int) -> Set:
    """Return poses and wrong readings."""
    rng = np.random.default_rng(seed)
    offsets = np.zeros(model.nv)
    offsets[:7] = np.radians(rng.uniform(-2, 2, 7))
    q = np.tile(np.asarray(model.neutral(), np.float64), (KEYFRAMES, 1))
    q[:, :7] = HOME + SPREAD * rng.uniform(-1, 1, (KEYFRAMES, 7))
    q[:, 7:] = 0.02
    q[:, :7] = np.clip(q[:, :7], model.lower[:7] + 0.06, model.upper[:7] - 0.06)
    noise = np.zeros_like(q)
    noise[:, :7] = NOISE_RAD * rng.normal(size=(KEYFRAMES, 7))
    return Set(q, offsets, q - offsets + noise)


def eye(k: int) -> np.ndarray:
    """Return the pose of view k, around the robot."""
    rng = np.random.default_rng(100 + k)
    azimuth = np.radians(-150 + 300 * k / (VIEWS - 1))
    radius, height = rng.uniform(1.3, 1.8), rng.uniform(0.5, 1.3)
    return look_at((0.2 + radius * np.cos(azimuth), radius * np.sin(azimuth), height), AT)


def off(T: np.ndarray, seed: int, shift_m: float = 0.10, turn_deg: float = 5.0) -> np.ndarray:
    """Return a pose moved by so much in a random direction."""
    rng = np.random.default_rng(seed)
    shift, axis = rng.normal(size=(2, 3))
    out = T.copy()
    out[:3, 3] += shift_m * shift / np.linalg.norm(shift)
    turn = np.concatenate([np.zeros(3), np.radians(turn_deg) * axis / np.linalg.norm(axis)])
    out[:3, :3] = T[:3, :3] @ exp_se3(turn)[:3, :3]
    return out


def pictures(
    model: RobotModel,
    data: Set,
    camera: PinholeCamera,
    poses: list[np.ndarray],
    seed: int,
    name: str | None = None,
) -> list[Observation]:
    """Return what a camera sees of every keyframe, from one pose or one per keyframe."""
    scene = dataclasses.replace(SCENE, seed=seed)
    out = []
    with SimulatedRobot(model, camera, poses[0], scene) as simulated:
        for i, q in enumerate(data.q):
            frame = simulated.render(q, T_base_camera=poses[i % len(poses)])
            seen = Observation(frame.rgb, camera, float(i), data.read[i], mask=frame.mask)
            out.append(dataclasses.replace(seen, camera_name=name))
    return out


def twist(T: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the error (v, w) [6] of a pose in its own frame, m and rad."""
    local = inverse_se3(T) @ true
    return np.concatenate([local[:3, 3], quat_log(quat_from_matrix(local[:3, :3]))])


def size(error: np.ndarray) -> tuple[float, float]:
    """Return millimetres and degrees of a twist."""
    return 1e3 * float(np.linalg.norm(error[:3])), float(np.degrees(np.linalg.norm(error[3:])))


def config(width: int, **more: object) -> CalibrationConfig:
    """Return the settings, the same for every row."""
    base = CalibrationConfig(fine_width=width, encoder_sigma_rad=float(NOISE_RAD))
    return dataclasses.replace(base, **more)


def views(bench: Benchmark, model: RobotModel, splats: GaussianRobot, count: int) -> None:
    """Offsets and camera from every view."""
    cameras, joints, sigmas, seconds, good = [], [], [], [], 0
    for k in range(count):
        data, T = keyframes(model, k), eye(k)
        images = pictures(model, data, CAMERA, [T], k)
        started = time.process_time()
        found: CalibrationResult = calibrate(
            model,
            splats,
            images,
            CalibrationCamera(off(T, k)),
            config(320 if QUICK else 640),
            joints=model.joint_names[:7],
        )
        seconds.append(time.process_time() - started)
        camera = found.cameras["camera"]
        error = twist(camera.T, T)
        offset = (found.offsets - data.offsets)[:7]
        good += found.verdict is Verdict.GOOD
        cameras.append(size(error))
        joints.append(np.degrees(np.abs(offset[:6])))
        sigmas += [error / np.sqrt(np.diag(camera.covariance)), offset / found.offset_std[:7]]
        print(
            f"    view {k}: {cameras[-1][0]:.1f} mm {cameras[-1][1]:.2f} deg, offsets",
            joints[-1].round(3),
            found.verdict.value,
            flush=True,
        )
    worst = np.max(cameras, 0)
    label = f"{KEYFRAMES} keyframes, offsets + camera, worst of {count} views"
    per_view = [[round(float(x), 2) for x in c] for c in cameras]
    mm, deg = float(worst[0]), float(worst[1])
    bench.add(f"{label}: camera", round(mm, 2), "mm", floor=5.0, per_view_mm_deg=per_view)
    bench.add(f"{label}: camera", round(deg, 3), "deg", floor=0.2)
    middle = [round(float(np.median(j)), 3) for j in joints]
    bench.add(
        f"{label}: offsets, median of joints 1-6",
        float(max(middle)),
        "deg",
        floor=0.1,
        per_view=middle,
        largest=[round(float(j.max()), 3) for j in joints],
    )
    inside = np.abs(np.concatenate(sigmas))
    bench.add(
        "errors of offsets and camera within 1 sigma",
        round(float((inside < 1).mean()), 3),
        "of 1",
        better="higher",
        within_2_sigma=round(float((inside < 2).mean()), 3),
    )
    bench.add(f"verdict good, of {count} views", good, "", floor=count, better="higher")
    bench.add("one view: CPU time", round(float(np.median(seconds)), 1), "s")


def lag(bench: Benchmark, model: RobotModel, splats: GaussianRobot) -> None:
    """The images are 40 ms late on a moving arm."""
    data, T = keyframes(model, 1), eye(1)
    rng = np.random.default_rng(5)
    velocity = np.zeros_like(data.q)
    velocity[:, :7] = rng.uniform(-0.6, 0.6, (KEYFRAMES, 7))
    late = dataclasses.replace(data, read=data.read + data.offsets - LAG_S * velocity)
    images = [
        dataclasses.replace(o, joint_velocities=v)
        for o, v in zip(pictures(model, late, CAMERA, [T], 1), velocity, strict=True)
    ]
    settings = config(320, estimate_lag=True, estimate_offsets=False)
    found = calibrate(model, splats, images, CalibrationCamera(off(T, 1)), settings)
    camera = found.cameras["camera"]
    mm, deg = size(twist(camera.T, T))
    bench.add(
        f"lag of {1e3 * LAG_S:.0f} ms and camera, arm at up to 0.6 rad/s: error of the lag",
        round(1e3 * abs(camera.lag_s - LAG_S), 2),
        "ms",
        std_ms=round(1e3 * camera.lag_std_s, 2),
        camera_mm=round(mm, 2),
        camera_deg=round(deg, 3),
    )


def on_the_arm(bench: Benchmark, model: RobotModel, splats: GaussianRobot) -> None:
    """A camera carried by the third link looks at the forearm, the hand and the base."""
    data = keyframes(model, 2)
    link = model.link_names[3]
    T_link = model.forward_kinematics(torch.from_numpy(data.q)).numpy()[:, 3]
    first = look_at(T_link[0, :3, 3] + np.array([0.35, 0.45, 0.35]), (0.3, 0.0, 0.4))
    T = inverse_se3(T_link[0]) @ first
    exact = dataclasses.replace(data, read=data.read + data.offsets)
    images = pictures(model, exact, CAMERA, [x @ T for x in T_link], 2)
    start = CalibrationCamera(off(T, 2, 0.05, 3.0), link=link)
    found = calibrate(model, splats, images, start, config(320, estimate_offsets=False))
    mm, deg = size(twist(found.cameras["camera"].T, T))
    label = "camera on a link, 5 cm and 3 degrees off"
    bench.add(f"{label}: position", round(mm, 2), "mm")
    bench.add(f"{label}: orientation", round(deg, 3), "deg")


def two_cameras(bench: Benchmark, model: RobotModel, splats: GaussianRobot) -> None:
    """Two cameras of different intrinsics at once, with offsets."""
    data = keyframes(model, 3)
    poses = {"left": eye(2), "right": eye(5)}
    both = [
        list(pair)
        for pair in zip(
            pictures(model, data, CAMERA, [poses["left"]], 3, "left"),
            pictures(model, data, WIDE, [poses["right"]], 4, "right"),
            strict=True,
        )
    ]
    start = {name: CalibrationCamera(off(T, i)) for i, (name, T) in enumerate(poses.items())}
    found = calibrate(model, splats, both, start, config(480), joints=model.joint_names[:7])
    errors = [size(twist(found.cameras[name].T, T)) for name, T in poses.items()]
    label = "two cameras (640x480 at 45 degrees, 480x480 at 60) and offsets"
    bench.add(f"{label}: worse position", round(max(e[0] for e in errors), 2), "mm")
    bench.add(f"{label}: worse orientation", round(max(e[1] for e in errors), 3), "deg")
    offset = np.degrees(np.abs(found.offsets - data.offsets))[:6]
    bench.add(f"{label}: offsets, median of joints 1-6", round(float(np.median(offset)), 3), "deg")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, default=1 if QUICK else VIEWS)
    parts = ("lag", "on_the_arm", "two_cameras", "views", "cases")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    options = parser.parse_args()
    count = options.views
    torch.set_num_threads(1)
    bench = Benchmark(
        "calibration", keyframes=KEYFRAMES, views=count, splats=SPLATS, start="10 cm, 5 degrees"
    )
    model, splats = robot()
    for part in (lag, on_the_arm, two_cameras):
        if part.__name__ in options.parts and not QUICK:
            part(bench, model, splats)
    if "views" in options.parts:
        views(bench, model, splats, count)
    if "cases" in options.parts and not QUICK:
        from calibration_cases import cases

        cases(bench, model, splats, count)
    return bench.finish(keep_others=len(options.parts) < len(parts))


if __name__ == "__main__":
    sys.exit(main())
