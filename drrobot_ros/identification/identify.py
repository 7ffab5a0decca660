"""Identification: the parameters of a robot that explain the torques of a recording."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.errors import InputError
from drrobot_ros.identification.base_parameters import (
    BaseParameters,
    base_parameters,
    condition_number,
)
from drrobot_ros.identification.config import IdentificationConfig
from drrobot_ros.identification.consistent import PhysicalPrior, refine
from drrobot_ros.identification.linear import Compressed, Layout, folds, joined, matrix
from drrobot_ros.identification.recording import Recording
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.parametrizations import Free, LogCholesky
from drrobot_ros.robot.tree import KinematicTree

Array = NDArray[np.float64]

GOOD_CONDITION, GOOD_ERROR = 1000.0, 0.2


@dataclasses.dataclass(frozen=True)
class JointError:
    """Torque errors of one joint, root mean squares in N m or N.

    Attributes:
        name: of the joint.
        torque: of the measured torques.
        before: of the model as loaded.
        fitted: of the identified model, on what it was fitted to.
        validated: the same on parts left out of the fit.
    """

    name: str
    torque: float
    before: float
    fitted: float
    validated: float


@dataclasses.dataclass(frozen=True, eq=False)
class IdentificationResult:
    """What was found.

    Attributes:
        model: the robot as loaded.
        recording: as it was fitted: model order, complete, held joints put in.
        layout: of x.
        prior: [P] parameters as loaded.
        least_squares: [P] of the plain weighted least squares, physical or not.
        x: [P] of the physically consistent fit.
        covariance: [P, P] of x: noise and prior together.
        offsets: [nv] to add to recorded positions, rad or m; zeros if not asked for.
        offset_std: [nv] of them; NaN if not asked for.
        base: the identifiable combinations.
        condition: of the recording's regressor of the base parameters, scaled.
        joints: torque errors, joints not held.
        weak: combinations that the recording hardly shows, in words.
        verdict: "good" or "doubtful".
        reasons: for doubt, in words.
        notes: what was done to the data and the model, in words.
    """

    model: RobotModel
    recording: Recording
    layout: Layout
    prior: Array
    least_squares: Array
    x: Array
    covariance: Array
    offsets: Array
    offset_std: Array
    base: BaseParameters
    condition: float
    joints: tuple[JointError, ...]
    weak: tuple[str, ...]
    verdict: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def tree(self) -> KinematicTree:
        """The tree with the identified numbers, as constants."""
        by_dof = self.offsets[self.model.tree.v_index[list(self.layout.joints)]]
        gains = self.model.tree.mimic_multiplier[list(self.layout.joints)]
        return self.layout.tree(self.model.tree, self.x, by_dof * gains)

    def predict(self, q: Array, v: Array, a: Array) -> Array:
        """Return the joint forces [T, nv] that the identified robot needs; q as recorded."""
        W = matrix(self.model, self.layout, np.asarray(q) + self.offsets, v, a)
        return W @ self.x

    def apply(self, model: RobotModel) -> None:
        """Put the identified numbers into a model of the same robot, as learnable parameters.

        From then on its dynamics use them, and they can be trained further with any optimiser.
        """
        tree = self.tree
        for i in self.layout.links:
            values = (torch.tensor(y[i]) for y in (tree.mass, tree.com, tree.inertia))
            model.make_learnable(tree.link_names[i], "inertial", LogCholesky(*values))
        fields = {"armature": "armature", "damping": "damping", "friction": "frictionloss"}
        for i in self.layout.joints:
            for parameter, field in fields.items():
                start = torch.tensor(float(getattr(tree, field)[i]))
                model.make_learnable(tree.link_names[i], parameter, Free(start))
            shift = tree.mimic_offset[i] - self.model.tree.mimic_offset[i]
            if shift:
                model.make_learnable(tree.link_names[i], "joint_offset", Free(float(shift)))


def identify(
    model: RobotModel,
    recording: Recording,
    config: IdentificationConfig | None = None,
    held: Mapping[str, float] | None = None,
) -> IdentificationResult:
    """Return the parameters of a robot that explain a recording's torques.

    Weighted least squares, then a fit in coordinates in which every link is a possible body
    (`PhysicalPrior`), drawn towards the model as loaded where the recording says nothing.

    Args:
        model: the robot; its numbers are the prior.
        recording: with torques; derivatives are made where they are missing.
        config: settings.
        held: positions of joints that stood still and are not in the recording.

    Raises:
        InputError: the recording has no torques or fails a check, see `Recording.for_model`.
    """
    config = config or IdentificationConfig()
    if recording.tau is None:
        raise InputError(
            "the recording has no torques (CSV columns tau_<joint>, effort of JointState)"
        )
    recording = recording.for_model(model, held).completed(config.cutoff_hz)
    used = np.array([name not in (held or {}) for name in model.joint_names])
    layout = Layout.of(model)
    base = base_parameters(model, layout, held)
    x_prior = layout.vector(model, model.tree)
    prior = PhysicalPrior.of(layout, x_prior, model.link_names)
    fit = _Fit(model, layout, prior, recording, used, config)
    fit.run()
    joints = fit.joint_errors(x_prior)
    condition = condition_number(base.scaled(fit.regressor()))
    weak = _weak(base, fit.x_covariance)
    reasons = _reasons(condition, joints, weak, len(base.independent))
    notes = list(recording.notes)
    notes += [
        f"the inertia of link {n!r} was not a body's; its start was moved" for n in prior.repaired
    ]
    moved = layout.links
    notes += [
        f"link {n!r} has no mass in the model and is left so"
        for i, n in enumerate(model.link_names)
        if i not in moved and model.tree.mass[i] <= 0 and i and not n.count("/")
    ]
    return IdentificationResult(
        model=model,
        recording=recording,
        layout=layout,
        prior=x_prior,
        least_squares=fit.linear,
        x=fit.x,
        covariance=fit.x_covariance,
        offsets=fit.offsets,
        offset_std=fit.offset_std,
        base=base,
        condition=condition,
        joints=joints,
        weak=weak,
        verdict="doubtful" if reasons else "good",
        reasons=reasons,
        notes=tuple(notes),
    )


class _Fit:
    """The steps of one identification."""

    def __init__(
        self,
        model: RobotModel,
        layout: Layout,
        prior: PhysicalPrior,
        recording: Recording,
        used: NDArray[np.bool_],
        config: IdentificationConfig,
    ) -> None:
        self.model, self.layout, self.prior = model, layout, prior
        self.recording, self.used, self.config = recording, used, config
        self.offsets = np.zeros(model.nv)
        self.offset_std = np.full(model.nv, np.nan)
        assert recording.tau is not None
        self.torque = np.sqrt(np.mean(recording.tau**2, axis=0))
        self.noise = 0.05 * np.maximum(self.torque, 1e-3 * max(self.torque.max(), 1e-9))

    def run(self) -> None:
        """Fit; repeat about new offsets if they are wanted."""
        for _ in range(5 if self.config.joint_offsets else 1):
            self.parts = folds(
                self.model, self.layout, self.recording, self.offsets, self.config.folds
            )
            self.whole = joined(self.parts)
            self.linear, self.u, covariance = self._solve(self.whole, update_noise=True)
            self.x, D = self.prior.parameters(self.u)
            self.x_covariance = D @ covariance @ D.T
            if self.config.joint_offsets and self._move_offsets() < 1e-6:
                break

    def _rows(self, part: Compressed) -> Array:
        """Return the residuals' triangle in units of the noise."""
        rows = [R / s for R, s, use in zip(part.R, self.noise, self.used, strict=True) if use]
        table = np.concatenate(rows)
        return np.asarray(np.linalg.qr(table, mode="r"))

    def regressor(self) -> Array:
        """Return rows [k, P] that compress the recording's regressor of the joints not held."""
        return np.concatenate([R for R, use in zip(self.whole.R, self.used, strict=True) if use])[
            :, :-1
        ]

    def _solve(self, part: Compressed, update_noise: bool = False) -> tuple[Array, Array, Array]:
        linear = self._least_squares(self._rows(part))
        u, covariance = refine(
            self.prior, self._rows(part), self.prior.start(), self.config.prior_std
        )
        for _ in range(2 if update_noise else 0):
            x, _ = self.prior.parameters(u)
            found = np.sqrt(part.squares(x) / max(part.count - 1, 1))
            self.noise = np.maximum(found, 1e-4 * np.maximum(self.torque, 1e-6))
            u, covariance = refine(self.prior, self._rows(part), u, self.config.prior_std)
            linear = self._least_squares(self._rows(part))
        return linear, u, covariance

    def _least_squares(self, R: Array) -> Array:
        """Return x [P] of the regularised linear problem."""
        scale = self.layout.scale * self.config.prior_std
        start = self.layout.vector(self.model, self.model.tree)
        A = np.concatenate([R[:, :-1] * scale, np.eye(len(scale))])
        b = np.concatenate([R[:, -1], start / scale])
        return np.linalg.lstsq(A, b, rcond=None)[0] * scale

    def _move_offsets(self) -> float:
        """Take one Gauss-Newton step of offsets and inertial parameters together."""
        r = self.recording
        assert r.v is not None and r.a is not None and r.tau is not None
        some = np.linspace(0, len(r.time_s) - 1, min(len(r.time_s), 400)).astype(int)
        q, v, a = r.q[some] + self.offsets, r.v[some], r.a[some]
        W = matrix(self.model, self.layout, q, v, a)
        _, D = self.prior.parameters(self.u)
        columns = []
        for d in range(self.model.nv):
            step = np.zeros(self.model.nv)
            step[d] = 1e-5
            ahead = matrix(self.model, self.layout, q + step, v, a)
            back = matrix(self.model, self.layout, q - step, v, a)
            columns.append((ahead - back) @ self.x / 2e-5)
        A = np.concatenate([W @ D, np.stack(columns, axis=-1)], axis=-1)
        error = r.tau[some] - W @ self.x
        A, error = A[:, self.used], error[:, self.used]
        weight = np.sqrt(len(r.time_s) / len(some)) / self.noise[self.used]
        A = (A * weight[None, :, None]).reshape(-1, A.shape[-1])
        b = (error * weight).ravel()
        n, m = len(self.u), self.model.nv
        std = np.concatenate(
            [np.full(n, self.config.prior_std), np.full(m, self.config.offset_std)]
        )
        std[n:][~self.used] = 1e-9
        pull = np.concatenate([self.prior.start() - self.u, -self.offsets]) / std
        H = A.T @ A + np.diag(1 / std**2)
        step = np.linalg.solve(H, A.T @ b + pull / std)
        self.offset_std = np.sqrt(np.diag(np.linalg.inv(H))[n:])
        self.offsets = self.offsets + np.clip(step[n:], -0.2, 0.2)
        return float(np.abs(step[n:]).max())

    def joint_errors(self, x_prior: Array) -> tuple[JointError, ...]:
        """Return the errors of each joint; validation fits without each part in turn."""
        count, nv = self.whole.count, self.model.nv
        held_out = np.zeros(nv)
        for k, part in enumerate(self.parts):
            others = joined([p for i, p in enumerate(self.parts) if i != k])
            _, u, _ = self._solve(others)
            held_out += part.squares(self.prior.parameters(u)[0])

        def rms(squares: Array) -> Array:
            return np.sqrt(squares / count)

        before, fitted = rms(self.whole.squares(x_prior)), rms(self.whole.squares(self.x))
        validated = rms(held_out)
        return tuple(
            JointError(name, *(float(y[i]) for y in (self.torque, before, fitted, validated)))
            for i, name in enumerate(self.model.joint_names)
            if self.used[i]
        )


def _weak(base: BaseParameters, covariance: Array) -> tuple[str, ...]:
    """Return the combinations that stay as unsure as their usual size."""
    spread = np.sqrt(np.einsum("bi,ij,bj->b", base.B, covariance, base.B))
    scale = base.layout.scale[base.independent]
    return tuple(base.combination(int(k)) for k in np.flatnonzero(spread > scale))


def _reasons(
    condition: float, joints: tuple[JointError, ...], weak: tuple[str, ...], count: int
) -> tuple[str, ...]:
    reasons = []
    if condition > GOOD_CONDITION:
        reasons.append(
            f"condition number {condition:.3g} is above {GOOD_CONDITION:g}: the motion shows some "
            "parameters hardly; record an excitation trajectory"
        )
    if len(weak) > count / 2:
        reasons.append(f"{len(weak)} of {count} combinations stay as unsure as they are large")
    for joint in joints:
        if joint.validated > GOOD_ERROR * joint.torque:
            reasons.append(
                f"joint {joint.name!r}: {joint.validated / max(joint.torque, 1e-12):.0%} of its "
                "torque is unexplained on parts left out"
            )
        if joint.validated > 1.1 * joint.before:
            reasons.append(f"joint {joint.name!r} is predicted worse than by the model as loaded")
    return tuple(reasons)
