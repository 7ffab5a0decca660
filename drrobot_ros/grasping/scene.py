"""What grasping has to know of a scene: solids, the plane they stand on, and who saw them."""

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.errors import InputError, unknown_name

if TYPE_CHECKING:
    from drrobot_ros.scene import Scene

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class GraspObject:
    """An object that can be grasped, or is in the way.

    Attributes:
        name: unique.
        vertices: [V, 3] of its closed mesh, own frame, m.
        faces: [F, 3] counter-clockwise seen from outside.
        T_base_object: [4, 4].
        pieces: vertices of its convex pieces, own frame, m.
        mass_kg: roughly.
        friction: against the pads, roughly.
        confidence: 0 to 1, of shape and pose.
        reasons: why the confidence is low.

    Raises:
        InputError: an empty or broken mesh, no pieces, a pose that is not finite.
    """

    name: str
    vertices: Floats
    faces: NDArray[np.integer]
    T_base_object: Floats
    pieces: tuple[Floats, ...]
    mass_kg: float = 0.2
    friction: float = 0.6
    confidence: float = 1.0
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where = f"object {self.name!r}"
        v, f = np.asarray(self.vertices), np.asarray(self.faces)
        if v.ndim != 2 or v.shape[1:] != (3,) or len(v) < 4 or not np.isfinite(v).all():
            raise InputError(f"{where}: vertices must be [V, 3] and finite, V > 3")
        if f.ndim != 2 or f.shape[1:] != (3,) or len(f) < 4 or f.min() < 0 or f.max() >= len(v):
            raise InputError(f"{where}: faces must be [F, 3] rows of vertices, F > 3")
        if np.shape(self.T_base_object) != (4, 4) or not np.isfinite(self.T_base_object).all():
            raise InputError(f"{where}: the pose must be a finite [4, 4]")
        if not self.pieces:
            raise InputError(f"{where} has no convex pieces")

    @property
    def base_vertices(self) -> Floats:
        """Vertices [V, 3] in the base frame."""
        T = self.T_base_object
        return np.asarray(self.vertices, np.float64) @ T[:3, :3].T + T[:3, 3]

    def obstacles(self) -> list[Obstacle]:
        """Return it as solids that an arm must not touch."""
        return [
            Obstacle(f"{self.name}/{i}", "mesh", (), self.T_base_object, np.asarray(piece))
            for i, piece in enumerate(self.pieces)
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class GraspScene:
    """Objects on a plane, in the robot's base frame.

    Attributes:
        objects: all of them.
        normal: [3] unit, of the plane, away from what it carries nothing on.
        offset_m: normal . x = offset on the plane.
        T_base_camera: [4, 4] who saw it; None: no side is taken for unseen.
        confidence: 0 to 1, of the scene as a whole.
        reasons: why it is low.
    """

    objects: tuple[GraspObject, ...]
    normal: Floats = dataclasses.field(default_factory=lambda: np.array([0.0, 0.0, 1.0]))
    offset_m: float = 0.0
    T_base_camera: Floats | None = None
    confidence: float = 1.0
    reasons: tuple[str, ...] = ()

    def find(self, name: str) -> GraspObject:
        """Return an object by name.

        Raises:
            InputError: there is none of this name.
        """
        for thing in self.objects:
            if thing.name == name:
                return thing
        raise unknown_name("object", name, [o.name for o in self.objects])

    def obstacles(self, without: str = "") -> list[Obstacle]:
        """Return plane and objects, but for one, as solids that an arm must not touch."""
        T = np.eye(4)
        T[:3, :3] = _frame_on(self.normal)
        T[:3, 3] = self.normal * self.offset_m
        solids = [Obstacle("support", "plane", (), T)]
        for thing in self.objects:
            if thing.name != without:
                solids += thing.obstacles()
        return solids

    @classmethod
    def of(cls, scene: "Scene") -> "GraspScene":
        """Return a reconstructed scene as grasping sees it.

        Raises:
            InputError: the scene is not in the robot's base frame.
        """
        if scene.frame != "base":
            raise InputError(
                "the scene is not in the robot's base frame: its camera pose was not known; "
                "reconstruct it with T_base_camera"
            )
        return cls(
            tuple(_object_of(thing) for thing in scene.objects),
            np.asarray(scene.plane.normal, np.float64),
            float(scene.plane.offset_m),
            np.asarray(scene.T_scene_camera, np.float64),
            float(scene.confidence),
            tuple(scene.warnings),
        )


def _object_of(thing: Any) -> GraspObject:
    pieces = tuple(np.asarray(piece.vertices, np.float64) for piece in thing.pieces)
    return GraspObject(
        name=thing.name,
        vertices=np.asarray(thing.mesh.vertices, np.float64),
        faces=np.asarray(thing.mesh.faces),
        T_base_object=np.asarray(thing.T_scene_object, np.float64),
        pieces=pieces or (np.asarray(thing.mesh.vertices, np.float64),),
        mass_kg=float(thing.mass_kg),
        friction=float(thing.friction),
        confidence=float(thing.confidence),
        reasons=tuple(thing.warnings),
    )


def _frame_on(normal: Floats) -> Floats:
    x = np.eye(3)[int(np.abs(normal).argmin())]
    x = x - normal * (normal @ x)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(normal, x), normal], axis=1).astype(np.float64)
