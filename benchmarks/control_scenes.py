"""Robots, cameras and goals that the control benchmarks share; MuJoCo renders what is seen."""

import dataclasses
import os
from pathlib import Path

import numpy as np
from common import ROOT

from drrobot_ros.control.candidate import Viewpoint
from drrobot_ros.control.planning import Planner
from drrobot_ros.demo.arm import arm_urdf
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation import SceneConfig, SimulatedRobot
from drrobot_ros.splats import GaussianRobot

EYE, AIM = (1.35, -0.75, 0.8), (0.12, 0.0, 0.4)
#: menagerie file (None: the demo's URDF), middle of its poses, and the joints that a picture shows
ROBOTS = {
    "Panda": ("franka_emika_panda/panda.xml", [0, -0.3, 0, -2.0, 0, 1.9, 0.78, 0.02]),
    "UR5e with tools": (None, [-0.5, -1.6, 1.6, -1.3, -1.57, 0.0]),
    "UR5e": ("universal_robots_ur5e/ur5e.xml", [-0.5, -1.6, 1.6, -1.3, -1.57, 0.0]),
    "xArm7": ("ufactory_xarm7/xarm7_nohand.xml", [0, -0.4, 0, 0.9, 0, 1.2, 0]),
}
GREY = (0.55, 0.6, 0.65)  # white robots must not vanish
_ARM_RANGE = 0.2  # rad: joints of less range are a gripper's, and stay


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A robot in a lit room before a camera.

    Attributes:
        name: of the robot.
        model: the robot.
        planner: with its splats, sampled on its meshes without training.
        simulation: renders it by MuJoCo.
        view: the camera.
        home: middle of its poses [nq].
        arm: which joints are the arm's [nq].
    """

    name: str
    model: RobotModel
    planner: Planner
    simulation: SimulatedRobot
    view: Viewpoint
    home: np.ndarray
    arm: np.ndarray

    @property
    def free_joints(self) -> tuple[str, ...]:
        """Names of the arm's joints."""
        return tuple(n for n, a in zip(self.model.joint_names, self.arm, strict=True) if a)

    def random_pose(self, rng: np.random.Generator, spread: float, room: float) -> np.ndarray:
        """Return a pose [nq] about the middle, `room` away from the limits."""
        limits = self.planner.gate.limits
        low = np.maximum(limits.lower, -np.pi) + room
        high = np.minimum(limits.upper, np.pi) - room
        q = self.home + rng.uniform(-spread, spread, self.model.nq)
        return np.where(self.arm, np.clip(q, low, high), self.home)


def menagerie() -> Path:
    """Return the folder with the Menagerie robots."""
    named = os.environ.get("DRROBOT_MENAGERIE") or os.environ.get("MENAGERIE_ROOT")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "menagerie"


def load_robot(name: str) -> tuple[RobotModel, np.ndarray]:
    """Return a robot and the middle of its poses.

    Raises:
        ModelError: its files are missing.
    """
    file, home = ROBOTS[name]
    model = RobotModel.load(arm_urdf() if file is None else menagerie() / file)
    q = np.asarray(model.neutral(), np.float64)
    q[: len(home)] = home
    return model, q


def make_scene(
    name: str, width: int = 320, height: int = 240, splats: int = 10000, seed: int = 0
) -> Scene:
    """Return a scene."""
    model, home = load_robot(name)
    camera, T = PinholeCamera.from_fov(width, height, np.radians(45)), look_at(EYE, AIM)
    planner = Planner(model, GaussianRobot.from_model(model, count=splats))
    span = np.minimum(model.upper, np.pi) - np.maximum(model.lower, -np.pi)
    simulation = SimulatedRobot(model, camera, T, SceneConfig(seed=seed))
    view = Viewpoint(camera, T, GREY)
    return Scene(name, model, planner, simulation, view, home, span > _ARM_RANGE)
