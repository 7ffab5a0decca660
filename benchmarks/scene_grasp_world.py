"""The cell of the benchmark `scene_grasp`: an arm, objects on a table, a noisy RGB-D camera.

Objects are those of the simulated tables of the benchmark `scene`; a shape is drawn again until
some side of it fits between the pads, since none could hold it otherwise.
"""

import dataclasses
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from drrobot_ros.errors import BackendError
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.grasping.gripper import Gripper, find_gripper
from drrobot_ros.grasping.scene import GraspObject, GraspScene
from drrobot_ros.robot import RobotModel
from drrobot_ros.simulation.config import SceneConfig
from drrobot_ros.simulation.depth_noise import DepthNoiseConfig, add_color_noise, add_depth_noise
from drrobot_ros.simulation.physics import PhysicsWorld, Solid
from drrobot_ros.simulation.shapes import SHAPES, Shape

Floats = NDArray[np.float64]

ROBOTS = ("ur5e", "panda")
#: Where the arm waits, beside the objects.
READY = {
    "ur5e": [1.3, -1.9, 1.7, -1.37, -1.57, 0.0, 0.0],
    "panda": [1.2, -0.6, 0.0, -2.2, 0.0, 1.6, 0.785, 0.04],
}
CAMERA = PinholeCamera.from_fov(640, 480, 0.75)
REGION = ((0.38, 0.60), (-0.20, 0.20))  # x and y in which objects stand, m
MOST_OBJECTS = 4
DENSITY = 400.0  # kg / m^3
GRIP_N = 35.0


def load(robot: str) -> Gripper:
    """Return the gripper of a robot of the benchmark, with its model."""
    if robot == "panda":
        return find_gripper(RobotModel.load("franka_emika_panda"))
    if importlib.util.find_spec("airo_models") is None:
        raise BackendError("the arm's model is not installed: pip install airo-models")
    import airo_models

    from drrobot_ros.simulation.assembly import mount

    files = [airo_models.get_urdf_path(n) for n in ("ur5e", "robotiq_2f_85")]
    return find_gripper(RobotModel.load(mount(*files, "tool0")))


@dataclasses.dataclass
class Case:
    """One random scene.

    Attributes:
        seed: of everything.
        target: name of the object to grasp, ``<kind>_0``.
        world: with the arm and the true objects, settled.
        shapes: the true objects by name.
        T_base_camera: of the camera.
        q: where the arm waits [nq].
    """

    seed: int
    target: str
    world: PhysicsWorld
    shapes: dict[str, Shape]
    T_base_camera: Floats
    q: Floats
    solids: dict[str, Solid]

    @property
    def kind(self) -> str:
        """The target's shape."""
        return self.target.rsplit("_", 1)[0]


def make_case(seed: int, robot: str, gripper: Gripper, look: SceneConfig | None) -> Case:
    """Return a random scene; the same for the same seed and robot."""
    rng = np.random.default_rng((seed, 113))
    kinds = list(SHAPES)
    wanted = [kinds[seed % len(kinds)]]
    wanted += [str(rng.choice(kinds)) for _ in range(int(rng.integers(MOST_OBJECTS)))]
    shapes: dict[str, Shape] = {}
    solids: list[Solid] = []
    places: list[tuple[Floats, float]] = []
    for i, kind in enumerate(wanted):
        shape = _fitting(kind, rng, gripper.max_gap_m - 0.02)
        reach = float(np.linalg.norm(shape.vertices[:, :2], axis=1).max())
        at = _free_place(rng, reach, places)
        if at is None:
            continue
        places.append((at, reach))
        turn = rng.uniform(-np.pi, np.pi)
        T = np.eye(4)
        T[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        # A little aslant: nothing keeps standing on a point.
        T[:3, :3] = T[:3, :3] @ Rotation.from_rotvec(rng.normal(0, 0.05, 3)).as_matrix()
        T[:3, 3] = [*at, 4e-3]
        name = f"{kind}_{i}"
        shapes[name] = shape
        mass = float(np.clip(DENSITY * _volume(shape), 0.04, 0.6))
        color = tuple(float(x) for x in rng.uniform(0.1, 0.95, 3))
        solids.append(
            Solid(
                name, shape.pieces, T, mass, float(rng.uniform(0.4, 0.8)),
                (shape.vertices, shape.faces), color,
            )
        )  # fmt: skip
    world = PhysicsWorld(
        gripper.model,
        solids,
        plane=(np.array([0.0, 0.0, 1.0]), 0.0),
        forces=gripper.motor_forces(GRIP_N),
        look=look,
    )
    q = gripper.set(np.array(READY[robot]), gripper.max_gap_m)
    world.place(q)
    quiet = 0
    for _ in range(20):  # until nothing rolls any more
        world.step(0.4)
        quiet = quiet + 1 if world.still() else 0
        if quiet == 3:
            break
    azimuth, elevation = rng.uniform(-0.7, 0.7), rng.uniform(0.6, 1.0)
    distance = rng.uniform(0.7, 0.85)
    flat = np.cos(elevation)
    middle = np.array([0.49, 0.0, 0.03])
    eye = middle + distance * np.array(
        [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)]
    )
    return Case(seed, solids[0].name, world, shapes, look_at(eye, middle), q,
                {s.name: s for s in solids})  # fmt: skip


def true_scene(case: Case) -> GraspScene:
    """Return the scene as it is: the upper bound of what a reconstruction can give."""
    objects = [
        GraspObject(
            name, shape.vertices, shape.faces, case.world.solid_pose(name), shape.pieces,
            case.solids[name].mass_kg, 0.6,
        )
        for name, shape in case.shapes.items()
    ]  # fmt: skip
    return GraspScene(tuple(objects), T_base_camera=case.T_base_camera)


def picture(case: Case) -> dict[str, Any]:
    """Return what the sensor gives: colour, depth, boxes of the objects that are seen, names."""
    rng = np.random.default_rng((case.seed, 114))
    frame = case.world.render(CAMERA, case.T_base_camera)
    noise = DepthNoiseConfig()
    depth = add_depth_noise(frame.depth_m, CAMERA, rng, noise)
    boxes, names = [], []
    for name, mask in frame.masks.items():
        if mask.sum() < 150:
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
        size = np.array([box[2] - box[0], box[3] - box[1]] * 2)
        box += np.clip(rng.normal(0, 0.02, 4), -0.05, 0.05) * size
        boxes.append(np.clip(box, 0, [CAMERA.width, CAMERA.height] * 2))
        names.append(name)
    color = add_color_noise(frame.rgb, rng, noise)
    return {"color": color, "depth_m": depth, "boxes": np.array(boxes), "names": tuple(names)}


def _fitting(kind: str, rng: np.random.Generator, gap_m: float) -> Shape:
    """Return a shape of which some side fits between the pads when they come from above."""
    while True:
        shape = SHAPES[kind](rng)
        if kind in ("cup", "mug"):  # held by the wall
            return shape
        angles = np.linspace(0, np.pi, 36, endpoint=False)
        across = np.stack([np.cos(angles), np.sin(angles)])
        for piece in shape.pieces:
            if np.ptp(piece[:, :2] @ across, axis=0).min() < gap_m:
                return shape


def _free_place(
    rng: np.random.Generator, reach: float, places: list[tuple[Floats, float]]
) -> Floats | None:
    for _ in range(60):
        at = np.array([rng.uniform(*REGION[0]), rng.uniform(*REGION[1])])
        if all(np.linalg.norm(at - p) > reach + r + 0.012 for p, r in places):
            return at
    return None


def _volume(shape: Shape) -> float:
    from scipy.spatial import ConvexHull

    return float(sum(ConvexHull(piece).volume for piece in shape.pieces))
