"""What a scene is made of, and what it is reconstructed from."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.geometry.camera import PinholeCamera

Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

#: From this confidence on a thing is believed.
BELIEVED = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class RobotInView:
    """A robot that may be in the picture: drawn at q, it explains its own pixels.

    Attributes:
        model: a ``RobotModel``.
        gaussians: its ``GaussianRobot``.
        q: joint positions [nq].
    """

    model: Any
    gaussians: Any
    q: Any


@dataclasses.dataclass(frozen=True, eq=False)
class SceneInput:
    """One RGB-D image with a box around each object.

    Attributes:
        color: [H, W, 3] uint8 RGB, rectified.
        depth_m: along the optical axis [H, W] m, registered to the colour image; 0 or NaN unknown.
        camera: intrinsics of both.
        boxes: [N, 4] x1 y1 x2 y2, px.
        names: of the objects; made up where there are none.
        T_base_camera: [4, 4]; None: the scene is put on its own plane.
        camera_trusted: False where the estimate of the camera pose is lost: nothing is believed.
        robot: drawn and taken out; needs T_base_camera.
        masks: [N, H, W] where somebody else has segmented the objects.
    """

    color: NDArray[np.uint8]
    depth_m: NDArray[np.floating]
    camera: PinholeCamera
    boxes: NDArray[np.floating]
    names: tuple[str, ...] = ()
    T_base_camera: Floats | None = None
    camera_trusted: bool = True
    robot: RobotInView | None = None
    masks: Mask | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles: vertices [V, 3] m and faces [F, 3], outward."""

    vertices: Floats
    faces: NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """A surface: albedo [3] linear 0..1 and roughness 0..1 of a GGX lobe."""

    albedo: Floats
    roughness: float


@dataclasses.dataclass(frozen=True, eq=False)
class SupportPlane:
    """What the objects stand on: normal . x = offset_m.

    Attributes:
        normal: [3] unit, away from the ground.
        offset_m: along the normal.
        noise_m: standard deviation of its points.
        inliers: part of the points without the objects that lie on it.
        confidence: 0..1.
        material: of it.
    """

    normal: Floats
    offset_m: float
    noise_m: float
    inliers: float
    confidence: float
    material: Material

    def height_m(self, points: Floats) -> Floats:
        """Return how far points [..., 3] are above it, m."""
        return points @ self.normal - self.offset_m

    def moved(self, T: Floats) -> "SupportPlane":
        """Return the plane in the coordinates that T [4, 4] maps to."""
        normal = T[:3, :3] @ self.normal
        return dataclasses.replace(
            self, normal=normal, offset_m=self.offset_m + float(normal @ T[:3, 3])
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Light:
    """A directional light and light from everywhere.

    Attributes:
        direction: [3] unit, towards the light, scene frame.
        color: [3] linear, its strength on a surface that faces it.
        ambient: [3] linear.
    """

    direction: Floats
    color: Floats
    ambient: Floats


@dataclasses.dataclass(frozen=True, eq=False)
class SceneObject:
    """One reconstructed object.

    Attributes:
        name: as given.
        box: [4] as given, px.
        mask: its pixels [H, W].
        T_scene_object: [4, 4], frame of the mesh.
        axes_m: half axes [3] of the ellipsoid.
        T_scene_ellipsoid: [4, 4].
        mesh: in the object's frame.
        vertex_colors: [V, 3] linear albedo.
        pieces: convex pieces for contact, object's frame.
        material: mean of its surface.
        mass_kg: by volume and assumed density.
        friction: assumed.
        confidence: 0..1.
        warnings: why it is not higher.
        visible_fraction: part of the box's pixels above the plane that have depth and are its own.
        depth_residual_m: median distance of measured and drawn depth.
    """

    name: str
    box: Floats
    mask: Mask
    T_scene_object: Floats
    axes_m: Floats
    T_scene_ellipsoid: Floats
    mesh: Mesh
    vertex_colors: Floats
    pieces: tuple[Mesh, ...]
    material: Material
    mass_kg: float
    friction: float
    confidence: float
    warnings: tuple[str, ...]
    visible_fraction: float
    depth_residual_m: float

    @property
    def believable(self) -> bool:
        """True where the confidence allows to act on it."""
        return self.confidence >= BELIEVED

    def scene_vertices(self) -> Floats:
        """Return the mesh's vertices [V, 3] in the scene frame, m."""
        return transformed(self.T_scene_object, self.mesh.vertices)


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A reconstructed scene.

    Attributes:
        frame: "base": of the robot; "plane": on the plane, z up.
        objects: in the order of the boxes.
        plane: support, scene frame.
        light: scene frame.
        camera: of the image.
        T_scene_camera: [4, 4].
        confidence: 0..1, of plane and camera; the objects have their own.
        warnings: what is wrong with the whole.
        seconds: wall clock per stage.
        measures: numbers of the stages, for those who compare them.
    """

    frame: str
    objects: tuple[SceneObject, ...]
    plane: SupportPlane
    light: Light
    camera: PinholeCamera
    T_scene_camera: Floats
    confidence: float
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    measures: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def believable(self) -> bool:
        """True where the plane and the camera pose are believed."""
        return self.confidence >= BELIEVED


def transformed(T: Floats, points: Floats) -> Floats:
    """Return points [..., 3] mapped by T [4, 4]."""
    return points @ T[:3, :3].T + T[:3, 3]
