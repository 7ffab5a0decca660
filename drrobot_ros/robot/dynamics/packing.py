"""The numbers of a tree in the one layout that both implementations compute with.

Frames are the moved joint frames, turned so that every revolute and prismatic axis is z. Per row:
head (joint frame at rest in the parent's joint frame), tail (link frame in its joint frame), mass,
first moment and inertia about the joint frame's origin, and what acts at the joint. The layout is
also that of native/src/dynamics_plan.hpp.
"""

import numpy as np
import torch
from torch import Tensor

from drrobot_ros.robot.dynamics.values import ModelValues
from drrobot_ros.robot.tree import JointType, KinematicTree

HEAD_R = slice(0, 9)
HEAD_P = slice(9, 12)
TAIL_R = slice(12, 21)
TAIL_P = slice(21, 24)
MASS = 24
FIRST = slice(25, 28)
INERTIA = slice(28, 34)  # xx xy xz yy yz zz
MULTIPLIER = 34
OFFSET = 35
ARMATURE = 36
DAMPING = 37
FRICTION = 38
PACKED = 40


def alignment(tree: KinematicTree) -> np.ndarray:
    """Return rotations [L, 3, 3] that take z to the axis of each revolute or prismatic row."""
    result = np.tile(np.eye(3), (len(tree), 1, 1))
    scalar = (tree.joint_type == JointType.REVOLUTE) | (tree.joint_type == JointType.PRISMATIC)
    for i in np.flatnonzero(scalar):
        z = tree.axis[i] / np.linalg.norm(tree.axis[i])
        x = np.cross(np.eye(3)[int(np.argmin(np.abs(z)))], z)
        x /= np.linalg.norm(x)
        result[i] = np.stack([x, np.cross(z, x), z], axis=1)
    return result


class Packing:
    """Packs the values of one tree, on one device and in one dtype."""

    def __init__(self, tree: KinematicTree, dtype: torch.dtype, device: torch.device) -> None:
        A = np.tile(np.eye(4), (len(tree), 1, 1))
        A[:, :3, :3] = alignment(tree)
        self.A = torch.tensor(A, dtype=dtype, device=device)
        self.parent = torch.tensor(np.maximum(tree.parent, 0), dtype=torch.int64, device=device)
        root = torch.tensor(tree.parent < 0, device=device)[:, None, None]
        self.eye = torch.eye(4, dtype=dtype, device=device)
        self.root = root

    def __call__(self, x: ModelValues) -> Tensor:
        """Return the packed numbers [L, PACKED]; gradients pass through."""
        tail = self.A.mT @ x.T_joint_link
        parent_tail = torch.where(self.root, self.eye, tail[self.parent])
        # The base frame is where everything is measured from: it cannot be learned.
        head = torch.where(self.root, self.eye, parent_tail @ x.T_parent_joint @ self.A)
        R = tail[:, :3, :3]
        com = (R @ x.com[..., None]).squeeze(-1) + tail[:, :3, 3]
        first = x.mass[:, None] * com
        square = (com * com).sum(-1)[:, None, None] * self.eye[:3, :3]
        square = square - com[:, :, None] * com[:, None, :]
        inertia = R @ x.inertia @ R.mT + x.mass[:, None, None] * square
        parts = [
            head[:, :3, :3].flatten(1),
            head[:, :3, 3],
            R.flatten(1),
            tail[:, :3, 3],
            x.mass[:, None],
            first,
            inertia[:, 0, :],
            inertia[:, 1, 1:],
            inertia[:, 2, 2:],
            x.multiplier[:, None],
            x.offset[:, None],
            x.armature[:, None],
            x.damping[:, None],
            x.friction[:, None],
            torch.zeros_like(x.mass[:, None]),
        ]
        return torch.cat(parts, dim=-1)
