"""Objects on a table seen by a noisy RGB-D camera, with everything known of them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import BackendError, InputError, unknown_name
from drrobot_ros.geometry.camera import PinholeCamera, look_at
from drrobot_ros.simulation import textures
from drrobot_ros.simulation.bodies import add_material, add_texture
from drrobot_ros.simulation.depth_noise import DepthNoiseConfig, add_color_noise, add_depth_noise
from drrobot_ros.simulation.renderer import Renderer
from drrobot_ros.simulation.shapes import SHAPES, Shape

MAX_OBJECTS = 6
_ATTEMPTS = 60
_MIN_PIXELS = 900


@dataclasses.dataclass(frozen=True)
class TabletopConfig:
    """The picture, and where objects lie."""

    width_px: int = setting(640, "image width", unit="px", minimum=32)
    height_px: int = setting(480, "image height", unit="px", minimum=32)
    field_of_view_rad: float = setting(
        0.75, "vertical field of view", unit="rad", minimum=0.1, maximum=2.5
    )
    distance_m: float = setting(0.75, "mean distance of the camera", unit="m", minimum=0.2)
    radius_m: float = setting(0.2, "objects lie within this", unit="m", minimum=0.0)
    gap_m: float = setting(0.008, "least gap between objects", unit="m", minimum=0.0)
    box_jitter: float = setting(
        0.02, "standard deviation of a box's edges, as a part of its size", minimum=0.0, maximum=0.3
    )
    noise: bool = setting(True, "sensor noise on colour and depth")

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True, eq=False)
class TabletopObject:
    """One true object: its shape stands on z = 0 of its own frame; the world's z is up."""

    name: str
    kind: str
    shape: Shape
    T_world_object: NDArray[np.float64]

    def world_vertices(self) -> NDArray[np.float64]:
        """Return the vertices [V, 3] in world coordinates, m."""
        return self.shape.vertices @ self.T_world_object[:3, :3].T + self.T_world_object[:3, 3]


@dataclasses.dataclass(frozen=True, eq=False)
class Tabletop:
    """An RGB-D image and the truth; the table's top is z = 0 of the world.

    Attributes:
        color: [H, W, 3] RGB.
        depth_m: as the sensor gives it [H, W] m; 0 unknown.
        clean_depth_m: true depth [H, W] m.
        camera: intrinsics.
        T_world_camera: [4, 4].
        boxes: [N, 4] x1 y1 x2 y2, px, not quite right, as of a detector.
        masks: pixels that show each object [N, H, W].
        objects: the truth.
    """

    color: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    clean_depth_m: NDArray[np.float32]
    camera: PinholeCamera
    T_world_camera: NDArray[np.float64]
    boxes: NDArray[np.float64]
    masks: NDArray[np.bool_]
    objects: tuple[TabletopObject, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objects, in the order of the boxes."""
        return tuple(item.name for item in self.objects)


def make_tabletop(
    seed: int,
    count: int | None = None,
    shapes: Sequence[str] | None = None,
    config: TabletopConfig | None = None,
) -> Tabletop:
    """Return a random scene; the same for the same arguments.

    Args:
        seed: of everything random.
        count: of objects; None: one to six.
        shapes: kinds to choose from, see ``SHAPES``; None: all of them.
        config: the picture and its noise.

    Raises:
        InputError: an unknown shape, a count outside 1 to 6.
        BackendError: no scene in which every object is seen was found, or there is no OpenGL.
    """
    config = config or TabletopConfig()
    kinds = list(SHAPES) if shapes is None else list(shapes)
    for kind in kinds:
        if kind not in SHAPES:
            raise unknown_name("shape", kind, SHAPES)
    if count is not None and not 1 <= count <= MAX_OBJECTS:
        raise InputError(f"count must be 1 to {MAX_OBJECTS}, got {count}")
    rng = np.random.default_rng((seed, 71))
    wanted = int(rng.integers(1, MAX_OBJECTS + 1)) if count is None else count
    for _ in range(_ATTEMPTS):
        objects = _place(rng, wanted, kinds, config)
        if objects is None:
            continue
        scene = _photograph(rng, objects, config)
        if scene is not None:
            return scene
    raise BackendError(f"no scene of {wanted} objects that are all seen, seed {seed}")


def _place(
    rng: np.random.Generator, count: int, kinds: Sequence[str], config: TabletopConfig
) -> tuple[TabletopObject, ...] | None:
    objects: list[TabletopObject] = []
    circles: list[tuple[NDArray, float]] = []
    for i in range(count):
        kind = str(rng.choice(kinds))
        shape = SHAPES[kind](rng)
        reach = float(np.linalg.norm(shape.vertices[:, :2], axis=1).max())
        for _ in range(40):
            angle, radius = rng.uniform(-np.pi, np.pi), config.radius_m * np.sqrt(rng.uniform())
            place = radius * np.array([np.cos(angle), np.sin(angle)])
            if all(np.linalg.norm(place - p) > reach + r + config.gap_m for p, r in circles):
                break
        else:
            return None
        circles.append((place, reach))
        turn = rng.uniform(-np.pi, np.pi)
        T = np.eye(4)
        T[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        T[:2, 3] = place
        objects.append(TabletopObject(f"{kind}_{i}", kind, shape, T))
    return tuple(objects)


def _photograph(
    rng: np.random.Generator, objects: tuple[TabletopObject, ...], config: TabletopConfig
) -> Tabletop | None:
    spec = mujoco.MjSpec()
    _add_table(spec, rng)
    _add_light(spec, rng)
    for item in objects:
        _add_object(spec, rng, item)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = PinholeCamera.from_fov(config.width_px, config.height_px, config.field_of_view_rad)
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(0.55, 1.05)
    distance = config.distance_m * rng.uniform(0.85, 1.2)
    flat = np.cos(elevation)
    eye = distance * np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    T = look_at(eye, (*rng.uniform(-0.02, 0.02, 2), 0.03))
    renderer = Renderer(model, camera, samples=4)
    try:
        renderer.update(data, T, True)
        color = renderer.colors()
        ids, depth = renderer.segmentation_and_depth()
    finally:
        renderer.close()
    masks = np.stack([ids == model.geom(item.name).id for item in objects])
    if masks.sum((1, 2)).min() < _MIN_PIXELS or _cut_off(masks):
        return None
    boxes = np.stack([_box_of(mask, rng, config) for mask in masks])
    noisy = depth
    if config.noise:
        noise = DepthNoiseConfig()
        noisy = add_depth_noise(depth, camera, rng, noise)
        color = add_color_noise(color, rng, noise)
    return Tabletop(color, noisy, depth, camera, T, boxes, masks, objects)


def _cut_off(masks: NDArray[np.bool_]) -> bool:
    edges = (masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1])
    return any(edge.any() for edge in edges)


def _box_of(
    mask: NDArray[np.bool_], rng: np.random.Generator, config: TabletopConfig
) -> NDArray[np.float64]:
    rows, columns = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)
    size = np.array([box[2] - box[0], box[3] - box[1]] * 2)
    box += np.clip(rng.normal(0, config.box_jitter, 4), -0.05, 0.05) * size
    return np.clip(box, 0, [config.width_px, config.height_px] * 2)


def _add_table(spec: Any, rng: np.random.Generator) -> None:
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=[0.8] * 3,
        rgb2=[0.8] * 3,
        width=16,
        height=16,
    )
    kind = int(rng.integers(3))
    make = (textures.wood, textures.planks, textures.plaster)[kind]
    add_texture(spec, "table", make(rng))
    add_material(spec, "table", "table", texrepeat=[2, 2], specular=0.1, shininess=0.2)
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.8, 0.8, 0.02],
        pos=[0, 0, -0.02],
        material="table",
        rgba=[*rng.uniform(0.5, 1.0, 3), 1],
    )
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[4, 4, 0.05],
        pos=[0, 0, -0.8],
        rgba=[0.45, 0.42, 0.4, 1],
    )


def _add_light(spec: Any, rng: np.random.Generator) -> None:
    head = spec.visual.headlight
    level = rng.uniform(0.2, 0.45)
    head.ambient, head.diffuse, head.specular = [level] * 3, [0.05] * 3, [0.0] * 3
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(0.7, 1.4)
    flat = np.cos(elevation)
    direction = -np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    warm = rng.uniform(-0.12, 0.12)
    power = rng.uniform(0.4, 0.75) * np.array([1 + warm, 1.0, 1 - warm])
    spec.worldbody.add_light(
        pos=-2.0 * direction,
        dir=direction,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        ambient=[0, 0, 0],
        diffuse=power,
        specular=0.5 * power,
        castshadow=True,
    )
    spec.visual.quality.shadowsize = 1024
    spec.stat.extent = 1.0
    spec.visual.map.shadowclip = 1.0


def _add_object(spec: Any, rng: np.random.Generator, item: TabletopObject) -> None:
    mesh = spec.add_mesh(name=item.name)
    mesh.uservert = item.shape.vertices.ravel()
    mesh.userface = item.shape.faces.ravel()
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    color = rng.uniform(0.08, 0.95, 3)
    name = f"{item.name}/surface"
    gloss: dict[str, Any] = {"specular": rng.uniform(0, 0.8), "shininess": rng.uniform(0.1, 0.8)}
    if rng.uniform() < 0.5:  # printed
        spec.add_texture(
            name=name,
            type=mujoco.mjtTexture.mjTEXTURE_CUBE,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
            rgb1=color,
            rgb2=rng.uniform(0.08, 0.95, 3),
            width=128,
            height=128,
        )
        add_material(spec, name, name, texrepeat=[3, 3], texuniform=False, **gloss)
        color = np.ones(3)
    else:
        add_material(spec, name, **gloss)
    body = spec.worldbody.add_body(pos=item.T_world_object[:3, 3], quat=_quat(item.T_world_object))
    body.add_geom(
        name=item.name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=mesh.name,
        material=name,
        rgba=[*color, 1],
        contype=0,
        conaffinity=0,
    )


def _quat(T: NDArray[np.float64]) -> NDArray[np.float64]:
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, T[:3, :3].ravel())
    return quat
