"""Constant encoder errors of 1 to 3 degrees, found from images: ``make bench NAME=image_offsets``.

A simulated arm stands in front of a known camera in varied poses; every joint's reading is wrong by
a constant. Judged with given masks; without them the robot is told from the room by colour.
"""

import os
import sys
import time
from pathlib import Path

import numpy as np
from common import QUICK, ROOT, Benchmark

from drrobot_ros.demo.arm import arm_urdf, models_folder
from drrobot_ros.errors import DrRobotError
from drrobot_ros.estimation import Observation
from drrobot_ros.estimation.offsets import OffsetConfig, OffsetResult, find_joint_offsets
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.menagerie import find_robot
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

CAMERA = PinholeCamera.from_fov(640, 480, np.radians(45))
POSES = 12 if QUICK else 20
SPLATS = 20000
PANDA = "franka_emika_panda"
ARM = ROOT / "models" / "six_axis_arm" / "six_axis_arm.urdf"
#: Joints 1 to 6 about which the poses are drawn, and where the camera stands and looks (m).
VIEWS = {
    "Panda": ([0.0, 0.0, 0.0, -1.9, 0.0, 1.9], (1.5, 0.9, 0.85), (0.2, 0.0, 0.42)),
    "UR5e": ([0.0, -1.3, 1.3, -1.2, -1.2, 0.0], (1.5, 0.9, 0.85), (0.15, 0.0, 0.35)),
    "six-axis arm": ([0.0, -0.6, 1.0, 0.3, 0.7, -0.3], (1.35, 0.75, 0.75), (0.1, 0.0, 0.35)),
}
SPREAD_RAD = np.array([0.7, 0.45, 0.45, 0.7, 0.7, 1.2])


def robots() -> list[tuple[str, str | Path]]:
    """Return name and source of the robots at hand, the judged one first."""
    beside = ROOT.parent / "shared" / "data" / "menagerie"
    if beside.is_dir():
        os.environ.setdefault("DRROBOT_MENAGERIE", str(beside))
    found: list[tuple[str, str | Path]] = [("six-axis arm", ARM)]
    if models_folder() is not None:  # with a gripper: nobody sees a bare flange turn
        found.insert(0, ("UR5e", arm_urdf()))
    try:
        find_robot(PANDA)
        found.insert(0, ("Panda", PANDA))
    except DrRobotError:
        print(f"without the Panda: no {PANDA} (set DRROBOT_MENAGERIE)")
    return found[:1] if QUICK else found


def observe(
    name: str, model: RobotModel, count: int, seed: int
) -> tuple[list[Observation], np.ndarray, np.ndarray]:
    """Return images with masks and wrong readings, the true offsets and the camera's pose."""
    home, eye, at = VIEWS[name]
    rng = np.random.default_rng(seed)
    offsets = np.zeros(model.nq)
    offsets[:6] = np.radians(rng.uniform(1, 3, 6)) * rng.choice([-1, 1], 6)
    T = look_at(eye, at)
    out = []
    with SimulatedRobot(model, CAMERA, T, SceneConfig(background="room", noise=0.01)) as robot:
        for _ in range(count):
            q = np.asarray(model.neutral(), np.float64).copy()
            q[:6] = home + SPREAD_RAD * rng.uniform(-1, 1, 6)
            margin = np.where(np.isfinite(model.upper), 0.06, 0.0)
            q = np.clip(q, model.lower + margin * (q != 0), model.upper - margin * (q != 0))
            frame = robot.render(q)
            out.append(Observation(frame.rgb, CAMERA, 0.0, q - offsets, mask=frame.mask))
    return out, offsets, T


def add(
    bench: Benchmark, name: str, kind: str, result: OffsetResult, truth: np.ndarray, judged: bool
) -> None:
    """Add the largest error of joints 1 to 6."""
    error = np.degrees(np.abs(result.offsets - truth))[:6]
    bench.add(
        f"{name}: {kind}, largest error of joints 1-6",
        round(float(error.max()), 4),
        "deg",
        floor=0.1 if judged else None,
        errors=[round(float(e), 4) for e in error],
        offsets=[round(float(x), 3) for x in np.degrees(truth[:6])],
        std=[round(float(s), 4) for s in np.degrees(result.std[:6])],
        stop=result.stop_reason.value,
        evaluations=result.iterations,
        residual=[round(float(r.mean()), 4) for r in (result.residuals_before, result.residuals)],
    )
    print("   ", bench.rows[-1]["errors"], "std", bench.rows[-1]["std"], bench.rows[-1]["stop"])


def main() -> int:
    """Run the benchmark."""
    bench = Benchmark("image_offsets", poses=POSES, splats=SPLATS, width=CAMERA.width)
    for name, source in robots():
        model = RobotModel.load(source)
        gaussians = GaussianRobot.from_model(model, count=SPLATS, seed=0)
        joints = model.joint_names[:6]
        observations, truth, T = observe(name, model, POSES, seed=1)
        bare = [Observation(o.image, CAMERA, 0.0, o.joint_positions) for o in observations]
        for kind, images in (("given masks", observations), ("no masks", bare)):
            started = time.perf_counter()
            result = find_joint_offsets(model, gaussians, images, T, OffsetConfig(), joints=joints)
            seconds = time.perf_counter() - started
            add(bench, name, kind, result, truth, kind == "given masks")
            bench.add(f"{name}: {kind}, time", round(seconds, 1), "s")
    return bench.finish()


if __name__ == "__main__":
    sys.exit(main())
