"""Inverse kinematics: damped least squares from many starts at once, within limits.

Source: Levenberg-Marquardt damping after Sugihara, "Solvability-unconcerned inverse kinematics by
the Levenberg-Marquardt method", 2011; null-space motion after Liegeois, 1977.
"""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.errors import InputError
from drrobot_ros.geometry import so3
from drrobot_ros.robot.model import RobotModel
from drrobot_ros.robot.tree import JointType

_LONGEST_STEP_RAD = 0.6
_PATIENCE = 12  # iterations after which a start that hardly got better begins elsewhere
_DAMPING_START, _DAMPING_LEAST, _DAMPING_MOST = 1e-3, 1e-10, 1e4


@dataclasses.dataclass(frozen=True)
class IkResult:
    """What `inverse_kinematics` found, the best start of every target.

    Attributes:
        q: [..., nq], within the limits.
        success: [...] bool, both errors within tolerance.
        position_error_m: [...].
        rotation_error_rad: [...]; zero if the rotation was free.
        iterations: that were made.
    """

    q: Tensor
    success: Tensor
    position_error_m: Tensor
    rotation_error_rad: Tensor
    iterations: int


class _Problem:
    """Targets repeated for every start, with what one iteration needs."""

    def __init__(
        self, model: RobotModel, row: int, target: Tensor, position_only: bool, length_m: float
    ) -> None:
        self.model = model
        self.row = row
        self.target = target
        self.position_only = position_only
        self.length_m = length_m
        self.lower = torch.as_tensor(model.lower).to(target)
        self.upper = torch.as_tensor(model.upper).to(target)
        self.v_lower, self.v_upper, self.q_of_v = _limits_by_velocity(model, target)

    def error(self, q: Tensor, rows: Tensor) -> Tensor:
        """Return [n, 3 or 6]: what is missing, base frame; rotations weighed as lengths."""
        T = self.model.link_pose(q, self.row)
        target = self.target[rows]
        missing = target[:, :3, 3] - T[:, :3, 3]
        if self.position_only:
            return missing
        turn = so3.log(target[:, :3, :3] @ T[:, :3, :3].mT)
        return torch.cat([missing, turn * self.length_m], dim=-1)

    def jacobian(self, q: Tensor) -> Tensor:
        """Return that of `error`, negated."""
        J = self.model.jacobian(q, self.row)
        if self.position_only:
            return J[:, :3]
        return torch.cat([J[:, :3], J[:, 3:] * self.length_m], dim=-2)

    def clamp(self, q: Tensor) -> Tensor:
        """Return q moved into the limits."""
        return torch.minimum(torch.maximum(q, self.lower), self.upper)

    def step(self, q: Tensor, e: Tensor, damping: Tensor, pull: Tensor | None) -> Tensor:
        """Return the configurations after one damped step."""
        J = self.jacobian(q)
        wish = (J.mT @ e[..., None]).squeeze(-1)
        here = q[:, self.q_of_v]
        held = ((here <= self.v_lower) & (wish < 0)) | ((here >= self.v_upper) & (wish > 0))
        J = J.masked_fill(held[:, None, :], 0.0)
        eye = torch.eye(e.shape[-1], dtype=q.dtype, device=q.device)
        scale = J.square().sum((1, 2)) / e.shape[-1]
        A = J @ J.mT + (damping * scale + 1e-12)[:, None, None] * eye
        right = e[..., None]
        if pull is not None:
            pull = pull.masked_fill(held, 0.0)[..., None]
            right = right - J @ pull
        d = (J.mT @ torch.linalg.solve(A, right)).squeeze(-1)
        if pull is not None:
            d = d + pull.squeeze(-1)
        longest = d.abs().amax(-1, keepdim=True)
        d = d * (_LONGEST_STEP_RAD / longest.clamp_min(_LONGEST_STEP_RAD))
        return self.clamp(self.model.integrate(q, d))


def _limits_by_velocity(model: RobotModel, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return limits [nv] and the index in q of every velocity; quaternions have no limits."""
    lower, upper = np.full(model.nv, -np.inf), np.full(model.nv, np.inf)
    index = np.zeros(model.nv, dtype=np.int64)
    scalar = (JointType.REVOLUTE, JointType.PRISMATIC)
    for kind, q, v in zip(
        model.tree.joint_type, model.tree.q_index, model.tree.v_index, strict=True
    ):
        if kind in scalar:
            lower[v], upper[v], index[v] = model.lower[q], model.upper[q], q
    return (
        torch.as_tensor(lower).to(like),
        torch.as_tensor(upper).to(like),
        torch.as_tensor(index, device=like.device),
    )


def inverse_kinematics(
    model: RobotModel,
    link: str | int,
    target: Tensor | np.ndarray,
    *,
    q_start: Tensor | np.ndarray | None = None,
    starts: int = 16,
    seed: int = 0,
    iterations: int = 100,
    position_tolerance_m: float = 1e-4,
    rotation_tolerance_rad: float = 1e-3,
    position_only: bool = False,
    q_rest: Tensor | np.ndarray | None = None,
    rest_gain: float = 0.1,
    length_m: float = 0.3,
) -> IkResult:
    """Find configurations that bring a link to poses; batched, within the position limits.

    Args:
        model: the robot.
        link: name or row.
        target: T_base_link [..., 4, 4]; with `position_only` also points [..., 3], m.
        q_start: [nq] or [..., nq] the first start; the others are random. Of several solutions the
            nearest to it is returned.
        starts: how many starts per target.
        seed: of the random ones.
        iterations: at most; those that stop getting better begin elsewhere meanwhile.
        position_tolerance_m: below it, and the next one, a target is reached.
        rotation_tolerance_rad: as above.
        position_only: the rotation is free.
        q_rest: [nq] or [..., nq] where redundant joints are drawn to (null space).
        rest_gain: how far of the way per iteration.
        length_m: how many metres of error one radian counts.

    Returns:
        Without gradients, in the dtype and on the device of `target`.

    Raises:
        InputError: a size is wrong, the link unknown, the target not finite or no rotation, or a
            number not positive.
    """
    row = model.link_index(link)
    goal = _checked_target(target, position_only)
    for name, number in (("starts", starts), ("iterations", iterations)):
        if number < 1:
            raise InputError(f"{name} must be at least 1, got {number}")
    for name, number in (
        ("position_tolerance_m", position_tolerance_m),
        ("rotation_tolerance_rad", rotation_tolerance_rad),
        ("length_m", length_m),
    ):
        if not number > 0:
            raise InputError(f"{name} must be positive, got {number}")
    batch = goal.shape[:-2]
    goal = goal.reshape(-1, 4, 4)
    n = goal.shape[0]
    first = _as_configurations(model, q_start, "q_start", batch, goal)
    rest = _as_configurations(model, q_rest, "q_rest", batch, goal)
    with torch.no_grad():
        search = _Search(
            _Problem(model, row, goal, position_only, length_m),
            first,
            rest,
            starts,
            seed,
            (position_tolerance_m, rotation_tolerance_rad, rest_gain),
        )
        made = search.run(iterations) if n else 0
        q, e = search.best()
    position = e[:, :3].norm(dim=-1)
    rotation = torch.zeros_like(position) if position_only else e[:, 3:].norm(dim=-1) / length_m
    success = (position <= position_tolerance_m) & (rotation <= rotation_tolerance_rad)
    return IkResult(
        q.reshape(*batch, model.nq),
        success.reshape(batch),
        position.reshape(batch),
        rotation.reshape(batch),
        made,
    )


def _checked_target(target: Tensor | np.ndarray, position_only: bool) -> Tensor:
    goal = torch.as_tensor(target)
    if not goal.is_floating_point():
        goal = goal.to(torch.float64)
    if position_only and goal.shape[-1:] == (3,) and goal.shape[-2:] != (4, 3):
        T = torch.eye(4, dtype=goal.dtype, device=goal.device).repeat(*goal.shape[:-1], 1, 1)
        T[..., :3, 3] = goal
        goal = T
    if goal.shape[-2:] != (4, 4):
        raise InputError(f"target must be [..., 4, 4], got {list(goal.shape)}")
    if not bool(torch.isfinite(goal).all()):
        raise InputError("target is not finite")
    R = goal[..., :3, :3]
    eye = torch.eye(3, dtype=goal.dtype, device=goal.device)
    if not position_only and bool(((R @ R.mT - eye).abs() > 1e-3).any()):
        raise InputError("target is not a rigid transform: its 3x3 part is no rotation")
    return goal.detach()


def _as_configurations(
    model: RobotModel, q: Tensor | np.ndarray | None, name: str, batch: torch.Size, goal: Tensor
) -> Tensor | None:
    if q is None:
        return None
    q = torch.as_tensor(q).to(goal)
    if q.shape[-1:] != (model.nq,):
        raise InputError(f"{name} must be [..., {model.nq}], got {list(q.shape)}")
    return q.expand(*batch, model.nq).reshape(-1, model.nq)


class _Search:
    """All starts of all targets, walking down side by side."""

    def __init__(
        self,
        problem: _Problem,
        first: Tensor | None,
        rest: Tensor | None,
        starts: int,
        seed: int,
        numbers: tuple[float, float, float],
    ) -> None:
        self.problem = problem
        self.starts = starts
        self.seed = seed
        self.first = first
        self.position_m, self.rotation_rad, self.rest_gain = numbers
        targets = problem.target.shape[0]
        self.rows = torch.arange(targets, device=problem.target.device).repeat_interleave(starts)
        self.q = self._random(len(self.rows))
        if first is not None:
            self.q[::starts] = problem.clamp(first)
        self.rest = None if rest is None else rest[self.rows]
        self.e = problem.error(self.q, self.rows)
        self.damping = torch.full_like(self.e[:, 0], _DAMPING_START)
        self.old_cost = torch.full_like(self.damping, math.inf)

    def _random(self, n: int) -> Tensor:
        self.seed += 1
        return self.problem.model.random_configuration(n, self.seed).to(self.problem.target)

    def solved(self, e: Tensor) -> Tensor:
        """Tell which errors are within half the tolerances."""
        good = e[:, :3].norm(dim=-1) <= self.position_m / 2
        if self.problem.position_only:
            return good
        return good & (e[:, 3:].norm(dim=-1) <= self.rotation_rad / 2 * self.problem.length_m)

    def run(self, iterations: int) -> int:
        """Iterate until every target has a solution; with a rest position, to the end."""
        for k in range(iterations):
            done = self.solved(self.e)
            if self.rest is None:
                reached = done.reshape(-1, self.starts).any(-1)
                active = (~reached).repeat_interleave(self.starts).nonzero().squeeze(-1)
            else:
                active = torch.arange(len(self.rows), device=done.device)
            if len(active) == 0:
                return k
            self._walk(active, done)
            if k % _PATIENCE == _PATIENCE - 1:
                self._begin_elsewhere(k)
        return iterations

    def _walk(self, active: Tensor, done: Tensor) -> None:
        q, e, rows = self.q[active], self.e[active], self.rows[active]
        pull = None
        if self.rest is not None:
            pull = self.rest_gain * self.problem.model.difference(q, self.rest[active])
        q_new = self.problem.step(q, e, self.damping[active], pull)
        e_new = self.problem.error(q_new, rows)
        better = e_new.square().sum(-1) <= e.square().sum(-1)
        if self.rest is not None:
            better = better | (done[active] & self.solved(e_new))
        self.q[active] = torch.where(better[:, None], q_new, q)
        self.e[active] = torch.where(better[:, None], e_new, e)
        damping = torch.where(better, self.damping[active] * 0.2, self.damping[active] * 5)
        self.damping[active] = damping.clamp(_DAMPING_LEAST, _DAMPING_MOST)

    def _begin_elsewhere(self, k: int) -> None:
        cost = self.e.square().sum(-1)
        stuck = (cost > 0.3 * self.old_cost) & ~self.solved(self.e)
        # One start is left to get as near as it can, for targets out of reach.
        best = cost.reshape(-1, self.starts).argmin(-1)
        stuck[torch.arange(len(best), device=best.device) * self.starts + best] = False
        self.old_cost = torch.where(stuck, torch.full_like(cost, math.inf), cost)
        again = stuck.nonzero().squeeze(-1)
        if len(again):
            self.q[again] = self._random(len(again))
            self.e[again] = self.problem.error(self.q[again], self.rows[again])
            self.damping[again] = _DAMPING_START

    def best(self) -> tuple[Tensor, Tensor]:
        """Return q and error of each target: solved and nearest to the first start, or nearest."""
        cost = self.e.square().sum(-1)
        done = self.solved(self.e)
        near = torch.zeros_like(cost)
        wanted = self.first if self.first is not None else None
        if wanted is not None:
            near = self.problem.model.difference(self.q, wanted[self.rows]).square().sum(-1)
        elif self.rest is not None:
            near = self.problem.model.difference(self.q, self.rest).square().sum(-1)
        score = torch.where(done, torch.atan(near) - 10, cost.clamp_max(1e6))
        pick = score.reshape(-1, self.starts).argmin(-1)
        pick = pick + torch.arange(len(pick), device=pick.device) * self.starts
        return self.q[pick], self.e[pick]
