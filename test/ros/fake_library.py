"""A pose estimator node with a tracker that can be told what to do by the image's brightness."""

import dataclasses
import enum
import sys
import time

import numpy as np

from drrobot_ros.configuration import setting, validate
from drrobot_ros.ros.library import Library

#: Brightness of images that make the tracker say or do something.
TRACKED, UNCERTAIN, LOST, CRASH = 50, 100, 150, 200

URDF = """<robot name="two_links">
  <link name="base"/>
  <link name="upper"><visual><geometry><box size="0.1 0.1 0.4"/></geometry></visual></link>
  <link name="lower"><visual><geometry>{geometry}</geometry></visual></link>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/><axis xyz="0 1 0"/>
    <limit lower="-2" upper="2" effort="10" velocity="2"/>
  </joint>
  <joint name="elbow" type="revolute">
    <parent link="upper"/><child link="lower"/><axis xyz="0 1 0"/><origin xyz="0 0 0.4"/>
    <limit lower="-2" upper="2" effort="10" velocity="2"/>
  </joint>
</robot>"""
GOOD_URDF = URDF.format(geometry='<box size="0.1 0.1 0.3"/>')
MISSING_MESH_URDF = URDF.format(geometry='<mesh filename="package://no_such_package/arm.stl"/>')


@dataclasses.dataclass(frozen=True)
class FakeConfig:
    delay_s: float = setting(0.0, "time an update takes", unit="s", minimum=0.0, maximum=5.0)
    mode: str = setting("a", "a choice", choices=("a", "b"))

    def __post_init__(self) -> None:
        validate(self)


class State(enum.Enum):
    TRACKING = 1
    UNCERTAIN = 2
    LOST = 3


@dataclasses.dataclass
class Observation:
    image: np.ndarray
    camera: object
    stamp_s: float
    joint_positions: np.ndarray | None = None
    depth_m: np.ndarray | None = None
    mask: np.ndarray | None = None
    ignore_mask: np.ndarray | None = None
    camera_name: str | None = None
    joint_velocities: np.ndarray | None = None


@dataclasses.dataclass
class Mount:
    link: str | None = None
    estimate: bool | None = None


@dataclasses.dataclass
class Camera:
    T: np.ndarray
    covariance: np.ndarray


@dataclasses.dataclass
class Estimate:
    q: np.ndarray
    state: State
    q_std: np.ndarray
    residual: float = 0.0
    iterations: int = 3
    stop_reason: str = "converged"
    cameras: dict = dataclasses.field(default_factory=dict)
    unobserved: tuple[str, ...] = ("elbow does not move any visible pixel",)


class FakeTracker:
    """Believes encoders, else adds 0.01 rad a frame; residual: resets, depth (mm), masks."""

    def __init__(self, model, gaussians, config, cameras) -> None:
        self.model, self.config, self.resets = model, config, 0
        self.mounts = dict(cameras)
        for mount in self.mounts.values():
            if mount.link is not None:
                model.link_index(mount.link)

    def reset(self, q=None, T_base_camera=None) -> None:
        self.resets += 1
        self.q, self.T = np.array(q), dict(T_base_camera)

    def place(self, name, T) -> None:
        self.T[name] = T

    def update(self, observations: list[Observation]) -> Estimate:
        observation = observations[0]
        time.sleep(self.config.delay_s)
        brightness = int(observation.image.mean())
        if brightness >= CRASH:
            raise RuntimeError("the solver blew up")
        state = State.TRACKING
        if brightness >= UNCERTAIN:
            state = State.LOST if brightness >= LOST else State.UNCERTAIN
        measured = observation.joint_positions
        if measured is None:
            measured = np.full(len(self.q), np.nan)
        self.q = np.where(np.isnan(measured), self.q + 0.01, measured)
        residual = float(self.resets)
        if observation.depth_m is not None:
            residual += float(np.nanmean(observation.depth_m)) * 1000
        for weight, mask in ((0.5, observation.mask), (0.25, observation.ignore_mask)):
            if mask is not None:
                residual += weight * float(mask.mean())
        q_std = np.where(np.isnan(measured), 0.5, 0.1)
        cameras = {
            o.camera_name: Camera(self.T[o.camera_name], np.eye(6) * 1e-4) for o in observations
        }
        return Estimate(self.q, state, q_std, residual, cameras=cameras)

    def render(self, estimate, camera, name=None):
        """A red robot 2 m away in the left half of the image."""
        rgb = np.zeros((camera.height, camera.width, 3), np.float32)
        alpha = np.zeros((camera.height, camera.width), np.float32)
        rgb[:, : round(camera.cx), 0] = 1.0
        alpha[:, : round(camera.cx)] = 1.0
        return rgb, alpha, 2.0 * alpha


def load_robot(settings, description=None):
    from drrobot_ros.ros.robots import load_model

    source = settings.robot if description is None else description
    model = load_model(source, settings.package_paths, settings.base_link)
    assert model.visuals is not None
    return model, None


LIBRARY = Library(load_robot, FakeTracker, FakeConfig, Observation, Mount)


if __name__ == "__main__":
    from drrobot_ros.ros.nodes.pose_estimator import PoseEstimator
    from drrobot_ros.ros.runner import run

    sys.exit(run(lambda: PoseEstimator(LIBRARY)))
