"""The cell of the grasping demonstration: an arm with a gripper, objects on its table, a camera."""

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.demo.arm import PACKAGE, models_folder
from drrobot_ros.errors import BackendError, InputError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.grasping.gripper import Gripper, find_gripper
from drrobot_ros.robot import RobotModel

Floats = NDArray[np.float64]

_ARM, _GRIPPER, _TOOL = "arms/ur5e/ur5e.urdf", "robotiq_2f_85", "tool0"
#: Where the UR5e waits, beside the objects.
_READY = (1.3, -1.9, 1.7, -1.37, -1.57, 0.0, 0.0)
_COLORS = ((0.85, 0.33, 0.22), (0.18, 0.45, 0.65), (0.93, 0.72, 0.25), (0.35, 0.60, 0.36),
           (0.58, 0.38, 0.66), (0.30, 0.70, 0.70))  # fmt: skip
_DENSITY = 400.0


@dataclasses.dataclass(frozen=True)
class GraspDemoConfig:
    """What the demonstration of grasping shows."""

    robot: str = setting(
        "", "URDF or MJCF file or menagerie name of an arm with a parallel gripper; empty: a UR5e "
        "with a Robotiq 2F-85 from airo-models",
    )  # fmt: skip
    object: str = setting("", "name of what is grasped; empty: whatever is grasped best")
    kinds: str = setting("mug,box,bottle,L-shape", "shapes of the objects, with commas between")
    output: str = setting("demo/grasp", "folder for the results")
    width: int = setting(640, "of the camera's images", unit="px", minimum=160, maximum=1920)
    height: int = setting(480, "of the camera's images", unit="px", minimum=120, maximum=1080)
    appearance: bool = setting(False, "also find light and materials, which takes a minute")
    video: bool = setting(True, "write grasp.mp4")
    seed: int = setting(3, "of the objects, of where they lie, and of the noise", minimum=0)

    def __post_init__(self) -> None:
        validate(self)

    @property
    def folder(self) -> Path:
        """The folder for the results."""
        return Path(self.output)


def load_gripper(config: GraspDemoConfig) -> Gripper:
    """Return the gripper of the demonstration's arm, with its model.

    Raises:
        BackendError: the package ``airo-models`` is not installed.
        ModelError: the robot cannot be loaded, or has no parallel gripper.
    """
    if config.robot:
        return find_gripper(RobotModel.load(config.robot))
    return find_gripper(RobotModel.load(arm_description()))


def arm_description() -> str:
    """Return the URDF of the demonstration's own arm, with its gripper.

    Raises:
        BackendError: the package ``airo-models`` is not installed.
    """
    folder = models_folder()
    if folder is None:
        raise BackendError(f"the arm's model is not installed: pip install {PACKAGE}")
    from drrobot_ros.simulation.assembly import mount

    gripper = folder / "grippers" / _GRIPPER / "urdf" / "robotiq_2f_85.urdf"
    return mount(folder / _ARM, gripper, _TOOL)


def waiting(gripper: Gripper, config: GraspDemoConfig) -> Floats:
    """Return where the arm waits [nq], gripper open; turned aside from the objects."""
    q = np.array(_READY) if not config.robot else gripper.model.home().numpy().copy()
    if config.robot:
        q[0] = np.clip(q[0] + 1.2, gripper.model.lower[0], gripper.model.upper[0])
    return gripper.set(q, gripper.max_gap_m)


def make_world(gripper: Gripper, config: GraspDemoConfig):
    """Return a world with arm and settled objects; its `solids` name them.

    Raises:
        InputError: an unknown shape, or objects that do not fit on the table.
    """
    from scipy.spatial import ConvexHull

    from drrobot_ros.errors import unknown_name
    from drrobot_ros.simulation.config import SceneConfig
    from drrobot_ros.simulation.physics import PhysicsWorld, Solid
    from drrobot_ros.simulation.shapes import SHAPES

    rng = np.random.default_rng(config.seed)
    solids: list[Solid] = []
    places: list[tuple[Floats, float]] = []
    for i, kind in enumerate(word.strip() for word in config.kinds.split(",")):
        if kind not in SHAPES:
            raise unknown_name("shape", kind, SHAPES)
        shape = SHAPES[kind](rng)
        reach = float(np.linalg.norm(shape.vertices[:, :2], axis=1).max())
        for _ in range(200):
            at = np.array([rng.uniform(0.38, 0.62), rng.uniform(-0.22, 0.22)])
            if all(np.linalg.norm(at - p) > reach + r + 0.02 for p, r in places):
                break
        else:
            raise InputError(f"{config.kinds} do not fit on the table; name fewer shapes")
        places.append((at, reach))
        turn = rng.uniform(-np.pi, np.pi)
        T = np.eye(4)
        T[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        T[:3, 3] = [*at, 2e-3]
        volume = sum(ConvexHull(piece).volume for piece in shape.pieces)
        mass = float(np.clip(_DENSITY * volume, 0.04, 0.6))
        solids.append(
            Solid(kind if kind not in {s.name for s in solids} else f"{kind}_{i}", shape.pieces, T,
                  mass, 0.6, (shape.vertices, shape.faces), _COLORS[i % len(_COLORS)])
        )  # fmt: skip
    world = PhysicsWorld(
        gripper.model,
        solids,
        plane=(np.array([0.0, 0.0, 1.0]), 0.0),
        forces=gripper.motor_forces(35.0),
        look=SceneConfig(samples=4, seed=config.seed),
    )
    world.place(waiting(gripper, config))
    world.step(1.5)
    return world


def cameras(config: GraspDemoConfig) -> dict[str, tuple[PinholeCamera, Floats]]:
    """Return the RGB-D camera, and one that watches the arm: intrinsics and pose [4, 4]."""
    eye = PinholeCamera.from_fov(config.width, config.height, 0.75)
    watching = PinholeCamera.from_fov(640, 480, 0.85)
    return {
        "rgbd": (eye, look_at((1.05, 0.12, 0.55), (0.48, 0.0, 0.03))),
        "watching": (watching, look_at((1.10, -0.60, 0.85), (0.38, 0.0, 0.14))),
    }
