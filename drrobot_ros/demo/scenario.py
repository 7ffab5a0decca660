"""The demonstration's robot, camera and motion, and the session they make."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.demo import plan
from drrobot_ros.demo.arm import PACKAGE, arm_urdf, models_folder
from drrobot_ros.demo.config import DemoConfig
from drrobot_ros.demo.motion import swinging
from drrobot_ros.demo.session import Session
from drrobot_ros.errors import BackendError
from drrobot_ros.geometry import se3
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.geometry.pose_numbers import numbers_from_pose
from drrobot_ros.rendering.viewpoint import pose_that_sees
from drrobot_ros.robot import RobotModel

Array = NDArray[np.float64]

FOV_DEG = 40.0
#: Before the motion starts, s: long enough to see the estimate converge.
REST_S = 2.0
#: Fast, for the simulator shares the machine with the estimator; small images look the same.
FAST_SCENE = {"scene.shadow_map_px": 512, "scene.coarseness_m": 0.003}
#: How wrong the camera's start is where the camera is estimated too.
CAMERA_OFF_M, CAMERA_OFF_RAD = 0.02, float(np.deg2rad(2.0))
_SPARE_ARM = Path("six_axis_arm") / "six_axis_arm.urdf"


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where the arm starts, how far it swings, and from where the camera looks at it."""

    q: tuple[float, ...]
    amplitude_rad: tuple[float, ...]
    eye_m: tuple[float, float, float]
    target_m: tuple[float, float, float]


UR5E = Pose(
    q=(0.4, -1.3, 1.5, -1.2, -1.3, 0.4),
    amplitude_rad=(0.5, 0.2, 0.3, 0.4, 0.4, 0.5),
    eye_m=(1.2, -0.74, 0.58),
    target_m=(0.13, 0.08, 0.35),
)


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What a demonstration or a benchmark of the node needs to know of its robot.

    Attributes:
        source: URDF or MJCF file, or menagerie name, for the nodes.
        model: the robot.
        q_start: where it begins [nq].
        amplitude_rad: of its swing, per position.
        camera: intrinsics.
        T_base_camera: true camera pose [4, 4].
    """

    source: str
    model: Any
    q_start: Array
    amplitude_rad: Array
    camera: PinholeCamera
    T_base_camera: Array

    def wrong_start(self, offset_deg: float, seed: int) -> Array:
        """Return q_start with every joint off by so much (m for rad where it slides), either way.

        The signs are drawn; a joint that would leave its range is moved the other way.
        """
        offset = np.deg2rad(offset_deg) * joint_units(self.model)
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], len(offset))
        q = self.q_start + signs * offset
        outside = (q < np.asarray(self.model.lower)) | (q > np.asarray(self.model.upper))
        return np.where(outside, self.q_start - signs * offset, q)

    def swing(self, seconds: float) -> plan.Step:
        """Return the step of the plan in which the arm swings."""
        low, high = np.asarray(self.model.lower), np.asarray(self.model.upper)
        amplitude = self.amplitude_rad
        way = swinging(self.q_start, low, high, duration_s=seconds, amplitude_rad=amplitude)
        return plan.move(way)


def joint_units(model: Any) -> Array:
    """Return 1 for joints that turn, 0.1 (m for rad) for those that slide [nq]."""
    from drrobot_ros.robot.tree import JointType

    units = np.ones(model.nq)
    for kind, index in zip(model.tree.joint_type, model.tree.q_index, strict=True):
        if index >= 0 and kind == JointType.PRISMATIC:
            units[index] = 0.1
    return units


def make_scenario(
    robot: str, width: int, height: int, folder: Path, say: Callable[[str], None] = print
) -> Scenario:
    """Return the scenario of a robot; ``""`` is the UR5e, or our own arm where that is absent."""
    camera = PinholeCamera.from_fov(width, height, np.deg2rad(FOV_DEG))
    if robot == "" and models_folder() is not None:
        file = folder / "ur5e_gripper.urdf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(arm_urdf())
        model = RobotModel.load(file)
        T = look_at(UR5E.eye_m, UR5E.target_m)
        q, amplitude = np.array(UR5E.q), np.array(UR5E.amplitude_rad)
        return Scenario(str(file), model, q, amplitude, camera, T)
    if robot == "":
        robot = str(spare_arm())
        say(f"{PACKAGE} is not installed; showing the project's own arm instead")
    model = RobotModel.load(robot)
    q = model.home().numpy()
    amplitude = 0.35 * joint_units(model)
    return Scenario(robot, model, q, amplitude, camera, pose_that_sees(model, q, camera))


def spare_arm() -> Path:
    """Return the URDF of the project's own arm, in the checkout or installed.

    Raises:
        BackendError: it is in neither.
    """
    import sys

    roots = (Path(__file__).resolve().parents[2], Path(sys.prefix) / "share" / "drrobot_ros")
    for root in roots:
        if (root / "models" / _SPARE_ARM).is_file():
            return root / "models" / _SPARE_ARM
    raise BackendError(f"no robot to show: pip install {PACKAGE}")


def make_session(config: DemoConfig, scenario: Scenario, splats: Path) -> Session:
    """Return the session of the demonstration: rest, then motion, and no help but the images."""
    start = scenario.wrong_start(config.offset_deg, config.seed)
    T = scenario.T_base_camera
    if config.estimate_camera:
        rng = np.random.default_rng(config.seed + 1)
        twist = np.concatenate([_direction(rng) * CAMERA_OFF_M, _direction(rng) * CAMERA_OFF_RAD])
        T = T @ se3.exp(torch.as_tensor(twist)).numpy()
    robot = {
        "robot": scenario.source,
        "motion": "hold",
        "start_positions": scenario.q_start,
        "camera_pose": numbers_from_pose(scenario.T_base_camera),
        "vertical_fov_deg": FOV_DEG,
        "width": config.width,
        "height": config.height,
        "rate_hz": config.rate_hz,
        "joint_rate_hz": 10.0,  # nobody listens
        "scene.background": config.background,
        "scene.shadows": config.shadows,
        **FAST_SCENE,
    }
    estimator = {
        "robot": scenario.source,
        "splats": str(splats),
        "subscribe_joint_states": False,
        "initial_joint_positions": start,
        "initial_camera_pose": numbers_from_pose(T),
        "publish_tf": False,  # the simulated robot publishes its camera's
    }
    if config.estimate_camera:
        # Turning the camera around the base looks almost like turning the first joint, so what is
        # known of the camera has to be said.
        estimator |= {
            "tracker.estimate_camera": True,
            "tracker.camera_sigma_m": CAMERA_OFF_M,
            "tracker.camera_sigma_rad": CAMERA_OFF_RAD,
        }
    steps = [
        plan.wait_for_estimate(),
        plan.record(REST_S, "rest"),
        scenario.swing(config.seconds),
        plan.record(0.5),
    ]
    return Session(robot, estimator, steps, images=True)


def _direction(rng: np.random.Generator) -> Array:
    vector = rng.normal(size=3)
    return vector / np.linalg.norm(vector)
