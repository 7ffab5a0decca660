"""What others say: MuJoCo and pinocchio on the same robots and states."""

from dataclasses import dataclass

import mujoco
import numpy as np
import torch

from drrobot_ros.robot import JointType, KinematicTree, RobotModel

MENAGERIE = (
    "franka_emika_panda",
    "google_robot",
    "shadow_hand",
    "trossen_vx300s",
    "ufactory_xarm7",
    "unitree_g1",
    "unitree_go1",
    "unitree_go2",
    "unitree_h1",
    "universal_robots_ur5e",
)

BODIES = """
<mujoco><compiler angle="degree"/><worldbody>
<body name="trunk" pos="0 0 1"><freejoint name="free"/>
 <inertial pos="0.1 0.2 -.1" mass="3" diaginertia=".1 .2 .25"/>
 <body name="ball" pos="0.3 0 0.1" euler="10 20 30">
  <joint name="ball" type="ball" pos="0.02 0.1 0" damping="0.3" armature="0.02"/>
  <inertial pos="0.1 0.02 -.1" mass="2" diaginertia=".1 .05 .07"/>
  <body name="two" pos="0.3 0 0.1" euler="10 20 30">
   <joint name="slide" type="slide" axis="1 1 0.4" pos="0.02 0.1 0" damping="0.2"/>
   <joint name="hinge" axis="1 -1 2" pos=".1 .2 .3" ref="20" armature="0.1"/>
   <inertial pos="0.1 0.02 -.1" mass="2" diaginertia=".1 .05 .07"/>
   <body name="held" pos=".1 .1 0" euler="0 45 0">
    <inertial pos="0.1 0 0" mass="0.5" diaginertia=".01 .02 .02"/>
    <body name="tip" pos="0.1 0 0.1" euler="10 20 30">
     <joint name="tip" axis="0 -1 0" pos=".1 .2 .3"/>
     <inertial pos="0.1 0.02 -.1" mass="1" diaginertia=".1 .05 .07"/>
 </body></body></body></body>
 <body name="side" pos="-.3 0 .1" euler="10 20 30"><joint name="side" axis="1 2 0"/>
  <inertial pos="0.1 0.02 -.1" mass="1" diaginertia=".1 .05 .07"/></body>
</body></worldbody>%s</mujoco>"""
COUPLING = '<equality><joint joint1="side" joint2="tip" polycoef="0.1 -0.7 0 0 0"/></equality>'


def every_motion() -> RobotModel:
    """A floating trunk with a ball, a slide and hinges; several joints on one body."""
    return RobotModel.from_mjcf(BODIES % "")


def coupled_motions() -> RobotModel:
    """The same with two hinges in different branches coupled."""
    return RobotModel.from_mjcf(BODIES % COUPLING)


@dataclass
class States:
    """Random configurations, velocities and accelerations or forces."""

    q: torch.Tensor
    v: torch.Tensor
    a: torch.Tensor


def states(model: RobotModel, n: int, seed: int = 0) -> States:
    generator = torch.Generator().manual_seed(seed)
    shape = (n, model.nv)
    v = torch.randn(shape, generator=generator, dtype=torch.float64)
    a = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return States(model.random_configuration(n, seed), v, a)


def relative(found: torch.Tensor, true: torch.Tensor) -> float:
    """The largest relative error of a state, each state being one vector or matrix."""
    off = (found - true).flatten(1).norm(dim=1)
    return float((off / true.flatten(1).norm(dim=1).clamp_min(1e-9)).max())


def quiet(model: RobotModel, damping: bool = False) -> mujoco.MjModel:
    """A copy of the robot's MuJoCo model with nothing but rigid bodies."""
    m = mujoco.MjModel.__copy__(model.mj_model)
    off = mujoco.mjtDisableBit
    flags = off.mjDSBL_CONSTRAINT | off.mjDSBL_SPRING | off.mjDSBL_ACTUATION
    m.opt.disableflags |= int(flags)
    if not damping:
        m.opt.disableflags |= int(off.mjDSBL_DAMPER)
    for body, row in model._parts.row_of_body.items():
        if model.tree.mass[row] == 0:  # MuJoCo gives massless links of a URDF a little
            m.body_mass[body], m.body_inertia[body] = 0, 0
    m.body_gravcomp[:] = 0
    m.opt.density = m.opt.viscosity = 0
    if m.ntendon:
        m.tendon_damping[:] = 0
        m.tendon_armature[:] = 0
    return m


@dataclass
class MujocoResult:
    tau: torch.Tensor
    M: torch.Tensor
    a: torch.Tensor


def by_mujoco(model: RobotModel, s: States, tau: torch.Tensor, damping=False) -> MujocoResult:
    """Inverse dynamics of (q, v, a), mass matrix, forward dynamics of (q, v, tau).

    Coupled joints are put in: forces of all MuJoCo's joints, brought to ours. Forward dynamics is
    only comparable without them.
    """
    m = quiet(model, damping)
    d = mujoco.MjData(m)
    W = model.mj_v_map()
    full = np.zeros((m.nv, m.nv))
    out = MujocoResult(*(torch.zeros(0) for _ in range(3)))
    taus, Ms, accelerations = [], [], []
    for q, v, a, force in zip(s.q, s.v.numpy(), s.a.numpy(), tau.numpy(), strict=True):
        d.qpos[:], d.qvel[:], d.qacc[:] = model.mj_qpos(q), W @ v, W @ a
        mujoco.mj_inverse(m, d)
        taus.append(W.T @ d.qfrc_inverse)
        mujoco.mj_fullM(m, d, full)
        Ms.append(W.T @ full @ W)
        d.qfrc_applied[:] = np.linalg.pinv(W.T) @ force
        mujoco.mj_forward(m, d)
        accelerations.append(np.linalg.pinv(W) @ d.qacc)
    out.tau, out.M, out.a = (torch.from_numpy(np.array(x)) for x in (taus, Ms, accelerations))
    return out


class Pinocchio:
    """The tree built joint by joint in pinocchio; a floating joint is a translation and a ball.

    Coupled joints are joints of their own there; results are brought to ours by W, which makes
    their velocities of ours.
    """

    def __init__(self, model: RobotModel) -> None:
        import pinocchio as pin  # pyright: ignore

        self.pin = pin
        tree: KinematicTree = model.tree
        self.robot = model
        self.model = pin.Model()
        self.model.gravity = pin.Motion(np.concatenate([model.gravity, np.zeros(3)]))
        joint_of: list[int] = []
        placed: list[np.ndarray] = []  # the link in its joint's frame
        self.q_parts: list[tuple[JointType, int, float, float]] = []
        columns: list[np.ndarray] = []
        self.armature: list[float] = []
        for i, name in enumerate(tree.link_names):
            above = int(tree.parent[i])
            T = tree.T_parent_joint[i]
            joint = 0
            if above >= 0:
                joint, T = joint_of[above], placed[above] @ T
            kind = JointType(int(tree.joint_type[i]))
            place = pin.SE3(T)
            axis = tree.axis[i]
            if kind == JointType.FLOATING:
                shift = pin.JointModelTranslation()
                joint = self.model.addJoint(joint, shift, place, name + "/shift")
                place = pin.SE3.Identity()
            made = {
                JointType.REVOLUTE: lambda a=axis: pin.JointModelRevoluteUnaligned(a),
                JointType.PRISMATIC: lambda a=axis: pin.JointModelPrismaticUnaligned(a),
                JointType.BALL: pin.JointModelSpherical,
                JointType.FLOATING: pin.JointModelSpherical,
            }
            if kind == JointType.FIXED:
                placed.append(T @ tree.T_joint_link[i])
            else:
                joint = self.model.addJoint(joint, made[kind](), place, name)
                placed.append(tree.T_joint_link[i])
                gain, offset = float(tree.mimic_multiplier[i]), float(tree.mimic_offset[i])
                self.q_parts.append((kind, int(tree.q_index[i]), gain, offset))
                size = {JointType.BALL: 3, JointType.FLOATING: 6}.get(kind, 1)
                first = int(tree.v_index[i])
                columns += [gain * np.eye(model.nv)[first + k] for k in range(size)]
                self.armature += [float(tree.armature[i])] * size
            joint_of.append(joint)
            inertia = pin.Inertia(float(tree.mass[i]), tree.com[i], tree.inertia[i])
            self.model.appendBodyToJoint(joint, inertia, pin.SE3(placed[i]))
        self.W = np.array(columns)
        self.coupled = len(self.W) > model.nv
        self.model.armature = np.array(self.armature)
        self.data = self.model.createData()

    def q(self, q: np.ndarray) -> np.ndarray:
        parts = []
        for kind, first, gain, offset in self.q_parts:
            if kind == JointType.FLOATING:
                parts.append(q[first : first + 3])
                first += 3  # noqa: PLW2901
            if kind in (JointType.BALL, JointType.FLOATING):
                w, x, y, z = q[first : first + 4]
                parts.append(np.array([x, y, z, w]))
            else:
                parts.append(np.array([gain * q[first] + offset]))
        return np.concatenate(parts)

    def _batch(self, s: States, function) -> list[torch.Tensor]:
        W = self.W
        rows = []
        for q, v, a in zip(s.q.numpy(), s.v.numpy(), s.a.numpy(), strict=True):
            found = function(self.q(q), W @ v, W @ a)
            rows.append([W.T @ x if x.ndim == 1 else W.T @ x @ W for x in found])
        return [torch.from_numpy(np.array(x)) for x in zip(*rows, strict=True)]

    def inverse_dynamics(self, s: States) -> torch.Tensor:
        return self._batch(
            s, lambda q, v, a: [self.pin.rnea(self.model, self.data, q, v, a).copy()]
        )[0]

    def mass_matrix(self, s: States) -> torch.Tensor:
        def run(q, v, a):
            M = np.triu(self.pin.crba(self.model, self.data, q))
            return [M + np.triu(M, 1).T]

        return self._batch(s, run)[0]

    def forward_dynamics(self, s: States) -> torch.Tensor:
        """Of forces, given as ``s.a``; with coupled joints by solving for them."""
        if self.coupled:
            bias = self.inverse_dynamics(States(s.q, s.v, torch.zeros_like(s.a)))
            return torch.linalg.solve(self.mass_matrix(s), s.a - bias)
        assert np.array_equal(self.W.T @ self.W, np.eye(self.robot.nv))
        return self._batch(
            s, lambda q, v, a: [self.pin.aba(self.model, self.data, q, v, a).copy()]
        )[0]

    def inverse_dynamics_derivatives(self, s: States) -> list[torch.Tensor]:
        def run(q, v, a):
            found = self.pin.computeRNEADerivatives(self.model, self.data, q, v, a)
            dq, dv, M = (np.array(x) for x in found[:3])
            M = np.triu(M)
            return [dq, dv, M + np.triu(M, 1).T]

        return self._batch(s, run)

    def forward_dynamics_derivatives(self, s: States) -> list[torch.Tensor]:
        """Of a tree without couplings and multipliers."""
        assert np.array_equal(self.W.T @ self.W, np.eye(self.robot.nv))

        def run(q, v, a):
            found = self.pin.computeABADerivatives(self.model, self.data, q, v, a)
            dq, dv, inverse = (np.array(x) for x in found[:3])
            inverse = np.triu(inverse)
            return [dq, dv, inverse + np.triu(inverse, 1).T]

        return self._batch(s, run)
