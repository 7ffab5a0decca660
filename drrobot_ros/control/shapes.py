"""Links and obstacles as convex shapes that MuJoCo can compare."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drrobot_ros.control.obstacles import Obstacle
from drrobot_ros.robot import RobotModel

Vector = NDArray[np.float64]

#: Pairs farther apart than this are not measured, m.
SIGHT_M = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Shape:
    """A convex shape of a body: MuJoCo's type, size and pose, or vertices of a mesh."""

    kind: Any
    size: Vector
    pos: Vector
    quat: Vector
    vertices: NDArray[np.float64] | None = None

    def outline(self) -> NDArray[np.float64]:
        """Return points [P,3] in the body's frame whose convex hull is the shape."""
        import mujoco

        points = _outline(self.kind, self.size) if self.vertices is None else self.vertices
        R = np.zeros(9)
        mujoco.mju_quat2Mat(R, self.quat)
        return points @ R.reshape(3, 3).T + self.pos

    def add_to(self, spec: Any, body: Any, name: str) -> None:
        """Add the shape to a body, seen from `SIGHT_M` away."""
        import mujoco

        common = {"name": name, "pos": self.pos, "quat": self.quat, "margin": SIGHT_M / 2}
        if self.vertices is None:
            body.add_geom(type=self.kind, size=self.size, **common)
            return
        from scipy.spatial import ConvexHull, QhullError

        try:
            hull = ConvexHull(self.vertices)
        except QhullError:
            # A flat part: its bounding box, which MuJoCo can take, holds it.
            low, high = self.vertices.min(0), self.vertices.max(0)
            offset = np.zeros(3)
            mujoco.mju_rotVecQuat(offset, (low + high) / 2, self.quat)
            common["pos"] = self.pos + offset
            half = np.maximum((high - low) / 2, 1e-4)
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=half, **common)
            return
        mesh = spec.add_mesh(name=name)
        mesh.uservert = self.vertices[hull.vertices].ravel()
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, **common)


def _outline(kind: Any, size: Vector) -> NDArray[np.float64]:
    """Return points whose convex hull is one of MuJoCo's simple shapes."""
    import mujoco

    from drrobot_ros.robot import primitives

    kinds = mujoco.mjtGeom
    if kind == kinds.mjGEOM_BOX:
        return primitives.box(size)[0]
    if kind == kinds.mjGEOM_SPHERE:
        return primitives.sphere(size[0])[0]
    if kind == kinds.mjGEOM_ELLIPSOID:
        return primitives.ellipsoid(size)[0]
    if kind == kinds.mjGEOM_CYLINDER:
        return primitives.cylinder(size[0], size[1])[0]
    return primitives.capsule(size[0], size[1])[0]


def link_shapes(model: RobotModel, row: int) -> list[Shape]:
    """Return the collision shapes of a link, or its visuals where it has none."""
    import mujoco

    m = model.mj_model
    body = model.mj_body_id(row)
    mesh_kind = mujoco.mjtGeom.mjGEOM_MESH
    solid = {
        int(k)
        for k in (
            mujoco.mjtGeom.mjGEOM_SPHERE,
            mujoco.mjtGeom.mjGEOM_CAPSULE,
            mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            mujoco.mjtGeom.mjGEOM_CYLINDER,
            mujoco.mjtGeom.mjGEOM_BOX,
            mesh_kind,
        )
    }
    found = []
    for g in np.flatnonzero(m.geom_bodyid == body) if body >= 0 else []:
        collides = m.geom_contype[g] or m.geom_conaffinity[g]
        if not collides or int(m.geom_type[g]) not in solid:
            continue
        vertices = None
        if m.geom_type[g] == mesh_kind:
            mesh = m.geom_dataid[g]
            first, count = m.mesh_vertadr[mesh], m.mesh_vertnum[mesh]
            vertices = m.mesh_vert[first : first + count].astype(np.float64)
        kind, size = mujoco.mjtGeom(m.geom_type[g]), m.geom_size[g].copy()
        found.append(Shape(kind, size, m.geom_pos[g].copy(), m.geom_quat[g].copy(), vertices))
    if found:
        return found
    identity = np.array([1.0, 0.0, 0.0, 0.0])
    return [
        Shape(mesh_kind, np.zeros(3), np.zeros(3), identity, np.asarray(v.vertices, np.float64))
        for v in model.visuals
        if v.link == row
    ]


def shape_of(obstacle: Obstacle) -> Shape:
    """Return an obstacle as a shape in the base frame."""
    import mujoco

    kinds = {
        "box": mujoco.mjtGeom.mjGEOM_BOX,
        "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
        "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
        "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
        "plane": mujoco.mjtGeom.mjGEOM_PLANE,
        "mesh": mujoco.mjtGeom.mjGEOM_MESH,
    }
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.ascontiguousarray(obstacle.T_base_obstacle[:3, :3]).ravel())
    size = np.zeros(3)
    size[: len(obstacle.size)] = obstacle.size
    if obstacle.shape == "plane":
        size = np.array([0.0, 0.0, 0.01])
    vertices = None if obstacle.vertices is None else np.asarray(obstacle.vertices, np.float64)
    return Shape(kinds[obstacle.shape], size, obstacle.T_base_obstacle[:3, 3], quat, vertices)
