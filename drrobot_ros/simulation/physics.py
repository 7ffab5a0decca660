"""A robot and loose solids that push, hold and drop each other, in MuJoCo, without ROS.

The whole arm, or its hand alone on a carriage that goes where it is told: quick enough to try many
grasps. Everything that draws belongs to one thread, as in `simulation.robot`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from drrobot_ros.configuration import setting, validate
from drrobot_ros.errors import InputError, ModelError, unknown_name
from drrobot_ros.geometry.camera import PinholeCamera
from drrobot_ros.robot.model import RobotModel
from drrobot_ros.simulation.config import SceneConfig
from drrobot_ros.simulation.physics_robot import (
    GROUND,
    ROBOT,
    SOLID,
    add_hull,
    add_motor,
    add_physical_robot,
)
from drrobot_ros.simulation.renderer import Renderer
from drrobot_ros.simulation.room import add_surroundings

Floats = NDArray[np.float64]
_AXES = "xyz"
_CARRIAGE_N = 2000.0


@dataclasses.dataclass(frozen=True)
class PhysicsConfig:
    """How a world with contacts is computed."""

    timestep_s: float = setting(0.002, "of a step", unit="s", minimum=1e-4, maximum=0.005)
    torsion_m: float = setting(
        0.005,
        "friction against turning in a contact: of pads that give, about half of the patch",
        unit="m",
        minimum=0.0,
        maximum=0.05,
    )
    rolling_m: float = setting(
        0.0003, "friction against rolling", unit="m", minimum=0.0, maximum=0.05
    )
    iterations: int = setting(30, "of the contact solver, at most", minimum=1, maximum=200)

    def __post_init__(self) -> None:
        validate(self)


@dataclasses.dataclass(frozen=True, eq=False)
class Solid:
    """A loose object.

    Attributes:
        name: unique.
        pieces: vertices [V, 3] of each of the convex pieces that it is made of, own frame, m.
        T_base_solid: [4, 4] where it is at the start.
        mass_kg: of all pieces together.
        friction: sliding, against everything.
        look: vertices [V, 3] and faces [F, 3] that are drawn; None: the pieces.
        rgb: its colour, 0 to 1.
        fixed: true if it cannot move.

    Raises:
        InputError: no piece, a piece of fewer than four vertices, a mass that is not positive.
    """

    name: str
    pieces: tuple[Floats, ...]
    T_base_solid: Floats
    mass_kg: float = 0.2
    friction: float = 0.6
    look: tuple[Floats, NDArray[np.integer]] | None = None
    rgb: tuple[float, float, float] = (0.7, 0.7, 0.7)
    fixed: bool = False

    def __post_init__(self) -> None:
        where = f"solid {self.name!r}"
        if not self.pieces:
            raise InputError(f"{where} has no pieces")
        for piece in self.pieces:
            shape = np.shape(piece)
            if len(shape) != 2 or shape[1] != 3 or shape[0] < 4 or not np.isfinite(piece).all():
                raise InputError(f"{where}: a piece needs at least 4 finite vertices [V, 3]")
        if not (np.isfinite(self.mass_kg) and self.mass_kg > 0):
            raise InputError(f"{where}: mass_kg must be positive, got {self.mass_kg}")


class PhysicsWorld:
    """Steps a robot among solids; its joints are driven to targets by motors of limited force.

    Args:
        model: the robot; its links do not collide with each other.
        solids: what lies around.
        plane: unit normal [3] and offset (normal . x = offset) of the ground, base frame, m; None:
            there is none.
        config: of the physics.
        hand: name of a link: only it and what hangs from it is there, on a carriage; None: the
            whole robot.
        forces: most that each named joint's motor gives, N or N m; others: the model's limits.
        look: the room that is drawn; None: nothing can be drawn.

    Raises:
        InputError: names twice, an unknown hand, ball or floating joints.
        ModelError: MuJoCo rejects a shape.
    """

    def __init__(
        self,
        model: RobotModel,
        solids: Sequence[Solid] = (),
        *,
        plane: tuple[Floats, float] | None = None,
        config: PhysicsConfig | None = None,
        hand: str | None = None,
        forces: dict[str, float] | None = None,
        look: SceneConfig | None = None,
    ) -> None:
        self.model, self.config, self.look = model, config or PhysicsConfig(), look
        self.solids = tuple(solids)
        names = [s.name for s in solids]
        if len(set(names)) < len(names):
            raise InputError(f"solids must have different names, got {', '.join(names)}")
        spec = self._spec(plane)
        parent, root = spec.worldbody, model.base_link
        if hand is not None:
            parent, root = self._carriage(spec, hand), hand
        robot = add_physical_robot(spec, parent, model, root, forces=forces, look=look)
        for solid in solids:
            self._add_solid(spec, solid)
        try:
            self.mj_model: Any = spec.compile()
        except (ValueError, mujoco.FatalError) as error:
            raise ModelError(f"MuJoCo cannot compute {model.name!r}: {error}") from error
        m = self.mj_model
        self.data: Any = mujoco.MjData(m)
        self.has_carriage = hand is not None
        self._motor = [m.actuator(n).id if n else -1 for n in robot.joints]
        self._joint = [m.joint(n).id if n else -1 for n in robot.joints]
        self._links = {m.body(body).id: link for link, body in robot.bodies.items()}
        self._solid_body = {s.name: m.body(f"solid/{s.name}").id for s in solids}
        self._names = {body: name for name, body in self._solid_body.items()}
        self._renderers: dict[PinholeCamera, Renderer] = {}
        self._followers = self._coupled()
        self.reset()

    def __enter__(self) -> "PhysicsWorld":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the graphics."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    # -- making it ---------------------------------------------------------------------------------

    def _spec(self, plane: tuple[Floats, float] | None) -> Any:
        spec = mujoco.MjSpec()
        spec.compiler.degree = False
        option = spec.option
        option.timestep = self.config.timestep_s
        option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        option.impratio = 10.0
        option.iterations = self.config.iterations
        option.gravity = self.model.T_world_base[:3, :3] @ np.array([0.0, 0.0, -9.81])
        if self.look is not None:
            spec.compiler.degree = True
            add_surroundings(spec, self.look, 0.0)
            spec.compiler.degree = False
        if plane is not None:
            normal = np.asarray(plane[0], np.float64)
            T = self.model.T_world_base
            quat, z = np.zeros(4), T[:3, :3] @ normal
            mujoco.mju_quatZ2Vec(quat, z)
            spec.worldbody.add_geom(
                name="ground",
                type=mujoco.mjtGeom.mjGEOM_PLANE,
                size=[0, 0, 0.01],
                pos=T[:3, :3] @ (normal * plane[1]) + T[:3, 3],
                quat=quat,
                contype=GROUND,
                conaffinity=SOLID | ROBOT,
                friction=(0.05, 1e-3, 1e-5),
                condim=4,
                rgba=(0, 0, 0, 0),
            )
        return spec

    def _carriage(self, spec: Any, hand: str) -> Any:
        self.model.link_index(hand)
        body = spec.worldbody.add_body(name="carriage", gravcomp=1.0)
        body.explicitinertial = True
        body.mass, body.inertia = 1.0, np.full(3, 0.01)
        for axis, name in zip(np.eye(3), _AXES, strict=True):
            body.add_joint(name=f"carriage/{name}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=axis)
            add_motor(spec, f"carriage/{name}", 2.0, _CARRIAGE_N)
        return body

    def _add_solid(self, spec: Any, solid: Solid) -> None:
        body = spec.worldbody.add_body(name=f"solid/{solid.name}")
        self._put(body, solid.T_base_solid)
        if not solid.fixed:
            body.add_freejoint()
        shown = solid.look is None and self.look is not None
        volume = np.array([_volume(piece) for piece in solid.pieces])
        share = volume / volume.sum()
        for i, (piece, part) in enumerate(zip(solid.pieces, share, strict=True)):
            add_hull(
                spec,
                body,
                f"{body.name}/{i}",
                piece,
                contype=SOLID,
                conaffinity=ROBOT | SOLID | GROUND,
                group=2 if shown else 3,
                friction=(solid.friction, self.config.torsion_m, self.config.rolling_m),
                condim=6,
                mass=float(solid.mass_kg * part),
                rgba=(*solid.rgb, 1.0),
            )
        if solid.look is not None and self.look is not None:
            mesh = spec.add_mesh(name=f"{body.name}/look")
            mesh.uservert = np.asarray(solid.look[0], np.float64).ravel()
            mesh.userface = np.asarray(solid.look[1], np.int32).ravel()
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
            body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_MESH,
                meshname=mesh.name,
                rgba=(*solid.rgb, 1.0),
                mass=0.0,
                contype=0,
                conaffinity=0,
                group=2,
            )

    def _put(self, body: Any, T_base: Floats) -> None:
        T = self.model.T_world_base @ T_base
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, np.ascontiguousarray(T[:3, :3]).ravel())
        body.pos, body.quat = T[:3, 3], quat

    def _coupled(self) -> list[tuple[int, int, Floats]]:
        m = self.mj_model
        return [
            (int(m.eq_obj1id[e]), int(m.eq_obj2id[e]), m.eq_data[e][:2].copy())
            for e in range(m.neq)
        ]

    # -- using it ----------------------------------------------------------------------------------

    def reset(self) -> None:
        """Put everything back to its start, at rest; the robot to its model's home."""
        mujoco.mj_resetData(self.mj_model, self.data)
        self.place(self.model.home().numpy())

    def place(self, q: Floats) -> None:
        """Put the robot's joints at q [nq], at rest, and make it their target."""
        m, d = self.mj_model, self.data
        for k, j in enumerate(self._joint):
            if j >= 0:
                d.qpos[m.jnt_qposadr[j]] = q[k]
                d.qvel[m.jnt_dofadr[j]] = 0
        for first, second, (constant, slope) in self._followers:
            a, b = m.jnt_qposadr[first], m.jnt_qposadr[second]
            known = {self._joint[k] for k in range(len(q))}
            if second in known:
                d.qpos[a] = m.qpos0[a] + constant + slope * (d.qpos[b] - m.qpos0[b])
            elif first in known and slope:
                d.qpos[b] = m.qpos0[b] + (d.qpos[a] - m.qpos0[a] - constant) / slope
        self.target(q)
        mujoco.mj_forward(m, d)

    def target(self, q: Floats) -> None:
        """Tell the motors where the joints shall go [nq]."""
        for k, a in enumerate(self._motor):
            if a >= 0:
                self.data.ctrl[a] = q[k]

    def place_hand(self, T_base_hand: Floats) -> None:
        """Put the carriage's hand at a pose [4, 4], at rest; offsets are counted from there.

        Raises:
            InputError: the world holds a whole robot.
        """
        self._needs_carriage()
        m, d = self.mj_model, self.data
        T = self.model.T_world_base @ T_base_hand
        body = m.body("carriage").id
        m.body_pos[body] = T[:3, 3]
        mujoco.mju_mat2Quat(m.body_quat[body], np.ascontiguousarray(T[:3, :3]).ravel())
        for name in _AXES:
            j = m.joint(f"carriage/{name}").id
            d.qpos[m.jnt_qposadr[j]], d.qvel[m.jnt_dofadr[j]] = 0.0, 0.0
        self.move_hand(np.zeros(3))
        mujoco.mj_forward(m, d)

    def move_hand(self, offset: Floats) -> None:
        """Tell the carriage where to go: an offset [3] from where it was placed, base frame, m."""
        m = self.mj_model
        R = np.zeros(9)
        mujoco.mju_quat2Mat(R, m.body_quat[m.body("carriage").id])
        own = R.reshape(3, 3).T @ self.model.T_world_base[:3, :3] @ offset
        for name, value in zip(_AXES, own, strict=True):
            self.data.ctrl[m.actuator(f"carriage/{name}").id] = value

    def _needs_carriage(self) -> None:
        if not self.has_carriage:
            raise InputError("the whole robot is in this world; it has no carriage")

    def step(self, seconds: float, each: Callable[[float], None] | None = None) -> None:
        """Let time pass; `each` is called before every step with the time since the call, s."""
        for k in range(max(round(seconds / self.config.timestep_s), 1)):
            if each is not None:
                each(k * self.config.timestep_s)
            mujoco.mj_step(self.mj_model, self.data)

    @property
    def time_s(self) -> float:
        """Time since the last reset."""
        return float(self.data.time)

    def q(self) -> Floats:
        """Return the joints' positions [nq]; 0 for those that are not in this world."""
        m, d = self.mj_model, self.data
        return np.array([d.qpos[m.jnt_qposadr[j]] if j >= 0 else 0.0 for j in self._joint])

    def qvel(self) -> Floats:
        """Return the joints' velocities [nq]."""
        m, d = self.mj_model, self.data
        return np.array([d.qvel[m.jnt_dofadr[j]] if j >= 0 else 0.0 for j in self._joint])

    def still(self, speed: float = 2e-3) -> bool:
        """Tell whether no solid moves faster than so many m/s."""
        m, d = self.mj_model, self.data
        for body in self._solid_body.values():
            if m.body_jntnum[body]:
                v = m.jnt_dofadr[m.body_jntadr[body]]
                # Turning counts by what it moves 5 cm away.
                if np.linalg.norm(d.qvel[v : v + 3]) > speed:
                    return False
                if 0.05 * np.linalg.norm(d.qvel[v + 3 : v + 6]) > speed:
                    return False
        return True

    def link_pose(self, link: str) -> Floats:
        """Return T_base_link [4, 4]."""
        body = next((b for b, name in self._links.items() if name == link), None)
        if body is None:
            raise unknown_name("link", link, self._links.values())
        return self._pose(body)

    def solid_pose(self, name: str) -> Floats:
        """Return T_base_solid [4, 4]."""
        return self._pose(self._body_of(name))

    def set_solid(
        self,
        name: str,
        T_base_solid: Floats | None = None,
        *,
        friction: float | None = None,
        mass_kg: float | None = None,
    ) -> None:
        """Change a solid: where it is (at rest), its friction or its mass."""
        m, d, body = self.mj_model, self.data, self._body_of(name)
        if T_base_solid is not None:
            T = self.model.T_world_base @ T_base_solid
            if m.body_jntnum[body]:
                j = m.body_jntadr[body]
                a, v = m.jnt_qposadr[j], m.jnt_dofadr[j]
                d.qpos[a : a + 3] = T[:3, 3]
                mujoco.mju_mat2Quat(d.qpos[a + 3 : a + 7], np.ascontiguousarray(T[:3, :3]).ravel())
                d.qvel[v : v + 6] = 0
            else:
                m.body_pos[body] = T[:3, 3]
                mujoco.mju_mat2Quat(m.body_quat[body], np.ascontiguousarray(T[:3, :3]).ravel())
        if friction is not None:
            m.geom_friction[m.geom_bodyid == body, 0] = friction
        if mass_kg is not None:
            factor = mass_kg / m.body_mass[body]
            m.body_mass[body] *= factor
            m.body_inertia[body] *= factor
            m.body_subtreemass[body] *= factor

    def touched_by(self, name: str) -> set[str]:
        """Return what touches a solid now: links, other solids, ``ground``."""
        m, d, body = self.mj_model, self.data, self._body_of(name)
        found = set()
        for contact in d.contact[: d.ncon]:
            a, b = (int(m.geom_bodyid[g]) for g in contact.geom)
            if body in (a, b) and contact.dist < 1e-3:
                other = b if a == body else a
                found.add(self._links.get(other) or self._names.get(other) or "ground")
        return found

    def _body_of(self, name: str) -> int:
        if name not in self._solid_body:
            raise unknown_name("solid", name, self._solid_body)
        return self._solid_body[name]

    def _pose(self, body: int) -> Floats:
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = self.data.xmat[body].reshape(3, 3), self.data.xpos[body]
        return np.linalg.inv(self.model.T_world_base) @ T

    # -- seeing it ---------------------------------------------------------------------------------

    def render(
        self, camera: PinholeCamera, T_base_camera: Floats, *, truth: bool = True
    ) -> "PhysicsFrame":
        """Return what a camera [4, 4] sees now.

        Raises:
            InputError: the world was made without a look.
            BackendError: there is no off-screen OpenGL, or another thread calls.
        """
        if self.look is None:
            raise InputError("this world cannot be drawn; make it with look=SceneConfig()")
        m = self.mj_model
        renderer = self._renderers.get(camera)
        if renderer is None:
            renderer = self._renderers[camera] = Renderer(m, camera, samples=self.look.samples)
            renderer._option.geomgroup[3] = 0  # collision shapes are not seen
        renderer.update(self.data, self.model.T_world_base @ T_base_camera, self.look.shadows)
        rgb = renderer.colors()
        if not truth:
            return PhysicsFrame(rgb, None, {}, None)
        geoms, depth = renderer.segmentation_and_depth()
        body = np.append(m.geom_bodyid, -1)[geoms]
        masks = {name: body == b for name, b in self._solid_body.items()}
        return PhysicsFrame(rgb, depth, masks, np.isin(body, list(self._links)))


@dataclasses.dataclass(frozen=True, eq=False)
class PhysicsFrame:
    """What a camera saw, and the truth.

    Attributes:
        rgb: [H, W, 3] uint8.
        depth_m: [H, W] float32 along the optical axis, 0 where there is nothing; None if not asked.
        masks: [H, W] bool by name of solid: where it is seen.
        robot: [H, W] bool, where the robot is seen.
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None
    masks: dict[str, NDArray[np.bool_]]
    robot: NDArray[np.bool_] | None


def _volume(vertices: Floats) -> float:
    from scipy.spatial import ConvexHull, QhullError

    try:
        return float(ConvexHull(vertices).volume)
    except QhullError:
        return 1e-9
