"""A robot, or its hand alone, as bodies that move by forces: position-controlled joints, contacts.

Everything is taken from the compiled model, so URDF and MJCF are alike; what a description leaves
out for simulators (rotor inertia, gains) is filled in.
"""

import dataclasses
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.robot.model import RobotModel
from drrobot_ros.simulation.bodies import add_looks, add_material
from drrobot_ros.simulation.config import SceneConfig

#: Bits of geoms that tell who meets whom; links do not meet each other.
ROBOT, SOLID, GROUND = 1, 2, 4
_MESH = mujoco.mjtGeom.mjGEOM_MESH
_SLIPPERY = (0.05, 1e-3, 1e-5)  # of the robot and the ground: the other side's friction counts
_LEAST_ARMATURE = {"hinge": 0.02, "slide": 0.05}  # kg m^2, kg
_BANDWIDTH = 40.0  # of a joint's position control, rad/s
_STIFF = (0.004, 1.0)  # of coupled joints: time constant, damping


@dataclasses.dataclass(frozen=True)
class PhysicalRobot:
    """Names of what was added.

    Attributes:
        joints: name of MuJoCo's joint of each independent joint of the model; empty where it is
            not among the bodies.
        bodies: name of MuJoCo's body by link name.
    """

    joints: tuple[str, ...]
    bodies: dict[str, str]


def add_physical_robot(
    spec: Any,
    parent: Any,
    model: RobotModel,
    root: str,
    *,
    forces: dict[str, float] | None = None,
    look: SceneConfig | None = None,
) -> PhysicalRobot:
    """Add a link of a robot and all that hangs from it, with position-controlled joints.

    Args:
        spec: MuJoCo's MjSpec.
        parent: body it is fixed to; the link's frame is put on that body's, except for the base
            link, which keeps its place in the world.
        model: the robot.
        root: name of the link.
        forces: most that each named joint's motor gives, N or N m; others: the model's limits.
        look: how it is drawn; None: it is not.

    Raises:
        InputError: unknown link or joint; ball and floating joints.
    """
    forces = forces or {}
    for name in forces:
        model.joint_q_index(name)
    if model.nq != model.nv:
        raise InputError(f"{model.name!r} has ball or floating joints; its motors are not known")
    return _Copy(spec, model, forces, look).run(parent, model.link_index(root))


class _Copy:
    def __init__(
        self, spec: Any, model: RobotModel, forces: dict[str, float], look: SceneConfig | None
    ) -> None:
        self.spec, self.model, self.look, self.forces = spec, model, look, forces
        self.m = model.mj_model
        self.link_of_body = {}
        for row, name in enumerate(model.link_names):
            try:
                self.link_of_body[model.mj_body_id(row)] = name
            except InputError:  # a massless part between two joints of a body
                continue
        address = model.q_from_mj(np.arange(self.m.nq)).astype(int)
        leaders = {int(a): k for k, a in enumerate(address)}
        #: index in q by MuJoCo's joint
        self.leader = {
            j: leaders[int(self.m.jnt_qposadr[j])]
            for j in range(self.m.njnt)
            if int(self.m.jnt_qposadr[j]) in leaders
        }
        self.joints = [""] * model.nq
        self.added: dict[int, str] = {}
        if look is not None:
            add_material(spec, "robot/surface", specular=look.gloss, shininess=0.4)

    def run(self, parent: Any, root_row: int) -> PhysicalRobot:
        m, root = self.m, self.model.mj_body_id(root_row)
        bodies: dict[int, Any] = {}
        names: dict[str, str] = {}
        for b in range(1, m.nbody):
            if b == root or (root_row == 0 and m.body_parentid[b] == 0):
                above, at_root = parent, root_row != 0
            elif int(m.body_parentid[b]) in bodies:
                above, at_root = bodies[int(m.body_parentid[b])], False
            else:
                continue
            bodies[b] = self._body(above, b, at_root=at_root)
            if b in self.link_of_body:
                names[self.link_of_body[b]] = bodies[b].name
        self._equalities()
        self._motors()
        return PhysicalRobot(tuple(self.joints), names)

    def _body(self, above: Any, b: int, *, at_root: bool) -> Any:
        m = self.m
        body = above.add_body(name=f"robot/{m.body(b).name or b}", gravcomp=1.0)
        if not at_root:
            body.pos, body.quat = m.body_pos[b], m.body_quat[b]
            for j in range(m.body_jntadr[b], m.body_jntadr[b] + m.body_jntnum[b]):
                self._joint(body, int(j))
        body.explicitinertial = True
        body.mass = max(float(m.body_mass[b]), 1e-3)
        body.ipos, body.iquat = m.body_ipos[b], m.body_iquat[b]
        body.inertia = np.maximum(m.body_inertia[b], 1e-6)
        self._shapes(body, b)
        if self.look is not None and b in self.link_of_body:
            row = self.model.link_index(self.link_of_body[b])
            visuals = [v for v in self.model.visuals if v.link == row]
            add_looks(self.spec, body, body.name, visuals, self.look, "robot/surface")
        return body

    def _joint(self, body: Any, j: int) -> None:
        m, dof = self.m, self.m.jnt_dofadr[j]
        kind = mujoco.mjtJoint(m.jnt_type[j])
        name = f"robot/joint{j}"
        least = _LEAST_ARMATURE["slide" if kind == mujoco.mjtJoint.mjJNT_SLIDE else "hinge"]
        follows = j not in self.leader
        body.add_joint(
            name=name,
            type=kind,
            pos=m.jnt_pos[j],
            axis=m.jnt_axis[j],
            range=m.jnt_range[j],
            limited=bool(m.jnt_limited[j]),
            armature=max(float(m.dof_armature[dof]), least / (20 if follows else 1)),
            damping=float(m.dof_damping[dof]),
            ref=float(m.qpos0[m.jnt_qposadr[j]]),
        )
        self.added[j] = name
        if not follows:
            self.joints[self.leader[j]] = name

    def _shapes(self, body: Any, b: int) -> None:
        m = self.m
        meets = {
            "contype": ROBOT,
            "conaffinity": SOLID,
            "group": 3,
            "friction": _SLIPPERY,
            "condim": 4,
            "mass": 0.0,
        }
        found = False
        for g in np.flatnonzero(m.geom_bodyid == b):
            if not (m.geom_contype[g] or m.geom_conaffinity[g]):
                continue
            kind = mujoco.mjtGeom(m.geom_type[g])
            if kind in (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD):
                continue
            found = True
            place = {"pos": m.geom_pos[g], "quat": m.geom_quat[g]}
            if kind == _MESH:
                mesh = m.geom_dataid[g]
                first, count = m.mesh_vertadr[mesh], m.mesh_vertnum[mesh]
                points = m.mesh_vert[first : first + count]
                add_hull(self.spec, body, f"{body.name}/hull{g}", points, **place, **meets)
            else:
                body.add_geom(type=kind, size=m.geom_size[g], **place, **meets)
        if found or b not in self.link_of_body:
            return
        row = self.model.link_index(self.link_of_body[b])
        for i, visual in enumerate(v for v in self.model.visuals if v.link == row):
            add_hull(self.spec, body, f"{body.name}/hull{i}", visual.vertices, **meets)

    def _equalities(self) -> None:
        m = self.m
        for e in range(m.neq):
            ends = int(m.eq_obj1id[e]), int(m.eq_obj2id[e])
            if int(m.eq_type[e]) != int(mujoco.mjtEq.mjEQ_JOINT) or not m.eq_active0[e]:
                continue
            if not set(ends) <= set(self.added):
                continue
            self.spec.add_equality(
                type=mujoco.mjtEq.mjEQ_JOINT,
                objtype=mujoco.mjtObj.mjOBJ_JOINT,
                name1=self.added[ends[0]],
                name2=self.added[ends[1]],
                data=m.eq_data[e],
                solref=_STIFF,
                active=True,
            )

    def _motors(self) -> None:
        """Gains by what each joint has to move: the same bandwidth for all."""
        m = self.m
        data = mujoco.MjData(m)
        data.qpos[:] = self.model.mj_qpos(self.model.home())
        mujoco.mj_forward(m, data)
        full = np.zeros((m.nv, m.nv))
        mujoco.mj_fullM(m, data, full)
        for k, name in enumerate(self.joints):
            if not name:
                continue
            j = next(j for j, q in self.leader.items() if q == k)
            dof = int(m.jnt_dofadr[j])
            slides = int(m.jnt_type[j]) == int(mujoco.mjtJoint.mjJNT_SLIDE)
            inertia = full[dof, dof] + _LEAST_ARMATURE["slide" if slides else "hinge"]
            given = self.forces.get(self.model.joint_names[k])
            limit = float(self.model.effort_limit[k]) if given is None else given
            # A gripper's motor shall press with all its force as soon as something stops it.
            stiff = 0.0 if given is None else given / (0.003 if slides else 0.03)
            add_motor(self.spec, name, inertia, limit, stiff)


def add_motor(spec: Any, joint: str, inertia: float, limit: float, stiffness: float = 0.0) -> None:
    """Add a position-controlled motor of critical damping, and of a least stiffness, to a joint."""
    kp = max(inertia * _BANDWIDTH**2, stiffness)
    motor = spec.add_actuator(name=joint, target=joint)
    motor.trntype = mujoco.mjtTrn.mjTRN_JOINT
    motor.gaintype = mujoco.mjtGain.mjGAIN_FIXED
    motor.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    motor.gainprm[0] = kp
    motor.biasprm[1], motor.biasprm[2] = -kp, -2.0 * float(np.sqrt(kp * inertia))
    if np.isfinite(limit):
        motor.forcelimited = True
        motor.forcerange = [-limit, limit]


def add_hull(spec: Any, body: Any, name: str, vertices: NDArray[np.floating], **geom: Any) -> None:
    """Add the convex hull of points to a body; of flat points their bounding box."""
    from scipy.spatial import ConvexHull, QhullError

    points = np.asarray(vertices, np.float64)
    try:
        hull = ConvexHull(points)
    except QhullError:
        low, high = points.min(0), points.max(0)
        offset = np.zeros(3)
        quat = np.asarray(geom.pop("quat", (1.0, 0, 0, 0)), np.float64)
        mujoco.mju_rotVecQuat(offset, (low + high) / 2, quat)
        pos = np.asarray(geom.pop("pos", np.zeros(3))) + offset
        half = np.maximum((high - low) / 2, 1e-4)
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=half, pos=pos, quat=quat, **geom)
        return
    mesh = spec.add_mesh(name=name)
    mesh.uservert = points[hull.vertices].ravel()
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    body.add_geom(type=_MESH, meshname=name, **geom)
