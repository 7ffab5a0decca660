"""Kinematics and dynamics in batched torch without loops over the tree: reference and CUDA path.

Every quantity is written in the base's axes about one common point, so that velocities,
accelerations and forces of all links are products with the constant matrix that says which joint
moves which link. Nothing is sequential but the poses, whose products are log2(depth) deep.

Spatial vectors are pairs (angular, linear) of [..., n, 3] tensors; the linear velocity is that of
the body-fixed point at the common point. Differentiable to any order in states and numbers.

Source: R. Featherstone, "Rigid Body Dynamics Algorithms" (2008): the recursive Newton-Euler
algorithm is table 5.1, the composite-rigid-body algorithm table 6.2; here their recursions are
summed at once (the global-coordinate form of section 5.4).
"""

import dataclasses

import torch
from torch import Tensor

from drrobot_ros.geometry import se3, so3
from drrobot_ros.robot.dynamics import packing
from drrobot_ros.robot.dynamics.structure import Structure
from drrobot_ros.robot.tree import JointType

Pair = tuple[Tensor, Tensor]


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Return the cross product over the last dimension; the others broadcast."""
    return torch.linalg.cross(a, b, dim=-1)


def _apply(M: Tensor, x: Tensor) -> Tensor:
    return (M @ x[..., None]).squeeze(-1)


class Prepared:
    """Packed numbers [L, PACKED] taken apart for `Structure` s."""

    def __init__(self, s: Structure, numbers: Tensor) -> None:
        self.numbers = numbers
        head = _pose(numbers[:, packing.HEAD_R], numbers[:, packing.HEAD_P])
        self.rest, self.first, self.cosine = head @ s.at_rest, head @ s.by_first, head @ s.by_cosine
        self.head = head
        self.tail = _pose(numbers[:, packing.TAIL_R], numbers[:, packing.TAIL_P])
        self.mass = numbers[:, packing.MASS]
        self.moment = numbers[:, packing.FIRST]
        xx, xy, xz, yy, yz, zz = numbers[:, packing.INERTIA].unbind(-1)
        self.inertia = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], -1).unflatten(-1, (3, 3))
        self.gain = numbers[:, packing.MULTIPLIER] * s.scalar
        self.offset = numbers[:, packing.OFFSET] * s.scalar
        self.scale = numbers[s.mover, packing.MULTIPLIER]
        square = self.scale * self.scale
        self.armature = (numbers[s.mover, packing.ARMATURE] * square) @ s.to_v
        self.damping = (numbers[s.mover, packing.DAMPING] * square) @ s.to_v
        self.friction = numbers[s.mover, packing.FRICTION] * self.scale


def _pose(R: Tensor, p: Tensor) -> Tensor:
    return se3.compose(R.unflatten(-1, (3, 3)), p)


def joint_poses(s: Structure, x: Prepared, q: Tensor) -> Tensor:
    """Return the poses [..., L, 4, 4] of the moved joint frames in the base frame."""
    if s.has_scalar:
        angle = torch.addcmul(x.offset, q.index_select(-1, s.q_index), x.gain)
        first = angle.sin()
        if s.prismatic is not None:
            first = torch.where(s.prismatic, angle, first)
        T = torch.addcmul(x.rest, first[..., None, None], x.first)
        T = torch.addcmul(T, angle.cos()[..., None, None], x.cosine)
    else:
        T = x.rest.expand(*q.shape[:-1], *x.rest.shape)
    if s.quaternion_rows:
        motion = torch.stack([_quaternion_motion(q, k, i) for k, i in s.quaternion_rows], -3)
        T = T.index_copy(-3, s.quaternion_index, x.head[s.quaternion_index] @ motion)
    for jump in s.jumps:
        T = T.index_select(-3, jump) @ T
    return T


def _quaternion_motion(q: Tensor, kind: JointType, start: int) -> Tensor:
    if kind == JointType.FLOATING:
        R = so3.quat_to_matrix(q[..., start + 3 : start + 7])
        return se3.compose(R, q[..., start : start + 3])
    R = so3.quat_to_matrix(q[..., start : start + 4])
    return se3.compose(R, torch.zeros_like(q[..., start : start + 3]))


def link_poses(s: Structure, x: Prepared, q: Tensor) -> Tensor:
    """Return T_base_link [..., L, 4, 4]."""
    return joint_poses(s, x, q) @ x.tail


@dataclasses.dataclass(frozen=True, eq=False)
class Bodies:
    """A configuration, unfolded: where everything is, in base axes about `point`.

    Attributes:
        T: [..., L, 4, 4] the joint frames.
        point: [..., 1, 3] the common point.
        axis: pair of [..., D, 3], the twists of the columns for unit velocities.
    """

    T: Tensor
    point: Tensor
    axis: Pair


def unfold(s: Structure, x: Prepared, T: Tensor) -> Bodies:
    """Return the twists of all columns for joint poses T [..., L, 4, 4]."""
    # Dynamics is the same about any point, so none of the gradient is lost by detaching it.
    point = T[..., s.reference_row, None, :3, 3].detach()
    frame = T.index_select(-3, s.mover)
    pick = s.axis[:, None, None].expand(*frame.shape[:-3], s.count, 3, 1)
    direction = frame[..., :3, :3].gather(-1, pick).squeeze(-1)
    if s.shifts is not None:
        # Floating translations go along the frame before the motion.
        rows = s.mover[s.shifts]
        before = T.index_select(-3, s.carrier[s.shifts])[..., :3, :3] @ x.head[rows, :3, :3]
        pick = s.axis[s.shifts][:, None, None].expand(*before.shape[:-3], len(rows), 3, 1)
        direction = direction.index_copy(-2, s.shifts, before.gather(-1, pick).squeeze(-1))
    direction = direction * x.scale[:, None]
    arm = frame[..., :3, 3] - point
    linear = torch.where(s.linear, direction, cross(arm, direction))
    return Bodies(T, point, (direction.masked_fill(s.linear, 0.0), linear))


def velocities(s: Structure, b: Bodies, v: Tensor) -> Pair:
    """Return the twists [..., L, 3] of all links for v [..., nv]."""
    rate = v.index_select(-1, s.v_of_column)[..., None]
    return s.moves @ (b.axis[0] * rate), s.moves @ (b.axis[1] * rate)


def axis_rates(s: Structure, b: Bodies, twist: Pair) -> Pair:
    """Return the time derivatives [..., D, 3] of the columns' twists."""
    w, u = twist[0].index_select(-2, s.carrier), twist[1].index_select(-2, s.carrier)
    angular, linear = b.axis
    return cross(w, angular), cross(u, angular) + cross(w, linear)


def accelerations(s: Structure, b: Bodies, twist: Pair, v: Tensor, a: Tensor) -> Pair:
    """Return the spatial accelerations [..., L, 3] of all links; gravity is not in them."""
    rate = v.index_select(-1, s.v_of_column)[..., None]
    push = a.index_select(-1, s.v_of_column)[..., None]
    turn, shift = axis_rates(s, b, twist)
    angular, linear = b.axis
    return s.moves @ (angular * push + turn * rate), s.moves @ (linear * push + shift * rate)


def inertias(x: Prepared, b: Bodies) -> Pair:
    """Return inertia about the common point [..., L, 3, 3] and first moment [..., L, 3]."""
    R = b.T[..., :3, :3]
    p = b.T[..., :3, 3] - b.point
    h = _apply(R, x.moment)
    both = (h + x.mass[:, None] / 2 * p)[..., :, None] * p[..., None, :]
    both = both + both.mT
    trace = both.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    eye = torch.eye(3, dtype=p.dtype, device=p.device)
    return R @ x.inertia @ R.mT + trace * eye - both, h + x.mass[:, None] * p


def momentum(x: Prepared, inertia: Pair, motion: Pair) -> Pair:
    """Return the (moment about the point, linear part) that inertia makes of a motion."""
    I, h = inertia  # noqa: E741
    w, u = motion
    return _apply(I, w) + cross(h, u), x.mass[:, None] * u - cross(h, w)


def onto_joints(s: Structure, b: Bodies, wrench: Pair) -> Tensor:
    """Return the joint forces [..., nv] that hold (moment, force) [..., L, 3] on all links."""
    moment, force = s.moves_t @ wrench[0], s.moves_t @ wrench[1]
    per_column = (b.axis[0] * moment + b.axis[1] * force).sum(-1)
    return per_column if s.plain else per_column @ s.to_v


def resistance(s: Structure, x: Prepared, v: Tensor, friction_velocity: float) -> Tensor:
    """Return the joint forces [..., nv] that damping and friction cost.

    Coulomb friction is ``friction * tanh(v / friction_velocity)``: smooth through zero.
    """
    rate = v.index_select(-1, s.v_of_column) * x.scale
    return x.damping * v + (x.friction * torch.tanh(rate / friction_velocity)) @ s.to_v


def inverse_dynamics(
    s: Structure,
    x: Prepared,
    q: Tensor,
    v: Tensor,
    a: Tensor,
    gravity: Tensor,
    friction_velocity: float,
) -> Tensor:
    """Return the joint forces [..., nv]; damping and friction unless `friction_velocity` is 0."""
    b = unfold(s, x, joint_poses(s, x, q))
    twist = velocities(s, b, v)
    turn, shift = accelerations(s, b, twist, v, a)
    inertia = inertias(x, b)
    moment, force = momentum(x, inertia, (turn, shift - gravity))
    angular, linear = momentum(x, inertia, twist)
    w, u = twist
    moment = moment + cross(w, angular) + cross(u, linear)
    force = force + cross(w, linear)
    tau = onto_joints(s, b, (moment, force)) + x.armature * a
    if friction_velocity > 0:
        tau = tau + resistance(s, x, v, friction_velocity)
    return tau


def mass_matrix(s: Structure, x: Prepared, q: Tensor) -> Tensor:
    """Return the joint-space inertia [..., nv, nv], armature included."""
    b = unfold(s, x, joint_poses(s, x, q))
    I, h = inertias(x, b)  # noqa: E741
    mass = x.mass[:, None].expand(*h.shape[:-1], 1)
    composite = s.moves_t @ torch.cat([I.flatten(-2), h, mass], dim=-1)
    I = composite[..., :9].unflatten(-1, (3, 3))  # noqa: E741
    h, mass = composite[..., 9:12], composite[..., 12:]
    angular, linear = b.axis
    moment = _apply(I, angular) + cross(h, linear)
    force = mass * linear - cross(h, angular)
    product = moment @ angular.mT + force @ linear.mT
    M = product * s.lower + (product * s.strict).mT
    if not s.plain:
        M = s.to_v.mT @ M @ s.to_v
    return M + torch.diag_embed(x.armature)


def forward_dynamics(
    s: Structure,
    x: Prepared,
    q: Tensor,
    v: Tensor,
    tau: Tensor,
    gravity: Tensor,
    friction_velocity: float,
) -> Tensor:
    """Return the accelerations [..., nv]: the mass matrix solved by Cholesky factors."""
    bias = inverse_dynamics(s, x, q, v, torch.zeros_like(v), gravity, friction_velocity)
    factor = torch.linalg.cholesky_ex(mass_matrix(s, x, q)).L
    return torch.cholesky_solve((tau - bias)[..., None], factor).squeeze(-1)


def energy(s: Structure, x: Prepared, q: Tensor, v: Tensor, gravity: Tensor) -> Pair:
    """Return kinetic and potential energy [...] in J; the potential is zero at the base origin."""
    b = unfold(s, x, joint_poses(s, x, q))
    inertia = inertias(x, b)
    twist = velocities(s, b, v)
    angular, linear = momentum(x, inertia, twist)
    kinetic = (angular * twist[0] + linear * twist[1]).sum((-1, -2))
    kinetic = kinetic + (x.armature * v * v).sum(-1)
    about_base = inertia[1] + x.mass[:, None] * b.point
    return kinetic / 2, -(about_base * gravity).sum((-1, -2))


def jacobian(s: Structure, x: Prepared, q: Tensor, rows: list[int], point: Tensor | None) -> Tensor:
    """Return the Jacobians [..., n, 6, nv] of n links (linear rows first), base frame."""
    T = joint_poses(s, x, q)
    b = unfold(s, x, T)
    index = torch.tensor(rows, device=q.device)
    arm = _origins(x, T, index, point) - b.point
    return _columns(s, b.axis, arm, index)


def _origins(x: Prepared, T: Tensor, index: Tensor, point: Tensor | None) -> Tensor:
    link = T.index_select(-3, index) @ x.tail[index]
    if point is None:
        return link[..., :3, 3]
    return link[..., :3, 3] + _apply(link[..., :3, :3], point[..., None, :])


def _columns(s: Structure, axis: Pair, arm: Tensor, index: Tensor) -> Tensor:
    angular, linear = axis[0][..., None, :, :], axis[1][..., None, :, :]
    linear = linear + cross(angular, arm[..., None, :])
    both = torch.cat([linear, angular.expand_as(linear)], dim=-1) * s.moves[index][..., None]
    return both.mT if s.plain else both.mT @ s.to_v


def jacobian_derivative(
    s: Structure, x: Prepared, q: Tensor, v: Tensor, rows: list[int], point: Tensor | None
) -> Tensor:
    """Return the time derivative [..., n, 6, nv] of `jacobian` while q moves with v."""
    T = joint_poses(s, x, q)
    b = unfold(s, x, T)
    index = torch.tensor(rows, device=q.device)
    arm = _origins(x, T, index, point) - b.point
    w, u = velocities(s, b, v)
    moving = u.index_select(-2, index) + cross(w.index_select(-2, index), arm)
    J_rate = _columns(s, axis_rates(s, b, (w, u)), arm, index)
    # The point itself moves: the angular part of every column sweeps it along.
    swept = cross(b.axis[0][..., None, :, :], moving[..., None, :]) * s.moves[index][..., None]
    swept = torch.cat([swept, torch.zeros_like(swept)], dim=-1)
    return J_rate + (swept.mT if s.plain else swept.mT @ s.to_v)


def link_motion(
    s: Structure, x: Prepared, q: Tensor, v: Tensor, a: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return velocities, and accelerations if `a` is given, [..., L, 6] of all link origins.

    (linear, angular) in the base frame; the accelerations are what the origin's coordinates and
    the angular velocity change by, not spatial ones.
    """
    T = joint_poses(s, x, q)
    b = unfold(s, x, T)
    arm = (T @ x.tail)[..., :3, 3] - b.point
    w, u = velocities(s, b, v)
    speed = u + cross(w, arm)
    twist = torch.cat([speed, w], dim=-1)
    if a is None:
        return twist, None
    dw, du = accelerations(s, b, (w, u), v, a)
    return twist, torch.cat([du + cross(dw, arm) + cross(w, speed), dw], dim=-1)


def regressor(
    s: Structure, x: Prepared, q: Tensor, v: Tensor, a: Tensor, gravity: Tensor
) -> Tensor:
    """Return Y [..., nv, L, 10] with ``sum_l Y[:, l] phi[l]`` the inverse dynamics of all links.

    phi is (mass, mass * com, inertia about the link's origin as xx xy xz yy yz zz), in link axes;
    armature, damping and friction are not in it.
    Source: Atkeson, An, Hollerbach, "Estimation of inertial parameters of manipulator loads and
    links", 1986.
    """
    T = joint_poses(s, x, q)
    b = unfold(s, x, T)
    link = T @ x.tail
    R, p = link[..., :3, :3], link[..., :3, 3]
    arm = p - b.point
    w, u = velocities(s, b, v)
    dw, du = accelerations(s, b, (w, u), v, a)
    at_origin = du - gravity + cross(dw, arm) + cross(w, u + cross(w, arm))
    w, dw, at_origin = (_apply(R.mT, y) for y in (w, dw, at_origin))
    W, dW, G = so3.hat(w), so3.hat(dw), so3.hat(at_origin)
    zero = torch.zeros_like(w)[..., None]
    force = torch.cat([at_origin[..., None], dW + W @ W, torch.zeros_like(_six(w))], -1)
    moment = torch.cat([zero, -G, _six(dw) + W @ _six(w)], -1)
    force, moment = R @ force, R @ moment
    moment = moment + so3.hat(arm) @ force
    Y = torch.einsum("...dk,...lkp->...dlp", b.axis[0], moment)
    Y = Y + torch.einsum("...dk,...lkp->...dlp", b.axis[1], force)
    Y = Y * s.moves_t[..., None]
    return Y if s.plain else torch.einsum("...dlp,dv->...vlp", Y, s.to_v)


def _six(w: Tensor) -> Tensor:
    """Return [..., 3, 6] with ``_six(w) @ (xx, xy, xz, yy, yz, zz)`` the inertia times w."""
    x, y, z = w.unbind(-1)
    o = torch.zeros_like(x)
    rows = [x, y, z, o, o, o, o, x, o, y, z, o, o, o, x, o, y, z]
    return torch.stack(rows, -1).unflatten(-1, (3, 6))
