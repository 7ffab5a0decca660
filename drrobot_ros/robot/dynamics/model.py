"""The dynamics of a `RobotModel`: the methods it inherits."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.robot.dynamics import reference
from drrobot_ros.robot.dynamics.checks import check_inertias, check_movable
from drrobot_ros.robot.dynamics.engine import Engine, outside_transforms
from drrobot_ros.robot.tree import KinematicTree

#: Coulomb friction turns over within about this velocity, rad/s or m/s.
FRICTION_VELOCITY = 0.01

Wrenches = Mapping[str | int, Tensor]


class DynamicsMixin:
    """Velocities, accelerations, inverse and forward dynamics, energy and integration.

    Conventions are `RobotModel`'s: q [..., nq], v and all joint accelerations and forces [..., nv]
    in MuJoCo's coordinates; batch dimensions broadcast. Results have the dtype and device of q;
    gradients of any order reach q, v, a, tau, gravity and learned parameters. Forces are N m or N.

    Everywhere, ``gravity`` is [3] in the base frame, m/s^2 (default: the model's), and
    ``resistance`` includes joint damping and Coulomb friction
    (``friction * tanh(v / FRICTION_VELOCITY)``). Armature is always included. ``wrenches`` maps
    link names to external (force, torque) [..., 6] at the link's origin, in base axes.

    Source of the algorithms: R. Featherstone, "Rigid Body Dynamics Algorithms" (2008), tables 5.1
    (RNEA), 6.2 (CRBA), 7.1 (ABA). Trees with coupled joints (mimic) take the mass matrix and an
    LDL^T factorisation instead of ABA, which has no place for them.
    """

    tree: KinematicTree
    nq: int
    nv: int
    T_world_base: np.ndarray
    mj_model: Any
    _kinematics: Engine

    #: Methods of `RobotModel`: the row of a link, and q moved by v for unit time.
    link_index: Callable[[str | int], int]
    integrate: Callable[[Tensor, Tensor], Tensor]

    @cached_property
    def gravity(self) -> np.ndarray:
        """The model's gravity [3] in the base frame, m/s^2."""
        return self.T_world_base[:3, :3].T @ np.asarray(self.mj_model.opt.gravity)

    @cached_property
    def _checked_engine(self) -> Engine:
        check_inertias(self.tree)
        return self._kinematics

    @cached_property
    def _gravities(self) -> dict[tuple[torch.dtype, torch.device], Tensor]:
        return {}

    def _gravity(self, q: Tensor, gravity: Tensor | np.ndarray | None) -> Tensor:
        if gravity is None:
            key = (q.dtype, q.device)
            if key not in self._gravities:
                with outside_transforms():
                    self._gravities[key] = torch.tensor(self.gravity, dtype=key[0], device=key[1])
            return self._gravities[key]
        if not isinstance(gravity, Tensor):
            gravity = torch.as_tensor(np.asarray(gravity, dtype=np.float64))
        if gravity.shape != (3,):
            raise InputError(f"gravity must be [3], got {list(gravity.shape)}")
        return gravity.to(q).contiguous()

    def _pushed(self, q: Tensor, wrenches: Wrenches | None) -> Tensor | None:
        """Return the joint forces [..., nv] that external wrenches are worth."""
        if not wrenches:
            return None
        rows = [self.link_index(link) for link in wrenches]
        J = self._kinematics.jacobian(q, rows)
        total = None
        for k, (link, given) in enumerate(wrenches.items()):
            wrench = given
            if not isinstance(wrench, Tensor):
                wrench = torch.as_tensor(np.asarray(given, dtype=np.float64))
            if wrench.shape[-1:] != (6,):
                raise InputError(
                    f"the wrench on link {link!r} must be [..., 6], got {list(wrench.shape)}"
                )
            part = (J[..., k, :, :].mT @ wrench.to(q)[..., None]).squeeze(-1)
            total = part if total is None else total + part
        return total

    def inverse_dynamics(
        self,
        q: Tensor,
        v: Tensor,
        a: Tensor,
        *,
        gravity: Tensor | np.ndarray | None = None,
        wrenches: Wrenches | None = None,
        resistance: bool = True,
    ) -> Tensor:
        """Return the joint forces [..., nv] that make the accelerations a (RNEA).

        Raises:
            InputError: a size is wrong or a link unknown.
            ModelError: a mass or principal moment of inertia is negative.
        """
        engine = self._checked_engine
        q = engine.check(q)
        slip = FRICTION_VELOCITY if resistance else 0.0
        tau = engine.inverse_dynamics(q, v, a, self._gravity(q, gravity), slip)
        pushed = self._pushed(q, wrenches)
        return tau if pushed is None else tau - pushed

    def forward_dynamics(
        self,
        q: Tensor,
        v: Tensor,
        tau: Tensor,
        *,
        gravity: Tensor | np.ndarray | None = None,
        wrenches: Wrenches | None = None,
        resistance: bool = True,
    ) -> Tensor:
        """Return the joint accelerations [..., nv] that the joint forces tau make (ABA).

        Raises:
            InputError: a size is wrong or a link unknown.
            ModelError: as `inverse_dynamics`, or a joint moves neither mass nor armature.
        """
        engine = self._movable_engine
        q = engine.check(q)
        slip = FRICTION_VELOCITY if resistance else 0.0
        pushed = self._pushed(q, wrenches)
        if pushed is not None:
            tau = engine.check_v(tau, q, "tau") + pushed
        return engine.forward_dynamics(q, v, tau, self._gravity(q, gravity), slip)

    @cached_property
    def _movable_engine(self) -> Engine:
        engine = self._checked_engine
        source = engine.source
        if source is None:
            check_movable(self.tree, self.tree.armature, self.tree.mass)
        return engine

    def mass_matrix(self, q: Tensor) -> Tensor:
        """Return the joint-space inertia [..., nv, nv], armature included (CRBA)."""
        return self._checked_engine.mass_matrix(q)

    def gravity_forces(self, q: Tensor, *, gravity: Tensor | np.ndarray | None = None) -> Tensor:
        """Return the joint forces [..., nv] that hold the robot still."""
        engine = self._checked_engine
        q = engine.check(q)
        return engine.inverse_dynamics(q, None, None, self._gravity(q, gravity), 0.0)

    def bias_forces(
        self,
        q: Tensor,
        v: Tensor,
        *,
        gravity: Tensor | np.ndarray | None = None,
        resistance: bool = False,
    ) -> Tensor:
        """Return the Coriolis, centrifugal and gravity forces [..., nv]: those of a = 0."""
        engine = self._checked_engine
        q = engine.check(q)
        slip = FRICTION_VELOCITY if resistance else 0.0
        return engine.inverse_dynamics(q, v, None, self._gravity(q, gravity), slip)

    def coriolis_matrix(self, q: Tensor, v: Tensor) -> Tensor:
        """Return C [..., nv, nv] with ``C v`` the Coriolis and centrifugal forces; no gradients.

        Half their derivative with respect to v, as they are quadratic in it: for revolute and
        prismatic joints the one of Christoffel's symbols, with ``dM/dt - 2 C`` skew.
        """
        engine = self._checked_engine
        q = engine.check(q)
        v = engine.check_v(v, q, "v")
        still = torch.zeros_like(v)
        found = self.inverse_dynamics_derivatives(
            q, v, still, gravity=q.new_zeros(3), resistance=False
        )
        return found[1] / 2

    def inverse_dynamics_derivatives(
        self,
        q: Tensor,
        v: Tensor,
        a: Tensor,
        *,
        gravity: Tensor | np.ndarray | None = None,
        resistance: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return d tau / d q, d tau / d v and d tau / d a, each [..., nv, nv], analytic.

        Columns of the first are along the velocities: ``integrate(q, e_j)``. Values without
        gradients; differentiate `inverse_dynamics` twice for those.
        """
        engine = self._checked_engine
        q = engine.check(q)
        slip = FRICTION_VELOCITY if resistance else 0.0
        g = self._gravity(q, gravity)
        if engine.uses_native(q):
            return engine.inverse_dynamics_derivatives(q, v, a, g, slip)
        shape = torch.broadcast_shapes(q.shape[:-1], v.shape[:-1], a.shape[:-1])
        step = q.new_zeros(*shape, self.nv).requires_grad_()
        x = [step, *(y.to(q).expand(*shape, -1).detach().requires_grad_() for y in (v, a))]
        with torch.enable_grad():
            tau = engine.inverse_dynamics(self.integrate(q, step), x[1], x[2], g, slip)
            rows = [
                torch.autograd.grad(tau[..., i].sum(), x, retain_graph=True, materialize_grads=True)
                for i in range(self.nv)
            ]
        dq, dv, da = (torch.stack(column, dim=-2).detach() for column in zip(*rows, strict=True))
        return dq, dv, da

    def forward_dynamics_derivatives(
        self,
        q: Tensor,
        v: Tensor,
        tau: Tensor,
        *,
        gravity: Tensor | np.ndarray | None = None,
        resistance: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return d a / d q, d a / d v and d a / d tau, each [..., nv, nv], as above."""
        with torch.no_grad():
            a = self.forward_dynamics(q, v, tau, gravity=gravity, resistance=resistance)
            dq, dv, M = self.inverse_dynamics_derivatives(
                q, v, a, gravity=gravity, resistance=resistance
            )
            inverse = torch.cholesky_inverse(torch.linalg.cholesky((M + M.mT) / 2))
            return -inverse @ dq, -inverse @ dv, inverse

    def energy(
        self, q: Tensor, v: Tensor, *, gravity: Tensor | np.ndarray | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return kinetic and potential energy [...] in J; potential zero at the base's origin."""
        engine = self._checked_engine
        q = engine.check(q)
        v = engine.check_v(v, q, "v")
        s, x = engine.structure(q), engine.prepared(q)
        return reference.energy(s, x, q, v, self._gravity(q, gravity))

    def regressor(
        self, q: Tensor, v: Tensor, a: Tensor, *, gravity: Tensor | np.ndarray | None = None
    ) -> Tensor:
        """Return Y [..., nv, L, 10]: what each link's inertial numbers add to the joint forces.

        ``(Y * phi).sum((-1, -2))``, with phi [L, 10] as `inertial_numbers` gives it, is
        `inverse_dynamics` without armature and resistance. Gradients reach q, v, a.
        """
        engine = self._kinematics
        q = engine.check(q)
        v, a = engine.check_v(v, q, "v"), engine.check_v(a, q, "a")
        s, x = engine.structure(q), engine.prepared(q)
        return reference.regressor(s, x, q, v, a, self._gravity(q, gravity))

    def inertial_numbers(self, tree: KinematicTree | None = None) -> Tensor:
        """Return phi [L, 10] float64 of a tree (default: the model's as loaded).

        (mass, mass * com, inertia about the link's origin as xx xy xz yy yz zz), link axes.
        """
        tree = tree or self.tree
        m, c = tree.mass[:, None], tree.com
        square = (c * c).sum(1)[:, None, None] * np.eye(3) - c[:, :, None] * c[:, None, :]
        about_origin = tree.inertia + m[..., None] * square
        upper = about_origin[:, *np.triu_indices(3)]
        return torch.from_numpy(np.concatenate([m, m * c, upper], axis=1))

    def link_velocities(self, q: Tensor, v: Tensor) -> Tensor:
        """Return the velocities [..., L, 6] of all link origins: (m/s, rad/s), base frame."""
        engine = self._kinematics
        q = engine.check(q)
        v = engine.check_v(v, q, "v")
        return reference.link_motion(engine.structure(q), engine.prepared(q), q, v, None)[0]

    def link_accelerations(self, q: Tensor, v: Tensor, a: Tensor) -> Tensor:
        """Return the accelerations [..., L, 6] of all link origins: (m/s^2, rad/s^2), base frame.

        What the coordinates of the origin and the angular velocity change by; without gravity.
        """
        engine = self._kinematics
        q = engine.check(q)
        v, a = engine.check_v(v, q, "v"), engine.check_v(a, q, "a")
        found = reference.link_motion(engine.structure(q), engine.prepared(q), q, v, a)[1]
        assert found is not None
        return found

    def jacobian_derivative(
        self, q: Tensor, v: Tensor, link: str | int, point: Tensor | None = None
    ) -> Tensor:
        """Return the time derivative [..., 6, nv] of ``jacobian(q, link, point)`` along v.

        The acceleration of the point is ``J a + (dJ/dt) v``.
        """
        engine = self._kinematics
        q = engine.check(q)
        v = engine.check_v(v, q, "v")
        if point is not None:
            point = torch.as_tensor(point, dtype=q.dtype, device=q.device)
        rows = [self.link_index(link)]
        s, x = engine.structure(q), engine.prepared(q)
        return reference.jacobian_derivative(s, x, q, v, rows, point).squeeze(-3)

    def link_pose(self, q: Tensor, link: str | int) -> Tensor:
        """Return T_base_link [..., 4, 4] of one link only."""
        return self._kinematics.forward(q, (self.link_index(link),)).squeeze(-3)

    def step(
        self,
        q: Tensor,
        v: Tensor,
        tau: Tensor,
        dt_s: float,
        *,
        method: str = "semi_implicit",
        gravity: Tensor | np.ndarray | None = None,
        wrenches: Wrenches | None = None,
        resistance: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Return q and v after dt_s with constant tau, without contacts; differentiable.

        Args:
            q: [..., nq].
            v: [..., nv].
            tau: [..., nv].
            dt_s: time step, s.
            method: "semi_implicit" (Euler, one evaluation, order 1, keeps energy bounded) or
                "rk4" (Runge-Kutta, four evaluations, order 4).
            gravity: as everywhere.
            wrenches: as everywhere, constant during the step.
            resistance: as everywhere.

        Raises:
            InputError: dt_s is not positive or the method unknown.
        """
        if not dt_s > 0:
            raise InputError(f"dt_s must be positive, got {dt_s!r}")

        def acceleration(q: Tensor, v: Tensor) -> Tensor:
            return self.forward_dynamics(
                q, v, tau, gravity=gravity, wrenches=wrenches, resistance=resistance
            )

        if method == "semi_implicit":
            v = v + dt_s * acceleration(q, v)
            return self.integrate(q, dt_s * v), v
        if method != "rk4":
            raise InputError(f"unknown method {method!r}; valid: semi_implicit, rk4")
        return self._runge_kutta(q, v, dt_s, acceleration)

    def _runge_kutta(self, q: Tensor, v: Tensor, dt_s: float, acceleration: Any) -> tuple:
        """Runge-Kutta-Munthe-Kaas of order 4: stages are tangent vectors at q."""
        h = dt_s
        k1, a1 = v, acceleration(q, v)
        u = h / 2 * k1
        v2 = v + h / 2 * a1
        k2, a2 = self._correct(u, v2), acceleration(self.integrate(q, u), v2)
        u = h / 2 * k2
        v3 = v + h / 2 * a2
        k3, a3 = self._correct(u, v3), acceleration(self.integrate(q, u), v3)
        u = h * k3
        v4 = v + h * a3
        k4, a4 = self._correct(u, v4), acceleration(self.integrate(q, u), v4)
        q_next = self.integrate(q, h / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
        return q_next, v + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)

    def _correct(self, u: Tensor, v: Tensor) -> Tensor:
        """Return the rate of the tangent vector u at which ``integrate(q, u)`` moves with v."""
        turning = self._turning
        if not turning:
            return v
        rate = v.clone()
        for k in turning:
            w, turn = u[..., k : k + 3], v[..., k : k + 3]
            swept = torch.linalg.cross(w, turn)
            # The inverse of the right Jacobian of SO(3), to the order that RK4 needs.
            rate[..., k : k + 3] = turn + swept / 2 + torch.linalg.cross(w, swept) / 12
        return rate

    @cached_property
    def _turning(self) -> list[int]:
        """The first velocity of every quaternion."""
        from drrobot_ros.robot.tree import JointType

        kind, first = self.tree.joint_type, self.tree.v_index
        ball = [int(v) for v in first[kind == JointType.BALL]]
        return ball + [int(v) + 3 for v in first[kind == JointType.FLOATING]]
