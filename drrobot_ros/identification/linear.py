"""The torques as a linear function of the robot's parameters, compressed by QR.

Parameters x [P]: ten inertial numbers of each link that a joint moves (mass, mass * com, inertia
about the link's origin as xx xy xz yy yz zz), then armature, damping and friction of each joint.
"""

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from drrobot_ros.identification.recording import Recording
from drrobot_ros.robot import RobotModel
from drrobot_ros.robot.dynamics.model import FRICTION_VELOCITY
from drrobot_ros.robot.tree import JointType, KinematicTree

Array = NDArray[np.float64]

INERTIAL_NAMES = ("mass", "m*x", "m*y", "m*z", "Ixx", "Ixy", "Ixz", "Iyy", "Iyz", "Izz")
JOINT_NAMES = ("armature", "damping", "friction")
_LENGTH = 0.1  # m, of a usual link: makes the numbers of a link comparable


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """Where each parameter lies in x.

    Attributes:
        links: [n] rows of the links with ten numbers each.
        joints: [m] rows with armature, damping, friction each.
        names: [P] of the parameters, e.g. ``mass of link1``.
        scale: [P] usual size, to compare parameters by.
    """

    links: tuple[int, ...]
    joints: tuple[int, ...]
    names: tuple[str, ...]
    scale: Array

    @classmethod
    def of(cls, model: RobotModel) -> "Layout":
        """Return the layout for a model: links with mass that a joint moves, and all joints."""
        tree = model.tree
        movable = tree.v_index >= 0
        moved = (tree.ancestors() & movable[None, :]).any(axis=1)
        links = tuple(int(i) for i in np.flatnonzero(moved & (tree.mass > 0)))
        joints = tuple(int(i) for i in np.flatnonzero(movable))
        names = [f"{p} of {tree.link_names[i]}" for i in links for p in INERTIAL_NAMES]
        names += [f"{p} of {tree.joint_names[i]}" for p in JOINT_NAMES for i in joints]
        powers = np.array([1.0] + 3 * [_LENGTH] + 6 * [_LENGTH**2])
        scale = [max(tree.mass[i], 0.05) * powers for i in links]
        revolute = [tree.joint_type[i] == JointType.REVOLUTE for i in joints]
        for field, usual in (("armature", (0.1, 1.0)), ("damping", (1.0, 10.0)), ("", (1.0, 5.0))):
            prior = getattr(tree, field or "frictionloss")
            sizes = [usual[0] if r else usual[1] for r in revolute]
            scale.append(np.maximum(prior[list(joints)], sizes))
        return cls(links, joints, tuple(names), np.concatenate(scale))

    @property
    def count(self) -> int:
        """Number of inertial parameters; those of the joints come after them."""
        return 10 * len(self.links)

    def vector(self, model: RobotModel, tree: KinematicTree) -> Array:
        """Return x [P] of a tree."""
        phi = model.inertial_numbers(tree).numpy()[list(self.links)].ravel()
        rows = list(self.joints)
        return np.concatenate(
            [phi, tree.armature[rows], tree.damping[rows], tree.frictionloss[rows]]
        )

    def tree(self, base: KinematicTree, x: Array, offsets: Array | None = None) -> KinematicTree:
        """Return a tree with the parameters x [P], and joint offsets [m] added."""
        phi = x[: self.count].reshape(-1, 10)
        mass, com, inertia = base.mass.copy(), base.com.copy(), base.inertia.copy()
        for i, row in zip(self.links, phi, strict=True):
            mass[i], com[i] = row[0], row[1:4] / row[0]
            half = np.zeros((3, 3))
            half[np.triu_indices(3)] = row[4:]
            about_origin = half + np.triu(half, 1).T
            c = com[i]
            inertia[i] = about_origin - mass[i] * ((c @ c) * np.eye(3) - np.outer(c, c))
        rest = x[self.count :].reshape(3, -1)
        fields = {}
        for name, values in zip(("armature", "damping", "frictionloss"), rest, strict=True):
            fields[name] = getattr(base, name).copy()
            fields[name][list(self.joints)] = values
        if offsets is not None:
            fields["mimic_offset"] = base.mimic_offset.copy()
            fields["mimic_offset"][list(self.joints)] += offsets
        return dataclasses.replace(base, mass=mass, com=com, inertia=inertia, **fields)


def matrix(model: RobotModel, layout: Layout, q: Array, v: Array, a: Array) -> Array:
    """Return W [T, nv, P] with ``W @ x`` the joint forces of states [T, nv].

    Links without mass have none of their own, so that nothing is left over.
    """
    tree = model.tree
    with torch.no_grad():
        Y = model.regressor(*(torch.from_numpy(np.ascontiguousarray(y)) for y in (q, v, a)))
    W = np.zeros((len(q), model.nv, len(layout.names)))
    W[:, :, : layout.count] = Y[:, :, list(layout.links)].flatten(-2).numpy()
    m = len(layout.joints)
    for k, i in enumerate(layout.joints):
        d, gain = int(tree.v_index[i]), tree.mimic_multiplier[i]
        speed = gain * v[:, d]
        W[:, d, layout.count + k] = gain * gain * a[:, d]
        W[:, d, layout.count + m + k] = gain * speed
        W[:, d, layout.count + 2 * m + k] = gain * np.tanh(speed / FRICTION_VELOCITY)
    return W


@dataclasses.dataclass(frozen=True, eq=False)
class Compressed:
    """Part of a recording: for each joint a triangle with the residuals' sums of squares.

    Attributes:
        R: [nv] arrays [k, P + 1] with ``|R @ (x, -1)|^2`` the sum of squares of the joint.
        count: samples.
        power: [nv] sum of the squared measured torques.
    """

    R: tuple[Array, ...]
    count: int
    power: Array

    def squares(self, x: Array) -> Array:
        """Return the sums of squared errors [nv] of parameters x."""
        y = np.append(x, -1.0)
        return np.array([np.sum((R @ y) ** 2) for R in self.R])


def compress(W: Array, tau: Array) -> Compressed:
    """Return W [T, nv, P] and torques [T, nv] compressed."""
    table = np.concatenate([W, tau[..., None]], axis=-1)
    R = tuple(_triangle(table[:, d]) for d in range(table.shape[1]))
    return Compressed(R, len(W), np.sum(tau**2, axis=0))


def joined(parts: list[Compressed]) -> Compressed:
    """Return several parts as one."""
    R = tuple(_triangle(np.concatenate(rows)) for rows in zip(*(p.R for p in parts), strict=True))
    return Compressed(R, sum(p.count for p in parts), np.sum([p.power for p in parts], axis=0))


def _triangle(table: Array) -> Array:
    if len(table) <= table.shape[1]:
        return table
    return np.asarray(np.linalg.qr(table, mode="r"))


def folds(
    model: RobotModel, layout: Layout, recording: Recording, offsets: Array, count: int
) -> list[Compressed]:
    """Return the recording in contiguous parts, each compressed; offsets [nv] are added to q."""
    assert recording.v is not None and recording.a is not None and recording.tau is not None
    parts = []
    for index in np.array_split(np.arange(len(recording.time_s)), count):
        pieces = []
        for some in np.array_split(index, max(1, len(index) // 1000)):
            q = recording.q[some] + offsets
            W = matrix(model, layout, q, recording.v[some], recording.a[some])
            pieces.append(compress(W, recording.tau[some]))
        parts.append(joined(pieces) if len(pieces) > 1 else pieces[0])
    return parts
